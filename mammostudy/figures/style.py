"""The look of every figure: one theme, one colour-blind palette, a few sizes."""

from __future__ import annotations

import zlib
from typing import Any

import pandas as pd
import seaborn as sns
from matplotlib.axes import Axes
from pandas.io.formats.style import Styler

PALETTE: list[str] = [str(colour) for colour in sns.color_palette("colorblind").as_hex()]
BLUE, ORANGE, GREEN, RED, PURPLE, BROWN, PINK, GREY, YELLOW, CYAN = PALETTE
SHAPE_COLOURS = {"irregular": BLUE, "lobular": ORANGE, "oval": GREEN, "round": PURPLE}
FRAMING_COLOURS = {"full": GREY, "loose": BLUE, "tight": ORANGE}
SEQUENTIAL = "Blues"

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


def page_table(table: pd.DataFrame, precision: int = 1) -> Styler:
    """Make a table ready for a page: no index, whole texts, fixed decimals, gaps named.

    Args:
        table: what to show; numbers are rounded for the eye only.
        precision: decimals of the numbers that are not whole.

    Returns:
        A styler, which a notebook shows as HTML.
    """
    name = f"{zlib.crc32(','.join(map(str, table.columns)).encode()):08x}"
    styler = table.style.hide(axis="index").set_uuid(name)
    styler = styler.format(precision=precision, na_rep="not reported", thousands=",")
    return styler.set_properties(None, **{"text-align": "left", "vertical-align": "top"})
