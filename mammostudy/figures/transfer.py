"""Figures on what carries over from one kind of image to another."""

from __future__ import annotations

from collections.abc import Mapping

import matplotlib.pyplot as plt
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from mammostudy.figures import primitives as style

COLOURS = {"cdd-cesm": style.BLUE, "cdd-cesm-cm": style.ORANGE, "phantom": style.PURPLE}


def scores(summary: pd.DataFrame, titles: Mapping[str, str]) -> Figure:
    """Dice by what was learnt from, a panel a cohort tested on, with the ellipse beside it.

    Args:
        summary: :func:`mammostudy.study.transfer.table`.
        titles: names of the cohorts, by cohort.

    Returns:
        Two panels on one scale; filled: known boxes, hollow: jittered ones; a cross is the ellipse
        on the same masses.
    """
    figure, panels = plt.subplots(1, 2, figsize=(style.WIDTH, 3.4), sharex=True, sharey=True)
    names = list(COLOURS)
    for axes, away in zip(panels, ("cdd-cesm", "cdd-cesm-cm"), strict=True):
        for row in summary[summary["away"] == away].to_dict("records"):
            jittered = row["box"] == "jittered"
            y = names.index(row["home"]) + 0.3 * jittered
            colour = COLOURS[row["home"]]
            reach = [[max(row["mean"] - row["low"], 0)], [max(row["high"] - row["mean"], 0)]]
            face = "white" if jittered else colour
            axes.errorbar(
                row["mean"], y, xerr=reach, fmt="o", color=colour, mfc=face, ms=5, elinewidth=1.6
            )
            axes.scatter(row["ellipse"], y, marker="x", color=style.GREY, s=28, zorder=4)
        axes.set_title(f"tested on\n{titles[away]}", fontsize="small")
        axes.set(xlabel="Dice")
        _rows(axes, [f"trained on\n{titles[name]}" for name in names])
    return figure


def differences(tests: pd.DataFrame, titles: Mapping[str, str]) -> Figure:
    """Foreign training minus training on the cohort's own images, masses in common.

    Args:
        tests: :func:`mammostudy.study.transfer.comparisons`.
        titles: names of the cohorts, by cohort.
    """
    figure, axes = plt.subplots(figsize=style.WIDE)
    axes.axvline(0, color="black", lw=1)
    names = []
    for y, row in enumerate(tests.to_dict("records")):
        low, high = row["difference"] - row["low"], row["high"] - row["difference"]
        axes.errorbar(
            row["difference"],
            y,
            xerr=[[max(low, 0)], [max(high, 0)]],
            fmt="o",
            color=COLOURS[row["home"]],
            ms=5,
            elinewidth=1.6,
        )
        names.append(f"{titles[row['home']]}\non {titles[row['away']]}")
    axes.set(xlabel="difference in Dice, this training minus the tested images' own")
    _rows(axes, names)
    return figure


def _rows(axes: Axes, names: list[str]) -> None:
    axes.set_yticks(range(len(names)), names, fontsize="small")
    axes.set_ylim(len(names) - 0.3, -0.6)
    axes.yaxis.grid(visible=False)
