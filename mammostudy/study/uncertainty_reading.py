"""What the tables on sampled masks say, in sentences whose numbers come from the tables."""

from __future__ import annotations

import pandas as pd

from mammostudy.study import words
from mammostudy.study.uncertainty import KEPT, SMALL


def reading(
    correlations: pd.DataFrame, areas: pd.DataFrame, tests: pd.DataFrame, agreement: pd.DataFrame
) -> str:
    """Say what the page's tables mean.

    Args:
        correlations: :func:`mammostudy.study.uncertainty.correlations`.
        areas: :func:`mammostudy.study.uncertainty.areas`.
        tests: :func:`mammostudy.study.uncertainty.gains`.
        agreement: :func:`mammostudy.study.uncertainty.agreement`.

    Returns:
        Markdown, a sentence a line.
    """
    if correlations.empty:
        return "No sampled run is on record yet, so this page has nothing to say."
    oracle = correlations[correlations["box"] == "oracle"].set_index("score")
    said = [
        _correlation(oracle.loc[["spread"]].iloc[0]),
        _against_size(oracle),
        _refusing(areas),
        _gain(tests),
        _agreement(agreement),
    ]
    return words.paragraph(said)


def _correlation(row: pd.Series) -> str:
    number = f"{row['rho']:+.2f} [{row['low']:+.2f}, {row['high']:+.2f}]"
    where = (
        f"over {words.count(int(row['cases']), 'mass')} of "
        f"{words.count(int(row['patients']), 'patient')}"
    )
    if row["low"] > 0:
        return f"The spread of the draws goes with the error: rank correlation {number} {where}."
    if row["high"] < 0:
        return f"The spread misleads: it is higher where the mask is better, {number} {where}."
    return f"The spread is not shown to go with the error: rank correlation {number} {where}."


def _against_size(oracle: pd.DataFrame) -> str:
    """Set the spread beside the score that needs no draws."""
    spread, small = oracle.loc["spread"], oracle.loc[SMALL]
    told = "by rank the two are not told apart, for their intervals overlap"
    if spread["low"] > small["high"]:
        told = "by rank the spread tells more than that"
    elif small["low"] > spread["high"]:
        told = "by rank the spread tells less than that"
    return (
        f"How small the predicted mass is, which needs no draws, has {small['rho']:+.2f} "
        f"[{small['low']:+.2f}, {small['high']:+.2f}]: {told}."
    )


def _refusing(areas: pd.DataFrame) -> str:
    if areas.empty:
        return ""
    row = areas.set_index("score").loc["spread"]
    return (
        f"Refusing the {100 * (1 - KEPT):.0f} % of largest spread changes mean Dice from "
        f"{row['whole']:.3f} to {row['kept']:.3f}; knowing the errors would give "
        f"{row['kept_oracle']:.3f}. Over all coverages the spread goes {100 * row['gain']:.0f} % "
        f"[{100 * row['gain_low']:.0f}, {100 * row['gain_high']:.0f}] of the way from a random "
        f"order to that of the errors."
    )


def _gain(tests: pd.DataFrame) -> str:
    rows = tests[(tests["box"] == "oracle") & (tests["metric"] == "dice")] if len(tests) else tests
    if rows.empty:
        return ""
    row = rows.iloc[0]
    side = "the interval holds 0"
    if row["low"] > 0:
        side = "the mean is better"
    elif row["high"] < 0:
        side = "the mean is worse"
    number = words.interval(row["difference"], row["low"], row["high"], digits=4)
    return (
        f"Dice of the mean of the draws minus Dice of one draw: {number} over "
        f"{words.count(int(row['patients']), 'patient')} ({side})."
    )


def _agreement(agreement: pd.DataFrame) -> str:
    rows = agreement[agreement["box"] == "oracle"]
    if rows.empty:
        return ""
    row = rows.iloc[0]
    share = 100 * row["disagreement"] / row["error"] if row["error"] else float("nan")
    return (
        f"Two draws differ from each other by {row['disagreement']:.3f} (mean 1 - Dice), a draw "
        f"from the truth by {row['error']:.3f}: were the truth one more draw the two would be "
        f"equal, so the dropout shows {share:.0f} % of the error."
    )


def setting(draws: int, found: pd.DataFrame) -> str:
    """Say how often is drawn, and whether both rows stand on the same trainings.

    Args:
        draws: :func:`mammostudy.study.uncertainty.draws`.
        found: :func:`mammostudy.study.uncertainty.trainings`.
    """
    said = f"Every mass is drawn {draws} times."
    return words.paragraph([said, _same_training(found)])


def _same_training(found: pd.DataFrame) -> str:
    if found.empty:
        return ""
    if not found["same"].all():
        folds = ", ".join(map(str, found[~found["same"]]["fold"]))
        return f"Fold {folds}: the two rows stand on other trainings, so their difference is both."
    apart = found["apart"].max()
    said = "Both rows stand on the same recipe of training, fold by fold"
    if apart == 0:
        return f"{said}, and on the same weights."
    return (
        f"{said}; a training that was made anew for one of them differs in its validation Dice by "
        f"up to {apart:.4f}, so their difference holds that as well."
    )
