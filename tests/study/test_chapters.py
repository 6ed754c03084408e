"""A chapter is refused for a cohort that lacks what its task needs, by name."""

import pandas as pd
import pytest

from mammostudy.cli import run as run_chapters
from mammostudy.errors import DataError, MissingDataError
from mammostudy.study import chapters
from mammostudy.study.chapters import CHAPTERS, fit_chapters

BOX = ("x_min", "y_min", "x_max", "y_max", "mask", "mask_label", "outline")


@pytest.fixture
def tiny(tmp_path, own_store, write_cohort, monkeypatch):
    monkeypatch.setenv("MAMMOSTUDY_DATA", str(tmp_path))
    return write_cohort(tmp_path)


def emptied(folder, *columns):
    table = pd.read_csv(folder / "manifest.csv", dtype=str)
    table.assign(**dict.fromkeys(columns)).to_csv(folder / "manifest.csv", index=False)


@pytest.mark.parametrize(
    ("chapter", "gone", "words"),
    [
        ("subtypes", (), "subtype: no mass has subtype"),
        ("shapes", ("shape",), "shape: no mass has shape"),
        ("detection", BOX, "detection: no mass has x_min"),
        ("losses", BOX, "segmentation: no mass has x_min"),
    ],
)
def test_a_chapter_that_was_asked_for_is_refused_before_its_runs_are_listed(
    chapter, gone, words, tiny, own_store, monkeypatch
):
    emptied(tiny, *gone)
    asked = []
    monkeypatch.setattr(f"mammostudy.study.{chapter}.specs", lambda *_: asked.append(chapter) or [])
    said = f"chapter '{chapter}': tiny: cannot be used for {words}"
    with pytest.raises(DataError, match=said):
        run_chapters([chapter], "tiny", "smoke", workers=1)
    assert not asked
    assert not (own_store / "records").exists()
    monkeypatch.setattr(chapters, "CHAPTER_TASKS", {})  # control
    run_chapters([chapter], "tiny", "smoke", workers=1)
    assert asked


@pytest.mark.usefixtures("tiny")
def test_of_all_chapters_some_are_left_out_and_said(capsys, monkeypatch):
    for chapter in CHAPTERS:
        monkeypatch.setattr(f"mammostudy.study.{chapter}.specs", lambda *_: [])
    run_chapters([], "tiny", "smoke", workers=1)
    told = [line for line in capsys.readouterr().out.splitlines() if "left out" in line]
    assert [line.split(":")[0] for line in told] == ["subtypes"]


def test_a_cohort_that_serves_no_chapter_or_is_not_there_is_refused(tiny):
    emptied(tiny, *BOX, "shape")
    with pytest.raises(DataError, match="cannot be used for segmentation"):
        fit_chapters((), "tiny")
    with pytest.raises(MissingDataError):
        fit_chapters(("losses",), "nowhere")
