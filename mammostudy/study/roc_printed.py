"""The tables on ROC curves and calibration as a page prints them."""

from __future__ import annotations

import math
from typing import Final

import pandas as pd

from mammostudy.study import printed, words
from mammostudy.study.roc import MACRO
from mammostudy.study.roc_calibration import BINS, at_an_end

NO_INTERVAL: Final = "none"
TITLES: Final = {
    "paper": "paper's CNN",
    "study": "study's CNN",
    "random forest on features": "random forest on features",
    "training shares": "training shares, no mask seen",
}


def title(model: str) -> str:
    """Return how a page names a row."""
    return TITLES.get(model, model)


def ends(low: float, high: float) -> str:
    """Print an interval, ``[0.810, 0.871]``, or that there is none."""
    if not (math.isfinite(low) and math.isfinite(high)):
        return NO_INTERVAL
    return f"[{low:.3f}, {high:.3f}]"


def auc_table(areas: pd.DataFrame) -> pd.DataFrame:
    """Lay out :func:`mammostudy.study.roc.auc_table`, both intervals side by side."""
    out = [
        (
            title(row["model"]),
            row["curve"],
            f"{row['cases']} of {row['patients']}",
            f"{row['auc']:.3f}",
            ends(row["delong_low"], row["delong_high"]),
            ends(row["low"], row["high"]),
        )
        for row in areas.to_dict("records")
    ]
    names = ["row", "curve", "cases of patients", "AUC", "DeLong 95 %", "over patients 95 %"]
    return pd.DataFrame(out, columns=names)


def folds_table(areas: pd.DataFrame, summary: pd.DataFrame) -> pd.DataFrame:
    """Lay out the areas of every fold with their mean and standard deviation.

    Args:
        areas: :func:`mammostudy.study.roc.fold_areas`.
        summary: :func:`mammostudy.study.roc.fold_summary`.
    """
    folds = sorted(areas["fold"].unique())
    names = ["row", "curve", *(f"fold {fold + 1}" for fold in folds), "mean (SD)", "folds"]
    wide = areas.set_index(["model", "curve", "fold"])["auc"]
    out = []
    for row in summary.to_dict("records"):
        values = [wide.get((row["model"], row["curve"], fold), math.nan) for fold in folds]
        cells = ["no curve" if math.isnan(value) else f"{value:.3f}" for value in values]
        spread = "" if math.isnan(row["sd"]) else f" ({row['sd']:.3f})"
        mean = printed.MISSING if math.isnan(row["mean"]) else f"{row['mean']:.3f}{spread}"
        out.append((title(row["model"]), row["curve"], *cells, mean, row["folds"]))
    return pd.DataFrame(out, columns=names)


def comparisons(tests: pd.DataFrame) -> pd.DataFrame:
    """Lay out :func:`mammostudy.study.roc_comparison.comparisons`."""
    out = []
    for row in tests.to_dict("records"):
        number = words.interval(row["difference"], row["low"], row["high"])
        pair = [row["p"], row["p_holm"]]
        tested = [printed.MISSING if math.isnan(p) else printed.p_value(p) for p in pair]
        counts = f"{row['cases']} of {row['patients']}"
        areas = (f"{row['a']:.3f}", f"{row['b_auc']:.3f}")
        out.append((title(row["b"]), row["curve"], counts, *areas, number, *tested))
    return pd.DataFrame(out, columns=list(_COMPARED))


_COMPARED: Final = (
    *("paper's CNN against", "curve", "cases of patients", "paper's AUC", "other AUC"),
    *("difference [over patients 95 %]", "p, DeLong", "p, Holm"),
)


def calibration_table(table: pd.DataFrame) -> pd.DataFrame:
    """Lay out :func:`mammostudy.study.roc_calibration.calibration_table`."""
    out = [
        (
            title(row["model"]),
            row["scaling"],
            f"{row['cases']} of {row['patients']}",
            f"{row['brier']:.3f} {ends(row['low'], row['high'])}",
            f"{row['ece']:.3f}",
            f"{row['by_chance']:.3f} (to {row['by_chance_high']:.3f})",
        )
        for row in table.to_dict("records")
    ]
    errors = (f"ECE, {BINS} bins", "ECE if perfectly calibrated (95th percentile)")
    names = ["row", "temperature scaling", "cases of patients", "Brier [95 %]", *errors]
    return pd.DataFrame(out, columns=names)


def temperatures(table: pd.DataFrame) -> pd.DataFrame:
    """Lay out :func:`mammostudy.study.roc_calibration.temperatures`, a column a fold."""
    folds = sorted(table["fold"].unique())
    names = ["row", *(f"fold {fold + 1}" for fold in folds), "validation masks a fold"]
    out = []
    for model, part in table.groupby("model", sort=False):
        by = part.set_index("fold")
        cells = [_temperature(by, fold) for fold in folds]
        masks = (int(part["masks"].min()), int(part["masks"].max()))
        span = f"{masks[0]}" if masks[0] == masks[1] else f"{masks[0]} to {masks[1]}"
        out.append((title(str(model)), *cells, span))
    return pd.DataFrame(out, columns=names)


def _temperature(by: pd.DataFrame, fold: int) -> str:
    if fold not in by.index:
        return printed.NOT_RUN
    value = float(by["temperature"].loc[fold])
    return f"{value:.2f}{' (end of the search)' if at_an_end(value) else ''}"


def errors_by_bins(table: pd.DataFrame) -> pd.DataFrame:
    """Lay out :func:`mammostudy.study.roc_calibration.errors_by_bins`."""
    named = table.assign(model=table["model"].map(title))
    return named.rename(columns={"model": "row", "scaling": "temperature scaling"})


def published_points(points: pd.DataFrame) -> pd.DataFrame:
    """Lay out :func:`mammostudy.study.roc.published_points`."""
    shown = points.copy()
    for column in ("false_positive", "true_positive", "area"):
        shown[column] = [printed.MISSING if math.isnan(v) else f"{v:.3f}" for v in points[column]]
    headings = {
        "curve": "shape",
        "false_positive": "1 - specificity",
        "true_positive": "sensitivity",
        "area": "area under two straight lines",
    }
    return shown.replace({"curve": {MACRO: "mean"}}).rename(columns=headings)
