"""One file: continued where it broke off, verified, and only then moved to its name."""

from __future__ import annotations

import os
import re
import time
from pathlib import Path
from typing import Any, Final

from mammostudy.data.fetching import checks
from mammostudy.data.fetching.connection import AgainError, Connection, RefusedError
from mammostudy.data.fetching.wanted import Wanted, part_of, place
from mammostudy.errors import DataError

PIECE: Final = 1 << 16  # bytes that are read at once, at most
_RANGE: Final = re.compile(r"bytes (\d{1,15})-(\d{1,15})/(\d{1,15})", re.ASCII)


class DiskError(DataError):
    """A file cannot be written; others could not either."""


class NotFetchedError(DataError):
    """A file that no address gives as the archive lists it."""


def fetch_file(connection: Connection, wanted: Wanted, folder: Path) -> Path:
    """Fetch a file and verify it.

    Args:
        connection: asks the servers.
        wanted: the file.
        folder: the cohort's folder.

    Returns:
        Where it is now, whole.

    Raises:
        NotFetchedError: no address gives the file as it should be.
        UnreachableError: there is no connection.
        DiskError: it cannot be written.
        DataError: a link would lead it out of the folder.
    """
    target, part = place(folder, wanted.path), part_of(folder, wanted.path)
    reasons: list[str] = []
    for address in wanted.addresses:
        try:
            connection.persist(
                lambda address=address: _attempt(connection, address, wanted, part),  # type: ignore[misc]
                lambda: _size(part),
            )
        except RefusedError as error:
            reasons.append(str(error))
        else:
            return _moved(part, target)
    told = "; ".join(dict.fromkeys(reasons))
    msg = f"{target}: not fetched ({told}); try again later, or download it by hand"
    raise NotFetchedError(msg)


def _attempt(connection: Connection, address: str, wanted: Wanted, part: Path) -> None:
    """Bring a part to its end and verify it; a part that is wrong is thrown away."""
    have = _size(part)
    if not wanted.etag or wanted.size is None or have > wanted.size:
        have = _drop(connection, part)  # nothing tells that the rest would be of the same file
    if have == 0 or have != wanted.size:
        _stream(connection, address, wanted, part, have)
    reason = checks.fault(part, wanted)
    if reason is not None:
        _drop(connection, part)
        raise AgainError(reason)


def _stream(connection: Connection, address: str, wanted: Wanted, part: Path, have: int) -> None:
    headers = {"Range": f"bytes={have}-", "If-Range": f'"{wanted.etag}"'} if have else {}
    with connection.open(address, headers) as response:
        if response.status_code == 416 or not _continues(response, wanted, have):
            have = _drop(connection, part)
        if response.status_code == 416:
            raise AgainError("the server has no such part of it")
        if response.status_code == 206 and have == 0:
            raise AgainError("the server sends another part than was asked for")
        total = _total(response, wanted, have)
        _write(connection, response, part, have, total)


def _continues(response: Any, wanted: Wanted, have: int) -> bool:
    """Tell whether an answer goes on where the part ends, in the same version of the file."""
    found = _RANGE.fullmatch(response.headers.get("Content-Range", ""))
    if response.status_code != 206 or found is None:
        return False
    etag = response.headers.get("ETag", "").strip('"')
    first, last, total = map(int, found.groups())
    same = etag in ("", wanted.etag)
    return same and first == have and total == wanted.size and last == total - 1


def _total(response: Any, wanted: Wanted, have: int) -> int | None:
    """Return the bytes that the whole file has; None where the end of the answer will tell.

    Raises:
        AgainError: the answer has another length than the file.
        RefusedError: nothing tells where the file ends; a part could be taken for the whole.
    """
    told = response.headers.get("Content-Length", "")
    if not re.fullmatch(r"\d{1,15}", told, re.ASCII):
        if response.headers.get("Transfer-Encoding", "").lower() == "chunked":
            return wanted.size
        if wanted.size is None:
            raise RefusedError("the server does not say how long the file is")
        return wanted.size
    total = have + int(told)
    if wanted.size is not None and total != wanted.size:
        raise AgainError(f"the server sends {total:,} bytes, the archive lists {wanted.size:,}")
    if wanted.size is None and total > checks.MOST_TABLE:
        raise RefusedError(f"the server sends {total:,} bytes, more than a table has")
    return total


def _write(connection: Connection, response: Any, part: Path, have: int, total: int | None) -> None:
    """Write what comes to the end of a part; what has come stays when it breaks off."""
    most = checks.MOST_TABLE if total is None else total
    start, begun, patience = time.monotonic(), have, connection.patience
    with _opened(part, have) as file:
        while have <= most and (piece := _piece(response)):
            connection.check()
            have += len(piece)
            _put(file, piece, part)
            connection.moved(len(piece))
            spent = time.monotonic() - start
            if spent > patience.timeout_s and (have - begun) / spent < patience.slowest:
                raise AgainError("it comes too slowly")
    if have > most:
        _drop(connection, part)
        raise AgainError("the server sends more than the file has")
    if total is not None and have < total:
        raise AgainError(f"it breaks off after {have:,} of {total:,} bytes")


def _piece(response: Any) -> bytes:
    import urllib3

    try:
        return bytes(response.raw.read1(PIECE, decode_content=False) or b"")
    except (urllib3.exceptions.HTTPError, OSError, ValueError):
        raise AgainError("it breaks off") from None


def _opened(part: Path, have: int) -> Any:
    try:
        part.parent.mkdir(parents=True, exist_ok=True)
        return part.open("ab" if have else "wb", buffering=0)
    except OSError as error:
        raise _disk_error(part, error) from None


def _put(file: Any, piece: bytes, part: Path) -> None:
    try:
        while piece:
            piece = piece[file.write(piece) :]
    except OSError as error:
        raise _disk_error(part, error) from None


def _moved(part: Path, target: Path) -> Path:
    """Give a whole file its name, at once and for good."""
    try:
        with part.open("rb") as file:
            os.fsync(file.fileno())
        target.parent.mkdir(parents=True, exist_ok=True)
        part.replace(target)
    except OSError as error:
        raise _disk_error(target, error) from None
    return target


def _drop(connection: Connection, part: Path) -> int:
    """Throw a part away; return the bytes that are left of it, which is none."""
    connection.moved(-_size(part))
    try:
        part.unlink(missing_ok=True)
    except OSError as error:
        raise _disk_error(part, error) from None
    return 0


def _size(part: Path) -> int:
    return part.stat().st_size if part.is_file() else 0


def _disk_error(path: Path, error: OSError) -> DiskError:
    return DiskError(f"{path}: cannot be written ({error.strerror}); make room or choose --root")
