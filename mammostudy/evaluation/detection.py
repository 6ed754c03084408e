"""What a detector did mass by mass: found or missed, how far off, and what its scores mean."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from mammostudy.errors import DataError
from mammostudy.evaluation.boxes import Values, box_centres, box_diameters, box_sides, pairwise_iou
from mammostudy.evaluation.matching import FALSE, Matches, some_mass
from mammostudy.evaluation.proportions import wilson_interval
from mammostudy.evaluation.statistics import Patients, bootstrap_ci

VERSION = 1
"""Recipe version: raised by hand when the numbers that leave this module change."""

ERRORS = (
    "centre_x_error",
    "centre_y_error",
    "centre_distance",
    "width_log_ratio",
    "height_log_ratio",
    "iou",
)
"""Columns of :func:`mass_table` that say how far the box of a found mass is off."""


def mass_table(matches: Matches, score: float = -np.inf) -> pd.DataFrame:
    """One row a mass: whether it is found, at what score, and how far off its box is.

    Args:
        matches: as judged.
        score: predictions of this score and above count.

    Returns:
        Columns, in the order of the masses given:

        - image: its number;
        - x_min, y_min, x_max, y_max: of the true box, pixels;
        - diameter: square root of its width times height, pixels;
        - score: of the prediction that finds it (NaN if none does at any score);
        - found: whether that score is reached;
        - centre_x_error, centre_y_error: predicted less true centre, as a share of the true box's
          width or height;
        - centre_distance: distance of the centres, as a share of the true diameter;
        - width_log_ratio, height_log_ratio: natural logarithm of predicted over true side;
        - iou: of the two boxes.

        The last six are NaN for a mass that is not found.

    Raises:
        DataError: the score is not a number.
    """
    true, by = matches.true_boxes, matches.found_by
    table = pd.DataFrame({"image": matches.true_image})
    table[["x_min", "y_min", "x_max", "y_max"]] = true
    table["diameter"] = box_diameters(true)
    table["score"] = np.where(by >= 0, matches.found_score, np.nan)
    found = matches.found(score)
    table["found"] = found
    table[list(ERRORS)] = np.full((len(true), len(ERRORS)), np.nan)
    table.loc[found, list(ERRORS)] = _errors(matches.boxes[by[found]], true[found])
    return table


def _errors(predicted: Values, true: Values) -> Values:
    """The columns of ``ERRORS`` for boxes in pairs, ``(k, 6)``."""
    shift = box_centres(predicted) - box_centres(true)
    distance = np.hypot(shift[:, 0], shift[:, 1]) / box_diameters(true)
    ratio = np.log(box_sides(predicted) / box_sides(true))
    pairs = zip(predicted, true, strict=True)
    overlap = np.array([pairwise_iou(p[None], t[None])[0, 0] for p, t in pairs])
    return np.column_stack([shift / box_sides(true), distance, ratio, overlap.reshape(-1)])


def detection_accuracy(matches: Matches, score: float = 0.5) -> float:
    """Share of masses found at a score threshold: what "detection accuracy" is taken to mean.

    False positives do not enter: put their number an image beside it. Its interval over patients
    is ``bootstrap_ci(mass_table(matches, score)["found"], patients of the masses)``, and two
    detectors are compared by ``paired_test`` of that column.

    Args:
        matches: as judged.
        score: predictions of this score and above count.

    Returns:
        The share, in [0, 1].

    Raises:
        DataError: no mass in any image, or a score that is not a number.

    Source: the paper names the accuracy of its detectors but neither the rule nor the threshold
        of the score; both are fields here and must be told with the number.
    """
    some_mass(matches)
    return float(matches.found(score).mean())


def error_summary(
    masses: pd.DataFrame,
    patients: Patients,
    errors: Sequence[str] = ERRORS,
    draws: int = 2_000,
    level: float = 0.95,
    seed: int = 0,
) -> pd.DataFrame:
    """Mean errors of the boxes of found masses, with intervals over patients.

    Missed masses have no box and do not enter: two detectors that find different masses are not
    compared by this table. The mean of a signed error is its bias; ``mean_absolute`` its size.

    Args:
        masses: from :func:`mass_table`.
        patients: the patient of each mass, one a row.
        errors: columns to summarise.
        draws: number of resamples.
        level: coverage, between 0 and 1.
        seed: of the resampling.

    Returns:
        One row an error: error, masses, mean, low, high, median, mean_absolute.

    Raises:
        DataError: no mass is found, another number of patients than masses, a missing patient, or
            ``draws`` or ``level`` out of range.
    """
    names = np.asarray(patients)
    found = masses["found"].to_numpy(dtype=np.bool_)
    if names.shape != found.shape:
        msg = f"patients of shape {names.shape} for {len(found)} masses: name the patient of each"
        raise DataError(msg)
    if not found.any():
        msg = f"none of the {len(found)} masses is found: there is no box to measure; lower `score`"
        raise DataError(msg)
    rows = []
    for error in errors:
        values = masses.loc[found, error].to_numpy(dtype=np.float64)
        low, high = bootstrap_ci(values, names[found], draws=draws, level=level, seed=seed)
        rows.append(
            {
                "error": error,
                "masses": len(values),
                "mean": float(values.mean()),
                "low": low,
                "high": high,
                "median": float(np.median(values)),
                "mean_absolute": float(np.abs(values).mean()),
            }
        )
    return pd.DataFrame(rows)


def score_reliability(matches: Matches, bins: int = 10) -> pd.DataFrame:
    """Score against the share of boxes that are a mass: the reliability diagram as a table.

    A box is a mass if it fits one by the rule, so that a repeat on a found mass is one too. Bins
    are equally wide and open below, ``(low, high]``; a score of 0 falls into the first. A box on a
    mass set aside by ``Matches.only`` still is one.

    Args:
        matches: as judged; their rule says what "is a mass" means.
        bins: number of bins between 0 and 1.

    Returns:
        One row for each bin with a box: low, high (ends of the bin), boxes, score (mean), share
        (that is a mass), share_low, share_high (Wilson, 95 %, boxes taken as independent).

    Raises:
        DataError: no prediction, scores outside [0, 1], or ``bins`` < 1.
    """
    scores, fits = _scores_and_fits(matches, bins)
    edges = np.linspace(0.0, 1.0, bins + 1)
    place = np.clip(np.searchsorted(edges, scores, side="left") - 1, 0, bins - 1)
    boxes = np.bincount(place, minlength=bins)
    used = np.flatnonzero(boxes)
    right = np.bincount(place, weights=fits, minlength=bins)[used]
    total = np.bincount(place, weights=scores, minlength=bins)[used]
    low, high = wilson_interval(right, boxes[used])
    return pd.DataFrame(
        {
            "low": edges[used],
            "high": edges[used + 1],
            "boxes": boxes[used],
            "score": total / boxes[used],
            "share": right / boxes[used],
            "share_low": low,
            "share_high": high,
        }
    )


def score_calibration_error(matches: Matches, bins: int = 10) -> float:
    """Mean gap between score and share of boxes that are a mass, weighted by boxes.

    It is ruled by the many boxes of low score: read it with the diagram.

    Args:
        matches: as judged.
        bins: number of bins between 0 and 1.

    Returns:
        The error, in [0, 1].

    Raises:
        DataError: as :func:`score_reliability`.

    Source: the expected calibration error of Naeini et al. 2015, of one class; Kuppers et al. 2020
        use it for boxes.
    """
    table = score_reliability(matches, bins)
    gap = (table["share"] - table["score"]).abs().to_numpy(dtype=np.float64)
    return float(np.average(gap, weights=table["boxes"].to_numpy(dtype=np.float64)))


def _scores_and_fits(matches: Matches, bins: int) -> tuple[Values, Values]:
    if bins < 1:
        msg = f"bins = {bins}: at least one bin needed"
        raise DataError(msg)
    scores = matches.scores
    if not len(scores):
        msg = f"scores of {matches.images} images hold no prediction: nothing to calibrate"
        raise DataError(msg)
    outside = np.flatnonzero((scores < 0) | (scores > 1))
    if outside.size:
        at = int(outside[0])
        msg = (
            f"scores: {scores[at]} of a box in image {matches.image[at]} leaves [0, 1]: "
            "apply the sigmoid or softmax to logits first"
        )
        raise DataError(msg)
    return scores, (matches.outcome != FALSE).astype(np.float64)
