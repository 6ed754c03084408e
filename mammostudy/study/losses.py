"""Dice against L1 in the generator's loss, the released loss, and what the adversary is worth.

Losses are compared over all folds. The weights of the adversary are compared on the first fold,
where every training of a row counts (``over="all"``). The ladder leads from the released code over
the paper's text to this study's recipe, one field a rung.
"""

from __future__ import annotations

import itertools
from typing import Any, Final

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from mammostudy.evaluation.statistics import variance_parts
from mammostudy.runs.spec import RunSpec
from mammostudy.study import published
from mammostudy.study.comparing import Runs, compare, paired
from mammostudy.study.recipes import (
    baselines_of,
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
PAIRS: Final = tuple((DICE, other) for other in (L1, RELEASED, PLAIN, UNET, STUDY, "ellipse"))
METRICS: Final = {
    "dice": "Dice",
    "iou": "IoU",
    "hd95": "HD95, frame pixels",
    "assd": "ASSD, frame pixels",
}
_UNET_STEPS: Final = 100  # of the preset quick
PUBLISHED: Final = ("dice loss at the end", "L1 loss at the end", "iterations", "lambda", "batch")
"""Facts about the paper's figure of both losses."""
PAPER_WEIGHT: Final = 150.0
WEIGHTS: Final = (1.0, 10.0, PAPER_WEIGHT, 1000.0)
"""The values of lambda, the weight of the overlap loss beside an adversary of weight 1."""
ALONE: Final = "no adversary"
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
_LATE: Final = 0.8
"""A training's end is what comes after this share of its iterations."""
_SURE: Final = 0.9
"""D is saturated where its score is above this on true masks, and below 1 less this on others."""


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
    """Return the runs by lambda on the first fold with every seed, and those without adversary.

    Those of the paper's lambda and without adversary are runs of :func:`named`. Empty for presets
    without room for other values.
    """
    if preset not in ("reference", "paper"):
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
    """Return the rungs from ``released`` over ``paper`` to ``study``, each one field on.

    First fold, one training a rung. The paper's rung is its own run, the last one the study's.
    Empty for presets without room.
    """
    if preset not in ("reference", "paper"):
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


def specs(cohort: str, preset: str) -> list[RunSpec]:
    """Return every run that the chapter shows, each once."""
    grids = (grid(cohort, preset), weights(cohort, preset), ladder(cohort, preset))
    return list(dict.fromkeys(spec for each in grids for runs in each.values() for spec in runs))


def published_scores() -> pd.DataFrame:
    """Return the paper's loose-frame cells about loss and adversary, in %: a row a model."""
    differs = {
        "proposed cGAN": "Dice loss, from scratch",
        "cGAN-ResNet101 (Dice)": "Dice loss, ImageNet encoder",
        "cGAN-ResNet101": "L1 loss, ImageNet encoder",
        "UNet": "no adversary, from scratch",
    }
    cells = published.segmentation_table().query("framing == 'loose'")
    wide = cells.pivot(index="model", columns="dataset", values=["dice", "iou"])
    words = {"dice": "Dice", "iou": "IoU"}
    wide.columns = pd.Index(
        [f"{words[column[0]]}, {column[1]}" for column in wide.columns.tolist()]
    )
    wide.insert(0, "what it differs in", pd.Series(differs))
    return wide.loc[list(differs)].reset_index()


def elsewhere(summary: pd.DataFrame) -> pd.DataFrame:
    """Set the adversary's gain here beside the paper's table and an independent reproduction's.

    Columns where, masses, with an adversary, without, difference (Dice), source. Elsewhere the row
    without an adversary is a U-Net, another network.
    """
    cells = published.segmentation_table().query("framing == 'loose'")
    wide = cells.pivot(index=["dataset", "images"], columns="model", values="dice") / 100
    lines: list[tuple[Any, ...]] = [
        (f"the paper, {row['dataset']}", str(row["images"]), row["proposed cGAN"], row["UNet"], "P")
        for row in wide.reset_index().to_dict("records")
    ]
    facts = [published.FACTS[f"reproduced {name} dice"].value for name in ("cGAN", "UNet")]
    lines.append(("a reproduction, INbreast", "not reported", *facts, "R"))
    found = summary.set_index("row") if len(summary) else pd.DataFrame()
    if {LAMBDAS[2], ALONE} <= set(found.index):
        here = found.loc[[LAMBDAS[2], ALONE]]
        lines.append(("this page", str(here["masses"].iloc[0]), *here["mean"], "this study"))
    columns = ["where", "masses", "with an adversary", "without", "source"]
    table = pd.DataFrame(lines, columns=columns)
    table.insert(4, "difference", table["with an adversary"] - table["without"])
    return table


def curves(runs: Runs) -> pd.DataFrame:
    """Return the curves of the first trainings, with the sum that the generator descends.

    Columns: row, iteration, quantity (those of the records, and ``generator``), value.
    """
    long, sums = runs.curves(), []
    for name in long["row"].unique():
        record = runs.first(name)
        if record is None or "overlap" not in record.curves:
            continue
        table, loss = record.curves, record.spec.loss
        total = loss.overlap_weight * table["overlap"]
        if "adversarial" in table:
            total = total + loss.adversarial_weight * table["adversarial"]
        line = pd.DataFrame({"iteration": table["iteration"], "value": total}).dropna()
        sums.append(line.assign(row=name, quantity="generator"))
    return pd.concat([long, *sums], ignore_index=True)


def painted(rows: pd.DataFrame) -> pd.DataFrame:
    """Return how much of the frame every row paints, and how much is mass: means by row."""
    first = rows[rows["replicate"] == 0]
    area = (first["diagonal"].astype(float) / np.sqrt(2)).round() ** 2
    shares = first.assign(
        painted=first["predicted_pixels"] / area, mass=first["truth_pixels"] / area
    )
    columns = ["painted", "mass", "precision", "recall"]
    return shares.groupby("row", sort=False)[columns].mean().reset_index()


def mean_masks(runs: Runs) -> dict[str, NDArray[np.float64]]:
    """Return how often each pixel of the frame was painted, float64 ``(s, s)`` in [0, 1] by row.

    The first training of every trained row, over its test cases.
    """
    out = {}
    for name in TRAINED:
        if record := runs.first(name):
            masks, cases = record.predictions(), record.cases
            test = cases.loc[cases["part"] == "test", "case"].unique()
            out[name] = np.mean([masks[case] for case in test], axis=0)
    return out


def variances(rows: pd.DataFrame) -> pd.DataFrame:
    """Take trainings and patients apart, of every row of :func:`weights` and of every gain.

    Columns row, mean, SD between trainings, SD between patients, SD of the rest, p that trainings
    are alike, standard error as run, patients, trainings; rows of one training are left out.
    """
    parts = [(str(name), part, part["dice"]) for name, part in rows.groupby("row", sort=False)]
    for name, alone in WEIGHT_PAIRS:
        both = paired(rows, name, alone, "dice")
        parts.append((f"{name} less {alone}", both, both["a"] - both["b"]))
    lines = []
    for name, part, values in parts:
        if part["replicate"].nunique() < 2 or part["patient"].nunique() < 2:
            continue
        found = variance_parts(
            values.to_numpy(), part["patient"].to_numpy(), part["replicate"].to_numpy()
        )
        lines.append(
            {
                "row": name,
                "mean": found.mean,
                "SD between trainings": found.seed_sd,
                "SD between patients": found.patient_sd,
                "SD of the rest": found.rest_sd,
                "p, trainings alike": found.p_seed,
                "standard error as run": found.error_of_mean(),
                "patients": found.patients,
                "trainings": found.seeds,
            }
        )
    return pd.DataFrame(lines)


def scores_of_d(runs: Runs) -> pd.DataFrame:
    """Return the discriminator's scores over iterations of every training with an adversary.

    The records hold mean cross-entropies over the patches of a batch. ``exp(-loss)`` on true masks
    is the geometric mean of D's score, so D's mean score there is at least as high; ``1 -
    exp(-loss)`` on predictions is at least as high as D's mean score there.

    Columns row, seed, iteration, true masks, predictions, and the two terms of the generator's loss
    as weighted: adversarial, overlap.
    """
    parts = []
    for name in LAMBDAS:
        for record in runs.of(name):
            curve, loss = record.curves, record.spec.loss
            part = pd.DataFrame(
                {
                    "iteration": curve["iteration"],
                    "true masks": np.exp(-curve["discriminator_real"]),
                    "predictions": 1 - np.exp(-curve["discriminator_fake"]),
                    "adversarial": loss.adversarial_weight * curve["adversarial"],
                    "overlap": loss.overlap_weight * curve["overlap"],
                }
            )
            parts.append(part.assign(row=name, seed=record.spec.seed))
    return pd.concat(parts, ignore_index=True) if parts else pd.DataFrame()


def ends_of_d(scores: pd.DataFrame) -> pd.DataFrame:
    """Return where D stood in the last fifth of the trainings, and how often it was saturated."""
    lines = []
    for name, part in scores.groupby("row", sort=False) if len(scores) else ():
        late = part[part["iteration"] > _LATE * part["iteration"].max()]
        each = late.groupby("seed")[["true masks", "predictions"]].mean()
        terms = late.groupby("seed")[["adversarial", "overlap"]].mean()
        sure = (part["true masks"] > _SURE) & (part["predictions"] < 1 - _SURE)
        ended = (each["true masks"] > _SURE) & (each["predictions"] < 1 - _SURE)
        lines.append(
            {
                "row": name,
                "trainings": len(each),
                "D on true masks": each["true masks"].mean(),
                "D on predictions": each["predictions"].mean(),
                "adversarial share of G's loss": (terms["adversarial"] / terms.sum(axis=1)).mean(),
                "ended saturated": int(ended.sum()),
                "iterations saturated": sure.mean(),
            }
        )
    return pd.DataFrame(lines)


def fields(before: RunSpec, after: RunSpec) -> str:
    """Name the fields in which two runs differ, ``loss.overlap``; what is measured is none."""
    first, second = (
        pd.json_normalize(spec.model_dump(exclude={"variant", "evaluation"})).iloc[0]
        for spec in (before, after)
    )
    return ", ".join(name for name in first.index if first[name] != second[name])


def steps(runs: Runs) -> pd.DataFrame:
    """Set every rung of the ladder against the one before: :func:`comparing.compare`'s columns.

    ``a`` names the fields that the rung changes, too.
    """
    names = [name for (name,) in runs.asked]
    tests = compare(runs.test(), [(b, a) for a, b in itertools.pairwise(names)])
    changed = {
        b: fields(runs.asked[a,][0], runs.asked[b,][0]) for a, b in itertools.pairwise(names)
    }
    if tests.empty:
        return tests
    return tests.assign(a=[f"{name} ({changed[name]})" for name in tests["a"]])
