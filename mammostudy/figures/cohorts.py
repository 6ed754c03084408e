"""Figures of the data sheets: shapes by data set, sizes and grey values of cohorts, a real film."""

from __future__ import annotations

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from mammostudy.figures import primitives as style


def shapes(table: pd.DataFrame) -> Figure:
    """Shares of the four shapes by data set; pale bars are counts that were not confirmed here.

    Args:
        table: :func:`mammostudy.study.cohorts.shapes_table`.
    """
    names = list(table["data set"].unique())
    figure, axes = plt.subplots(figsize=(style.WIDTH, 0.45 * len(names) + 1.2))
    for at, name in enumerate(names):
        part = table[table["data set"] == name].set_index("shape")
        left = 0.0
        for shape, colour in style.SHAPE_COLOURS.items():
            if shape not in part.index:
                continue
            share = float(part.loc[shape, "share"])
            alpha = 1.0 if part["confirmed"].all() else 0.45
            axes.barh(at, share, left=left, color=colour, alpha=alpha, edgecolor="white")
            axes.text(
                left + share / 2,
                at,
                f"{part.loc[shape, 'masses']:,}",
                ha="center",
                va="center",
                color="white" if alpha == 1 else "black",
                fontsize="x-small",
            )
            left += share
    axes.set_yticks(range(len(names)), names)
    axes.set_ylim(len(names) - 0.5, -0.5)
    axes.set(xlim=(0, 100), xlabel="masses, %")
    handles = [Rectangle((0, 0), 1, 1, color=c) for c in style.SHAPE_COLOURS.values()]
    figure.legend(
        handles, list(style.SHAPE_COLOURS), loc="outside upper center", ncols=4, fontsize="small"
    )
    return figure


def fingerprints(sizes: pd.DataFrame, greys: pd.DataFrame) -> Figure:
    """Diameters of masses and grey values of breasts, a line a cohort.

    Args:
        sizes: :func:`mammostudy.study.fingerprint_tables.sizes`.
        greys: :func:`mammostudy.study.fingerprint_tables.greys`.
    """
    figure, (left, right) = plt.subplots(1, 2, figsize=style.WIDE)
    names = list(sizes["cohort"].unique())
    for name, colour in zip(names, style.PALETTE, strict=False):
        part = sizes[sizes["cohort"] == name]
        edges = np.append(part["low"].to_numpy(float), part["high"].to_numpy(float)[-1])
        width = np.diff(edges)
        left.stairs(part["share"].to_numpy(float) / width, edges, color=colour, lw=1.6, label=name)
        grey = greys[greys["cohort"] == name]
        right.plot(grey["percentile"], grey["value"], "o-", color=colour, ms=4)
    left.set(xlabel="diameter, % of the longer side", ylabel="masses, % for each %")
    right.set(xlabel="percentile of the breast's pixels", ylabel="grey value", ylim=(0, 1))
    figure.legend(loc="outside upper center", ncols=len(names), fontsize="small")
    return figure


def greys(table: pd.DataFrame) -> Figure:
    """Histograms of one film's grey values along the way.

    Args:
        table: :func:`mammostudy.study.real_mammogram.histograms`.
    """
    names = list(table["image"].unique())
    figure, grid = plt.subplots(
        1, len(names), figsize=(style.WIDTH, 2.3), squeeze=False, sharey=True
    )
    for axes, name in zip(grid[0], names, strict=True):
        part = table[table["image"] == name]
        axes.fill_between(part["value"], part["share"], step="mid", color=style.BLUE, alpha=0.7)
        axes.set(title=name, xlabel="share of the range", xlim=(0, 1), yscale="log")
    grid[0][0].set_ylabel("pixels, %")
    return figure
