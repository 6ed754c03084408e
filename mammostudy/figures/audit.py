"""Figures of the audit of the paper."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from mammostudy.figures import primitives as style

_MARKERS = {"private": "o", "INbreast": "D"}


def overlap_bound(pairs: pd.DataFrame) -> Figure:
    """Printed Dice against printed IoU, and how far each pair is from the convexity bound.

    Two panels; rings mark the pairs that break the bound.
    """
    figure, (left, right) = plt.subplots(1, 2, figsize=(style.WIDTH, 3.6))
    curve = pairs.sort_values("dice")
    left.plot(curve["dice"], curve["bound"], color="black", lw=1, label="least IoU, D/(2 - D)")
    right.axhline(0, color="black", lw=1)
    broken = pairs[pairs["status"] == "broken"]
    for axes, column in ((left, "iou"), (right, "gap")):
        sns.scatterplot(
            pairs,
            x="dice",
            y=column,
            hue="framing",
            style="dataset",
            markers=_MARKERS,
            palette=style.FRAMING_COLOURS,
            s=28,
            ax=axes,
            legend=axes is left,
        )
        axes.scatter(
            broken["dice"],
            broken[column],
            s=110,
            facecolors="none",
            edgecolors=style.RED,
            label="breaks the bound",
        )
        axes.set_xlabel("printed Dice, %")
    left.legend(fontsize="x-small")
    left.set_ylabel("printed IoU, %")
    right.set_ylabel("IoU minus the bound, points")
    right.set_yscale("symlog", linthresh=0.5)
    right.set_yticks([-2, -0.5, 0, 0.5, 2, 10], ["-2", "-0.5", "0", "0.5", "2", "10"])
    _name_the_proposed(right, broken)
    return figure


def _name_the_proposed(axes: Axes, broken: pd.DataFrame) -> None:
    for row in broken[broken["model"] == "proposed cGAN"].to_dict("records"):
        text = f"proposed, {row['framing']}"
        axes.annotate(
            text,
            (row["dice"], row["gap"]),
            xytext=(-10, -3),
            ha="right",
            textcoords="offset points",
            fontsize="x-small",
        )


def confusion(matrix: pd.DataFrame, shares: pd.DataFrame, accuracy: float, macro: float) -> Figure:
    """The published confusion matrix, in counts and by row.

    Two heat maps, the first named by the accuracy, the second by the mean recall.
    """
    figure, axes = plt.subplots(1, 2, figsize=(style.WIDTH, 3.4))
    options: dict[str, Any] = {
        "annot": True,
        "cbar": False,
        "cmap": style.SEQUENTIAL,
        "square": True,
        "linewidths": 0.5,
    }
    sns.heatmap(matrix, fmt="d", ax=axes[0], **options)
    sns.heatmap(100 * shares, fmt=".0f", ax=axes[1], vmin=0, vmax=100, **options)
    axes[0].set_title(f"masses: accuracy {accuracy:.1f} %")
    axes[1].set_title(f"% of the row: mean recall {macro:.1f} %")
    for each in axes:
        each.set(xlabel="predicted shape", ylabel="true shape")
        each.tick_params(axis="x", rotation=30)
        each.tick_params(axis="y", rotation=0)
    axes[1].set_ylabel("")
    return figure


def box_plots(plots: pd.DataFrame, means: pd.DataFrame) -> Figure:
    """The published box plots redrawn from their quartiles, with the printed mean of each run.

    One row a model; whiskers are left out, they were not read.
    """
    figure, axes = plt.subplots(figsize=(style.WIDTH, 3.6))
    boxes = [
        {
            "label": r["model"],
            "whislo": 100 * r["q1"],
            "q1": 100 * r["q1"],
            "q3": 100 * r["q3"],
            "med": 100 * r["median"],
            "whishi": 100 * r["q3"],
            "fliers": [100 * value for value in r["outliers"]],
        }
        for r in plots.to_dict("records")
    ]
    axes.bxp(
        boxes,
        orientation="horizontal",
        widths=0.5,
        showcaps=False,
        patch_artist=True,
        boxprops={"facecolor": style.CYAN, "alpha": 0.5},
        medianprops={"color": style.BLUE, "lw": 2},
        flierprops={"marker": ".", "markeredgecolor": style.GREY},
    )
    rows = np.arange(1, len(means) + 1)
    axes.scatter(
        means["largest_mean"],
        rows,
        marker="|",
        s=260,
        color="black",
        zorder=4,
        label="largest mean the box plot allows",
    )
    axes.scatter(
        means["printed"], rows, marker="D", s=34, color=style.RED, zorder=5, label="printed mean"
    )
    for y, row in zip(rows, means.to_dict("records"), strict=True):
        if row["impossible"]:
            axes.annotate(
                f"{row['printed']:.2f}",
                (row["printed"], y),
                xytext=(4, 13),
                textcoords="offset points",
                color=style.RED,
            )
    axes.invert_yaxis()
    axes.set_xlabel("Dice, % (INbreast, loose frames)")
    axes.legend(loc="upper left", fontsize="small")
    return figure


def class_weights(weights: pd.DataFrame) -> Figure:
    """Masses a class, the published weights beside balancing ones, and the pull that results.

    Three panels of bars.
    """
    figure, axes = plt.subplots(1, 3, figsize=style.WIDE)
    sns.barplot(weights, x="shape", y="masses", color=style.GREY, ax=axes[0])
    axes[0].set_title("masses")
    long = weights.melt("shape", ["weight", "balanced"], "weights", "value")
    long["weights"] = long["weights"].map({"weight": "published, 1 - n/N", "balanced": "N/(4n)"})
    sns.barplot(long, x="shape", y="value", hue="weights", ax=axes[1])
    axes[1].set_title("weight in the loss")
    axes[1].legend(fontsize="small", title=None)
    sns.barplot(
        weights.assign(pull=100 * weights["pull"]),
        x="shape",
        y="pull",
        ax=axes[2],
        color=style.BLUE,
    )
    axes[2].axhline(100 / len(weights), color="black", ls="--", lw=1)
    axes[2].set_title("masses x weight, %")
    for each in axes:
        each.set(xlabel="", ylabel="")
        each.tick_params(axis="x", rotation=40)
    return figure


def uniform_costs(costs: pd.DataFrame) -> Figure:
    """What the Dice loss charges for one grey value everywhere, on either range.

    One panel, cost against output, cut at 10.
    """
    figure, axes = plt.subplots(figsize=style.WIDE)
    for (name, part), colour in zip(costs.groupby("range"), (style.RED, style.BLUE), strict=True):
        cost = part["cost"].where(part["cost"].abs() < 30)
        axes.plot(part["output"], cost, color=colour, label=f"Dice taken on {name}")
    axes.axhline(0, color="black", lw=1, ls="--", label="a perfect mask on [0, 1]")
    axes.set(ylim=(-10, 10), xlabel="output of the tanh, the same everywhere", ylabel="Dice loss")
    axes.legend(fontsize="small")
    return figure


def same_mask(masks: Mapping[tuple[str, str], NDArray[np.bool_]]) -> Figure:
    """A round and an oval mass, before and after their frames become 64 x 64 squares.

    Two rows (round, oval) of three pictures.
    """
    titles = {
        "image": "in the mammogram",
        "stretch": "each axis resized (published)",
        "square": "square frame",
    }
    figure, axes = plt.subplots(2, 3, figsize=(style.WIDTH, 4.6))
    for row, shape in zip(axes, ("round", "oval"), strict=True):
        for cell, (aspect, title) in zip(row, titles.items(), strict=True):
            cell.imshow(masks[shape, aspect], interpolation="nearest")
            style.picture_axes(cell, title if shape == "round" else "")
        row[0].set_ylabel(shape)
    return figure
