"""The look of every figure, and the figures that every chapter draws: one way each.

A chapter's own module draws what is special to it.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterable, Mapping, Sequence
from textwrap import fill
from typing import Any, cast

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from matplotlib.ticker import FixedLocator, FuncFormatter, NullFormatter
from numpy.typing import NDArray
from pandas.io.formats.style import Styler

PALETTE: list[str] = [str(colour) for colour in sns.color_palette("colorblind").as_hex()]
BLUE, ORANGE, GREEN, RED, PURPLE, BROWN, PINK, GREY, YELLOW, CYAN = PALETTE
SHAPE_COLOURS = {"irregular": BLUE, "lobular": ORANGE, "oval": GREEN, "round": PURPLE}
FRAMING_COLOURS = {"full": GREY, "loose": BLUE, "tight": ORANGE}
VERDICT_COLOURS = {
    "supported": GREEN, "better": GREEN, "contradicted": RED, "worse": RED, "alike": BLUE,
    "undecided": GREY, "not judged": GREY,
}  # fmt: skip
AGREEMENT = {"true positive": "#ffff00", "false negative": "#ff0000", "false positive": "#00ff00"}
SEQUENTIAL = "Blues"
GAP = "not reported"

WIDTH = 7.2
"""Width of a figure on a page, inches."""
SINGLE = (WIDTH, 4.2)
WIDE = (WIDTH, 3.0)
TALL = (WIDTH, 6.4)


def use_style() -> None:
    """Set the theme for every figure that follows in this process."""
    sns.set_theme(
        context="notebook",
        style="whitegrid",
        palette="colorblind",
        font_scale=0.85,
        rc={
            "figure.figsize": SINGLE,
            "figure.constrained_layout.use": True,
            "figure.dpi": 110,
            "savefig.dpi": 110,
            "axes.titlesize": "medium",
            "axes.titleweight": "bold",
            "axes.spines.top": False,
            "axes.spines.right": False,
            "grid.linewidth": 0.6,
            "image.cmap": "gray",
            "legend.frameon": False,
            "text.parse_math": False,  # names of cases and sites may hold any sign
        },
    )


def picture_axes(axes: Axes, title: str = "") -> Axes:
    """Make axes ready for an image: no ticks, no grid, an optional title."""
    axes.set_xticks([])
    axes.set_yticks([])
    axes.grid(visible=False)
    if title:
        axes.set_title(title)
    return axes


def say(text: str) -> Any:
    """Return a sentence for a page to show as Markdown, or None where there is nothing to say."""
    from IPython.display import Markdown

    return Markdown(text) if text else None


class PageTable(Styler):
    """A table of a page: as HTML and LaTeX with what data hold escaped, and as plain text."""

    def __repr__(self) -> str:
        return str(cast(Any, self).data.to_string(index=False, na_rep=GAP))

    def _repr_latex_(self) -> str:
        plain = cast(Any, self).data.style.hide(axis="index").format(na_rep=GAP, escape="latex")
        return str(plain.format_index(axis=1, escape="latex").to_latex(hrules=True))


def page_table(table: pd.DataFrame, precision: int = 1) -> Styler:
    """Make a table ready for a page: no index, whole texts, fixed decimals, gaps named."""
    name = f"{zlib.crc32(table.to_csv().encode()):08x}"  # equal in equal runs
    styler = PageTable(table, uuid=name).hide(axis="index").format_index(axis=1, escape="html")
    styler = styler.format(precision=precision, na_rep=GAP, thousands=",", escape="html")
    return styler.set_properties(None, **{"text-align": "left", "vertical-align": "top"})


def interval(
    axes: Axes,
    y: float,
    row: Mapping[Any, Any],
    *,
    colour: str = BLUE,
    key: str = "mean",
    **look: Any,
) -> None:
    """Draw a value with its interval at a height of the axes."""
    value, low, high = (float(row[name]) for name in (key, "low", "high"))
    if not np.isfinite([low, high]).all():
        low = high = value
    ends = [[max(value - low, 0)], [max(high - value, 0)]]
    options: dict[str, Any] = {"fmt": "o", "color": colour, "ms": 5, "elinewidth": 1.6} | look
    axes.errorbar(value, y, xerr=ends, **options)
    if row.get("converged") == "no":
        axes.scatter(value, y, s=90, fc="none", ec="black", lw=1)


def name_rows(axes: Axes, names: Sequence[object], width: int = 44) -> None:
    """Name the rows of axes whose heights are 0, 1, 2 ... from the top."""
    axes.set_yticks(range(len(names)), [fill(str(name), width) for name in names], fontsize="small")
    axes.set_ylim(len(names) - 0.5, -0.5)
    axes.yaxis.grid(visible=False)


def logarithmic(axis: Axis, threshold: float | None = None) -> None:
    """Make an axis logarithmic, beyond a threshold where one is given; its ticks are plain numbers.

    Those of matplotlib are formulas, which figures do not set (:func:`use_style`).
    """
    scale = {"value": "log"} if threshold is None else {"value": "symlog", "linthresh": threshold}
    axes = axis.axes
    (axes.set_xscale if axis is axes.xaxis else axes.set_yscale)(**scale)
    if threshold is not None:
        ticks = [threshold * 10**power for power in range(5)]
        axis.set_major_locator(FixedLocator([*(-tick for tick in ticks), 0, *ticks]))
    axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axis.set_minor_formatter(NullFormatter())


def key_below(
    figure: Figure,
    named: Mapping[Any, str] | Iterable[Any],
    columns: int = 4,
    size: str = "small",
) -> None:
    """Put one key below all panels: of colours by name, of handles, or of what axes hold."""
    if isinstance(named, Mapping):
        named = [Line2D([], [], color=c, marker="o", label=str(n)) for n, c in named.items()]
    held = [x.get_legend_handles_labels()[0] if isinstance(x, Axes) else [x] for x in named]
    handles = {each.get_label(): each for some in held for each in some}  # each name once
    if handles:
        look: dict[str, Any] = {"ncols": columns, "fontsize": size}
        figure.legend(handles=list(handles.values()), loc="outside lower center", **look)


def forest(
    tests: pd.DataFrame,
    label: str = "difference in Dice",
    names: Sequence[object] | None = None,
) -> Figure | None:
    """Comparisons with their intervals, a row a comparison; the band is the margin."""
    if tests.empty:
        return None
    rows = tests.to_dict("records")
    figure, axes = plt.subplots(figsize=(WIDTH, 0.42 * len(rows) + 1.1))
    for y, row in enumerate(rows):
        interval(axes, y, row, colour=VERDICT_COLOURS[row["verdict"]], key="difference")
        margin = float(row["margin"])
        axes.fill_betweenx([y - 0.4, y + 0.4], -margin, margin, color=GREY, alpha=0.2, lw=0)
    axes.axvline(0, color="black", lw=1)
    name_rows(axes, names or [f"{row['a']} less {row['b']}" for row in rows])
    axes.set_xlabel(label)
    verdicts = dict.fromkeys(row["verdict"] for row in rows if row["verdict"] != "not judged")
    key_below(figure, {name: VERDICT_COLOURS[name] for name in verdicts})
    return figure


def dots(
    summary: pd.DataFrame,
    metrics: Mapping[str, str],
    by: str = "row",
    hue: str | None = None,
    colours: Mapping[Any, str] | None = None,
    limits: tuple[float, float] | None = (0, 1),
) -> Figure | None:
    """Means with their intervals, a row a group, a panel a metric; rings had not converged."""
    if summary.empty:
        return None
    names = list(dict.fromkeys(summary[by]))
    kinds = list(dict.fromkeys(summary[hue])) if hue else [None]
    colours = colours or dict(zip(kinds if hue else names, PALETTE * 9, strict=False))
    figure, panels = plt.subplots(
        1, len(metrics), figsize=(WIDTH, 0.36 * len(names) + 1.2), sharey=True, squeeze=False
    )
    for axes, (metric, label) in zip(panels[0], metrics.items(), strict=True):
        for row in summary[summary["metric"] == metric].to_dict("records"):
            at = kinds.index(row[hue]) if hue else 0
            y = names.index(row[by]) + 0.6 * ((at + 0.5) / len(kinds) - 0.5)
            interval(axes, y, row, colour=colours.get(row[hue] if hue else row[by], GREY))
        axes.set(xlim=limits, xlabel=label)
        name_rows(axes, names, 30)
    if hue:
        key_below(figure, {kind: colours.get(kind, GREY) for kind in kinds})
    return figure


def lines(
    axes: Axes,
    table: pd.DataFrame,
    x: str,
    y: str,
    by: str = "row",
    colours: Mapping[Any, str] | None = None,
    band: bool = False,
    **look: Any,
) -> None:
    """Draw a line a group on axes, with the band of ``low`` and ``high`` where asked for."""
    for at, (name, part) in enumerate(table.groupby(by, sort=False)):
        colour = (colours or {}).get(name, PALETTE[at % len(PALETTE)] if not colours else GREY)
        ordered = part.sort_values(x, kind="stable")
        options: dict[str, Any] = {"color": colour, "lw": 1.3, "label": str(name)} | look
        axes.plot(ordered[x], ordered[y], **options)
        if band:
            ends = ordered["low"], ordered["high"]
            axes.fill_between(ordered[x], *ends, color=colour, alpha=0.15, lw=0)


def heat(
    table: pd.DataFrame, label: str, axes: Axes | None = None, form: str = ".0f", **look: Any
) -> Axes:
    """Draw a table of counts or shares as coloured cells with their numbers."""
    if axes is None:
        _, axes = plt.subplots(figsize=(WIDTH * 0.6, WIDTH * 0.45))
    options = {"annot": True, "fmt": form, "cmap": SEQUENTIAL, "linewidths": 0.5} | look
    sns.heatmap(table, ax=axes, cbar_kws={"label": label}, **options)
    axes.tick_params(axis="y", rotation=0)
    return axes


def montage(
    pictures: Mapping[str, NDArray[Any]] | Sequence[tuple[str, NDArray[Any]]],
    *,
    columns: int = 4,
    key: bool = False,
) -> Figure | None:
    """Show pictures in a grid, in order, each with its title; None where there are none."""
    each = list(pictures.items()) if isinstance(pictures, Mapping) else list(pictures)
    if not each:
        return None
    columns = min(columns, len(each))
    rows, side = -(-len(each) // columns), WIDTH / columns
    first = each[0][1]
    height = rows * (side * first.shape[0] / first.shape[1] + 0.42) + 0.3 * key
    figure, grid = plt.subplots(rows, columns, figsize=(WIDTH, height), squeeze=False)
    for axes in grid.flat:
        axes.set_axis_off()
    for axes, (title, picture) in zip(grid.flat, each, strict=False):
        axes.set_axis_on()
        limits = {"vmin": 0, "vmax": 1} if picture.ndim == 2 else {}
        axes.imshow(picture, interpolation="nearest", **limits)
        picture_axes(axes)
        axes.set_title(title, fontsize="x-small", fontweight="normal")
    if key:
        patches = [Patch(fc=colour, ec="black", label=name) for name, colour in AGREEMENT.items()]
        key_below(figure, patches, 3)
    return figure
