"""A whole set: fetched through faults, continued after a kill, read by the cohort's own reader."""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from filelock import FileLock

from mammostudy.data.fetching.connection import Patience, UnreachableError
from mammostudy.data.fetching.fetch import MOST_FAILURES, run
from mammostudy.data.fetching.index import Series
from mammostudy.data.fetching.plan import Plan
from mammostudy.data.fetching.recipe import Images, Recipe, Table
from mammostudy.data.fetching.wanted import part_of
from mammostudy.data.sources.cmmd import FILENAME, build_manifest
from mammostudy.errors import DataError

if TYPE_CHECKING:
    from tests.data.fetching.conftest import Archive

PATIENTS = ("D1-0001", "D1-0002", "D2-0003")
VIEWS = ("399162004", "399368009")
TABLE = (
    "ID1,LeftRight,Age,number,abnormality,classification,subtype\r\n"
    "D1-0001,R,44,2,calcification,Benign,\r\n"
    "D1-0002,R,40,2,mass,Malignant,\r\n"
    "D2-0003,R,61,2,both,Malignant,Luminal A\r\n"
)
QUICK = Patience(attempts=4, wait_s=0.002, longest_wait_s=0.01, timeout_s=20)


def key(number: int) -> str:
    return f"{number:08x}-eeb0-4570-869a-3109f5b1b54e"


@pytest.fixture
def plan(archive: Archive, tmp_path: Path, dicom_bytes: Callable[..., bytes]) -> Plan:
    """Two views of three patients in a bucket, and a table."""
    archive.put(f"tables/{FILENAME}", TABLE.encode())
    series = []
    for number, patient in enumerate(PATIENTS):
        images = [
            dicom_bytes(patient, view=view, seed=10 * number + at) for at, view in enumerate(VIEWS)
        ]
        for at, image in enumerate(images):
            archive.put(f"open/{key(number)}/{at}.dcm", image)
        place = f"{patient}/1.{number}/MG_1.{number}.1"
        series.append(Series(patient, place, "open", key(number), 2, sum(map(len, images))))
    images = Images(collection="cmmd", patient="D", endpoint=archive.address + "/{bucket}")
    address = f"{archive.address}/tables/{FILENAME}"
    table = Table(file=FILENAME, addresses=(address,), begins="ID1,", rows=3)
    recipe = Recipe(title="CMMD", licence="x", citations=("x",), tables=(table,), images=images)
    return Plan("cmmd", tmp_path / "cmmd", recipe, tuple(series))


def files(plan: Plan) -> list[Path]:
    found = (path for path in plan.folder.rglob("*") if path.is_file())
    return [path for path in found if ".fetch" not in path.parts]


@pytest.mark.parametrize("jobs", [1, 4])
def test_a_set_comes_through_faults_and_is_read(archive: Archive, plan: Plan, jobs: int) -> None:
    archive.faults[f"tables/{FILENAME}"] += ["500", "cut:40"]
    archive.faults["open/"] += ["503", "cut listing"]
    archive.faults[f"open/{key(0)}/0.dcm"] += ["cut:1000", "500", "no Range"]
    archive.faults[f"open/{key(0)}/1.dcm"] += ["other bytes"]
    archive.faults[f"open/{key(1)}/0.dcm"] += ["throttle:500"]
    archive.faults[f"open/{key(2)}/1.dcm"] += ["hang up", "cut:5"]
    outcome = run(plan, jobs=jobs, patience=QUICK)
    assert (outcome.fetched, outcome.kept, outcome.failures) == (7, 0, [])
    table, dropped = build_manifest(plan.folder)
    assert len(table) == 6
    assert set(table["patient"]) == set(PATIENTS)
    assert not dropped
    for path, content in archive.files.items():
        copies = [one for one in files(plan) if one.read_bytes() == content]
        assert len(copies) == 1, path


def test_a_second_fetch_asks_for_nothing(archive: Archive, plan: Plan) -> None:
    run(plan, patience=QUICK)
    archive.asked.clear()
    outcome = run(plan, patience=QUICK)
    assert (outcome.fetched, outcome.kept) == (0, 7)
    assert not archive.asked


def test_damage_after_the_fetch_is_seen_and_mended(archive: Archive, plan: Plan) -> None:
    run(plan, patience=QUICK)
    image = next(path for path in files(plan) if path.suffix == ".dcm")
    whole = image.read_bytes()
    image.write_bytes(whole[:-1])
    archive.asked.clear()
    assert run(plan, patience=QUICK).fetched == 1
    assert image.read_bytes() == whole
    times = image.stat()
    image.write_bytes(whole[:-1] + bytes([whole[-1] ^ 1]))  # as long, and as old
    os.utime(image, ns=(times.st_atime_ns, times.st_mtime_ns))
    assert run(plan, patience=QUICK).fetched == 0  # the control: only a hash can tell
    outcome = run(plan, patience=QUICK, rehash=True)
    assert (outcome.fetched, outcome.kept) == (1, 6)
    assert image.read_bytes() == whole
    assert len(archive.asked) == 2


def test_files_of_another_downloader_are_verified_and_kept(archive: Archive, plan: Plan) -> None:
    for number, (one, content) in enumerate(
        (one, archive.files[f"open/{one.key}/0.dcm"]) for one in plan.series
    ):
        path = plan.folder / one.folder / "0.dcm"
        path.parent.mkdir(parents=True)
        path.write_bytes(content[: None if number else 500])
    outcome = run(plan, patience=QUICK)
    assert (outcome.fetched, outcome.kept) == (5, 2)
    assert build_manifest(plan.folder)[1] == {}


def test_a_table_that_is_the_user_s_work_is_not_written_over(archive: Archive, plan: Plan) -> None:
    plan.folder.mkdir()
    mine = plan.folder / FILENAME
    mine.write_text("my notes")
    with pytest.raises(DataError, match=r"is there, but it is another file.*move it away"):
        run(plan, patience=QUICK)
    assert mine.read_text() == "my notes"
    assert len(files(plan)) == 7  # the images came all the same
    mine.write_text(TABLE)
    assert run(plan, patience=QUICK).fetched == 0


def test_one_bad_file_does_not_keep_the_others(archive: Archive, plan: Plan) -> None:
    bad = f"open/{key(1)}/1.dcm"
    archive.faults[bad] += ["other bytes!"]
    with pytest.raises(DataError) as caught:
        run(plan, patience=QUICK)
    words = str(caught.value)
    assert "1 could not be fetched; 6 files are there and whole" in words
    assert "D1-0002/1.1/MG_1.1.1/1.dcm: not fetched (its hash is not the archive's" in words
    assert len(files(plan)) == 6
    archive.faults[bad] = []
    archive.asked.clear()
    assert run(plan, patience=QUICK).fetched == 1
    assert [one.path for one in archive.asked] == [bad]


def test_a_series_that_is_not_listed_does_not_keep_the_others(archive: Archive, plan: Plan) -> None:
    del archive.files[f"open/{key(2)}/0.dcm"]
    with pytest.raises(DataError, match=r"MG_1\.2\.1: not listed \(the listing has 1 files"):
        run(plan, patience=QUICK)
    assert len(files(plan)) == 5


def test_too_many_failures_end_it(archive: Archive, plan: Plan) -> None:
    many = tuple(
        Series("D9", f"D9/2.{number}/MG_2.{number}", "open", key(100 + number), 1, 10)
        for number in range(3 * MOST_FAILURES)
    )
    with pytest.raises(DataError, match=f"{MOST_FAILURES} could .*; the rest was left alone"):
        run(Plan("cmmd", plan.folder, plan.recipe, many), jobs=1, patience=QUICK)
    assert len(archive.asked) == 1 + MOST_FAILURES


def test_an_evil_name_ends_it_and_writes_nothing(archive: Archive, plan: Plan) -> None:
    entry = f"<Contents><Key>{key(0)}/../../../evil.dcm</Key><Size>1</Size></Contents>"
    archive.faults["open/"] += [f"entry:{entry}!"]
    with pytest.raises(DataError, match=r"names a file '\.\./\.\./\.\./evil\.dcm'"):
        run(plan, jobs=1, patience=QUICK)
    assert [path.name for path in files(plan)] == [FILENAME]
    assert not list(plan.folder.parent.rglob("evil*"))


def test_no_connection_ends_it_with_one_error(archive: Archive, plan: Plan) -> None:
    archive.faults[f"tables/{FILENAME}"] += ["hang up!"]
    with pytest.raises(UnreachableError, match="cannot be reached"):
        run(plan, patience=QUICK)
    assert len(archive.asked) == 2  # nobody was ever there
    archive.faults[f"tables/{FILENAME}"] = []
    for number in range(3):
        archive.faults[f"open/{key(number)}/0.dcm"] += ["hang up!"]
    with pytest.raises(UnreachableError, match="what is already there is kept"):
        run(plan, patience=QUICK)
    assert FILENAME in [path.name for path in files(plan)]


def test_two_at_once_are_kept_apart(archive: Archive, plan: Plan) -> None:
    hidden = plan.folder / ".fetch"
    hidden.mkdir(parents=True)
    with FileLock(hidden / "lock"), pytest.raises(DataError, match="another fetch is at work"):
        run(plan, patience=QUICK)
    assert not archive.asked
    run(plan, patience=QUICK)


def test_a_folder_that_takes_nothing_or_leads_out(
    archive: Archive, plan: Plan, tmp_path: Path
) -> None:
    plan.folder.write_text("in the way")
    with pytest.raises(DataError, match="cannot be written"):
        run(plan, patience=QUICK)
    plan.folder.unlink()
    plan.folder.mkdir()
    (tmp_path / "outside").mkdir()
    (plan.folder / ".fetch").symlink_to(tmp_path / "outside")
    with pytest.raises(DataError, match="is a link that leads out"):
        run(plan, patience=QUICK)
    assert not archive.asked


def test_kill_9_in_the_middle(archive: Archive, plan: Plan, tmp_path: Path) -> None:
    """The process dies while a file comes; the next one goes on within that file."""
    slow = f"open/{key(1)}/0.dcm"
    archive.faults[slow] += ["throttle:20!"]
    (tmp_path / "recipe.json").write_text(plan.recipe.model_dump_json())
    code = f"""
        from pathlib import Path
        from mammostudy.data.fetching.fetch import run
        from mammostudy.data.fetching.index import Series
        from mammostudy.data.fetching.plan import Plan
        from mammostudy.data.fetching.recipe import Recipe
        recipe = Recipe.model_validate_json(Path({str(tmp_path / "recipe.json")!r}).read_text())
        run(Plan("cmmd", Path({str(plan.folder)!r}), recipe, {plan.series!r}), jobs=1)
    """
    process = subprocess.Popen([sys.executable, "-c", textwrap.dedent(code)])
    part = part_of(plan.folder, f"{plan.series[1].folder}/0.dcm")
    end = time.monotonic() + 120
    while time.monotonic() < end and not (part.is_file() and part.stat().st_size > 200):
        assert process.poll() is None
        time.sleep(0.01)
    process.kill()
    process.wait()
    assert list(part.parent.iterdir()) == [part]
    had = part.stat().st_size
    assert archive.files[slow].startswith(part.read_bytes())
    assert 200 < had < len(archive.files[slow])
    assert len(files(plan)) == 3  # the table and the first patient; no part among them
    archive.faults[slow] = []
    archive.asked.clear()
    outcome = run(plan, patience=QUICK)
    assert (outcome.fetched, outcome.kept) == (4, 3)
    asked = {one.path: one.range for one in archive.asked}
    assert asked[slow] == f"bytes={had}-"
    assert f"open/{key(0)}/0.dcm" not in asked
    assert build_manifest(plan.folder)[1] == {}
