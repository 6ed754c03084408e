"""One augmentation for all detectors: an image and the boxes in it, moved and lit together.

There is no rotation: the box around a turned box is larger than the box of the turned mass. Nor
is there a vertical flip: a mammogram is taken the right way up.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import torch
from torch import Tensor
from torchvision import tv_tensors
from torchvision.transforms import v2

from mammostudy.errors import SpecError

VERSION = 1
"""Recipe version: raised by hand when the same seed gives another image or other boxes."""


@dataclass(frozen=True)
class DetectionAugmentation:
    """How far an image is changed.

    Attributes:
        flip: probability of a horizontal flip, in [0, 1].
        shift: largest shift of each axis, a share of its length, in [0, 1).
        zoom: largest change of scale: factors from 1 - zoom to 1 + zoom; in [0, 1).
        brightness: largest change of the factor that grey values are multiplied with, in [0, 1).
        contrast: largest change of the factor of their distances from the mean, in [0, 1).
        least_side: boxes with a shorter side left inside the image are dropped, in pixels.

    Raises:
        SpecError: a number outside its range.
    """

    flip: float = 0.5
    shift: float = 0.05
    zoom: float = 0.1
    brightness: float = 0.1
    contrast: float = 0.1
    least_side: float = 2.0

    def __post_init__(self) -> None:
        if not 0 <= self.flip <= 1:
            msg = f"flip = {self.flip:g} of the augmentation must be in [0, 1]"
            raise SpecError(msg)
        for name in ("shift", "zoom", "brightness", "contrast"):
            if not 0 <= getattr(self, name) < 1:
                msg = f"{name} = {getattr(self, name):g} of the augmentation must be in [0, 1)"
                raise SpecError(msg)
        if not self.least_side >= 1:
            msg = f"least_side = {self.least_side:g} of the augmentation must be 1 pixel or more"
            raise SpecError(msg)


UNCHANGED = DetectionAugmentation(0.0, 0.0, 0.0, 0.0, 0.0)
"""No change: boxes are only checked and clamped."""


@lru_cache(maxsize=8)
def _transform(recipe: DetectionAugmentation) -> v2.Transform:
    steps: list[v2.Transform] = [v2.RandomHorizontalFlip(recipe.flip)]
    if recipe.shift or recipe.zoom:
        steps.append(
            v2.RandomAffine(
                degrees=0,
                translate=(recipe.shift, recipe.shift),
                scale=(1 - recipe.zoom, 1 + recipe.zoom),
                interpolation=v2.InterpolationMode.BILINEAR,
            )
        )
    if recipe.brightness or recipe.contrast:
        steps.append(v2.ColorJitter(recipe.brightness, recipe.contrast))
    steps += [v2.ClampBoundingBoxes(), v2.SanitizeBoundingBoxes(min_size=recipe.least_side)]
    return v2.Compose(steps)


def augment_detection(
    image: Tensor,
    target: dict[str, Tensor],
    *,
    seed: int,
    epoch: int,
    index: int,
    recipe: DetectionAugmentation | None = None,
) -> tuple[Tensor, dict[str, Tensor]]:
    """Change an image and its boxes together; the same numbers give the same result.

    The draw depends on (seed, epoch, index) alone: not on torch's global generator, which is left
    as it was, nor on the order of the images or the number of workers.

    Args:
        image: float32 ``(1, h, w)`` in [0, 1].
        target: ``boxes`` float32 ``(k, 4)``, half-open, pixels; ``labels`` int64 ``(k,)``.
        seed: of the run, 0 or more.
        epoch: 0 or more.
        index: of the image in its cohort, 0 or more.
        recipe: how far; the default is that of every detector.

    Returns:
        Image and target of the same form and size, the image in [0, 1]. Boxes are clamped to the
        image; those with less than ``least_side`` left, or without an area before, are dropped.
    """
    shape = tuple(image.shape[-2:])
    sample = {
        "image": tv_tensors.Image(image),
        "boxes": tv_tensors.BoundingBoxes(
            target["boxes"], format=tv_tensors.BoundingBoxFormat.XYXY, canvas_size=shape
        ),
        "labels": target["labels"],
    }
    draw = int(np.random.SeedSequence([seed, epoch, index]).generate_state(1, np.uint64)[0])
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(draw % 2**63)
        changed = _transform(recipe or DetectionAugmentation())(sample)
    return (
        changed["image"].as_subclass(Tensor).clamp(0, 1),
        {"boxes": changed["boxes"].as_subclass(Tensor), "labels": changed["labels"]},
    )
