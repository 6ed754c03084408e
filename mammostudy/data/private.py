"""What stands for the names of a private cohort: keyed hashes of patients and of files.

A plain hash of a name or a number is undone by hashing all names. The key is made once for a
store, lies in it alone, readable by its owner alone, and goes into no record. Hospitals name files
after patients: a manifest lists such a file as ``file-p0123456789ab.dcm``; the owner's table
``cohort.csv``, which stays where it is, tells which one that is.
"""

from __future__ import annotations

import os
import re
import secrets
import stat
import unicodedata
from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache
from hashlib import blake2b
from pathlib import Path, PurePosixPath
from typing import Final, NamedTuple

from mammostudy.errors import DataError
from mammostudy.paths import store_root

PRIVATE_TABLE: Final = "cohort.csv"
"""The table of a private cohort (:mod:`mammostudy.data.sources.folder`)."""
SUFFIXES: Final = (".dcm", ".dicom", ".png", ".jpg", ".jpeg", ".tif", ".tiff")
KEY_NAME: Final = "pseudonym.key"
KEY_BYTES: Final = 32
DIGITS: Final = 12
_PERSON: Final = b"mammostudy"
_HIDDEN: Final = re.compile(r"file-p[0-9a-f]{12}(\.[a-z]{3,5})?")


class Listed(NamedTuple):
    """A file of the owner's table: its name from the cohort's folder, and the first row of it."""

    name: str
    row: int


def pseudonym(text: str, *, store: Path | None = None) -> str:
    """Return the pseudonym of a patient's identifier: ``p`` and 12 hex digits.

    The same text gives the same pseudonym as long as the store's key is kept; spaces around it,
    with which DICOM pads, and ways of composing an accent do not matter. Two of 10,000 patients
    share one with a probability of 2e-7.

    ``store`` is the folder of the key, the local store where None. An empty text and a key that is
    damaged, open to others or cannot be written raise DataError.

    Source:
        RFC 7693 (BLAKE2, keyed).
    """
    plain = unicodedata.normalize("NFC", text).strip(" \t\r\n\0")
    if not plain:
        msg = "the patient's identifier is empty; give each row of the cohort its patient"
        raise DataError(msg)
    key = _key((store or store_root()) / KEY_NAME)
    digest = blake2b(plain.encode("utf-8", "surrogatepass"), key=key, person=_PERSON)
    return "p" + digest.hexdigest()[:DIGITS]


def _key(path: Path) -> bytes:
    """Return the store's key, made on first use; of several processes the first makes it."""
    try:
        if not path.exists():
            _make(path)
        key = path.read_bytes()
        shared = os.name == "posix" and stat.S_IMODE(path.stat().st_mode) & 0o077
    except OSError as error:
        msg = (
            f"{path}: the key of pseudonyms cannot be read or written ({error.strerror}); check "
            "its owner, or set MAMMOSTUDY_STORE to a folder of your own"
        )
        raise DataError(msg) from None
    if len(key) != KEY_BYTES:
        msg = (
            f"{path}: the key of pseudonyms is damaged; restore it from a copy, or remove it and "
            "build every private cohort anew (all pseudonyms change)"
        )
        raise DataError(msg)
    if shared:
        msg = f"{path}: the key of pseudonyms is open to others; chmod 600 it"
        raise DataError(msg)
    return key


def _make(path: Path) -> None:
    """Write a new key under another name, then link it in place, whole, unless one is there."""
    partial = path.with_name(f".{path.name}-{secrets.token_hex(8)}")
    path.parent.mkdir(parents=True, exist_ok=True)
    handle = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(handle, "wb") as file:
        file.write(secrets.token_bytes(KEY_BYTES))
    try:
        os.link(partial, path)
    except FileExistsError:
        pass
    finally:
        partial.unlink()


def hidden_name(name: str) -> str:
    """Return what stands for a file's name: a pseudonym, and the suffix where it is a usual one."""
    suffix = PurePosixPath(name).suffix.lower()
    return f"file-{pseudonym(name)}{suffix if suffix in SUFFIXES else ''}"


def real_name(root: Path, name: str) -> str:
    """Return the name of the file that a name of a manifest stands for.

    Names that are not hidden come back as they are, and so does one that the owner's table in the
    cohort's folder ``root`` does not list.
    """
    listed = _listed(root, name)
    return name if listed is None else listed.name


@contextmanager
def hiding(root: Path, name: str) -> Iterator[None]:
    """Let no DataError leave this block with the real name of a hidden file.

    It keeps its type, and names the row of the owner's table instead.
    """
    listed = _listed(root, name)
    try:
        yield
    except DataError as error:
        if listed is None:
            raise
        shown = f"{name} (row {listed.row} of {PRIVATE_TABLE})"
        raise type(error)(without(str(error), listed.name, shown)) from None


def without(text: str, name: str, shown: str) -> str:
    """Return a message with a file's name replaced, or the last part of it, standing alone."""
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
    from mammostudy.data.tables import read_table

    found: dict[str, Listed] = {}
    table = read_table(root / PRIVATE_TABLE, ("image", "mask"), ",;\t")
    for number, cells in table.iterrows():
        for name in (cells["image"], cells["mask"]):
            if name:
                found.setdefault(hidden_name(name), Listed(name, int(str(number))))
    return found
