"""What all detectors share: the way of a grey image into the network, and of boxes out of it.

An image ``(1, h, w)`` in [0, 1] is resized to the square the network sees (bilinear, antialiased),
expanded to three equal channels, and normalised: from scratch by ImageNet's mean and standard
deviation averaged over colours, else by the numbers that the trunk was trained with.

Sizes of default boxes can come from a cohort's masses, as shares of the side of the square; the
side of a box is the square root of its area there.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Literal

import numpy as np
import torch
from numpy.typing import ArrayLike
from pydantic import Field
from torch import Tensor, nn
from torch.nn import functional

from mammostudy.errors import DataError, SpecError

GREY = ([0.449] * 3, [0.226] * 3)
IMAGENET = ([0.485, 0.456, 0.406], [0.229, 0.224, 0.225])
CLASSES = 2  # background and mass
MASS = 1
LARGEST = 1.05  # SSD's closing scale: a little more than the whole image
STEPS_A_SIDE = 1.8  # least side of a map's boxes, in strides: met most drawn masses of 4 to 20 %
QUANTILES = (0.05, 0.25, 0.5, 0.75, 0.95)
_SLACK = 1e-3  # pixels a box may lie outside, and grey values beyond [0, 1], by rounding

Target = dict[str, Tensor]
Anchors = Literal["default", "cohort"]
Aspect = Literal["stretch", "letterbox"]
Threshold = Annotated[float, Field(ge=0, lt=1)]


@dataclass(frozen=True)
class Placement:
    """Where an image lies in the network's square: ``x_square = x_scale * x + x_offset``."""

    height: int
    width: int
    x_scale: float
    y_scale: float
    x_offset: int
    y_offset: int

    def to_square(self, boxes: Tensor) -> Tensor:
        """Map boxes ``(k, 4)`` from the image to the square."""
        return boxes * self._scales(boxes) + self._offsets(boxes)

    def to_image(self, boxes: Tensor) -> Tensor:
        """Map boxes ``(k, 4)`` from the square to the image, clipped to it."""
        mapped = (boxes - self._offsets(boxes)) / self._scales(boxes)
        limits = mapped.new_tensor([self.width, self.height, self.width, self.height])
        return torch.minimum(mapped.clamp(min=0), limits)

    def _scales(self, boxes: Tensor) -> Tensor:
        return boxes.new_tensor([self.x_scale, self.y_scale] * 2)

    def _offsets(self, boxes: Tensor) -> Tensor:
        return boxes.new_tensor([self.x_offset, self.y_offset] * 2)


def place(image: Tensor, size: int, aspect: Aspect) -> tuple[Tensor, Placement]:
    """Bring an image, float ``(1, h, w)``, to the network's square.

    "stretch" scales each axis by itself; "letterbox" scales both by the longer one's factor and
    pads the rest with 0 on both sides.
    """
    height, width = image.shape[-2:]
    new_height = new_width = size
    if aspect == "letterbox":
        longer = max(height, width)
        new_height = max(1, round(size * height / longer))
        new_width = max(1, round(size * width / longer))
    if (new_height, new_width) != (height, width):
        sides = new_height, new_width
        image = functional.interpolate(image[None], sides, mode="bilinear", antialias=True)[0]
    top, left = (size - new_height) // 2, (size - new_width) // 2
    bottom, right = size - new_height - top, size - new_width - left
    square = functional.pad(image, (left, right, top, bottom))
    return square, Placement(height, width, new_width / width, new_height / height, left, top)


class Detector(nn.Module):
    """A network of torchvision's detection interface, fed with grey images of any size.

    The network takes a list of ``(3, size, size)`` and, in training mode, targets in pixels of that
    square; it must not resize by itself. It calls a mass ``mass_label``: 1 where 0 is background.
    """

    def __init__(
        self, network: nn.Module, size: int, aspect: Aspect, mass_label: Literal[0, 1] = 1
    ) -> None:
        super().__init__()
        self.network, self.size, self.mass_label = network, size, mass_label
        self.aspect: Aspect = aspect

    def forward(self, images: list[Tensor], targets: list[Target] | None = None) -> Any:
        """Give losses by name in training mode; else boxes, falling scores and labels an image.

        Images are float32 ``(1, h, w)`` in [0, 1] of any sizes. Targets and findings have ``boxes``
        float32 ``(k, 4)``, half-open in pixels of their image, and ``labels`` int64 ones ``(k,)``.
        """
        _check_images(images)
        placed = [place(image, self.size, self.aspect) for image in images]
        squares = [square.expand(3, -1, -1) for square, _ in placed]
        if not self.training:
            found = self.network(squares)
            return [_on_image(one, where) for one, (_, where) in zip(found, placed, strict=True)]
        _check_boxes(images, targets or [])
        mapped = []
        for target, (_, where) in zip(targets or [], placed, strict=True):
            labels = torch.full_like(target["labels"], self.mass_label)
            mapped.append({"boxes": where.to_square(target["boxes"]), "labels": labels})
        try:
            return self.network(squares, mapped)
        except ValueError as error:
            if "more than 1 value per channel" not in str(error):
                raise
            told = f"a batch of {len(images)} at size {self.size} is too small for batch norm"
            raise SpecError(told) from error


def _on_image(found: Target, where: Placement) -> Target:
    """Boxes of the square as boxes of the image, best first; those in the padding fall away."""
    boxes = where.to_image(found["boxes"].detach())
    kept = (boxes[:, 2:] > boxes[:, :2]).all(dim=1)
    boxes, scores = boxes[kept], found["scores"].detach()[kept]
    order = torch.argsort(scores, descending=True, stable=True)
    labels = torch.full_like(order, MASS)
    return {"boxes": boxes[order], "scores": scores[order], "labels": labels}


def _check_images(images: list[Tensor]) -> None:
    for index, image in enumerate(images):
        if image.ndim != 3 or len(image) != 1 or not image.numel() or image.dtype != torch.float32:
            form = f"{tuple(image.shape)} {image.dtype}"
            raise DataError(f"image {index} is {form}: a detector takes grey (1, h, w) of float32")
        low, high = (float(value) for value in image.detach().aminmax())
        if not (low >= -_SLACK and high <= 1 + _SLACK):  # NaN fails both
            raise DataError(f"image {index} has values from {low:g} to {high:g}, not in [0, 1]")


def _check_boxes(images: list[Tensor], targets: list[Target]) -> None:
    for index, (image, target) in enumerate(zip(images, targets, strict=True)):
        boxes = target["boxes"]
        limits = boxes.new_tensor([image.shape[-1], image.shape[-2]]) + _SLACK
        sound = (boxes[:, 2:] > boxes[:, :2]) & (boxes[:, :2] >= -_SLACK) & (boxes[:, 2:] <= limits)
        if len(faulty := boxes[~sound.all(dim=1)]):
            box, shape = tuple(faulty[0].tolist()), tuple(image.shape)
            raise DataError(f"box {box} of image {index} has no area, or lies outside {shape}")


def box_side_quantiles(
    boxes: ArrayLike, image_sizes: ArrayLike, aspect: Aspect = "stretch"
) -> tuple[float, ...]:
    """Measure the boxes of training masses, for the field ``box_sides`` of a detector.

    Boxes are ``(k, 4)`` in pixels, sizes ``(k, 2)``, (height, width) of the image of each. It gives
    the :data:`QUANTILES` of the sides, shares in (0, 1]; a letterbox measures by the longer side.
    """
    corners = np.asarray(boxes, dtype=np.float64).reshape(-1, 4)
    sizes = np.asarray(image_sizes, dtype=np.float64).reshape(-1, 2)
    widths, heights = (corners[:, 2:] - corners[:, :2]).T
    if aspect == "letterbox":
        sizes = np.repeat(sizes.max(axis=1, keepdims=True), 2, axis=1)
    shares = np.sqrt(widths * heights / (sizes[:, 0] * sizes[:, 1]))
    return tuple(round(float(side), 4) for side in np.quantile(shares, QUANTILES))


def check_fields(anchors: Anchors, box_sides: Sequence[float], size: int, smallest: int) -> None:
    """Refuse sides that no box of an image can have, fields at odds, and too small a size."""
    if size < smallest:
        raise SpecError(f"size = {size} is too small for this detector: use {smallest} or more")
    if (anchors == "cohort") != bool(box_sides):
        raise SpecError("box_sides: give them with anchors = 'cohort', and only with it")
    rising = len(box_sides) != 1 and list(box_sides) == sorted(box_sides)
    if not rising or any(not 0 < side <= 1 for side in box_sides):
        told = f"box_sides = {tuple(box_sides)}: two or more are needed, rising, each a share of"
        raise SpecError(f"{told} the image side in (0, 1]")


def level_sides(box_sides: Sequence[float], strides: Sequence[float]) -> list[float]:
    """Give each feature map the side of the boxes it answers for, and one more (:data:`LARGEST`).

    Maps whose stride is not longer than the largest of the sides (two at least) share the sides,
    read as evenly spaced quantiles, at even steps of their distribution, but none goes below 1.8
    times its stride: smaller masses would slip through its grid. Coarser maps go on in even ratios
    to the whole image. All are shares of the image side, rising.
    """
    fitted = min(max(2, sum(stride <= box_sides[-1] for stride in strides)), len(strides))
    places = np.linspace(0, 1, fitted)
    logs = np.interp(places, np.linspace(0, 1, len(box_sides)), np.log(box_sides))
    floors = STEPS_A_SIDE * np.asarray(strides[:fitted])
    sides = [float(side) for side in np.minimum(np.maximum(np.exp(logs), floors), 1)]
    rest = len(strides) - fitted + 1
    ratio = (LARGEST / sides[-1]) ** (1 / rest)
    return sides + [sides[-1] * ratio**step for step in range(1, rest + 1)]
