"""Scores of confusion matrices with patients as the unit, against scikit-learn and by hand."""

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import accuracy_score, cohen_kappa_score, f1_score, recall_score

from mammostudy.errors import DataError
from mammostudy.evaluation.association import (
    confusion_intervals,
    macro_recall_test,
    null_redraws,
    patient_confusions,
    share_difference,
)
from mammostudy.evaluation.classification import (
    calibration_errors_by_chance,
    expected_calibration_error,
)

CLASSES = ("irregular", "lobular", "oval")


def rows_of(n=90, per_patient=1, strength=0.6, seed=0):
    rng = np.random.default_rng(seed)
    truth = rng.integers(0, 3, n)
    guess = np.where(rng.random(n) < strength, truth, rng.integers(0, 3, n))
    names = np.array(CLASSES)
    patients = [f"p{i // per_patient:03d}" for i in range(n)]
    return pd.DataFrame({"patient": patients, "label": names[truth], "predicted": names[guess]})


def test_scores_agree_with_scikit_learn():
    rows = rows_of()
    found = confusion_intervals(patient_confusions(rows, CLASSES))
    truth, guess = rows["label"], rows["predicted"]
    assert found["accuracy"][0] == pytest.approx(accuracy_score(truth, guess))
    assert found["macro recall"][0] == pytest.approx(recall_score(truth, guess, average="macro"))
    assert found["macro F1"][0] == pytest.approx(f1_score(truth, guess, average="macro"))
    assert found["kappa"][0] == pytest.approx(cohen_kappa_score(truth, guess))
    each = recall_score(truth, guess, average=None)
    assert [found[f"recall {k}"][0] for k in range(3)] == pytest.approx(each)
    assert all(low < value < high for value, low, high in found.values())


def test_masks_of_a_patient_go_together():
    """Each mask five times in one patient has the interval of the mask once."""
    rows = rows_of(60)
    again = pd.concat([rows] * 5, ignore_index=True)
    one, five, naive = (
        confusion_intervals(patient_confusions(each, CLASSES))["accuracy"]
        for each in (rows, again, again.assign(patient=[f"q{i:03d}" for i in range(300)]))
    )
    assert five == pytest.approx(one)
    assert naive[2] - naive[1] < 0.6 * (one[2] - one[1])


def test_one_patient_has_no_interval_and_no_mask_no_recall():
    found = confusion_intervals(patient_confusions(rows_of(9, 9).iloc[:4], CLASSES))
    assert np.isnan(found["accuracy"][1:]).all()
    rows = pd.DataFrame({"patient": list("aab"), "label": ["oval", "oval", "irregular"]})
    found = confusion_intervals(patient_confusions(rows.assign(predicted="oval"), CLASSES))
    assert np.isnan(found["recall 1"]).all()
    assert found["recall 2"][0] == 1
    assert np.isnan(found["recall 2"][1])  # a single patient


def test_missed_masks_are_wrong_and_unknown_classes_refused():
    rows = rows_of(30)
    gone = rows.assign(predicted=["none", *rows["label"][1:]])
    assert confusion_intervals(patient_confusions(gone, CLASSES))["accuracy"][0] == 29 / 30
    with pytest.raises(DataError, match="none of irregular"):
        patient_confusions(rows.assign(label="blob"), CLASSES)


def test_macro_recalls_are_compared_patient_by_patient():
    a, b = (patient_confusions(rows_of(240, 2, s), CLASSES) for s in (0.9, 0.4))
    found = macro_recall_test(a, b)
    assert found["low"] < found["difference"] < found["high"]
    assert found["low"] > 0
    assert found["p"] < 0.001
    assert found["smallest_detectable"] < found["difference"]
    same = macro_recall_test(a, a)
    assert (same["difference"], same["low"], same["high"], same["p"]) == (0, 0, 0, 1)


def test_p_of_equal_classifiers_is_spread_evenly():
    ps = []
    for seed in range(40):
        rows, other = rows_of(60, 2, 0.5, seed), rows_of(60, 2, 0.5, seed)
        other["predicted"] = rows_of(60, 2, 0.5, seed + 100)["predicted"]
        rows["predicted"] = rows_of(60, 2, 0.5, seed + 200)["predicted"]
        pair = (patient_confusions(each, CLASSES) for each in (rows, other))
        ps.append(macro_recall_test(*pair)["p"])
    assert np.mean(np.array(ps) < 0.25) == pytest.approx(0.25, abs=0.15)


def test_calibration_error_by_chance_is_that_of_labels_drawn_from_the_forecast():
    scores = np.tile([0.7, 0.3], (200, 1))
    drawn = calibration_errors_by_chance(scores, 10)
    assert len(drawn) == 300
    assert drawn.mean() == pytest.approx(np.sqrt(2 / np.pi * 0.7 * 0.3 / 200), rel=0.15)
    sure = np.tile([1.0, 0.0], (20, 1))
    assert not calibration_errors_by_chance(sure, 10).any()
    assert expected_calibration_error(sure, np.ones(20, int), 10) == 1


def test_redraws_keep_the_columns_and_the_level():
    redraws = null_redraws([136, 67, 41, 56], [123, 107, 33, 37])
    assert len(redraws) == 1000
    assert 0.03 < (redraws["p"] < 0.05).mean() < 0.07
    assert redraws["v"].mean() == pytest.approx(0.098, abs=0.01)


def test_shares_of_two_groups():
    found = share_difference((178, 230), (25, 70))
    assert found["difference"] == pytest.approx(178 / 230 - 25 / 70)
    error = np.sqrt(178 * 52 / 230**3 + 25 * 45 / 70**3)
    assert found["high"] - found["low"] == pytest.approx(2 * 1.96 * error, rel=0.05)
    spread = np.sqrt(203 / 300 * 97 / 300 * (1 / 230 + 1 / 70))
    assert found["smallest_detectable"] == pytest.approx((1.959964 + 0.841621) * spread, rel=1e-5)
    small = share_difference((6, 8), (3, 9))  # all deals by hand: hypergeometric, both tails
    assert small["p"] == pytest.approx(0.1534, abs=2e-4)
