"""A chapter is refused for a cohort that lacks what its task needs, by name."""

from importlib import import_module

import pandas as pd
import pytest

from mammostudy.cli import run as run_chapters
from mammostudy.errors import DataError
from mammostudy.study import chapters

BOX = ("x_min", "y_min", "x_max", "y_max", "mask", "mask_label", "outline")


@pytest.mark.parametrize(
    ("chapter", "gone", "words"),
    [
        ("subtypes", (), "subtype: it lacks subtype"),
        ("shapes", ("shape",), "shape: it lacks shape"),
        ("detection", BOX, "detection: it lacks x_min"),
        ("losses", BOX, "segmentation: it lacks x_min"),
        ("losses", BOX[4:], "segmentation: it lacks mask or outline"),
        ("chain", BOX[4:], "segmentation: it lacks mask or outline"),
        ("shapes", BOX[4:], "shape: it lacks mask or outline"),
    ],
)
def test_a_chapter_that_was_asked_for_is_refused_before_its_runs_are_listed(
    chapter, gone, words, tmp_path, own_store, write_cohort, monkeypatch
):
    monkeypatch.setenv("MAMMOSTUDY_DATA", str(tmp_path))
    path = write_cohort(tmp_path) / "manifest.csv"
    pd.read_csv(path, dtype=str).assign(**dict.fromkeys(gone)).to_csv(path, index=False)
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


@pytest.mark.parametrize("preset", ["reference", "evidence", "paper"])
def test_every_chapter_lists_its_runs_in_every_preset_of_real_data(preset, monkeypatch):
    monkeypatch.delenv("MAMMOSTUDY_DATA", raising=False)
    none = {"subtypes"}  # CDD-CESM has none
    for name in chapters.CHAPTERS:
        specs = import_module(f"mammostudy.study.{name}").specs("cdd-cesm", preset)
        assert len({spec.recipe_key() for spec in specs}) == len(specs), name
        assert bool(specs) != (name in none), name
