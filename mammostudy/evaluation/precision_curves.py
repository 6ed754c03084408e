"""Precision and recall of boxes: the curve, AP50 and COCO's mAP, with intervals over patients.

Counted as COCO does: a second box on a found mass is a false positive, at most 100 boxes an image
count, and precision is made falling before it is sampled at 101 recalls. One thing is otherwise:
boxes of equal score enter together, where COCO takes them in the order given, so that a detector
with few scores gets no average precision by luck of order. Without ties the numbers are COCO's.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from mammostudy.errors import DataError
from mammostudy.evaluation.boxes import Values, boxes_of_images, scores_of_images
from mammostudy.evaluation.froc_curves import Froc, froc_of
from mammostudy.evaluation.froc_intervals import same_masses
from mammostudy.evaluation.ladders import (
    Ladder,
    interval,
    ladder_of,
    ladder_precisions,
    patient_codes,
    resample,
    two_sided_p,
)
from mammostudy.evaluation.matching import Matches, match_detections
from mammostudy.evaluation.statistics import Patients

VERSION = 1
"""Recipe version: raised by hand when the numbers that leave this module change."""

AP50 = (0.5,)
COCO_THRESHOLDS = tuple(round(0.5 + 0.05 * step, 2) for step in range(10))
"""IoU 0.50 to 0.95 by 0.05, over which COCO's mAP is the mean."""
MAX_DETECTIONS = 100
"""Boxes an image that count: COCO's largest number."""


@dataclass(frozen=True)
class PrecisionRecall:
    """Precision against recall, a point a distinct score, as predictions are added.

    Attributes:
        thresholds: the score from which predictions count, descending, ``(p,)``.
        precision: share of the counted predictions that are hits, ``(p,)``.
        recall: share of masses found, ``(p,)``.
    """

    thresholds: Values
    precision: Values
    recall: Values


@dataclass(frozen=True)
class BoxPrecision:
    """Average precision at one or several thresholds of IoU.

    Attributes:
        value: mean over the thresholds.
        by_threshold: one a threshold, ``(t,)``.
        thresholds: of the IoU, ``(t,)``.
        matches: at each threshold; the bootstrap draws patients from them.
    """

    value: float
    by_threshold: Values
    thresholds: tuple[float, ...]
    matches: tuple[Matches, ...]


def average_precision(
    predicted_boxes: Sequence[ArrayLike],
    scores: Sequence[ArrayLike],
    true_boxes: Sequence[ArrayLike],
    thresholds: Sequence[float] = AP50,
    max_detections: int = MAX_DETECTIONS,
) -> BoxPrecision:
    """AP50, or with ``thresholds=COCO_THRESHOLDS`` COCO's mAP, of one class: mass.

    Args:
        predicted_boxes: one ``(k, 4)`` array an image (x_min, y_min, x_max, y_max; pixels).
        scores: one ``(k,)`` array an image.
        true_boxes: one ``(k, 4)`` array an image; empty for an image without a mass.
        thresholds: of the IoU.
        max_detections: boxes an image that count, those of highest score (at equal scores those
            further to the left and top).

    Returns:
        The :class:`BoxPrecision`.

    Raises:
        DataError: as :func:`~mammostudy.evaluation.froc_curves.froc`, no threshold, or
            ``max_detections`` < 1.
        SpecError: a threshold out of range.

    Source: Lin et al. 2014, ``pycocotools.cocoeval``.
    """
    if not len(thresholds) or max_detections < 1:
        msg = (
            f"thresholds = {tuple(thresholds)}, max_detections = {max_detections}: "
            "at least one of each needed"
        )
        raise DataError(msg)
    boxes = boxes_of_images(predicted_boxes, "predicted_boxes")
    values = scores_of_images(scores, boxes)
    best = [_best(*pair, max_detections) for pair in zip(boxes, values, strict=True)]
    boxes = [one[keep] for one, keep in zip(boxes, best, strict=True)]
    values = [one[keep] for one, keep in zip(values, best, strict=True)]
    matches = tuple(
        match_detections(boxes, values, true_boxes, "iou", float(one), "false_positive")
        for one in thresholds
    )
    return precision_of(matches)


def precision_of(matches: Sequence[Matches]) -> BoxPrecision:
    """Average precision of matches already made, one an IoU threshold.

    Args:
        matches: by ``iou`` and with repeats counted as false positives.

    Raises:
        DataError: none given, another rule, or repeats counted otherwise.
    """
    right = [one.rule == "iou" and one.repeats == "false_positive" for one in matches]
    if not matches or not all(right):
        msg = "average precision needs matches by iou with repeats='false_positive', one or more"
        raise DataError(msg)
    everyone = np.ones((1, 1))
    found = np.array([ladder_precisions(ladder_of(one), everyone)[0] for one in matches])
    thresholds = tuple(float(one.threshold) for one in matches)
    return BoxPrecision(float(found.mean()), found, thresholds, tuple(matches))


def _best(boxes: Values, scores: Values, most: int) -> NDArray[np.intp]:
    """Which boxes count, in the order given."""
    order = np.lexsort([*boxes.T[::-1], -scores])
    return np.sort(order[:most])


def average_precision_ci(
    precision: BoxPrecision,
    patients: Patients,
    draws: int = 2_000,
    level: float = 0.95,
    seed: int = 0,
) -> tuple[float, float]:
    """Percentile bootstrap interval of an average precision over patients.

    Args:
        precision: from :func:`average_precision`.
        patients: the patient of each image, ``(images,)``.
        draws: number of resamples.
        level: coverage, between 0 and 1.
        seed: of the resampling.

    Returns:
        (low, high).

    Raises:
        DataError: a patient missing, masses of one patient only, or ``draws`` or ``level`` out of
            range.
    """
    low, high = interval(_resampled([precision], patients, draws, seed), level)
    return float(low[0]), float(high[0])


def average_precision_difference(
    a: BoxPrecision,
    b: BoxPrecision,
    patients: Patients,
    draws: int = 2_000,
    level: float = 0.95,
    seed: int = 0,
) -> pd.DataFrame:
    """Average precision of one detector less another's, on the same resamples of patients.

    Args:
        a: of one detector.
        b: of the other, on the same images and masses and at the same thresholds.
        patients: the patient of each image, ``(images,)``.
        draws: number of resamples.
        level: coverage, between 0 and 1.
        seed: of the resampling.

    Returns:
        One row: difference, low, high, p (two-sided, of the resamples).

    Raises:
        DataError: as :func:`average_precision_ci`, or other images, masses or thresholds.
    """
    same_masses(a.matches[0], b.matches[0])
    if a.thresholds != b.thresholds:
        msg = f"thresholds {a.thresholds} and {b.thresholds} differ: compare at the same IoU"
        raise DataError(msg)
    both = _resampled([a, b], patients, draws, seed)
    found = both[:, :1] - both[:, 1:]
    low, high = interval(found, level)
    columns = {"difference": [a.value - b.value], "low": low, "high": high}
    return pd.DataFrame(columns | {"p": two_sided_p(found)})


def _resampled(
    detectors: Sequence[BoxPrecision], patients: Patients, draws: int, seed: int
) -> Values:
    """Average precision ``(draws, detectors)``, all of the same resamples."""
    codes = patient_codes(patients, detectors[0].matches[0].images)
    ladders = [[ladder_of(one, codes) for one in detector.matches] for detector in detectors]

    def mean(several: list[Ladder], times: Values) -> Values:
        found: Values = np.mean([ladder_precisions(one, times) for one in several], axis=0)
        return found

    return resample(
        lambda times: np.column_stack([mean(several, times) for several in ladders]),
        ladders[0][0].masses,
        draws,
        seed,
    )


def precision_recall(matches: Matches | Froc) -> PrecisionRecall:
    """The curve of precision against recall, with repeats as the matches count them.

    Args:
        matches: as judged, or a FROC curve made of them.

    Returns:
        The :class:`PrecisionRecall`; empty without a prediction that counts.

    Raises:
        DataError: no mass in any image.
    """
    curve = matches if isinstance(matches, Froc) else froc_of(matches)
    hits = curve.sensitivity[1:] * len(curve.matches.true_boxes)
    false = curve.false_positives_per_image[1:] * curve.matches.images
    return PrecisionRecall(curve.thresholds[1:], hits / (hits + false), curve.sensitivity[1:])
