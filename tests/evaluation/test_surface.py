import math
import time

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis.extra import numpy as hnp
from monai.metrics import compute_average_surface_distance, compute_hausdorff_distance
from scipy.spatial.distance import cdist

from mammostudy.errors import DataError
from mammostudy.evaluation import surface
from mammostudy.evaluation.surface import assd, diagonal, hd95

EMPTY = np.zeros((1, 30, 40), dtype=bool)


def square(top: int, left: int, side: int) -> np.ndarray:
    mask = EMPTY.copy()
    mask[0, top : top + side, left : left + side] = True
    return mask


def disc(radius: float, size: int = 101) -> np.ndarray:
    y, x = np.mgrid[:size, :size] - size // 2
    return (np.hypot(x, y) <= radius)[None]


@pytest.mark.parametrize(
    ("prediction", "truth", "far", "mean"),
    [
        (square(5, 5, 7), square(5, 5, 7), 0, 0),
        (square(5, 5, 1), square(5, 15, 1), 10, 10),
        (square(5, 5, 1), square(8, 9, 1), 5, 5),
        (EMPTY, EMPTY, 0, 0),
        (EMPTY, square(5, 5, 7), 50, 50),
        (square(5, 5, 7), EMPTY, 50, 50),
    ],
    ids=["same", "across", "3-4-5", "both empty", "missed", "invented"],
)
def test_analytic_table(prediction, truth, far, mean):
    assert hd95(prediction, truth) == pytest.approx([far])
    assert assd(prediction, truth) == pytest.approx([mean])


def test_concentric_discs_are_their_difference_in_radius_apart():
    assert hd95(disc(40), disc(30))[0] == pytest.approx(10, abs=0.75)
    assert assd(disc(40), disc(30))[0] == pytest.approx(10, abs=0.5)


def monai_pair(a: np.ndarray, b: np.ndarray, spacing: object) -> tuple[float, float]:
    p, t = (torch.from_numpy(each[None, None].astype(np.float32)) for each in (a, b))
    far = compute_hausdorff_distance(p, t, include_background=True, percentile=95, spacing=spacing)
    mean = compute_average_surface_distance(
        p, t, include_background=True, symmetric=True, spacing=spacing
    )
    return far.item(), mean.item()


@settings(deadline=None, max_examples=30)
@given(hnp.arrays(bool, (9, 12)), hnp.arrays(bool, (9, 12)))
def test_agrees_with_monai(a, b):
    if not (a.any() and b.any()):
        return
    for spacing in (1.0, 0.2, (0.5, 2.0)):
        far, mean = monai_pair(a, b, spacing)
        assert hd95(a[None], b[None], spacing)[0] == pytest.approx(far, rel=1e-6, abs=1e-6)
        assert assd(a[None], b[None], spacing)[0] == pytest.approx(mean, rel=1e-6, abs=1e-6)


def outline(mask: np.ndarray, spacing: tuple[float, float]) -> np.ndarray:
    """The places of pixels with a neighbour across an edge that is no mass."""
    padded = np.pad(mask, 1)
    inner = padded[:-2, 1:-1] & padded[2:, 1:-1] & padded[1:-1, :-2] & padded[1:-1, 2:]
    return np.argwhere(mask & ~inner) * spacing


@settings(max_examples=40)
@given(hnp.arrays(bool, (9, 12)), hnp.arrays(bool, (9, 12)))
def test_is_what_all_pairs_of_outline_pixels_say(a, b):
    if not (a.any() and b.any()):
        return
    for spacing in ((1.0, 1.0), (0.5, 2.0)):
        pairs = cdist(outline(a, spacing), outline(b, spacing))
        to_b, to_a = pairs.min(axis=1), pairs.min(axis=0)
        far = max(np.percentile(to_b, 95), np.percentile(to_a, 95))
        assert hd95(a[None], b[None], spacing)[0] == pytest.approx(far, abs=1e-9)
        mean = np.concatenate([to_b, to_a]).mean()
        assert assd(a[None], b[None], spacing)[0] == pytest.approx(mean, abs=1e-9)


@pytest.mark.filterwarnings("ignore:the (prediction|ground truth) of class")
def test_where_monai_has_no_number_there_is_one_here():
    """Both empty: no distance. A missed or an invented mass: the diagonal."""
    mass = square(5, 5, 7)
    for a, b, distance in ((EMPTY, EMPTY, 0), (EMPTY, mass, 50), (mass, EMPTY, 50)):
        assert not np.isfinite(monai_pair(a[0], b[0], 1.0)).any()
        assert (hd95(a, b)[0], assd(a, b)[0]) == (distance, distance)


@settings(deadline=None)
@given(hnp.arrays(bool, (2, 8, 8)), hnp.arrays(bool, (2, 8, 8)))
def test_symmetric_bounded_and_scaling_with_the_spacing(a, b):
    for metric in (hd95, assd):
        found = metric(a, b)
        np.testing.assert_allclose(found, metric(b, a))
        np.testing.assert_allclose(3 * found, metric(a, b, 3.0))
        assert (found <= diagonal((8, 8))).all()
        assert (found >= 0).all()


def test_diagonal_follows_the_spacing():
    assert diagonal((30, 40)) == 50
    assert diagonal((30, 40), (2.0, 1.0)) == pytest.approx(math.hypot(60, 40))
    assert hd95(EMPTY, square(0, 0, 3), 0.5) == pytest.approx([25])


@pytest.mark.parametrize("spacing", [0.0, -1.0, float("nan"), (1.0, 0.0)])
def test_refuses_a_spacing_that_is_not_positive(spacing):
    with pytest.raises(DataError, match="spacing"):
        hd95(EMPTY, EMPTY, spacing)


def test_refuses_masks_of_different_size():
    with pytest.raises(DataError, match="shape"):
        assd(EMPTY, EMPTY[:, :20])


def test_control_without_the_rule_for_empties_a_missed_mass_has_no_distance(monkeypatch):
    monkeypatch.setattr(surface, "diagonal", lambda *_: float("nan"))
    assert not np.isfinite(hd95(EMPTY, square(5, 5, 7))).any()


def test_a_hundred_frames_take_no_second_each():
    a, b = disc(60, 257), disc(50, 257)
    start = time.process_time()
    hd95(np.repeat(a, 20, axis=0), np.repeat(b, 20, axis=0))
    assert time.process_time() - start < 4
