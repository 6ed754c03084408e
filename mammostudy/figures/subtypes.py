"""Figures on subtype by shape: mosaics, shares, residuals, what remains of V, the null."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Patch

from mammostudy.figures import primitives as style
from mammostudy.figures.subtype_intervals import blurred, differences, named, strengths

__all__ = [
    "COLOURS",
    "blurred",
    "differences",
    "mosaics",
    "null",
    "power",
    "residuals",
    "shares",
    "strengths",
]

COLOURS = style.SHAPE_COLOURS | {"polygonal": style.BROWN, "round or oval": style.CYAN}
REACH = 5.0
"""Residuals beyond this have the full colour."""
_GAP = 0.012
_LEAST = 4.5  # % of a bar; a smaller piece holds no number
Tables = Mapping[str, pd.DataFrame]


def mosaics(tables: Tables) -> Figure:
    """Shares of the shapes in each subtype, bars as wide as the subtype is common.

    Args:
        tables: title -> counts, subtype by shape.

    Returns:
        A panel a table, numbers of cases inside the pieces; an empty table has an empty panel.
    """
    figure, panels = _panels(len(tables), 4.0)
    for axes, (title, table) in zip(panels, tables.items(), strict=True):
        _mosaic(axes, table)
        axes.set_title(title, fontsize="small")
    panels[0].set_ylabel("% of the subtype")
    shown = [name for name in COLOURS if any(name in table.columns for table in tables.values())]
    handles = [Patch(color=COLOURS[name]) for name in shown]
    figure.legend(handles, shown, loc="outside lower center", ncols=len(shown), fontsize="small")
    return figure


def _panels(count: int, height: float, *, sharey: bool = True) -> tuple[Figure, list[Axes]]:
    """Make panels side by side, more than three in two columns."""
    columns = 2 if count > 3 else max(count, 1)
    rows = max(1, -(-count // columns))
    size = (style.WIDTH, height * (1 if rows == 1 else 0.85 * rows))
    figure, grid = plt.subplots(
        rows, columns, figsize=size, sharey=sharey, squeeze=False, layout="constrained"
    )
    panels = list(grid.ravel())
    for empty in panels[max(count, 1) :]:
        empty.set_axis_off()
    return figure, panels[: max(count, 1)]


def _mosaic(axes: Axes, table: pd.DataFrame) -> None:
    total, left = float(table.to_numpy().sum()), 0.0
    middles = []
    for name in table.index:
        cases = float(table.loc[name].sum())
        width = cases / max(total, 1.0)
        bottom = 0.0
        for shape in table.columns if cases else ():
            count = int(table.loc[name, shape])
            height = 100 * count / cases
            colour = COLOURS.get(str(shape), style.GREY)
            axes.bar(left, height, width, bottom, align="edge", color=colour, ec="white", lw=0.6)
            if height >= _LEAST:
                ink = "white" if colour in (style.BLUE, style.GREEN) else "black"
                middle: dict[str, Any] = {
                    "ha": "center",
                    "va": "center",
                    "fontsize": "x-small",
                    "color": ink,
                }
                axes.text(left + width / 2, bottom + height / 2, str(count), **middle)
            bottom += height
        middles.append(left + width / 2)
        left += width + _GAP
    labels = [f"{name} ({int(table.loc[name].sum())})" for name in table.index]
    turned: dict[str, Any] = {"rotation": 50, "ha": "right", "rotation_mode": "anchor"}
    axes.set_xticks(middles, labels, fontsize="x-small", **turned)
    axes.set(ylim=(0, 100), xlim=(-_GAP, max(left, 1.0)))
    axes.xaxis.grid(visible=False)


def shares(tables: Tables) -> Figure:
    """Share of each shape in each subtype with Wilson's 95 % interval.

    Args:
        tables: title -> :func:`mammostudy.study.subtype_statistics.shares`.

    Returns:
        A panel a table.
    """
    figure, panels = _panels(len(tables), 3.8, sharey=False)
    for axes, (title, table) in zip(panels, tables.items(), strict=True):
        rows = list(dict.fromkeys(table["row"]))
        _shares(axes, table, rows)
        axes.set_title(title, fontsize="small")
        axes.set(xlim=(0, 100), xlabel="% of the subtype")
        named(axes, rows)
    seen: dict[str, Artist] = {}
    for axes in panels:
        handles, names = axes.get_legend_handles_labels()
        seen = dict(zip(names, handles, strict=True)) | seen
    shown = [name for name in COLOURS if name in seen]
    if shown:
        options: dict[str, Any] = {
            "loc": "outside lower center",
            "ncols": len(shown),
            "fontsize": "small",
        }
        figure.legend([seen[name] for name in shown], shown, **options)
    return figure


def _shares(axes: Axes, table: pd.DataFrame, rows: Sequence[str]) -> None:
    columns = list(dict.fromkeys(table["column"]))
    for at, shape in enumerate(columns):
        part = table[table["column"] == shape]
        places = [rows.index(name) + 0.18 * (at - (len(columns) - 1) / 2) for name in part["row"]]
        reach = 100 * np.array([part["share"] - part["low"], part["high"] - part["share"]])
        axes.errorbar(
            100 * part["share"],
            places,
            xerr=np.maximum(reach, 0),
            fmt="o",
            ms=4,
            color=COLOURS.get(str(shape), style.GREY),
            mec="black",
            mew=0.4,
            elinewidth=1.6,
            label=str(shape),
        )


def residuals(tables: Tables) -> Figure:
    """Adjusted residuals: how far each cell is from what the margins alone would give.

    Args:
        tables: title -> :func:`mammostudy.study.subtype_statistics.residuals`.

    Returns:
        A heat map a table, on one scale.
    """
    figure, panels = _panels(len(tables), 3.3, sharey=False)
    for axes, (title, table) in zip(panels, tables.items(), strict=True):
        last = axes is panels[-1] or len(tables) > 3
        sns.heatmap(
            table,
            annot=True,
            annot_kws={"fontsize": "small" if len(tables) < 3 else "x-small"},
            fmt="+.1f",
            cmap="RdBu_r",
            center=0,
            vmin=-REACH,
            vmax=REACH,
            cbar=last,
            cbar_kws={"label": "adjusted residual"} if last else None,
            linewidths=0.5,
            ax=axes,
        )
        axes.set_title(title, fontsize="small")
        axes.set(xlabel="", ylabel="")
        axes.tick_params(axis="y", rotation=0, labelleft=_first_with(axes, panels, tables))
        plt.setp(axes.get_xticklabels(), rotation=30, ha="right", rotation_mode="anchor")
    return figure


def _first_with(axes: Axes, panels: Sequence[Axes], tables: Tables) -> bool:
    """Whether a panel has to name its rows: it is the first, or its rows are not the first's."""
    rows = [list(table.index) for table in tables.values()]
    at = list(panels).index(axes)
    return at == 0 or len(tables) > 3 or rows[at] != rows[0]


def power(curves: pd.DataFrame, marks: pd.DataFrame, wanted: float = 0.8) -> Figure:
    """Power of the chi-square test over Cramer's V at the size of each table.

    Args:
        curves: columns table, v, power.
        marks: columns table, v, power, detectable.
        wanted: power at which the smallest detectable V is read.

    Returns:
        One panel; dots at each table's own V (corrected), dotted lines down to the smallest V
        that is found with the wanted power.
    """
    figure, axes = plt.subplots(figsize=style.WIDE)
    names = list(dict.fromkeys(curves["table"]))
    for name, colour in zip(names, style.PALETTE, strict=False):
        line = curves[curves["table"] == name]
        axes.plot(line["v"], 100 * line["power"], color=colour, label=name)
        for mark in marks[marks["table"] == name].to_dict("records"):
            axes.vlines(mark["detectable"], 0, 100 * wanted, color=colour, ls=":", lw=1.4)
            axes.scatter(mark["v"], 100 * mark["power"], color=colour, s=45, zorder=4)
    axes.axhline(100 * wanted, color="black", ls="--", lw=1)
    axes.set(ylim=(0, 103), xlim=(-0.006, 0.42))
    axes.set(xlabel="Cramer's V in the population", ylabel="power, %")
    axes.legend(fontsize="small", loc="lower right")
    return figure


def null(redraws: pd.DataFrame, marks: Mapping[str, float], threshold: float) -> Figure:
    """Cramer's V where the subtypes are drawn without regard to shape, beside the observed one.

    Args:
        redraws: column ``v``, a row a redraw.
        marks: name -> V observed.
        threshold: V from which on the chi-square test rejects at the full size of the table.

    Returns:
        A histogram with a line a mark; grey from the threshold on.
    """
    figure, axes = plt.subplots(figsize=style.WIDE)
    axes.hist(redraws["v"], bins=40, color=style.CYAN, ec="white", lw=0.3, label="redraws")
    styles = ("-", "--", ":", "-.")
    for at, (name, value) in enumerate(marks.items()):
        colour = (style.BLUE, style.RED, style.GREEN, style.BROWN)[at % 4]
        axes.axvline(value, color=colour, ls=styles[at % 4], lw=2, label=name)
    right = max([float(redraws["v"].max()), threshold, *marks.values()]) * 1.08
    axes.axvspan(threshold, right, color=style.GREY, alpha=0.18, lw=0, label="test rejects")
    axes.set(xlabel="Cramer's V", ylabel="redraws", xlim=(0, right))
    axes.legend(fontsize="small")
    return figure
