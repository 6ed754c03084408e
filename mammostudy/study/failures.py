"""Failures: the worst cases by the records, and the second mass that the frame cuts."""

from __future__ import annotations

from typing import Final

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.ndimage import binary_erosion

from mammostudy.data.load import image_facts
from mammostudy.figures.pictures import at_hand, framed, picked, seen
from mammostudy.figures.tables import thirds
from mammostudy.imaging.overlays import agreement_overlay
from mammostudy.runs.spec import RunSpec
from mammostudy.study.comparing import Runs, every_run, summarise
from mammostudy.study.recipes import headline

MODEL: Final = "cGAN"
GOOD: Final = 0.7
"""Dice from which on a case counts as no failure."""
SMALL, LARGE = 0.67, 1.5  # predicted over true pixels
KINDS: Final = ("missed", "too small", "too large", "misplaced", "no failure")
SUBGROUPS: Final = ("view", "density", "BI-RADS", "size", "age")
FIXED: Final = "2026-12-01"
"""The day on which the subgroups were fixed; they are shown once, by this chapter."""


def named(cohort: str, preset: str) -> dict[str, list[RunSpec]]:
    """Return the runs of the chapter: the paper's model on loose frames."""
    return {MODEL: headline(cohort, preset)}


specs = every_run(named)


def tested_rows(runs: Runs, cohort: str) -> pd.DataFrame:
    """Return the test rows of the first training a fold, worst Dice first.

    With the failure's kind, ``company`` (another mass shows in the frame) and what :func:`told`
    says of the mass.
    """
    rows = runs.test(replicate=0)
    rows = rows.assign(company=rows["company_pixels"] > 0, kind=kinds_of(rows))
    return rows.join(told(rows, cohort), on="case").sort_values("dice", ignore_index=True)


def told(rows: pd.DataFrame, cohort: str) -> pd.DataFrame:
    """Return what is known of each case: view, size and, where the data tell, the other subgroups.

    ``size``: the longer side of the box in % of the image's longer side. Without the data, view is
    what the case's name says, and size the share of the frame that is mass, %.
    """
    cases = rows.drop_duplicates("case").set_index("case")
    if (loaded := at_hand(cohort)) is None:
        size = 200 * cases["truth_pixels"] / cases["diagonal"].astype(float) ** 2
        view = cases.index.to_series().str.extract("_(CC|MLO)_", expand=False)
        return pd.DataFrame({"view": view, "size": size})
    masses = loaded.masses.loc[cases.index]
    width, height = (masses[f"{axis}_max"] - masses[f"{axis}_min"] for axis in "xy")
    longer = np.maximum(width, height).astype(float)
    size = 100 * longer / masses[["height", "width"]].max(axis=1)
    facts = image_facts(loaded).loc[masses["image"]].set_axis(masses.index)
    return facts.drop(columns="patient").assign(view=masses["view"], size=size)


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


def subgroups(runs: Runs, cohort: str) -> pd.DataFrame:
    """Summarise the Dice of all trainings by :data:`SUBGROUPS`, of those that are told."""
    rows, parts = runs.test(), []
    known = told(rows, cohort)
    for name in [name for name in SUBGROUPS if name in known]:
        values = thirds(known[name]) if name in ("size", "age") else known[name].fillna("unknown")
        named = rows.assign(subgroup=name, value=rows["case"].map(values))
        parts.append(summarise(named, ("dice",), ("subgroup", "value")).sort_values("value"))
    return pd.concat(parts, ignore_index=True)


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
