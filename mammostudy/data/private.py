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
from typing import Final

import pandas as pd

from mammostudy.data.cache import locked
from mammostudy.data.tables import read_table
from mammostudy.errors import DataError
from mammostudy.paths import store_root, write_atomically

PRIVATE_TABLE: Final = "cohort.csv"
SUFFIXES: Final = (".dcm", ".dicom", ".png", ".jpg", ".jpeg", ".tif", ".tiff")
KEY_NAME: Final = "pseudonym.key"
KEY_BYTES: Final = 32
ALIKE: Final = "another patient's identifier differs by zeros, case or signs alone: one patient?"
SPOILT: Final = "a patient's identifier looks like a number that a spreadsheet has shortened"
_HIDDEN: Final = re.compile(r"file-p[0-9a-f]{12}(\.[a-z]{3,5})?")


def pseudonym(text: str) -> str:
    """Return the pseudonym of a patient's identifier: ``p`` and 12 hex digits (RFC 7693, keyed).

    Spaces around it, with which DICOM pads, and ways of composing an accent do not matter.
    """
    plain = unicodedata.normalize("NFC", text).strip(" \t\r\n\0")
    if not plain:
        raise DataError("the patient's identifier is empty; give each row its patient")
    content = plain.encode("utf-8", "surrogatepass")
    return "p" + blake2b(content, key=_key(), person=b"mammostudy").hexdigest()[:12]


def _key() -> bytes:
    """Return the store's key, made on first use; a damaged or open one is refused."""
    path = store_root() / KEY_NAME
    try:
        if not path.exists():
            with locked(KEY_NAME):
                if not path.exists():
                    write_atomically(path, _make)
        key = path.read_bytes()
        shared = os.name == "posix" and stat.S_IMODE(path.stat().st_mode) & 0o077
    except OSError as error:
        fault = f"cannot be read or written ({error.strerror}); check MAMMOSTUDY_STORE"
    else:
        if len(key) == KEY_BYTES and not shared:
            return key
        fault = "is open to others; chmod 600 it"
        if len(key) != KEY_BYTES:
            fault = "is damaged; restore it, or remove it and build every private cohort anew"
    raise DataError(f"{path}: the key of pseudonyms {fault}")


def _make(path: Path) -> None:
    path.touch(mode=0o600)
    path.write_bytes(secrets.token_bytes(KEY_BYTES))


def hidden_name(name: str) -> str:
    """Return what stands for a file's name: a pseudonym, and the suffix where it is a usual one."""
    suffix = PurePosixPath(name).suffix.lower()
    return f"file-{pseudonym(name)}{suffix if suffix in SUFFIXES else ''}"


def named(root: Path, name: str) -> tuple[str, str]:
    """Return the file that a name of a manifest stands for, and how a message names it.

    That is, of a hidden one, by its row of the owner's table; of any other by its name.
    """
    if not _HIDDEN.fullmatch(name) or not (table := root / PRIVATE_TABLE).is_file():
        return name, name
    state = table.stat()
    listed = _names(table, (state.st_mtime_ns, state.st_size, state.st_ino), store_root())
    return listed.get(name, (name, name))


def doubted_patients(root: Path, rows: pd.DataFrame) -> list[tuple[str, str]]:
    """Return images, as a manifest has them, whose patient's identifier is doubtful, with a note.

    Of a private cohort they are read from the owner's table: pseudonyms are all alike.
    """
    if len(rows) and named(root, name := str(rows["image"].iloc[0]))[0] != name:
        rows = read_table(root / PRIVATE_TABLE, ("image", "patient"), ",;\t")
        rows = rows.assign(image=rows["image"].map(hidden_name))
    ids = rows["patient"].astype(str)
    plain = ids.str.normalize("NFKC").str.casefold()
    plain = plain.str.replace(r"^\W+|\.0+$|\W+$|(?<!\d)0+(?=\d)", "", regex=True)
    several = ids.groupby(plain.str.replace(r"[\W_]+", "-", regex=True)).transform("nunique") > 1
    spoilt = ids.str.fullmatch(r"\d+([.,]\d+)?[eE]\+?\d{2,}")
    found = [(image, ALIKE) for image in rows["image"][several]]
    return list(dict.fromkeys([*found, *((image, SPOILT) for image in rows["image"][spoilt])]))


@contextmanager
def hiding(root: Path, name: str) -> Iterator[None]:
    """Let every DataError of this block name the owner's row instead of a hidden file."""
    real, row = named(root, name)
    try:
        yield
    except DataError as error:
        if real == name:
            raise
        error.args = (without(str(error), real, row),)
        raise error.with_traceback(None) from None


def without(text: str, name: str, shown: str) -> str:
    """Return a message with a file's name replaced, or the last part of it, standing alone."""
    for part in filter(None, (name, PurePosixPath(name).name)):
        text = re.sub(rf"(?<![\w.-]){re.escape(part)}(?![\w-])", lambda _: shown, text)
    return text


@lru_cache(maxsize=8)
def _names(path: Path, _state: tuple[int, ...], _store: Path) -> dict[str, tuple[str, str]]:
    """Return the files of the owner's table by hidden name; read again when the table changes."""
    found: dict[str, tuple[str, str]] = {}
    table = read_table(path, ("image", "mask"), ",;\t")
    for column in ("image", "mask"):
        for number, name in table[column][table[column] != ""].items():
            row = f"{PRIVATE_TABLE} ({column} of row {number})"
            found.setdefault(hidden_name(name), (name, row))
    return found
