"""The claim about detectors, on hand-made records whose verdict is known."""

import itertools
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from mammostudy.data.views import ViewSet
from mammostudy.runs.detection_rows import judged_rows
from mammostudy.runs.record import Record
from mammostudy.study import detect_claims, detect_recipes, tables

VIEWS = 24
KEYS = itertools.count()
BOX = np.array([[20.0, 20.0, 40.0, 40.0]])
AWAY = np.array([[60.0, 60.0, 80.0, 80.0]])


def view_set(part: str) -> ViewSet:
    table = pd.DataFrame(
        {"patient": [f"{part}{i // 2}" for i in range(VIEWS)], "site": "a", "side": "L"},
        index=[f"{part}{i}" for i in range(VIEWS)],
    ).assign(height=100, width=100, image=[f"{part}{i}.png" for i in range(VIEWS)])
    boxes = tuple(BOX.astype(np.float32) for _ in range(VIEWS))
    return ViewSet(table, boxes, tuple((f"{part}{i}m",) for i in range(VIEWS)))


def record(
    validation_hits: int, test_hits: int, *, converged: bool = True, false: float | None = None
) -> Record:
    """Boxes on the first so many masses at 0.9; ``false`` adds two false boxes a test view."""
    parts = []
    for part, hits in (("validation", validation_hits), ("test", test_hits)):
        boxes = [BOX if i < hits else np.zeros((0, 4)) for i in range(VIEWS)]
        scores = [np.full(len(each), 0.9) for each in boxes]
        if false is not None:
            boxes = [np.concatenate([each, AWAY, AWAY + 5]) for each in boxes]
            scores = [np.concatenate([each, [false, false]]) for each in scores]
        parts.append(judged_rows(part, view_set(part), boxes, scores))
    made = Record(Path(), {"converged": converged, "key": str(next(KEYS))})
    made.__dict__["cases"] = pd.concat(parts, ignore_index=True)
    return made


@pytest.fixture
def found(monkeypatch):
    """Let the test say which detectors have which records."""
    records: dict[str, list[Record]] = {}
    long = detect_recipes.comparison("cdd-cesm", "reference")[detect_recipes.LONG]
    longer = detect_recipes.longer("cdd-cesm", "reference")

    def records_of(asked, preset):
        budget = "" if asked == long else "longer " if asked == longer else "shorter "
        return {name: records.get(budget + name, []) for name in asked}

    monkeypatch.setattr(tables, "records_of", records_of)
    return records


def measured():
    return detect_claims.measured("cdd-cesm", "reference")


def test_the_family_with_more_hits_leads_by_their_share(found):
    found[detect_recipes.LIGHT] = [record(20, 18)]
    found[detect_recipes.FCOS] = [record(20, 6)]
    made = measured()
    assert made["test"].difference == pytest.approx((18 - 6) / VIEWS)
    assert made["test"].patients == VIEWS // 2
    assert made["unsettled"] == []
    assert any("not run" in caution for caution in made["cautions"])


def test_each_family_is_spoken_for_by_its_best_on_validation_not_on_test(found):
    found[detect_recipes.LIGHT] = [record(20, 10)]
    found[detect_recipes.LITE] = [record(5, 24)]
    found[detect_recipes.FCOS] = [record(20, 10)]
    found[detect_recipes.FCOS] = [record(5, 24)]
    made = measured()
    assert made["test"].difference == 0
    assert made["cautions"][0].startswith(f"{detect_recipes.LIGHT} against {detect_recipes.FCOS}")


def test_the_threshold_is_that_of_one_false_positive_a_view_on_validation(found):
    """Two false boxes a view above every hit leave no threshold with fewer: nothing is found."""
    found[detect_recipes.LIGHT] = [record(20, 18, false=0.95)]
    found[detect_recipes.FCOS] = [record(20, 6)]
    assert measured()["test"].difference == pytest.approx(-6 / VIEWS)


def test_what_had_not_converged_is_named(found):
    found[detect_recipes.LIGHT] = [record(20, 18)]
    found[detect_recipes.FCOS] = [record(20, 6, converged=False)]
    assert measured()["unsettled"] == [detect_recipes.FCOS]


@pytest.mark.parametrize(("shorter", "unsettled"), [(20, []), (19, [detect_recipes.FCOS])])
def test_a_flat_end_is_not_enough_where_a_larger_budget_did_better(found, shorter, unsettled):
    found[detect_recipes.LIGHT] = [record(20, 18)]
    found[detect_recipes.FCOS] = [record(20, 6)]
    found[f"shorter {detect_recipes.FCOS}"] = [record(shorter, 6)]
    assert measured()["unsettled"] == unsettled


@pytest.mark.parametrize(
    ("shorter", "longer", "unsettled"),
    [
        (19, 20, []),  # more helped up to the long budget, and no further
        (20, 20, []),
        (19, 21, [detect_recipes.LIGHT]),
        (20, 21, [detect_recipes.LIGHT]),
    ],
)
def test_a_training_twice_as_long_tells_whether_more_would_have_helped(
    found, shorter, longer, unsettled
):
    found[detect_recipes.LIGHT] = [record(20, 18)]
    found[detect_recipes.FCOS] = [record(20, 6)]
    found[f"shorter {detect_recipes.LIGHT}"] = [record(shorter, 18)]
    found[f"longer {detect_recipes.LIGHT}"] = [record(longer, 18)]
    assert measured()["unsettled"] == unsettled


@pytest.mark.parametrize(
    ("there", "said"), [((), "no SSD"), ((detect_recipes.LIGHT,), "no other detector")]
)
def test_a_family_without_a_run_is_no_comparison(found, there, said):
    found.update({name: [record(20, 18)] for name in there})
    made = measured()
    assert made["test"] is None
    assert said in made["reason"]


def test_the_runs_behind_it_are_all_detectors():
    names = {spec.detector.name for spec in detect_claims.specs("cdd-cesm", "reference")}
    assert names == set(detect_recipes.DETECTORS.values())


def test_a_detector_that_finds_next_to_nothing_has_not_converged(found):
    found[detect_recipes.LIGHT] = [record(20, 18)]
    found[detect_recipes.FCOS] = [record(1, 6)]
    assert measured()["unsettled"] == [detect_recipes.FCOS]
