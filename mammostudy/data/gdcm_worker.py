"""Decode the JPEG of any kind in a DICOM file, in a process of its own.

Damaged data can make a decoder end the whole process, or fill the memory: here it ends this one
alone. Run by :mod:`mammostudy.data.dicom_file` as a script with the file and the name of pydicom's
decoder; the pixels leave on the standard output as a ``.npy`` array. Imports nothing of ours.
"""

from __future__ import annotations

import contextlib
import sys
from pathlib import Path
from typing import Final

import numpy as np
from pydicom.pixels.utils import pixel_array

MEMORY: Final = 1 << 30  # bytes of address space that decoding may take beyond what is loaded


def limit_memory() -> None:
    """Bound the memory of this process, and let it leave no core file; where the system can."""
    with contextlib.suppress(ImportError, OSError, ValueError):
        import resource

        pages = Path("/proc/self/statm").read_text(encoding="utf-8").split()[0]
        most = int(pages) * resource.getpagesize() + MEMORY
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        resource.setrlimit(resource.RLIMIT_AS, (most, most))


if __name__ == "__main__":
    limit_memory()
    pixels = pixel_array(sys.argv[1], index=0, decoding_plugin=sys.argv[2])
    np.save(sys.stdout.buffer, pixels)
