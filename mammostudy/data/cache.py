"""Arrays that need making only once: a file an array, named by the hash of what it is made of."""

from __future__ import annotations

import hashlib
import json
import os
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import numpy as np
from numpy.typing import NDArray

from mammostudy.paths import store_root

Arrays = dict[str, NDArray[Any]]
_DAMAGED = (
    OSError, ValueError, EOFError, BadZipFile, KeyError, AttributeError, TypeError,
    NotImplementedError,
)  # fmt: skip


def digest(content: Mapping[str, object]) -> str:
    """Hash a JSON-like description (SHA-256, first 20 hex digits)."""
    text = json.dumps(content, sort_keys=True, default=str)
    return hashlib.sha256(text.encode()).hexdigest()[:20]


def write_atomically(path: Path, write: Callable[[Path], object]) -> None:
    """Let ``write`` fill a file beside ``path``, then move it there: whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=".partial-", suffix=path.suffix)
    os.close(handle)
    try:
        write(Path(name))
        Path(name).chmod(0o666 & ~_umask())  # a temporary file is its owner's alone
        Path(name).replace(path)
    finally:
        Path(name).unlink(missing_ok=True)


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask


def cached_arrays(room: str, content: Mapping[str, object], make: Callable[[], Arrays]) -> Arrays:
    """Return the arrays of ``make``, from the store where they were made before.

    Args:
        room: the folder of the cache (``images``, ``frames``).
        content: everything the arrays depend on; its hash names the file.
        make: computes the arrays.

    A damaged file is made again.
    """
    path = store_root() / "cache" / room / f"{digest(content)}.npz"
    if path.is_file():
        try:
            with np.load(path, allow_pickle=False) as stored:
                return {name: stored[name] for name in stored.files}
        except _DAMAGED:
            path.unlink(missing_ok=True)
    arrays = make()
    write_atomically(path, lambda partial: np.savez(partial, **arrays))  # type: ignore[arg-type]
    return arrays
