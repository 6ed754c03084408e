"""Which shape runs the pages ask for: folds, presets, classes, and no patient on two sides."""

import pandas as pd
import pytest

from mammostudy.data.load import load_cohort
from mammostudy.data.manifest import SHAPES
from mammostudy.data.splits import split_cases
from mammostudy.runs.kinds import NETWORKS, SOURCES, TOOLS
from mammostudy.study import recipes
from mammostudy.study.shape_recipes import (
    GROUPS,
    PAPER,
    ROWS,
    STUDY,
    TOOL,
    classes_of,
    rows_of,
    shape_recipe,
)  # fmt: skip


@pytest.fixture
def own(tmp_path, write_cohort, monkeypatch):
    """A writer of the cohort ``tiny``: odd patients round, even ones irregular."""

    def write(patients=12, **shapes):
        path = write_cohort(tmp_path, patients=patients) / "manifest.csv"
        table = pd.read_csv(path, dtype=str)
        for patient, shape in shapes.items():
            table.loc[table["patient"] == patient, "shape"] = shape
        table.to_csv(path, index=False)
        monkeypatch.setenv("MAMMOSTUDY_DATA", str(tmp_path))
        return path

    return write


def test_classes_of_known_cohorts_need_no_data(monkeypatch):
    monkeypatch.delenv("MAMMOSTUDY_DATA", raising=False)
    assert classes_of("phantom") == classes_of("not-at-hand") == SHAPES
    assert classes_of("cdd-cesm") == ("irregular", "oval", "round")


@pytest.mark.parametrize(
    ("patients", "shapes", "classes"),
    [
        (9, {}, ()),  # four round patients: too few for five folds, and one class is none
        (20, {f"P{k}": "oval" for k in (0, 2, 4, 6, 8)}, ("irregular", "oval", "round")),
        (20, {f"P{k}": "oval" for k in (0, 2, 4, 6)}, ("irregular", "round")),
        (12, {f"P{k}": None for k in range(12)}, ()),
    ],
)
def test_classes_of_an_own_cohort_have_a_patient_a_fold(own, patients, shapes, classes):
    own(patients, **shapes)
    assert classes_of("tiny") == classes
    asked = [rows_of("tiny", "quick", group) for group in GROUPS]
    assert any(any(named.values()) for named in asked) == bool(classes)


@pytest.mark.parametrize("cohort", ["phantom", "cdd-cesm"])
@pytest.mark.parametrize("preset", list(recipes.PRESETS))
def test_presets_say_how_much_is_trained(cohort, preset):
    named = rows_of(cohort, preset, "classifier")
    assert len(named) == (5 if preset == "quick" else 9 if cohort == "phantom" else 8)
    assert any(rows_of(cohort, preset, group) for group in GROUPS[1:]) == (preset != "quick")
    for row, specs in named.items():
        few = row not in (PAPER, STUDY) and specs[0].classifier in NETWORKS
        folds = 5 if preset != "smoke" else 1 if few else 2
        assert [(s.split.fold, s.seed) for s in specs] == [(fold, fold) for fold in range(folds)]
    explained = [row for row, specs in named.items() if specs[0].evaluation.explain]
    assert explained == [PAPER if preset == "quick" else STUDY]


def test_a_changed_row_differs_in_one_field():
    paper = shape_recipe("cdd-cesm", "reference")
    for row, specs in rows_of("cdd-cesm", "reference", "changed").items():
        assert specs[0] == paper.changed(variant="alternative", **ROWS["changed"][row])
        assert len(ROWS["changed"][row]) == 1


def test_groups_stand_where_there_are_sources_or_tools():
    spec = shape_recipe("phantom", "reference")
    assert (spec.cohort, spec.input.source) == ("phantom-shapes", "segmenter")
    assert spec.segmenter == (recipes.recipe("phantom", "reference", "study"),)
    spec = shape_recipe("cdd-cesm", "reference")
    assert (spec.cohort, spec.input.source, spec.segmenter) == ("cdd-cesm-contours", "truth", ())
    assert rows_of("cdd-cesm", "reference", "source") == {}
    assert rows_of("phantom", "reference", "tool") == {}
    tools = rows_of("cdd-cesm", "reference", "tool")
    assert tools["all tools"] == rows_of("cdd-cesm", "reference", "classifier")[PAPER]
    assert {(s.target, s.classes) for s in tools[TOOL]} == {("tool", TOOLS)}
    crossed = rows_of("phantom", "reference", "source")
    assert len(crossed) == 6
    for row, specs in crossed.items():
        assert {spec.input.source for spec in specs} == {row.split(", ")[0]}
        assert {spec.evaluation.sources for spec in specs} == {SOURCES}


def test_every_mass_of_an_own_cohort_is_marked_by_a_segmenter_that_has_not_seen_it(own):
    own(12)
    masses = load_cohort("tiny").masses
    tested: list[str] = []
    for run in shape_recipe("tiny", "reference").segmenter:
        split = split_cases(masses, **run.split.model_dump())
        tested += split.test
        assert not set(split.test) & {*split.train, *split.validation}
    assert sorted(tested) == sorted(masses.index)
    assert shape_recipe("tiny", "quick").segmenter == ()
