"""Calibration error, Brier score and temperature against hand, scikit-learn and torchmetrics."""

import numpy as np
import pytest
import torch
from sklearn.metrics import brier_score_loss
from torchmetrics.functional.classification import multiclass_calibration_error

from mammostudy.errors import DataError
from mammostudy.evaluation.calibration import (
    apply_temperature,
    brier_score,
    expected_calibration_error,
    fit_temperature,
    reliability_table,
)

RNG = np.random.default_rng(21)
LOGITS = RNG.normal(0, 2, (300, 4))
LABELS = np.array([RNG.choice(4, p=row) for row in apply_temperature(LOGITS)])
PROBABILITIES = apply_temperature(LOGITS, 0.4)


@pytest.mark.parametrize("bins", [5, 15, 20])
def test_calibration_error_agrees_with_torchmetrics(bins):
    oracle = multiclass_calibration_error(
        torch.tensor(PROBABILITIES), torch.tensor(LABELS), num_classes=4, n_bins=bins
    )
    found = expected_calibration_error(PROBABILITIES, LABELS, bins)
    assert found == pytest.approx(float(oracle), abs=1e-5)


def test_calibration_error_by_hand():
    probabilities = [[0.9, 0.1], [0.9, 0.1], [0.4, 0.6], [1.0, 0.0]]
    # bins of 0.2: (0.4, 0.6] one right; (0.8, 1] two of three right, mean confidence 2.8 / 3
    error = expected_calibration_error(probabilities, [0, 1, 1, 0], bins=5)
    assert error == pytest.approx((0.4 + 3 * (2.8 / 3 - 2 / 3)) / 4)


def test_sure_and_right_costs_nothing_sure_and_wrong_costs_one():
    assert expected_calibration_error(np.eye(3), [0, 1, 2]) == 0
    assert expected_calibration_error(np.eye(3), [1, 2, 0]) == 1


def test_reliability_table_holds_every_case_and_its_intervals():
    table = reliability_table(PROBABILITIES, LABELS, 10)
    assert table["cases"].sum() == 300
    hits = (table["accuracy"] * table["cases"]).sum()
    assert hits == pytest.approx((PROBABILITIES.argmax(1) == LABELS).sum())
    assert table["confidence"].between(table["low"], table["high"]).all()
    assert table["accuracy"].between(table["accuracy_low"], table["accuracy_high"]).all()


def test_brier_score_agrees_with_scikit_learn():
    assert brier_score(PROBABILITIES, LABELS) == pytest.approx(
        brier_score_loss(LABELS, PROBABILITIES, labels=range(4))
    )
    assert brier_score(np.full((4, 4), 0.25), range(4)) == pytest.approx(0.75)
    assert brier_score([[1, 0], [1, 0]], [0, 1]) == pytest.approx(1.0)


@pytest.mark.parametrize("true", [0.5, 1.0, 3.0])
def test_temperature_is_found_again(true):
    rng = np.random.default_rng(1)
    logits = rng.normal(0, 3, (6000, 4))
    labels = [rng.choice(4, p=row) for row in apply_temperature(logits, true)]
    assert fit_temperature(logits, labels) == pytest.approx(true, rel=0.06)


def test_temperature_is_the_maximum_of_the_likelihood_and_calibrates():
    over = LOGITS * 4
    temperature = fit_temperature(over, LABELS)

    def surprise(t):
        return -np.log(apply_temperature(over, t)[np.arange(300), LABELS]).mean()

    assert surprise(temperature) <= min(surprise(temperature * f) for f in (0.98, 1.02))
    before = expected_calibration_error(apply_temperature(over), LABELS)
    after = expected_calibration_error(apply_temperature(over, temperature), LABELS)
    assert after < before / 2
    assert (apply_temperature(over, temperature).argmax(1) == over.argmax(1)).all()


def test_temperature_without_a_maximum():
    assert fit_temperature(10 * np.eye(3), [0, 1, 2]) == 1.0
    assert fit_temperature(10 * np.eye(3), [1, 2, 0]) == pytest.approx(100)


def test_temperature_one_is_softmax():
    oracle = torch.softmax(torch.tensor(LOGITS), 1).numpy()
    assert apply_temperature(LOGITS) == pytest.approx(oracle)


def test_bad_input():
    for function in (expected_calibration_error, brier_score, reliability_table):
        with pytest.raises(DataError, match=r"sums to 0\.5, not 1"):
            function([[0.25, 0.25]], [0])
        with pytest.raises(DataError, match=r"labels\[0\] is 2"):
            function([[0.5, 0.5]], [2])
    with pytest.raises(DataError, match="bins = 0"):
        expected_calibration_error(PROBABILITIES, LABELS, 0)
    with pytest.raises(DataError, match=r"logits\[0\] .* not finite"):
        fit_temperature([[np.nan, 1.0]], [0])
    with pytest.raises(DataError, match="logits of shape"):
        fit_temperature([1.0, 2.0], [0, 1])
    with pytest.raises(DataError, match="2 rows of logits and 1 labels"):
        fit_temperature([[0.0, 1.0], [1.0, 0.0]], [0])
    with pytest.raises(DataError, match="temperature = 0"):
        apply_temperature(LOGITS, 0)
