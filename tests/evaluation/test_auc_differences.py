import time

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from mammostudy.errors import DataError
from mammostudy.evaluation.roc import auc_bootstrap_ci, auc_difference_ci


def cases(n=120, classes=4, seed=0):
    """Labels, two tables of probabilities of which the first knows more, and patients."""
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, classes, n)
    tables = []
    for strength in (2.0, 0.7):
        logits = rng.standard_normal((n, classes)) + strength * np.eye(classes)[labels]
        tables.append(np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True))
    return labels, *tables, np.arange(n) // 2


def macro(labels, scores):
    return roc_auc_score(labels, scores, multi_class="ovr", average="macro")


def test_difference_is_scikit_learns_and_interval_is_the_plain_bootstraps():
    labels, a, b, patients = cases()
    value, low, high = auc_difference_ci(labels, a, b, patients)
    assert value == pytest.approx(macro(labels, a) - macro(labels, b), abs=1e-12)
    rng = np.random.default_rng(1)
    slow = []
    for _ in range(400):
        drawn = rng.integers(0, 60, 60)
        rows = np.concatenate([np.flatnonzero(patients == patient) for patient in drawn])
        slow.append(macro(labels[rows], a[rows]) - macro(labels[rows], b[rows]))
    assert (low, high) == pytest.approx(np.percentile(slow, [2.5, 97.5]), abs=0.02)


def test_one_score_against_a_constant_is_the_interval_of_its_auc():
    labels, a, _, patients = cases()
    found = auc_difference_ci(labels == 0, a[:, 0], np.zeros(len(a)), patients)
    plain = auc_bootstrap_ci(labels == 0, a[:, 0], patients)
    assert found[1:] == pytest.approx([end - 0.5 for end in plain], abs=1e-12)


def test_equal_scores_differ_by_nothing_and_swapping_turns_the_sign():
    labels, a, b, patients = cases()
    assert auc_difference_ci(labels, a, a, patients) == (0, 0, 0)
    value, low, high = auc_difference_ci(labels, a, b, patients, draws=250)
    assert auc_difference_ci(labels, b, a, patients, draws=250) == pytest.approx(
        (-value, -high, -low)
    )


def test_300_cases_of_4_classes_take_seconds():
    labels, a, b, patients = cases(300)
    start = time.perf_counter()
    auc_difference_ci(labels, a, b, patients, draws=2_000)
    assert time.perf_counter() - start < 5


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"scores_b": np.zeros(3)}, "score the same cases"),
        ({"draws": 0}, "at least 1 resample"),
        ({"level": 1.0}, "coverage"),
        ({"labels": np.zeros(120, int)}, "no case of class 1, 2, 3"),
        ({"patients": np.zeros(120, int)}, "comes from one patient"),
    ],
)
def test_bad_input_is_named(change, words):
    labels, a, b, patients = cases()
    given = {"labels": labels, "scores_a": a, "scores_b": b, "patients": patients} | change
    with pytest.raises(DataError, match=words):
        auc_difference_ci(**given)
