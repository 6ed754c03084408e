"""The estimate before a fetch: bytes, files, room and time."""

from __future__ import annotations

import shutil
from collections import namedtuple
from pathlib import Path

import pytest

from mammostudy.data.fetching.index import Series
from mammostudy.data.fetching.journal import Journal
from mammostudy.data.fetching.plan import Plan, amount, estimate, make_plan
from mammostudy.data.fetching.recipe import Images, Recipe
from mammostudy.data.fetching.wanted import part_of
from mammostudy.errors import DataError, MissingDataError

KEYS = ("620b14e7-eeb0-4570-869a-3109f5b1b54e", "d4d0e1c5-3151-45a1-8bef-2c9d00000000")
IMAGES = Images(collection="films", patient="P", endpoint="http://localhost/{bucket}")
RECIPE = Recipe(title="Films", licence="free", citations=("me",), images=IMAGES)
TABLES = Recipe(title="Films", licence="free", citations=("me",))
Usage = namedtuple("Usage", "total used free")


def plan(folder: Path) -> Plan:
    series = tuple(
        Series("P1", f"P1/1.{number}/MG_1.{number}", "open", key, 2, 600_000_000)
        for number, key in enumerate(KEYS)
    )
    return Plan("films", folder, RECIPE, series)


@pytest.fixture
def free(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda path: Usage(9e12, 0, 10**9))


@pytest.mark.usefixtures("free")
def test_the_sizes_add_up(tmp_path: Path) -> None:
    todo = plan(tmp_path / "films")
    before = estimate(todo, Journal(todo.folder))
    assert (before.files, before.size, before.there, before.left) == (4, 12 * 10**8, 0, 12 * 10**8)
    assert before.lines() == [
        "images: 4 files, 1.2 GB", "to come: 1.2 GB; free on the disk: 1 GB",
        "time: about 20 min at 1 MB/s, 2 min at 10 MB/s, 12 s at 100 MB/s",
    ]  # fmt: skip
    assert not todo.folder.exists()
    with pytest.raises(DataError, match=r"1\.3 GB are needed and 1 GB are free.*--patients"):
        before.check_room(todo.folder)


@pytest.mark.usefixtures("free")
def test_what_is_there_is_taken_off(tmp_path: Path) -> None:
    todo = plan(tmp_path)
    with Journal(tmp_path) as journal:
        journal.list_series(KEYS[0], [("a.dcm", 400, "e"), ("b.dcm", 400_000_000, "e")])
        (one, other) = todo.images(todo.series[0], journal) or []
        assert todo.images(todo.series[1], journal) is None
        (tmp_path / one.path).parent.mkdir(parents=True)
        (tmp_path / one.path).write_bytes(b"x" * 400)
        journal.verified(one, tmp_path / one.path)
    part_of(tmp_path, other.path).parent.mkdir(parents=True)
    part_of(tmp_path, other.path).write_bytes(b"x" * 1600)
    found = estimate(todo, Journal(tmp_path))
    assert (found.there, found.there_size) == (1, 2000)
    assert found.left == 12 * 10**8 - 2000
    assert "already there: 1 files, 2 kB" in found.lines()


@pytest.mark.parametrize(
    ("free", "enough"), [(1_279_108_863, False), (1_279_108_864, True)]
)  # 1.2 GB, a hundredth of it, and 64 MiB
def test_room_is_needed_to_the_byte(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, free: int, enough: bool
) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda path: Usage(9e12, 0, free))
    found = estimate(plan(tmp_path), Journal(tmp_path))
    if enough:
        found.check_room(tmp_path)
    else:
        with pytest.raises(DataError, match="make room"):
            found.check_room(tmp_path)


@pytest.mark.parametrize(
    ("size", "words"),
    [(0, "0 bytes"), (999, "999 bytes"), (1000, "1 kB"), (1_540_000, "1.5 MB"),
     (82_523_335_936, "82.5 GB"), (2e12, "2 TB")],
)  # fmt: skip
def test_amounts(size: float, words: str) -> None:
    assert amount(size) == words


def test_where_it_goes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("MAMMOSTUDY_DATA", raising=False)
    with pytest.raises(MissingDataError, match="--root or MAMMOSTUDY_DATA"):
        make_plan("cmmd", TABLES, None)
    monkeypatch.setenv("MAMMOSTUDY_DATA", str(tmp_path))
    assert make_plan("cmmd", TABLES, None).folder == tmp_path.resolve() / "cmmd"
    assert make_plan("cdd-cesm", TABLES, None).cohort == "cdd-cesm-archive"
    own = tmp_path / "elsewhere"
    own.mkdir()
    assert make_plan("cmmd", TABLES, own).folder == own.resolve() / "cmmd"
    (own / "CMMD_clinicaldata_revision.xlsx").touch()  # the cohort's own folder was named
    assert make_plan("cmmd", TABLES, own).folder == own.resolve()
