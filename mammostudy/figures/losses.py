"""Figures on losses: curves over iterations, held-out scores, what was painted."""

from __future__ import annotations

from collections.abc import Mapping

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from mammostudy.figures import primitives as style

COLOURS = {
    "cGAN, Dice (paper)": style.BLUE,
    "cGAN, L1": style.ORANGE,
    "cGAN, as released": style.RED,
    "generator, no adversary": style.GREEN,
    "U-Net, ResNet-18 encoder": style.PURPLE,
    "study": style.BROWN,
}
UNITS = {
    "cGAN, Dice (paper)": r"$\lambda$ (1 - Dice) + adversarial",
    "cGAN, L1": r"$\lambda$ L1 + adversarial",
}

NEAR = 0.06


def curves(table: pd.DataFrame) -> Figure:
    """The generator's loss with Dice and with L1, and validation Dice of every row.

    Args:
        table: :func:`mammostudy.study.losses.curves`.

    Returns:
        Two panels; the losses are on a logarithmic axis, as in the paper, and in units of their
        own; validation Dice is one scale for all.
    """
    figure, (left, right) = plt.subplots(1, 2, figsize=(style.WIDTH, 3.6))
    for name, unit in UNITS.items():
        line = _line(table, name, "generator")
        left.plot(line["iteration"], line["value"], color=COLOURS[name], lw=1.2, label=unit)
    left.set(yscale="log", xlabel="iteration", ylabel="loss of the generator, own units")
    left.set_title("two units on one axis")
    for name, colour in COLOURS.items():
        line = _line(table, name, "validation_dice")
        if len(line):
            right.plot(
                line["iteration"], line["value"], color=colour, marker=".", lw=1.2, label=name
            )
    right.set(ylim=(-0.02, 1.02), xlabel="iteration", ylabel="validation Dice")
    right.set_title("one unit for all")
    left.legend(fontsize="x-small")
    if right.get_lines():
        figure.legend(
            *right.get_legend_handles_labels(),
            loc="outside lower center",
            ncols=3,
            fontsize="x-small",
        )
    return figure


def _line(table: pd.DataFrame, row: str, quantity: str) -> pd.DataFrame:
    chosen = table[(table["row"] == row) & (table["quantity"] == quantity)]
    return chosen.sort_values("iteration")


def adversaries(table: pd.DataFrame) -> Figure:
    """The released overlap loss, and the three adversarial losses of the paper's model.

    Args:
        table: :func:`mammostudy.study.losses.curves`.

    Returns:
        Two panels; on the left a scale that is logarithmic beyond 1 in both directions, the
        broken line is the loss of a perfect mask on [0, 1].
    """
    figure, (left, right) = plt.subplots(1, 2, figsize=(style.WIDTH, 3.2))
    line = _line(table, "cGAN, as released", "overlap")
    left.plot(line["iteration"], line["value"], color=style.RED, lw=1.2)
    left.axhline(0, color="black", ls="--", lw=1)
    left.set_yscale("symlog", linthresh=1)
    left.set(xlabel="iteration", ylabel="released Dice loss, no unit", title="as released")
    names = {
        "discriminator_real": ("D on real masks", style.GREEN),
        "discriminator_fake": ("D on predictions", style.ORANGE),
        "adversarial": ("G against D", style.BLUE),
    }
    for quantity, (name, colour) in names.items():
        line = _line(table, "cGAN, Dice (paper)", quantity)
        right.plot(line["iteration"], line["value"], color=colour, lw=1.2, label=name)
    right.axhline(np.log(2), color="black", ls="--", lw=1, label="D undecided")
    right.set(xlabel="iteration", ylabel="cross-entropy, nats", title="paper's model")
    right.set_ylim(top=1.4 * right.get_ylim()[1])
    right.legend(fontsize="x-small", ncols=2, loc="upper center")
    return figure


def scores(summary: pd.DataFrame, trainings: pd.DataFrame) -> Figure:
    """Held-out Dice and IoU of every row with 95 % intervals, and the mean of every training.

    Args:
        summary: :func:`mammostudy.study.losses.table`.
        trainings: :func:`mammostudy.study.losses.trainings`, of Dice.

    Returns:
        Two panels; small dots are single trainings, grey rows need no training, rings had not
        converged.
    """
    names = list(dict.fromkeys(summary["row"])) if len(summary) else []
    figure, panels = plt.subplots(1, 2, figsize=(style.WIDTH, 4.0), sharey=True)
    for axes, metric in zip(panels, ("dice", "iou"), strict=True):
        part = summary[summary["metric"] == metric] if len(summary) else summary
        for row in part.to_dict("records"):
            colour = COLOURS.get(row["row"], style.GREY)
            _interval(axes, names.index(row["row"]), row["mean"], row["low"], row["high"], colour)
            if row["converged"] == "no":
                axes.scatter(
                    row["mean"], names.index(row["row"]), s=90, fc="none", ec="black", lw=1
                )
        axes.set(xlim=(0, 1), xlabel={"dice": "Dice", "iou": "IoU"}[metric])
    known = trainings[trainings["row"].isin(COLOURS)]
    places = [names.index(name) + 0.28 for name in known["row"]]
    panels[0].scatter(known["mean"], places, s=10, color="black", alpha=0.6, zorder=4)
    for axes in panels:
        _rows(axes, names)
    return figure


def _interval(axes: Axes, y: float, mean: float, low: float, high: float, colour: str) -> None:
    reach = [[max(mean - low, 0)], [max(high - mean, 0)]]
    axes.errorbar(mean, y, xerr=reach, fmt="o", color=colour, ms=5, elinewidth=1.6)


def _rows(axes: Axes, names: list[str]) -> None:
    axes.set_yticks(range(len(names)), names)
    axes.set_ylim(len(names) - 0.4, -0.6)
    axes.yaxis.grid(visible=False)


def differences(tests: pd.DataFrame, pairs: pd.DataFrame) -> Figure:
    """The paper's model minus every alternative, with the difference of every pair of trainings.

    Args:
        tests: :func:`mammostudy.study.losses.fair_test`.
        pairs: :func:`mammostudy.study.losses.training_differences`.

    Returns:
        Two panels, all values and those near 0; a point right of 0 says that the paper's model
        scores higher.
    """
    figure, panels = plt.subplots(1, 2, figsize=style.WIDE, sharey=True)
    names = list(tests["b"]) if len(tests) else []
    for axes in panels:
        axes.axvline(0, color="black", lw=1)
        for y, row in enumerate(tests.to_dict("records")):
            colour = COLOURS.get(row["b"], style.GREY)
            _interval(axes, y, row["difference"], row["low"], row["high"], colour)
        places = [names.index(name) + 0.28 for name in pairs["b"]]
        axes.scatter(pairs["mean"], places, s=10, color="black", alpha=0.6, zorder=4)
        _rows(axes, names)
    panels[0].set_title("all")
    panels[1].set(xlim=(-NEAR, NEAR), xticks=(-0.05, 0, 0.05), title="near 0")
    figure.supxlabel("difference in Dice, the paper's model minus this row", fontsize="small")
    return figure


def mean_masks(masks: Mapping[str, NDArray[np.float64]]) -> Figure:
    """How often each pixel of a loose frame was painted, over the test cases.

    Args:
        masks: :func:`mammostudy.study.losses.mean_masks`.

    Returns:
        A picture a row, on one scale.
    """
    columns = 3
    lines = max(1, -(-len(masks) // columns))
    figure, grid = plt.subplots(lines, columns, figsize=(style.WIDTH, 2.35 * lines), squeeze=False)
    for axes in grid.flat:
        axes.set_axis_off()
    picture = None
    for axes, (name, mask) in zip(grid.flat, masks.items(), strict=False):
        axes.set_axis_on()
        options = {"vmin": 0, "vmax": 100, "cmap": sns.color_palette("mako", as_cmap=True)}
        picture = axes.imshow(100 * mask, **options)
        style.picture_axes(axes, name)
        axes.title.set_fontsize("small")
    if picture is not None:
        figure.colorbar(picture, ax=grid, label="test cases that paint the pixel, %", shrink=0.8)
    return figure
