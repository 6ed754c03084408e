"""Is a file whole? By size and hash where the archive gives them, else by opening it."""

from __future__ import annotations

import csv
import io
import zipfile
import zlib
from functools import partial
from hashlib import file_digest, md5
from pathlib import Path
from typing import Final

from mammostudy.data.fetching.wanted import Wanted
from mammostudy.data.sources.archive_dicoms import look
from mammostudy.errors import DataError

MOST_TABLE: Final = 1 << 26  # bytes of a table whose size nobody gives, also when unpacked
_WORKBOOK: Final = "xl/workbook.xml"
_UNPACKING: Final = (
    OSError, ValueError, EOFError, RuntimeError, NotImplementedError, LookupError, zlib.error,
    zipfile.BadZipFile,
)  # fmt: skip


def fault(path: Path, wanted: Wanted) -> str | None:
    """Say why a file is not the one that is wanted, or None where it is.

    Args:
        path: the file, or its part; the kind is told by the name in ``wanted``.
        wanted: what its size, hash or content must be.
    """
    size = path.stat().st_size
    if wanted.size is not None and size != wanted.size:
        return f"it has {size:,} bytes, the archive says {wanted.size:,}"
    if wanted.md5:
        return None if md5_of(path) == wanted.md5 else "its hash is not the archive's"
    return opening_fault(path, wanted)


def md5_of(path: Path) -> str:
    """Hash a file as the archive does, MD5 in hex; it guards against damage, not against malice."""
    with path.open("rb") as stream:
        return file_digest(stream, partial(md5, usedforsecurity=False)).hexdigest()


def opening_fault(path: Path, wanted: Wanted) -> str | None:
    """Say why a file does not open as what its name says, or None where it does."""
    suffix = Path(wanted.path).suffix
    if suffix == ".dcm":
        return _dicom_fault(path)
    if path.stat().st_size > MOST_TABLE:
        return f"it is longer than {MOST_TABLE:,} bytes, which no table is"
    if suffix == ".xlsx":
        return _workbook_fault(path)
    return _table_fault(path, wanted)


def _dicom_fault(path: Path) -> str | None:
    try:
        look(path)
    except DataError:
        return "it does not open as a DICOM image of full length"
    return None


def _workbook_fault(path: Path) -> str | None:
    try:
        with zipfile.ZipFile(path) as book:
            if sum(member.file_size for member in book.infolist()) > MOST_TABLE:
                return "it unpacks to more than a table has"
            if _WORKBOOK in book.namelist() and book.testzip() is None:
                return None
    except _UNPACKING:
        pass
    return "it does not open as a workbook"


def _table_fault(path: Path, wanted: Wanted) -> str | None:
    try:
        text = path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError:
        return "it is no text"
    if not text.startswith(wanted.begins or "") or text.lstrip().startswith("<"):
        return "it is another file or a web page, not the table"
    if wanted.rows is None:
        return None
    try:
        rows = sum(1 for row in csv.reader(io.StringIO(text, newline="")) if row) - 1
    except csv.Error:
        return "it is no table"
    return None if rows == wanted.rows else f"it has {rows:,} rows, the table has {wanted.rows:,}"
