"""Eleven models in three framings: the grid of runs, the rows of their records, the big table.

Comparisons are made by :mod:`mammostudy.study.segmenters_comparison`, the best recipe is taken
apart by :mod:`~mammostudy.study.segmenters_best`, cost is counted by
:mod:`~mammostudy.study.segmenters_cost`; what the tables say is put into words by
:mod:`~mammostudy.study.segmenters_reading`.
"""

from __future__ import annotations

from typing import Final

import pandas as pd

from mammostudy.runs.spec import BASELINES, RunSpec
from mammostudy.runs.store import Record
from mammostudy.study import printed, published, tables
from mammostudy.study import segmenter_recipes as models

FRAMINGS: Final = ("loose", "full", "tight")
METRICS: Final = ("dice", "iou", "dice_image", "boundary_iou")
Group = tuple[str, str]
Named = dict[Group, list[RunSpec]]
Found = dict[Group, list[Record]]


def trained(cohort: str, preset: str) -> Named:
    """Return the trained runs by framing and model."""
    loose = {("loose", row): runs for row, runs in models.models(cohort, preset).items()}
    return loose | models.other_frames(cohort, preset)


def named(cohort: str, preset: str) -> Named:
    """Return all runs of the big table by framing and model or baseline."""
    return trained(cohort, preset) | models.plain_baselines(cohort, preset)


def specs(cohort: str, preset: str) -> list[RunSpec]:
    """Return every run that the chapter shows."""
    return models.every(cohort, preset)


def records(cohort: str, preset: str) -> Found:
    """Return the records of the big table by framing and model or baseline."""
    asked = {_label(group): runs for group, runs in named(cohort, preset).items()}
    found = tables.records_of(asked, preset)
    return {_group(label): listed for label, listed in found.items()}


def _label(group: Group) -> str:
    return "|".join(group)


def _group(label: str) -> Group:
    framing, _, row = label.partition("|")
    return framing, row


def absent(cohort: str, preset: str, found: Found) -> list[Group]:
    """Return the groups with a run that was asked for and has no record."""
    asked = named(cohort, preset)
    return [group for group in asked if len(found.get(group, ())) < len(asked[group])]


def short(row: str) -> str:
    """Return a row's name without the words that it is not in the paper, for sentences."""
    return row.removesuffix(" (not in the paper)")


def rows(found: Found) -> pd.DataFrame:
    """Return the test rows on known boxes before post-processing, with ``framing``.

    Columns beside the metrics: ``row`` (model or baseline), ``framing``, ``fold``, ``replicate``.
    """
    stacked = tables.rows_of({_label(group): listed for group, listed in found.items()})
    stacked = tables.chosen(stacked)
    parts = stacked["row"].astype(str).str.split("|")
    stacked = stacked.assign(framing=parts.str[0], row=parts.str[1])
    return stacked if "boundary_iou" in stacked else stacked.assign(boundary_iou=float("nan"))


def table(stacked: pd.DataFrame) -> pd.DataFrame:
    """Summarise Dice, IoU, Dice in the image's grid and boundary IoU by framing and row."""
    return tables.summarise(stacked, METRICS, by=("framing", "row"))


def runs_said(cohort: str, preset: str, found: Found, framing: str, row: str) -> str:
    """Say how many of the runs of a cell are on record, or that this preset asks for none."""
    asked = named(cohort, preset).get((framing, row), [])
    if not asked:
        alike = row in models.SAME_FROM_SCRATCH and preset != "paper"
        return "none: same as SegNet" if alike else "not in this preset"
    have = len(found.get((framing, row), ()))
    return f"{have} of {len(asked)}"


def printed_table(
    summary: pd.DataFrame, cohort: str, preset: str, found: Found, framing: str
) -> pd.DataFrame:
    """Lay out :func:`table` for one framing, a row a model or baseline, run or not.

    Returns:
        model, Dice and IoU with interval and median, Dice in the image's grid, boundary IoU,
        converged, runs on record, and the paper's cells in %, private / INbreast.
    """
    lines = []
    paper = published_cells(framing)
    for row in (*models.ROWS, *BASELINES):
        line = {"model": row, **_scores(summary, framing, row)}
        line["runs on record"] = runs_said(cohort, preset, found, framing, row)
        for metric, heading in _PAPER.items():
            line[heading] = paper.get((row, metric), printed.MISSING)
        lines.append(line)
    return pd.DataFrame(lines)


_PAPER: Final = {"dice": "paper's Dice, %", "iou": "paper's IoU, %"}
_HEADINGS: Final = {
    "dice": ("Dice", "median Dice"),
    "iou": ("IoU", "median IoU"),
    "dice_image": ("Dice, image's grid", None),
    "boundary_iou": ("boundary IoU", None),
}


def _scores(summary: pd.DataFrame, framing: str, row: str) -> dict[str, str]:
    """Print the scores of one group; ``not run`` where it has none."""
    out: dict[str, str] = {}
    part = of(summary, framing, row)
    for metric, (mean, median) in _HEADINGS.items():
        known = part.get(metric)
        out[mean] = printed.NOT_RUN if known is None else printed.cell_of(known)
        if median is not None:
            out[median] = printed.NOT_RUN if known is None else f"{known['median']:.3f}"
    out["converged"] = str(part["dice"]["converged"]) if part else printed.NOT_RUN
    return out


def of(summary: pd.DataFrame, framing: str, row: str) -> dict[str, pd.Series]:
    """Return the lines of :func:`table` of one group, by metric; empty where it was not run."""
    if summary.empty:
        return {}
    part = summary[(summary["framing"] == framing) & (summary["row"] == row)]
    return {str(line["metric"]): line for _, line in part.iterrows()}


def published_cells(framing: str) -> dict[tuple[str, str], str]:
    """Return the paper's cells in %, ``private / INbreast``, by model and metric."""
    cells = published.segmentation_table()
    part = cells[cells["framing"] == framing]
    out = {}
    for model, lines in part.groupby("model", sort=False):
        for metric in ("dice", "iou"):
            by_data = dict(zip(lines["dataset"], lines[metric], strict=True))
            values = (by_data[data] for data in ("private", "INbreast"))
            out[str(model), metric] = " / ".join(f"{value:.2f}" for value in values)
    return out


def lead_published() -> pd.DataFrame:
    """Return by how much the proposed cGAN leads in the paper, over its best alternative.

    Returns:
        A row a test set and framing: dataset, framing, alternative (the best other model), lead
        in points of Dice (below 0 where another model is ahead).
    """
    cells = published.segmentation_table()
    out = []
    for (dataset, framing), part in cells.groupby(["dataset", "framing"], sort=False):
        dice = part.set_index("model")["dice"]
        others = dice.drop(models.PROPOSED)
        lead = float(dice[models.PROPOSED] - others.max())
        out.append((dataset, framing, str(others.idxmax()), lead))
    return pd.DataFrame(out, columns=["dataset", "framing", "alternative", "lead"])


def training_table(found: Found) -> pd.DataFrame:
    """Return how the trainings on record went.

    Returns:
        framing, model, trainings, iterations, epochs, how they ended, converged (of how many),
        validation Dice of the first training at its best and at its end.
    """
    out = []
    for (framing, row), listed in found.items():
        if not listed or listed[0].spec.is_baseline:
            continue
        first = listed[0]
        seen = _validated(first)
        settled = sum(record.converged is True for record in listed)
        out.append(
            {
                "framing": framing,
                "model": row,
                "trainings": len(listed),
                "iterations": first.spec.optimiser.iterations,
                "epochs": f"{epochs(first):.1f}",
                "ended": ", ".join(dict.fromkeys(record.status for record in listed)),
                "converged": f"{settled} of {len(listed)}",
                "best validation Dice": f"{seen.max():.3f}" if len(seen) else printed.MISSING,
                "last validation Dice": f"{seen.iloc[-1]:.3f}" if len(seen) else printed.MISSING,
            }
        )
    return pd.DataFrame(out, columns=list(_TRAINED))


_TRAINED: Final = (
    "framing", "model", "trainings", "iterations", "epochs", "ended", "converged",
    "best validation Dice", "last validation Dice",
)  # fmt: skip


def _validated(record: Record) -> pd.Series[float]:
    if "validation_dice" not in record.curves:
        return pd.Series(dtype=float)
    return record.curves["validation_dice"].dropna()


def epochs(record: Record) -> float:
    """Return how often a training saw its cases: iterations x batch / training cases."""
    settings = record.spec.optimiser
    return settings.iterations * settings.batch / len(record.content["split"]["train"])


def curves(found: Found, framing: str = "loose") -> pd.DataFrame:
    """Return validation Dice over iterations, first fold, of one framing: row, iteration, value."""
    out = []
    for (where, row), listed in found.items():
        if where == framing and listed and len(seen := _validated(listed[0])):
            at = listed[0].curves.loc[seen.index, "iteration"]
            out.append(pd.DataFrame({"row": row, "iteration": at, "value": seen}))
    return pd.concat(out, ignore_index=True) if out else pd.DataFrame(columns=_CURVE)


_CURVE: Final = ["row", "iteration", "value"]
