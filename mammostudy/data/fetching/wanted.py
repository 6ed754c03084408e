"""What is to be fetched, and the only places it may be written to."""

from __future__ import annotations

import re
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Final

from mammostudy.errors import DataError

HIDDEN: Final = ".fetch"
"""Folder of parts and journal inside a cohort's folder; no reader looks for what is in it."""
_PART: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,127}", re.ASCII)


@dataclass(frozen=True)
class Wanted:
    """A file to fetch.

    Attributes:
        path: where it goes, a posix path from the cohort's folder, made by :func:`safe_path`.
        addresses: where it comes from; a later one is asked where an earlier one has it not.
        size: bytes, None where nobody says before the file is sent.
        md5: of its bytes in hex, empty where the archive gives none.
        etag: the server's name of this version; a part is continued only with it.
        begins: what the text of a table begins with, empty where that is not known.
        rows: of a table below its header, None where that is not known.
    """

    path: str
    addresses: tuple[str, ...]
    size: int | None = None
    md5: str = ""
    etag: str = ""
    begins: str = ""
    rows: int | None = None


def safe_path(*parts: str) -> str:
    """Join names that a server or an index gave; none may lead anywhere else.

    Raises:
        DataError: a name is empty, too long, hidden, or has more than letters, digits, dot, dash
            and underscore.
    """
    for part in parts:
        if not _PART.fullmatch(part):
            msg = (
                f"the archive names a file {part[:60]!a}, which is no plain name; nothing was "
                "written, tell the archive"
            )
            raise DataError(msg)
    return "/".join(parts)


def place(folder: Path, path: str) -> Path:
    """Return where a file goes.

    Raises:
        DataError: a link inside the cohort's folder leads out of it.
    """
    target = folder / safe_path(*path.split("/"))
    if not target.parent.resolve().is_relative_to(folder.resolve()):
        msg = f"{target.parent}: is a link that leads out of {folder}; remove it"
        raise DataError(msg)
    return target


def part_of(folder: Path, path: str) -> Path:
    """Return where a file is kept until it is whole; no reader looks for names of this kind."""
    return folder / HIDDEN / "parts" / f"{sha256(path.encode()).hexdigest()[:32]}.part"
