"""Eleven models in three framings: the grid of runs, what sets them apart, what they cost."""

from __future__ import annotations

from functools import cache
from typing import Any, Final

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from mammostudy.evaluation.uncertainty import fewer_outliers, low_outliers
from mammostudy.models.registry import SEGMENTERS
from mammostudy.runs.spec import BASELINES, Model, RunSpec
from mammostudy.study import losses, pictures, published
from mammostudy.study.comparing import Runs, compare, judge, paired, unsettled
from mammostudy.study.recipes import baselines_of, preset, recipe

PROPOSED: Final = "proposed cGAN"
UNET: Final = "UNet"
UNET_RESNET: Final = "UNet-ResNet18 (not in the paper)"
BEST: Final = "best found here (not in the paper)"
STRONGEST_DICE: Final = "cGAN-ResNet101 (Dice)"
_ADVERSARIAL: Final = {"overlap_weight": 150.0, "adversarial_weight": 1.0}
MODELS: Final[dict[str, dict[str, Any]]] = {
    "FCN": {"model": {"name": "fcn", "dense": 512}},
    "FCN-ResNet101": {"model": {"name": "fcn-resnet101"}},
    UNET: {"model": {"name": "unet-plain", "width": 16}},
    "UNet-VGG16": {"model": {"name": "unet-vgg16"}},
    "SegNet": {"model": {"name": "segnet"}},
    "SegNet-VGG16": {"model": {"name": "segnet"}},
    "CRFCNN": {"model": {"name": "crfcnn", "dense": 512}},
    "SLSDeep": {"model": {"name": "slsdeep"}, "loss": {"overlap": "nll_epe"}},
    "cGAN-ResNet101": {
        "model": {"name": "cgan-resnet101"},
        "loss": {"overlap": "l1", **_ADVERSARIAL},
    },
    STRONGEST_DICE: {
        "model": {"name": "cgan-resnet101"},
        "loss": {"overlap": "dice", **_ADVERSARIAL},
    },
    PROPOSED: {},
    UNET_RESNET: {"model": {"name": "unet"}},
    BEST: {
        "variant": "best",
        "model": {"name": "unet-lite0", "weights": "packaged"},
        "optimiser": {"learning_rate": 5e-4, "beta1": 0.9, "augment": True, "averaging": 0.95},
        "evaluation": {"flips": True},
    },
}
"""The rows of the paper's table, then two of ours. Where nothing else is said a model has no
adversary and learns by Dice plus cross-entropy: the paper does not report their losses, and by
Dice alone those without batch norm learn to mark nothing."""
ALTERNATIVES: Final = tuple(MODELS)[:10]
"""The paper's ten."""
ROWS: Final = (*MODELS, *BASELINES)
SAME_AS_SEGNET: Final = "SegNet-VGG16"
"""Told from SegNet by downloaded weights alone; only the preset ``paper`` runs it."""
PRETRAINED: Final = (
    "FCN-ResNet101", "UNet-VGG16", SAME_AS_SEGNET, "cGAN-ResNet101", STRONGEST_DICE,
)  # fmt: skip
"""What the paper starts from ImageNet weights, which only the preset ``paper`` downloads."""
ABLATIONS: Final[dict[str, dict[str, Any]]] = {
    "encoder from scratch": {"model__weights": "none"},
    "Dice loss alone": {"loss__overlap": "dice"},
    "no flips and turns in training": {"optimiser__augment": False},
    "last weights instead of their average": {"optimiser__averaging": 0.0},
    "one prediction instead of four mirrored": {"evaluation__flips": False},
    "frames of 128 pixels": {"frame__size": 128},
}
"""The best recipe with one field changed each."""
WHOLE: Final = "best, whole"
FRAMINGS: Final = ("loose", "full", "tight")
METRICS: Final = {
    "dice": "Dice",
    "iou": "IoU",
    "dice_image": "Dice, image's grid",
    "boundary_iou": "boundary IoU",
}
PAIRS: Final = tuple((PROPOSED, other) for other in ROWS if other != PROPOSED)
_STEPS: Final = {"smoke": 6, "reference": 100, "paper": 4200}
_FOLDED: Final = (PROPOSED, UNET_RESNET, BEST)
"""What is light enough for all folds of ``reference``, on loose frames."""


def size_of(preset_name: str, framing: str) -> int:
    """Return the side of the resized frame, pixels."""
    small = {"full": 128, "loose": 64, "tight": 64}[framing]
    return {"smoke": 64, "paper": 256}.get(preset_name, small)


def model_run(
    cohort: str, preset_name: str, row: str, framing: str = "loose", fold: int = 0
) -> RunSpec:
    """Return the run of a model: the same frames and steps for all, from scratch.

    ``row`` is one of :data:`MODELS`; ``fold`` is also the seed.
    """
    content = recipe(cohort, preset_name, split__fold=fold, seed=fold).model_dump()
    size = size_of(preset_name, framing)
    content["frame"] |= {"strategy": framing, "size": size}
    content["optimiser"] |= {"iterations": _STEPS[preset_name], "validations": 10}
    content["evaluation"] |= {"boundary": True}
    if row == PROPOSED:
        content["model"] |= {"levels": {64: 6, 128: 7, 256: 8}[size]}
        return RunSpec.parse(content)
    content |= {"variant": "alternative", "model": {}}
    content["loss"] |= {"overlap": "dice_bce", "overlap_weight": 1.0, "adversarial_weight": 0.0}
    for name, part in MODELS[row].items():
        content[name] = content[name] | part if isinstance(part, dict) else part
    if row == UNET:
        content["model"]["width"] = {"smoke": 4, "paper": 64}.get(preset_name, 16)
    if row in PRETRAINED and preset_name == "paper":
        content["model"]["weights"] = "imagenet"
    return RunSpec.parse(content)


def named(cohort: str, preset_name: str) -> dict[tuple[str, str], list[RunSpec]]:
    """Return the runs by framing and row, the baselines last.

    On loose frames the light models run over all folds, the others on the first. ``quick`` shows
    the two models that the chapter on losses trains.
    """
    if preset_name == "quick":
        grid = losses.grid(cohort, preset_name)
        shared = {PROPOSED: losses.DICE, UNET_RESNET: losses.UNET} | {b: b for b in BASELINES}
        return {("loose", row): grid[name] for row, name in shared.items()}
    folds = preset(preset_name).folds
    asked: dict[str, tuple[str, ...]] = {
        "smoke": (PROPOSED, UNET),
        "reference": tuple(row for row in MODELS if row != SAME_AS_SEGNET),
        "paper": tuple(MODELS),
    }
    loose = asked[preset_name]
    others = {"smoke": (), "reference": _FOLDED}.get(preset_name, loose)
    out = {}
    for framing in FRAMINGS if others else FRAMINGS[:1]:
        for row in loose if framing == "loose" else others:
            all_folds = framing == "loose" and (row in _FOLDED or preset_name == "paper")
            used = folds if all_folds else folds[:1]
            out[framing, row] = [
                model_run(cohort, preset_name, row, framing, fold) for fold in used
            ]
        used = folds if framing == "loose" else folds[:1]
        mine = [model_run(cohort, preset_name, PROPOSED, framing, fold) for fold in used]
        out |= {(framing, row): runs for row, runs in baselines_of(mine).items()}
    return out


def ablations(cohort: str, preset_name: str) -> dict[str, list[RunSpec]]:
    """Return the best recipe whole and with one field changed each, first fold."""
    if preset_name not in ("reference", "paper"):
        return {}
    best = model_run(cohort, preset_name, BEST)
    names = [name for name in ABLATIONS if preset_name == "reference" or "128" not in name]
    return {WHOLE: [best]} | {name: [best.changed(**ABLATIONS[name])] for name in names}


def specs(cohort: str, preset_name: str) -> list[RunSpec]:
    """Return every run that the chapter shows, each once."""
    every = [*named(cohort, preset_name).values(), *ablations(cohort, preset_name).values()]
    return list(dict.fromkeys(spec for runs in every for spec in runs))


def leads() -> pd.DataFrame:
    """Return by how much the proposed cGAN leads in the paper, over its best alternative."""
    lines = []
    cells = published.segmentation_table()
    for (data, framing), part in cells.groupby(["dataset", "framing"], sort=False):
        dice = part.set_index("model")["dice"]
        others = dice.drop(PROPOSED)
        lines.append((data, framing, others.idxmax(), dice[PROPOSED] - others.max()))
    return pd.DataFrame(lines, columns=["test set", "framing", "best alternative", "lead, points"])


def beside_paper(summary: pd.DataFrame, framing: str) -> pd.DataFrame:
    """Set our Dice and IoU on a framing beside the paper's, in %, private / INbreast.

    A row a model of the paper: model, Dice, IoU (NaN where not run), the paper's cells.
    """
    cells = published.segmentation_table().query("framing == @framing")
    mine = summary[summary["framing"] == framing].pivot(
        index="row", columns="metric", values="mean"
    )
    out = pd.DataFrame({"model": list(dict.fromkeys(cells["model"]))})
    for metric, heading in (("dice", "Dice"), ("iou", "IoU")):
        wide = cells.pivot(index="model", columns="dataset", values=metric)
        both = [
            f"{a:.2f} / {b:.2f}" for a, b in zip(wide["private"], wide["INbreast"], strict=True)
        ]
        out[f"{heading} here, %"] = (
            100 * out["model"].map(mine[metric]) if metric in mine else np.nan
        )
        out[f"paper's {heading}, %"] = out["model"].map(dict(zip(wide.index, both, strict=True)))
    return out


def framing_tests(rows: pd.DataFrame) -> pd.DataFrame:
    """Set loose frames against full and tight ones, model by model, in the image's grid."""
    parts = rows[rows["row"].isin(MODELS)]
    parts = parts.assign(cell=parts["framing"] + ", " + parts["row"])
    pairs = [
        (f"loose, {row}", f"{other}, {row}")
        for row in parts["row"].unique()
        for other in ("full", "tight")
    ]
    return compare(parts, pairs, "dice_image", by="cell")


def quartiles(rows: pd.DataFrame, metric: str = "dice") -> pd.DataFrame:
    """Return quartiles and low outliers of every row on loose frames, the paper's beside them.

    An outlier lies more than 1.5 interquartile ranges below the lower quartile of its own row.
    """
    paper = published.box_plots().query("metric == @metric").set_index("model")
    first = rows[(rows["framing"] == "loose") & (rows["replicate"] == 0)]
    lines = []
    for row, part in first.groupby("row", sort=False):
        values = part[metric].to_numpy(dtype=float)
        below = int(low_outliers(values).sum())
        line: dict[str, Any] = {
            "model": row,
            "Q1 / median / Q3": _triple(np.quantile(values, [0.25, 0.5, 0.75])),
            "outliers": below,
            "masses": len(values),
            "share, %": 100 * below / len(values),
            "lowest": values.min(),
        }
        if row in paper.index:
            drawn = paper.loc[row]
            few = f"{len(drawn['outliers'])} of {drawn['images']}"
            line["paper: Q1 / median / Q3"] = _triple(drawn[["q1", "median", "q3"]])
            line["paper: outliers"] = few if drawn["outliers"] else "not reported"
        lines.append(line)
    return pd.DataFrame(lines)


def _triple(values: Any) -> str:
    return " / ".join(f"{value:.3f}" for value in values)


def outlier_tests(rows: pd.DataFrame) -> pd.DataFrame:
    """Compare shares of low outliers: each other model less the proposed cGAN, loose frames.

    Patients are resampled whole, and the quartiles are taken anew in each resample.
    """
    return judge(
        [
            line
            for other in MODELS
            if other != PROPOSED
            and (line := fewer_outliers_than(rows[rows["framing"] == "loose"], other))
        ],
        margin=0.02,
        judged=bool(rows["judged"].all()),
    )


def fewer_outliers_than(loose: pd.DataFrame, other: str) -> dict[str, Any] | None:
    """Set another model's share of outliers against the cGAN's: a line for ``judge``, or None."""
    both = paired(loose[loose["replicate"] == 0], PROPOSED, other, "dice")
    if both.empty:
        return None
    both = both.sort_values("case", kind="stable")
    test = fewer_outliers(both["a"].to_numpy(), both["b"].to_numpy(), both["patient"].to_numpy())
    return {
        "a": other,
        "b": PROPOSED,
        "metric": "share of outliers",
        "difference": test.difference,
        "low": test.low,
        "high": test.high,
        "p": test.p_permutation,
        "masses": len(both),
        "patients": test.patients,
        "trainings": both["fold"].nunique(),
        "smallest_detectable": test.smallest_detectable,
        "unsettled": ", ".join(unsettled(loose[loose["row"].isin([PROPOSED, other])], "row")),
    }


@cache
def parameters(model: Model) -> int:
    """Count the parameters of a segmenter's network; no weight is drawn or loaded for it."""
    import torch

    from mammostudy.models import build_segmenter
    from mammostudy.runs.segmentation import model_fields

    scratch = "none" if "weights" in SEGMENTERS[model.name].fields else model.weights
    plain = model.model_copy(update={"weights": scratch})
    with torch.device("meta"):
        network = build_segmenter(plain.name, **model_fields(plain))
    return sum(each.numel() for each in network.parameters())


def models(runs: Runs) -> pd.DataFrame:
    """Return what each model on loose frames is and cost, in the order of the page.

    Processor seconds are those of the first training alone; missing where its record does not tell.
    A discriminator's parameters are not counted.
    """
    paper = published.segmentation_table().drop_duplicates("model").set_index("model")["pretrained"]
    lines = []
    for (framing, row), asked in runs.asked.items():
        if framing != "loose" or row not in MODELS:
            continue
        spec, record = asked[0], runs.first("loose", row)
        line: dict[str, Any] = {
            "model": row,
            "network": spec.model.name,
            "weights here": spec.model.weights,
            "weights, paper": paper.get(row, "not in the paper"),
            "loss": spec.loss.overlap,
            "adversary": "yes" if spec.loss.adversarial_weight else "no",
            "parameters": parameters(spec.model),
        }
        if record is not None:
            epochs = spec.optimiser.iterations * spec.optimiser.batch
            epochs /= len(record.content["split"]["train"])
            seconds = record.provenance.get("training_cpu_seconds", np.nan)
            line |= {"epochs": epochs, "processor seconds an epoch": seconds / epochs}
        lines.append(line)
    return pd.DataFrame(lines)


def overlays(
    cohort: str, runs: Runs, cases: dict[str, str], framings: tuple[str, ...] = ("loose",)
) -> list[tuple[str, NDArray[np.uint8]]]:
    """Return predictions of the cases by rule as overlays, titled by rule, framing and model."""
    loaded, out = pictures.at_hand(cohort), []
    for rule, case in cases.items() if loaded is not None else ():
        for framing in framings:
            for row in MODELS:
                record = pictures.tested(runs.of(framing, row), case)
                if record is not None and loaded is not None:
                    title = f"{rule}, {framing}: {row.partition(' (not')[0]}"
                    out.append((title, pictures.overlay(loaded, record, case)))
    return out
