"""What each model is and costs: network, encoder weights, parameters, seconds, Dice for them."""

from __future__ import annotations

from functools import cache
from typing import Final

import pandas as pd

from mammostudy.runs.segmenting import FIELD_OWNERS, Model
from mammostudy.runs.spec import RunSpec
from mammostudy.study import printed, published
from mammostudy.study import segmenter_recipes as models
from mammostudy.study.segmenters import Found, epochs, of, trained

_WEIGHTS: Final = {
    "none": "none: from scratch",
    "packaged": "ImageNet, from a package",
    "imagenet": "ImageNet, downloaded",
}
_LOSSES: Final = {
    "dice": "Dice",
    "l1": "L1",
    "dice_bce": "Dice and cross-entropy",
    "nll_epe": "NLL and end-point error",
}


def parameters(model: Model) -> int:
    """Count the parameters of a segmenter's network; no weight is drawn or loaded for it.

    A discriminator is not counted: it is not there at prediction.

    Args:
        model: of a run that is trained.

    Raises:
        SpecError: the model's fields do not fit its network.
    """
    scratch = "none" if model.name in FIELD_OWNERS["weights"] else model.weights
    return _count(model.model_copy(update={"weights": scratch}))


@cache
def _count(model: Model) -> int:
    import torch

    from mammostudy.models import build_segmenter
    from mammostudy.runs.segmenters import model_fields

    with torch.device("meta"):
        network = build_segmenter(model.name, **model_fields(model))
    return sum(each.numel() for each in network.parameters())


def model_table(cohort: str, preset: str) -> pd.DataFrame:
    """Return what the rows of the page are: the first run of each model that the preset asks for.

    Returns:
        model, network, encoder's weights here, encoder's weights in the paper, loss, adversary,
        parameters, input by framing (pixels).
    """
    paper = published.segmentation_table().drop_duplicates("model").set_index("model")["pretrained"]
    runs = trained(cohort, preset)
    lines = []
    for row in models.ROWS:
        mine = {framing: specs[0] for (framing, name), specs in runs.items() if name == row}
        if not mine:
            continue
        spec = next(iter(mine.values()))
        lines.append(
            {
                "model": row,
                "network": spec.model.name,
                "encoder's weights, here": _WEIGHTS[spec.model.weights],
                "encoder's weights, paper": paper.get(row, "not in the paper"),
                "loss": _LOSSES.get(spec.loss.overlap, spec.loss.overlap),
                "adversary": "yes" if spec.loss.adversarial_weight else "no",
                "parameters": f"{parameters(spec.model):,}",
                "input, pixels": ", ".join(
                    f"{framing} {each.frame.size}" for framing, each in mine.items()
                ),
            }
        )
    return pd.DataFrame(lines)


def costs(found: Found, summary: pd.DataFrame, framing: str = "loose") -> pd.DataFrame:
    """Return what every trained model of a framing cost, first fold.

    An epoch is as many cases as the training part holds; its seconds are those of the training,
    validations included, by the clock of the machine that made the record.

    Args:
        found: :func:`mammostudy.study.segmenters.records`.
        summary: :func:`mammostudy.study.segmenters.table`.
        framing: ``loose``, ``full`` or ``tight``.

    Returns:
        row, parameters, seconds (an epoch), epochs, minutes (of the training), threads,
        cpu_minutes (threads x minutes), dice, low, high, dice_per_minute (over CPU-minutes),
        converged, images_a_second (training cases).
    """
    lines = []
    for row in models.ROWS:
        if not (listed := found.get((framing, row))):
            continue
        first = listed[0]
        seconds = float(first.provenance["training_seconds"])
        threads = int(first.provenance.get("machine", {}).get("threads", 1))
        dice = of(summary, framing, row)["dice"]
        minutes = seconds * threads / 60
        lines.append(
            {
                "row": row,
                "parameters": parameters(first.spec.model),
                "seconds": seconds / epochs(first),
                "epochs": epochs(first),
                "minutes": seconds / 60,
                "threads": threads,
                "cpu_minutes": minutes,
                "dice": dice["mean"],
                "low": dice["low"],
                "high": dice["high"],
                "dice_per_minute": dice["mean"] / minutes if minutes else float("nan"),
                "images_a_second": _seen(first.spec) / seconds if seconds else float("nan"),
                "converged": dice["converged"],
            }
        )
    return pd.DataFrame(lines, columns=list(_COSTS))


_COSTS: Final = (
    "row", "parameters", "seconds", "epochs", "minutes", "threads", "cpu_minutes", "dice", "low",
    "high", "dice_per_minute", "images_a_second", "converged",
)  # fmt: skip


def _seen(spec: RunSpec) -> int:
    return spec.optimiser.iterations * spec.optimiser.batch


def printed_costs(table: pd.DataFrame) -> pd.DataFrame:
    """Lay out :func:`costs`, cheapest epoch first."""
    ordered = table.sort_values("seconds", kind="stable")
    lines = [
        {
            "model": row["row"],
            "parameters": f"{row['parameters']:,}",
            "seconds an epoch": f"{row['seconds']:.1f}",
            "images a second": f"{row['images_a_second']:.1f}",
            "epochs": f"{row['epochs']:.1f}",
            "CPU-minutes": f"{row['cpu_minutes']:.2g}",
            "Dice": printed.cell_of(row.rename({"dice": "mean"})),
            "Dice per CPU-minute": f"{row['dice_per_minute']:.3f}",
            "converged": row["converged"],
        }
        for _, row in ordered.iterrows()
    ]
    return pd.DataFrame(lines, columns=list(_HEADINGS))


_HEADINGS: Final = (
    "model", "parameters", "seconds an epoch", "images a second", "epochs", "CPU-minutes", "Dice",
    "Dice per CPU-minute", "converged",
)  # fmt: skip
