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
from matplotlib.patches import Patch
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
    """Class probabilities from round to irregular, with the masks below the axis.

    Lines are means over several irregular outlines, bands hold the middle 80 % of them.
    """
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


def occlusions(kept: Mapping[str, Any], columns: int = 4) -> Figure | None:
    """What each part of a mask is worth to the probability of its true class.

    Maps on one scale with the outline of the mask: red where a changed patch costs probability,
    blue where it gains some. None without the images.
    """
    if not kept or not kept["shown"]:
        return None
    rows = -(-len(kept["shown"]) // columns)
    figure, grid = plt.subplots(rows, columns, figsize=(style.WIDTH, 2.2 * rows), squeeze=False)
    maps = kept["occlusion_maps"].astype(float)
    reach = float(np.abs(maps).max()) or 1.0
    for cell in grid.flat:
        cell.set_axis_off()
    for cell, fall, (case, mask) in zip(grid.flat, maps, kept["shown"].items(), strict=False):
        cell.set_axis_on()
        picture = cell.imshow(fall, cmap="RdBu_r", vmin=-reach, vmax=reach)
        cell.contour(mask, levels=[0.5], colors="black", linewidths=1)
        style.picture_axes(cell)
        cell.set_title(kept["titles"][case], fontsize="x-small")
    figure.colorbar(picture, ax=grid, label="fall of probability", shrink=0.8)
    return figure


CURVE_COLOURS = style.SHAPE_COLOURS | {"macro": "black", "micro": style.GREY}
DASHES: dict[str, Any] = {"lobular": (0, (6, 1.5)), "oval": (0, (3, 1.5)), "round": "-."}
"""So that every class can be told without colour."""


def roc_curves(points: pd.DataFrame, published: pd.DataFrame, rows: Sequence[str]) -> Figure:
    """The ROC curves of some classifiers, a square panel each."""
    size = (style.WIDTH, 4.3)
    figure, panels = plt.subplots(1, len(rows), figsize=size, sharey=True, squeeze=False)
    for axes, row in zip(panels[0], rows, strict=True):
        for name, line in points[points["row"] == row].groupby("curve", sort=False):
            _curve(axes, line, str(name), lw=1.6, ls=DASHES.get(str(name), "-"))
        _roc_plane(axes, row)
    crosses = published.dropna()
    if set(crosses["curve"]) <= set(points["curve"]):
        colours = [CURVE_COLOURS[name] for name in crosses["curve"]]
        at = crosses["false_positive"], crosses["true_positive"]
        panels[0, 0].scatter(*at, c=colours, marker="X", s=55, ec="white", zorder=4)
    handles, names = panels[0, 0].get_legend_handles_labels()
    figure.legend(handles, names, loc="outside lower center", ncols=6, fontsize="x-small")
    return figure


def _curve(axes: Axes, line: pd.DataFrame, name: str, **look: Any) -> None:
    colour = CURVE_COLOURS[name]
    axes.plot(line["false_positive"], line["true_positive"], color=colour, label=name, **look)


def _roc_plane(axes: Axes, title: str) -> None:
    axes.plot([0, 1], [0, 1], color="black", lw=0.8, ls=":")
    axes.set(xlim=(-0.01, 1.01), ylim=(-0.01, 1.01), aspect="equal")
    axes.set(xlabel="1 - specificity", ylabel="sensitivity")
    axes.set_title(title, fontsize="small")
    axes.label_outer()


def roc_folds(each: pd.DataFrame, means: pd.DataFrame) -> Figure | None:
    """Every curve of a classifier, a panel each: its folds, their mean and standard deviation."""
    names = list(dict.fromkeys(means["curve"]))
    if not names:
        return None
    rows = -(-len(names) // 3)
    figure, grid = plt.subplots(rows, 3, figsize=(style.WIDTH, 2.6 * rows), squeeze=False)
    for axes in grid.flat[len(names) :]:
        axes.set_axis_off()
    for axes, name in zip(grid.flat, names, strict=False):
        for _, line in each[each["curve"] == name].groupby("fold"):
            _curve(axes, line, name, lw=0.6, alpha=0.8)
        mean = means[means["curve"] == name]
        ends = mean["false_positive"], mean["low"], mean["high"]
        axes.fill_between(*ends, color=CURVE_COLOURS[name], alpha=0.2, lw=0)
        _curve(axes, mean, name, lw=2)
        row = mean.iloc[0]
        area = f"AUC {row['auc']:.3f} ± {row['auc_sd']:.3f}"
        _roc_plane(axes, f"{name}, {row['curves']} folds\n{area}")
    return figure


def reliability(table: pd.DataFrame) -> Figure | None:
    """Confidence against accuracy before and after temperature scaling, and the masks behind it.

    A square panel a classifier, with the number of masks by confidence below it.
    """
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
            ends = mine["accuracy"] - mine["accuracy_low"], mine["accuracy_high"] - mine["accuracy"]
            look: dict[str, Any] = {"color": colour, "lw": 1}
            axes.errorbar(
                mine["confidence"], mine["accuracy"], yerr=[each.clip(lower=0) for each in ends],
                marker="o", ms=4, elinewidth=0.8, label=f"{scaling} scaling", **look,
            )  # fmt: skip
            edges = mine[["low", "high"]].to_numpy().ravel()
            bars.step(edges, np.repeat(mine["cases"], 2), **look)
        axes.set(xlim=(0, 1), ylim=(0, 1), aspect="equal", title=name, ylabel="accuracy")
        bars.set(xlabel="confidence", ylabel="masks", ylim=(0, None))
        for each in (axes, bars):
            each.label_outer()
            each.title.set_fontsize("small")
    handles, labels = upper[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=2, fontsize="x-small")
    return figure


SUBTYPE_COLOURS = style.SHAPE_COLOURS | {"polygonal": style.BROWN, "round or oval": style.CYAN}
_LEAST = 4.5  # % of a bar; a smaller piece holds no number


def _panels(count: int, height: float, **shared: Any) -> tuple[Figure, list[Axes]]:
    """Make panels side by side, more than three in two columns."""
    columns = 2 if count > 3 else count
    rows = -(-count // columns)
    size = (style.WIDTH, height * (0.85 * rows if rows > 1 else 1))
    figure, grid = plt.subplots(rows, columns, figsize=size, squeeze=False, **shared)
    for empty in grid.flat[count:]:
        empty.set_axis_off()
    return figure, list(grid.flat[:count])


def mosaics(tables: Mapping[str, pd.DataFrame]) -> Figure | None:
    """Shares of the shapes in each subtype, bars as wide as the subtype is common."""
    if not tables:
        return None
    figure, panels = _panels(len(tables), 4.0, sharey=True)
    for axes, (title, table) in zip(panels, tables.items(), strict=True):
        widths = table.sum(axis=1) / max(table.to_numpy().sum(), 1)
        left = (widths + 0.012).cumsum() - widths
        heights = 100 * table.div(table.sum(axis=1).replace(0, np.nan), axis=0).fillna(0)
        for shape in table.columns:
            colour = SUBTYPE_COLOURS[str(shape)]
            bottom = heights.loc[:, :shape].sum(axis=1) - heights[shape]
            bars = axes.bar(left, heights[shape], widths, bottom, align="edge", color=colour)
            numbers = [
                str(n) if h >= _LEAST else ""
                for n, h in zip(table[shape], heights[shape], strict=True)
            ]
            axes.bar_label(bars, numbers, label_type="center", fontsize="x-small", color="black")
        names = [f"{name} ({n})" for name, n in table.sum(axis=1).items()]
        axes.set_xticks(left + widths / 2, names, fontsize="x-small", rotation=50, ha="right")
        axes.set(ylim=(0, 100))
        axes.xaxis.grid(visible=False)
        axes.set_title(title, fontsize="small")
    panels[0].set_ylabel("% of the subtype")
    shown = {n: c for n, c in SUBTYPE_COLOURS.items() if any(n in t for t in tables.values())}
    handles = [Patch(color=colour, label=name) for name, colour in shown.items()]
    figure.legend(handles=handles, loc="outside lower center", ncols=6, fontsize="small")
    return figure


def residuals(tables: Mapping[str, pd.DataFrame]) -> Figure | None:
    """Adjusted residuals: how far each cell is from what the margins alone would give."""
    if not tables:
        return None
    figure, panels = _panels(len(tables), 3.3)
    for axes, (title, table) in zip(panels, tables.items(), strict=True):
        look: dict[str, Any] = {"cmap": "RdBu_r", "vmin": -5, "vmax": 5}
        style.heat(table, "adjusted residual", axes, "+.1f", **look)
        axes.set(xlabel="", ylabel="")
        axes.set_title(title, fontsize="small")
        axes.tick_params(axis="x", rotation=30)
    return figure


def power(curves: pd.DataFrame, found: pd.DataFrame, wanted: float = 0.8) -> Figure:
    """Power of the chi-square test over Cramer's V at the size of each table."""
    figure, axes = plt.subplots(figsize=style.WIDE)
    style.lines(axes, curves, "v", "power", "table")
    for smallest, colour in zip(found["smallest V"], style.PALETTE, strict=False):
        axes.vlines(smallest, 0, wanted, color=colour, ls=":", lw=1.4)
    axes.axhline(wanted, color="black", ls="--", lw=1)
    axes.set(xlabel="Cramer's V in the population", ylabel="power", ylim=(0, 1.03), xlim=(0, 0.42))
    axes.legend(fontsize="small", loc="lower right")
    return figure
