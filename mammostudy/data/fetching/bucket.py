"""The files of a series in the archive's bucket: names, sizes and hashes.

Source: the listing of a bucket, version 2, as object stores answer it (``ListObjectsV2``). The ETag
of an object that was stored in one piece and can be read by everyone is the MD5 of its bytes; one
stored in several pieces has a dash in it and is none.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Final
from urllib.parse import quote, urlencode
from xml.etree import ElementTree

from mammostudy.data.fetching.connection import AgainError, Connection, RefusedError
from mammostudy.data.fetching.index import Series
from mammostudy.data.fetching.journal import Listing
from mammostudy.data.fetching.wanted import Wanted, safe_path

MOST_BYTES: Final = 1 << 23  # of a page of a listing; a thousand files take half a MiB
MOST_PAGES: Final = 20
TOLERANCE: Final = 0.01  # of the size in the index, which is rounded
_MD5: Final = re.compile(r"[0-9a-f]{32}", re.ASCII)
_BROKEN: Final = (ElementTree.ParseError, ValueError, UnicodeError)


def list_files(connection: Connection, endpoint: str, series: Series) -> Listing:
    """List the files of a series.

    Args:
        connection: asks the server.
        endpoint: address of a bucket, ``{bucket}`` in the place of its name.
        series: whose number of files and size the listing must have.

    Raises:
        RefusedError: the listing is final and not that of the series.
        UnreachableError: there is no connection.
        DataError: a name in it is no plain file name.
    """
    found: Listing = []
    token = ""
    for _ in range(MOST_PAGES):
        address = _address(endpoint, series, token)
        page = connection.persist(_reader(connection, address))
        found += _files(page, series)
        token = page.findtext("{*}NextContinuationToken", "")
        if page.findtext("{*}IsTruncated", "false") != "true" or not token:
            break
    _compare(found, series)
    return found


def wanted_of(endpoint: str, series: Series, listing: Listing) -> list[Wanted]:
    """Return the files of a series as what to fetch.

    Raises:
        DataError: a name in the listing is no plain file name.
    """
    base = endpoint.format(bucket=series.bucket).rstrip("/")
    return [
        Wanted(
            path=f"{series.folder}/{safe_path(name)}",
            addresses=(f"{base}/{series.key}/{quote(name)}",),
            size=size,
            md5=etag if _MD5.fullmatch(etag) else "",
            etag=etag,
        )
        for name, size, etag in listing
    ]


def _address(endpoint: str, series: Series, token: str) -> str:
    values = {"list-type": "2", "prefix": f"{series.key}/"}
    values |= {"continuation-token": token} if token else {}
    return f"{endpoint.format(bucket=series.bucket).rstrip('/')}/?{urlencode(values)}"


def _reader(connection: Connection, address: str) -> Callable[[], ElementTree.Element]:
    def read() -> ElementTree.Element:
        import urllib3

        with connection.open(address) as response:
            try:
                body = response.raw.read(MOST_BYTES + 1)
            except (urllib3.exceptions.HTTPError, OSError):
                raise AgainError("the listing breaks off") from None
        if len(body) > MOST_BYTES or b"<!DOCTYPE" in body:
            raise RefusedError("the listing is none")
        try:
            return ElementTree.fromstring(body)
        except _BROKEN:
            raise AgainError("the listing breaks off or is none") from None

    return read


def _files(page: ElementTree.Element, series: Series) -> Listing:
    found: Listing = []
    for entry in page.iterfind("{*}Contents"):
        key = entry.findtext("{*}Key", "")
        size = entry.findtext("{*}Size", "")
        if key == f"{series.key}/":
            continue  # the folder itself
        if not key.startswith(f"{series.key}/") or not re.fullmatch(r"\d{1,12}", size, re.ASCII):
            raise RefusedError("the listing names files of something else")
        name = safe_path(key.removeprefix(f"{series.key}/"))
        if not name.endswith(".dcm"):
            raise RefusedError("the listing names files that are no DICOM files")
        found.append((name, int(size), entry.findtext("{*}ETag", "").strip('"')))
    return found


def _compare(found: Listing, series: Series) -> None:
    total = sum(size for _, size, _ in found)
    names = {name for name, _, _ in found}
    if len(names) != series.files or len(found) != series.files:
        raise RefusedError(f"the listing has {len(found)} files, the index {series.files}")
    if abs(total - series.size) > TOLERANCE * series.size:
        raise RefusedError(f"the listing has {total:,} bytes, the index {series.size:,}")
