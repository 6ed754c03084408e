"""What the tables on ROC curves say, in sentences whose numbers come from the tables."""

from __future__ import annotations

from typing import Final

import numpy as np
import pandas as pd

from mammostudy.study import published, words
from mammostudy.study.roc import FOREST, MACRO, MICRO, PAPER, STUDY
from mammostudy.study.roc_calibration import SHARES, at_an_end
from mammostudy.study.roc_printed import ends

_NOTHING = "No run of this page is on record yet, so it has nothing to say."
NAMES: Final = {
    PAPER: "the paper's CNN",
    STUDY: "this study's CNN",
    FOREST: "the random forest on features",
}


def name(model: str) -> str:
    """Return what a sentence calls a row."""
    return NAMES.get(model, model)


def reading(
    areas: pd.DataFrame,
    folds: pd.DataFrame,
    tests: pd.DataFrame,
    calibration: pd.DataFrame,
    temperatures: pd.DataFrame,
) -> str:
    """Say what the page's tables mean.

    Args:
        areas: :func:`mammostudy.study.roc.auc_table`.
        folds: :func:`mammostudy.study.roc.fold_summary`.
        tests: :func:`mammostudy.study.roc_comparison.comparisons`.
        calibration: :func:`mammostudy.study.roc_calibration.calibration_table`.
        temperatures: :func:`mammostudy.study.roc_calibration.temperatures`.

    Returns:
        Markdown, a sentence a line.
    """
    if areas.empty:
        return _NOTHING
    said = [
        _averages(areas, MACRO),
        _averages(areas, MICRO),
        _classes(areas),
        _widths(areas),
        _folds(folds),
        _pooling(areas, folds),
        *(_against(tests, other) for other in dict.fromkeys(tests["b"])),
        *(_calibrated(calibration, temperatures, model) for model in NAMES),
        *(_brier(calibration, model) for model in NAMES),
    ]
    return words.bullets(said)


def _averages(areas: pd.DataFrame, curve: str) -> str:
    rows = areas[areas["curve"] == curve]
    said = [
        f"{row['auc']:.3f} {_over(row['low'], row['high'])} for {name(row['model'])}"
        for row in rows.to_dict("records")
    ]
    return f"Over all test cases the {curve} AUC is {words.listed(said)}." if said else ""


def _over(low: float, high: float) -> str:
    interval = ends(low, high)
    return interval if interval.startswith("[") else "(no interval over patients)"


def _classes(areas: pd.DataFrame) -> str:
    rows = areas[(areas["model"] == PAPER) & ~areas["curve"].isin([MACRO, MICRO])]
    if len(rows) < 2:
        return ""
    ordered = rows.sort_values("auc")
    worst, best = ordered.iloc[0], ordered.iloc[-1]
    return (
        f"The paper's CNN sets {best['curve']} masses apart best (AUC {best['auc']:.3f}) and "
        f"{worst['curve']} masses worst ({worst['auc']:.3f}): one number for all hides "
        f"{best['auc'] - worst['auc']:.3f}."
    )


def _widths(areas: pd.DataFrame) -> str:
    """Set the interval over patients against DeLong's."""
    width = areas["delong_high"] - areas["delong_low"]
    ratio = ((areas["high"] - areas["low"]) / width)[width > 0].dropna()
    if ratio.empty:
        return ""
    middle = float(ratio.median())
    text = (
        f"The interval over patients is {middle:.2f} times as wide as DeLong's "
        f"(median of {words.count(len(ratio), 'curve')}, {ratio.min():.2f} to {ratio.max():.2f})"
    )
    if middle > 1.1:
        return f"{text}: DeLong takes the masks of a patient as independent and is too sure here."
    if (areas["cases"] == areas["patients"]).all():
        return f"{text}: every patient has a single mask, so that there is nothing to choose."
    return f"{text}: here the masks of a patient hardly go together, and the two agree."


def _folds(folds: pd.DataFrame) -> str:
    rows = folds[(folds["model"] == PAPER) & (folds["curve"] == MACRO) & (folds["folds"] > 1)]
    if rows.empty:
        return ""
    row, stated = rows.iloc[0], published.FACTS["shape AUC"].value
    gap = row["mean"] - stated
    side = f"{abs(gap):.3f} {'above' if gap > 0 else 'below'}"
    return (
        f"Taken fold by fold, the macro AUC of the paper's CNN runs from {row['lowest']:.3f} to "
        f"{row['highest']:.3f} (mean {row['mean']:.3f}, SD {row['sd']:.3f}, "
        f"{int(row['folds'])} folds); the mean lies {side} the published {stated:.2f}, "
        f"which is of other masses and of a class or average that is not reported."
    )


def _pooling(areas: pd.DataFrame, folds: pd.DataFrame) -> str:
    pooled = areas[(areas["model"] == PAPER) & (areas["curve"] == MACRO)]
    each = folds[(folds["model"] == PAPER) & (folds["curve"] == MACRO) & (folds["folds"] > 1)]
    if pooled.empty or each.empty:
        return ""
    gap = float(pooled["auc"].iloc[0] - each["mean"].iloc[0])
    return f"Pooling the scores of the folds' models moves that mean by {gap:+.3f}."


def _against(tests: pd.DataFrame, other: str) -> str:
    """Say how the paper's CNN compares with another row."""
    rows = tests[tests["b"] == other]
    macro, classes = rows[rows["curve"] == MACRO], rows[rows["curve"] != MACRO]
    settled = classes[classes["p_holm"] < 0.05]
    found = [
        f"{row['curve']} ({row['difference']:+.3f}, p {words.p_value(row['p_holm'])})"
        for row in settled.to_dict("records")
    ]
    by_class = (
        f"class by class DeLong's test finds a difference for {words.listed(found)}"
        if found
        else "class by class DeLong's test finds no difference"
    )
    text = f"after Holm's correction over {words.count(int(tests['p'].notna().sum()), 'test')}"
    held = [row["curve"] for row in settled.to_dict("records") if row["low"] <= 0 <= row["high"]]
    if held:
        text += f" (the interval over patients holds 0 for {words.listed(held)})"
    if macro.empty:
        return f"The paper's CNN against {name(other)}: {by_class} {text}."
    row = macro.iloc[0]
    number = words.interval(row["difference"], row["low"], row["high"])
    return (
        f"Macro AUC of the paper's CNN minus that of {name(other)}: {number} over "
        f"{words.count(int(row['patients']), 'patient')}{_side(row)}; {by_class} {text}."
    )


def _side(row: pd.Series) -> str:
    if not np.isfinite([row["low"], row["high"]]).all():
        return ""
    if row["low"] > 0:
        return " (the interval lies above 0)"
    return " (the interval lies below 0)" if row["high"] < 0 else " (the interval holds 0)"


def _calibrated(calibration: pd.DataFrame, temperatures: pd.DataFrame, model: str) -> str:
    rows = calibration[calibration["model"] == model].set_index("scaling")
    own = temperatures.loc[temperatures["model"] == model, "temperature"]
    if rows.empty or own.empty:
        return ""
    before, after = rows.loc["before"], rows.loc["after"]
    verb = "falls" if after["ece"] < before["ece"] else "does not fall"
    share = "more than" if after["ece"] > after["by_chance_high"] else "no more than"
    ended = int(own.map(at_an_end).sum())
    doubt = f" ({ended} at an end of the search)" if ended else ""
    return (
        f"The temperatures of {name(model)} lie between {own.min():.2f} and {own.max():.2f}"
        f"{doubt}; with them its calibration error {verb}, from {before['ece']:.3f} to "
        f"{after['ece']:.3f}, which is {share} chance alone explains (a perfectly calibrated "
        f"forecast of these cases stays below {after['by_chance_high']:.3f} in 95 % of draws)."
    )


def _brier(calibration: pd.DataFrame, model: str) -> str:
    rows = calibration[(calibration["model"] == model) & (calibration["scaling"] == "after")]
    shares = calibration[calibration["model"] == SHARES]
    if rows.empty or shares.empty:
        return ""
    score, reference = float(rows["brier"].iloc[0]), float(shares["brier"].iloc[0])
    gain = 100 * (1 - score / reference)
    verdict = f"{gain:.0f} % lower" if gain >= 0 else f"{-gain:.0f} % higher"
    return (
        f"The Brier score of {name(model)} after scaling, {score:.3f}, is {verdict} than that of "
        f"the training shares, {reference:.3f}, which look at no mask"
        f"{'' if gain >= 0 else ': here its probabilities are worth less than none'}."
    )
