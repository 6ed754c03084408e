"""Listings of a bucket: whole and of the series that was asked for, or refused."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from mammostudy.data.fetching.bucket import list_files, wanted_of
from mammostudy.data.fetching.connection import Connection, RefusedError
from mammostudy.data.fetching.index import Series
from mammostudy.errors import DataError

if TYPE_CHECKING:
    from tests.data.fetching.conftest import Archive

UUID = "620b14e7-eeb0-4570-869a-3109f5b1b54e"
FOLDER = "P1/1.2/MG_1.3"
CONTENT = {"a.dcm": b"123", "b.dcm": b"12345", "c.dcm": b"1234567"}


def series(files: int = 3, size: int = 15) -> Series:
    return Series("P1", FOLDER, "open", UUID, files, size)


def fill(archive: Archive) -> str:
    for name, content in CONTENT.items():
        archive.put(f"open/{UUID}/{name}", content)
    archive.put("open/other/x.dcm", b"x")
    return archive.address + "/{bucket}"


@pytest.mark.parametrize("most_keys", [1, 2, 1000])
@pytest.mark.parametrize("faults", [[], ["500", "cut listing"]])
def test_all_pages_are_read(
    archive: Archive, connection: Connection, most_keys: int, faults: list[str]
) -> None:
    endpoint = fill(archive)
    archive.most_keys = most_keys
    archive.faults["open/"] += faults
    found = list_files(connection, endpoint, series())
    tags = [archive.etags[f"open/{UUID}/{name}"] for name in CONTENT]
    assert found == [(n, len(c), t) for (n, c), t in zip(CONTENT.items(), tags, strict=True)]
    wanted = wanted_of(endpoint, series(), [*found, ("d.dcm", 9, "0" * 32 + "-2")])
    assert [one.path for one in wanted] == [f"{FOLDER}/{name}.dcm" for name in "abcd"]
    assert wanted[0].addresses == (f"{archive.address}/open/{UUID}/a.dcm",)
    assert [one.md5 for one in wanted] == [*tags, ""]  # in several pieces: no hash of the whole
    assert wanted[3].etag == "0" * 32 + "-2"


def entry(key: str, size: str = "3") -> str:
    return f"entry:<Contents><Key>{key}</Key><Size>{size}</Size><ETag>x</ETag></Contents>!"


@pytest.mark.parametrize(
    ("fault", "words"),
    [
        (entry(f"{UUID}/../../evil.dcm"), "is no plain name"),
        (entry(f"{UUID}//etc/evil.dcm"), "is no plain name"),
        (entry(f"{UUID}/..%2fevil.dcm"), "is no plain name"),
        (entry(f"{UUID}/.bashrc"), "is no plain name"),
        (entry("other/x.dcm"), "files of something else"),
        (entry(f"{UUID}/evil.py"), "no DICOM files"),
        (entry(f"{UUID}/d.dcm", "-1"), "files of something else"),
        (entry(f"{UUID}/d.dcm", "9" * 40), "files of something else"),
        (entry(f"{UUID}/a.dcm"), "the listing has 4 files, the index 3"),
        ('doctype:<!DOCTYPE x [<!ENTITY a "b">]>!', "the listing is none"),
        ("cut listing!", "breaks off or is none, 4 times"),
        ("404!", "the server answers 404"),
    ],
)
def test_what_is_no_listing_of_the_series(
    archive: Archive, connection: Connection, fault: str, words: str
) -> None:
    endpoint = fill(archive)
    archive.faults["open/"] += [fault]
    with pytest.raises((RefusedError, DataError), match=words):
        list_files(connection, endpoint, series())


def test_a_folder_s_own_entry_is_no_file(archive: Archive, connection: Connection) -> None:
    endpoint = fill(archive)
    archive.faults["open/"] += [entry(f"{UUID}/", "0")]
    assert len(list_files(connection, endpoint, series())) == 3


def test_a_listing_without_end_ends(archive: Archive, connection: Connection) -> None:
    endpoint = fill(archive)
    archive.faults["open/"] += ["endless listing!"]
    with pytest.raises(RefusedError, match="the listing has"):
        list_files(connection, endpoint, series(files=4))
    assert len(archive.asked) == 20


def test_numbers_of_the_index_are_held_against_it(archive: Archive, connection: Connection) -> None:
    endpoint = fill(archive)
    with pytest.raises(RefusedError, match="the listing has 3 files, the index 2"):
        list_files(connection, endpoint, series(files=2))
    with pytest.raises(RefusedError, match="the listing has 15 bytes, the index 16"):
        list_files(connection, endpoint, series(size=16))
