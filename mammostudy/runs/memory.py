"""Memory that a training frees is kept for its next step, where the C library can be asked to."""

from __future__ import annotations

import ctypes
import platform

_TRIM, _PAD, _LARGEST = -1, -2, 2**31 - 1  # of glibc's malloc.h: M_TRIM_THRESHOLD, M_TOP_PAD
_MAPPED = -4  # M_MMAP_MAX
PAD = 64 * 2**20


def keep_freed_memory() -> bool:
    """Ask glibc to keep what is freed, instead of giving it back to the system after every layer.

    glibc maps each block above some 32 MiB anew and unmaps it when it is freed, so that a step of
    training pays for fresh zeroed pages again and again. The numbers of a run do not change
    (``benchmarks/cgan_step.py`` measures the time).

    Returns:
        Whether the library took the settings; False, and nothing changed, where it is not glibc.

    Source: glibc manual, 3.2.3.7, "Malloc Tunable Parameters".
    """
    if platform.system() != "Linux" or platform.libc_ver()[0] != "glibc":
        return False
    mallopt = ctypes.CDLL(None).mallopt
    settings = {_MAPPED: 0, _TRIM: _LARGEST, _PAD: PAD}
    return all(mallopt(name, value) == 1 for name, value in settings.items())
