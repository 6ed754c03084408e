"""Decode the JPEG of any kind in a DICOM file, in a process of its own: this file as a script.

Damaged data can make a decoder end the whole process, fill the memory or never end: so it ends
that one alone. The script imports nothing of ours.
"""

from __future__ import annotations

import contextlib
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from pydicom.pixels.utils import pixel_array

MEMORY: Final = 1 << 30  # bytes of address space that decoding may take beyond what is loaded


def decoded_apart(path: Path, plugin: str, seconds: float) -> NDArray[Any]:
    """Decode the first frame of a file by a decoder of pydicom's, within a time."""
    command = [sys.executable, "-P", __file__, str(path), plugin]
    with tempfile.TemporaryFile() as decoded:  # a pipe would hold the pixels twice
        done = subprocess.run(
            command, stdout=decoded, stderr=subprocess.PIPE, check=True, timeout=seconds
        )
        if b"Corrupt JPEG data" in done.stderr:
            raise ValueError
        decoded.seek(0)
        return np.asarray(np.load(decoded))


if __name__ == "__main__":
    with contextlib.suppress(ImportError, OSError, ValueError):  # where the system has limits
        import resource

        pages = Path("/proc/self/statm").read_text(encoding="utf-8").split()[0]
        most = int(pages) * resource.getpagesize() + MEMORY
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        resource.setrlimit(resource.RLIMIT_AS, (most, most))
    np.save(sys.stdout.buffer, pixel_array(sys.argv[1], index=0, decoding_plugin=sys.argv[2]))
