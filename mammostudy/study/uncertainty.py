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
from mammostudy.study.comparing import compare
from mammostudy.study.recipes import folds_for, folds_of, headline

SAMPLES: Final = {"reference": 16, "paper": 32}
"""Draws of the dropout that is left on at prediction; other presets have no room."""
MEAN: Final = "mean of the draws"
ONE: Final = "one draw"
BOXES: Final = ("oracle", "jittered")
DRAWN: Final = ("spread", "information", "disagreement")
"""Scores of sampled masks, columns of the rows (:mod:`mammostudy.evaluation.uncertainty`)."""
SMALL: Final = "smallness"
SCORES: Final = (*DRAWN, SMALL)
METRICS: Final = {"dice": "Dice", "iou": "IoU", "hd95": "HD95, frame pixels"}
KEPT: Final = 0.8
"""Share of cases kept in the example of refusing the least certain."""


def named(cohort: str, preset: str) -> dict[str, list[RunSpec]]:
    """Return the sampled runs, and the runs of the same trainings that draw once, by name."""
    if preset not in SAMPLES:
        return {}
    drawn = folds_of(cohort, preset, evaluation__samples=SAMPLES[preset])
    return {MEAN: drawn, ONE: headline(cohort, preset)[: len(folds_for(cohort, preset))]}


def specs(cohort: str, preset: str) -> list[RunSpec]:
    """Return every run that the chapter shows."""
    return [spec for runs in named(cohort, preset).values() for spec in runs]


def scored(rows: pd.DataFrame, box: str = "oracle") -> pd.DataFrame:
    """Return the masses of sampled runs with their error and their scores.

    case, patient, fold, dice, error (1 - Dice of the mean mask), :data:`SCORES`; all scores are
    higher for the less certain.
    """
    names = ["case", "patient", "fold", "dice"]
    part = rows[(rows["row"] == MEAN) & (rows["box"] == box)]
    part = part.reindex(columns=[*names, *DRAWN, "predicted_pixels"])
    small = -part.pop("predicted_pixels").astype(float)
    return part.assign(error=1 - part["dice"].astype(float), **{SMALL: small})


def correlations(rows: pd.DataFrame) -> pd.DataFrame:
    """Correlate every score with the error by rank, over the masses of all folds.

    A row a box and score: box, score, difference (Spearman's rho, so named that
    :func:`mammostudy.figures.tables.cell` prints it), low, high (95 % bootstrap interval over
    patients), lowest and highest (of single folds), masses, patients.
    """
    lines: list[dict[str, Any]] = []
    for box in BOXES:
        table = scored(rows, box)
        for score in SCORES if len(table) > 1 else ():
            found = rank_correlation(table[score], table["error"], table["patient"])
            each = [
                rank_correlation(part[score], part["error"], part["patient"], draws=1).rho
                for _, part in table.groupby("fold")
            ]
            line = {"box": box, "score": score, "difference": found.rho}
            ends = {"low": found.low, "high": found.high, "lowest": min(each), "highest": max(each)}
            lines.append(line | ends | {"masses": found.cases, "patients": found.patients})
    return pd.DataFrame(lines)


def curves(rows: pd.DataFrame) -> pd.DataFrame:
    """Return the mean error of the most certain masses, known boxes, for every score.

    score (:data:`SCORES`, ``oracle`` for the order by the error itself, ``random`` for the mean of
    all orders), coverage, risk.
    """
    table, parts = scored(rows), []
    for score in SCORES if len(table) > 1 else ():
        found = risk_coverage(table[score], table["error"])
        risks = {score: found.risk, "oracle": found.oracle, "random": found.random_area}
        parts += [
            pd.DataFrame({"coverage": found.coverage, "risk": risk, "score": name})
            for name, risk in risks.items()
            if name == score or score == SMALL
        ]
    return pd.concat(parts, ignore_index=True) if parts else pd.DataFrame()


def areas(rows: pd.DataFrame) -> pd.DataFrame:
    """Sum the curves up, known boxes.

    A row a score: area (mean error over all coverages), oracle_area, random_area, mean (gain: share
    of the way from a random order to the oracle), low and high (95 % bootstrap interval over
    patients), lowest and highest (of single folds), kept (mean Dice of the most certain
    :data:`KEPT` of the masses), whole (of all).
    """
    table, lines = scored(rows), []
    for score in SCORES if len(table) > 1 else ():
        found = risk_coverage(table[score], table["error"])
        low, high = gain_interval(table[score], table["error"], table["patient"])
        each = [risk_coverage(part[score], part["error"]).gain for _, part in table.groupby("fold")]
        at = max(int(np.floor(KEPT * len(table))) - 1, 0)
        lines.append(
            {
                "score": score,
                "area": found.area,
                "oracle_area": found.oracle_area,
                "random_area": found.random_area,
                "mean": found.gain,
                "low": low,
                "high": high,
                "lowest": min(each),
                "highest": max(each),
                "kept": 1 - found.risk[at],
                "whole": table["dice"].mean(),
            }
        )
    return pd.DataFrame(lines)


def gains(rows: pd.DataFrame) -> pd.DataFrame:
    """Set the mean of the draws against one draw of the same training, by box and metric."""
    tests = [
        compare(rows[rows["box"] == box], [(MEAN, ONE)], metric).assign(box=box)
        for box in BOXES
        for metric in METRICS
    ]
    return pd.concat(tests, ignore_index=True)


def agreement(rows: pd.DataFrame) -> pd.DataFrame:
    """Set how far draws differ from each other beside how far they are from the truth.

    A row a box: box, mean 1 - Dice of two draws, mean 1 - Dice of one draw and the truth, on the
    masses of both runs, masses.
    """
    lines = []
    for box in BOXES:
        one = rows[(rows["row"] == ONE) & (rows["box"] == box)][["case", "dice"]]
        both = scored(rows, box)[["case", "disagreement"]].merge(one, on="case")
        if len(both):
            apart, error = both["disagreement"].mean(), 1 - both["dice"].mean()
            lines.append((box, apart, error, len(both)))
    names = ["box", "two draws, 1 - Dice", "a draw and the truth, 1 - Dice", "masses"]
    return pd.DataFrame(lines, columns=names)
