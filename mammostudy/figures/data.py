"""Figures of the data and their pre-processing."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib.figure import Figure
from numpy.typing import NDArray

from mammostudy.figures import primitives as style


def counts(table: pd.DataFrame) -> Figure:
    """Masses and patients by each column of the manifest.

    Args:
        table: :func:`mammostudy.study.data.counts_table`.
    """
    groups = list(table.groupby("by", sort=False))
    rows = -(-len(groups) // 3)
    figure, axes = plt.subplots(rows, 3, figsize=(style.WIDTH, 1.9 * rows + 0.3), squeeze=False)
    for cell in axes.flat[len(groups) :]:
        cell.set_visible(False)
    for cell, (name, part) in zip(axes.flat, groups, strict=False):
        long = part.melt("value", ["masses", "patients"], "what", "count")
        sns.barplot(
            long,
            y="value",
            x="count",
            hue="what",
            palette=[style.BLUE, style.ORANGE],
            ax=cell,
            legend=cell is axes.flat[0],
        )
        cell.set(title=name, xlabel="number", ylabel="")
    axes.flat[0].legend(title=None, fontsize="x-small")
    return figure


def sizes(histogram: pd.DataFrame, median: float) -> Figure:
    """Diameters of the masses.

    Args:
        histogram: :func:`mammostudy.study.data.size_histogram`.
        median: of the diameters, % of the longer side.
    """
    figure, axes = plt.subplots(figsize=style.WIDE)
    axes.bar(
        histogram["low"],
        histogram["masses"],
        width=histogram["high"] - histogram["low"],
        align="edge",
        color=style.BLUE,
        edgecolor="white",
    )
    axes.axvline(median, color="black", ls="--", lw=1, label=f"median {median:.1f} %")
    axes.set(xlabel="diameter of the disc of equal area, % of the longer side", ylabel="masses")
    axes.legend()
    return figure


def splits(table: pd.DataFrame) -> Figure:
    """What the parts of each fold are made of: shares of masses by stratum.

    Args:
        table: :func:`mammostudy.study.data.split_table`.
    """
    strata = [str(name) for name in table.columns if str(name).endswith(", %")]
    folds = list(table.groupby("fold"))
    figure, axes = plt.subplots(
        1, len(folds), figsize=(style.WIDTH, 2.6), sharey=True, squeeze=False
    )
    for cell, (fold, part) in zip(axes[0], folds, strict=True):
        left = np.zeros(len(part))
        where = np.arange(len(part))
        for name, colour in zip(strata, style.PALETTE, strict=False):
            share = part[name].to_numpy(float)
            cell.barh(where, share, left=left, color=colour, label=name.removesuffix(", %"))
            left = left + share
        for y, row in zip(where, part.to_dict("records"), strict=True):
            said = f"{row['masses']} masses, {row['patients']} patients"
            cell.text(2, y, said, color="white", va="center", fontsize="x-small")
        cell.set(title=f"fold {fold}", xlabel="masses, %", xlim=(0, 100))
        cell.set_yticks(where, part["part"])
    axes[0][0].invert_yaxis()
    handles, names = axes[0][0].get_legend_handles_labels()
    figure.legend(handles, names, loc="outside lower center", ncols=4, fontsize="small")
    return figure


def steps(pictures: Mapping[str, NDArray[Any]], greys: pd.DataFrame) -> Figure:
    """Each pre-processing step on the typical mass, above the mean grey-value histogram after it.

    Args:
        pictures: :func:`mammostudy.study.data.steps_of`; empty draws the histograms alone.
        greys: :func:`mammostudy.study.data.grey_table`.
    """
    names = list(greys["step"].unique())
    rows = 2 if pictures else 1
    figure, axes = plt.subplots(
        rows, len(names), figsize=(style.WIDTH, 1.8 * rows + 0.4), squeeze=False, sharey="row"
    )
    for column, name in enumerate(names):
        if pictures:
            style.picture_axes(axes[0][column]).imshow(pictures[name], vmin=0, vmax=1)
        part = greys[greys["step"] == name]
        cell = axes[-1][column]
        cell.fill_between(part["value"], part["share"], step="mid", color=style.BLUE, alpha=0.7)
        cell.set(xlabel="grey value", xlim=(0, 1), ylim=(0, None))
        axes[0][column].set_title(name, fontsize="small")
    axes[-1][0].set_ylabel("pixels, %")
    return figure


def ablation(summary: pd.DataFrame) -> Figure:
    """Mean Dice by row of an ablation, with 95 % intervals over patients.

    Args:
        summary: :func:`mammostudy.study.data.ablation_table`.
    """
    names = {"dice": "in the frame", "dice_image": "in the image's grid"}
    figure, axes = plt.subplots(figsize=style.WIDE)
    rows = list(summary["row"].unique())
    for shift, (metric, colour) in zip((-0.12, 0.12), _coloured(names), strict=True):
        part = summary[summary["metric"] == metric].set_index("row").loc[rows]
        axes.errorbar(
            part["mean"],
            np.arange(len(rows)) + shift,
            xerr=[part["mean"] - part["low"], part["high"] - part["mean"]],
            fmt="o",
            color=colour,
            capsize=3,
            label=names[metric],
        )
    axes.set_yticks(range(len(rows)), rows)
    axes.set_ylim(len(rows) - 0.5, -0.5)
    axes.set_xlabel("Dice on the test part, mean and 95 % interval over patients")
    figure.legend(loc="outside upper center", ncols=2, fontsize="small")
    return figure


def _coloured(names: Mapping[str, str]) -> list[tuple[str, str]]:
    """Pair metrics with the colours they keep on a page."""
    return list(zip(names, (style.BLUE, style.ORANGE), strict=True))
