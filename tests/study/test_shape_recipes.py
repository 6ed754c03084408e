"""Which shape runs the pages ask for: folds, presets, classes, and no patient on two sides."""

import pandas as pd
import pytest

from mammostudy.data.descriptors import describe
from mammostudy.data.load import load_cohort
from mammostudy.evaluation.splits import parted, split_cases
from mammostudy.runs.kinds import SOURCES, TOOLS
from mammostudy.runs.masks import labelled
from mammostudy.study import losses
from mammostudy.study.claims import TRAININGS
from mammostudy.study.shape_recipes import (
    AGAIN,
    FOLDS,
    GROUPS,
    PAPER,
    TOOL,
    classes_of,
    rows_of,
    shape_recipe,
)  # fmt: skip
from mammostudy.study.shapes import behind_claims


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


def test_crossed_rows_are_trained_on_one_source_and_tested_on_all():
    for row, specs in rows_of("phantom", "reference", "source").items():
        assert {spec.input.source for spec in specs} == {row.split(", ")[0]}
        assert {spec.evaluation.sources for spec in specs} == {SOURCES}
    tools = rows_of("cdd-cesm", "reference", "tool")
    assert {(spec.target, spec.classes) for spec in tools[TOOL]} == {("tool", TOOLS)}


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


FILMS = "cbis-ddsm-800"


def test_films_learn_from_contours_and_show_a_segmenter_of_others_beside_them():
    first = [runs[0] for runs in rows_of(FILMS, "reference", "classifier").values()]
    assert {(run.input.source, run.evaluation.sources, run.segmenter) for run in first} == {
        ("contour", ("contour",), ())
    }
    beside = rows_of(FILMS, "reference", "source")
    assert {row.split(", ")[0] for row in beside} == {"contour", "segmenter", "both"}
    trained = losses.named("cdd-cesm", "evidence")[losses.STUDY]
    for run in (run for runs in beside.values() for run in runs):
        assert run.segmenter == tuple(trained[:3])
        assert run.evaluation.sources == ("contour", "segmenter")
    assert rows_of(FILMS, "smoke", "source") == {}
    assert "grey-features" in {run.classifier for run in first}  # control
    others = rows_of("phantom", "reference", "classifier")
    assert "grey-features" not in {runs[0].classifier for runs in others.values()}


def test_the_owners_split_and_second_trainings_are_for_films():
    archive = rows_of(FILMS, "reference", "archive")
    assert {(len(runs), runs[0].split.rule) for runs in archive.values()} == {(1, "official")}
    trained = behind_claims(FILMS, "reference")
    assert len({(run.split.fold, run.seed) for run in trained}) == len(trained) >= TRAININGS
    assert {run.split.fold for run in trained[FOLDS:]} == set(range(FOLDS))
    for group in ("archive", "patients", AGAIN):
        assert rows_of("phantom", "reference", group) == {}


def test_the_films_of_the_examples_never_train(real_data):
    cohort = load_cohort(FILMS, real_data)
    held = set(describe(FILMS).held_out)
    assert held & set(labelled(cohort, shape_recipe(FILMS, "reference"))["patient"])  # control
    for group in ("classifier", "archive"):
        for run in rows_of(FILMS, "reference", group)[PAPER]:
            rows = labelled(cohort, run)
            split = split_cases(parted(cohort, rows, run.split.rule), **run.split.model_dump())
            met = rows.loc[[*split.train, *split.validation], "patient"]
            assert held.isdisjoint(met)
