"""Does the paper's z know when it is wrong: the spread of sampled masks against their error.

The paper draws its noise z from dropout that is left on at prediction. Several draws of one image
give a mean mask, maps of their spread, and scores that ought to be high where the mask is bad.
A score that needs no draws stands beside them: how small the predicted mass is.
What the tables say is put into words by :mod:`mammostudy.study.uncertainty_reading`, maps are drawn
by :mod:`mammostudy.study.uncertainty_maps`.
"""

from __future__ import annotations

from typing import Any, Final

import numpy as np
import pandas as pd

from mammostudy.evaluation.statistics import paired_test
from mammostudy.evaluation.uncertainty import gain_interval, rank_correlation, risk_coverage
from mammostudy.runs.record import Record
from mammostudy.runs.spec import RunSpec
from mammostudy.study import printed, recipes, tables
from mammostudy.study.transfer_recipes import SAMPLES, sampled

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
_CURVE: Final = ["score", "coverage", "risk"]


def named(cohort: str, preset: str) -> dict[str, list[RunSpec]]:
    """Return the sampled runs, and the runs of the same trainings that draw once, by name."""
    folds = len(recipes.folds_for(cohort, preset))
    return {MEAN: sampled(cohort, preset), ONE: recipes.headline(cohort, preset)[:folds]}


def specs(cohort: str, preset: str) -> list[RunSpec]:
    """Return every run that the chapter shows."""
    return [spec for listed in named(cohort, preset).values() for spec in listed]


def draws(preset: str) -> int:
    """Return how often the dropout is drawn."""
    return SAMPLES[preset]


def records(cohort: str, preset: str) -> dict[str, list[Record]]:
    """Return the records by name."""
    return tables.records_of(named(cohort, preset), preset)


def absent(found: dict[str, list[Record]], cohort: str, preset: str) -> list[str]:
    """Return the names of rows with a run that has no record."""
    return tables.not_run(named(cohort, preset), found)


def rows(found: dict[str, list[Record]]) -> pd.DataFrame:
    """Return the test rows before post-processing, oracle and jittered boxes."""
    stacked = tables.rows_of(found)
    return stacked[stacked["postprocessing"] == "none"]


def scored(stacked: pd.DataFrame, box: str = "oracle") -> pd.DataFrame:
    """Return the masses of sampled runs with their error and their scores.

    Args:
        stacked: from :func:`rows`.
        box: that the frames were laid around.

    Returns:
        Columns case, patient, fold, dice, error (1 - Dice of the mean mask), :data:`SCORES`;
        all scores are higher for the less certain.
    """
    part = stacked[(stacked["row"] == MEAN) & (stacked["box"] == box)]
    names = ["case", "patient", "fold", "dice"]
    if part.empty:
        return pd.DataFrame(columns=[*names, "error", *SCORES])
    return part[[*names, *DRAWN]].assign(
        error=1 - part["dice"], **{SMALL: -part["predicted_pixels"].astype(float)}
    )


def correlations(stacked: pd.DataFrame) -> pd.DataFrame:
    """Correlate every score with the error, over the masses of all folds.

    Returns:
        A row a box and score: box, score, rho (Spearman), low, high (95 % bootstrap interval over
        patients), folds (the lowest and the highest rho of a single fold, as text), cases,
        patients; no rows without records.
    """
    out: list[dict[str, Any]] = []
    for box in BOXES:
        table = scored(stacked, box)
        for score in SCORES if len(table) > 1 else ():
            found = rank_correlation(table[score], table["error"], table["patient"])
            each = [
                rank_correlation(part[score], part["error"], part["patient"], draws=1).rho
                for _, part in table.groupby("fold")
                if len(part) > 1
            ]
            span = f"{min(each):+.2f} to {max(each):+.2f}" if len(each) > 1 else printed.MISSING
            out.append({"box": box, "score": score, **vars(found), "folds": span})
    columns = ["box", "score", "rho", "low", "high", "folds", "cases", "patients"]
    return pd.DataFrame(out, columns=columns)


def printed_correlations(found: pd.DataFrame) -> pd.DataFrame:
    """Lay out :func:`correlations`, a row a box and score, run or not."""
    cells = [
        f"{row['rho']:+.2f} [{row['low']:+.2f}, {row['high']:+.2f}]" for _, row in found.iterrows()
    ]
    wide = found[["box", "score"]].assign(rho=pd.Series(cells, index=found.index, dtype=object))
    wide = wide.rename(columns={"rho": "rank correlation with 1 - Dice"})
    wide = wide.assign(
        **{"by fold": found["folds"], "masses": found["cases"], "patients": found["patients"]}
    )
    expected = [(box, score) for box in BOXES for score in SCORES]
    return printed.with_absent(wide, expected, ["box", "score"])


def curves(stacked: pd.DataFrame) -> pd.DataFrame:
    """Return the mean error of the most certain masses, oracle boxes, for every score.

    Returns:
        Columns score (:data:`SCORES`, ``oracle`` for the order by the error itself, ``random``
        for the mean of all orders), coverage, risk.
    """
    table = scored(stacked)
    if len(table) < 2:
        return pd.DataFrame(columns=_CURVE)
    out = []
    for score in SCORES:
        found = risk_coverage(table[score], table["error"])
        out.append(pd.DataFrame({"coverage": found.coverage, "risk": found.risk, "score": score}))
    share = {"coverage": found.coverage}
    out.append(pd.DataFrame({**share, "risk": found.oracle, "score": "oracle"}))
    out.append(pd.DataFrame({**share, "risk": found.random_area, "score": "random"}))
    return pd.concat(out, ignore_index=True)[_CURVE]


def areas(stacked: pd.DataFrame) -> pd.DataFrame:
    """Sum the curves up, oracle boxes.

    Returns:
        A row a score: area (mean error over all coverages), oracle_area, random_area, gain (share
        of the way from a random order to the oracle), gain_low and gain_high (95 % bootstrap
        interval over patients), lowest and highest (gain of a single fold), kept (mean Dice of
        the most certain :data:`KEPT` of the masses), kept_oracle, whole (mean Dice of all).
    """
    table = scored(stacked)
    out: list[dict[str, Any]] = []
    for score in SCORES if len(table) > 1 else ():
        found = risk_coverage(table[score], table["error"])
        low, high = gain_interval(table[score], table["error"], table["patient"])
        at = max(int(np.floor(KEPT * len(table))) - 1, 0)
        gains = [
            risk_coverage(part[score], part["error"]).gain
            for _, part in table.groupby("fold")
            if len(part) > 1
        ]
        out.append(
            {
                "score": score,
                "area": found.area,
                "oracle_area": found.oracle_area,
                "random_area": found.random_area,
                "gain": found.gain,
                "gain_low": low,
                "gain_high": high,
                "lowest": min(gains) if len(gains) > 1 else np.nan,
                "highest": max(gains) if len(gains) > 1 else np.nan,
                "kept": 1 - found.risk[at],
                "kept_oracle": 1 - found.oracle[at],
                "whole": table["dice"].mean(),
            }
        )
    return pd.DataFrame(out)


def printed_areas(found: pd.DataFrame) -> pd.DataFrame:
    """Lay out :func:`areas`, a row a score, run or not."""
    wide = pd.DataFrame({"score": list(found["score"]) if len(found) else []}, dtype=object)
    if len(found):
        wide["mean error over coverages"] = found["area"].map("{:.3f}".format)
        wide["oracle"] = found["oracle_area"].map("{:.3f}".format)
        wide["random"] = found["random_area"].map("{:.3f}".format)
        wide["gain [95 % interval]"] = [
            f"{100 * row['gain']:.0f} [{100 * row['gain_low']:.0f}, {100 * row['gain_high']:.0f}] %"
            for _, row in found.iterrows()
        ]
        ends = zip(found["lowest"], found["highest"], strict=True)
        wide["gain by fold"] = [
            printed.MISSING if np.isnan(low) else f"{100 * low:.0f} to {100 * high:.0f} %"
            for low, high in ends
        ]
        wide[f"Dice of the surest {100 * KEPT:.0f} %"] = found["kept"].map("{:.3f}".format)
    return printed.with_absent(wide, [(name,) for name in SCORES], ["score"])


def gains(stacked: pd.DataFrame) -> pd.DataFrame:
    """Test the mean of the draws against one draw of the same training, over patients.

    Returns:
        A row a box and metric: box, metric, one and mean (over masses), the fields of
        :class:`mammostudy.evaluation.statistics.PairedTest` of mean minus one; no rows without
        records of both.
    """
    out: list[dict[str, Any]] = []
    for box in BOXES:
        part = stacked[(stacked["box"] == box) & stacked["row"].isin([MEAN, ONE])]
        for metric in METRICS:
            wide = part.pivot_table(index=["fold", "case", "patient"], columns="row", values=metric)
            both = wide.reindex(columns=[MEAN, ONE]).dropna()
            if both.empty:
                continue
            patients = both.index.get_level_values("patient").to_numpy()
            test = paired_test(both[MEAN].to_numpy(), both[ONE].to_numpy(), patients)
            means = {"one": both[ONE].mean(), "mean": both[MEAN].mean()}
            out.append({"box": box, "metric": metric, **means, **vars(test)})
    return pd.DataFrame(out)


def printed_gains(tests: pd.DataFrame) -> pd.DataFrame:
    """Lay out :func:`gains`, a row a box and metric."""
    shown = tests.assign(metric=tests["metric"].map(METRICS)) if len(tests) else tests
    for name in ("one", "mean") if len(tests) else ():
        shown[name] = tests[name].map("{:.3f}".format)
    heads = {"box": "box", "metric": "measure", "one": ONE, "mean": MEAN}
    return printed.tests_table(shown, heads)


def agreement(stacked: pd.DataFrame) -> pd.DataFrame:
    """Set how far draws differ from each other beside how far they are from the truth.

    Returns:
        A row a box: box, disagreement (mean 1 - Dice of two draws), error (mean 1 - Dice of one
        draw and the truth, on the masses of both runs), masses.
    """
    out = []
    for box in BOXES:
        apart = scored(stacked, box)[["case", "disagreement"]]
        one = stacked[(stacked["row"] == ONE) & (stacked["box"] == box)][["case", "dice"]]
        both = apart.merge(one, on="case")
        if len(both):
            means = {"disagreement": both["disagreement"].mean(), "error": 1 - both["dice"].mean()}
            out.append({"box": box, **means, "masses": len(both)})
    return pd.DataFrame(out, columns=["box", "disagreement", "error", "masses"])


def printed_agreement(found: pd.DataFrame) -> pd.DataFrame:
    """Lay out :func:`agreement`."""
    headings = {"disagreement": "two draws, 1 - Dice", "error": "a draw and the truth, 1 - Dice"}
    return found.rename(columns=headings)


def trainings(found: dict[str, list[Record]]) -> pd.DataFrame:
    """Compare the trainings behind both rows, fold by fold.

    Returns:
        A row a fold that both have: fold, same (whether they share the key of the training),
        apart (largest difference of their validation Dice; 0 where the weights were shared).
    """
    pairs = {
        name: {record.spec.split.fold: record for record in found.get(name, [])}
        for name in (MEAN, ONE)
    }
    out = []
    for fold in sorted(set(pairs[MEAN]) & set(pairs[ONE])):
        mean, one = pairs[MEAN][fold], pairs[ONE][fold]
        keys = {record.content["training_key"] for record in (mean, one)}
        curves = [record.curves.get("validation_dice", pd.Series()) for record in (mean, one)]
        apart = (curves[0] - curves[1]).abs().max()
        out.append({"fold": fold, "same": len(keys) == 1, "apart": float(apart)})
    return pd.DataFrame(out, columns=["fold", "same", "apart"])
