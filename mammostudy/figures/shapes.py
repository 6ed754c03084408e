"""Figures on shapes: confusions, masks as a network sees them, ROC curves, subtype by shape."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.offsetbox import AnnotationBbox, OffsetImage
from numpy.typing import NDArray

from mammostudy.figures import primitives as style
from mammostudy.imaging.shape_masks import place_mask, shape_between

WALK = ("round", "oval", "lobular", "irregular")


def confusions(matrices: Mapping[str, pd.DataFrame]) -> Figure | None:
    """Confusion matrices in counts and by row, a row of two heat maps a classifier."""
    if not matrices:
        return None
    figure, grid = plt.subplots(
        len(matrices), 2, figsize=(style.WIDTH, 3.3 * len(matrices)), squeeze=False
    )
    for (left, right), (name, counts) in zip(grid, matrices.items(), strict=True):
        shares = 100 * counts.div(counts.sum(axis=1).replace(0, np.nan), axis=0)
        labels = list(counts.index)
        recall = np.diag(shares[labels])
        accuracy = 100 * np.diag(counts[labels]).sum() / max(counts.to_numpy().sum(), 1)
        look: dict[str, Any] = {"cbar": False, "square": True}
        style.heat(counts, "", left, "d", **look)
        style.heat(shares, "", right, ".0f", vmin=0, vmax=100, **look)
        left.set_title(f"{name}: accuracy {accuracy:.1f} %", fontsize="small")
        right.set_title(f"% of the row: mean {np.nanmean(recall):.1f} %", fontsize="small")
        for axes in (left, right):
            axes.set(xlabel="predicted shape", ylabel="true shape")
            axes.tick_params(axis="x", rotation=30)
        right.set_ylabel("")
    return figure


def crossed(table: pd.DataFrame) -> Figure | None:
    """Accuracy and macro recall in %, by what was learnt from (rows) and tested on (columns)."""
    if table.empty:
        return None
    figure, panels = plt.subplots(1, 2, figsize=style.WIDE)
    for axes, metric in zip(panels, ("accuracy", "macro recall"), strict=True):
        chosen = table[table["metric"] == metric]
        wide = 100 * chosen.pivot(index="trained", columns="tested", values="mean")
        wide = wide.reindex(chosen["trained"].unique())[list(chosen["tested"].unique())]
        style.heat(wide, "", axes, cbar=False, vmin=0, vmax=100)
        axes.set(title=f"{metric}, %", xlabel="tested on", ylabel="trained on")
        axes.tick_params(axis="x", rotation=20)
    panels[1].set(ylabel="", yticklabels=[])
    return figure


def walk(kept: Mapping[str, Any]) -> Figure | None:
    """Class probabilities from round to irregular, with the masks below (band: middle 80 %)."""
    if not kept:
        return None
    figure, (axes, strip) = plt.subplots(
        2, 1, figsize=style.SINGLE, sharex=True, height_ratios=(4, 1)
    )
    positions, chances = kept["between_positions"], kept["between_probabilities"].astype(float)
    low, high = np.percentile(chances, [10, 90], axis=0)
    for k, name in enumerate(kept["classes"]):
        line = pd.DataFrame({"at": positions, "p": chances.mean(axis=0)[:, k], "row": name})
        line = line.assign(low=low[:, k], high=high[:, k])
        look: dict[str, Any] = {"marker": "osDX"[WALK.index(name)], "ms": 4, "markevery": 3}
        style.lines(axes, line, "at", "p", colours=style.SHAPE_COLOURS, band=True, **look)
    axes.set(ylim=(-0.02, 1.02), ylabel="probability")
    axes.legend(ncols=len(kept["classes"]), loc="lower center", bbox_to_anchor=(0.5, 1.0))
    for at in np.linspace(0, 3, 7):
        _thumbnail(strip, place_mask(shape_between(float(at), 256), 64, kept["placement"]), at)
    strip.set(ylim=(0, 1), xlim=(-0.2, 3.2), yticks=[])
    strip.set_xticks(range(4), WALK)
    strip.grid(visible=False)
    return figure


def _thumbnail(axes: Axes, mask: NDArray[np.bool_], at: float) -> None:
    """Put a mask in black on axes, centred on an abscissa."""
    picture = np.zeros((*mask.shape, 4))
    picture[..., 3] = mask
    axes.add_artist(AnnotationBbox(OffsetImage(picture, zoom=0.8), (at, 0.5), frameon=False))


CURVE_COLOURS = style.SHAPE_COLOURS | {"macro": "black", "micro": style.GREY}
DASHES: dict[str, Any] = {"lobular": (0, (6, 1.5)), "oval": (0, (3, 1.5)), "round": "-."}
"""So that every class can be told without colour."""


def roc_curves(points: pd.DataFrame, rows: Sequence[str]) -> Figure:
    """The ROC curves of some classifiers, a square panel each."""
    size = (style.WIDTH, 4.3)
    figure, panels = plt.subplots(1, len(rows), figsize=size, sharey=True, squeeze=False)
    for axes, row in zip(panels[0], rows, strict=True):
        for name, line in points[points["row"] == row].groupby("curve", sort=False):
            look: dict[str, Any] = {"lw": 1.6, "ls": DASHES.get(str(name), "-"), "label": name}
            rates = line["false_positive"], line["true_positive"]
            axes.plot(*rates, color=CURVE_COLOURS[str(name)], **look)
        axes.plot([0, 1], [0, 1], color="black", lw=0.8, ls=":")
        axes.set(xlim=(-0.01, 1.01), ylim=(-0.01, 1.01), aspect="equal")
        axes.set(xlabel="1 - specificity", ylabel="sensitivity")
        axes.set_title(row, fontsize="small")
        axes.label_outer()
    style.key_below(figure, panels[0, :1], 6, "x-small")
    return figure


def reliability(table: pd.DataFrame) -> Figure | None:
    """Confidence against accuracy before and after temperature scaling, and the masks behind it."""
    names = list(dict.fromkeys(table["row"]))
    if not names:
        return None
    figure, (upper, lower) = plt.subplots(
        2, len(names), figsize=(style.WIDTH, 4.4), sharex=True, sharey="row",
        height_ratios=(3, 1), squeeze=False,
    )  # fmt: skip
    for axes, bars, name in zip(upper, lower, names, strict=True):
        axes.plot([0, 1], [0, 1], color="black", lw=0.8, ls=":")
        part = table[table["row"] == name]
        for (scaling, mine), colour in zip(
            part.groupby("scaling"), (style.BLUE, style.ORANGE), strict=True
        ):
            ends = mine["share"] - mine["share_low"], mine["share_high"] - mine["share"]
            look: dict[str, Any] = {"color": colour, "lw": 1}
            axes.errorbar(
                mine["mean"], mine["share"], yerr=[each.clip(lower=0) for each in ends],
                marker="o", ms=4, elinewidth=0.8, label=f"{scaling} scaling", **look,
            )  # fmt: skip
            edges = mine[["low", "high"]].to_numpy().ravel()
            bars.step(edges, np.repeat(mine["cases"], 2), **look)
        axes.set(xlim=(0, 1), ylim=(0, 1), aspect="equal", title=name, ylabel="accuracy")
        bars.set(xlabel="confidence", ylabel="masks", ylim=(0, None))
        for each in (axes, bars):
            each.label_outer()
            each.title.set_fontsize("small")
    style.key_below(figure, upper[:1], 2, "x-small")
    return figure


SUBTYPE_COLOURS = style.SHAPE_COLOURS | {"polygonal": style.BROWN, "round or oval": style.CYAN}
