"""Failures: the worst cases by the records, and the second mass that the frame cuts."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.ndimage import binary_erosion

from mammostudy.data.frames import frame_sample
from mammostudy.imaging.overlays import agreement_overlay
from mammostudy.runs.spec import RunSpec
from mammostudy.runs.store import Record
from mammostudy.study import recipes, tables
from mammostudy.study.fingerprint import at_hand

GOOD: Final = 0.7  # Dice from which on a case counts as no failure
SMALL, LARGE = 0.67, 1.5  # predicted over true pixels
KINDS: Final = ("missed", "too small", "too large", "misplaced", "no failure")
THIRDS: Final = ("smallest third", "middle third", "largest third")
COLUMNS: Final = ("case", "fold", "dice", "recall", "precision", "company_pixels")
Picture = NDArray[np.uint8]


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


def absent(cohort: str, preset: str, found: Sequence[Record]) -> list[str]:
    """Return the folds whose run has no record."""
    have = {record.spec.split.fold for record in found}
    wanted = [spec.split.fold for spec in specs(cohort, preset)]
    return [f"fold {fold}" for fold in wanted if fold not in have]


def rows(found: Sequence[Record]) -> pd.DataFrame:
    """Return the test rows on oracle boxes before post-processing, worst Dice first.

    Further columns: ``mass_share`` (share of the frame that is truth), ``company`` (whether
    another mass shows in the frame), ``kind`` (see :func:`kind_of`).
    """
    if not found:
        return pd.DataFrame(columns=[*COLUMNS, "patient", "mass_share", "company", "kind"])
    stacked = tables.chosen(tables.rows_of({"cGAN": found}))
    side = stacked["diagonal"] / np.sqrt(2)
    stacked = stacked.assign(
        mass_share=stacked["truth_pixels"] / side**2, company=stacked["company_pixels"] > 0
    )
    stacked["kind"] = [kind_of(row) for _, row in stacked.iterrows()]
    return stacked.sort_values("dice", ignore_index=True)


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


def kinds_table(stacked: pd.DataFrame) -> pd.DataFrame:
    """Count the kinds of failure: kind, masses, patients, share of masses (%), mean Dice."""
    rows = []
    for kind in KINDS:
        part = stacked[stacked["kind"] == kind]
        rows.append(
            {
                "kind": kind,
                "masses": len(part),
                "patients": part["patient"].nunique(),
                "% of masses": 100 * len(part) / max(len(stacked), 1),
                "mean Dice": f"{part['dice'].mean():.3f}" if len(part) else "–",
            }
        )
    return pd.DataFrame(rows)


def truth_of(found: Sequence[Record]) -> str:
    """Return what the runs count as truth, ``all`` or ``target``."""
    return found[0].spec.frame.truth if found else "all"


def by_rule(stacked: pd.DataFrame, seed: int = 0) -> pd.DataFrame:
    """Pick cases by rule: best, median, worst, and one drawn by seed, for the overlay grid."""
    ordered = stacked.sort_values("dice", ignore_index=True)
    drawn = int(np.random.default_rng(seed).integers(len(ordered)))
    picks = {"worst": 0, "median": len(ordered) // 2, "best": len(ordered) - 1, "drawn": drawn}
    return ordered.loc[list(picks.values())].assign(rule=list(picks))


def worst(stacked: pd.DataFrame, most: int = 8) -> pd.DataFrame:
    """Return the cases of lowest Dice, worst first; the rule is ``kind``."""
    return stacked.sort_values("dice").head(most).assign(rule=lambda rows: rows["kind"])


def cut_masses(stacked: pd.DataFrame, most: int = 4) -> pd.DataFrame:
    """Return the frames that show most of another mass, one a patient (rule ``second mass``)."""
    shown = stacked[stacked["company"].astype(bool)]
    ordered = shown.sort_values("company_pixels", ascending=False, kind="stable")
    return ordered.drop_duplicates("patient").head(most).assign(rule="second mass")


def company_table(stacked: pd.DataFrame) -> pd.DataFrame:
    """Compare frames with and without a second mass: Dice, recall, precision."""
    labelled = stacked.assign(row=np.where(stacked["company"].astype(bool), "second mass", "alone"))
    return tables.summarise(labelled, ("dice", "recall", "precision"))


def with_sizes(stacked: pd.DataFrame, cohort: str) -> pd.DataFrame:
    """Add ``box_share``, the longer side of the box in % of the image's; NaN without the data.

    A loose frame grows with its mass, so the share of the frame does not tell the mass's size.
    """
    loaded = at_hand(cohort)
    if loaded is None:
        return stacked.assign(box_share=np.nan)
    masses = loaded.masses
    longer = masses[["height", "width"]].max(axis=1)
    sides = pd.concat(
        [masses["x_max"] - masses["x_min"], masses["y_max"] - masses["y_min"]], axis=1
    )
    share = 100 * sides.max(axis=1).astype(float) / longer
    return stacked.assign(box_share=stacked["case"].map(share))


def size_column(stacked: pd.DataFrame) -> str:
    """Return the column that tells sizes: ``box_share``, or ``mass_share`` without the data."""
    known = len(stacked) > 0 and stacked["box_share"].notna().all()
    return "box_share" if known else "mass_share"


def size_table(stacked: pd.DataFrame) -> pd.DataFrame:
    """Summarise Dice by thirds of the masses' size, from :func:`with_sizes`.

    Columns: size, from, to (of the column :func:`size_column` names), then those of
    :func:`mammostudy.study.tables.summarise`.
    """
    column = size_column(stacked)
    if len(stacked) < len(THIRDS):
        return pd.DataFrame()
    thirds = pd.qcut(stacked[column].rank(method="first"), 3, labels=list(THIRDS))
    labelled = stacked.assign(row=thirds.astype(str))
    summary = tables.summarise(labelled, ("dice",))
    ends = labelled.groupby("row")[column].agg(["min", "max"])
    summary = summary.set_index("row").loc[list(THIRDS)].rename_axis("size").reset_index()
    summary.insert(1, "from", summary["size"].map(ends["min"]))
    summary.insert(2, "to", summary["size"].map(ends["max"]))
    return summary


def pictures(cohort: str, found: Sequence[Record], cases: Sequence[str]) -> list[dict[str, Any]]:
    """Return image, truth and prediction of cases in their frames; empty without the data.

    Returns:
        Dicts with ``case``, ``image`` float32 ``(s, s)``, and bool ``(s, s)``: ``truth`` as the
        run counts it, ``prediction``, and ``second`` (other masses alone).
    """
    loaded = at_hand(cohort)
    if loaded is None or not found:
        return []
    predicted = {
        case: (mask, record.spec)
        for record in found
        for case, mask in record.predictions().items()
        if case in _tested(record)
    }
    out = []
    for case in cases:
        mask, spec = predicted[case]
        sample = loaded.sample(case)
        image, truth, _ = frame_sample(sample, spec.frame, spec.preprocessing)
        masks = {}
        for name in ("target", "all"):
            frame = spec.frame.model_copy(update={"truth": name})
            masks[name] = frame_sample(sample, frame, spec.preprocessing)[1]
        second = masks["all"] & ~masks["target"]
        out.append(
            {"case": case, "image": image, "truth": truth, "prediction": mask, "second": second}
        )
    return out


def _tested(record: Record) -> set[str]:
    """Return a record's test cases: predictions hold validation cases too, of other folds."""
    cases = record.cases
    return set(cases.loc[cases["part"] == "test", "case"])


def overlays(cohort: str, found: Sequence[Record], picked: pd.DataFrame) -> dict[str, Picture]:
    """Return overlays of picked cases in the paper's colours, by title; empty without the data.

    The border of other masses in the frame is drawn white.
    """
    shown = pictures(cohort, found, picked["case"].tolist())
    out = {}
    for row, each in zip(picked.to_dict("records"), shown, strict=False):
        title = f"{row['rule']}, Dice {row['dice']:.3f}\n{row['case']}"
        picture = agreement_overlay(each["image"], each["truth"], each["prediction"], alpha=0.4)
        second = each["second"]
        picture[second & ~binary_erosion(second, border_value=1)] = 255
        out[title] = picture
    return out


def second_masses(cohort: str, found: Sequence[Record], picked: pd.DataFrame) -> pd.DataFrame:
    """Say what became of the second mass of picked cases; empty without the data.

    Returns:
        case, Dice, whether the frame cuts the second mass, its share of the frame (%), the share
        of it that was painted (%), and that of the centre mass (%).
    """
    out = []
    shown = pictures(cohort, found, picked["case"].tolist())
    for dice, each in zip(picked["dice"], shown, strict=False):
        second, painted = each["second"], each["prediction"]
        centre = each["truth"] & ~second
        border = np.concatenate([second[0], second[-1], second[:, 0], second[:, -1]])
        out.append(
            {
                "case": each["case"],
                "Dice": dice,
                "cut by the frame": "yes" if border.any() else "no",
                "second mass, % of the frame": 100 * second.mean(),
                "second mass painted, %": _painted(painted, second),
                "centre mass painted, %": _painted(painted, centre),
            }
        )
    return pd.DataFrame(out)


def _painted(painted: NDArray[np.bool_], mass: NDArray[np.bool_]) -> float:
    return 100 * float((painted & mass).sum()) / max(int(mass.sum()), 1)
