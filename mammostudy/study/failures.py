"""Failures: the worst cases by the records, and the second mass that the frame cuts."""

from __future__ import annotations

from typing import Final

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.ndimage import binary_erosion

from mammostudy.figures.pictures import at_hand, framed, picked, seen
from mammostudy.imaging.overlays import agreement_overlay
from mammostudy.runs.spec import RunSpec
from mammostudy.study.comparing import Runs, every_run, summarise
from mammostudy.study.recipes import folds_for, headline

MODEL: Final = "cGAN"
GOOD: Final = 0.7
"""Dice from which on a case counts as no failure."""
SMALL, LARGE = 0.67, 1.5  # predicted over true pixels
KINDS: Final = ("missed", "too small", "too large", "misplaced", "no failure")
THIRDS: Final = ("smallest third", "middle third", "largest third")


def named(cohort: str, preset: str) -> dict[str, list[RunSpec]]:
    """Return the runs of the chapter: the paper's model on loose frames, a seed a fold."""
    return {MODEL: headline(cohort, preset)[: len(folds_for(cohort, preset))]}


specs = every_run(named)


def tested_rows(runs: Runs, cohort: str) -> pd.DataFrame:
    """Return the test rows, worst Dice first, with the failure's kind, company and size.

    ``company``: another mass shows in the frame. ``size``: the longer side of the box in % of the
    image's longer side; without the images it is the share of the frame that is mass, %.
    """
    rows = runs.test()
    side = rows["diagonal"].astype(float) / np.sqrt(2)
    company, size = rows["company_pixels"] > 0, 100 * rows["truth_pixels"] / side**2
    if (loaded := at_hand(cohort)) is not None:
        masses = loaded.masses
        width, height = (masses[f"{axis}_max"] - masses[f"{axis}_min"] for axis in "xy")
        longer = np.maximum(width, height).astype(float)
        size = rows["case"].map(100 * longer / masses[["height", "width"]].max(axis=1))
    rows = rows.assign(company=company, kind=kinds_of(rows), size=size)
    return rows.sort_values("dice", ignore_index=True)


def kinds_of(rows: pd.DataFrame) -> NDArray[np.str_]:
    """Name how cases fail: missed, too small, too large, misplaced, or none from Dice 0.7 on."""
    ratio = rows["predicted_pixels"] / rows["truth_pixels"]
    order = ("no failure", "missed", "too small", "too large")
    found = (rows["dice"] >= GOOD, ratio == 0, ratio < SMALL, ratio > LARGE)
    return np.select(found, order, "misplaced")


def kinds(rows: pd.DataFrame) -> pd.DataFrame:
    """Count the kinds of failure, with their mean Dice."""
    table = rows.groupby("kind").agg(
        masses=("case", "size"), patients=("patient", "nunique"), dice=("dice", "mean")
    )
    table = table.reindex(list(KINDS)).fillna({"masses": 0, "patients": 0})
    table.insert(2, "% of masses", 100 * table["masses"] / max(len(rows), 1))
    table = table.astype({"masses": int, "patients": int}).rename(columns={"dice": "mean Dice"})
    return table.rename_axis("kind").reset_index()


def by_rule(rows: pd.DataFrame) -> pd.DataFrame:
    """Return the worst, the median and the best case of all folds, and one drawn by seed."""
    chosen = picked(rows.assign(fold=0))
    out = rows.set_index("case").loc[list(chosen.values())].reset_index()
    return out.assign(rule=list(chosen))


def worst(rows: pd.DataFrame, count: int = 8) -> pd.DataFrame:
    """Return the cases of lowest Dice; ``rule`` is their rank."""
    out = rows.head(count)
    return out.assign(rule=[f"rank {rank}" for rank in range(1, len(out) + 1)])


def cut_masses(rows: pd.DataFrame, count: int = 4) -> pd.DataFrame:
    """Return the frames with most of another mass, one a patient; ``rule`` says how much."""
    part = rows[rows["company"]].sort_values("company_pixels", ascending=False, kind="stable")
    out = part.drop_duplicates("patient").head(count)
    return out.assign(rule=[f"{int(n)} px of another mass" for n in out["company_pixels"]])


def by_size(rows: pd.DataFrame) -> pd.DataFrame:
    """Summarise Dice by thirds of the masses' size; ``from`` and ``to`` are the ends, %."""
    if len(rows) < len(THIRDS):
        return pd.DataFrame()
    thirds = pd.qcut(rows["size"].rank(method="first"), 3, labels=list(THIRDS)).astype(str)
    labelled = rows.assign(third=thirds)
    ends = labelled.groupby("third")["size"].agg(["min", "max"])
    summary = summarise(labelled, ("dice",), by=("third",)).set_index("third").loc[list(THIRDS)]
    summary.insert(0, "from", ends["min"])
    summary.insert(1, "to", ends["max"])
    return summary.reset_index()


def by_company(rows: pd.DataFrame) -> pd.DataFrame:
    """Summarise frames that show part of another mass, and those whose mass is alone."""
    said = rows["company"].map({True: "with a second mass", False: "alone"})
    return summarise(rows.assign(frame=said), ("dice", "recall", "precision"), by=("frame",))


def overlays(cohort: str, runs: Runs, cases: pd.DataFrame) -> list[tuple[str, NDArray[np.uint8]]]:
    """Return overlays of picked cases, other masses of the frame bordered white, titled."""
    loaded, out = at_hand(cohort), []
    for row in cases.to_dict("records"):
        if loaded is not None and (found := seen(loaded, runs.of(MODEL), row["case"])):
            record, image, truth, mask = found
            target, every = (framed(loaded, record, row["case"], t)[1] for t in ("target", "all"))
            second = every & ~target
            picture = agreement_overlay(image, truth, mask, alpha=0.4)
            picture[second & ~binary_erosion(second, border_value=1)] = 255
            out.append((f"{row['rule']}, Dice {row['dice']:.3f}\n{row['case']}", picture))
    return out
