"""Figures of the chain: scores by box, where the error comes from, what an imperfect box costs."""

from __future__ import annotations

from typing import Any, Final

import matplotlib.pyplot as plt
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from mammostudy.figures import primitives as style

ARM_COLOURS: Final = (style.BLUE, style.GREEN, style.GREY, style.BROWN)
ARM_MARKERS: Final = ("o", "s", "D", "^")
PART_COLOURS: Final = (style.PURPLE, style.BLUE, style.ORANGE, style.GREY)
"""Of the parts of an error, last to first: missed grey, imperfect box orange, ..."""


def scores(table: pd.DataFrame, headings: dict[str, str], label: str) -> Figure:
    """Scores of every chain by the box that its masks were made from.

    Args:
        table: :func:`mammostudy.study.chain.dice_table` or ``shape_table``.
        headings: source -> name on the axis, in order.
        label: of the score.

    Returns:
        Points with 95 % intervals, side by side; the dashed line of a table with the column
        ``commonest`` is the share of the commonest shape.
    """
    figure, axes = plt.subplots(figsize=style.SINGLE)
    arms = list(dict.fromkeys(table["arm"]))
    sources = [source for source in headings if source in set(table["source"])]
    for at, arm in enumerate(arms):
        mine = table[(table["arm"] == arm) & table["mean"].notna()]
        places = mine["source"].map({name: i for i, name in enumerate(sources)})
        x = places + 0.14 * (at - (len(arms) - 1) / 2)
        reach = [(mine["mean"] - mine["low"]).fillna(0), (mine["high"] - mine["mean"]).fillna(0)]
        axes.errorbar(
            x, mine["mean"], yerr=reach, fmt=ARM_MARKERS[at % 4], ms=5, elinewidth=1.5,
            color=ARM_COLOURS[at % 4], label=arm,
        )  # fmt: skip
    if "commonest" in table and table["commonest"].notna().any():
        share = table.loc[table["source"] == "detected", "commonest"].max()
        axes.axhline(share, color="black", lw=1, ls="--", label="always the commonest shape")
    names = [headings[source].replace(", ", ",\n") for source in sources]
    axes.set_xticks(range(len(sources)), names)
    axes.set(ylim=(-0.03, 1.03), ylabel=label)
    axes.xaxis.grid(visible=False)
    if arms:
        figure.legend(loc="outside upper center", ncols=3, fontsize="small")
    return figure


def budget(table: pd.DataFrame) -> Figure:
    """Where the error of every chain comes from, stacked.

    Args:
        table: :func:`mammostudy.study.chain_errors.budget`.

    Returns:
        A panel a measure. Parts add up to the error (diamond); a negative part stands left of 0.
    """
    measures = list(dict.fromkeys(table["measure"]))
    arms = list(dict.fromkeys(table["arm"]))
    size = (style.WIDTH, (0.9 + 0.42 * len(arms)) * max(len(measures), 1) + 0.5)
    figure, grid = plt.subplots(max(len(measures), 1), 1, figsize=size, squeeze=False)
    seen: dict[str, Any] = {}
    for axes, measure in zip(grid[:, 0], measures, strict=False):
        _stack(axes, table[table["measure"] == measure], arms, seen)
        axes.set(xlabel=f"mean over masses: {measure}")
    if seen:
        names = list(seen)
        figure.legend(list(seen.values()), names, loc="outside upper center", ncols=3,
                      fontsize="small")  # fmt: skip
    return figure


def _stack(axes: Axes, table: pd.DataFrame, arms: list[str], seen: dict[str, Any]) -> None:
    parts = [part for part in dict.fromkeys(table["part"]) if part != "error"]
    colours = dict(zip(parts, PART_COLOURS[-len(parts) :], strict=True))
    for y, arm in enumerate(arms):
        mine = table[table["arm"] == arm].set_index("part")["mean"]
        ends = {True: 0.0, False: 0.0}  # of the parts above and below 0
        for part in parts if len(mine) else ():
            value, side = float(mine[part]), bool(mine[part] >= 0)
            bar = axes.barh(y, value, left=ends[side], color=colours[part], height=0.62)
            seen.setdefault(part, bar)
            ends[side] += value
        if len(mine):
            whole = axes.scatter(mine["error"], y, marker="D", color="black", s=22, zorder=4)
            seen.setdefault("sum of the parts", whole)
    axes.axvline(0, color="black", lw=0.8)
    axes.set_yticks(range(len(arms)), arms)
    axes.set_ylim(len(arms) - 0.5, -0.5)
    axes.set_xlim(min(axes.get_xlim()[0], -0.02), 1.03)
    axes.yaxis.grid(visible=False)


def box_quality(table: pd.DataFrame) -> Figure:
    """What an imperfect box costs the mask.

    Args:
        table: :func:`mammostudy.study.chain.box_quality`.

    Returns:
        Left: Dice from the detected box against Dice from the known one. Right: their difference
        against the IoU of the box.
    """
    figure, (left, right) = plt.subplots(1, 2, figsize=style.WIDE)
    look = {"color": style.BLUE, "s": 18, "alpha": 0.7}
    left.plot([0, 1], [0, 1], color="black", lw=0.8, ls="--")
    left.scatter(table["known"], table["detected"], **look)
    left.set(xlim=(-0.02, 1.02), ylim=(-0.02, 1.02), xlabel="Dice, known box",
             ylabel="Dice, detected box", aspect="equal")  # fmt: skip
    right.axhline(0, color="black", lw=0.8, ls="--")
    right.scatter(table["iou"], table["loss"], **look)
    right.set(xlim=(0.2, 1.02), xlabel="IoU of the detected box with the known one",
              ylabel="Dice lost by the box")  # fmt: skip
    return figure
