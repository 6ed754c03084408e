"""What a detector did: FROC curves, average precision, errors of boxes, what scores mean.

FROC is the share of masses found against false positives an image, over all score thresholds.

Intervals are of resamples of patients, all of whose images enter together. Sensitivity changes
only where a mass is found. It is therefore enough to know, for each score that finds a mass, how
many masses and false positives each patient has from that score on (its *ladder*): a resample of
patients is then one row times a matrix.

Average precision is counted as COCO does (Lin et al. 2014): a second box on a found mass is a false
positive, and precision is made falling before it is sampled at 101 recalls. Only boxes of equal
score enter together, where COCO takes them in the order given.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from mammostudy.errors import DataError
from mammostudy.evaluation import statistics
from mammostudy.evaluation.boxes import HIT, Matches, match_detections
from mammostudy.evaluation.statistics import Patients, Times, Values

RATES = (0.125, 0.25, 0.5, 1.0, 2.0, 4.0, 8.0)
"""False positives an image at which sensitivity is told: LUNA16's seven."""
BAND_RATES = tuple(float(rate) for rate in np.geomspace(1 / 32, 8, 129))  # 16 a doubling
RECALLS = np.linspace(0.0, 1.0, 101)
SLACK = 1e-9  # false positives by which a rate may be passed: 0.29 * 100 is a hair below 29


@dataclass(frozen=True)
class Froc:
    """A FROC curve: one point a distinct score, from (0, 0) on, as predictions are added.

    Predictions of equal score enter together, so that the curve does not depend on their order.
    """

    false_positives_per_image: Values  # over all images, those without masses included, (p,)
    sensitivity: Values  # share of masses found, (p,)
    thresholds: Values  # from which predictions count, descending, first infinity, (p,)
    matches: Matches  # what the curve was made of

    def sensitivity_at(self, rate: ArrayLike) -> Any:
        """Sensitivity at the lowest threshold with at most ``rate`` false positives an image.

        The curve is a staircase: nothing is interpolated between thresholds (LUNA16 and MONAI do).
        A rate beyond the curve gives its end; a rate below its first point gives 0.
        """
        found = self.sensitivity[self._last_within(rate)]
        return float(found) if np.ndim(rate) == 0 else np.asarray(found, dtype=np.float64)

    def threshold_at(self, rate: float) -> float:
        """The lowest threshold with at most ``rate`` false positives an image, else infinity."""
        return float(self.thresholds[self._last_within(rate)])

    def mean_sensitivity(self) -> float:
        """Mean of the sensitivities at the seven rates: LUNA16's competition metric (CPM)."""
        return float(np.mean(self.sensitivity_at(RATES)))

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
        threshold: IoU from which a box fits, within (0, 1]; not used by ``centre``.
        repeats: ``ignore`` (CAMELYON16, LUNA16) or ``false_positive`` (VOC, COCO).

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
        msg = f"true_boxes hold no mass in any of the {matches.images} images: no sensitivity"
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


@dataclass(frozen=True)
class Ladder:
    """Counts of each patient from each score on that finds a mass, by falling score."""

    hits: Values  # masses found, (patients, steps)
    false: Values  # false positives, (patients, steps)
    images: Values  # (patients,)
    masses: Values  # (patients,)


def ladder_of(matches: Matches, patient: NDArray[np.intp]) -> Ladder:
    """Count by patient, given by number for each image ``(images,)``."""
    rows = int(patient.max()) + 1
    hit, false = matches.outcome == HIT, matches.is_false_positive
    steps = np.unique(-matches.scores[hit])

    def stacked(which: NDArray[np.bool_]) -> Values:
        table = np.zeros((rows, len(steps) + 1))
        at = np.searchsorted(steps, -matches.scores[which], side="left")
        np.add.at(table, (patient[matches.image[which]], at), 1)
        return np.cumsum(table[:, :-1], axis=1)

    return Ladder(
        hits=stacked(hit),
        false=stacked(false),
        images=np.bincount(patient, minlength=rows).astype(np.float64),
        masses=np.bincount(patient[matches.true_image], minlength=rows).astype(np.float64),
    )


def ladder_sensitivities(ladder: Ladder, times: Times, rates: Values) -> Values:
    """Sensitivity at each rate ``(draws, r)`` of resamples; NaN where a draw has no mass."""
    weights = times.astype(np.float64)
    false, images = weights @ ladder.false, weights @ ladder.images
    hits = np.pad(weights @ ladder.hits, ((0, 0), (1, 0)))
    allowed = images[:, None] * rates + SLACK
    places = np.stack([(false <= limit[:, None]).sum(axis=1) for limit in allowed.T], axis=1)
    found = np.take_along_axis(hits, places, axis=1)
    return statistics.quotients(found, (weights @ ladder.masses)[:, None])


def resample_ladders(
    detectors: Sequence[Sequence[Matches]],
    patients: Patients,
    measure: Callable[[Ladder, Times], Values],
    draws: int = 2_000,
) -> list[Values]:
    """The mean measure of each detector's matches, of the same resamples, in which masses exist."""
    first = detectors[0][0]
    for other in (matches for detector in detectors for matches in detector):
        same = first.images == other.images and np.array_equal(first.true_image, other.true_image)
        if not same or not np.array_equal(first.true_boxes, other.true_boxes):
            msg = "true_boxes differ: compare detectors on the same images, in order"
            raise DataError(msg)
    codes = statistics.patient_codes(patients, first.images)
    if len(np.unique(codes[first.true_image])) < 2:
        msg = "patients: all masses come from one patient: no interval over patients exists"
        raise DataError(msg)
    ladders = [[ladder_of(matches, codes) for matches in detector] for detector in detectors]

    def measured(times: Times) -> Values:
        means = [np.mean([measure(one, times) for one in own], axis=0) for own in ladders]
        return np.stack(means, axis=1)

    count = int(codes.max()) + 1
    found = statistics.resample(measured, count, draws, 0, multinomial=True, again=True)
    return [found[:, at] for at in range(len(detectors))]


def froc_band(curve: Froc, patients: Patients) -> pd.DataFrame:
    """Sensitivity over the rates of a band with its pointwise 95 % interval over patients.

    Patients are given for each image ``(images,)``. Columns rate, reached (whether the curve has
    so many false positives; beyond, it goes on level), sensitivity, low, high.
    """
    rates = np.array(BAND_RATES)
    measure = partial(ladder_sensitivities, rates=rates)
    low, high = statistics.percentiles(resample_ladders([[curve.matches]], patients, measure)[0])
    ends = {"sensitivity": curve.sensitivity_at(rates), "low": low, "high": high}
    reached = curve.false_positives_per_image[-1] >= rates
    return pd.DataFrame({"rate": rates, "reached": reached, **ends})


def precision_recall(matches: Matches) -> pd.DataFrame:
    """Columns thresholds (descending), precision and recall, a row a distinct score."""
    curve = froc_of(matches)
    hits = curve.sensitivity[1:] * len(matches.true_boxes)
    counted = hits + curve.false_positives_per_image[1:] * matches.images
    columns = {"thresholds": curve.thresholds[1:], "precision": hits / counted}
    return pd.DataFrame(columns | {"recall": curve.sensitivity[1:]})


def average_precision(matches: Sequence[Matches]) -> float:
    """Average precision, the mean over matches by IoU with repeats as false positives."""
    if not all(one.rule == "iou" and one.repeats == "false_positive" for one in matches):
        msg = "average precision needs matches by iou with repeats='false_positive'"
        raise DataError(msg)
    once = np.ones((1, 1), dtype=np.int64)
    ladders = [ladder_of(one, np.zeros(one.images, np.intp)) for one in matches]
    return float(np.mean([ladder_precisions(ladder, once)[0] for ladder in ladders]))


def ladder_precisions(ladder: Ladder, times: Times) -> Values:
    """Average precision of resamples ``(draws, patients)``; NaN where a draw has no mass."""
    weights = times.astype(np.float64)
    hits, masses = weights @ ladder.hits, weights @ ladder.masses
    if not hits.shape[1]:
        return np.where(masses > 0, 0.0, np.nan)
    total = hits + weights @ ladder.false
    precision = np.divide(hits, total, out=np.zeros_like(hits), where=total > 0)
    envelope = np.maximum.accumulate(precision[:, ::-1], axis=1)[:, ::-1]
    recall = np.nan_to_num(statistics.quotients(hits, masses[:, None]))
    sampled = np.searchsorted(RECALLS, recall, side="right")
    weight = np.diff(sampled, axis=1, prepend=0)
    return np.where(masses > 0, (envelope * weight).sum(axis=1) / len(RECALLS), np.nan)


def average_precision_ci(
    matches: Sequence[Matches], patients: Patients, draws: int = 2_000
) -> tuple[float, float]:
    """95 % bootstrap interval of an average precision over the patients of the images."""
    return statistics.limits(resample_ladders([matches], patients, ladder_precisions, draws)[0])
