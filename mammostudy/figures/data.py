"""What is special to the figures on data: counts, splits, steps, shapes by data set, power."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.patches import Patch
from numpy.typing import NDArray

from mammostudy.evaluation.statistics import smallest_detectable
from mammostudy.figures import primitives as look


def counts(table: pd.DataFrame) -> Figure:
    """Masses and patients by each column of the manifest."""
    groups = list(table.groupby("by", sort=False))
    rows = -(-len(groups) // 3)
    figure, grid = plt.subplots(rows, 3, figsize=(look.WIDTH, 1.9 * rows + 0.3), squeeze=False)
    for axes in grid.flat[len(groups) :]:
        axes.set_visible(False)
    for axes, (name, part) in zip(grid.flat, groups, strict=False):
        bars = part.set_index("value")[["masses", "patients"]][::-1]
        bars.plot.barh(ax=axes, color=[look.BLUE, look.ORANGE], width=0.8, legend=False)
        axes.set(title=name, xlabel="number", ylabel="")
    grid.flat[0].legend(fontsize="x-small")
    return figure


def exclusions(table: pd.DataFrame) -> Figure | None:
    """A flow diagram: what is left after each rule, and to the right what the rule took."""
    if table.empty:
        return None
    rows = table.convert_dtypes().to_dict("records")[:-1]  # without the masses, the last that stay
    figure, axes = plt.subplots(figsize=(look.WIDTH, 0.75 * len(rows)))
    text: dict[str, Any] = {"ha": "center", "va": "center", "fontsize": "small", "zorder": 3}
    box: dict[str, Any] = {"boxstyle": "round,pad=0.4", "fc": "white", "lw": 1.4}
    arrow: dict[str, Any] = {"arrowstyle": "->", "color": "black", "shrinkB": 9}
    for at, row in enumerate(rows):
        left = "" if pd.isna(row["left"]) else f"{row['left']} regions, "
        if at == len(rows) - 1:
            left = f"{row['left']} masses, "
        said = f"{left}{row['images']} images, {row['patients']} patients"
        axes.text(0.25, -at, said, bbox=box | {"ec": look.BLUE}, **text)
        if at:
            took = "" if pd.isna(row["regions"]) else f"{row['regions']} regions: "
            named = text | {"ha": "left"}
            axes.text(0.6, 0.5 - at, took + row["leaves"], bbox=box | {"ec": look.ORANGE}, **named)
            for end, start in (((0.25, -at), (0.25, 1 - at)), ((0.6, 0.5 - at), (0.25, 0.5 - at))):
                axes.annotate("", end, start, arrowprops=arrow, zorder=1)
    axes.set(xlim=(0, 1), ylim=(0.5 - len(rows), 0.5))
    axes.set_axis_off()
    return figure


def sizes(content: Mapping[str, Any]) -> Figure:
    """The histogram of diameters of a fingerprint, % of the image's longer side."""
    edges = 100 * np.array(content["diameter_share"]["edges"], dtype=float)
    median = 100 * content["diameter_share"]["median"]
    figure, axes = plt.subplots(figsize=look.WIDE)
    axes.stairs(content["diameter_share"]["masses"], edges, fill=True, color=look.BLUE)
    axes.axvline(median, color="black", ls="--", lw=1, label=f"median {median:.1f} %")
    axes.set(xlabel="diameter of the disc of equal area, % of the longer side", ylabel="masses")
    axes.legend()
    return figure


def splits(table: pd.DataFrame) -> Figure:
    """What the parts of each fold are made of: shares of masses by stratum."""
    strata = [str(name) for name in table.columns if str(name).endswith(", %")]
    folds = list(table.groupby("fold"))
    size = (look.WIDTH, 2.6)
    figure, grid = plt.subplots(1, len(folds), figsize=size, sharey=True, squeeze=False)
    for axes, (fold, part) in zip(grid[0], folds, strict=True):
        left, where = np.zeros(len(part)), np.arange(len(part))
        for name, colour in zip(strata, look.PALETTE, strict=False):
            share = part[name].to_numpy(float)
            axes.barh(where, share, left=left, color=colour, label=name.removesuffix(", %"))
            left = left + share
        for y, row in zip(where, part.to_dict("records"), strict=True):
            said = f"{row['masses']} masses, {row['patients']} patients"
            axes.text(2, y, said, color="white", va="center", fontsize="x-small")
        axes.set(title=f"fold {fold}", xlabel="masses, %", xlim=(0, 100))
        axes.set_yticks(where, part["part"])
    grid[0][0].invert_yaxis()
    look.key_below(figure, grid[0][:1])
    return figure


def steps(pictures: Mapping[str, NDArray[Any]], greys: pd.DataFrame) -> Figure:
    """Each pre-processing step on the typical mass, above the mean grey histogram after it."""
    names = list(greys["step"].unique())
    rows = 2 if pictures else 1
    size = (look.WIDTH, 1.8 * rows + 0.4)
    figure, grid = plt.subplots(rows, len(names), figsize=size, squeeze=False, sharey="row")
    for column, name in enumerate(names):
        if pictures:
            look.picture_axes(grid[0][column]).imshow(pictures[name], vmin=0, vmax=1)
        part, axes = greys[greys["step"] == name], grid[-1][column]
        axes.fill_between(part["value"], part["share"], step="mid", color=look.BLUE, alpha=0.7)
        axes.set(xlabel="grey value", xlim=(0, 1), ylim=(0, None))
        grid[0][column].set_title(name, fontsize="small")
    grid[-1][0].set_ylabel("pixels, %")
    return figure


def shapes(table: pd.DataFrame) -> Figure:
    """Shares of the four shapes by data set; pale bars are counts that were not confirmed here."""
    names = list(table["data set"].unique())
    figure, axes = plt.subplots(figsize=(look.WIDTH, 0.45 * len(names) + 1.2))
    left = dict.fromkeys(names, 0.0)
    for shape, colour in look.SHAPE_COLOURS.items():
        for row in table[table["shape"] == shape].to_dict("records"):
            name, sure = row["data set"], row["confirmed"]
            paint: dict[str, Any] = {"color": colour, "alpha": 1.0 if sure else 0.45, "ec": "white"}
            bar = axes.barh(names.index(name), row["share"], left=left[name], **paint)
            text: dict[str, Any] = {"color": "white" if sure else "black", "fontsize": "x-small"}
            axes.bar_label(bar, [f"{row['masses']:,}"], label_type="center", **text)
            left[name] += row["share"]
    look.name_rows(axes, names)
    axes.set(xlim=(0, 100), xlabel="masses, %")
    handles = [Patch(color=colour, label=name) for name, colour in look.SHAPE_COLOURS.items()]
    figure.legend(handles=handles, loc="outside upper center", ncols=4, fontsize="small")
    return figure


def power(table: pd.DataFrame, patients: int) -> Figure:
    """The difference seen with 80 % power, in margins of each claim, by number of patients.

    A row a claim: name, sd (of a patient's mean difference), margin.
    """
    counts = pd.DataFrame({"patients": np.unique(np.geomspace(10, 5_000, 60).round())})
    curves = table[["name", "sd", "margin"]].merge(counts, how="cross")
    curves["seen"] = smallest_detectable(1.0) * curves["sd"] / np.sqrt(curves["patients"])
    curves["seen"] /= curves["margin"]
    figure, axes = plt.subplots(figsize=(look.WIDTH, 4.4))
    look.lines(axes, curves, "patients", "seen", by="name")
    axes.axhline(1, color="black", lw=1)
    axes.axvline(patients, color="black", lw=1, ls=":")
    for axis in (axes.xaxis, axes.yaxis):
        look.logarithmic(axis)
    axes.set_xlabel("patients")
    axes.set_ylabel("difference that is seen, in margins of the claim")
    look.key_below(figure, [axes], 3, "x-small")
    return figure
