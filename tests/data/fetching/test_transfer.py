"""One file from a server that fails, cuts off, throttles, lies; whole in the end or not there."""

from __future__ import annotations

import socket
import time
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest

from mammostudy.data.fetching import checks, transfer
from mammostudy.data.fetching.connection import (
    STEP,
    Connection,
    Patience,
    StoppedError,
    UnreachableError,
)
from mammostudy.data.fetching.transfer import DiskError, NotFetchedError, fetch_file
from mammostudy.data.fetching.wanted import Wanted, part_of

if TYPE_CHECKING:
    from tests.data.fetching.conftest import Archive

BIG = np.random.default_rng(0).bytes(300_000)
KEY = "bucket/series/image.dcm"


def parts(folder: Path) -> list[Path]:
    return list((folder / ".fetch" / "parts").glob("*"))


@pytest.mark.parametrize(
    ("faults", "ranges"),
    [
        ([], [""]),
        (["500", "503", "429"], ["", "", "", ""]),
        (["hang up", "500"], ["", "", ""]),
        (["cut:100000"], ["", "bytes=100000-"]),
        (["cut:100000", "cut:100000"], ["", "bytes=100000-", "bytes=200000-"]),
        (["cut:1000", "500"], ["", "bytes=1000-", "bytes=1000-"]),
        (["cut:1000", "no Range"], ["", "bytes=1000-"]),
        (["cut:1000", "other start"], ["", "bytes=1000-", ""]),
        (["cut:1000", "other version"], ["", "bytes=1000-", ""]),
        (["cut:1000", "other total"], ["", "bytes=1000-", ""]),
        (["cut:1000", "416"], ["", "bytes=1000-", ""]),
        (["other bytes"], ["", ""]),
        (["longer:7"], ["", ""]),
        (["chunked"], [""]),
        (["cut chunked"], [""]),
        (["short chunked"], ["", "bytes=299991-"]),
        (["throttle:20000"], [""]),
    ],
    ids=lambda value: "-".join(map(str, value)) or "well",
)
def test_a_server_that_recovers(
    archive: Archive,
    connection: Connection,
    moved: list[int],
    tmp_path: Path,
    faults: list[str],
    ranges: list[str],
) -> None:
    archive.put(KEY, BIG)
    archive.faults[KEY] += faults
    path = fetch_file(connection, archive.wanted(KEY, "P1/image.dcm"), tmp_path)
    assert path == tmp_path / "P1" / "image.dcm"
    assert path.read_bytes() == BIG
    assert not parts(tmp_path)
    assert [one.range for one in archive.asked] == ranges
    assert sum(moved) == len(BIG)


@pytest.mark.parametrize(
    ("fault", "words"),
    [
        ("500!", "the server answers 500, 4 times in a row"),
        ("other bytes!", "its hash is not the archive's, 4 times in a row"),
        ("longer:7!", "the server sends 300,007 bytes, the archive lists 300,000"),
        ("cut:0!", "it breaks off, 4 times in a row"),
        ("endless!", "the server sends more than the file has"),
        ("packed!", "the server packs what it sends"),
        ("403!", "the server answers 403"),
        ("404!", "the server answers 404"),
        ("416!", "the server has no such part"),
    ],
)
def test_a_server_that_stays_wrong(
    archive: Archive, connection: Connection, moved: list[int], tmp_path: Path, fault: str,
    words: str,
) -> None:  # fmt: skip
    archive.put(KEY, BIG)
    archive.faults[KEY] += [fault]
    with pytest.raises(NotFetchedError, match=words) as caught:
        fetch_file(connection, archive.wanted(KEY), tmp_path)
    assert str(tmp_path / "image.dcm") in str(caught.value)
    assert "127.0.0.1" not in str(caught.value)
    assert not (tmp_path / "image.dcm").exists()
    assert len(archive.asked) == (1 if fault[:3] in ("403", "404", "pac") else 4)
    assert archive.sent() < (100 if fault == "endless!" else 5) * len(BIG)  # buffers hold some
    left = sum(part.stat().st_size for part in parts(tmp_path))
    assert sum(moved) == left < len(BIG)


def test_a_server_that_stalls_and_one_that_hardly_moves(
    archive: Archive, connection: Connection, tmp_path: Path
) -> None:
    archive.put(KEY, BIG)
    connection.patience = replace(connection.patience, timeout_s=0.5, attempts=2)
    archive.faults[KEY] += ["stall:1000"]
    assert fetch_file(connection, archive.wanted(KEY), tmp_path).read_bytes() == BIG
    assert [one.range for one in archive.asked] == ["", "bytes=1000-"]
    (tmp_path / "image.dcm").unlink()
    archive.faults[KEY] += ["throttle:10!"]
    start = time.monotonic()
    with pytest.raises(NotFetchedError, match="it comes too slowly, 2 times in a row"):
        fetch_file(connection, archive.wanted(KEY), tmp_path)
    assert time.monotonic() - start < 15  # of the 300 s that it would take


def test_a_whole_part_of_a_killed_fetch_is_verified_and_not_sent_again(
    archive: Archive, connection: Connection, tmp_path: Path
) -> None:
    archive.put(KEY, BIG)
    wanted = archive.wanted(KEY)
    part = part_of(tmp_path, wanted.path)
    part.parent.mkdir(parents=True)
    part.write_bytes(BIG)
    assert fetch_file(connection, wanted, tmp_path).read_bytes() == BIG
    assert not archive.asked


@pytest.mark.parametrize("left", [BIG[:-1] + b"x", BIG + b"more", b"other" * 10])
def test_a_part_of_something_else_does_no_harm(
    archive: Archive, connection: Connection, tmp_path: Path, left: bytes
) -> None:
    archive.put(KEY, BIG)
    wanted = archive.wanted(KEY)
    part = part_of(tmp_path, wanted.path)
    part.parent.mkdir(parents=True)
    part.write_bytes(left)
    assert fetch_file(connection, wanted, tmp_path).read_bytes() == BIG
    assert archive.asked[0].range == ("bytes=50-" if len(left) == 50 else "")


def test_parts_of_two_versions_are_never_put_together(
    archive: Archive, connection: Connection, tmp_path: Path, dicom_bytes: object
) -> None:
    """Two versions as long as each other, both of which open, and no hash that would tell."""
    first, second = dicom_bytes(seed=1), dicom_bytes(seed=2)  # type: ignore[operator]
    assert len(first) == len(second)
    tag = "0123456789abcdef0123456789abcdef-2"
    archive.put("first.dcm", first, etag=tag)
    archive.put("second.dcm", second)
    archive.faults["first.dcm"] += ["cut:1000", "part of other:second.dcm"]
    assert fetch_file(connection, archive.wanted("first.dcm"), tmp_path).read_bytes() == first
    assert [one.range for one in archive.asked] == ["", "bytes=1000-", ""]
    assert [one.version for one in archive.asked] == ["", f'"{tag}"', ""]
    (tmp_path / "first.dcm").unlink()
    part = part_of(tmp_path, "first.dcm")
    part.write_bytes(second[:1000])  # of an earlier fetch, of which no version is known
    wanted = archive.wanted("first.dcm", etag="")
    assert fetch_file(connection, wanted, tmp_path).read_bytes() == first
    assert archive.asked[-1].range == ""


def test_failures_with_progress_between_do_not_end_it(
    archive: Archive, connection: Connection, tmp_path: Path
) -> None:
    content = BIG[:1000] * (6 * STEP // 1000)
    archive.put(KEY, content)
    archive.faults[KEY] += [f"cut:{STEP}!"]
    assert fetch_file(connection, archive.wanted(KEY), tmp_path).read_bytes() == content
    assert len(archive.asked) > connection.patience.attempts
    archive.faults[KEY] = [f"cut:{STEP // 8}!"]
    (tmp_path / "image.dcm").unlink()
    with pytest.raises(NotFetchedError, match="breaks off"):
        fetch_file(connection, archive.wanted(KEY), tmp_path)


@pytest.mark.parametrize(
    ("asked", "waits"), [("", [1, 2, 4]), ("7", [7, 7, 7]), ("90000", [60] * 3)]
)
def test_waits_grow_and_are_bounded(
    archive: Archive, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, asked: str, waits: list[int]
) -> None:
    archive.put(KEY, BIG)
    archive.faults[KEY] += [f"503:{asked}"] * 3
    connection = Connection(Patience())
    waited: list[float] = []
    monkeypatch.setattr(connection.stop, "wait", waited.append)
    fetch_file(connection, archive.wanted(KEY), tmp_path)
    assert len(waited) == 3
    for found, most in zip(waited, waits, strict=True):
        assert most / 2 <= found <= most


def test_the_second_address_is_asked_where_the_first_has_nothing(
    archive: Archive, connection: Connection, tmp_path: Path
) -> None:
    archive.put("new/table.csv", b"a,b\n1,2\n")
    addresses = (f"{archive.address}/old/table.csv", f"{archive.address}/new/table.csv")
    wanted = Wanted("table.csv", addresses, begins="a,", rows=1)
    assert fetch_file(connection, wanted, tmp_path).read_text() == "a,b\n1,2\n"
    assert [one.path for one in archive.asked] == ["old/table.csv", "new/table.csv"]


@pytest.mark.parametrize(
    ("fault", "words"),
    [
        ("no length!", "does not say how long the file is"),
        ("cut chunked!", "breaks off"),
        ("cut:5!", "breaks off"),
        ("redirect:ftp://127.0.0.1/x!", "cannot be asked"),
    ],
)
def test_a_table_of_unknown_size_is_never_a_part_of_it(
    archive: Archive, connection: Connection, tmp_path: Path, fault: str, words: str
) -> None:
    archive.put("table.csv", b"a,b\n1,2\n")
    archive.faults["table.csv"] += [fault]
    wanted = Wanted("table.csv", (f"{archive.address}/table.csv",), begins="a,")
    with pytest.raises(NotFetchedError, match=words):
        fetch_file(connection, wanted, tmp_path)
    assert not (tmp_path / "table.csv").exists()
    archive.faults["table.csv"] = ["chunked"]
    assert fetch_file(connection, wanted, tmp_path).read_text() == "a,b\n1,2\n"


def test_a_table_without_end_is_cut_off(
    archive: Archive, connection: Connection, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(checks, "MOST_TABLE", 100_000)
    archive.put("table.csv", b"a,b\n" + b"1,2\n" * 2000)
    archive.faults["table.csv"] += ["endless!"]
    wanted = Wanted("table.csv", (f"{archive.address}/table.csv",))
    with pytest.raises(NotFetchedError, match="sends more than the file has"):
        fetch_file(connection, wanted, tmp_path)
    archive.faults["table.csv"] = []
    archive.put("table.csv", b"1" * 100_001)
    with pytest.raises(NotFetchedError, match="more than a table has"):
        fetch_file(connection, wanted, tmp_path)


def test_nobody_there(connection: Connection, tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port = taken.getsockname()[1]  # nobody listens
        wanted = Wanted("table.csv", (f"http://127.0.0.1:{port}/table.csv",))
        with pytest.raises(UnreachableError) as caught:
            fetch_file(connection, wanted, tmp_path)
    words = str(caught.value)
    assert "cannot be reached (nobody listens" in words
    assert "run the same command again" in words
    assert "127.0.0.1" not in words
    assert str(port) not in words
    wanted = Wanted("table.csv", ("http://no-such-host.invalid/table.csv",))
    with pytest.raises(UnreachableError, match="its name is not known here"):
        fetch_file(connection, wanted, tmp_path)


def test_a_server_that_goes_away_in_the_middle(
    archive: Archive, connection: Connection, tmp_path: Path
) -> None:
    archive.put(KEY, BIG)
    archive.faults[KEY] += ["cut:1000", "hang up!"]
    with pytest.raises(UnreachableError, match="the connection broke"):
        fetch_file(connection, archive.wanted(KEY), tmp_path)
    assert len(archive.asked) == connection.patience.attempts
    assert [part.stat().st_size for part in parts(tmp_path)] == [1000]


def test_an_encrypted_address_must_not_lead_to_a_plain_one(
    archive: Archive, connection: Connection, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    archive.put(KEY, BIG)
    ask = connection._get
    plain = archive.address
    monkeypatch.setattr(
        connection,
        "_get",
        lambda address, headers: ask(address.replace("https:", "http:"), headers),
    )
    secure = f"{plain.replace('http:', 'https:')}/{KEY}"
    with pytest.raises(NotFetchedError, match="not encrypted"):
        fetch_file(connection, archive.wanted(KEY, addresses=(secure,)), tmp_path)


def test_without_a_hash_the_image_must_open(
    archive: Archive, connection: Connection, tmp_path: Path, dicom_bytes: object
) -> None:
    content = dicom_bytes()  # type: ignore[operator]
    for name, held in (("well", content), ("noise", BIG), ("short", content[:-900])):
        archive.put(f"{name}.dcm", held, etag="0123456789abcdef0123456789abcdef-2")
    assert archive.wanted("well.dcm").md5 == ""
    assert fetch_file(connection, archive.wanted("well.dcm"), tmp_path).read_bytes() == content
    for name in ("noise", "short"):
        with pytest.raises(NotFetchedError, match="does not open as a DICOM image"):
            fetch_file(connection, archive.wanted(f"{name}.dcm"), tmp_path)


def test_a_disk_that_takes_nothing(
    archive: Archive, connection: Connection, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    archive.put(KEY, BIG)
    (tmp_path / ".fetch").write_text("in the way")
    with pytest.raises(DiskError, match="cannot be written"):
        fetch_file(connection, archive.wanted(KEY), tmp_path)
    (tmp_path / ".fetch").unlink()

    class Full:
        def __init__(self, part: Path, have: int) -> None:
            self.file = part.open("wb")

        def __enter__(self) -> Full:
            return self

        def __exit__(self, *_: object) -> None:
            self.file.close()

        def write(self, piece: bytes) -> int:
            raise OSError(28, "No space left on device")

    (tmp_path / ".fetch" / "parts").mkdir(parents=True)
    monkeypatch.setattr(transfer, "_opened", Full)
    with pytest.raises(DiskError, match="No space left on device"):
        fetch_file(connection, archive.wanted(KEY), tmp_path)
    assert len(archive.asked) == 2  # nothing was asked again in vain


def test_it_ends_when_it_is_told_to_and_keeps_its_part(
    archive: Archive, connection: Connection, tmp_path: Path
) -> None:
    archive.put(KEY, BIG)
    archive.faults[KEY] += ["throttle:3000!"]
    connection.moved = lambda count: connection.stop.set() if count > 0 else None
    with pytest.raises(StoppedError):
        fetch_file(connection, archive.wanted(KEY), tmp_path)
    (part,) = parts(tmp_path)
    assert BIG.startswith(part.read_bytes())
    assert 0 < part.stat().st_size < len(BIG)
