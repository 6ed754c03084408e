"""How an image gets into a detector and boxes out of it: by hand, and there and back."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from mammostudy.errors import DataError, SpecError
from mammostudy.models import build_detector
from mammostudy.models.detectors import common
from mammostudy.models.detectors.common import (
    LARGEST,
    box_side_quantiles,
    check_fields,
    level_sides,
    place,
)
from mammostudy.models.detectors.pyramids import RETINA_STRIDES, pyramid_sizes
from mammostudy.models.detectors.ssd import STRIDES

SIDES = (0.04, 0.09, 0.2)


def test_letterbox_by_hand() -> None:
    square, where = place(torch.ones(1, 50, 100), 64, "letterbox")
    assert square.shape == (1, 64, 64)
    assert square[0].any(dim=1).tolist() == [False] * 16 + [True] * 32 + [False] * 16
    boxes = torch.tensor([[0.0, 0, 100, 50], [50, 25, 100, 50]])
    assert where.to_square(boxes).tolist() == [[0, 16, 64, 48], [32, 32, 64, 48]]
    # the first lies in the padding
    found = {"boxes": torch.tensor([[0.0, 0, 20, 10], [0, 16, 32, 48]]), "scores": torch.ones(2)}
    assert common._on_image(found, where)["boxes"].tolist() == [[0, 0, 50, 50]]


@settings(max_examples=60, deadline=None)
@given(
    height=st.integers(1, 300),
    width=st.integers(1, 300),
    size=st.integers(64, 320),
    aspect=st.sampled_from(["stretch", "letterbox"]),
    shares=st.tuples(*[st.floats(0, 1)] * 4),
)
def test_there_and_back(height, width, size, aspect, shares) -> None:
    (x_min, x_max), (y_min, y_max) = sorted(shares[:2]), sorted(shares[2:])
    box = torch.tensor([[x_min * width, y_min * height, x_max * width, y_max * height]])
    square, where = place(torch.zeros(1, height, width), size, aspect)
    assert square.shape == (1, size, size)
    inside = where.to_square(box)
    assert inside.min() >= -1e-3
    assert inside.max() <= size + 1e-3
    torch.testing.assert_close(where.to_image(inside), box, atol=2e-3, rtol=1e-4)


@pytest.mark.parametrize("image", [
    torch.rand(2, 8, 8), torch.rand(8, 8), torch.rand(1, 0, 8),
    torch.rand(1, 8, 8, dtype=torch.float64), torch.full((1, 8, 8), 255.0),
    torch.full((1, 8, 8), -1.0), torch.full((1, 8, 8), float("nan")),
], ids=range(7))  # fmt: skip
def test_images_are_refused_by_index(image) -> None:
    with pytest.raises(DataError, match="image 1 "):
        common._check_images([torch.rand(1, 8, 9), image])


def test_boxes_are_refused_by_index() -> None:
    images, sound = [torch.rand(1, 8, 9)] * 2, torch.tensor([[0.0, 0, 9, 8], [0, 0, 4, 4]])
    free = {"boxes": torch.zeros(0, 4)}
    for faulty in ((5, 5, 5, 9), (6, 5, 5, 9), (0, 0, 9, 8.5), (-1, 0, 4, 4), (0, 0, math.nan, 4)):
        boxes = torch.cat([sound, torch.tensor([faulty])])
        with pytest.raises(DataError, match="of image 1"):
            common._check_boxes(images, [free, {"boxes": boxes}])
    common._check_boxes(images, [{"boxes": sound}, free])  # control


def test_sides_by_hand() -> None:
    boxes = [(0, 0, 10, 40), (5, 5, 25, 25)]  # both 20 pixels by area
    sizes = [(100, 100), (100, 400)]
    assert box_side_quantiles(boxes, sizes) == (0.105, 0.125, 0.15, 0.175, 0.195)
    assert box_side_quantiles(boxes, sizes, "letterbox")[0] == pytest.approx(0.0575)


def test_levels_by_hand() -> None:
    strides = [8 / 300, 16 / 300, 32 / 300, 64 / 300, 1 / 3, 1]
    sides = level_sides(SIDES, strides)
    # The three maps whose stride is below 20 %, the first two raised to 1.8 strides.
    assert sides[:3] == pytest.approx([1.8 * 8 / 300, 1.8 * 16 / 300, 0.2])
    ratio = (LARGEST / 0.2) ** (1 / 4)
    assert sides[3:] == pytest.approx([0.2 * ratio**n for n in (1, 2, 3, 4)])
    assert max(level_sides((0.2, 1.0), (0.3, 0.7, 1.0))[:-1]) == 1.0  # none beyond the image


def test_pyramid_sizes_by_hand() -> None:
    one = pyramid_sizes((0.05, 0.2), (4, 8, 16, 32, 64), 320, 1)
    assert one == ((16,), (23,), (32,), (58,), (115,))  # the last two 1.8 strides
    three = pyramid_sizes((0.05, 0.2), (8, 16, 32, 64, 128), 320, 3)
    assert three[0] == (16, 19, 24)  # thirds of the way to the next level's 29
    assert [len(level) for level in three] == [3] * 5


def test_sides_are_refused_by_name() -> None:
    check_fields("cohort", SIDES, 64, 64)  # control
    wrong = {"default": [SIDES], "cohort": [(0.1,), (0.2, 0.1), (0.0, 0.1), (0.1, 1.2)]}
    for anchors, choices in wrong.items():
        for sides in choices:
            with pytest.raises(SpecError, match="box_sides"):
                check_fields(anchors, sides, 64, 64)


def test_boxes_of_a_cohort_reach_the_network() -> None:
    light = build_detector("ssd-light", size=320, anchors="cohort", box_sides=SIDES).network
    sides = level_sides(SIDES, [stride / 320 for stride in STRIDES["ssd-light"]])
    assert light.anchor_generator.scales == pytest.approx(sides)
    pyramid = build_detector("retinanet", size=64, anchors="cohort", box_sides=SIDES).network
    sizes = pyramid_sizes(SIDES, RETINA_STRIDES, 64, 3)
    assert pyramid.anchor_generator.sizes == sizes
