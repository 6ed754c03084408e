"""Figures on detection: FROC and precision curves, scores, sizes, cost."""

from __future__ import annotations

from collections.abc import Mapping
from textwrap import fill
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, NullLocator

from mammostudy.figures import primitives as style

COLOURS = {
    "SSD, light trunk": style.BLUE,
    "SSD300, VGG16": style.CYAN,
    "SSD300, batch norm": style.PINK,
    "SSDlite, MobileNetV3": style.GREEN,
    "Faster R-CNN": style.RED,
    "RetinaNet": style.ORANGE,
    "FCOS": style.PURPLE,
    "RT-DETR": style.BROWN,
    "fixed prior box": "black",
}
OUTCOME_COLOURS = {"hit": style.BLUE, "repeat": style.GREY, "false": style.ORANGE}
RATES = (0.125, 0.25, 0.5, 1, 2, 4, 8)
RATE_LABELS = ("1/8", "1/4", "1/2", "1", "2", "4", "8")
MARKERS = ("o", "s", "D", "^", "v", "P", "X", "*")


def froc(
    panels: Mapping[str, pd.DataFrame], points: pd.DataFrame | None = None, *, band: bool = True
) -> Figure:
    """Sensitivity against false positives a view, a curve a detector.

    Args:
        panels: title -> :func:`mammostudy.study.detection_details.bands`.
        points: where the thresholds chosen on validation land (``operating_points``).
        band: draw the intervals of the detectors.

    Returns:
        A panel a title on one scale. Dotted beyond the last rate that a detector reaches; the
        prior box is a ring at its only operating point.
    """
    height = 4.2 if len(panels) == 1 else 3.9
    figure, axes = plt.subplots(
        1, max(1, len(panels)), figsize=(style.WIDTH, height), squeeze=False, sharey=True
    )
    for cell, (title, table) in zip(axes.flat, panels.items(), strict=False):
        for name, part in table.groupby("row", sort=False):
            _curve(cell, part, str(name), band)
        if points is not None:
            for row in points.to_dict("records"):
                cell.scatter(row["rate"], row["sensitivity"], **_marker(row["row"]))
        cell.axvline(1, color="black", lw=0.8, ls=":")
        cell.set(xscale="log", xlim=(1 / 32, 8), ylim=(-0.02, 1.02))
        cell.set(
            xlabel="false positives a view", ylabel="sensitivity" if cell is axes[0, 0] else ""
        )
        cell.set_xticks(RATES, RATE_LABELS)
        cell.xaxis.set_minor_locator(NullLocator())
        if len(panels) > 1:
            cell.set_title(title)
    _legend(figure, axes.flat[:])
    return figure


def _marker(name: str) -> dict[str, Any]:
    return {"color": COLOURS.get(name, style.GREY), "s": 42, "zorder": 5, "ec": "white", "lw": 0.8}


def _curve(axes: Axes, part: pd.DataFrame, name: str, band: bool) -> None:
    colour = COLOURS.get(name, style.GREY)
    if part["single"].any():
        first = part.iloc[0]
        reach = [[first["sensitivity"] - first["low"]], [first["high"] - first["sensitivity"]]]
        axes.errorbar(
            first["rate"], first["sensitivity"], yerr=np.nan_to_num(reach), fmt="o", mfc="white",
            color=colour, ms=6, elinewidth=1.2, label=name, zorder=4,
        )  # fmt: skip
        axes.plot(part["rate"], part["sensitivity"], color=colour, lw=1, ls=":")
        return
    there, beyond = part[part["reached"]], part[~part["reached"]]
    axes.plot(there["rate"], there["sensitivity"], color=colour, label=name, drawstyle="steps-post")
    if len(beyond):
        both = pd.concat([there.tail(1), beyond])
        axes.plot(both["rate"], both["sensitivity"], color=colour, ls=":")
    if band:
        axes.fill_between(part["rate"], part["low"], part["high"], color=colour, alpha=0.15, lw=0)


def _legend(figure: Figure, cells: Any) -> None:
    """One key below all panels; each name once."""
    handles: dict[str, Any] = {}
    for cell in cells:
        handles |= dict(zip(*cell.get_legend_handles_labels()[::-1], strict=True))
    if handles:
        names, columns = list(handles), min(4, len(handles))
        lines = list(handles.values())
        figure.legend(lines, names, loc="outside lower center", ncols=columns, fontsize="small")


def precision_recall(panels: Mapping[str, pd.DataFrame]) -> Figure:
    """Precision against recall at an IoU of 0.5.

    Args:
        panels: title -> :func:`mammostudy.study.detection_details.precision_curves`.

    Returns:
        A panel a title; the prior box is a ring.
    """
    figure, axes = plt.subplots(
        1, max(1, len(panels)), figsize=(style.WIDTH, 3.8), squeeze=False, sharey=True
    )
    for cell, (title, table) in zip(axes.flat, panels.items(), strict=False):
        for name, part in table.groupby("row", sort=False):
            options = {"color": COLOURS.get(str(name), style.GREY), "label": name}
            if len(part) == 1:
                cell.plot(part["recall"], part["precision"], "o", mfc="white", ms=6, **options)
            else:
                cell.plot(part["recall"], part["precision"], drawstyle="steps-post", **options)
        cell.set(xlim=(-0.02, 1.02), ylim=(-0.02, 1.02), xlabel="recall", title=title)
        cell.set_ylabel("precision" if cell is axes[0, 0] else "")
    _legend(figure, axes.flat[:])
    return figure


def scores(table: pd.DataFrame, thresholds: Mapping[int, float]) -> Figure:
    """How high hits, repeats and false positives are scored.

    Args:
        table: :func:`mammostudy.study.detection_details.score_rows`.
        thresholds: operating threshold of each fold, drawn as lines.

    Returns:
        Two panels: all boxes by outcome, and the false ones by whether their view has a mass; the
        counts on a logarithmic scale.
    """
    figure, (left, right) = plt.subplots(1, 2, figsize=(style.WIDTH, 3.5), sharey=True)
    edges = np.linspace(0, 1, 21)
    for name, colour in OUTCOME_COLOURS.items():
        values = table.loc[table["outcome"] == name, "score"]
        label = f"{name} ({len(values):,})"
        left.hist(values, edges, histtype="step", lw=1.6, color=colour, label=label)
    false = table[table["outcome"] == "false"]
    for free, label, colour in (
        (False, "false, view with a mass", style.RED),
        (True, "false, mass-free view", style.GREEN),
    ):
        values = false.loc[false["mass_free"] == free, "score"]
        text = f"{label} ({len(values):,})"
        right.hist(values, edges, histtype="step", lw=1.6, color=colour, label=text)
    for axes in (left, right):
        for value in thresholds.values():
            if np.isfinite(value):
                axes.axvline(value, color="black", lw=0.8, ls=":")
        axes.set(xlabel="score", yscale="log", xlim=(0, 1))
        axes.legend(fontsize="x-small", loc="upper right")
    left.set_ylabel("boxes")
    return figure


def reliability(table: pd.DataFrame) -> Figure:
    """Score against the share of boxes that are a mass.

    Args:
        table: :func:`mammostudy.study.detection_details.reliability`.

    Returns:
        One panel; each point says how many boxes it stands for.
    """
    figure, axes = plt.subplots(figsize=(style.WIDTH * 0.62, 3.8))
    axes.plot([0, 1], [0, 1], color="black", lw=0.8, ls=":")
    if len(table):
        share = table["share"]
        reach = np.array([share - table["share_low"], table["share_high"] - share]).clip(min=0)
        axes.errorbar(table["score"], share, yerr=reach, fmt="o-", color=style.BLUE, ms=5, lw=1)
        before, raised = (-1.0, -1.0), 0
        for row in table.to_dict("records"):
            place = (row["score"], row["share_high"])
            near = place[0] - before[0] < 0.09 and abs(place[1] - before[1]) < 0.09
            raised = raised + 10 if near else 0
            axes.annotate(
                f"{int(row['boxes']):,}", place, (0, 3 + raised), textcoords="offset points",
                ha="center", fontsize="x-small",
            )  # fmt: skip
            before = place
    axes.set(xlim=(-0.02, 1.02), ylim=(-0.02, 1.08), ylabel="share that are a mass")
    axes.set_xlabel("score (mean of the bin)")
    return figure


def differences(table: pd.DataFrame, measures: Mapping[str, str], label: str) -> Figure:
    """Differences in several measures with 95 % intervals over patients.

    Args:
        table: :func:`mammostudy.study.detection_comparison.differences` or ``against_prior``.
        measures: column -> heading.
        label: what is subtracted from what.

    Returns:
        A panel a measure with a line at 0; rings had not converged.
    """
    names = [_named(row) for row in table.to_dict("records")]
    size = (style.WIDTH, 1.6 + 0.36 * max(3, len(names)))
    figure, panels = plt.subplots(1, len(measures), figsize=size, sharey=True, squeeze=False)
    y = np.arange(len(names))
    for axes, (name, title) in zip(panels.flat, measures.items(), strict=True):
        axes.axvline(0, color="black", lw=1)
        if len(table):
            value, low, high = (table[f"{name}{end}"] for end in ("", "_low", "_high"))
            reach = np.nan_to_num(np.array([value - low, high - value])).clip(min=0)
            axes.errorbar(value, y, xerr=reach, fmt="o", color=style.BLUE, ms=5, elinewidth=1.6)
            open_ = ~table["converged"].isin(["yes"]).to_numpy()
            axes.scatter(value[open_], y[open_], s=90, fc="none", ec="black", lw=1)
        axes.set_title(fill(title, 18), fontsize="small")
        axes.set_yticks(y, [fill(each, 30) for each in names])
        axes.set_ylim(len(names) - 0.4, -0.6)
        axes.yaxis.grid(visible=False)
    figure.supxlabel(label, fontsize="small")
    return figure


def _named(row: Mapping[Any, Any]) -> str:
    return f"{row['row']} ({row['group']})" if "group" in row else str(row["row"])


def sizes(table: pd.DataFrame) -> Figure:
    """Sensitivity of small, medium and large masses over rates.

    Args:
        table: :func:`mammostudy.study.detection_details.sizes`.

    Returns:
        One panel, a line a size.
    """
    figure, axes = plt.subplots(figsize=style.WIDE)
    shades = (style.ORANGE, style.GREY, style.BLUE)
    for at, (size, part) in enumerate(table.groupby("size", sort=False)):
        line = part.dropna(subset=["rate", "sensitivity"])
        if line.empty:
            continue
        x = line["rate"].to_numpy() * 2 ** (0.06 * (at - 1))
        reach = np.array([line["sensitivity"] - line["low"], line["high"] - line["sensitivity"]])
        reach = np.nan_to_num(reach).clip(min=0)
        label = f"{size} ({int(line['masses'].iloc[0])} masses)"
        axes.errorbar(
            x, line["sensitivity"], yerr=reach, fmt="o-", ms=4, lw=1.2, color=shades[at],
            label=label,
        )  # fmt: skip
    labels = {"xlabel": "false positives a view", "ylabel": "sensitivity"}
    axes.set(xscale="log", ylim=(-0.02, 1.02), **labels)
    axes.set_xticks(RATES, RATE_LABELS)
    axes.xaxis.set_minor_locator(NullLocator())
    axes.legend(fontsize="small", loc="upper left")
    return figure


def cost(curves: pd.DataFrame, ends: pd.DataFrame) -> Figure:
    """What training time buys.

    Args:
        curves: :func:`mammostudy.study.detection_details.training`.
        ends: :func:`mammostudy.study.detection_details.costs`.

    Returns:
        Left, mean sensitivity on validation views while training; right, core-minutes against the
        sensitivity at 1 false positive a view on test views. Hollow: equal time; full: the longer
        budget.
    """
    figure, (left, right) = plt.subplots(1, 2, figsize=(style.WIDTH, 3.9))
    if len(curves):
        last = curves[curves["group"] == curves["group"].iloc[-1]]
        for name, part in last.groupby("row", sort=False):
            colour = COLOURS.get(str(name), style.GREY)
            left.plot(part["minutes"], part["sensitivity"], ".-", color=colour, label=name)
    left.set(xlabel="core-minutes", ylabel="mean sensitivity, validation", xscale="log")
    groups = list(dict.fromkeys(ends["group"])) if len(ends) else []
    for row in ends.to_dict("records"):
        colour, value = COLOURS.get(row["row"], style.GREY), row["at_one"]
        reach = [[value - row["at_one_low"]], [row["at_one_high"] - value]]
        fill = "white" if row["group"] == groups[0] and len(groups) > 1 else colour
        right.errorbar(
            row["minutes"], value, yerr=np.nan_to_num(reach).clip(min=0), fmt="o", color=colour,
            mfc=fill, ms=6, elinewidth=1.2, label=row["row"],
        )  # fmt: skip
    right.set(xlabel="core-minutes", ylabel="sensitivity at 1 false positive, test", xscale="log")
    for axes in (left, right):
        low, high = axes.get_xlim()
        axes.set(xlim=(0.8 * low, 1.25 * high), ylim=(-0.02, 1.02))
        axes.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
        axes.xaxis.set_major_formatter("{x:g}")
        axes.xaxis.set_minor_locator(NullLocator())
    _legend(figure, (left, right))
    return figure
