"""Where things lie, the project, its records, the store, the data; how files are kept there."""

from __future__ import annotations

import os
import secrets
import shutil
import zipfile
from collections.abc import Callable
from contextlib import suppress
from itertools import accumulate
from pathlib import Path

_LEFT_BEHIND = {"__macosx", "thumbs.db", "desktop.ini", "@eadir", "$recycle.bin"}


def search(folder: Path, pattern: str) -> list[Path]:
    """Return what a folder holds by a pattern, sorted, without what systems leave beside files.

    Those are names that start with a dot (``._1.dcm`` of macOS) or ``~$`` (of an open workbook).
    """
    return [
        path
        for path in sorted(folder.glob(pattern))
        if not any(
            part.startswith((".", "~$")) or part.lower() in _LEFT_BEHIND
            for part in path.relative_to(folder).parts
        )
    ]


def project_root() -> Path:
    """Return the nearest folder above with a ``study.yaml``, else that of the package."""
    with suppress(OSError):  # a working folder may be gone
        here = Path.cwd()
        for folder in (here, *here.parents):
            if (folder / "study.yaml").is_file():
                return folder
    return Path(__file__).resolve().parent.parent


def store_root() -> Path:
    """Return the local store: ``MAMMOSTUDY_STORE``, else ``.mammostudy`` in the project."""
    named = os.environ.get("MAMMOSTUDY_STORE")
    return Path(os.path.expanduser(named)) if named else project_root() / ".mammostudy"


def results_root() -> Path:
    """Return the folder of the committed records (``results`` in the project)."""
    return project_root() / "results"


def data_root() -> Path | None:
    """Return the folder of cohorts that ``MAMMOSTUDY_DATA`` names, or None where it is not set."""
    named = os.environ.get("MAMMOSTUDY_DATA")
    return Path(os.path.expanduser(named)) if named else None


def use_data_root(root: Path | None) -> None:
    """Make a folder, where one is given, the data folder of this process and its children."""
    if root is not None:
        os.environ["MAMMOSTUDY_DATA"] = str(root.expanduser().resolve())


def write_atomically(path: Path, write: Callable[[Path], object]) -> None:
    """Let ``write`` fill a file or folder beside ``path``, then move it there: whole or not."""
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".partial-{os.getpid()}-{secrets.token_hex(8)}{path.suffix}")
    try:
        write(partial)
        if partial.is_dir():  # no folder takes the place of another one
            shutil.rmtree(path, ignore_errors=True)
        partial.replace(path)
    finally:
        if partial.is_dir():
            shutil.rmtree(partial)
        partial.unlink(missing_ok=True)


def keep_newest(folder: Path, most: int) -> None:
    """Remove the files of a folder that were used longest ago, above so many bytes together."""
    found = []
    for path in folder.rglob("[!.]*.*"):
        with suppress(OSError):  # another process has removed it
            found.append((path.stat().st_mtime_ns, path.stat().st_size, path))
    found.sort(reverse=True)
    for held, (_, _, path) in zip(accumulate(size for _, size, _ in found), found, strict=True):
        if held > most:
            with suppress(OSError):
                path.unlink()


def bounded(path: Path, most: int = 1 << 30) -> Path:
    """Return the path of a zip archive; ValueError where it unpacks to more bytes than that."""
    with zipfile.ZipFile(path) as parts:
        if sum(part.file_size for part in parts.infolist()) > most:
            raise ValueError(f"it unpacks to more than {most >> 20} MiB")
    return path
