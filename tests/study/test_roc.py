"""The page on ROC curves: scikit-learn and DeLong as oracles, missing classes, calibration."""

from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import roc_auc_score

from mammostudy.evaluation.classification import apply_temperature, auc_ci
from mammostudy.study import roc, shapes
from mammostudy.study.comparing import Runs
from mammostudy.study.shape_recipes import FOREST, PAPER, STUDY

COHORT, PRESET = "cdd-cesm", "reference"
CLASSES = ("irregular", "oval", "round")


def table(labels, scores, *, row=PAPER, folds=0, patients=None):
    """Pooled rows by hand, calibrated as they come."""
    n, values = len(labels), np.asarray(scores, dtype=float)
    rows = pd.DataFrame({"case": [f"c{i:03d}" for i in range(n)], "label": labels, "fold": folds})
    rows["patient"] = [f"p{i}" for i in range(n)] if patients is None else patients
    for k, name in enumerate(CLASSES):
        rows[f"raw_{name}"] = rows[f"p_{name}"] = values[:, k]
    return rows.assign(row=row, converged=None, judged=True)


def noisy(n=90, strength=1.5, seed=0):
    """Class numbers that go round and probabilities that know something of them."""
    numbers = np.arange(n) % 3
    noise = np.random.default_rng(seed).standard_normal((n, 3))
    return numbers, apply_temperature(noise + strength * np.eye(3)[numbers])


def three_rows(n=90, per_patient=2):
    """Rows of the three classifiers on the same masks, the study's the best."""
    patients = [f"p{i // (3 * per_patient) * 3 + i % 3}" for i in range(n)]
    parts = []
    for seed, (row, strength) in enumerate(((PAPER, 1.0), (STUDY, 3.0), (FOREST, 1.0))):
        numbers, scores = noisy(n, strength, seed)
        labels = [CLASSES[k] for k in numbers]
        parts.append(table(labels, scores, row=row, folds=np.arange(n) // 18, patients=patients))
    return pd.concat(parts, ignore_index=True)


def test_a_class_of_one_patient_has_no_interval_and_no_comparison():
    rows = three_rows()
    rows.loc[rows["label"] == "round", "patient"] = "one"
    areas = roc.areas(rows, CLASSES).set_index(["row", "curve", "metric"])
    mine, line = rows[rows["row"] == PAPER], areas.loc[(PAPER, "oval", "DeLong")]
    assert (line["masses"], line["patients"]) == (30, 15)
    assert (line["low"], line["high"]) == auc_ci(mine["label"] == "oval", mine["raw_oval"])
    assert (PAPER, roc.MACRO, "DeLong") not in areas.index
    assert np.isnan(areas.loc[(PAPER, "round", "over patients"), "low"])
    assert np.isfinite(areas.loc[(PAPER, "round", "DeLong"), "low"])
    assert roc.compare_areas(rows, CLASSES).empty


def test_macro_areas_are_compared_on_the_same_masks():
    rows = three_rows()
    tests = roc.compare_areas(rows, CLASSES).set_index("a")
    areas = [
        np.mean([roc_auc_score(part["label"] == name, part[f"raw_{name}"]) for name in CLASSES])
        for part in (rows[rows["row"] == row] for row in (STUDY, PAPER))
    ]
    assert tests.loc[STUDY, "difference"] == pytest.approx(areas[0] - areas[1])
    assert tests.loc[STUDY, "verdict"] == "better"
    assert tests.loc[STUDY, "p_holm"] == pytest.approx(2 * tests.loc[STUDY, "p"], rel=1e-6)
    gone = rows[(rows["row"] != STUDY) | (rows["fold"] > 0)]
    assert roc.compare_areas(gone, CLASSES).set_index("a").loc[STUDY, "masses"] == 72


def test_calibration_by_hand():
    """A forecast of 0.7 that is right 7 times in 10: Brier 0.42 + small change, no error."""
    labels = ["irregular"] * 7 + ["oval"] * 3
    rows = table(labels, [[0.7, 0.3, 0.0]] * 10)
    record = SimpleNamespace(
        temperature=1.5,
        content={"classes_trained": {"irregular": 6, "oval": 3, "round": 1}},
        spec=SimpleNamespace(split=SimpleNamespace(fold=0)),
    )
    runs = Runs({}, ("group", "row"), PRESET, {("classifier", PAPER): [record]})
    found = roc.calibration(rows, runs, CLASSES).set_index(["row", "scaling"])
    line = found.loc[(PAPER, "before")]
    assert line["Brier"] == pytest.approx(0.7 * 2 * 0.09 + 0.3 * 2 * 0.49)
    assert line["ECE, 10 bins"] == pytest.approx(0)
    shares = found.loc[(roc.SHARES, "none")]
    assert shares["Brier"] == pytest.approx(0.7 * 0.26 + 0.3 * 0.86)
    assert shares["ECE, 10 bins"] == pytest.approx(0.1)
    assert roc.reliability(rows, CLASSES)["share"].tolist() == pytest.approx([0.7, 0.7])


def test_published_numbers_of_the_committed_records():
    """The macro area of the paper's network over its five folds on CDD-CESM."""
    runs = Runs.load(roc.grid(COHORT, PRESET), PRESET, "group row")
    areas = roc.fold_areas(shapes.tested(runs, "classifier"), CLASSES).set_index(["row", "curve"])
    assert areas.loc[(PAPER, roc.MACRO), "mean"] == pytest.approx(0.7881, abs=1e-4)
