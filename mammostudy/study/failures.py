"""Failures: the worst cases by the records, and the second mass that the frame cuts."""

from __future__ import annotations

from typing import Any, Final

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.ndimage import binary_erosion

from mammostudy.imaging.overlays import agreement_overlay
from mammostudy.runs.spec import RunSpec
from mammostudy.study import published
from mammostudy.study.comparing import Runs, summarise
from mammostudy.study.pictures import at_hand, framed, picked, tested
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


def specs(cohort: str, preset: str) -> list[RunSpec]:
    """Return every run that the chapter shows."""
    return named(cohort, preset)[MODEL]


def tested_rows(runs: Runs, cohort: str) -> pd.DataFrame:
    """Return the test rows on known boxes before post-processing, worst Dice first.

    Further columns: ``company`` (whether another mass shows in the frame), ``kind`` of failure, and
    ``size``, the longer side of the box in % of the image's longer side; without the images it is
    the share of the frame that is mass, %.
    """
    rows = runs.test()
    side = rows["diagonal"].astype(float) / np.sqrt(2)
    rows = rows.assign(
        company=rows["company_pixels"] > 0,
        kind=[kind_of(row) for _, row in rows.iterrows()],
        size=100 * rows["truth_pixels"] / side**2,
    )
    if (loaded := at_hand(cohort)) is not None:
        masses = loaded.masses
        width, height = (masses[f"{axis}_max"] - masses[f"{axis}_min"] for axis in "xy")
        longer = np.maximum(width, height).astype(float)
        share = 100 * longer / masses[["height", "width"]].max(axis=1)
        rows["size"] = rows["case"].map(share)
    return rows.sort_values("dice", ignore_index=True)


def kind_of(row: pd.Series) -> str:
    """Name how a case fails: missed, too small, too large, misplaced, or none from Dice 0.7 on."""
    if row["dice"] >= GOOD:
        return "no failure"
    if row["predicted_pixels"] == 0:
        return "missed"
    ratio = row["predicted_pixels"] / row["truth_pixels"]
    if ratio < SMALL:
        return "too small"
    return "too large" if ratio > LARGE else "misplaced"


def kinds(rows: pd.DataFrame) -> pd.DataFrame:
    """Count the kinds of failure: kind, masses, patients, % of masses, mean Dice."""
    grouped = rows.groupby("kind")
    table = pd.DataFrame(
        {
            "masses": grouped.size(),
            "patients": grouped["patient"].nunique(),
            "% of masses": 100 * grouped.size() / max(len(rows), 1),
            "mean Dice": grouped["dice"].mean(),
        }
    ).reindex(list(KINDS))
    counts = ["masses", "patients", "% of masses"]
    table[counts] = table[counts].fillna(0)
    return table.astype({"masses": int, "patients": int}).rename_axis("kind").reset_index()


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
    """Return overlays of picked cases in the paper's colours, titled; empty without the images.

    The border of other masses in the frame is drawn white.
    """
    out = []
    for row, image, truth, mask, second in _looked_at(cohort, runs, cases):
        picture = agreement_overlay(image, truth, mask, alpha=0.4)
        picture[second & ~binary_erosion(second, border_value=1)] = 255
        out.append((f"{row['rule']}, Dice {row['dice']:.3f}\n{row['case']}", picture))
    return out


def second_masses(cohort: str, runs: Runs, cases: pd.DataFrame) -> pd.DataFrame:
    """Say what became of the second mass of picked cases; empty without the images.

    case, Dice, whether the frame cuts the second mass, its share of the frame (%), the share of it
    that was painted (%), and that of the centre mass (%).
    """
    lines = []
    for row, _, truth, mask, second in _looked_at(cohort, runs, cases):
        centre = truth & ~second
        border = np.concatenate([second[0], second[-1], second[:, 0], second[:, -1]])
        lines.append(
            {
                "case": row["case"],
                "Dice": row["dice"],
                "cut by the frame": "yes" if border.any() else "no",
                "second mass, % of the frame": 100 * second.mean(),
                "second mass painted, %": 100 * (mask & second).sum() / max(second.sum(), 1),
                "centre mass painted, %": 100 * (mask & centre).sum() / max(centre.sum(), 1),
            }
        )
    return pd.DataFrame(lines)


def _looked_at(cohort: str, runs: Runs, cases: pd.DataFrame) -> list[tuple[Any, ...]]:
    """Return row, image, truth, prediction and other masses of cases, as their runs saw them."""
    loaded, out = at_hand(cohort), []
    for row in cases.to_dict("records") if loaded is not None else ():
        record = tested(runs.of(MODEL), row["case"])
        if record is None or loaded is None:
            continue
        image, truth, _ = framed(loaded, record, row["case"])
        target, every = (
            framed(loaded, record, row["case"], truth=which)[1] for which in ("target", "all")
        )
        out.append((row, image, truth, record.predictions()[row["case"]], every & ~target))
    return out


def published_outliers() -> pd.DataFrame:
    """Return the outliers drawn for the paper's headline run: model, test set, framing, Dice."""
    plots = published.box_plots()
    shown = plots[(plots["metric"] == "dice") & (plots["outliers"].map(len) > 0)]
    drawn = [", ".join(f"{value:g}" for value in values) for values in shown["outliers"]]
    names = {"dataset": "test set", "median": "median Dice"}
    columns = ["model", "dataset", "framing", "images", "median"]
    return shown[columns].rename(columns=names).assign(outliers=drawn)
