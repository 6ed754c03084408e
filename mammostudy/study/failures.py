"""Failures: the worst cases by the records, and the second mass that the frame cuts."""

from __future__ import annotations

import numpy as np
import pandas as pd

from mammostudy.runs.spec import RunSpec
from mammostudy.runs.store import Record
from mammostudy.study import recipes, tables


def named(cohort: str, preset: str) -> dict[str, list[RunSpec]]:
    """Return the runs of the chapter: the paper's model on loose frames, a seed a fold."""
    folds = len(recipes.preset(preset).folds)
    return {"cGAN": recipes.headline(cohort, preset)[:folds]}


def specs(cohort: str, preset: str) -> list[RunSpec]:
    """Return every run that the chapter shows."""
    return named(cohort, preset)["cGAN"]


def records(cohort: str, preset: str) -> list[Record]:
    """Return the records of the chapter."""
    return tables.records_of(named(cohort, preset), preset)["cGAN"]


def rows(found: list[Record]) -> pd.DataFrame:
    """Return the test rows on oracle boxes before post-processing, worst Dice first.

    Further columns: ``mass_share`` (share of the frame that is truth), ``company`` (whether
    another mass shows in the frame), ``kind`` (see :func:`kind_of`).
    """
    stacked = tables.chosen(tables.rows_of({"cGAN": found}))
    side = stacked["diagonal"] / np.sqrt(2)
    stacked = stacked.assign(
        mass_share=stacked["truth_pixels"] / side**2, company=stacked["company_pixels"] > 0
    )
    stacked["kind"] = [kind_of(row) for _, row in stacked.iterrows()]
    return stacked.sort_values("dice", ignore_index=True)


def kind_of(row: pd.Series) -> str:
    """Name how a case fails: missed, too small, too large, elsewhere, or none below Dice 0.7."""
    if row["dice"] >= 0.7:
        return "no failure"
    if row["predicted_pixels"] == 0:
        return "missed"
    ratio = row["predicted_pixels"] / row["truth_pixels"]
    if ratio < 0.67:
        return "too small"
    return "too large" if ratio > 1.5 else "misplaced"


def by_rule(stacked: pd.DataFrame, seed: int = 0) -> pd.DataFrame:
    """Pick cases by rule: best, median, worst, and one drawn by seed, for the overlay grid."""
    ordered = stacked.sort_values("dice", ignore_index=True)
    drawn = int(np.random.default_rng(seed).integers(len(ordered)))
    picks = {"worst": 0, "median": len(ordered) // 2, "best": len(ordered) - 1, "drawn": drawn}
    return ordered.loc[list(picks.values())].assign(rule=list(picks))


def cut_masses(stacked: pd.DataFrame, most: int = 4) -> pd.DataFrame:
    """Return the worst cases whose frame shows a second mass."""
    return stacked[stacked["company"]].nsmallest(most, "dice")


def company_table(stacked: pd.DataFrame) -> pd.DataFrame:
    """Compare frames with and without a second mass: Dice, recall, precision."""
    labelled = stacked.assign(row=np.where(stacked["company"], "second mass", "alone"))
    return tables.summarise(labelled, ("dice", "recall", "precision"))


def pictures(cohort: str, found: list[Record], cases: list[str]) -> list[dict[str, object]]:
    """Return image, truth and prediction of cases in their frames; empty without the data.

    Returns:
        Dicts with ``case``, ``image`` float32 ``(s, s)``, ``truth`` and ``prediction`` bool
        ``(s, s)``, and ``others`` (bool, every mass in the frame).
    """
    from mammostudy.data.cohort import load_cohort
    from mammostudy.data.frames import frame_sample
    from mammostudy.errors import DataError

    try:
        loaded = load_cohort(cohort)
    except DataError:
        return []
    predicted = {case: mask for record in found for case, mask in record.predictions().items()}
    out: list[dict[str, object]] = []
    for case in cases:
        spec = found[0].spec
        sample = loaded.sample(case)
        image, truth, _ = frame_sample(sample, spec.frame, spec.preprocessing)
        every = spec.frame.model_copy(update={"truth": "all"})
        others = frame_sample(sample, every, spec.preprocessing)[1]
        out.append(
            {
                "case": case,
                "image": image,
                "truth": truth,
                "prediction": predicted[case],
                "others": others,
            }
        )
    return out
