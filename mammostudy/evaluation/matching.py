"""Which predicted box finds which mass: the one place where detections are judged.

The rules, in full:

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
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from mammostudy.errors import DataError, SpecError
from mammostudy.evaluation.boxes import (
    Flags,
    Values,
    boxes_of_images,
    pairwise_centre_inside,
    pairwise_iou,
    scores_of_images,
)

VERSION = 1
"""Recipe version: raised by hand when the numbers that leave this module change."""

RULES = ("iou", "centre")
REPEATS = ("ignore", "false_positive")
FALSE, HIT, REPEAT, ASIDE = 0, 1, 2, 3
OUTCOMES = ("false", "hit", "repeat", "aside")
"""Names of the outcomes; ``aside`` is a hit on a mass that was set aside by ``only``."""

Numbers = NDArray[np.int64]


@dataclass(frozen=True)
class Matches:
    """Every prediction and every mass of a set of images, judged.

    Attributes:
        images: number of images, those without masses or predictions included.
        boxes: of the predictions, ``(n, 4)``.
        scores: of the predictions, ``(n,)``.
        image: of the predictions, ``(n,)``.
        outcome: ``FALSE``, ``HIT``, ``REPEAT`` or ``ASIDE`` of the predictions, ``(n,)``.
        mass: number of the mass that a hit finds, -1 for others, ``(n,)``.
        true_boxes: of the masses, ``(m, 4)``.
        true_image: of the masses, ``(m,)``.
        found_by: number of the prediction that finds the mass, -1 if missed, ``(m,)``.
        rule: ``iou`` or ``centre``.
        threshold: of the IoU; without meaning for ``centre``.
        repeats: ``ignore`` or ``false_positive``.
    """

    images: int
    boxes: Values
    scores: Values
    image: Numbers
    outcome: Numbers
    mass: Numbers
    true_boxes: Values
    true_image: Numbers
    found_by: Numbers
    rule: str
    threshold: float
    repeats: str

    @property
    def found_score(self) -> Values:
        """The score at which each mass is found, minus infinity if missed, ``(m,)``."""
        scores = np.append(self.scores, -np.inf)
        found: Values = scores[self.found_by]
        return found

    def found(self, score: float = -np.inf) -> Flags:
        """Which masses are found by a prediction of this score or above, ``(m,)``.

        Raises:
            DataError: the score is not a number.
        """
        flags: Flags = (self.found_by >= 0) & (self.found_score >= checked_score(score))
        return flags

    @property
    def masses_of_image(self) -> Numbers:
        """Number of masses of each image, ``(images,)``."""
        return np.bincount(self.true_image, minlength=self.images).astype(np.int64)

    @property
    def is_false_positive(self) -> Flags:
        """Which predictions are false positives, repeats included where so chosen, ``(n,)``."""
        false: Flags = self.outcome == FALSE
        return false | (self.outcome == REPEAT) if self.repeats == "false_positive" else false

    def only(self, masses: ArrayLike) -> Matches:
        """The same matches with some of the masses set aside.

        A prediction that found a mass set aside counts as nothing; false positives stay, for they
        belong to no mass.

        Args:
            masses: bool ``(m,)``: which masses to keep.

        Returns:
            New :class:`Matches` with the masses kept, in the same order.

        Raises:
            DataError: not one bool a mass.
        """
        keep = np.asarray(masses)
        if keep.dtype != np.bool_ or keep.shape != (len(self.true_boxes),):
            msg = f"masses: one bool for each of the {len(self.true_boxes)} masses needed"
            raise DataError(msg)
        number = np.append(np.where(keep, np.cumsum(keep) - 1, -1), -1)
        mass = number[self.mass]
        aside = (self.outcome == HIT) & (mass < 0)
        return replace(
            self,
            outcome=np.where(aside, ASIDE, self.outcome),
            mass=mass,
            true_boxes=self.true_boxes[keep],
            true_image=self.true_image[keep],
            found_by=self.found_by[keep],
        )


def match_detections(
    predicted_boxes: Sequence[ArrayLike],
    scores: Sequence[ArrayLike],
    true_boxes: Sequence[ArrayLike],
    rule: str = "iou",
    threshold: float = 0.5,
    repeats: str = "ignore",
) -> Matches:
    """Judge every predicted box; the rules stand at the head of this module.

    Args:
        predicted_boxes: one ``(k, 4)`` array an image (x_min, y_min, x_max, y_max; pixels).
        scores: one ``(k,)`` array an image; higher means more likely a mass.
        true_boxes: one ``(k, 4)`` array an image; empty for an image without a mass.
        rule: ``iou`` or ``centre``.
        threshold: IoU from which a box fits, within (0, 1]; not used by ``centre``.
        repeats: ``ignore`` or ``false_positive``: what a further box on a found mass is.

    Returns:
        The :class:`Matches`.

    Raises:
        DataError: lists of different lengths, degenerate or non-finite boxes, or scores that are
            not finite; the message names the image and the box.
        SpecError: an unknown rule or treatment of repeats, or a threshold out of range.
    """
    check_rule(rule, threshold, repeats)
    predicted = boxes_of_images(predicted_boxes, "predicted_boxes")
    true = boxes_of_images(true_boxes, "true_boxes")
    if len(predicted) != len(true):
        msg = (
            f"predicted_boxes of {len(predicted)} images, true_boxes of {len(true)}: "
            "give one list an image, empty where it has none"
        )
        raise DataError(msg)
    values = scores_of_images(scores, predicted)
    outcomes, masses = [np.zeros(0, np.int64)], [np.zeros(0, np.int64)]
    before = 0
    for p, s, t in zip(predicted, values, true, strict=True):
        overlap = pairwise_iou(p, t)
        fits = overlap >= threshold if rule == "iou" else pairwise_centre_inside(p, t)
        claimed = _claim(p, s, t, overlap, fits)
        hit_or_miss = np.where(fits.any(axis=1), REPEAT, FALSE)
        outcomes.append(np.where(claimed >= 0, HIT, hit_or_miss).astype(np.int64))
        masses.append(np.where(claimed >= 0, claimed + before, -1))
        before += len(t)
    mass = np.concatenate(masses)
    found_by = np.full(before, -1, np.int64)
    found_by[mass[mass >= 0]] = np.flatnonzero(mass >= 0)
    return Matches(
        images=len(true),
        boxes=np.concatenate(predicted),
        scores=np.concatenate(values),
        image=np.repeat(np.arange(len(true)), [len(one) for one in predicted]),
        outcome=np.concatenate(outcomes),
        mass=mass,
        true_boxes=np.concatenate(true),
        true_image=np.repeat(np.arange(len(true)), [len(one) for one in true]),
        found_by=found_by,
        rule=rule,
        threshold=threshold,
        repeats=repeats,
    )


def checked_score(score: float) -> float:
    """Return a score threshold, which may be infinite.

    Raises:
        DataError: it is not a number.
    """
    if np.isnan(score):
        msg = "score is nan: give the threshold as a number, or leave it out to count every box"
        raise DataError(msg)
    return float(score)


def check_rule(rule: str, threshold: float, repeats: str) -> None:
    """Refuse an unknown rule or treatment of repeats, or a threshold outside (0, 1].

    Raises:
        SpecError: naming what is known.
    """
    if rule not in RULES:
        msg = f"rule {rule!r} is unknown: use one of {', '.join(RULES)}"
        raise SpecError(msg)
    if not 0 < threshold <= 1:
        msg = f"threshold = {threshold}: the IoU from which a box fits must lie within (0, 1]"
        raise SpecError(msg)
    if repeats not in REPEATS:
        msg = f"repeats {repeats!r} is unknown: use one of {', '.join(REPEATS)}"
        raise SpecError(msg)


def _claim(
    predicted: Values, scores: Values, true: Values, overlap: Values, fits: Flags
) -> Numbers:
    """The mass of this image that each prediction finds, -1 for none, ``(k,)``."""
    claimed = np.full(len(predicted), -1, np.int64)
    p, t = np.nonzero(fits)
    keys = [*true[t].T[::-1], *predicted[p].T[::-1], -overlap[p, t], -scores[p]]
    taken: set[int] = set()
    for pair in np.lexsort(keys):
        if claimed[p[pair]] < 0 and int(t[pair]) not in taken:
            claimed[p[pair]] = t[pair]
            taken.add(int(t[pair]))
    return claimed


def some_mass(matches: Matches) -> None:
    """Refuse matches without a mass: no share of masses exists.

    Raises:
        DataError: no image has a mass.
    """
    if not len(matches.true_boxes):
        msg = (
            f"true_boxes hold no mass in any of the {matches.images} images: sensitivity does not "
            "exist; add images with masses, or count false positives alone"
        )
        raise DataError(msg)


def prediction_table(matches: Matches) -> pd.DataFrame:
    """One row a predicted box: what became of it.

    Args:
        matches: as judged.

    Returns:
        Columns image, score, x_min, y_min, x_max, y_max, outcome (a name of ``OUTCOMES``) and
        mass (number of the mass found, -1 for none), in the order given.
    """
    table = pd.DataFrame({"image": matches.image, "score": matches.scores})
    table[["x_min", "y_min", "x_max", "y_max"]] = matches.boxes
    table["outcome"] = np.array(OUTCOMES)[matches.outcome]
    table["mass"] = matches.mass
    return table
