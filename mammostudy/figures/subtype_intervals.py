"""Dots with intervals, a row each: how strong an association is, and what is left of it."""

from __future__ import annotations

from collections.abc import Sequence

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from mammostudy.figures import primitives as style


def named(axes: Axes, names: Sequence[str]) -> None:
    """Name the rows of a panel from top to bottom."""
    axes.set_yticks(range(len(names)), names)
    axes.set_ylim(max(len(names), 1) - 0.5, -0.5)
    axes.yaxis.grid(visible=False)


def strengths(table: pd.DataFrame, label: str = "Cramer's V") -> Figure:
    """Cramer's V, or another number with an interval, one row each.

    Args:
        table: columns name, value, low, high (NaN where there is no interval), and optionally
            ``other``: a second value, drawn hollow, and ``chance``: what no association gives on
            average, drawn as a tick.
        label: of the axis.

    Returns:
        One panel, first row on top.
    """
    height = 0.9 + 0.42 * max(len(table), 1)
    figure, axes = plt.subplots(figsize=(style.WIDTH, height))
    for y, row in enumerate(table.to_dict("records")):
        if np.isfinite([row["low"], row["high"]]).all():
            axes.hlines(y, row["low"], row["high"], color=style.BLUE, lw=2)
        axes.scatter(row["value"], y, color=style.BLUE, s=45, zorder=4)
        if "other" in row and np.isfinite(row["other"]):
            axes.scatter(row["other"], y, fc="white", ec=style.BLUE, s=45, lw=1.4, zorder=5)
        if "chance" in row and np.isfinite(row["chance"]):
            axes.scatter(row["chance"], y, marker="|", color=style.RED, s=220, lw=2, zorder=3)
    named(axes, list(table["name"]))
    axes.set(xlabel=label)
    axes.set_xlim(left=min(0.0, axes.get_xlim()[0]))
    return figure


def blurred(table: pd.DataFrame) -> Figure:
    """What a shape model's errors leave of Cramer's V.

    Args:
        table: columns table, before, after, expected, low, high.

    Returns:
        One panel: filled before, hollow after, bar where the middle 95 % of simulated
        classifications lie.
    """
    height = 0.9 + 0.5 * max(len(table), 1)
    figure, axes = plt.subplots(figsize=(style.WIDTH, height))
    for y, row in enumerate(table.to_dict("records")):
        axes.hlines(y, row["low"], row["high"], color=style.ORANGE, lw=5, alpha=0.55)
        axes.hlines(y, row["after"], row["before"], color="black", lw=1)
        axes.scatter(row["before"], y, color=style.BLUE, s=50, zorder=4)
        axes.scatter(row["after"], y, fc="white", ec=style.ORANGE, s=50, lw=1.6, zorder=5)
    named(axes, list(table["table"]))
    axes.set_xlim(-0.01, max(0.35, axes.get_xlim()[1]))
    axes.set(xlabel="Cramer's V")
    return figure


def differences(table: pd.DataFrame) -> Figure:
    """Share irregular or lobular, luminal minus other subtypes.

    Args:
        table: columns name, difference, low, high, smallest_detectable, in [-1, 1].

    Returns:
        One panel in percentage points; red ticks at the smallest difference that could have been
        seen, either way.
    """
    height = 0.9 + 0.5 * max(len(table), 1)
    figure, axes = plt.subplots(figsize=(style.WIDTH, height))
    axes.axvline(0, color="black", lw=1)
    for y, row in enumerate(table.to_dict("records")):
        axes.hlines(y, 100 * row["low"], 100 * row["high"], color=style.BLUE, lw=2)
        axes.scatter(100 * row["difference"], y, color=style.BLUE, s=45, zorder=4)
        ends = [-100 * row["smallest_detectable"], 100 * row["smallest_detectable"]]
        axes.scatter(ends, [y, y], marker="|", color=style.RED, s=180, lw=1.6)
    named(axes, list(table["name"]))
    axes.set(xlabel="irregular or lobular: luminal minus other subtypes, points")
    return figure
