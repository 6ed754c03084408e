"""Figures of the post-processing ablation."""

from __future__ import annotations

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from mammostudy.figures import primitives as style


def orders(ranked: pd.DataFrame, published: str) -> Figure:
    """Gain of every order over no post-processing on test, best on validation first.

    Args:
        ranked: :func:`mammostudy.study.postprocessing.table`.
        published: name of the paper's order.

    Returns:
        One row an order; the first is what validation decided.
    """
    figure, axes = plt.subplots(figsize=style.TALL)
    where = np.arange(len(ranked))
    marked = {ranked["order"].iloc[0]: style.GREEN, published: style.ORANGE}
    for y, row in zip(where, ranked.to_dict("records"), strict=True):
        gain = 100 * row["gain"]
        ends = [[gain - 100 * row["low"]], [100 * row["high"] - gain]]
        colour = marked.get(row["order"], style.BLUE)
        axes.errorbar(gain, y, xerr=ends, fmt="o", color=colour, capsize=3)
    names = {"none": "none", published: f"{published} (published)"}
    labels = [names.get(name, name).replace("+", ", ") for name in ranked["order"]]
    axes.set_yticks(where, labels)
    axes.axvline(0, color="black", lw=1)
    axes.invert_yaxis()
    axes.set_xlabel("gain of Dice on the test part, points (95 % interval over patients)")
    return figure


def gains(table: pd.DataFrame, published: float) -> Figure:
    """What the published order gains in each framing, beside what was published.

    Args:
        table: :func:`mammostudy.study.postprocessing.published_gain`.
        published: the published gain, in points.

    Returns:
        One row a framing; Dice and IoU.
    """
    figure, axes = plt.subplots(figsize=style.WIDE)
    framings = list(table["framing"].unique())
    kinds = (("dice", "Dice", style.BLUE, -0.12), ("iou", "IoU", style.ORANGE, 0.12))
    for metric, label, colour, shift in kinds:
        part = table[table["metric"] == metric].set_index("framing").loc[framings]
        mean, low, high = (100 * part[name] for name in ("difference", "low", "high"))
        axes.errorbar(
            mean,
            np.arange(len(framings)) + shift,
            xerr=[mean - low, high - mean],
            fmt="o",
            color=colour,
            capsize=3,
            label=label,
        )
    axes.axvline(0, color="black", lw=1)
    axes.axvline(
        published, color=style.RED, ls="--", lw=1.2, label=f"published: about {published:+g} point"
    )
    axes.set_yticks(range(len(framings)), framings)
    axes.set_ylim(len(framings) - 0.5, -0.5)
    axes.set_xlabel("gain on the test part, points (95 % interval over patients)")
    figure.legend(loc="outside upper center", ncols=3, fontsize="small")
    return figure
