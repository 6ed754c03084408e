"""Arrays of the local store: made only once, by one process, and kept within bounds."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Any, Final

import numpy as np
from filelock import FileLock
from numpy.typing import NDArray

from mammostudy.paths import keep_newest, store_root, write_atomically
from mammostudy.settings import cache_bytes

VERSION: Final = 3
"""Raised by hand when the same files give other rows, pixels, frames or phantoms: the store makes
all it keeps of data anew. Keys of runs have versions of their own."""
Arrays = dict[str, NDArray[Any]]
_unseen = [1 << 62]  # bytes written since the cache was looked at: a process begins with a look


def digest(content: Mapping[str, object]) -> str:
    """Hash a JSON-like description (SHA-256, first 20 hex digits)."""
    text = json.dumps(content, sort_keys=True, default=str)
    return hashlib.sha256(text.encode()).hexdigest()[:20]


def locked(name: str) -> FileLock:
    """Return the store's lock of a name: notebooks and workers may make one thing at once."""
    path = store_root() / "locks" / f"{name}.lock"
    path.parent.mkdir(parents=True, exist_ok=True)
    return FileLock(path)


def cached_arrays(room: str, content: Mapping[str, object], make: Callable[[], Arrays]) -> Arrays:
    """Return what ``make`` returns, or what it did before for this content and version."""
    path = store_root() / "cache" / room / f"{digest({**content, 'version': VERSION})}.npz"
    try:
        with np.load(path, allow_pickle=False) as stored:
            arrays = dict(stored)
    except Exception:  # missing, or damaged, which shows itself in many ways
        arrays = make()
        write_atomically(path, lambda partial: np.savez(partial, **arrays))  # type: ignore[arg-type]
        _unseen.append(sum(array.nbytes for array in arrays.values()))
        if 50 * sum(_unseen) >= (most := cache_bytes()):  # to look at all files takes long
            _unseen.clear()
            keep_newest(path.parents[1], most)
    else:
        with suppress(OSError):  # a store may be read-only
            os.utime(path)
    return arrays
