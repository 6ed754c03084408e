"""The detector that looks at no pixel: one box, the mean of the training masses, on every image."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from mammostudy.errors import DataError
from mammostudy.evaluation.boxes import Values, boxes_of_images

VERSION = 1
"""Recipe version: raised by hand when the numbers that leave this module change."""

SCORE = 0.5
"""The score of every box: constant, so that no threshold parts them."""


@dataclass(frozen=True)
class FixedPrior:
    """One box for every image of a group, relative to the image.

    Attributes:
        boxes: group -> (x_min, y_min, x_max, y_max) as shares of the image's width and height.
        masses: group -> number of training masses that the box is the mean of.
    """

    boxes: dict[str, Values]
    masses: dict[str, int]

    def predict(
        self,
        image_shapes: Sequence[tuple[int, int]],
        groups: Sequence[str] | None = None,
    ) -> tuple[list[Values], list[Values]]:
        """The prior's boxes and scores, as :func:`~mammostudy.evaluation.froc_curves.froc` takes.

        Args:
            image_shapes: (height, width) of each image, pixels.
            groups: of each image, if the prior was made with groups.

        Returns:
            (boxes, scores): one ``(1, 4)`` and one ``(1,)`` array an image; every score is 0.5.

        Raises:
            DataError: shapes that are not two positive numbers, another number of groups than
                images, or a group without a training mass.
        """
        shapes = _shapes(image_shapes)
        names = _groups(groups, len(shapes))
        for at, name in enumerate(names):
            if name not in self.boxes:
                known = ", ".join(map(repr, self.boxes))
                msg = f"groups[{at}] = {name!r} had no mass in training: use one of {known}"
                raise DataError(msg)
        scale = shapes[:, [1, 0, 1, 0]]
        boxes = [(self.boxes[n] * s)[None] for n, s in zip(names, scale, strict=True)]
        return boxes, [np.full(1, SCORE) for _ in names]


def fixed_prior(
    true_boxes: Sequence[ArrayLike],
    image_shapes: Sequence[tuple[int, int]],
    groups: Sequence[str] | None = None,
) -> FixedPrior:
    """The mean training box, relative to its image: the baseline that a detector must beat.

    Every mass weighs the same. Left and right breasts face opposite ways: without groups the mean
    lies between them, so give the side as the group unless all images face one way.

    Args:
        true_boxes: one ``(k, 4)`` array a training image (x_min, y_min, x_max, y_max; pixels).
        image_shapes: (height, width) of each training image, pixels.
        groups: of each training image, for example its side; one box each.

    Returns:
        The :class:`FixedPrior`; its boxes score the same, so that its curve is one point: at
        1 false positive an image it is counted in full, below its own rate it finds nothing.

    Raises:
        DataError: degenerate boxes, no mass in any image, lists of different lengths, or shapes
            that are not two positive numbers.
    """
    boxes = boxes_of_images(true_boxes, "true_boxes")
    shapes = _shapes(image_shapes)
    if len(shapes) != len(boxes):
        msg = f"image_shapes of {len(shapes)} images for boxes of {len(boxes)}: one an image"
        raise DataError(msg)
    names = np.asarray(_groups(groups, len(boxes)))
    counts = [len(one) for one in boxes]
    if not sum(counts):
        msg = f"true_boxes hold no mass in any of the {len(boxes)} images: no mean box exists"
        raise DataError(msg)
    relative = np.concatenate(boxes) / np.repeat(shapes[:, [1, 0, 1, 0]], counts, axis=0)
    group = np.repeat(names, counts)
    found = [str(name) for name in np.unique(group)]
    return FixedPrior(
        boxes={name: relative[group == name].mean(axis=0) for name in found},
        masses={name: int((group == name).sum()) for name in found},
    )


def _shapes(image_shapes: Sequence[tuple[int, int]]) -> NDArray[np.float64]:
    shapes = np.asarray(image_shapes, dtype=np.float64)
    if shapes.ndim != 2 or shapes.shape[1] != 2 or not (shapes > 0).all():
        msg = f"image_shapes of shape {shapes.shape}: (height, width) above 0 for each image needed"
        raise DataError(msg)
    return shapes


def _groups(groups: Sequence[str] | None, images: int) -> list[str]:
    if groups is None:
        return ["all"] * images
    if len(groups) != images:
        msg = f"groups of {len(groups)} images for {images}: name the group of each image"
        raise DataError(msg)
    return [str(name) for name in groups]
