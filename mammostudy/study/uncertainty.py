"""Does the paper's z know when it is wrong: the spread of sampled masks against their error.

The paper draws its noise z from dropout that is left on at prediction. Several draws of one image
give a mean mask, and scores that ought to be high where the mask is bad. A score that needs no
draws stands beside them: how small the predicted mass is.
"""

from __future__ import annotations

from typing import Any, Final

import numpy as np
import pandas as pd

from mammostudy.evaluation.uncertainty import gain_interval, rank_correlation, risk_coverage
from mammostudy.runs.spec import RunSpec
from mammostudy.study.comparing import compare, every_run
from mammostudy.study.recipes import folds_for, headline, replicates

SAMPLES: Final = {"reference": 16, "evidence": 16, "paper": 32}
"""Draws of the dropout that is left on at prediction; other presets have no room."""
MEAN: Final = "mean of the draws"
ONE: Final = "one draw"
BOXES: Final = ("oracle", "jittered")
DRAWN: Final = ("spread", "information", "disagreement")
"""Scores of sampled masks, columns of the rows (:mod:`mammostudy.evaluation.uncertainty`)."""
SMALL: Final = "smallness"
SCORES: Final = (*DRAWN, SMALL)
METRICS: Final = ("dice", "iou", "hd95")
KEPT: Final = 0.8
"""Share of cases kept in the example of refusing the least certain."""


def named(cohort: str, preset: str) -> dict[str, list[RunSpec]]:
    """Return the sampled runs, and the runs of the same trainings that draw once, by name."""
    if preset not in SAMPLES:
        return {}
    once = len(folds_for(cohort, preset))
    drawn = replicates(cohort, preset, evaluation__samples=SAMPLES[preset])
    return {MEAN: drawn[:once], ONE: headline(cohort, preset)[:once]}


specs = every_run(named)


def scored(rows: pd.DataFrame, box: str = "oracle") -> pd.DataFrame:
    """Return the masses of sampled runs with their error (1 - Dice) and :data:`SCORES`."""
    part = rows[(rows["row"] == MEAN) & (rows["box"] == box)]
    part = part.reindex(columns=["case", "patient", "fold", "dice", *DRAWN, "predicted_pixels"])
    small = -part.pop("predicted_pixels").astype(float)
    return part.assign(error=1 - part["dice"].astype(float), **{SMALL: small})


def correlations(rows: pd.DataFrame) -> pd.DataFrame:
    """Correlate every score with the error by rank, over the masses of all folds.

    Spearman's rho as ``difference`` with its interval over patients: a row a box and score.
    """
    lines: list[dict[str, Any]] = []
    for box in BOXES:
        table = scored(rows, box)
        for score in SCORES if len(table) > 1 else ():
            found = rank_correlation(table[score], table["error"], table["patient"])
            lines.append({"box": box, "score": score, **vars(found)})
    return pd.DataFrame(lines).rename(columns={"rho": "difference", "cases": "masses"})


def curves(rows: pd.DataFrame) -> pd.DataFrame:
    """Return the mean error (``risk``) of the most certain masses, known boxes, for every score.

    Also for the order by the error itself (``oracle``), and the mean of all orders (``random``).
    """
    table, parts = scored(rows), []
    for score in SCORES if len(table) > 1 else ():
        found = risk_coverage(table[score], table["error"])
        risks: dict[str, Any] = {score: found.risk}
        if score == SMALL:
            risks |= {"oracle": found.oracle, "random": found.oracle[-1]}
        parts += [
            pd.DataFrame({"coverage": found.coverage, "risk": risk, "score": name})
            for name, risk in risks.items()
        ]
    return pd.concat(parts, ignore_index=True) if parts else pd.DataFrame()


def areas(rows: pd.DataFrame) -> pd.DataFrame:
    """Sum the curves up, known boxes, a row a score.

    Mean (the gain: share of the way from a random order to the oracle) with its interval over
    patients, kept (mean Dice of the most certain :data:`KEPT` of the masses), whole (of all).
    """
    table, lines = scored(rows), []
    for score in SCORES if len(table) > 1 else ():
        found = risk_coverage(table[score], table["error"])
        low, high = gain_interval(table[score], table["error"], table["patient"])
        at = max(int(np.floor(KEPT * len(table))) - 1, 0)
        line = {"score": score, "mean": found.gain, "low": low, "high": high}
        lines.append(line | {"kept": 1 - found.risk[at], "whole": table["dice"].mean()})
    return pd.DataFrame(lines)


def gains(rows: pd.DataFrame) -> pd.DataFrame:
    """Set the mean of the draws against one draw of the same training, by box and metric."""
    tests = [
        compare(
            rows[rows["box"] == box], [(f"{MEAN}, {box}", f"{ONE}, {box}")], metric, ("row", "box")
        )
        for box in BOXES
        for metric in METRICS
    ]
    return pd.concat(tests, ignore_index=True)
