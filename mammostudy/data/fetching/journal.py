"""What a fetch has listed and verified, line by line, so that a killed one goes on where it was.

A line is written after the thing it tells of has happened; a line that was cut when the machine or
the process died is passed over, and its file is verified anew.
"""

from __future__ import annotations

import json
import os
import threading
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Self

from mammostudy.data.fetching.wanted import HIDDEN, Wanted
from mammostudy.errors import DataError

FILENAME: Final = "journal.jsonl"
Listing = list[tuple[str, int, str]]
"""Name, bytes and ETag of each file of a series."""


@dataclass(frozen=True)
class _Seen:
    """A file as it was when it was verified."""

    size: int
    mtime_ns: int
    md5: str


class Journal:
    """The journal of a cohort's folder; a context manager, safe to write from several threads."""

    def __init__(self, folder: Path) -> None:
        self._path = folder / HIDDEN / FILENAME
        self._lock = threading.Lock()
        self.listed: dict[str, Listing] = {}
        self._seen: dict[str, _Seen] = {}
        self._read()

    def __enter__(self) -> Self:
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            self._file = self._path.open("ab")
            self._file.write(b"\n" if self._file.tell() else b"")  # ends a line that was cut
        except OSError as error:
            msg = f"{self._path}: cannot be written ({error.strerror}); choose another --root"
            raise DataError(msg) from None
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()

    def list_series(self, series: str, files: Listing) -> None:
        """Remember the files of a series."""
        self.listed[series] = files
        self._write({"series": series, "files": files})

    def verified(self, wanted: Wanted, path: Path) -> None:
        """Remember that a file was verified as it now is."""
        found = path.stat()
        seen = _Seen(found.st_size, found.st_mtime_ns, wanted.md5)
        self._seen[wanted.path] = seen
        self._write({"path": wanted.path} | vars(seen))

    def holds(self, wanted: Wanted, path: Path) -> bool:
        """Tell whether a file was verified and has not been touched since."""
        seen = self._seen.get(wanted.path)
        if seen is None or not path.is_file():
            return False
        found = path.stat()
        same = (seen.size, seen.mtime_ns) == (found.st_size, found.st_mtime_ns)
        return same and wanted.size in (None, seen.size) and wanted.md5 == seen.md5

    def _read(self) -> None:
        try:
            lines = self._path.read_bytes().splitlines()
        except FileNotFoundError:
            return
        except OSError as error:
            msg = f"{self._path}: cannot be read ({error.strerror}); remove it"
            raise DataError(msg) from None
        for line in lines:
            try:
                self._take(json.loads(line))
            except (ValueError, TypeError, KeyError, RecursionError):
                continue

    def _take(self, entry: dict[str, object]) -> None:
        if "series" in entry:
            files: Listing = [(str(n), int(s), str(e)) for n, s, e in entry["files"]]  # type: ignore[attr-defined]
            self.listed[str(entry["series"])] = files
        else:
            size, mtime = int(entry["size"]), int(entry["mtime_ns"])  # type: ignore[call-overload]
            self._seen[str(entry["path"])] = _Seen(size, mtime, str(entry["md5"]))

    def _write(self, entry: dict[str, object]) -> None:
        line = json.dumps(entry).encode() + b"\n"
        try:
            with self._lock:
                self._file.write(line)
                self._file.flush()
                os.fsync(self._file.fileno())
        except OSError as error:
            msg = f"{self._path}: cannot be written ({error.strerror}); make room or choose --root"
            raise DataError(msg) from None
