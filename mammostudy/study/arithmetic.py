"""What follows from the published numbers by arithmetic alone: the tables behind the audit.

Every function takes its numbers from :mod:`mammostudy.study.published` and computes the rest.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from mammostudy.evaluation.overlap import dice, iou, largest_mean, least_iou
from mammostudy.imaging.contours import inscribed_ellipse
from mammostudy.imaging.framing import crop_and_resize
from mammostudy.imaging.shape_masks import place_mask
from mammostudy.study import published

BROKEN_BY = 0.1
"""A pair breaks the bound if its IoU is this many points below it (rounding gives 0.01)."""
EQUAL_WITHIN = 0.03
"""A pair equals the bound if its IoU is within this many points of it."""
MASS = 0.20
"""Share of a frame that is mass, where losses are compared."""


def overlap_pairs() -> pd.DataFrame:
    """The printed Dice/IoU pairs against the convexity bound.

    :func:`published.segmentation_table` with bound (%), gap (iou - bound, points) and status
    (broken | equal | possible).
    """
    table = published.segmentation_table()
    table["bound"] = table["dice"].map(least_iou)
    table["gap"] = table["iou"] - table["bound"]
    broken, equal = table["gap"] < -BROKEN_BY, table["gap"].abs() <= EQUAL_WITHIN
    table["status"] = np.select([broken, equal], ["broken", "equal"], "possible")
    return table


def box_plot_means() -> pd.DataFrame:
    """Printed mean Dice against the box plot of the same run (INbreast, loose frames)."""
    plots = published.box_plots().query("metric == 'dice'")
    scores = published.segmentation_table().query("dataset == 'INbreast' and framing == 'loose'")
    table = plots.merge(scores[["model", "dice"]], on="model").rename(columns={"dice": "printed"})
    largest = [
        largest_mean((r["q1"], r["median"], r["q3"]), r["images"], r["outliers"], r["reading"])
        for r in table.to_dict("records")
    ]
    table["largest_mean"] = 100 * np.array(largest)
    table["median"] *= 100
    table["impossible"] = table["printed"] > table["largest_mean"]
    return table


def everything_in_tight_frame() -> pd.DataFrame:
    """Scores of calling a whole tight frame mass, for an ellipse that touches its four sides.

    Columns metric (dice | iou), analytic, rasterised (in a frame of 256 x 256 pixels), both in %.
    """
    fill = math.pi / 4
    truth = inscribed_ellipse((0, 0, 256, 256), (256, 256))[None]
    everything = np.ones_like(truth)
    return pd.DataFrame(
        {
            "metric": ["dice", "iou"],
            "analytic": [100 * 2 * fill / (1 + fill), 100 * fill],
            "rasterised": [100 * float(f(everything, truth)[0]) for f in (dice, iou)],
        }
    )


def soft_dice_loss(truth: NDArray[np.float64], prediction: NDArray[np.float64]) -> float:
    """Dice loss ``1 - (2 sum(y g) + 1) / (sum(y) + sum(g) + 1)``, smooth 1, on whatever range."""
    overlap = 2 * float((truth * prediction).sum()) + 1
    return 1 - overlap / (float(truth.sum()) + float(prediction.sum()) + 1)


def _costs(truth: NDArray[np.float64], prediction: NDArray[np.float64]) -> tuple[float, float]:
    """The Dice loss on [0, 1] and on [-1, 1] of masks given in [0, 1]."""
    signed = soft_dice_loss(2 * truth - 1, 2 * prediction - 1)
    return soft_dice_loss(truth, prediction), signed


def dice_loss_costs() -> pd.DataFrame:
    """Cost of some predictions, where a fifth of 256 x 256 pixels is mass."""
    truth = (np.arange(256 * 256) < round(MASS * 256 * 256)).astype(np.float64)
    pole = 1 - MASS  # of an output in [0, 1]
    predictions: dict[str, Any] = {
        "perfect": truth,
        "middle grey (output 0)": 0.5,
        "everything background": 0.0,
        "everything mass": 1.0,
        "uniform, just below the pole": pole - 0.005,
        "uniform, just above the pole": pole + 0.005,
    }
    rows = [
        (name, *_costs(truth, np.broadcast_to(each, truth.shape)))
        for name, each in predictions.items()
    ]
    return pd.DataFrame(rows, columns=["prediction", "paper", "released"])


def uniform_costs() -> pd.DataFrame:
    """Dice loss of a uniform output on two ranges, where a fifth of the frame is mass."""
    truth, outputs = (np.arange(10_000) < MASS * 10_000).astype(np.float64), np.linspace(-1, 1, 401)
    costs = [_costs(truth, np.full_like(truth, (output + 1) / 2)) for output in outputs]
    table = pd.DataFrame(costs, columns=["[0, 1]", "[-1, 1]"]).assign(output=outputs)
    return table.melt("output", var_name="range", value_name="cost")


def parameter_count(
    network: str, channels: int, out_channels: int, shared_norm: bool, conv_bias: bool
) -> int:
    """Trainable parameters of a published network, from kernel sizes and widths.

    ``shared_norm``: all layers of one width share one batch norm.
    """
    layers = published.architecture().query("network == @network").to_dict("records")
    layers[-1]["filters"], total = out_channels, 0
    outputs: dict[str, int] = {}
    norms: list[int] = []
    for layer in layers:
        filters = int(layer["filters"])
        bias = conv_bias or layer["kind"] == "dense"
        total += int(layer["kernel"]) ** 2 * channels * filters + filters * bias
        if layer["norm"]:
            norms.append(filters)
        outputs[layer["layer"]] = filters
        channels = filters + outputs.get(layer["skip"], 0)
    return total + 2 * sum(set(norms) if shared_norm else norms)


def parameter_counts() -> pd.DataFrame:
    """Parameter counts of the networks under the readings that are possible."""
    table = published.read("readings")
    layers = table[["network", "in", "out"]].join(table[["shared_norm", "conv_bias"]] == "yes")
    table["parameters"] = [parameter_count(*reading) for reading in layers.itertuples(index=False)]
    table["printed"] = table["network"].map(published.PARAMETER_COUNTS).astype("Int64")
    table["exact"] = (table["parameters"] == table["printed"]).fillna(False).astype(bool)
    return table[["network", "reading", "parameters", "printed", "exact"]]


def class_weights() -> pd.DataFrame:
    """The published loss weights ``1 - n/N`` against those that would balance the classes.

    Columns shape, masses, weight (published), balanced (``N / (4 n)``), pull (masses x weight as a
    share of the sum: what the class weighs in the loss).
    """
    table = published.read("shape_counts")[["shape", "masses"]]
    total = table["masses"].sum()
    table["weight"] = 1 - table["masses"] / total
    table["balanced"] = total / (len(table) * table["masses"])
    pull = table["masses"] * table["weight"]
    table["pull"] = pull / pull.sum()
    return table


def stretched_masks() -> dict[tuple[str, str], NDArray[np.bool_]]:
    """A round and an axis-aligned oval mass as the shape CNN would see them.

    Masks bool ``(64, 64)``, the published size, by (shape, aspect): shapes round and oval, aspects
    image (the loose frame of both in one image scale), stretch and square.
    """
    shape, size = (480, 480), 64
    boxes = {"round": (190, 190, 290, 290), "oval": (160, 200, 320, 280)}
    masks: dict[tuple[str, str], NDArray[np.bool_]] = {}
    for name, box in boxes.items():
        mass = inscribed_ellipse(box, shape)
        masks[name, "image"] = crop_and_resize(mass, (80, 80, 400, 400), size)
        for aspect in ("stretch", "square"):
            masks[name, aspect] = place_mask(mass, size, aspect)
    return masks


def stretched_agreement() -> pd.DataFrame:
    """Dice between the round and the oval mass of :func:`stretched_masks`: aspect, dice."""
    masks = stretched_masks()
    aspects = ["stretch", "square"]
    both = (np.stack([masks[name, aspect] for aspect in aspects]) for name in ("round", "oval"))
    return pd.DataFrame({"aspect": aspects, "dice": dice(*both)})
