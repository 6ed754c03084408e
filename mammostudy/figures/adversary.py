"""Figures on the adversary: values of lambda, the discriminator's scores, the ladder."""

from __future__ import annotations

import matplotlib.pyplot as plt
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from mammostudy.figures import primitives as style

COLOURS = {
    "lambda 1": style.ORANGE,
    "lambda 10": style.RED,
    "lambda 150": style.BLUE,
    "lambda 1000": style.PURPLE,
    "no adversary": style.GREEN,
}
SHOWN = {"true masks": style.GREEN, "predictions": style.ORANGE}


def scores(summary: pd.DataFrame, trainings: pd.DataFrame) -> Figure:
    """Held-out Dice by lambda with 95 % intervals over patients, and the mean of every training.

    Args:
        summary: :func:`mammostudy.study.adversary.table`.
        trainings: :func:`mammostudy.study.adversary.trainings`.

    Returns:
        One panel; small dots are single trainings, rings had not all converged.
    """
    figure, axes = plt.subplots(figsize=style.WIDE)
    names = [name for name in COLOURS if name in set(summary["row"])]
    for row in summary.to_dict("records"):
        y = names.index(row["row"])
        _interval(axes, y, row["mean"], row["low"], row["high"], COLOURS[row["row"]])
        if row["settled"] < row["trainings"]:
            axes.scatter(row["mean"], y, s=90, fc="none", ec="black", lw=1)
    _dots(axes, names, trainings["row"], trainings["mean"])
    axes.set(xlabel="Dice")
    return _rows(figure, axes, names)


def differences(tests: pd.DataFrame, pairs: pd.DataFrame, margin: float) -> Figure:
    """Each lambda minus no adversary, and the difference of every pair of trainings.

    Args:
        tests: :func:`mammostudy.study.adversary.comparisons`.
        pairs: :func:`mammostudy.study.adversary.differences`.
        margin: the smallest difference that matters; a band as wide to either side is shaded.
    """
    figure, axes = plt.subplots(figsize=style.WIDE)
    names = list(tests["b"]) if len(tests) else []
    axes.axvspan(-margin, margin, color=style.GREY, alpha=0.2, lw=0)
    axes.axvline(0, color="black", lw=1)
    for y, row in enumerate(tests.to_dict("records")):
        _interval(axes, y, row["difference"], row["low"], row["high"], COLOURS[row["b"]])
    _dots(axes, names, pairs["b"], pairs["mean"])
    axes.set(xlabel="difference in Dice, this row minus no adversary")
    return _rows(figure, axes, names)


def _interval(axes: Axes, y: float, mean: float, low: float, high: float, colour: str) -> None:
    reach = [[max(mean - low, 0)], [max(high - mean, 0)]]
    axes.errorbar(mean, y, xerr=reach, fmt="o", color=colour, ms=5, elinewidth=1.6)


def _dots(axes: Axes, names: list[str], rows: pd.Series, means: pd.Series) -> None:
    places = [names.index(name) + 0.28 for name in rows]
    axes.scatter(means, places, s=10, color="black", alpha=0.6, zorder=4)


def _rows(figure: Figure, axes: Axes, names: list[str]) -> Figure:
    axes.set_yticks(range(len(names)), names)
    axes.set_ylim(len(names) - 0.4, -0.6)
    axes.yaxis.grid(visible=False)
    return figure


def discriminator(curves: pd.DataFrame) -> Figure:
    """The discriminator's scores over iterations, a panel a lambda, a line a training.

    Args:
        curves: :func:`mammostudy.study.adversary_curves.curves`.

    Returns:
        Panels on one scale; at the broken line it cannot tell the two apart.
    """
    names = [name for name in COLOURS if name in set(curves["row"])]
    figure, grid = plt.subplots(
        1, max(1, len(names)), figsize=style.WIDE, sharey=True, squeeze=False
    )
    for axes, name in zip(grid[0], names, strict=False):
        for (shown, _), line in curves[curves["row"] == name].groupby(["shown", "seed"]):
            axes.plot(line["iteration"], line["score"], color=SHOWN[str(shown)], lw=0.7, alpha=0.6)
        axes.set_title(name, fontsize="small")
    for axes in grid[0]:
        axes.axhline(0.5, color="black", ls="--", lw=1)
        axes.set(ylim=(0, 1), xlabel="iteration")
    grid[0][0].set_ylabel("score of the discriminator")
    handles = [Line2D([], [], color=colour, label=name) for name, colour in SHOWN.items()]
    figure.legend(handles=handles, loc="outside lower center", ncols=2, fontsize="small")
    return figure


def ladder(summary: pd.DataFrame, steps: pd.DataFrame) -> Figure:
    """Dice of every rung, and its difference from the rung before.

    Args:
        summary: :func:`mammostudy.study.adversary_ladder.table`.
        steps: :func:`mammostudy.study.adversary_ladder.steps`.

    Returns:
        Two panels that share their rows; the first rung is on top, rings had not converged.
    """
    names = list(summary["row"]) if len(summary) else []
    height = max(3.0, 0.34 * len(names) + 1.2)
    figure, (left, right) = plt.subplots(1, 2, figsize=(style.WIDTH, height), sharey=True)
    for row in summary.to_dict("records"):
        y = names.index(row["row"])
        _interval(left, y, row["mean"], row["low"], row["high"], style.BLUE)
        if row["converged"] == "no":
            left.scatter(row["mean"], y, s=90, fc="none", ec="black", lw=1)
    right.axvline(0, color="black", lw=1)
    for row in steps.to_dict("records"):
        y = names.index(row["row"])
        _interval(right, y, row["difference"], row["low"], row["high"], style.ORANGE)
    left.set(xlabel="Dice")
    right.set(xlabel="step in Dice")
    for axes in (left, right):
        _rows(figure, axes, names)
    left.tick_params(axis="y", labelsize="small")
    return figure
