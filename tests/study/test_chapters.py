"""A chapter is refused for a cohort that lacks what its task needs, by name."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest

from mammostudy.cli import run as run_chapters
from mammostudy.data.cohort import TASKS
from mammostudy.errors import DataError, MissingDataError
from mammostudy.study import chapters
from mammostudy.study.chapters import CHAPTER_TASKS, CHAPTERS, fit_chapters


@pytest.fixture
def tiny(
    tmp_path: Path,
    own_store: Path,
    write_cohort: Callable[..., Path],
    monkeypatch: pytest.MonkeyPatch,
) -> Path:
    monkeypatch.setenv("MAMMOSTUDY_DATA", str(tmp_path))
    return write_cohort(tmp_path)


def emptied(folder: Path, *columns: str) -> None:
    table = pd.read_csv(folder / "manifest.csv", dtype=str)
    table.assign(**dict.fromkeys(columns)).to_csv(folder / "manifest.csv", index=False)


def test_every_task_is_known_and_every_chapter_of_runs_has_one() -> None:
    assert set(CHAPTER_TASKS) <= set(CHAPTERS)
    assert {task for tasks, _ in CHAPTER_TASKS.values() for task in tasks} == set(TASKS)


@pytest.mark.parametrize(("chapter", "gone", "words"), [
    ("subtypes", (), "tiny: cannot be used for subtype: no mass has subtype"),
    ("shapes", ("shape",), "tiny: cannot be used for shape: no mass has shape"),
    ("roc", ("shape",), "tiny: cannot be used for shape: no mass has shape"),
    ("detection", ("x_min", "y_min", "x_max", "y_max", "mask", "mask_label", "outline"),
     "tiny: cannot be used for detection: no mass has x_min"),
    ("losses", ("x_min", "y_min", "x_max", "y_max", "mask", "mask_label", "outline"),
     "tiny: cannot be used for segmentation: no mass has x_min"),
])  # fmt: skip
def test_a_chapter_that_was_asked_for_is_refused_before_its_runs_are_listed(
    chapter: str,
    gone: tuple[str, ...],
    words: str,
    tiny: Path,
    own_store: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    emptied(tiny, *gone)
    asked: list[str] = []

    def specs(*_: object) -> list[object]:
        asked.append(chapter)
        return []

    monkeypatch.setattr(f"mammostudy.study.{chapter}.specs", specs)
    with pytest.raises(DataError, match=f"chapter '{chapter}': {words}"):
        run_chapters([chapter], "tiny", "smoke", workers=1)
    assert not asked
    assert not (own_store / "records").exists()
    monkeypatch.setattr(chapters, "CHAPTER_TASKS", {})  # control
    run_chapters([chapter], "tiny", "smoke", workers=1)
    assert asked


def test_of_all_chapters_some_are_left_out_and_said(
    tiny: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for chapter in CHAPTERS:
        monkeypatch.setattr(f"mammostudy.study.{chapter}.specs", lambda *_: [])
    run_chapters([], "tiny", "smoke", workers=1)
    told = [line for line in capsys.readouterr().out.splitlines() if "left out" in line]
    assert [line.split(":")[0] for line in told] == ["subtypes"]
    fit, faults = fit_chapters((), "tiny")
    assert [*fit, *faults] == [*(name for name in CHAPTERS if name != "subtypes"), "subtypes"]


def test_a_cohort_that_serves_no_chapter_is_refused(tiny: Path) -> None:
    emptied(tiny, "x_min", "y_min", "x_max", "y_max", "mask", "mask_label", "outline", "shape")
    with pytest.raises(DataError, match="cannot be used for segmentation"):
        fit_chapters((), "tiny")


def test_a_cohort_that_is_not_there_is_no_cohort_that_lacks_a_column(own_store: Path) -> None:
    with pytest.raises(MissingDataError):
        fit_chapters(("losses",), "nowhere")
