"""Masks on the classifier's grid: what stretching loses; the way between the shapes."""

import numpy as np
import pytest

from mammostudy.errors import DataError
from mammostudy.imaging.contours import box_of, inscribed_ellipse
from mammostudy.imaging.shape_features import FEATURES, shape_features
from mammostudy.imaging.shape_masks import largest_part, place_mask, shape_between

CIRCLE = inscribed_ellipse((60, 60, 124, 124), (200, 240))
OVAL = inscribed_ellipse((40, 70, 168, 134), (200, 240))


def dice(one, two):
    return 2 * (one & two).sum() / (one.sum() + two.sum())


@pytest.mark.parametrize("placement", ["stretch", "square"])
@pytest.mark.parametrize("keep_scale", [False, True])
def test_place_does_not_matter(placement, keep_scale):
    moved = np.roll(OVAL, (-30, 40), axis=(0, 1))
    one, two = (place_mask(m, 64, placement, keep_scale=keep_scale) for m in (OVAL, moved))
    assert dice(one, two) > 0.98
    x_min, y_min, x_max, y_max = box_of(one)
    assert abs(x_min + x_max - 64) <= 1
    assert abs(y_min + y_max - 64) <= 1


@pytest.mark.parametrize("side", [16, 32, 150])
def test_size_is_lost_unless_it_is_kept(side):
    disc = inscribed_ellipse((20, 20, 20 + side, 20 + side), (200, 200))
    box = box_of(place_mask(disc, placement="square"))
    assert box[2] - box[0] == pytest.approx(32, abs=1)
    kept = box_of(place_mask(disc, placement="square", keep_scale=True))
    assert kept[2] - kept[0] == pytest.approx(side * 64 / 200, abs=2)


def test_only_the_largest_part_counts():
    speck = OVAL.copy()
    speck[0:3, 230:233] = True
    assert (largest_part(speck) == OVAL).all()
    assert (place_mask(speck) == place_mask(OVAL)).all()
    mask = np.zeros((6, 6), bool)  # corners join a part, and the first of equal ones is kept
    mask[0, 0] = mask[1, 1] = mask[4, 4] = mask[5, 5] = True
    assert np.argwhere(largest_part(mask)).tolist() == [[0, 0], [1, 1]]


def test_what_has_no_place_on_the_grid_is_refused():
    with pytest.raises(DataError, match="'fit'"):
        place_mask(OVAL, placement="fit")
    with pytest.raises(DataError, match="empty: it has no shape"):
        place_mask(np.zeros((9, 9), bool))
    with pytest.raises(DataError, match="window = 100 pixels would cut the mass"):
        place_mask(OVAL, keep_scale=True, window=100)
    tiny = np.zeros((900, 900), bool)
    tiny[4, 4] = True
    with pytest.raises(DataError, match="vanishes at 64 x 64"):
        place_mask(tiny, keep_scale=True)


def features(position):
    return dict(zip(FEATURES, shape_features(shape_between(position, 128)), strict=True))


@pytest.mark.parametrize("position", np.linspace(0, 3, 7))
def test_the_area_stays_and_the_mask_is_one_part_in_the_middle(position):
    mask = shape_between(position)
    assert mask.sum() == pytest.approx(np.pi * 16**2, rel=0.03)
    assert (largest_part(mask) == mask).all()
    assert mask[1:-1, 1:-1].sum() == mask.sum()


def test_the_four_shapes_on_the_way():
    disc, oval, lobular, irregular = (features(position) for position in range(4))
    assert disc["eccentricity"] < 0.1
    assert oval["eccentricity"] == pytest.approx(0.8, abs=0.02)
    assert lobular["fourier_-3"] > 5 * max(disc["fourier_-3"], oval["fourier_-3"])
    solid = [shape["solidity"] for shape in (oval, lobular, irregular)]
    assert solid[0] > 0.97 > 0.95 > solid[1] > 0.85 > solid[2]
    compact = [shape["compactness"] for shape in (disc, oval, lobular, irregular)]
    assert compact == sorted(compact, reverse=True)


def test_golden_numbers():
    areas = [int(shape_between(position / 2).sum()) for position in range(7)]
    assert areas == [812, 796, 804, 808, 804, 805, 804]
    placed = [int(place_mask(OVAL, placement=name).sum()) for name in ("stretch", "square")]
    assert placed == [812, 404]
