"""The journal: what it says after any end of the process, and what it does not take on trust."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from mammostudy.data.fetching.journal import FILENAME, Journal
from mammostudy.data.fetching.wanted import HIDDEN, Wanted
from mammostudy.errors import DataError

FILES = [("a.dcm", 3, "e1"), ("b.dcm", 5, "e2-2")]
IMAGE = Wanted("P1/a.dcm", (), 3, "m1")


def filled(folder: Path) -> tuple[Path, Path]:
    image = folder / IMAGE.path
    image.parent.mkdir(parents=True)
    image.write_bytes(b"abc")
    with Journal(folder) as journal:
        journal.list_series("s1", FILES)
        journal.verified(IMAGE, image)
    return image, folder / HIDDEN / FILENAME


def test_it_is_read_back(tmp_path: Path) -> None:
    image, _ = filled(tmp_path)
    journal = Journal(tmp_path)
    assert journal.listed == {"s1": FILES}
    assert journal.holds(IMAGE, image)
    assert not journal.holds(Wanted("P1/a.dcm", (), 4, "m1"), image)  # the archive's is another
    assert not journal.holds(Wanted("P1/a.dcm", (), 3, "m2"), image)
    assert not journal.holds(Wanted("P1/b.dcm", (), 3, "m1"), image)


def test_a_line_that_was_cut_costs_that_line_alone(tmp_path: Path) -> None:
    image, path = filled(tmp_path)
    whole = path.read_bytes()
    first = whole.index(b"\n") + 1
    for cut in [*range(first, len(whole), 9), len(whole) - 2, len(whole) - 1]:
        path.write_bytes(whole[:cut])
        journal = Journal(tmp_path)
        assert journal.listed == {"s1": FILES}
        assert journal.holds(IMAGE, image) == (cut >= len(whole) - 1)  # but for its line end
        with Journal(tmp_path) as again:
            again.list_series("s2", FILES)
        assert set(Journal(tmp_path).listed) == {"s1", "s2"}


@pytest.mark.parametrize(
    "line",
    [b"", b"{", b"[]", b"7", b'"series"', b'["series"]', b'{"series": "s", "files": 7}', b"\xff\0",
     b'{"path": "P1/a.dcm"}', b'{"series": "s", "files": [["a"]]}', b"[" * 100_000],
)  # fmt: skip
def test_lines_that_say_nothing_are_passed_over(tmp_path: Path, line: bytes) -> None:
    image, path = filled(tmp_path)
    path.write_bytes(line + b"\n" + path.read_bytes())
    journal = Journal(tmp_path)
    assert journal.listed == {"s1": FILES}
    assert journal.holds(IMAGE, image)


def test_a_file_that_was_touched_is_not_vouched_for(tmp_path: Path) -> None:
    image, _ = filled(tmp_path)
    times = image.stat()
    image.write_bytes(b"abd")
    os.utime(image, ns=(times.st_atime_ns, times.st_mtime_ns + 1))
    assert not Journal(tmp_path).holds(IMAGE, image)
    os.utime(image, ns=(times.st_atime_ns, times.st_mtime_ns))
    assert Journal(tmp_path).holds(IMAGE, image)  # the control: size and time are what is seen
    image.write_bytes(b"ab")
    os.utime(image, ns=(times.st_atime_ns, times.st_mtime_ns))
    assert not Journal(tmp_path).holds(IMAGE, image)
    image.unlink()
    assert not Journal(tmp_path).holds(IMAGE, image)


def test_a_folder_that_takes_no_journal(tmp_path: Path) -> None:
    (tmp_path / HIDDEN).write_text("in the way")
    with pytest.raises(DataError, match="cannot be"), Journal(tmp_path):
        pass
