"""How many patients a claim needs: from the spread of patients' differences on real mammograms.

The spread is taken from the committed records of CDD-CESM, claim by claim: the standard deviation,
over patients, of each patient's mean difference between the two rows compared. It holds what
patients and one training a fold vary by, and is the study's best guess for another cohort.
"""

from __future__ import annotations

import math
from typing import Final

import numpy as np
import pandas as pd
from scipy import stats

from mammostudy.evaluation.statistics import POWER
from mammostudy.study import claims, words
from mammostudy.study.recipes import cohort_title

SOURCE: Final = ("cdd-cesm", "reference")
LEVEL: Final = 0.05
MOST: Final = 10_000_000  # patients beyond which a number is no plan
CURVE: Final = (10, 5_000)  # patients between which the curves are drawn


def spread(judged: pd.DataFrame) -> pd.DataFrame:
    """Return the spread of patients behind every claim that was tested.

    Args:
        judged: of :func:`mammostudy.study.claims.judge`.

    Returns:
        name, claim, metric, margin, patients, difference, sd (of a patient's mean difference, in
        the metric's unit).
    """
    tested = judged[judged["smallest"].notna() & np.isfinite(judged["smallest"].astype(float))]
    z = float(stats.norm.ppf(1 - LEVEL / 2) + stats.norm.ppf(POWER))
    sd = tested["smallest"].astype(float) * np.sqrt(tested["patients"].astype(float)) / z
    columns = ["name", "claim", "metric", "margin", "patients", "difference"]
    return tested[columns].assign(sd=sd).reset_index(drop=True)


def patients_needed(sd: float, difference: float, level: float = LEVEL) -> float:
    """Return how many patients a paired test needs to find a difference with 80 % power.

    Args:
        sd: standard deviation of a patient's mean difference.
        difference: true mean difference, in the same unit, above 0.
        level: of the two-sided test.

    Returns:
        A whole number, at least 2; infinity beyond :data:`MOST`.

    Source:
        Power of the paired t test, by statsmodels.
    """
    if sd <= 0:
        return 2.0
    z = float(stats.norm.ppf(1 - level / 2) + stats.norm.ppf(POWER))
    if (z * sd / difference) ** 2 > MOST:
        return math.inf
    from statsmodels.stats.power import TTestPower

    def power(n: int) -> float:
        return float(TTestPower().power(difference / sd, n, level, alternative="two-sided"))

    n = max(2, math.floor((z * sd / difference) ** 2))  # the t test needs a few more
    while power(n) < POWER:
        n += 1
    return float(n)


def needed(spreads: pd.DataFrame, patients: int) -> pd.DataFrame:
    """Return what each claim needs, and what a cohort of so many patients could see.

    Args:
        spreads: of :func:`spread`.
        patients: of the cohort that have a mass.

    Returns:
        The columns of ``spreads`` and: alone (patients for the claim by itself), together (if it
        were the last to pass Holm's correction among all of them), measured (for the difference
        measured there instead of the margin), visible (the difference that ``patients`` find with
        80 % power, alone), enough (``patients`` reaches ``alone``).
    """
    family = max(len(spreads), 1)
    rows = spreads.to_dict("records")
    z = float(stats.norm.ppf(1 - LEVEL / 2) + stats.norm.ppf(POWER))
    visible = [z * row["sd"] / math.sqrt(patients) if patients else math.inf for row in rows]
    alone = [patients_needed(row["sd"], row["margin"]) for row in rows]
    return spreads.assign(
        alone=alone,
        together=[patients_needed(row["sd"], row["margin"], LEVEL / family) for row in rows],
        measured=[
            patients_needed(row["sd"], abs(row["difference"])) if row["difference"] else math.inf
            for row in rows
        ],
        visible=visible,
        enough=[patients >= n for n in alone],
    )


def curves(spreads: pd.DataFrame) -> pd.DataFrame:
    """Return the difference that can be seen by the number of patients: claim, patients, visible.

    Differences are in margins of the claim, so that 1 is the least that matters.
    """
    counts = np.unique(np.geomspace(*CURVE, 60).round().astype(int))
    z = float(stats.norm.ppf(1 - LEVEL / 2) + stats.norm.ppf(POWER))
    tables = [
        pd.DataFrame(
            {
                "claim": row["name"],
                "patients": counts,
                "visible": z * row["sd"] / np.sqrt(counts) / row["margin"],
            }
        )
        for row in spreads.to_dict("records")
    ]
    return pd.concat(tables, ignore_index=True) if tables else pd.DataFrame()


def needed_page(table: pd.DataFrame, patients: int) -> pd.DataFrame:
    """Lay :func:`needed` out for the eye, differences in points."""
    rows = table.to_dict("records")
    return pd.DataFrame(
        {
            "claim": table["claim"],
            "measured by": table["metric"],
            "margin, points": [f"{100 * row['margin']:g}" for row in rows],
            "SD over patients, points": [f"{100 * row['sd']:.1f}" for row in rows],
            "patients needed": [_count(row["alone"]) for row in rows],
            "for the difference measured there": [_count(row["measured"]) for row in rows],
            "with all claims judged together": [_count(row["together"]) for row in rows],
            f"seen by {patients:,} patients, points": [
                f"{100 * row['visible']:.1f}" if math.isfinite(row["visible"]) else "nothing"
                for row in rows
            ],
            "enough": ["yes" if row["enough"] else "no" for row in rows],
        }
    )


def _count(n: float) -> str:
    return f"{n:,.0f}" if math.isfinite(n) else f"more than {MOST:,}"


def meaning(table: pd.DataFrame, patients: int, title: str) -> str:
    """Say for which claims a cohort has patients enough, and which need most."""
    if table.empty:
        return "No claim was tested on the cohort that the spreads come from."
    enough = table[table["enough"]]
    short = table[~table["enough"]].sort_values("alone")
    have = words.count(patients, "patient")
    said = [
        f"With {have} with a mass, {title} has enough for {len(enough)} of "
        f"{words.count(len(table), 'claim')}"
        + (
            f": {words.listed(text.rstrip('.') for text in enough['claim'])}."
            if len(enough)
            else "."
        )
    ]
    if len(short):
        nearest, hardest = short.iloc[0], short.iloc[-1]
        said.append(
            f"The nearest of the others asks for {_count(nearest['alone'])} patients "
            f"({nearest['claim'].rstrip('.')}), the farthest for {_count(hardest['alone'])} "
            f"({hardest['claim'].rstrip('.')})."
        )
    return words.paragraph(said)


def source_note() -> str:
    """Say where the spreads come from."""
    return (
        f"Spreads come from the committed records of {cohort_title(SOURCE[0])}: the standard "
        "deviation of a patient's mean difference between the two rows that the claim compares."
    )


def judged() -> pd.DataFrame:
    """Judge the claims on the cohort that the spreads come from; nothing is trained."""
    return claims.judge(*SOURCE)
