"""Eleven models in three framings: the grid of runs, what sets them apart, what they cost."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any, Final

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from mammostudy.evaluation.uncertainty import low_outliers
from mammostudy.figures import pictures
from mammostudy.imaging.overlays import agreement_overlay
from mammostudy.models.registry import SEGMENTERS
from mammostudy.runs.spec import BASELINES, Model, RunSpec
from mammostudy.study import losses, published
from mammostudy.study.comparing import TRAINED_BY_PAGES, Runs, every_run
from mammostudy.study.recipes import baselines_of, doubled, folds_for, folds_of, headline, recipe

PROPOSED: Final = "proposed cGAN"
LARGER: Final = "cGAN (paper), 128 px"
"""The runs of the other chapters, where those of the table see smaller frames."""
UNET: Final = "UNet"
UNET_RESNET: Final = "UNet-ResNet18 (not in the paper)"
BEST: Final = "best found here (not in the paper)"
STRONGEST_DICE: Final = "cGAN-ResNet101 (Dice)"
_RESNET: Final = {"name": "cgan-resnet101"}
_GAN: Final = {"overlap_weight": 150.0, "adversarial_weight": 1.0}
MODELS: Final[dict[str, dict[str, Any]]] = {
    "FCN": {"model": {"name": "fcn", "dense": 512}},
    "FCN-ResNet101": {"model": {"name": "fcn-resnet101"}},
    UNET: {"model": {"name": "unet-plain", "width": 16}},
    "UNet-VGG16": {"model": {"name": "unet-vgg16"}},
    "SegNet": {"model": {"name": "segnet"}},
    "SegNet-VGG16": {"model": {"name": "segnet"}},
    "CRFCNN": {"model": {"name": "crfcnn", "dense": 512}},
    "SLSDeep": {"model": {"name": "slsdeep"}, "loss": {"overlap": "nll_epe"}},
    "cGAN-ResNet101": {"model": _RESNET, "loss": {"overlap": "l1", **_GAN}},
    STRONGEST_DICE: {"model": _RESNET, "loss": {"overlap": "dice", **_GAN}},
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
SAME_AS_SEGNET: Final = "SegNet-VGG16"
"""Told from SegNet by downloaded weights alone; only the preset ``paper`` runs it."""
PRETRAINED: Final = (
    "FCN-ResNet101", "UNet-VGG16", SAME_AS_SEGNET, "cGAN-ResNet101", STRONGEST_DICE,
)  # fmt: skip
"""What the paper starts from ImageNet weights, which only the preset ``paper`` downloads."""
ABLATIONS: Final[dict[str, dict[str, Any]]] = {
    "encoder from scratch": {"model__weights": "none", "model__standardised": False},
    "Dice loss alone": {"loss__overlap": "dice"},
    "no flips and turns in training": {"optimiser__augment": False},
    "last weights instead of their average": {"optimiser__averaging": 0.0},
    "one prediction instead of four mirrored": {"evaluation__flips": False},
    "frames of 128 pixels": {"frame__size": 128},
}
"""The best recipe with one field changed each."""
WHOLE: Final = "best, whole"
FRAMINGS: Final = ("loose", "full", "tight")
METRICS: Final = {"dice": "Dice", "iou": "IoU", "dice_image": "Dice, image's grid"} | {
    "boundary_iou": "boundary IoU"
}
LIGHT: Final = (PROPOSED, UNET, UNET_RESNET, BEST)
"""Below 1 s a step: on loose frames these run over all folds, and seeds where they are crossed."""
_STEPS: Final = {
    "smoke": (6, 6), "reference": (100, 100), "evidence": (1000, 300), "paper": (2950, 2950),
}  # fmt: skip
"""Of light models and of others."""


def model_run(
    cohort: str, preset_name: str, row: str, framing: str = "loose", like: RunSpec | None = None
) -> RunSpec:
    """Return the run of one of :data:`MODELS`, of the fold and seed of another run."""
    content = (like or recipe(cohort, preset_name)).model_dump()
    size = {"smoke": 64, "paper": 256}.get(preset_name, 128 if framing == "full" else 64)
    content["frame"] |= {"strategy": framing, "size": size}
    steps = _STEPS[preset_name][row not in LIGHT]
    content["optimiser"] |= {"iterations": steps, "validations": 10}
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
    if preset_name == "paper":
        weights = {"weights": "imagenet"} if row in PRETRAINED else {}
        content["model"] |= {"dense": 4096, **weights}
    if preset_name not in ("smoke", "reference"):
        content["model"]["standardised"] = content["model"].get("weights", "none") != "none"
    return RunSpec.parse(content)


def named(cohort: str, preset_name: str) -> dict[tuple[str, str], list[RunSpec]]:
    """Return the runs by framing and row, the baselines last.

    On loose frames the :data:`LIGHT` models run over all folds, the others once.
    ``quick`` shows the two models that the chapter on losses trains.
    """
    if preset_name == "quick":
        grid = losses.grid(cohort, preset_name)
        shared = {PROPOSED: losses.DICE, UNET_RESNET: losses.UNET} | {b: b for b in BASELINES}
        return {("loose", row): grid[name] for row, name in shared.items()}
    every = folds_of(cohort, preset_name)
    folds = len(folds_for(cohort, preset_name))
    asked: dict[str, tuple[str, ...]] = {"smoke": (PROPOSED, UNET), "paper": tuple(MODELS)}
    loose = asked.get(preset_name, tuple(row for row in MODELS if row != SAME_AS_SEGNET))
    others = {"smoke": (), "paper": loose}.get(preset_name, LIGHT)
    out = {}
    for framing in FRAMINGS if others else FRAMINGS[:1]:
        for row in loose if framing == "loose" else others:
            whole = preset_name == "paper" or (framing == "loose" and row in LIGHT)
            used = every if whole else every[:1]
            out[framing, row] = [model_run(cohort, preset_name, row, framing, n) for n in used]
        if framing == "loose" and preset_name not in ("smoke", "paper"):
            out[framing, LARGER] = headline(cohort, preset_name)
        used = every[: folds if framing == "loose" else 1]
        mine = [model_run(cohort, preset_name, PROPOSED, framing, like) for like in used]
        out |= {(framing, row): runs for row, runs in baselines_of(mine).items()}
    return out


def pairs(grid: Mapping[Any, Sequence[Any]]) -> list[tuple[str, str]]:
    """Pair the proposed cGAN with the rows on loose frames trained as often, or not at all.

    By the runs asked for, or by the records found, of each framing and row.
    """
    loose = {row: runs for (framing, row), runs in grid.items() if framing == "loose"}
    often = len(loose.pop(PROPOSED))
    return [(PROPOSED, row) for row in loose if row in BASELINES or len(loose[row]) >= often]


def not_run(runs: Runs) -> str:
    """Name the models, and the baselines asked for, that are not on record, by framing."""
    every = dict.fromkeys([*((name, row) for name in FRAMINGS for row in MODELS), *runs.asked])
    left = pd.DataFrame([each for each in every if not runs.of(*each)], columns=["framing", "row"])
    named = left.groupby("framing", sort=False)["row"].agg(", ".join)
    return "; ".join(f"{framing} frames: {rows}" for framing, rows in named.items())


def marked(summary: pd.DataFrame, runs: Runs) -> pd.DataFrame:
    """Say beside every training that had not converged how many epochs it took."""
    listed = [runs.of(*group) for group in zip(summary["framing"], summary["row"], strict=True)]
    took = [f"{_epochs(records[0]):.0f} epochs, not converged" for records in listed]
    return summary.assign(converged=summary["converged"].mask(summary["converged"] == "no", took))


def _epochs(record: Any) -> float:
    asked = record.spec.optimiser
    return float(asked.iterations * asked.batch / len(record.content["split"]["train"]))


def ablations(cohort: str, preset_name: str) -> dict[str, list[RunSpec]]:
    """Return the best recipe whole and with one field changed each, first fold."""
    if preset_name in TRAINED_BY_PAGES:
        return {}
    best = model_run(cohort, preset_name, BEST)
    names = [name for name in ABLATIONS if preset_name != "paper" or "128" not in name]
    return {WHOLE: [best]} | {name: [best.changed(**ABLATIONS[name])] for name in names}


specs = every_run(named, ablations, lambda *asked: doubled(named(*asked)))


def framing_pairs(rows: pd.DataFrame) -> list[tuple[str, str]]:
    """Pair loose frames with full and tight ones, model by model."""
    known = [row for row in rows["row"].unique() if row in MODELS]
    return [(f"loose, {row}", f"{other}, {row}") for row in known for other in ("full", "tight")]


def spread(loose: pd.DataFrame) -> pd.DataFrame:
    """Return quartiles of Dice by model, and how many masses are low outliers of it."""
    first = loose[loose["replicate"] == 0].groupby("row", sort=False)["dice"]
    table = first.describe().rename_axis("model").reset_index()
    names = {"25%": "lower quartile", "50%": "median", "75%": "upper quartile", "min": "worst"}
    table = table.rename(columns=names)[["model", "worst", *list(names.values())[:3]]]
    counts = first.agg(lambda scores: low_outliers(scores).sum())
    return table.assign(outliers=counts.to_numpy(int), masses=first.size().to_numpy())


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
    """Return what each model on loose frames is and cost (of the first training alone)."""
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
            epochs = _epochs(record)
            seconds = record.provenance.get("training_cpu_seconds", np.nan)
            line |= {"epochs": epochs, "processor seconds an epoch": seconds / epochs}
        lines.append(line)
    return pd.DataFrame(lines)


def overlays(cohort: str, runs: Runs, cases: dict[str, str]) -> list[tuple[str, NDArray[np.uint8]]]:
    """Return predictions of the cases by rule on loose frames as overlays, titled."""
    loaded, out = pictures.at_hand(cohort), []
    for rule, case in cases.items():
        for row in MODELS:
            if found := pictures.seen(loaded, runs.of("loose", row), case):
                title = f"{rule}, loose: {row.partition(' (not')[0]}"
                out.append((title, agreement_overlay(*found[1:])))
    return out
