"""The page on shapes: toy records with numbers by hand, and a published value of real ones."""

import pandas as pd
import pytest

from mammostudy.figures.tables import confusion
from mammostudy.study import shapes
from mammostudy.study.comparing import Runs, compare, judge
from mammostudy.study.shape_recipes import FOREST, PAPER, STUDY, classes_of, rows_of

COHORT, PRESET, REAL = "phantom", "reference", "cdd-cesm"
CLASSES = classes_of(COHORT)
WRONG = {PAPER: 1, STUDY: 0, FOREST: 2, "majority": 3, "no class weights": 2}


@pytest.fixture
def runs_of(write_shape):
    """A writer of some rows: of four masks a class so many wrong; a rest that was not run."""

    def write(cohort=COHORT, **said):
        asked = shapes.grid(cohort, PRESET)
        for (group, row), specs in asked.items():
            if group in ("source", "tool") or row in WRONG:
                for spec in specs[:1] if group == "changed" else specs:
                    more = {"missed": 1} if group == "source" else {"tools": cohort == REAL}
                    write_shape(spec, wrong=WRONG.get(row, 1), **more | said)
        return Runs.load(asked, PRESET, "group row")

    return write


def test_scores_by_hand(runs_of):
    runs = runs_of()
    rows = shapes.tested(runs, "classifier")
    table = shapes.summary(rows, CLASSES).set_index(["row", "metric"])
    assert table.loc[(PAPER, "accuracy"), "mean"] == pytest.approx(0.75)
    assert table.loc[(STUDY, "macro recall"), "mean"] == pytest.approx(1)
    assert table.loc[(FOREST, "recall oval"), "mean"] == pytest.approx(0.5)
    line = table.loc[PAPER, "kappa"]
    assert line["low"] < line["mean"] < line["high"]
    assert (line["masses"], line["patients"], line["trainings"]) == (80, 40, 5)
    assert line["converged"] == "yes"
    assert table.loc[(FOREST, "accuracy"), "converged"] == "no training"
    assert "small ResNet" not in table.index
    assert "classifier, small ResNet" in runs.missing


def test_comparisons_are_paired_by_patient(runs_of):
    """Of each class's two patients one has three masks, the other one, which nobody gets wrong."""
    runs = runs_of()
    rows = shapes.tested(runs, "classifier", "changed")
    tests = compare(rows, shapes.against(runs, "classifier"), "right").set_index("a")
    assert tests.loc[STUDY, "difference"] == pytest.approx(1 / 3 / 2)
    assert tests.loc[FOREST, "difference"] == pytest.approx(-1 / 3 / 2)
    recalls = shapes.compare_recalls(rows, CLASSES, shapes.against(runs, "classifier"))
    recalls = recalls.set_index("a")
    assert recalls.loc[STUDY, "difference"] == pytest.approx(0.25)
    assert recalls.loc[STUDY, "p_holm"] == pytest.approx(3 * recalls.loc[STUDY, "p"])
    changed = shapes.compare_recalls(rows, CLASSES, shapes.against(runs, "changed"))
    assert changed[["masses", "trainings"]].to_numpy().tolist() == [[16, 1]]
    assert set(recalls["verdict"]) == {"not judged"}  # computer-made masks


def test_missed_masks_are_wrong_and_stand_by_themselves(runs_of):
    runs = runs_of()
    rows = shapes.pooled(runs.of("source", "truth, random forest"), "segmenter")
    assert rows["missed"].sum() == 5
    assert not rows.loc[rows["missed"], "right"].any()
    assert confusion(rows, CLASSES)["none"].tolist() == [0, 0, 0, 5]
    crossed = shapes.crossed(runs, CLASSES).set_index(["trained", "tested", "metric"])["mean"]
    assert crossed["truth, random forest", "truth", "accuracy"] == pytest.approx(0.75)
    assert crossed["truth, random forest", "segmenter", "accuracy"] == pytest.approx(11 / 16)


def test_the_rule_of_the_tool_looks_at_other_folds_only():
    rows = pd.DataFrame(
        {
            "case": list("abcdef"),
            "tool": ["circle", "polygon", "circle", "polygon", "circle", "ellipse"],
            "label": ["round", "irregular", "oval", "irregular", "oval", "round"],
            "fold": [0, 0, 1, 1, 2, 2],
        }
    )
    # fold 0: circles elsewhere are oval; fold 1: one round, one oval, the first by name; fold 2:
    # ellipses are unknown elsewhere, so the commonest shape elsewhere
    assert shapes.tool_rule(rows)["predicted"].tolist() == [
        "oval", "irregular", "oval", "irregular", "oval", "irregular",
    ]  # fmt: skip


@pytest.fixture
def three(monkeypatch):
    """A claim that is content with the three shapes of the real outlines."""
    monkeypatch.setattr(shapes, "SHAPES", shapes.SHAPES[:3])


def test_accuracy_counts_each_patient_once_and_p_is_that_of_the_target_less_the_margin(
    write_shape, three
):
    """The first of two patients a class has one of three masks wrong, the second none."""
    for spec in rows_of(REAL, PRESET, "classifier")[PAPER]:
        write_shape(spec, wrong=1)
    line = shapes.claim_line(REAL, PRESET, "accuracy", 0.8, 0.05)
    assert line["difference"] == pytest.approx((2 / 3 + 1) / 2 - 0.8)
    assert (line["patients"], line["masses"], line["trainings"]) == (30, 60, 5)
    recall = shapes.claim_line(REAL, PRESET, "macro recall", 0.8, 0.05)
    assert recall["difference"] == pytest.approx(line["difference"])  # as many masses of each shape
    assert line["p"] < shapes.claim_line(REAL, PRESET, "accuracy", 0.75, 1e-9)["p"] + 1e-6
    assert line["p"] < shapes.claim_line(REAL, PRESET, "accuracy", 0.8, 1e-9)["p"]
    assert len(judge([line])) == 1


def test_a_claim_says_what_it_rests_on_or_why_it_cannot(write_shape, monkeypatch):
    assert "shapes" in shapes.claim_line(REAL, PRESET, "accuracy", 0.8, 0.05)["reason"]
    monkeypatch.setattr(shapes, "SHAPES", shapes.SHAPES[:3])
    assert "not been run" in shapes.claim_line(REAL, PRESET, "accuracy", 0.8, 0.05)["reason"]
    for spec in rows_of(REAL, PRESET, "classifier")[PAPER][:3]:
        write_shape(spec, converged=False)
    line = shapes.claim_line(REAL, PRESET, "accuracy", 0.8, 0.05)
    assert line["unsettled"].startswith(PAPER)
    assert (line["missing"], len(line["classes"])) == (2, 3)


def test_published_numbers_of_the_committed_records(three):
    line = shapes.claim_line(REAL, PRESET, "accuracy", 0.8, 0.05)
    assert line["difference"] == pytest.approx(-0.2111, abs=1e-4)
