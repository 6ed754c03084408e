"""Default boxes and anchors from box sides: by hand, and against brute force on masses."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from mammostudy.models.detectors.anchors import ssd_scales
from torchvision.models.detection.image_list import ImageList
from torchvision.ops import box_iou

from mammostudy.errors import DataError, SpecError
from mammostudy.models import build_detector
from mammostudy.models.common import check_sides
from mammostudy.models.detectors.common import LARGEST, Anchors, box_side_quantiles, level_sides
from mammostudy.models.detectors.pyramids import pyramid_sizes

SIDES = (0.04, 0.09, 0.2)


def test_sides_by_hand() -> None:
    boxes = [(0, 0, 10, 40), (5, 5, 25, 25)]  # both 20 pixels by area
    sizes = [(100, 100), (100, 400)]
    assert box_side_quantiles(boxes, sizes, quantiles=(0, 1)) == (0.1, 0.2)
    assert box_side_quantiles(boxes, sizes, "letterbox", quantiles=(0, 1)) == (0.05, 0.2)
    assert len(box_side_quantiles(boxes, sizes)) == 5


@pytest.mark.parametrize(
    ("boxes", "sizes", "message"),
    [
        ([], [], "0 boxes"),
        ([(0, 0, 4, 4)], [(9, 9), (9, 9)], "1 boxes and 2 image sizes"),
        ([(0, 0, 4, 4), (3, 3, 3, 9)], [(9, 9), (9, 9)], "box 1 has no area"),
    ],
)
def test_boxes_that_have_no_sides(boxes: object, sizes: object, message: str) -> None:
    with pytest.raises(DataError, match=message):
        box_side_quantiles(boxes, sizes)  # type: ignore[arg-type]


def test_levels_by_hand() -> None:
    strides = [8 / 300, 16 / 300, 32 / 300, 64 / 300, 1 / 3, 1]
    sides = level_sides(SIDES, strides)
    # The three maps whose stride is below 20 %, the first two raised to 1.8 strides.
    assert sides[:3] == pytest.approx([1.8 * 8 / 300, 1.8 * 16 / 300, 0.2])
    ratio = (LARGEST / 0.2) ** (1 / 4)
    assert sides[3:] == pytest.approx([0.2 * ratio**n for n in (1, 2, 3, 4)])
    assert ssd_scales(SIDES, strides) == sides


@pytest.mark.parametrize(("sides", "fitted"), [((0.06, 0.09), 2), ((0.3, 0.95), 4), (SIDES, 3)])
def test_levels_rise_and_cover_the_sides(sides: tuple[float, ...], fitted: int) -> None:
    found = level_sides(sides, (0.02, 0.05, 0.1, 0.5))
    assert len(found) == 5
    assert found == sorted(found)
    assert found[0] == pytest.approx(sides[0])
    assert found[fitted - 1] == pytest.approx(sides[-1])
    assert found[-1] == pytest.approx(LARGEST)


def test_no_side_goes_beyond_the_image() -> None:
    assert max(level_sides((0.2, 1.0), (0.3, 0.7, 1.0))[:-1]) == 1.0


def test_pyramid_sizes_by_hand() -> None:
    one = pyramid_sizes((0.05, 0.2), (4, 8, 16, 32, 64), 320, 1)
    assert one == ((16,), (23,), (32,), (58,), (115,))  # the last two 1.8 strides
    three = pyramid_sizes((0.05, 0.2), (8, 16, 32, 64, 128), 320, 3)
    assert three[0] == (16, 19, 24)  # thirds of the way to the next level's 29
    assert [len(level) for level in three] == [3] * 5
    flat = [size for level in three for size in level]
    assert flat == sorted(flat)


@pytest.mark.parametrize(
    ("anchors", "sides", "message"),
    [
        ("default", SIDES, "belong to anchors = 'cohort'"),
        ("cohort", (), "needs box_sides"),
        ("cohort", (0.1,), "needs box_sides"),
        ("cohort", (0.2, 0.1), "must rise"),
        ("cohort", (0.0, 0.1), "must rise"),
        ("cohort", (0.1, 1.2), "must rise"),
    ],
)
def test_sides_are_refused_by_name(
    anchors: Anchors, sides: tuple[float, ...], message: str
) -> None:
    with pytest.raises(SpecError, match=message):
        check_sides(anchors, sides)
    check_sides("cohort", SIDES)  # control


def best_overlaps(generator: object, maps: list[int], size: int) -> np.ndarray:
    """The IoU of the best default box, over 300 masses of the cohort's sizes anywhere."""
    rng = np.random.default_rng(0)
    sides = size * np.exp(rng.uniform(np.log(SIDES[0]), np.log(SIDES[-1]), 300))
    ratios = np.exp(rng.uniform(-0.4, 0.4, 300))
    half = np.stack([sides * np.sqrt(ratios), sides / np.sqrt(ratios)], axis=1) / 2
    centres = rng.uniform(half, size - half)
    masses = torch.tensor(np.hstack([centres - half, centres + half]), dtype=torch.float32)
    images = ImageList(torch.zeros(1, 3, size, size), [(size, size)])
    boxes = generator(images, [torch.zeros(1, 1, side, side) for side in maps])[0]  # type: ignore[operator]
    return box_iou(masses, boxes).max(dim=1).values.numpy()


@pytest.mark.parametrize(
    ("name", "maps"),
    [("ssd-light", [40, 20, 10, 5]), ("ssdlite-mobilenetv3", [20, 10, 5, 3, 2, 1])],
)  # the second has no map finer than 16 pixels, and misses a third even so
def test_fitted_boxes_meet_masses_that_torchvisions_miss(name: str, maps: list[int]) -> None:
    shares = {}
    for anchors, sides in (("default", ()), ("cohort", SIDES)):
        model = build_detector(name, anchors=anchors, box_sides=sides)
        overlaps = best_overlaps(model.network.anchor_generator, maps, 320)
        shares[anchors] = float((overlaps >= 0.5).mean())
    assert shares["cohort"] > shares["default"] + 0.2
