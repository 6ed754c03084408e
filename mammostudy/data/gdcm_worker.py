"""Decode the JPEG of any kind in a DICOM file: a script that runs in a process of its own.

Damaged data can make a decoder end the whole process, or fill the memory: here it ends this one
alone. Takes the file and the name of pydicom's decoder; the pixels leave on the standard output as
a ``.npy`` array. Imports nothing of ours.
"""

import contextlib
import sys
from pathlib import Path

import numpy as np
from pydicom.pixels.utils import pixel_array

MEMORY = 1 << 30  # bytes of address space that decoding may take beyond what is loaded

if __name__ == "__main__":
    with contextlib.suppress(ImportError, OSError, ValueError):  # where the system has limits
        import resource

        pages = Path("/proc/self/statm").read_text(encoding="utf-8").split()[0]
        most = int(pages) * resource.getpagesize() + MEMORY
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        resource.setrlimit(resource.RLIMIT_AS, (most, most))
    np.save(sys.stdout.buffer, pixel_array(sys.argv[1], index=0, decoding_plugin=sys.argv[2]))
