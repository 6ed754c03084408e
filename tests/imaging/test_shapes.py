"""Shapes: what geometry says of their features; masks on the classifier's grid; ways between."""

import numpy as np
import pytest
from sklearn.metrics import f1_score

from mammostudy.errors import DataError
from mammostudy.imaging.contours import box_of, inscribed_ellipse
from mammostudy.imaging.shape_features import FEATURES, HARMONICS, features_of, shape_features
from mammostudy.imaging.shape_masks import largest_part, place_mask, shape_between


def measure(mask):
    return dict(zip(FEATURES, shape_features(mask), strict=True))


DISC = inscribed_ellipse((20, 20, 180, 180), (200, 200))
ELLIPSE = inscribed_ellipse((20, 60, 180, 140), (200, 200))
SQUARE = np.pad(np.ones((140, 140), bool), 30)
OVAL = inscribed_ellipse((40, 70, 168, 134), (200, 240))


def test_disc():
    found = measure(DISC)
    assert found["area_ratio"] == pytest.approx(np.pi / 4, rel=0.005)
    assert found["eccentricity"] == pytest.approx(0, abs=0.02)
    assert found["solidity"] == pytest.approx(1, abs=0.01)
    assert found["compactness"] == pytest.approx(1, abs=0.01)
    assert found["radial_mean"] == pytest.approx(1, abs=0.01)
    assert found["radial_sd"] == pytest.approx(0, abs=0.005)
    assert found["hu_1"] == pytest.approx(1 / (2 * np.pi), rel=1e-3)
    rest = [found[f"fourier_{k}"] for k in HARMONICS] + [found[f"hu_{i}"] for i in range(2, 8)]
    assert rest == pytest.approx([0] * len(rest), abs=0.003)


def test_ellipse_of_two_to_one():
    a, b, found = 80, 40, measure(ELLIPSE)
    angle = np.linspace(0, 2 * np.pi, 10**4)
    perimeter = np.hypot(a * np.sin(angle), b * np.cos(angle)).mean() * 2 * np.pi
    assert found["eccentricity"] == pytest.approx(np.sqrt(3) / 2, abs=0.005)
    assert found["compactness"] == pytest.approx(4 * np.pi**2 * a * b / perimeter**2, rel=0.02)
    assert found["hu_1"] == pytest.approx((a**2 + b**2) / (4 * np.pi * a * b), rel=0.005)
    assert found["hu_2"] == pytest.approx((a**2 - b**2) / (4 * np.pi * a * b), rel=0.005)
    assert max(HARMONICS, key=lambda k: found[f"fourier_{k}"]) == -1
    even = [found[f"fourier_{k}"] for k in HARMONICS if k % 2 == 0]
    assert even == pytest.approx([0] * len(even), abs=0.003)


def test_square():
    found = measure(SQUARE)
    assert found["area_ratio"] == found["solidity"] == 1
    assert found["eccentricity"] == pytest.approx(0, abs=1e-6)
    assert found["compactness"] == pytest.approx(np.pi / 4, rel=0.02)
    assert found["hu_1"] == pytest.approx(1 / 6, rel=1e-3)
    # the distance to a side from the middle, over that to a corner
    mean = (np.sqrt(2) + np.arcsinh(1)) / 2 / np.sqrt(2)
    assert found["radial_mean"] == pytest.approx(mean, abs=0.01)
    assert max(HARMONICS, key=lambda k: found[f"fourier_{k}"]) == -3


def test_a_turn_of_any_angle_changes_only_the_upright_box():
    y, x = np.mgrid[-150:151, -150:151]
    turned = []
    for angle in np.radians([0, 25, 60]):
        u, v = x * np.cos(angle) + y * np.sin(angle), y * np.cos(angle) - x * np.sin(angle)
        turned.append(shape_features((u / 110) ** 2 + (v / 60) ** 2 <= 1))
    for other in turned[1:]:
        assert other[1:] == pytest.approx(turned[0][1:], abs=0.01)
        assert other[0] != pytest.approx(turned[0][0], abs=0.05)


def test_holes_are_filled_and_specks_left_out():
    spoilt = DISC.copy()
    spoilt[90:110, 90:110] = False
    spoilt[0:4, 0:4] = True
    assert (shape_features(spoilt) == shape_features(DISC)).all()


@pytest.mark.parametrize("shape", [(1, 1), (1, 5), (2, 2)])
def test_a_few_pixels_are_measured_too(shape):
    found = shape_features(np.ones(shape, bool))
    assert found.shape == (len(FEATURES),) == (27,)
    assert np.isfinite(found).all()


@pytest.mark.parametrize("placement", ["stretch", "square"])
@pytest.mark.parametrize("keep_scale", [False, True])
def test_place_does_not_matter(placement, keep_scale):
    moved = np.roll(OVAL, (-30, 40), axis=(0, 1))
    one, two = (place_mask(m, 64, placement, keep_scale=keep_scale) for m in (OVAL, moved))
    assert f1_score(one.ravel(), two.ravel()) > 0.98
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


@pytest.mark.parametrize("position", np.linspace(0, 3, 7))
def test_the_area_stays_and_the_mask_is_one_part_in_the_middle(position):
    mask = shape_between(position)
    assert mask.sum() == pytest.approx(np.pi * 16**2, rel=0.03)
    assert (largest_part(mask) == mask).all()
    assert mask[1:-1, 1:-1].sum() == mask.sum()


def test_the_four_shapes_on_the_way():
    shapes = [measure(shape_between(position, 128)) for position in range(4)]
    disc, oval, lobular, _ = shapes
    assert disc["eccentricity"] < 0.1
    assert oval["eccentricity"] == pytest.approx(0.8, abs=0.02)
    assert lobular["fourier_-3"] > 5 * max(disc["fourier_-3"], oval["fourier_-3"])
    solid = [shape["solidity"] for shape in shapes[1:]]
    assert solid[0] > 0.97 > 0.95 > solid[1] > 0.85 > solid[2]
    compact = [shape["compactness"] for shape in shapes]
    assert compact == sorted(compact, reverse=True)


GOLDEN = [0.54524, 0.42001, 0.83871, 0.58797, 0.7772, 0.08653, 0.04453, 0.01364, 0.02038, 0.04128,
          0.01103, 0.07281, 0.00421, 0.04573, 0.01704, 0.01642, 0.0154, 0.03326, 0.00632, 0.01124,
          0.1676, 0.01621, 0.00543, 0.00063, 0.00106, 0.00178, 0.00084]  # fmt: skip


def test_golden_numbers():
    found = shape_features(shape_between(2.6, 128))
    assert found == pytest.approx(GOLDEN, abs=1e-4)
    table = features_of([DISC, ELLIPSE[40:160]])
    assert (table[0] == shape_features(DISC)).all()
    assert features_of([]).shape == (0, len(FEATURES))
    areas = [int(shape_between(position / 2).sum()) for position in range(7)]
    assert areas == [812, 796, 804, 808, 804, 805, 804]
    placed = [int(place_mask(OVAL, placement=name).sum()) for name in ("stretch", "square")]
    assert placed == [812, 404]
