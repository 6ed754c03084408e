"""Dice against L1 in the generator's loss, the released loss, and what the adversary is worth.

Losses are compared over all folds, the weights of the adversary on the first. The ladder leads from
the released code over the paper's text to this study's recipe, one field a rung.
"""

from __future__ import annotations

import itertools
from typing import Any, Final

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from mammostudy.runs.spec import FITTED, RunSpec
from mammostudy.study import published, recipes
from mammostudy.study.comparing import TRAINED_BY_PAGES, Runs, compare, every_run
from mammostudy.study.recipes import (
    baselines_of,
    doubled,
    folds_for,
    folds_of,
    headline,
    recipe,
    replicates,
)

DICE: Final = "cGAN, Dice (paper)"
L1: Final = "cGAN, L1"
RELEASED: Final = "cGAN, as released"
PLAIN: Final = "generator, no adversary"
UNET: Final = "U-Net, ResNet-18 encoder"
STUDY: Final = "study"
TRAINED: Final = (DICE, L1, RELEASED, PLAIN, UNET, STUDY)
PAIRS: Final = tuple((DICE, b) for b in (L1, RELEASED, PLAIN, UNET, STUDY, "ellipse", *FITTED))
METRICS: Final = {"dice": "Dice", "iou": "IoU"} | {
    name: f"{name.upper()}, frame pixels" for name in ("hd95", "assd")
}
_UNET_STEPS: Final = 100  # of the preset quick
PUBLISHED: Final = ("dice loss at the end", "L1 loss at the end", "iterations", "lambda", "batch")
"""Facts about the paper's figure of both losses."""
PAPER_WEIGHT: Final = 150.0
WEIGHTS: Final = (1.0, 10.0, PAPER_WEIGHT, 1000.0)
"""The values of lambda, the weight of the overlap loss beside an adversary of weight 1."""
ALONE: Final = "no adversary"
FULL: Final = "paper's own setting"  # 256 px, 32 filters, 150 epochs; once, on one fold
FULL_PAIRS: Final = tuple((FULL, b) for b in (DICE, *FITTED))
LAMBDAS: Final = tuple(f"lambda {weight:g}" for weight in WEIGHTS)
WEIGHT_PAIRS: Final = tuple((name, ALONE) for name in LAMBDAS)
_TO_PAPER: Final[tuple[tuple[str, dict[str, Any]], ...]] = (
    ("Dice of probabilities and 0/1 masks", {"loss__overlap": "dice"}),
    ("0/1 masks before the discriminator", {"loss__signed_masks": False}),
    ("a batch norm of its own for each layer", {"model__shared_batch_norm": False}),
    ("one channel in and out", {"model__channels": 1}),
    ("pixels in [0, 1]", {"preprocessing__value_range": "unit"}),
    ("histogram equalised", {"preprocessing__equalise": True}),
)
_TO_STUDY: Final[tuple[tuple[str, dict[str, Any]], ...]] = (
    ("no dropout at prediction", {"model__dropout_at_prediction": False}),
    ("no adversary", {"loss__adversarial_weight": 0.0}),
    ("Dice plus cross-entropy", {"loss__overlap": "dice_bce", "loss__overlap_weight": 1.0}),
)


def named(cohort: str, preset: str) -> dict[str, list[RunSpec]]:
    """Return the runs on loose frames by the name their row bears; quick trains four of them."""
    plain_unet: dict[str, Any] = {"model__name": "unet", "loss__adversarial_weight": 0.0}
    runs = {
        DICE: headline(cohort, preset),
        L1: replicates(cohort, preset, loss__overlap="l1"),
        RELEASED: [recipe(cohort, preset, "released")],
        PLAIN: replicates(cohort, preset, loss__adversarial_weight=0.0),
        UNET: folds_of(cohort, preset, **plain_unet),
        STUDY: folds_of(cohort, preset, "study"),
    }
    if preset == "quick":
        runs[UNET] = [spec.changed(optimiser__iterations=_UNET_STEPS) for spec in runs[UNET]]
        return {name: runs[name] for name in (DICE, L1, PLAIN, UNET)}
    return runs


def grid(cohort: str, preset: str) -> dict[str, list[RunSpec]]:
    """Return :func:`named`, and the baselines without training over the folds."""
    return named(cohort, preset) | baselines_of(folds_of(cohort, preset))


def weights(cohort: str, preset: str) -> dict[str, list[RunSpec]]:
    """Return the runs by lambda on the first fold with every seed, and those without adversary."""
    if preset in TRAINED_BY_PAGES:
        return {}
    first = folds_for(cohort, preset)[0]
    paper = [spec for spec in headline(cohort, preset) if spec.split.fold == first]
    alone = replicates(cohort, preset, loss__adversarial_weight=0.0)
    out = {}
    for name, weight in zip(LAMBDAS, WEIGHTS, strict=True):
        change: dict[str, Any] = {"split__fold": first, "loss__overlap_weight": weight}
        out[name] = [recipe(cohort, preset, seed=spec.seed, **change) for spec in paper]
    out[f"lambda {PAPER_WEIGHT:g}"] = paper
    return out | {ALONE: [spec for spec in alone if spec.split.fold == first]}


def ladder(cohort: str, preset: str) -> dict[str, list[RunSpec]]:
    """Return the rungs from ``released`` over ``paper`` to ``study``, one training a rung."""
    if preset in TRAINED_BY_PAGES:
        return {}
    spec = recipe(cohort, preset, "released")
    out = {"as released": [spec]}
    for name, change in _TO_PAPER:
        spec = spec.changed(**change, variant="alternative")
        out[name] = [spec]
    out["noise removed: as the paper says"] = [headline(cohort, preset)[0]]
    spec = recipe(cohort, preset)
    for name, change in _TO_STUDY:
        spec = spec.changed(**change, variant="alternative")
        out[name] = [spec]
    return out | {"flips and quarter turns: as this study": [recipe(cohort, preset, "study")]}


def published_setting(cohort: str, preset: str) -> dict[str, list[RunSpec]]:
    """Return the one run of :data:`FULL`, and what stands beside it on its fold."""
    if not recipes.preset(preset).faded:
        return {}
    full = headline(cohort, "paper")[:1]
    same = [run for run in headline(cohort, preset) if run.split.fold == full[0].split.fold]
    plain = baselines_of(same[:1])
    return {FULL: full, DICE: same} | {name: plain[name] for name in FITTED}


specs = every_run(grid, weights, ladder, published_setting, lambda *asked: doubled(named(*asked)))


def published_cells(where: str, index: str = "model") -> pd.DataFrame:
    """Return cells of the paper's table in %: ``Dice, private`` to ``IoU, INbreast`` by row."""
    cells = published.segmentation_table().query(where)
    wide = cells.pivot(index=index, columns="dataset", values=["dice", "iou"])
    wide = wide.loc[cells[index].unique()]
    names = {"dice": "Dice", "iou": "IoU"}
    return wide.set_axis([f"{names[each[0]]}, {each[1]}" for each in wide.columns.tolist()], axis=1)


def beside_published(summary: pd.DataFrame, where: str, index: str = "row") -> pd.DataFrame:
    """Set cells of the paper's table beside ours of a summary, in %, a row a model or framing."""
    wide = published_cells(where, {"row": "model"}.get(index, index)).add_suffix(" (paper)")
    for at, (metric, name) in enumerate({"dice": "Dice", "iou": "IoU"}.items()):
        mine = summary[summary["metric"] == metric].set_index(index)["mean"]
        wide.insert(at, f"{name}, here", mine.astype(float) * 100)
    return wide.reset_index()


def published_scores() -> pd.DataFrame:
    """Return the paper's loose-frame cells about loss and adversary, in %: a row a model."""
    differs = {
        "proposed cGAN": "Dice loss, from scratch",
        "cGAN-ResNet101 (Dice)": "Dice loss, ImageNet encoder",
        "cGAN-ResNet101": "L1 loss, ImageNet encoder",
        "UNet": "no adversary, from scratch",
    }
    wide = published_cells("framing == 'loose'").loc[list(differs)]
    wide.insert(0, "what it differs in", pd.Series(differs))
    return wide.reset_index()


def curves(*listed: Runs) -> pd.DataFrame:
    """Return the first trainings' curves, long, with ``generator``, the sum that G descends."""
    parts, first = [], {name: runs.first(name) for runs in listed for (name,) in runs.asked}
    for name, record in first.items():
        if record is not None and "overlap" in record.curves:
            table, loss = record.curves, record.spec.loss
            total = loss.overlap_weight * table["overlap"]
            if "adversarial" in table:
                total = total + loss.adversarial_weight * table["adversarial"]
            long = table.assign(generator=total).melt("iteration", var_name="quantity").dropna()
            parts.append(long.assign(row=name))
    columns = ["row", "iteration", "quantity", "value"]
    return pd.concat(parts)[columns] if parts else pd.DataFrame(columns=columns)


def mean_masks(runs: Runs) -> dict[str, NDArray[np.float64]]:
    """Return how often the first training painted each pixel, ``(s, s)`` in [0, 1] by row."""
    out = {}
    for name in TRAINED:
        if record := runs.first(name):
            masks, cases = record.predictions(), record.cases
            test = cases.loc[cases["part"] == "test", "case"].unique()
            out[name] = np.mean([masks[case] for case in test], axis=0)
    return out


def fields(before: RunSpec, after: RunSpec) -> str:
    """Name the fields in which two runs differ, ``loss.overlap``; what is measured is none."""
    first, second = (
        pd.json_normalize(spec.model_dump(exclude={"variant", "evaluation"})).iloc[0]
        for spec in (before, after)
    )
    return ", ".join(name for name in first.index if first[name] != second[name])


def steps(runs: Runs) -> pd.DataFrame:
    """Set every rung against the one before, on validation; ``a`` names its fields, too."""
    names = [name for (name,) in runs.asked]
    rows = runs.test(part="validation")
    tests = compare(rows, [(b, a) for a, b in itertools.pairwise(names)])
    changed = {
        b: fields(runs.asked[a,][0], runs.asked[b,][0]) for a, b in itertools.pairwise(names)
    }
    if tests.empty:
        return tests
    return tests.assign(a=[f"{name} ({changed[name]})" for name in tests["a"]])
