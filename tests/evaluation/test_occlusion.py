"""Occlusion maps against scorers whose answer is known."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from mammostudy.errors import DataError
from mammostudy.evaluation.uncertainty import occlusion_map

Mask = NDArray[np.bool_]
SIDE = 16


def square() -> Mask:
    mask = np.zeros((SIDE, SIDE), dtype=np.bool_)
    mask[4:12, 4:12] = True
    return mask


def area(masks: Mask) -> NDArray[np.float64]:
    share = masks.mean(axis=(1, 2))
    return np.column_stack([share, 1 - share])


def corner(masks: Mask) -> NDArray[np.float64]:
    """1 while the pixel in the square's upper left corner is mass."""
    seen = masks[:, 4, 4].astype(float)
    return np.column_stack([seen, 1 - seen])


def test_area_has_the_analytic_answer_patch_by_patch():
    mask, patch = square(), 4
    found = occlusion_map(mask, 0, area, patch=patch, stride=patch)  # no two patches overlap
    assert not found.any()  # all patches lie wholly inside or outside
    shifted = np.roll(mask, (-1, -1), axis=(0, 1))  # mass 3..10: patches cut it in 1, 3 or all
    found = occlusion_map(shifted, 0, area, patch=patch, stride=patch)
    inside = np.array([1, 4, 3, 0])  # mass rows in each band of four... of rows 3..10
    mass = np.outer(inside, inside)
    removal, filling = mass / SIDE**2, (mass - patch**2) / SIDE**2
    expected = np.where(removal >= -filling, removal, filling)
    expected[(mass == 0) | (mass == patch**2)] = 0
    np.testing.assert_allclose(found, np.kron(expected, np.ones((patch, patch))), atol=1e-15)


def test_only_what_is_looked_at_shows():
    found = occlusion_map(square(), 0, corner, patch=3, stride=1)
    rows, columns = np.nonzero(found)
    assert (rows.min(), rows.max(), columns.min(), columns.max()) == (2, 6, 2, 6)
    assert found[4, 4] == found.max() == pytest.approx(8 / 9)  # the ninth patch is all mass
    assert (found >= 0).all()


def test_the_other_of_two_classes_is_the_negative():
    one = occlusion_map(square(), 0, corner)
    other = occlusion_map(square(), 1, corner)
    np.testing.assert_array_equal(one, -other)
    assert one.any()


def test_filling_counts_where_it_is_the_larger_change():
    def outside(masks: Mask) -> NDArray[np.float64]:  # falls if the mass grows at its left
        grown = masks[:, 8, 3].astype(float)
        return np.column_stack([1 - grown, grown])

    found = occlusion_map(square(), 0, outside, patch=3, stride=1)
    assert found[8, 3] > 0
    assert not found[:, 8:].any()


def test_the_mask_is_scored_once_and_first_and_never_empty():
    seen = []

    def spy(masks: Mask) -> NDArray[np.float64]:
        seen.append(masks.copy())
        return area(masks)

    small = np.zeros((SIDE, SIDE), dtype=np.bool_)
    small[7:9, 7:9] = True
    found = occlusion_map(small, 0, spy, patch=9)
    (masks,) = seen
    np.testing.assert_array_equal(masks[0], small)
    assert masks.any(axis=(1, 2)).all()
    assert (found <= 0).all()
    assert found.min() < 0  # only the fillings are left, and the area grows


def test_turning_the_mask_turns_the_map():
    rng = np.random.default_rng(0)
    weights = rng.standard_normal((SIDE, SIDE))
    mask = square()
    mask[4:7, 4:6] = False

    def linear(weights: NDArray[np.float64], masks: Mask) -> NDArray[np.float64]:
        return (masks * weights).sum(axis=(1, 2))[:, None]

    found = occlusion_map(mask, 0, lambda m: linear(weights, m), patch=4, stride=3)
    turned = np.rot90(weights)
    again = occlusion_map(np.rot90(mask), 0, lambda m: linear(turned, m), patch=4, stride=3)
    np.testing.assert_allclose(np.rot90(found), again, atol=1e-12)  # 16 - 4 is a multiple of 3


@pytest.mark.parametrize(
    ("mask", "fields", "message"),
    [
        (np.zeros((8, 8), dtype=bool), {}, "empty"),
        (np.ones((8, 9), dtype=bool), {}, r"shape \(8, 9\)"),
        (np.ones((8, 8)), {}, "type float64"),
        (square(), {"patch": 17}, "patch = 17 must be 1 to 16"),
        (square(), {"patch": 3, "stride": 4}, "stride = 4 must be 1 to 3"),
        (square(), {"label": 2}, "label = 2: the score has classes 0 to 1"),
        (square(), {"score": lambda masks: masks.mean(axis=(1, 2))}, "score gave shape"),
    ],
)
def test_bad_input_is_named(mask, fields, message):
    settings = {"label": 0, "score": area, **fields}
    with pytest.raises(DataError, match=message):
        occlusion_map(mask, **settings)


def test_golden_numbers():
    found = occlusion_map(square(), 0, area, patch=5, stride=3)
    assert [found[4, 4], found[11, 9], found.sum()] == pytest.approx(GOLDEN), "raise VERSION"


GOLDEN = [-0.048828125, -0.0419921875, -14.0078125]
