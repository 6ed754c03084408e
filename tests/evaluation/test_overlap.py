"""Overlap, distances and rims: analytic shapes, scikit-learn, MONAI and scipy as oracles."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis.extra import numpy as hnp
from scipy import ndimage

from mammostudy.errors import DataError
from mammostudy.evaluation.overlap import assd, boundary_iou, dice, hd95, iou, precision, recall

ALL = [dice, iou, precision, recall]
MASKS = hnp.arrays(bool, (3, 5, 4))


def square(top, left, side, shape=(30, 40)):
    mask = np.zeros((1, *shape), dtype=bool)
    mask[0, top : top + side, left : left + side] = True
    return mask


EMPTY = square(0, 0, 0)


@pytest.fixture(scope="module")
def monai():
    from monai import metrics  # seconds: only where it is asked

    return metrics


@pytest.mark.parametrize(
    ("prediction", "truth", "expected"),
    [
        (square(0, 0, 10), square(0, 0, 10), (1, 1, 1, 1)),
        (square(0, 0, 10), square(0, 5, 10), (0.5, 1 / 3, 0.5, 0.5)),
        (square(2, 2, 5), square(0, 0, 10), (50 / 125, 0.25, 1, 0.25)),
        (square(0, 0, 20), square(0, 0, 10), (200 / 500, 0.25, 0.25, 1)),
        (square(0, 0, 5), square(10, 10, 5), (0, 0, 0, 0)),
        (EMPTY, EMPTY, (1, 1, 1, 1)),
        (EMPTY, square(0, 0, 5), (0, 0, 0, 0)),
        (square(0, 0, 5), EMPTY, (0, 0, 0, 0)),
    ],
    ids=["same", "half", "inside", "everything", "apart", "both empty", "missed", "invented"],
)
def test_analytic_table(prediction, truth, expected):
    found = [metric(prediction, truth) for metric in ALL]
    assert all(each.shape == (1,) and each.dtype == np.float64 for each in found)
    np.testing.assert_allclose(np.concatenate(found), expected)


@settings(max_examples=40)
@given(MASKS, MASKS)
def test_overlaps_are_monais_where_it_has_a_number_and_imply_each_other(monai, a, b):
    pair = [torch.from_numpy(each[:, None].astype(np.float32)) for each in (a, b)]
    for metric, judge in ((dice, monai.compute_dice), (iou, monai.compute_iou)):
        found, oracle = metric(a, b), judge(*pair, include_background=True)[:, 0].numpy()
        known = np.isfinite(oracle) & b.any(axis=(1, 2))
        np.testing.assert_allclose(found[known], oracle[known], atol=1e-6)
    assert precision(a, b) == pytest.approx(recall(b, a))
    assert dice(a, b) == pytest.approx(2 / (1 / iou(a, b).clip(1e-12) + 1), abs=1e-9)


@pytest.mark.parametrize(
    ("prediction", "truth", "distance"),
    [
        (square(5, 5, 7), square(5, 5, 7), 0),
        (square(5, 5, 1), square(5, 15, 1), 10),
        (square(5, 5, 1), square(8, 9, 1), 5),
        (EMPTY, EMPTY, 0),
        (EMPTY, square(5, 5, 7), 50),  # the diagonal of the grid
        (square(5, 5, 7), EMPTY, 50),
    ],
    ids=["same", "across", "3-4-5", "both empty", "missed", "invented"],
)
def test_distances_by_hand(prediction, truth, distance):
    for metric in (hd95, assd):
        assert metric(prediction, truth) == pytest.approx([distance])
        assert metric(prediction, truth, 0.5) == pytest.approx([distance / 2])


def monai_pair(monai, a, b, spacing):
    p, t = (torch.from_numpy(each[None, None].astype(np.float32)) for each in (a, b))
    fields = {"include_background": True, "spacing": spacing}
    far = monai.compute_hausdorff_distance(p, t, percentile=95, **fields)
    return far.item(), monai.compute_average_surface_distance(p, t, symmetric=True, **fields).item()


@settings(deadline=None, max_examples=30)
@given(hnp.arrays(bool, (9, 12)), hnp.arrays(bool, (9, 12)))
def test_distances_are_monais(monai, a, b):
    if not (a.any() and b.any()):
        return
    for spacing in ((1.0, 1.0), (0.5, 2.0)):
        found = hd95(a[None], b[None], spacing)[0], assd(a[None], b[None], spacing)[0]
        assert found == pytest.approx(monai_pair(monai, a, b, spacing), rel=1e-6, abs=1e-6)


@pytest.mark.parametrize("seed", range(3))
def test_rims_are_as_chessboard_distances_say(seed):
    rng = np.random.default_rng(seed)
    masks = [ndimage.gaussian_filter(rng.normal(size=(64, 80)), 5) > 0 for _ in range(2)]
    rims = []
    for mask in masks:
        deep = ndimage.distance_transform_cdt(np.pad(mask, 1), "chessboard")[1:-1, 1:-1]
        rims.append(mask & (deep <= round(0.02 * np.hypot(64, 80))))
    expected = (rims[0] & rims[1]).sum() / (rims[0] | rims[1]).sum()
    assert boundary_iou(*(mask[None] for mask in masks))[0] == pytest.approx(expected, abs=1e-12)


def test_rims_of_empty_and_full_images():
    empty, full = np.zeros((1, 100, 100), bool), np.ones((1, 100, 100), bool)
    assert boundary_iou(empty, empty).tolist() == boundary_iou(full, full).tolist() == [1.0]
    assert boundary_iou(empty, full).tolist() == boundary_iou(full, empty).tolist() == [0.0]
    # an edge of the image is an outline
    assert boundary_iou(full, square(20, 20, 60, (100, 100)))[0] == 0.0


@pytest.mark.parametrize("metric", [*ALL, hd95, assd, boundary_iou])
def test_refuses_what_is_not_a_pair_of_masks(metric):
    good = np.zeros((1, 4, 4), bool)
    for bad in (good.astype(float), good.astype(np.uint8), good[:, :3], good[[0, 0]], good[0]):
        for pair in ((good, bad), (bad, good)):
            with pytest.raises(DataError, match=r"prediction|truth"):
                metric(*pair)
