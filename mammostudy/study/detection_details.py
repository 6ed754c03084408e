"""Behind a detector's score: curves, box errors, sizes, what its scores mean, what it cost."""

from __future__ import annotations

from collections.abc import Mapping
from inspect import signature
from typing import Any, Final

import numpy as np
import pandas as pd

from mammostudy.evaluation.boxes import OUTCOMES
from mammostudy.evaluation.detection import (
    error_summary,
    precision_recall,
    score_calibration_error,
    score_reliability,
)
from mammostudy.evaluation.froc_curves import froc_of
from mammostudy.evaluation.froc_intervals import froc_band, sensitivity_by_size
from mammostudy.imaging.framing import jitter_box
from mammostudy.runs.detection_rows import HEADLINE, matches_of
from mammostudy.study import detect_recipes, printed
from mammostudy.study.detection import Detectors
from mammostudy.study.detection_judged import AP50_RULE, DRAWS, OPERATING, Judged, scores

JITTER: Final = {
    name: float(signature(jitter_box).parameters[name].default) for name in ("shift", "resize")
}
"""How far the jittered box of the other pages may be off."""
SHOWN: Final = {
    "iou": "IoU with the mass's box",
    "centre_distance": "distance of the centres, share of the mass's diameter",
    "centre_x_error": "centre, left to right, share of the mass's width",
    "centre_y_error": "centre, top to bottom, share of the mass's height",
    "width_log_ratio": "logarithm of width over the mass's",
    "height_log_ratio": "logarithm of height over the mass's",
}


def bands(found: Detectors) -> pd.DataFrame:
    """Return the FROC curves with bands: row, rate, reached, sensitivity, low, high, single.

    ``single``: the detector has one operating point only (its boxes score all the same), at the
    first rate that is given.
    """
    out = []
    for name, each in found.items():
        curve = each.curve()
        table = froc_band(curve, each.patients, draws=DRAWS)
        single = len(curve.thresholds) == 2
        if single:
            table = table[table["rate"] >= curve.false_positives_per_image[-1]]
        out.append(table.assign(row=name, single=single))
    return pd.concat(out, ignore_index=True) if out else pd.DataFrame()


def operating_points(found: Detectors) -> pd.DataFrame:
    """Return where the thresholds of detectors land on test: row, rate, sensitivity."""
    return pd.DataFrame(
        {
            "row": name,
            "rate": float(each.false_positives().mean()),
            "sensitivity": float(each.found().mean()),
        }
        for name, each in found.items()
        if name != detect_recipes.PRIOR_ROW
    )


def precision_curves(found: Detectors) -> pd.DataFrame:
    """Return precision against recall at an IoU of 0.5: row, threshold, recall, precision.

    Repeats are false positives, as in average precision.
    """
    out = []
    for name, each in found.items():
        curve = precision_recall(each.matches(AP50_RULE, "false_positive"))
        columns = {"recall": curve.recall, "precision": curve.precision}
        out.append(pd.DataFrame({"row": name, "threshold": curve.thresholds, **columns}))
    return pd.concat(out, ignore_index=True) if out else pd.DataFrame()


def mass_errors(detector: Judged) -> pd.DataFrame:
    """Return how far off the box of each found mass is.

    Errors are kept against the mass that a box overlaps most. The few boxes that find another one
    are left out.

    Returns:
        A row a mass: patient, diameter, found (at the operating threshold, with errors), and the
        columns of :data:`SHOWN`.
    """
    matches, found = detector.matches(), detector.found()
    rows = detector.rows
    boxes = rows[rows["row"] == "box"].reset_index(drop=True)
    masses = rows[rows["row"] == "mass"].reset_index(drop=True)
    out = masses[["patient", "diameter"]].assign(found=False)
    errors = boxes[list(SHOWN)].to_numpy(np.float64)
    own = boxes["nearest"].to_numpy() == boxes[HEADLINE].to_numpy()
    by = matches.found_by
    kept = found & own[by] if len(boxes) else found
    values = np.full((len(out), len(SHOWN)), np.nan)
    values[kept] = errors[by[kept]]
    out[list(SHOWN)] = values
    return out.assign(found=kept)


def box_errors(detector: Judged) -> pd.DataFrame:
    """Summarise :func:`mass_errors`; empty where nothing is found.

    Returns:
        See :func:`mammostudy.evaluation.detection.error_summary`; and ``within``: the share of
        the found masses whose error is no larger than that of a jittered box may be (NaN where
        jitter sets no bound).
    """
    table = mass_errors(detector)
    if not table["found"].any():
        return pd.DataFrame()
    out = error_summary(table, table["patient"], list(SHOWN), draws=DRAWS)
    return out.assign(within=[_within(table[table["found"]], name) for name in out["error"]])


def _within(found: pd.DataFrame, error: str) -> float:
    if error in ("centre_x_error", "centre_y_error"):
        return float((found[error].abs() <= JITTER["shift"]).mean())
    if error in ("width_log_ratio", "height_log_ratio"):
        return float((abs(np.exp(found[error]) - 1) <= JITTER["resize"]).mean())
    return float("nan")


def printed_errors(table: pd.DataFrame) -> pd.DataFrame:
    """Lay out :func:`box_errors`."""
    return pd.DataFrame(
        {
            "error": SHOWN[row["error"]],
            "mean": printed.cell(row["mean"], row["low"], row["high"], 2),
            "median": f"{row['median']:.2f}",
            "mean size": f"{row['mean_absolute']:.2f}",
            "within the jitter": "–" if np.isnan(row["within"]) else f"{100 * row['within']:.0f} %",
            "found masses": row["masses"],
        }
        for row in table.to_dict("records")
    )


def sizes(detector: Judged) -> pd.DataFrame:
    """Return the sensitivity of small, medium and large masses, thirds of the tested ones.

    Returns:
        See :func:`~mammostudy.evaluation.froc.sensitivity_by_size`; sizes are shares of the view's
        own (the square root of its area).
    """
    rows = detector.rows
    shares = rows.loc[rows["row"] == "mass", "share"].to_numpy(np.float64)
    return sensitivity_by_size(detector.matches(), detector.patients, diameters=shares, draws=DRAWS)


def printed_sizes(table: pd.DataFrame) -> pd.DataFrame:
    """Lay out :func:`sizes`: a row a size, sensitivity at 1 false positive and the mean."""
    out = []
    for size, part in table.groupby("size", sort=False):
        first = part.iloc[0]
        top = "" if np.isinf(first["up_to"]) else f"{100 * first['up_to']:.1f}"
        span = f"above {100 * first['above']:.1f} %" if not top else f"up to {top} %"
        cells = {}
        for heading, chosen in (
            ("sensitivity at 1 false positive a view", part[part["rate"] == OPERATING]),
            ("mean sensitivity", part[part["rate"].isna()]),
        ):
            row = chosen.iloc[0] if len(chosen) else first
            ends = (row["sensitivity"], row["low"], row["high"])
            cells[heading] = "–" if np.isnan(ends[0]) else printed.cell(*ends, 2)
        out.append({"masses": f"{size} ({span})", "count": first["masses"], **cells})
    return pd.DataFrame(out)


def reliability(detector: Judged) -> tuple[pd.DataFrame, float]:
    """Return the score against the share of boxes that are a mass, and the mean gap.

    See :func:`mammostudy.evaluation.detection.score_reliability`; empty and NaN without a box.
    """
    matches = detector.matches()
    if not len(matches.scores):
        return pd.DataFrame(), float("nan")
    return score_reliability(matches), score_calibration_error(matches)


def score_rows(detector: Judged) -> pd.DataFrame:
    """Return every box of the test views: score, outcome (hit, repeat, false), mass-free view."""
    matches = detector.matches()
    free = (detector.views["masses"] == 0).to_numpy()
    outcome = np.array(OUTCOMES)[matches.outcome]
    return pd.DataFrame(
        {"score": matches.scores, "outcome": outcome, "mass_free": free[matches.image]}
    )


def training(found: Mapping[str, Detectors]) -> pd.DataFrame:
    """Return what the trainings learnt over time: group, row, minutes, sensitivity.

    It is the mean sensitivity on validation views; minutes are core-minutes.
    """
    out = []
    for group, rows in found.items():
        for name, each in rows.items():
            record = each.records[0]
            if "validation_sensitivity" not in record.curves:
                continue
            seen = record.curves.dropna(subset=["validation_sensitivity"])
            threads = int(record.provenance.get("machine", {}).get("threads", 1))
            columns = {
                "minutes": seen["seconds"].to_numpy() * threads / 60,
                "sensitivity": seen["validation_sensitivity"].to_numpy(),
                "iteration": seen["iteration"].to_numpy(),
            }
            out.append(pd.DataFrame({"group": group, "row": name, **columns}))
    return pd.concat(out, ignore_index=True) if out else pd.DataFrame()


def validated(detector: Judged) -> float:
    """Return the mean sensitivity on the validation views of the first fold."""
    return froc_of(matches_of(detector.records[0].part("validation"))).mean_sensitivity()


def costs(found: Mapping[str, Detectors]) -> pd.DataFrame:
    """Return what each training cost and reached on test: the scores with their group."""
    out: list[dict[str, Any]] = [
        {"group": group} | scores(each) for group, rows in found.items() for each in rows.values()
    ]
    return pd.DataFrame(out)
