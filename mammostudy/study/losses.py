"""Dice against L1 in the generator's loss, the released loss, and what the adversary is worth.

What the tables say is put into words by :mod:`mammostudy.study.losses_reading`.
"""

from __future__ import annotations

from typing import Final

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from mammostudy.runs.spec import BASELINES, RunSpec
from mammostudy.runs.store import Record
from mammostudy.study import printed, published, recipes, tables

DICE = "cGAN, Dice (paper)"
L1 = "cGAN, L1"
RELEASED = "cGAN, as released"
PLAIN = "generator, no adversary"
UNET = "U-Net, ResNet-18 encoder"
STUDY = "study"
TRAINED: Final = (DICE, L1, RELEASED, PLAIN, UNET, STUDY)
ROWS: Final = (*TRAINED, *BASELINES)
_ALTERNATIVES: Final = (L1, RELEASED, PLAIN, UNET, STUDY, "ellipse")
HEADINGS: Final = {
    "dice": "Dice",
    "iou": "IoU",
    "hd95": "HD95, frame pixels",
    "assd": "ASSD, frame pixels",
}


def named(cohort: str, preset: str) -> dict[str, list[RunSpec]]:
    """Return the runs of the chapter by the name their row bears, on loose frames."""
    return {
        DICE: recipes.headline(cohort, preset),
        L1: recipes.replicates(cohort, preset, loss__overlap="l1"),
        RELEASED: [recipes.recipe(cohort, preset, "released")],
        PLAIN: recipes.replicates(cohort, preset, loss__adversarial_weight=0.0),
        UNET: recipes.folds_of(cohort, preset, model__name="unet", loss__adversarial_weight=0.0),
        STUDY: recipes.folds_of(cohort, preset, "study"),
    }


def baselines(cohort: str, preset: str) -> dict[str, list[RunSpec]]:
    """Return the baselines without training on loose frames, over the folds."""
    plain = recipes.folds_of(cohort, preset)
    out: dict[str, list[RunSpec]] = {}
    for spec in plain:
        for baseline in recipes.baselines(spec):
            out.setdefault(baseline.model.name, []).append(baseline)
    return out


def specs(cohort: str, preset: str) -> list[RunSpec]:
    """Return every run that the chapter shows."""
    both = [*named(cohort, preset).values(), *baselines(cohort, preset).values()]
    return list(dict.fromkeys(spec for specs in both for spec in specs))


def records(cohort: str, preset: str) -> dict[str, list[Record]]:
    """Return the records of the chapter by row name."""
    return tables.records_of(named(cohort, preset) | baselines(cohort, preset), preset)


def absent(found: dict[str, list[Record]], cohort: str, preset: str) -> list[str]:
    """Return the names of rows with a run that has no record."""
    return tables.not_run(named(cohort, preset) | baselines(cohort, preset), found)


def published_losses() -> pd.DataFrame:
    """Return what the paper's loss figure shows: fact, value, unit, source."""
    facts = published.facts()
    shown = ["dice loss at the end", "L1 loss at the end", "iterations", "lambda", "batch"]
    return facts[facts["fact"].isin(shown)]


def published_scores() -> pd.DataFrame:
    """Return the paper's loose-frame cells about the loss and the adversary, in %, wide.

    Returns:
        Columns model, and Dice and IoU on either test set.
    """
    cells = published.segmentation_table()
    cells = cells[(cells["framing"] == "loose") & cells["model"].isin(_PUBLISHED)]
    wide = cells.pivot(index="model", columns="dataset", values=["dice", "iou"])
    metrics, data = (wide.columns.get_level_values(level) for level in (0, 1))
    wide.columns = metrics.map({"dice": "Dice", "iou": "IoU"}) + ", " + data
    wide.insert(0, "what it differs in", pd.Series(_PUBLISHED))
    return wide.loc[list(_PUBLISHED)].reset_index()


_PUBLISHED: Final = {
    "proposed cGAN": "Dice loss, from scratch",
    "cGAN-ResNet101 (Dice)": "Dice loss, ImageNet encoder",
    "cGAN-ResNet101": "L1 loss, ImageNet encoder",
    "UNet": "no adversary, from scratch",
}


def curves(found: dict[str, list[Record]]) -> pd.DataFrame:
    """Return losses and validation Dice over iterations, first fold and seed of every row.

    Columns: row, iteration, quantity (``overlap``, ``adversarial``, ``discriminator_real``,
    ``discriminator_fake``, ``generator`` for the weighted sum that the generator descends,
    ``validation_dice``), value.
    """
    out = []
    for name, listed in found.items():
        if not listed or listed[0].curves.empty:
            continue
        table, loss = listed[0].curves, listed[0].spec.loss
        total = loss.overlap_weight * table["overlap"]
        if "adversarial" in table:
            total = total + loss.adversarial_weight * table["adversarial"]
        long = table.assign(generator=total).melt("iteration", var_name="quantity").dropna()
        out.append(long.assign(row=name))
    columns = ["iteration", "quantity", "value", "row"]
    return pd.concat(out, ignore_index=True) if out else pd.DataFrame(columns=columns)


def training_table(found: dict[str, list[Record]]) -> pd.DataFrame:
    """Return how every row's training went, a row without a record as ``not run``.

    Returns:
        Columns row, trainings, iterations, status, converged (of how many), validation Dice of
        the first training at its best and at its end, minutes a training.
    """
    out: list[dict[str, object]] = []
    for name in TRAINED:
        listed = found.get(name) or []
        if not listed:
            out.append({"row": name, **dict.fromkeys(_TRAINING, printed.NOT_RUN)})
            continue
        curve = listed[0].curves
        steps = int(curve["iteration"].max()) if len(curve) else 0
        seen = curve["validation_dice"].dropna() if "validation_dice" in curve else pd.Series()
        settled = sum(record.converged is True for record in listed)
        minutes = np.mean([record.provenance["training_seconds"] for record in listed]) / 60
        values = (
            len(listed),
            steps,
            ", ".join(dict.fromkeys(record.status for record in listed)),
            f"{settled} of {len(listed)}",
            f"{seen.max():.3f}" if len(seen) else printed.MISSING,
            f"{seen.iloc[-1]:.3f}" if len(seen) else printed.MISSING,
            f"{minutes:.1f}",
        )
        out.append({"row": name, **dict(zip(_TRAINING, values, strict=True))})
    return pd.DataFrame(out)


_TRAINING: Final = (
    "trainings",
    "iterations",
    "status",
    "converged",
    "best validation Dice",
    "last validation Dice",
    "minutes a training",
)


def rows(found: dict[str, list[Record]]) -> pd.DataFrame:
    """Return the test rows before post-processing."""
    stacked = tables.rows_of(found)
    return stacked[stacked["postprocessing"] == "none"]


def table(stacked: pd.DataFrame) -> pd.DataFrame:
    """Summarise Dice, IoU and the distances by row, on oracle boxes."""
    oracle = stacked[stacked["box"] == "oracle"]
    return tables.summarise(oracle, tuple(HEADINGS))


def printed_table(summary: pd.DataFrame) -> pd.DataFrame:
    """Lay out :func:`table`, a row a model or baseline, run or not."""
    wide = printed.wide_table(summary, HEADINGS, {"row": "row"}, {"hd95": 1, "assd": 1})
    return printed.with_absent(wide, [(name,) for name in ROWS], ["row"])


def trainings(stacked: pd.DataFrame, metric: str = "dice") -> pd.DataFrame:
    """Return the mean of every training over its test cases: row, fold, seed, mean."""
    oracle = stacked[stacked["box"] == "oracle"]
    by = oracle.groupby(["row", "fold", "seed"], sort=False)
    return by[metric].mean().rename("mean").reset_index()


def spread(summary: pd.DataFrame, metric: str = "dice") -> pd.DataFrame:
    """Set the interval over patients beside the spread over seeds, of the trained rows.

    Returns:
        Columns row, half-width of the 95 % interval over patients, SD over seeds of the first
        fold's mean (missing for one seed), seeds.
    """
    if summary.empty:
        return pd.DataFrame(columns=["row", _WIDTH, _SD, "trainings"])
    part = summary[(summary["metric"] == metric) & summary["row"].isin(TRAINED)]
    widths = (part["high"] - part["low"]) / 2
    table = part[["row"]].assign(**{_WIDTH: widths, _SD: part["seed_sd"]})
    return table.assign(trainings=part["seeds"])


_WIDTH: Final = "half-width over patients"
_SD: Final = "SD over seeds"


def painted(stacked: pd.DataFrame) -> pd.DataFrame:
    """Return how much of the frame every row paints, on oracle boxes.

    Returns:
        Columns row, painted (mean share of the frame predicted as mass), mass (mean share that
        is mass), precision, recall.
    """
    oracle = stacked[(stacked["box"] == "oracle") & (stacked["replicate"] == 0)]
    if oracle.empty:
        return pd.DataFrame(columns=["row", "painted", "mass", "precision", "recall"])
    area = (oracle["diagonal"] / np.sqrt(2)).round() ** 2
    shares = oracle.assign(
        painted=oracle["predicted_pixels"] / area, mass=oracle["truth_pixels"] / area
    )
    columns = ["painted", "mass", "precision", "recall"]
    return shares.groupby("row", sort=False)[columns].mean().reset_index()


def mean_masks(found: dict[str, list[Record]]) -> dict[str, NDArray[np.float64]]:
    """Return the mean of the predicted test masks of every trained row's first training.

    Returns:
        float64 ``(s, s)`` in [0, 1] by row: how often a pixel of the loose frame was painted.
    """
    out = {}
    for name in TRAINED:
        if found.get(name):
            record = found[name][0]
            masks = record.predictions()
            cases = record.cases
            test = cases[cases["part"] == "test"]["case"].unique()
            out[name] = np.mean([masks[case] for case in test], axis=0)
    return out


def fair_test(stacked: pd.DataFrame, metric: str = "dice") -> pd.DataFrame:
    """Test the held-out metric after training with Dice against each alternative.

    Returns:
        A row a comparison: a, b, metric, difference, low, high, p values (not corrected),
        patients, smallest detectable difference, the number of pairs of trainings with the
        lowest and highest mean difference among them, and ``unsettled``, the rows compared whose
        training had not converged.
    """
    oracle = stacked[stacked["box"] == "oracle"]
    out = []
    for other in _ALTERNATIVES:
        if not {DICE, other} <= set(oracle["row"]):
            continue
        test = tables.paired(oracle, DICE, other, metric)
        pairs = tables.seed_differences(oracle, DICE, other, metric)
        flags = oracle[oracle["row"].isin([DICE, other])].groupby("row")["converged"]
        loose = [str(row) for row, each in flags if each.eq(False).any()]
        out.append(
            {
                "a": DICE,
                "b": other,
                "metric": metric,
                **vars(test),
                "trainings": len(pairs),
                "lowest training": pairs.min(),
                "highest training": pairs.max(),
                "unsettled": ", ".join(loose),
            }
        )
    return pd.DataFrame(out)


def printed_tests(tests: pd.DataFrame) -> pd.DataFrame:
    """Lay out :func:`fair_test`, a row an alternative to the paper's model."""
    wide = printed.tests_table(tests, {"b": "paper's model minus"})
    if tests.empty:
        return wide
    ends = zip(tests["lowest training"], tests["highest training"], strict=True)
    span = [f"{low:+.3f} to {high:+.3f}" for low, high in ends]
    wide["pairs of trainings"] = tests["trainings"]
    wide["their differences"] = span
    wide["not converged"] = tests["unsettled"]
    return wide


def training_differences(stacked: pd.DataFrame, metric: str = "dice") -> pd.DataFrame:
    """Return the mean difference of every pair of trainings behind :func:`fair_test`: b, mean."""
    oracle = stacked[stacked["box"] == "oracle"]
    out = []
    for other in _ALTERNATIVES:
        if {DICE, other} <= set(oracle["row"]):
            pairs = tables.seed_differences(oracle, DICE, other, metric)
            out += [{"b": other, "mean": float(value)} for value in pairs]
    return pd.DataFrame(out, columns=["b", "mean"])
