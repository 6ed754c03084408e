"""Figures on shape classification: matrices, scores, curves, differences, cross tables."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, NullLocator

from mammostudy.figures import primitives as style

CLASS_COLOURS = style.SHAPE_COLOURS
CLASS_MARKERS = {"irregular": "X", "lobular": "D", "oval": "s", "round": "o"}
VARIANT_COLOURS = {"paper's CNN": style.BLUE, "study's CNN": style.ORANGE}
SHORT = {"accuracy": "accuracy", "macro_recall": "macro recall"}


def confusions(matrices: Mapping[str, pd.DataFrame]) -> Figure:
    """Confusion matrices in counts and by row.

    Args:
        matrices: counts by classifier (:func:`mammostudy.study.shape_tables.confusion`).

    Returns:
        A row of two heat maps a classifier, the first titled by accuracy, the second by the mean
        of the class recalls.
    """
    rows = max(1, len(matrices))
    size = (style.WIDTH, 3.3 * rows)
    figure, grid = plt.subplots(rows, 2, figsize=size, squeeze=False)
    for axes in grid.flat:
        axes.set_axis_off()
    for axes, (name, counts) in zip(grid, matrices.items(), strict=False):
        for each in axes:
            each.set_axis_on()
        shares = counts.div(counts.sum(axis=1).replace(0, np.nan), axis=0)
        right = np.array([counts.loc[label, label] for label in counts.index])
        total = max(int(counts.to_numpy().sum()), 1)
        recalls = [shares.loc[label, label] for label in counts.index]
        _heat(axes[0], counts, "d", f"{name}: accuracy {100 * right.sum() / total:.1f} %")
        _heat(axes[1], 100 * shares, ".0f", f"% of the row: mean {100 * np.nanmean(recalls):.1f} %")
        axes[1].set_ylabel("")
    return figure


def _heat(axes: Axes, table: pd.DataFrame, form: str, title: str) -> None:
    options: dict[str, Any] = {"annot": True, "cbar": False, "cmap": style.SEQUENTIAL}
    if form != "d":
        options |= {"vmin": 0, "vmax": 100}
    sns.heatmap(table, fmt=form, ax=axes, square=True, linewidths=0.5, **options)
    axes.set(xlabel="predicted shape", ylabel="true shape")
    axes.set_title(title, fontsize="small")
    axes.tick_params(axis="x", rotation=30)
    axes.tick_params(axis="y", rotation=0)


def recalls(table: pd.DataFrame) -> Figure:
    """Recall of each class with its 95 % interval over patients.

    Args:
        table: :func:`mammostudy.study.shapes.recall_table`.

    Returns:
        One panel, a group of points a class, a colour a classifier.
    """
    figure, axes = plt.subplots(figsize=style.WIDE)
    classes = list(dict.fromkeys(table["class"]))
    names = list(dict.fromkeys(table["row"]))
    for at, name in enumerate(names):
        part = table[table["row"] == name].dropna(subset=["recall"])
        y = [classes.index(each) + 0.22 * (at - (len(names) - 1) / 2) for each in part["class"]]
        colour = VARIANT_COLOURS.get(name, style.GREY)
        _intervals(axes, part["recall"], part["low"], part["high"], y, colour, name)
    labels = [f"{name}\n({_counts(table, name)})" for name in classes]
    axes.set_yticks(range(len(classes)), labels)
    axes.set(xlim=(-0.02, 1.02), ylim=(len(classes) - 0.5, -0.5), xlabel="recall")
    axes.yaxis.grid(visible=False)
    if names:
        figure.legend(loc="outside upper center", ncols=len(names), fontsize="small")
    return figure


def _counts(table: pd.DataFrame, name: str) -> str:
    row = table[table["class"] == name].iloc[0]
    return f"{int(row['masks'])} masks, {int(row['patients'])} patients"


def _intervals(
    axes: Axes, value: pd.Series, low: pd.Series, high: pd.Series, y: Any, colour: str, name: str
) -> None:
    """Draw points with intervals; one without an end has none."""
    reach = np.nan_to_num(np.array([value - low, high - value])).clip(min=0)
    options: dict[str, Any] = {"ms": 5, "elinewidth": 1.6, "label": name}
    axes.errorbar(value, y, xerr=reach, fmt="o", color=colour, **options)


def scores(summary: pd.DataFrame) -> Figure:
    """Accuracy and macro recall of every classifier with 95 % intervals over patients.

    Args:
        summary: :func:`mammostudy.study.shapes.summary`.

    Returns:
        Two panels, best macro recall on top; rings had not converged.
    """
    figure, panels = plt.subplots(1, 2, figsize=(style.WIDTH, 3.8), sharey=True)
    table = summary.sort_values("macro_recall", ascending=False) if len(summary) else summary
    names = list(table["row"]) if len(table) else []
    for axes, (metric, label) in zip(panels, SHORT.items(), strict=True):
        for y, row in enumerate(table.to_dict("records")):
            one = pd.DataFrame([row])
            colour = VARIANT_COLOURS.get(row["row"], style.GREY)
            ends = (one[metric], one[f"{metric}_low"], one[f"{metric}_high"])
            _intervals(axes, *ends, [y], colour, "")
            if row["converged"] == "no":
                axes.scatter(row[metric], y, s=90, fc="none", ec="black", lw=1)
        axes.set(xlim=(0, 1.02), xlabel=label)
        _name_rows(axes, names)
    return figure


def _name_rows(axes: Axes, names: Sequence[str]) -> None:
    axes.set_yticks(range(len(names)), names)
    axes.set_ylim(len(names) - 0.4, -0.6)
    axes.yaxis.grid(visible=False)


def curves(table: pd.DataFrame) -> Figure:
    """Training loss and validation macro recall by epoch, a line a fold.

    Args:
        table: :func:`mammostudy.study.shapes.curves`.

    Returns:
        Two panels; dashed lines on the left are the loss on validation masks.
    """
    figure, (left, right) = plt.subplots(1, 2, figsize=(style.WIDTH, 3.4))
    for (name, _), part in table.groupby(["row", "fold"], sort=False):
        line = part.sort_values("epoch")
        seen = line.dropna(subset=["validation_macro_recall"])
        options: dict[str, Any] = {"color": VARIANT_COLOURS.get(str(name), style.GREY), "lw": 1}
        options["marker"] = "." if len(line) < 3 else ""
        left.plot(line["epoch"], line["loss"], **options)
        left.plot(seen["epoch"], seen["validation_loss"], ls="--", alpha=0.7, **options)
        right.plot(seen["epoch"], seen["validation_macro_recall"], label=name, **options)
    left.set(xlabel="epoch", ylabel="weighted cross-entropy", yscale="log")
    left.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    left.yaxis.set_major_formatter("{x:g}")
    left.yaxis.set_minor_locator(NullLocator())
    right.set(xlabel="epoch", ylabel="macro recall, validation", ylim=(-0.02, 1.02))
    handles = dict(zip(*right.get_legend_handles_labels()[::-1], strict=True))
    if handles:
        figure.legend(
            handles.values(), handles, loc="outside lower center", ncols=2, fontsize="small"
        )
    return figure


def differences(table: pd.DataFrame, label: str) -> Figure:
    """Differences in accuracy and macro recall with 95 % intervals.

    Args:
        table: :func:`mammostudy.study.shapes.tests` or ``ablations``.
        label: what is subtracted from what.

    Returns:
        Two panels with a line at 0.
    """
    size = (style.WIDTH, 1.4 + 0.32 * max(3, len(table)))
    figure, panels = plt.subplots(1, 2, figsize=size, sharey=True)
    columns = (("difference", "low", "high"), ("macro", "macro_low", "macro_high"))
    for axes, names, title in zip(panels, columns, SHORT.values(), strict=True):
        axes.axvline(0, color="black", lw=1)
        if len(table):
            value, low, high = (table[name] for name in names)
            _intervals(axes, value, low, high, np.arange(len(table)), style.BLUE, "")
        axes.set_title(title)
        _name_rows(axes, list(table["b"]) if len(table) else [])
    figure.supxlabel(label, fontsize="small")
    return figure


def pairs(table: pd.DataFrame) -> Figure:
    """Accuracy and macro recall by what was trained on (rows) and tested on (columns).

    Args:
        table: :func:`mammostudy.study.shapes_sources.cross_table` or ``tool_table``.

    Returns:
        Two heat maps on one scale.
    """
    figure, panels = plt.subplots(1, 2, figsize=style.WIDE)
    for axes, (metric, label) in zip(panels, SHORT.items(), strict=True):
        wide = table.pivot(index="trained", columns="tested", values=metric)
        order = [list(dict.fromkeys(table[name])) for name in ("trained", "tested")]
        wide = 100 * wide.reindex(index=order[0], columns=order[1])
        options: dict[str, Any] = {"annot": True, "fmt": ".0f", "cbar": False, "vmin": 0}
        sns.heatmap(wide, ax=axes, cmap=style.SEQUENTIAL, vmax=100, linewidths=0.5, **options)
        axes.set(title=f"{label}, %", xlabel="tested on masks of", ylabel="trained on masks of")
        axes.tick_params(axis="x", rotation=20)
        axes.tick_params(axis="y", rotation=0)
    panels[1].set(ylabel="", yticklabels=[])
    return figure
