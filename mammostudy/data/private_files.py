"""Names of a private cohort's files: by a keyed hash in manifests, records and messages.

Hospitals name files after patients. A manifest lists such a file as ``file-p0123456789ab.dcm``; the
owner's table ``cohort.csv``, which stays where it is, tells which one that is.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path, PurePosixPath
from typing import Final, NamedTuple

from mammostudy.data.cohort_names import PRIVATE_TABLE
from mammostudy.data.pseudonyms import pseudonym
from mammostudy.errors import DataError
from mammostudy.paths import store_root

SUFFIXES: Final = (".dcm", ".dicom", ".png", ".jpg", ".jpeg", ".tif", ".tiff")
_HIDDEN: Final = re.compile(r"file-p[0-9a-f]{12}(\.[a-z]{3,5})?")


class Listed(NamedTuple):
    """A file of the owner's table: its name from the cohort's folder, and the first row of it."""

    name: str
    row: int


def hidden_name(name: str) -> str:
    """Return what stands for a file's name: a pseudonym, and the suffix where it is a usual one."""
    suffix = PurePosixPath(name).suffix.lower()
    return f"file-{pseudonym(name)}{suffix if suffix in SUFFIXES else ''}"


def real_name(root: Path, name: str) -> str:
    """Return the name of the file that a name of a manifest stands for.

    Names that are not hidden come back as they are, and so does one that the table does not list.

    Args:
        root: the cohort's folder, with its ``cohort.csv`` where names are hidden.
        name: of a manifest, from the folder.

    Raises:
        DataError: the table cannot be read, or the key of pseudonyms is damaged.
    """
    listed = _listed(root, name)
    return name if listed is None else listed.name


@contextmanager
def hiding(root: Path, name: str) -> Iterator[None]:
    """Let no error leave this block with the real name of a hidden file; it names the row instead.

    Args:
        root: the cohort's folder.
        name: of a manifest.

    Raises:
        DataError: the one of the block, of the same type.
    """
    listed = _listed(root, name)
    if listed is None:
        yield
        return
    try:
        yield
    except DataError as error:
        shown = f"{name} (row {listed.row} of {PRIVATE_TABLE})"
        raise type(error)(without(str(error), listed.name, shown)) from None


def without(text: str, name: str, shown: str) -> str:
    """Return a message with a file's name replaced, whole or its last part, where it stands alone.

    Args:
        text: the message.
        name: of the file, from the cohort's folder.
        shown: what stands there instead.
    """
    for part in dict.fromkeys((name, PurePosixPath(name).name)):
        if part:
            text = re.sub(rf"(?<![\w.-]){re.escape(part)}(?![\w-])", lambda _: shown, text)
    return text


def _listed(root: Path, name: str) -> Listed | None:
    table = root / PRIVATE_TABLE
    if not _HIDDEN.fullmatch(name) or not table.is_file():
        return None
    state = table.stat()
    content = (state.st_mtime_ns, state.st_size, state.st_ino)
    return _names(root, content, store_root()).get(name)


@lru_cache(maxsize=8)
def _names(root: Path, _content: tuple[int, int, int], _store: Path) -> dict[str, Listed]:
    """Return the files of the owner's table by hidden name; read again when the table changes."""
    from mammostudy.data.sources.csv_tables import read_table

    found: dict[str, Listed] = {}
    for number, cells in read_table(root / PRIVATE_TABLE, ("image", "mask"), ",;\t"):
        for name in (cells["image"], cells["mask"]):
            if name:
                found.setdefault(hidden_name(name), Listed(name, number))
    return found
