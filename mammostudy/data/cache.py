"""Files of the local store: written whole or not at all, by one process, made only once."""

from __future__ import annotations

import hashlib
import json
import os
import secrets
import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final

import numpy as np
from filelock import FileLock
from numpy.typing import NDArray

from mammostudy.paths import store_root

VERSION: Final = 3
"""Raised by hand when the same files give other rows, pixels, frames or phantoms: the store makes
all it keeps of data anew. Keys of runs have versions of their own."""
Arrays = dict[str, NDArray[Any]]


def digest(content: Mapping[str, object]) -> str:
    """Hash a JSON-like description (SHA-256, first 20 hex digits)."""
    text = json.dumps(content, sort_keys=True, default=str)
    return hashlib.sha256(text.encode()).hexdigest()[:20]


def locked(name: str) -> FileLock:
    """Return the store's lock of a name: notebooks and workers may make one thing at once."""
    path = store_root() / "locks" / f"{name}.lock"
    path.parent.mkdir(parents=True, exist_ok=True)
    return FileLock(path)


def write_atomically(path: Path, write: Callable[[Path], object]) -> None:
    """Let ``write`` fill a file beside ``path``, then move it there: whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".partial-{os.getpid()}-{secrets.token_hex(8)}{path.suffix}")
    try:
        write(partial)
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)


def bounded(path: Path, most: int = 1 << 30) -> Path:
    """Return the path of a zip archive; ValueError where it unpacks to more bytes than that."""
    with zipfile.ZipFile(path) as parts:
        if sum(part.file_size for part in parts.infolist()) > most:
            raise ValueError(f"it unpacks to more than {most >> 20} MiB")
    return path


def cached_arrays(room: str, content: Mapping[str, object], make: Callable[[], Arrays]) -> Arrays:
    """Return what ``make`` returns, or what it did before for this content and version."""
    path = store_root() / "cache" / room / f"{digest({**content, 'version': VERSION})}.npz"
    try:
        with np.load(path, allow_pickle=False) as stored:
            return dict(stored)
    except Exception:  # missing, or damaged, which shows itself in many ways
        arrays = make()
    write_atomically(path, lambda partial: np.savez(partial, **arrays))  # type: ignore[arg-type]
    return arrays
