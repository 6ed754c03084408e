import numpy as np
import pytest
import torch
import torchmetrics.functional.classification as tm
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from monai.metrics import (
    compute_confusion_matrix_metric,
    compute_dice,
    compute_iou,
    get_confusion_matrix,
)
from sklearn.metrics import f1_score, jaccard_score, precision_score, recall_score

from mammostudy import evaluation
from mammostudy.errors import DataError
from mammostudy.evaluation import overlap

ALL = [overlap.dice, overlap.iou, overlap.precision, overlap.recall]
MASKS = hnp.arrays(bool, (3, 5, 4))


def square(top: int, left: int, side: int, size: int = 20) -> np.ndarray:
    mask = np.zeros((1, size, size), dtype=bool)
    mask[0, top : top + side, left : left + side] = True
    return mask


NOTHING = square(0, 0, 0)


@pytest.mark.parametrize(
    ("prediction", "truth", "expected"),
    [
        (square(0, 0, 10), square(0, 0, 10), (1, 1, 1, 1)),
        (square(0, 0, 10), square(0, 5, 10), (0.5, 1 / 3, 0.5, 0.5)),
        (square(2, 2, 5), square(0, 0, 10), (50 / 125, 0.25, 1, 0.25)),
        (square(0, 0, 20), square(0, 0, 10), (200 / 500, 0.25, 0.25, 1)),
        (square(0, 0, 5), square(10, 10, 5), (0, 0, 0, 0)),
        (NOTHING, NOTHING, (1, 1, 1, 1)),
        (NOTHING, square(0, 0, 5), (0, 0, 0, 0)),
        (square(0, 0, 5), NOTHING, (0, 0, 0, 0)),
    ],
    ids=["same", "half", "inside", "everything", "apart", "both empty", "missed", "invented"],
)
def test_analytic_table(prediction, truth, expected):
    found = [metric(prediction, truth) for metric in ALL]
    assert all(each.shape == (1,) and each.dtype == np.float64 for each in found)
    np.testing.assert_allclose(np.concatenate(found), expected)


@settings(max_examples=30)
@given(MASKS, MASKS)
def test_agrees_with_scikit_learn_and_torchmetrics(a, b):
    pairs = [(f1_score, overlap.dice), (jaccard_score, overlap.iou)]
    pairs += [(precision_score, overlap.precision), (recall_score, overlap.recall)]
    for oracle, metric in pairs:
        for i, score in enumerate(metric(a, b)):
            if a[i].any() and b[i].any():
                assert score == pytest.approx(oracle(b[i].ravel(), a[i].ravel(), zero_division=0))
    for i, (d, j) in enumerate(zip(overlap.dice(a, b), overlap.iou(a, b), strict=True)):
        if a[i].any() and b[i].any():
            p, t = torch.from_numpy(a[i].astype(int)), torch.from_numpy(b[i].astype(int))
            assert d == pytest.approx(tm.binary_f1_score(p, t).item(), abs=1e-6)
            assert j == pytest.approx(tm.binary_jaccard_index(p, t).item(), abs=1e-6)
            share, found = overlap.precision(a, b)[i], overlap.recall(a, b)[i]
            assert share == pytest.approx(tm.binary_precision(p, t).item(), abs=1e-6)
            assert found == pytest.approx(tm.binary_recall(p, t).item(), abs=1e-6)


MONAI = {
    overlap.dice: lambda p, t: compute_dice(p, t, include_background=True),
    overlap.iou: lambda p, t: compute_iou(p, t, include_background=True),
    overlap.precision: lambda p, t: from_confusion("precision", p, t),
    overlap.recall: lambda p, t: from_confusion("sensitivity", p, t),
}


def from_confusion(name: str, p: torch.Tensor, t: torch.Tensor) -> torch.Tensor:
    matrix = get_confusion_matrix(p, t, include_background=True)
    return compute_confusion_matrix_metric(name, matrix)


def by_monai(metric, a: np.ndarray, b: np.ndarray) -> np.ndarray:
    p, t = (torch.from_numpy(each[:, None].astype(np.float32)) for each in (a, b))
    return MONAI[metric](p, t)[:, 0].numpy()


@settings(max_examples=40)
@given(MASKS, MASKS)
def test_agrees_with_monai_where_it_has_a_number(a, b):
    for metric in ALL:
        found, oracle = metric(a, b), by_monai(metric, a, b)
        known = np.isfinite(oracle) & b.any(axis=(1, 2))
        np.testing.assert_allclose(found[known], oracle[known], atol=1e-6)
        assert np.isfinite(found).all()


@pytest.mark.parametrize("metric", ALL)
def test_where_monai_has_no_number_there_is_one_here(metric):
    """Both empty: agreement. An invented or a missed mass: the worst value."""
    empty, some = NOTHING, square(0, 0, 5)
    pairs = [(empty, empty, 1.0), (some, empty, 0.0), (empty, some, 0.0)]
    without = [np.isnan(by_monai(metric, a, b)[0]) for a, b, _ in pairs]
    assert without[0]
    assert any(without[1:])
    assert [metric(a, b)[0] for a, b, _ in pairs] == [value for *_, value in pairs]


@given(MASKS, MASKS)
def test_identities(a, b):
    d = overlap.dice(a, b)
    np.testing.assert_allclose(overlap.iou(a, b), d / (2 - d))
    np.testing.assert_array_equal(d, overlap.dice(b, a))
    np.testing.assert_array_equal(overlap.iou(a, b), overlap.iou(b, a))
    np.testing.assert_array_equal(overlap.precision(a, b), overlap.recall(b, a))
    for metric in ALL:
        np.testing.assert_array_equal(metric(a, a), 1)
        assert ((metric(a, b) >= 0) & (metric(a, b) <= 1)).all()


@given(MASKS, st.permutations(range(3)))
def test_cases_do_not_touch_each_other(a, order):
    b = np.roll(a, 1, axis=2)
    np.testing.assert_array_equal(overlap.dice(a, b)[order], overlap.dice(a[order], b[order]))


BAD = [
    (np.zeros((1, 4, 4)), np.zeros((1, 4, 4), bool), "boolean"),
    (np.zeros((1, 4, 4), bool), np.zeros((1, 4, 4), np.uint8), "boolean"),
    (np.zeros((1, 4, 4), bool), np.zeros((1, 4, 5), bool), r"\(1, 4, 5\)"),
    (np.zeros((1, 4, 4), bool), np.zeros((2, 4, 4), bool), r"\(2, 4, 4\)"),
    (np.zeros((4, 4), bool), np.zeros((4, 4), bool), r"\(n, h, w\)"),
]


@pytest.mark.parametrize("metric", ALL)
@pytest.mark.parametrize(("prediction", "truth", "message"), BAD)
def test_refuses_what_is_not_a_pair_of_masks(metric, prediction, truth, message):
    with pytest.raises(DataError, match=message):
        metric(prediction, truth)


def test_control_without_the_guard_broadcasting_would_pass(monkeypatch):
    one, two = np.ones((1, 4, 4), bool), np.ones((2, 4, 4), bool)
    monkeypatch.setattr(overlap, "check_masks", lambda *_: None)
    assert overlap.iou(one, two).shape == (2,)


def test_room_offers_every_metric_lazily():
    assert evaluation.dice is overlap.dice
    assert set(evaluation.__all__) == set(dir(evaluation))
    for name in evaluation.__all__:
        assert callable(getattr(evaluation, name))
