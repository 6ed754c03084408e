"""Figures of the audit of the paper."""

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


def overlap_bound(pairs: pd.DataFrame) -> Figure:
    """Printed Dice against printed IoU, and how far each pair is from the convexity bound."""
    figure, (left, right) = plt.subplots(1, 2, figsize=(style.WIDTH, 3.6))
    curve = pairs.sort_values("dice")
    left.plot(curve["dice"], curve["bound"], color="black", lw=1, label="least IoU, D/(2 - D)")
    right.axhline(0, color="black", lw=1)
    broken = pairs[pairs["status"] == "broken"]
    points: dict[str, Any] = {"hue": "framing", "style": "dataset", "s": 28}
    points |= {"markers": {"private": "o", "INbreast": "D"}, "palette": style.FRAMING_COLOURS}
    rings: dict[str, Any] = {"s": 110, "facecolors": "none", "edgecolors": style.RED}
    for axes, column in ((left, "iou"), (right, "gap")):
        sns.scatterplot(pairs, x="dice", y=column, ax=axes, legend=axes is left, **points)
        axes.scatter(broken["dice"], broken[column], label="breaks the bound", **rings)
        axes.set_xlabel("printed Dice, %")
    left.legend(fontsize="x-small")
    left.set_ylabel("printed IoU, %")
    right.set_ylabel("IoU minus the bound, points")
    right.set_yscale("symlog", linthresh=0.5)
    right.set_yticks([-2, -0.5, 0, 0.5, 2, 10], ["-2", "-0.5", "0", "0.5", "2", "10"])
    text: dict[str, Any] = {"textcoords": "offset points", "ha": "right", "fontsize": "x-small"}
    for row in broken[broken["model"] == "proposed cGAN"].to_dict("records"):
        at = row["dice"], row["gap"]
        right.annotate(f"proposed, {row['framing']}", at, xytext=(-10, -3), **text)
    return figure


def box_plots(plots: pd.DataFrame, means: pd.DataFrame) -> Figure:
    """The published box plots redrawn, without whiskers, and the printed mean of each run."""
    figure, axes = plt.subplots(figsize=(style.WIDTH, 3.6))
    for y, row in enumerate(plots.to_dict("records")):
        q1, median, q3 = (100 * row[name] for name in ("q1", "median", "q3"))
        axes.barh(y, q3 - q1, left=q1, height=0.5, color=style.CYAN, alpha=0.5, ec="black")
        axes.plot([median, median], [y - 0.25, y + 0.25], color=style.BLUE, lw=2)
        outliers = 100 * np.array(row["outliers"])
        axes.plot(outliers, np.full(len(outliers), y), ".", color=style.GREY)
    rows = np.arange(len(means))
    largest: dict[str, Any] = {"marker": "|", "s": 260, "color": "black", "zorder": 4}
    printed: dict[str, Any] = {"marker": "D", "s": 34, "color": style.RED, "zorder": 5}
    label = "largest mean the box plot allows"
    axes.scatter(means["largest_mean"], rows, label=label, **largest)
    axes.scatter(means["printed"], rows, label="printed mean", **printed)
    text: dict[str, Any] = {"textcoords": "offset points", "color": style.RED}
    for y, printed_mean in means.loc[means["impossible"], "printed"].items():
        axes.annotate(f"{printed_mean:.2f}", (printed_mean, y), xytext=(4, 13), **text)
    style.name_rows(axes, list(plots["model"]))
    axes.set_xlabel("Dice, % (INbreast, loose frames)")
    axes.legend(loc="upper left", fontsize="small")
    return figure


def class_weights(weights: pd.DataFrame) -> Figure:
    """Masses a class, the published weights beside balancing ones, and the pull that results."""
    figure, axes = plt.subplots(1, 3, figsize=style.WIDE)
    bars = weights.set_index("shape")
    names = {"weight": "published, 1 - n/N", "balanced": "N/(4n)"}
    bars["masses"].plot.bar(ax=axes[0], color=style.GREY, title="masses")
    bars[list(names)].rename(columns=names).plot.bar(ax=axes[1], title="weight in the loss")
    (100 * bars["pull"]).plot.bar(ax=axes[2], color=style.BLUE, title="masses x weight, %")
    axes[1].legend(fontsize="small")
    axes[2].axhline(100 / len(weights), color="black", ls="--", lw=1)
    for each in axes:
        each.set_xlabel("")
        each.tick_params(axis="x", rotation=40)
    return figure


def uniform_costs(costs: pd.DataFrame) -> Figure:
    """What the Dice loss charges for one grey value everywhere, on either range."""
    figure, axes = plt.subplots(figsize=style.WIDE)
    for (name, part), colour in zip(costs.groupby("range"), (style.RED, style.BLUE), strict=True):
        cost = part["cost"].where(part["cost"].abs() < 30)
        axes.plot(part["output"], cost, color=colour, label=f"Dice taken on {name}")
    axes.axhline(0, color="black", lw=1, ls="--", label="a perfect mask on [0, 1]")
    axes.set(ylim=(-10, 10), xlabel="output of the tanh, the same everywhere", ylabel="Dice loss")
    axes.legend(fontsize="small")
    return figure


def same_mask(masks: Mapping[tuple[str, str], NDArray[np.bool_]]) -> Figure:
    """A round and an oval mass, before and after their frames become 64 x 64 squares."""
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
