"""Figures on models: scores by framing, box plots, paired differences, cost, predictions."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

import matplotlib.pyplot as plt
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from matplotlib.ticker import LogLocator, NullFormatter, StrMethodFormatter
from numpy.typing import NDArray

from mammostudy.figures import primitives as style
from mammostudy.figures.primitives import AGREEMENT

PROPOSED = "proposed cGAN"
OWN = ("UNet-ResNet18 (not in the paper)", "best found here (not in the paper)")
BASELINES = ("all-mass", "ellipse", "otsu", "chan-vese")
SHORT = {name: name.partition(" (not")[0] for name in OWN}
LARGEST = 2.4
"""Side of a picture in a grid, at most, inches."""
MARGIN = 0.01
"""Half of the band in which differences do not matter, Dice."""


class Cell(Protocol):
    """What :func:`grid` draws (see :class:`mammostudy.study.segmenters_examples.Cell`)."""

    @property
    def line(self) -> str: ...  # noqa: D102
    @property
    def column(self) -> str: ...  # noqa: D102
    @property
    def picture(self) -> NDArray[Any] | None: ...  # noqa: D102
    @property
    def note(self) -> str: ...  # noqa: D102


def colour(row: str) -> str:
    """Return the colour of a row: the cGAN, the paper's alternatives, ours, baselines."""
    if row == PROPOSED:
        return style.BLUE
    if row in OWN:
        return style.GREEN
    return style.GREY if row in BASELINES else style.ORANGE


def scores(summary: pd.DataFrame) -> Figure:
    """Mean Dice of every row by framing, in the frame's and in the image's grid.

    Args:
        summary: :func:`mammostudy.study.segmenters.table`.

    Returns:
        Two panels; colours are framings, bars 95 % intervals, rings had not converged.
    """
    names = list(dict.fromkeys(summary["row"])) if len(summary) else []
    height = 1.2 + 0.36 * max(len(names), 3)
    figure, panels = plt.subplots(1, 2, figsize=(style.WIDTH, height), sharey=True)
    shifts = {"full": -0.22, "loose": 0.0, "tight": 0.22}
    titles = {"dice": "frame's grid", "dice_image": "image's grid"}
    for axes, (metric, title) in zip(panels, titles.items(), strict=True):
        part = summary[summary["metric"] == metric] if len(summary) else summary
        for row in part.to_dict("records"):
            framing = str(row["framing"])
            at = names.index(row["row"]) + shifts[framing]
            _interval(axes, at, row, style.FRAMING_COLOURS[framing])
        axes.set(xlim=(0, 1), xlabel="Dice", title=title)
        _rows(axes, names)
    handles = [
        Line2D([], [], color=style.FRAMING_COLOURS[name], marker="o", label=name) for name in shifts
    ]
    figure.legend(
        handles=[*handles, _ring()], loc="outside lower center", ncols=4, fontsize="small"
    )
    return figure


def _interval(axes: Axes, y: float, row: dict[Any, Any], colour: str, key: str = "mean") -> None:
    reach = [[max(row[key] - row["low"], 0)], [max(row["high"] - row[key], 0)]]
    axes.errorbar(row[key], y, xerr=reach, fmt="o", color=colour, ms=4, elinewidth=1.4)
    if row.get("converged") == "no" or row.get("unsettled"):
        axes.scatter(row[key], y, s=70, fc="none", ec="black", lw=0.9, zorder=5)


def _ring() -> Line2D:
    return Line2D([], [], color="black", marker="o", ls="", mfc="none", ms=8, label="not converged")


def _rows(axes: Axes, names: Sequence[str]) -> None:
    axes.set_yticks(range(len(names)), [SHORT.get(name, name) for name in names])
    axes.set_ylim(len(names) - 0.4, -0.6)
    axes.yaxis.grid(visible=False)


def boxes(cases: pd.DataFrame, quartiles: pd.DataFrame, published: pd.DataFrame) -> Figure:
    """Box plots of Dice and IoU on loose frames, with the paper's quartiles where they are known.

    Args:
        cases: :func:`mammostudy.study.segmenters_boxes.cases`.
        quartiles: :func:`mammostudy.study.segmenters_boxes.quartiles`.
        published: :func:`mammostudy.study.published.box_plots`.

    Returns:
        Two panels; whiskers reach 1.5 interquartile ranges, circles lie beyond; the number of low
        outliers stands on the left; hatched: had not converged; black: the paper's quartiles
        and median (other data).
    """
    names = [str(name) for name in cases["row"].unique()] if len(cases) else []
    height = 1.2 + 0.42 * max(len(names), 3)
    figure, panels = plt.subplots(1, 2, figsize=(style.WIDTH, height), sharey=True)
    for axes, metric in zip(panels, ("dice", "iou"), strict=True):
        for at, name in enumerate(names):
            part = cases[cases["row"] == name]
            _box(axes, at, part[metric].to_numpy(), name, bool(part["converged"].eq(False).any()))
        _counts(axes, quartiles[quartiles["metric"] == metric], names)
        for each in published[published["metric"] == metric].to_dict("records"):
            if each["model"] in names:
                y = names.index(each["model"]) + 0.38
                axes.plot([each["q1"], each["q3"]], [y, y], color="black", lw=1.6)
                axes.plot(each["median"], y, marker="|", color="black", ms=7, mew=1.6)
        axes.set(xlim=(-0.14, 1.02), xlabel={"dice": "Dice", "iou": "IoU"}[metric])
        axes.set_xticks([0, 0.2, 0.4, 0.6, 0.8, 1.0])
        _rows(axes, names)
    figure.legend(
        handles=[
            Line2D(
                [], [], color="black", marker="|", ms=7, lw=1.6, label="paper: quartiles, median"
            ),
            Patch(fc="white", ec="black", hatch="////", label="not converged"),
        ],
        loc="outside lower center",
        ncols=2,
        fontsize="small",
    )
    return figure


def _box(axes: Axes, at: int, values: NDArray[Any], name: str, unsettled: bool) -> None:
    drawn = axes.boxplot(
        [values],
        positions=[at],
        orientation="horizontal",
        widths=0.5,
        manage_ticks=False,
        patch_artist=True,
        flierprops={"marker": "o", "markersize": 3, "markeredgewidth": 0.7},
        medianprops={"color": "black", "linewidth": 1.2},
    )
    for patch in drawn["boxes"]:
        patch.set(facecolor=colour(name), alpha=0.55, hatch="////" if unsettled else None)


def _counts(axes: Axes, quartiles: pd.DataFrame, names: Sequence[str]) -> None:
    for row in quartiles.to_dict("records"):
        if row["row"] in names:
            axes.text(
                -0.03,
                names.index(row["row"]),
                f"{row['outliers']}",
                ha="right",
                va="center",
                fontsize="x-small",
            )


def differences(tests: pd.DataFrame) -> Figure:
    """The cGAN minus every other row, paired over patients, with 95 % intervals.

    Args:
        tests: :func:`mammostudy.study.segmenters_comparison.against`.

    Returns:
        Two panels, all values and those near 0; right of 0 the cGAN scores higher; grey band: less
        than a point; rings: one of the two had not converged, so the row is in no ranking.
    """
    names = list(tests["b"]) if len(tests) else []
    height = 1.2 + 0.3 * max(len(names), 3)
    figure, panels = plt.subplots(1, 2, figsize=(style.WIDTH, height), sharey=True)
    for axes in panels:
        axes.axvspan(-MARGIN, MARGIN, color=style.GREY, alpha=0.25, lw=0)
        axes.axvline(0, color="black", lw=1)
        for at, row in enumerate(tests.to_dict("records")):
            _interval(axes, at, row, colour(row["b"]), "difference")
        _rows(axes, names)
    panels[0].set_title("all")
    panels[1].set(xlim=(-0.06, 0.06), xticks=(-0.05, 0, 0.05), title="near 0")
    figure.supxlabel("Dice of the proposed cGAN minus that of this row", fontsize="small")
    figure.legend(handles=[_ring()], loc="outside lower right", fontsize="x-small")
    return figure


def outliers(tests: pd.DataFrame) -> Figure:
    """The share of low outliers of every model less that of the cGAN, with 95 % intervals.

    Args:
        tests: :func:`mammostudy.study.segmenters_boxes.outlier_tests`.

    Returns:
        One panel, points of the share of masses; right of 0 the cGAN leaves fewer.
    """
    names = list(tests["b"]) if len(tests) else []
    figure, axes = plt.subplots(figsize=(style.WIDTH, 1.1 + 0.27 * max(len(names), 3)))
    axes.axvline(0, color="black", lw=1)
    for at, row in enumerate(tests.to_dict("records")):
        scaled = row | {key: 100 * row[key] for key in ("difference", "low", "high")}
        _interval(axes, at, scaled, colour(row["b"]), "difference")
    _rows(axes, names)
    axes.set_xlabel("share of outliers less that of the proposed cGAN, points")
    return figure


def ablations(compared: pd.DataFrame) -> Figure:
    """What each field of the best recipe is worth, on validation and on test patients.

    Args:
        compared: :func:`mammostudy.study.segmenters_best.table`.

    Returns:
        One panel: Dice of the whole recipe minus that without the field; filled: validation, which
        judges; open: test, shown only.
    """
    names = list(compared["row"]) if len(compared) else []
    figure, axes = plt.subplots(figsize=(style.WIDTH, 1.3 + 0.4 * max(len(names), 2)))
    axes.axvline(0, color="black", lw=1)
    for at, row in enumerate(compared.to_dict("records")):
        _interval(axes, at - 0.12, row, style.BLUE, "difference")
        test = {key: row[f"test_{key}"] for key in ("difference", "low", "high")}
        reach = [[test["difference"] - test["low"]], [test["high"] - test["difference"]]]
        axes.errorbar(
            test["difference"], at + 0.18, xerr=reach, fmt="o", mfc="white", color=style.GREY, ms=4
        )
    _rows(axes, names)
    axes.set_xlabel("Dice of the whole recipe minus this one, image's grid")
    handles = [
        Line2D([], [], color=style.BLUE, marker="o", label="validation"),
        Line2D([], [], color=style.GREY, marker="o", mfc="white", label="test"),
        _ring(),
    ]
    figure.legend(handles=handles, loc="outside lower center", ncols=3, fontsize="x-small")
    return figure


def cost(table: pd.DataFrame) -> Figure:
    """Dice against the seconds of an epoch, the area of a point standing for parameters.

    Args:
        table: :func:`mammostudy.study.segmenters_cost.costs`.

    Returns:
        Two panels with a logarithmic axis, all models and the range of the converged; the key
        under them names the numbers; bars are 95 % intervals, rings had not converged.
    """
    figure, panels = plt.subplots(1, 2, figsize=(style.WIDTH, 4.6))
    known = table[table["seconds"] > 0] if len(table) else table
    ordered = known.sort_values("seconds").to_dict("records") if len(known) else []
    for axes in panels:
        for number, row in enumerate(ordered, 1):
            _priced(axes, number, row)
        if ordered:
            axes.set_xscale("log")
            axes.margins(x=0.15)
            axes.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
            axes.xaxis.set_major_formatter(StrMethodFormatter("{x:g}"))
            axes.xaxis.set_minor_formatter(NullFormatter())
        axes.set(xlabel="seconds an epoch", ylabel="Dice, loose frames")
    panels[0].set_title("all")
    panels[1].set_title("range of the converged")
    settled = [row for row in ordered if row["converged"] == "yes"]
    if settled:
        low, high = min(r["low"] for r in settled), max(r["high"] for r in settled)
        panels[1].set_ylim(low - 0.02, high + 0.02)
    handles = [
        Line2D([], [], color=colour(row["row"]), marker="o", ls="", label=f"{number} {_name(row)}")
        for number, row in enumerate(ordered, 1)
    ]
    figure.legend(
        handles=[*handles, _ring()], loc="outside lower center", ncols=3, fontsize="x-small"
    )
    return figure


def _name(row: dict[Any, Any]) -> str:
    return SHORT.get(row["row"], str(row["row"]))


def _priced(axes: Axes, number: int, row: dict[Any, Any]) -> None:
    """Draw one model of the figure on cost, with its number beside it."""
    place = (row["seconds"], row["dice"])
    reach = [[row["dice"] - row["low"]], [row["high"] - row["dice"]]]
    axes.errorbar(*place, yerr=reach, fmt="none", color=colour(row["row"]), elinewidth=1.1)
    area = 12 + 4 * row["parameters"] / 1e6
    axes.scatter(*place, s=area, color=colour(row["row"]), alpha=0.5, lw=0, zorder=3)
    if row["converged"] == "no":
        axes.scatter(*place, s=area + 50, fc="none", ec="black", lw=0.9, zorder=4)
    axes.annotate(
        str(number),
        place,
        xytext=(7, 4),
        textcoords="offset points",
        fontsize="x-small",
        annotation_clip=True,
    )


def grid(cells: Sequence[Cell]) -> Figure | None:
    """Predictions in lines and columns, in the colours of the paper.

    Args:
        cells: of :mod:`mammostudy.study.segmenters_examples`.

    Returns:
        The grid with its key, or None without cells (the images are not at hand).
    """
    if not cells:
        return None
    lines = list(dict.fromkeys(cell.line for cell in cells))
    columns = list(dict.fromkeys(cell.column for cell in cells))
    side = min(style.WIDTH / len(columns), LARGEST)
    figure, places = plt.subplots(
        len(lines), len(columns), figsize=(side * len(columns), (side + 0.1) * len(lines) + 0.8),
        squeeze=False,
    )  # fmt: skip
    for cell in cells:
        axes = places[lines.index(cell.line), columns.index(cell.column)]
        style.picture_axes(axes)
        axes.set_xlabel(cell.note, fontsize="xx-small", labelpad=2)
        if cell.picture is not None:
            axes.imshow(cell.picture, interpolation="nearest")
        else:
            axes.set_box_aspect(1)
            axes.spines[:].set_visible(False)
        if cell.line == lines[0]:
            title = SHORT.get(cell.column, cell.column).replace("-", "-\n", 1).replace(" (", "\n(")
            axes.set_title(title, fontsize="xx-small", fontweight="normal")
        if cell.column == columns[0]:
            axes.set_ylabel(cell.line, fontsize="x-small")
    patches = [Patch(facecolor=c, edgecolor="black", label=name) for name, c in AGREEMENT.items()]
    figure.legend(handles=patches, loc="outside lower center", ncols=3, fontsize="small")
    return figure
