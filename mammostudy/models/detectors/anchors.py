"""Default boxes and anchors from the sizes of a cohort's masses.

All sizes are shares of the side of the square that the network sees: the side of a box is the
square root of its area there. torchvision's own sizes are meant for everyday photographs, whose
objects fill a third of the picture; a mass fills a tenth of a mammogram's side.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike

from mammostudy.errors import DataError, SpecError

VERSION = 1
"""Recipe version: raised by hand when other boxes come from the same sides."""
Anchors = Literal["default", "cohort"]
Aspect = Literal["stretch", "letterbox"]
LARGEST = 1.05  # SSD's closing scale: a little more than the whole image
STEPS_A_SIDE = 1.8  # least side of a map's boxes, in strides: met most drawn masses of 4 to 20 %
QUANTILES = (0.05, 0.25, 0.5, 0.75, 0.95)


def box_side_quantiles(
    boxes: ArrayLike,
    image_sizes: ArrayLike,
    aspect: Aspect = "stretch",
    quantiles: Sequence[float] = QUANTILES,
) -> tuple[float, ...]:
    """Measure the boxes of training masses, for the field ``box_sides`` of a detector.

    Args:
        boxes: ``(k, 4)``, (x_min, y_min, x_max, y_max), half-open, pixels.
        image_sizes: ``(k, 2)``, (height, width) of the image of each box, pixels.
        aspect: how the detector brings images to its square; a letterbox measures both sides of
            a box against the image's longer side.
        quantiles: which, each in [0, 1].

    Returns:
        The quantiles of the sides, shares in (0, 1], rounded to four places.

    Raises:
        DataError: no box, or one without an area.
    """
    corners = np.asarray(boxes, dtype=np.float64).reshape(-1, 4)
    sizes = np.asarray(image_sizes, dtype=np.float64).reshape(-1, 2)
    if not len(corners) or len(corners) != len(sizes):
        msg = (
            f"box sides: {len(corners)} boxes and {len(sizes)} image sizes; give one each, or more"
        )
        raise DataError(msg)
    widths, heights = (corners[:, 2:] - corners[:, :2]).T
    if min(widths.min(), heights.min()) <= 0:
        msg = f"box sides: box {int(np.argmin(np.minimum(widths, heights)))} has no area"
        raise DataError(msg)
    if aspect == "letterbox":
        sizes = np.repeat(sizes.max(axis=1, keepdims=True), 2, axis=1)
    shares = np.sqrt(widths * heights / (sizes[:, 0] * sizes[:, 1]))
    return tuple(round(float(side), 4) for side in np.quantile(shares, quantiles))


def check_sides(anchors: Anchors, box_sides: Sequence[float]) -> None:
    """Refuse sides that no box of an image can have, and fields that contradict each other.

    Raises:
        SpecError: naming the field.
    """
    if anchors == "default" and box_sides:
        msg = "box_sides belong to anchors = 'cohort': set that, or leave box_sides out"
        raise SpecError(msg)
    if anchors == "cohort" and len(box_sides) < 2:
        msg = "anchors = 'cohort' needs box_sides, two or more quantiles of the masses' box sides"
        raise SpecError(msg)
    if any(not 0 < side <= 1 for side in box_sides) or list(box_sides) != sorted(box_sides):
        msg = f"box_sides = {tuple(box_sides)} must rise, each a share of the image side in (0, 1]"
        raise SpecError(msg)


def level_sides(box_sides: Sequence[float], strides: Sequence[float]) -> list[float]:
    """Give each feature map the side of the boxes it answers for, the finest map the smallest.

    Maps whose stride is not longer than the largest of the sides (two at least) share the sides
    among them, at even steps of their distribution, but none goes below 1.8 times its stride:
    smaller masses would slip through its grid. Coarser maps go on in even ratios to the whole
    image.

    Args:
        box_sides: rising shares; read as evenly spaced quantiles.
        strides: of the feature maps, shares of the image side, rising.

    Returns:
        A rising share for each map, and one more that closes the series (:data:`LARGEST`).
    """
    fitted = min(max(2, sum(stride <= box_sides[-1] for stride in strides)), len(strides))
    places = np.linspace(0, 1, fitted)
    logs = np.interp(places, np.linspace(0, 1, len(box_sides)), np.log(box_sides))
    floors = STEPS_A_SIDE * np.asarray(strides[:fitted])
    sides = [float(side) for side in np.minimum(np.maximum(np.exp(logs), floors), 1)]
    rest = len(strides) - fitted + 1
    ratio = (LARGEST / sides[-1]) ** (1 / rest)
    return sides + [sides[-1] * ratio**step for step in range(1, rest + 1)]


def ssd_scales(box_sides: Sequence[float], strides: Sequence[float]) -> list[float]:
    """Scales of an SSD's default boxes, one more than there are feature maps.

    A map has square boxes of its scale and of the geometric mean of its scale and the next, and
    oblong ones of its scale. See :func:`level_sides` for the arguments.
    """
    return level_sides(box_sides, strides)


def pyramid_sizes(
    box_sides: Sequence[float], strides: Sequence[float], size: int, octave: int
) -> tuple[tuple[int, ...], ...]:
    """Sizes of the anchors of a feature pyramid, in pixels of the network's input.

    Args:
        box_sides: rising shares of the image side.
        strides: of the levels, in pixels.
        size: side of the input, in pixels.
        octave: sizes a level, at even ratios up to the next level's (Faster R-CNN 1, RetinaNet 3).

    Returns:
        A tuple of sizes for each level, each 2 pixels or more.
    """
    sides = level_sides(box_sides, [stride / size for stride in strides])
    return tuple(
        tuple(max(2, round(size * low * (high / low) ** (step / octave))) for step in range(octave))
        for low, high in itertools.pairwise(sides)
    )
