"""What the tables between cohorts say, in sentences whose numbers come from the tables."""

from __future__ import annotations

from typing import Final

import pandas as pd

from mammostudy.study import printed, words
from mammostudy.study.transfer import TITLES, specs

LEVEL: Final = 0.05


def preliminaries(cohort: str, preset: str) -> str:
    """Say where the page has nothing to ask for; nothing where it has."""
    if specs(cohort, preset):
        return ""
    return (
        "Not run in this preset: what carries over is asked of CDD-CESM's two kinds of image, in "
        "`reference` and `paper` alone; the tables and figures of this page therefore show no "
        "numbers."
    )


def reading(summary: pd.DataFrame, tests: pd.DataFrame) -> str:
    """Say what the page's tables mean.

    Args:
        summary: :func:`mammostudy.study.transfer.table`.
        tests: :func:`mammostudy.study.transfer.comparisons`.

    Returns:
        Markdown, a sentence a line.
    """
    oracle = summary[summary["box"] == "oracle"]
    if oracle.empty:
        return "No run of this page is on record yet, so it has nothing to say."
    said = [_beside_ellipse(row) for _, row in oracle.iterrows()]
    said += [_against_own(row) for _, row in tests.iterrows()]
    return words.paragraph([*said, _phantoms(oracle), _unsettled(oracle)])


def _side(low: float, high: float) -> str:
    if low > 0:
        return "better"
    return "worse" if high < 0 else "not told apart"


def _beside_ellipse(row: pd.Series) -> str:
    said = (
        f"Trained on {TITLES[row['home']]} and tested on {TITLES[row['away']]}: Dice "
        f"{printed.cell_of(row)} over {words.count(int(row['cases']), 'mass')} of "
        f"{words.count(int(row['patients']), 'patient')}"
    )
    if pd.isna(row["ellipse"]):
        return f"{said}; the ellipse beside it was not run."
    gain = words.interval(row["gain"], row["gain_low"], row["gain_high"])
    side = _side(row["gain_low"], row["gain_high"])
    return f"{said}, {gain} against the ellipse in the known box on the same masses ({side})."


def _against_own(row: pd.Series) -> str:
    number = words.interval(row["difference"], row["low"], row["high"])
    return (
        f"On {words.count(int(row['masses']), 'mass')} of {TITLES[row['away']]} that both have not "
        f"met, training on {TITLES[row['home']]} in place of its own images changes Dice by "
        f"{number} over {words.count(int(row['patients']), 'patient')} "
        f"({_side(row['low'], row['high'])}, p {words.p_value(row['adjusted'])} after Holm's "
        f"correction); a difference of {row['smallest_detectable']:.3f} could have been seen."
    )


def _phantoms(oracle: pd.DataFrame) -> str:
    """Say what a model that saw no patient is worth, where it was run."""
    rows = oracle[oracle["home"] == "phantom"]
    if rows.empty:
        return ""
    below = [TITLES[row["away"]] for _, row in rows.iterrows() if row["gain_high"] < 0]
    if not below:
        return (
            "The model trained on phantoms has seen no patient: its rows say what geometry and "
            "simulated texture teach."
        )
    return (
        f"The model trained on phantoms has seen no patient, and on {words.listed(below)} it is "
        "worse than the ellipse, which has learnt nothing: results on phantoms do not speak for "
        "mammograms."
    )


def _unsettled(oracle: pd.DataFrame) -> str:
    names = oracle[oracle["converged"] == "no"]["home"].map(TITLES).unique()
    if not len(names):
        return ""
    return (
        f"Training had not converged on {words.listed(names)}: the scores are shown, and stand in "
        "no ranking."
    )
