"""Boxes of several images: their overlap and sizes, which finds which mass, and the prior.

A box is (x_min, y_min, x_max, y_max) in pixels, half-open: its width is ``x_max - x_min``. Boxes
may be fractional and may reach outside their image.

How detections are judged, in full:

- A prediction and a mass of the same image *fit* by the rule ``iou`` (their intersection over
  union reaches the threshold) or ``centre`` (the centre of the predicted box lies in the true one).
- Pairs that fit are taken greedily: higher score first, at equal scores higher IoU first, then
  boxes further to the left and top. A pair is a **hit** if neither its prediction nor its mass is
  taken, so that each mass is found once and each prediction finds one mass at most. No step
  depends on the order in which boxes are given.
- A prediction that fits no mass is **false**.
- A prediction that fits only masses already found is a **repeat**. By default it counts as
  nothing, neither hit nor false positive, as FROC is counted in CAMELYON16 (Ehteshami Bejnordi et
  al. 2017; MONAI's ``compute_fp_tp_probs``) and LUNA16 (Setio et al. 2017). With
  ``repeats="false_positive"`` it is false, as in PASCAL VOC and COCO, and as average precision
  needs.

Whether a mass is found at a score depends on predictions of that score and above only.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import ArrayLike, NDArray

from mammostudy.errors import DataError, SpecError
from mammostudy.evaluation.statistics import Values, finite

Flags = NDArray[np.bool_]
Numbers = NDArray[np.int64]
FALSE, HIT, REPEAT = 0, 1, 2
OUTCOMES = ("false", "hit", "repeat")


def pairwise_iou(first: ArrayLike, second: ArrayLike) -> Values:
    """Intersection over union of every box ``(n, 4)`` with every other ``(m, 4)``: ``(n, m)``."""
    a, b = (np.asarray(boxes, dtype=np.float64).reshape(-1, 4) for boxes in (first, second))
    low = np.maximum(a[:, None, :2], b[None, :, :2])
    high = np.minimum(a[:, None, 2:], b[None, :, 2:])
    shared = np.prod(np.clip(high - low, 0, None), axis=2)
    areas_a, areas_b = np.prod(box_sides(a), axis=1), np.prod(box_sides(b), axis=1)
    return np.asarray(shared / (areas_a[:, None] + areas_b[None, :] - shared))


def pairwise_centre_inside(predicted: ArrayLike, true: ArrayLike) -> Flags:
    """Whether the centre of each predicted box lies in each (half-open) true box, ``(n, m)``."""
    a, b = (np.asarray(boxes, dtype=np.float64).reshape(-1, 4) for boxes in (predicted, true))
    centres = box_centres(a)[:, None]
    within = (centres >= b[None, :, :2]) & (centres < b[None, :, 2:])
    return np.asarray(within.all(axis=2), dtype=np.bool_)


def box_centres(boxes: Values) -> Values:
    """Centres (x, y) of boxes: ``(k, 4)`` to ``(k, 2)``."""
    return (boxes[:, :2] + boxes[:, 2:]) / 2


def box_sides(boxes: Values) -> Values:
    """Width and height of boxes: ``(k, 4)`` to ``(k, 2)``."""
    return boxes[:, 2:] - boxes[:, :2]


def box_diameters(boxes: Values) -> Values:
    """Diameter of boxes, the square root of width times height: ``(k, 4)`` to ``(k,)``."""
    return np.asarray(np.sqrt(np.prod(box_sides(boxes), axis=1)))


@dataclass(frozen=True)
class Matches:
    """Every prediction (n) and every mass (m) of a set of images, judged."""

    images: int  # those without masses or predictions included
    boxes: Values  # of the predictions, (n, 4)
    scores: Values  # of the predictions, (n,)
    image: Numbers  # of the predictions, (n,)
    outcome: Numbers  # FALSE, HIT or REPEAT of the predictions, (n,)
    mass: Numbers  # that a hit finds, -1 for others, (n,)
    true_boxes: Values  # of the masses, (m, 4)
    true_image: Numbers  # of the masses, (m,)
    rule: str  # iou or centre
    threshold: float  # of the IoU; without meaning for centre
    repeats: str  # ignore or false_positive

    @cached_property
    def found_by(self) -> Numbers:
        """Number of the prediction that finds each mass, -1 if missed, ``(m,)``."""
        numbers = np.full(len(self.true_boxes), -1, np.int64)
        hits = np.flatnonzero(self.mass >= 0)
        numbers[self.mass[hits]] = hits
        return numbers

    @property
    def is_false_positive(self) -> Flags:
        """Which predictions are false positives, repeats included where so chosen, ``(n,)``."""
        counted = [FALSE, REPEAT] if self.repeats == "false_positive" else [FALSE]
        return np.isin(self.outcome, counted)


def match_detections(
    predicted_boxes: Sequence[ArrayLike],
    scores: Sequence[ArrayLike],
    true_boxes: Sequence[ArrayLike],
    rule: str = "iou",
    threshold: float = 0.5,
    repeats: str = "ignore",
) -> Matches:
    """Judge every predicted box; the rules stand at the head of this module.

    It takes what :func:`~mammostudy.evaluation.froc_curves.froc` does; no mass is needed.
    """
    known = rule in ("iou", "centre") and repeats in ("ignore", "false_positive")
    if not known or not 0 < threshold <= 1:
        msg = f"rule = {rule!r}, threshold = {threshold}, repeats = {repeats!r}: one is unknown"
        raise SpecError(msg)
    predicted = _boxes_of_images(predicted_boxes, "predicted_boxes")
    true = _boxes_of_images(true_boxes, "true_boxes")
    values = [finite(one, f"scores[{image}]") for image, one in enumerate(scores)]
    shapes = [one.shape for one in values]
    if not 0 < len(true) == len(predicted) or shapes != [(len(one),) for one in predicted]:
        msg = "predicted_boxes, scores and true_boxes: an array an image, a score a box"
        raise DataError(msg)
    counts = [len(one) for one in true]
    starts = np.cumsum([0, *counts])
    judged = [_judge(*each, rule, threshold) for each in zip(predicted, values, true, strict=True)]
    mass = np.concatenate(
        [np.where(m >= 0, m + n, -1) for (m, _), n in zip(judged, starts[:-1], strict=True)]
    )
    return Matches(
        images=len(true),
        boxes=np.concatenate(predicted),
        scores=np.concatenate(values),
        image=np.repeat(np.arange(len(true)), [len(one) for one in predicted]),
        outcome=np.concatenate([outcome for _, outcome in judged]),
        mass=mass,
        true_boxes=np.concatenate(true),
        true_image=np.repeat(np.arange(len(true)), counts),
        rule=rule,
        threshold=threshold,
        repeats=repeats,
    )


def _boxes_of_images(boxes: Sequence[ArrayLike], field: str) -> list[Values]:
    """The boxes of each image as float64 ``(k, 4)``, none degenerate."""
    checked = [finite(raw, f"{field}[{image}]") for image, raw in enumerate(boxes)]
    for image, array in enumerate(checked):
        shaped = not array.size or (array.ndim == 2 and array.shape[1] == 4)
        checked[image] = array.reshape(-1, 4) if shaped else np.zeros((1, 4))
        if (box_sides(checked[image]) <= 0).any():
            msg = f"{field}[{image}]: (k, 4) boxes with x_min < x_max and y_min < y_max needed"
            raise DataError(msg)
    return checked


def _judge(
    predicted: Values, scores: Values, true: Values, rule: str, threshold: float
) -> tuple[Numbers, Numbers]:
    """The mass of this image that each prediction finds, -1 for none, and its outcome, ``(k,)``."""
    overlap = pairwise_iou(predicted, true)
    fits = overlap >= threshold if rule == "iou" else pairwise_centre_inside(predicted, true)
    claimed = np.full(len(predicted), -1, np.int64)
    p, t = np.nonzero(fits)
    taken: set[int] = set()
    for pair in np.lexsort([*true[t].T[::-1], *predicted[p].T[::-1], -overlap[p, t], -scores[p]]):
        if claimed[p[pair]] < 0 and int(t[pair]) not in taken:
            claimed[p[pair]] = t[pair]
            taken.add(int(t[pair]))
    missed = np.where(fits.any(axis=1), REPEAT, FALSE)
    return claimed, np.where(claimed >= 0, HIT, missed).astype(np.int64)


def fixed_prior(
    true_boxes: Sequence[ArrayLike], image_shapes: ArrayLike, groups: Sequence[str]
) -> dict[str, Values]:
    """The mean training box of each group, and of ``all``, as shares of the image's width, height.

    It is the detector that looks at no pixel. Every mass weighs the same. Left and right breasts
    face opposite ways: the mean over both lies between them, so give the side as the group unless
    all images face one way. Shapes are (height, width) in pixels.
    """
    boxes = _boxes_of_images(true_boxes, "true_boxes")
    counts = [len(one) for one in boxes]
    if not sum(counts):
        msg = f"true_boxes hold no mass in any of the {len(boxes)} images: no mean box exists"
        raise DataError(msg)
    shapes = np.asarray(image_shapes, dtype=np.float64)
    relative = np.concatenate(boxes) / np.repeat(shapes[:, [1, 0, 1, 0]], counts, axis=0)
    group = np.repeat(np.asarray(groups), counts)
    means = {str(name): relative[group == name].mean(axis=0) for name in np.unique(group)}
    return {"all": relative.mean(axis=0)} | means


def prior_boxes(
    prior: dict[str, Values], image_shapes: ArrayLike, groups: Sequence[str]
) -> tuple[list[Values], list[Values]]:
    """The box of its group or else of all, and a score of 0.5, for images of (height, width)."""
    scale = np.asarray(image_shapes, dtype=np.float64)[:, [1, 0, 1, 0]]
    means = [prior.get(name, prior["all"]) for name in groups]
    boxes = [(mean * size)[None] for mean, size in zip(means, scale, strict=True)]
    return boxes, [np.full(1, 0.5) for _ in boxes]
