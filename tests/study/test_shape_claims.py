"""Claims about shapes and subtypes: numbers by hand, and why a claim could not be tested."""

import numpy as np
import pandas as pd
import pytest

from mammostudy.evaluation.statistics import paired_test
from mammostudy.study import claims, shape_claims, shape_recipes, subtype_people, subtypes

COHORT, PRESET = "cdd-cesm", "reference"


@pytest.fixture
def folds(write_shape):
    """A writer of the five folds of the paper's classifier; ``said`` as in shape_records.py."""

    def write(count=5, cohort=COHORT, **said):
        asked = shape_claims.specs(cohort, PRESET)
        return [write_shape(spec, **said) for spec in asked[:count]]

    return write


def of(metric, **fields):
    return claims.Claim(text="t", source="s", metric=metric, **fields)


def test_the_runs_are_the_folds_of_the_papers_classifier():
    specs = shape_claims.specs(COHORT, PRESET)
    assert specs == shape_recipes.headline(COHORT, PRESET)[shape_recipes.PAPER]
    assert len(specs) == 5


def test_accuracy_counts_each_patient_once(folds):
    """The first of two patients a class has one of three masks wrong, the second none."""
    folds(wrong=1)
    made = shape_claims.accuracy(COHORT, PRESET, 0.8, 0.05)
    per_patient = [2 / 3, 1.0] * 15
    assert made.test.difference == pytest.approx(np.mean(per_patient) - 0.8)
    assert made.test.patients == 30
    assert (made.trainings, made.unsettled) == (5, ())
    assert made.test.low < made.test.difference < made.test.high


def test_p_is_that_of_the_target_less_the_margin(folds):
    folds(wrong=1)
    made = shape_claims.accuracy(COHORT, PRESET, 0.8, 0.05)
    right = np.tile([0.0, 1, 1, 1], 15)
    patients = np.repeat([f"{k}-{j}" for k in range(15) for j in (0, 1)], [3, 1] * 15)
    least = paired_test(right, np.full(60, 0.75), patients)
    at_target = paired_test(right, np.full(60, 0.8), patients)
    assert made.test.p_permutation == pytest.approx(least.p_permutation, rel=0.05)
    assert made.test.p_permutation < at_target.p_permutation
    assert made.test.low == pytest.approx(at_target.low, abs=0.01)


def test_a_missed_mask_is_wrong(folds, write_shape):
    asked = shape_claims.specs("phantom", PRESET)
    made = [
        write_shape(s.changed(evaluation__sources=("truth", "segmenter")), missed=4) for s in asked
    ]
    rows = shape_claims.shape_tables.pooled(made, source="segmenter")
    assert rows["missed"].sum() == 4 * 5
    assert not rows.loc[rows["missed"], "right"].any()


def test_what_has_not_converged_and_what_was_not_run_is_said(folds):
    folds(3, converged=False)
    made = shape_claims.accuracy(COHORT, PRESET, 0.8, 0.05)
    assert made.unsettled == ("the shape CNN",)
    assert made.trainings == 3
    said = "; ".join(made.cautions)
    assert "2 of 5 folds not run" in said
    assert "3 classes (irregular, oval and round), each patient counting once" in said
    assert "whose tool gives part of the shape away" in said
    assert "computer-made" not in said


def test_nothing_run_is_a_reason(folds):
    folds(0)
    made = shape_claims.accuracy(COHORT, PRESET, 0.8, 0.05)
    assert made.test is None
    assert "has not been run" in made.reason


def test_no_shapes_is_a_reason(monkeypatch):
    monkeypatch.setattr(shape_recipes, "classes_of", lambda cohort: ())
    made = shape_claims.accuracy("mine", PRESET, 0.8, 0.05)
    assert made.test is None
    assert "carry no shapes" in made.reason


def test_computer_made_outlines_are_named(folds):
    folds(cohort="phantom")
    made = shape_claims.accuracy("phantom", PRESET, 0.8, 0.05)
    assert "computer-made outlines" in made.cautions
    assert "4 classes" in made.cautions[0]


FOUND = {
    "difference": 0.4, "low": 0.3, "high": 0.5, "p_permutation": 0.001, "patients": 30,
    "smallest_detectable": 0.2, "luminal_share": 0.77, "other_share": 0.37,
    "patient": np.arange(30),
}  # fmt: skip


@pytest.mark.parametrize("known", [True, False])
def test_without_subtypes_and_without_runs_are_two_reasons(monkeypatch, known):
    kinds = pd.Series(["HER-2"] if known else [], dtype=object)
    monkeypatch.setattr(subtype_people, "subtypes_of", lambda cohort: kinds)
    monkeypatch.setattr(subtypes, "luminal_difference", lambda *_: None)
    made = shape_claims.luminal("phantom", PRESET)
    assert made.test is None
    assert ("no mass of this cohort comes with a subtype" in made.reason) == (not known)
    assert ("has not been run" in made.reason) == known


def test_outlines_of_the_real_cohort_have_no_subtypes(monkeypatch):
    monkeypatch.setattr(subtypes, "luminal_difference", lambda *_: FOUND)
    for cohort in ("cdd-cesm", "cdd-cesm-cm"):
        assert shape_claims.luminal(cohort, PRESET).reason == shape_claims.NO_SUBTYPE


def test_luminal_shares_become_a_test(monkeypatch):
    monkeypatch.setattr(subtype_people, "subtypes_of", lambda cohort: pd.Series(["HER-2"]))
    monkeypatch.setattr(subtypes, "luminal_difference", lambda *_: FOUND)
    made = shape_claims.luminal("phantom", PRESET)
    assert (made.test.difference, made.test.low, made.test.high) == (0.4, 0.3, 0.5)
    assert (made.test.patients, made.test.p_permutation) == (30, 0.001)
    assert made.cautions == ("77% of luminal patients against 37%",)
    assert made.trainings == 5


@pytest.mark.parametrize(
    ("wrong", "verdict"), [(0, "supported"), (1, "supported"), (2, "contradicted")]
)
def test_judged_among_the_claims(folds, wrong, verdict):
    """All right; 83 % of a patient's masks; 67 % (the second patient has one mask, right)."""
    folds(wrong=wrong, sharpness=3.0)
    target = 0.8
    judged = claims.judge(COHORT, PRESET, {"c": of("accuracy", target=target, margin=0.05)})
    row = judged.iloc[0]
    accuracy = np.mean([1 - wrong / 3, 1.0])
    assert row["difference"] == pytest.approx(accuracy - target, abs=1e-6)
    assert (row["metric"], row["trainings"], row["patients"]) == ("accuracy", 5, 30)
    expected = verdict
    if row["low"] <= -0.05 <= row["high"]:
        expected = "undecided"
    assert row["verdict"] == expected
    assert "each patient counting once" in row["reason"]


def test_judged_undecided_where_it_has_not_converged(folds):
    folds(converged=False)
    row = claims.judge(COHORT, PRESET, {"c": of("accuracy", target=0.8)}).iloc[0]
    assert row["verdict"] == "undecided"
    assert "the shape CNN not converged" in row["reason"]
    assert "'supported'" in row["reason"]


def test_judged_not_testable_without_runs(folds):
    folds(0)
    judged = claims.judge(
        COHORT, PRESET, {"a": of("accuracy", target=0.8), "l": of("luminal-share")}
    )
    assert judged["verdict"].tolist() == ["not testable here"] * 2
    assert "has not been run" in judged["reason"].iloc[0]
    assert judged["reason"].iloc[1] == shape_claims.NO_SUBTYPE


def test_luminal_claims_are_judged_by_the_rule_of_differences(monkeypatch):
    monkeypatch.setattr(subtype_people, "subtypes_of", lambda cohort: pd.Series(["HER-2"]))
    claim = {"l": of("luminal-share", margin=0.1)}
    for low, high, verdict in (
        (0.3, 0.5, "supported"), (-0.1, 0.5, "undecided"), (-0.3, 0.05, "contradicted"),
    ):  # fmt: skip
        told = {**FOUND, "low": low, "high": high}
        monkeypatch.setattr(subtypes, "luminal_difference", lambda *_, told=told: told)
        row = claims.judge("phantom", PRESET, claim).iloc[0]
        assert row["verdict"] == verdict
        assert "77% of luminal patients" in row["reason"]
