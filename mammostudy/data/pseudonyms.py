"""Pseudonyms of private cohorts: a keyed hash, so that nobody without the key can try names.

A plain hash of a name or a number is undone by hashing all names. The key is made once for a
store, lies in it alone, readable by its owner alone, and goes into no record.
"""

from __future__ import annotations

import os
import secrets
import stat
import unicodedata
from hashlib import blake2b
from pathlib import Path
from typing import Final

from mammostudy.errors import DataError
from mammostudy.paths import store_root

KEY_NAME: Final = "pseudonym.key"
KEY_BYTES: Final = 32
DIGITS: Final = 12
_PERSON: Final = b"mammostudy"


def pseudonym(text: str, *, store: Path | None = None) -> str:
    """Return the pseudonym of a patient's identifier: ``p`` and 12 hex digits.

    The same text gives the same pseudonym as long as the store's key is kept; spaces around it,
    with which DICOM pads, and ways of composing an accent do not matter. Two of 10,000 patients
    share one with a probability of 2e-7.

    Args:
        text: whatever names the patient in the source: a number, a name, a folder.
        store: the folder of the key; the local store where None.

    Raises:
        DataError: the text is empty, or the key is damaged, open to others or cannot be written.

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
    if not path.exists():
        _make(path)
    try:
        key = path.read_bytes()
        shared = os.name == "posix" and stat.S_IMODE(path.stat().st_mode) & 0o077
    except OSError as error:
        msg = f"{path}: the key of pseudonyms cannot be read ({error.strerror}); check its owner"
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
    try:
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
    except OSError as error:
        msg = (
            f"{path}: the key of pseudonyms cannot be written ({error.strerror}); set "
            "MAMMOSTUDY_STORE to a folder of your own"
        )
        raise DataError(msg) from None
