"""FROC: the share of masses found against false positives an image, over all score thresholds."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import overload

import numpy as np
from numpy.typing import ArrayLike, NDArray

from mammostudy.errors import DataError
from mammostudy.evaluation.boxes import HIT, Matches, match_detections
from mammostudy.evaluation.statistics import Values

RATES = (0.125, 0.25, 0.5, 1.0, 2.0, 4.0, 8.0)
"""False positives an image at which sensitivity is told: LUNA16's seven."""
SLACK = 1e-9
"""False positives by which a rate may be passed: ``0.29 * 100`` is a hair below 29."""


@dataclass(frozen=True)
class Froc:
    """A FROC curve: one point a distinct score, from (0, 0) on, as predictions are added.

    Predictions of equal score enter together, so that the curve does not depend on their order.

    Attributes:
        false_positives_per_image: over all images, those without masses included, ``(p,)``.
        sensitivity: share of masses found, ``(p,)``.
        thresholds: the score from which predictions count, descending, first infinity, ``(p,)``.
        matches: what the curve was made of; the bootstrap draws patients from it.
    """

    false_positives_per_image: Values
    sensitivity: Values
    thresholds: Values
    matches: Matches

    @overload
    def sensitivity_at(self, rate: float) -> float: ...
    @overload
    def sensitivity_at(self, rate: Sequence[float] | NDArray[np.float64]) -> Values: ...
    def sensitivity_at(self, rate: float | Sequence[float] | NDArray[np.float64]) -> float | Values:
        """Sensitivity at the lowest threshold with at most ``rate`` false positives an image.

        The curve is a staircase: nothing is interpolated between thresholds that exist (LUNA16
        and MONAI interpolate linearly, which credits a detector with a single score for operating
        points that it does not have). A rate that the curve never reaches gives its end, the
        sensitivity with every prediction counted; a rate below its first point gives 0.

        Args:
            rate: false positives an image, one or ``(r,)``.

        Returns:
            float, or float64 ``(r,)``.

        Raises:
            DataError: a rate that is negative or not finite.
        """
        found = self.sensitivity[self._last_within(rate)]
        return float(found) if np.ndim(rate) == 0 else np.asarray(found, dtype=np.float64)

    def threshold_at(self, rate: float) -> float:
        """The lowest threshold with at most ``rate`` false positives an image.

        Choose it on validation images and use it on others. Predictions *at* it count. It is
        infinity if every score gives more false positives.
        """
        return float(self.thresholds[self._last_within(rate)])

    def mean_sensitivity(self, rates: Sequence[float] = RATES) -> float:
        """Mean of the sensitivities at several rates: LUNA16's competition metric (CPM)."""
        return float(np.mean(self.sensitivity_at(rates)))

    def reaches(self, rates: Values) -> NDArray[np.bool_]:
        """Whether the curve has so many false positives an image."""
        reached: NDArray[np.bool_] = self.false_positives_per_image[-1] >= rates
        return reached

    def _last_within(self, rate: ArrayLike) -> NDArray[np.intp]:
        wanted = np.asarray(rate, dtype=np.float64)
        if not wanted.size or not (np.isfinite(wanted) & (wanted >= 0)).all():
            msg = f"rate = {wanted.tolist()}: false positives an image: finite and not negative"
            raise DataError(msg)
        images = self.matches.images
        false = np.rint(self.false_positives_per_image * images)
        return np.searchsorted(false, wanted * images + SLACK, side="right") - 1


def froc(
    predicted_boxes: Sequence[ArrayLike],
    scores: Sequence[ArrayLike],
    true_boxes: Sequence[ArrayLike],
    rule: str = "iou",
    threshold: float = 0.5,
    repeats: str = "ignore",
) -> Froc:
    """The FROC curve of a detector over a set of images.

    Which prediction finds which mass, and what becomes of a second box on a found mass, is said
    in :mod:`mammostudy.evaluation.boxes`.

    Args:
        predicted_boxes: one ``(k, 4)`` array an image (x_min, y_min, x_max, y_max; pixels).
        scores: one ``(k,)`` array an image.
        true_boxes: one ``(k, 4)`` array an image; images without a mass count as images.
        rule: ``iou``, or ``centre`` (centre of the predicted box in the true one).
        threshold: IoU from which a box fits; not used by ``centre``.
        repeats: ``ignore`` (CAMELYON16, LUNA16) or ``false_positive`` (VOC, COCO).

    Returns:
        The :class:`Froc`.

    Raises:
        DataError: no mass in any image, lists of different lengths, degenerate boxes, or scores
            that are not finite.
        SpecError: an unknown rule or treatment of repeats, or a threshold out of range.

    Source: Bunch et al. 1978; counted as in CAMELYON16 (Ehteshami Bejnordi et al. 2017), with
        boxes in place of points.
    """
    return froc_of(match_detections(predicted_boxes, scores, true_boxes, rule, threshold, repeats))


def froc_of(matches: Matches) -> Froc:
    """The FROC curve of matches already made; at least one mass must be among them."""
    if not len(matches.true_boxes):
        msg = (
            f"true_boxes hold no mass in any of the {matches.images} images: sensitivity does not "
            "exist; add images with masses, or count false positives alone"
        )
        raise DataError(msg)
    hits = matches.outcome == HIT
    false = matches.is_false_positive
    steps = np.unique(matches.scores[hits | false])[::-1]
    counts = [_from_above(matches.scores[which], steps) for which in (false, hits)]
    return Froc(
        false_positives_per_image=counts[0] / matches.images,
        sensitivity=counts[1] / len(matches.true_boxes),
        thresholds=np.concatenate([[np.inf], steps]),
        matches=matches,
    )


def _from_above(scores: Values, steps: Values) -> Values:
    """0, then how many scores reach each step; steps descend."""
    reached = len(scores) - np.searchsorted(np.sort(scores), steps, side="left")
    return np.concatenate([[0], reached]).astype(np.float64)


def false_positives_by_image(matches: Matches, score: float = -np.inf) -> NDArray[np.int64]:
    """False positives of each image from a score on, ``(images,)``; no mass is needed."""
    counted = matches.is_false_positive & (matches.scores >= score)
    return np.bincount(matches.image[counted], minlength=matches.images).astype(np.int64)
