"""Pictures of the chain: a mass on its way from the mammogram to a shape, a row each."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

import matplotlib.pyplot as plt
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Patch, Rectangle

from mammostudy.figures import primitives as style

if TYPE_CHECKING:
    from mammostudy.study.chain_examples import Example

VERSION = 1
"""Recipe version: raised by hand when the page would look different."""
BOX_COLOURS: Final = {"known": "#ffffff", "finds it": style.ORANGE, "other": style.CYAN}


def examples(found: Sequence[Example]) -> Figure:
    """Mammogram with its boxes, frame, mask and shape.

    Args:
        found: :func:`mammostudy.study.chain_examples.examples`.

    Returns:
        A row a mass.
    """
    rows = max(len(found), 1)
    size = (style.WIDTH, 2.15 * rows + 0.5)
    figure, grid = plt.subplots(rows, 4, figsize=size, squeeze=False)
    for cell in grid.flat:
        style.picture_axes(cell)
    for (mammogram, frame, mask, shape), each in zip(grid, found, strict=False):
        _mammogram(mammogram, each)
        frame.imshow(each.frame, vmin=0, vmax=max(float(each.frame.max()), 1e-6))
        _title(frame, "frame" if each.row["found"] else "frame, known box: missed")
        mask.imshow(each.overlay)
        _title(mask, f"Dice {each.row['dice']:.3f}")
        if each.placed is None:
            shape.set_axis_off()
        else:
            shape.imshow(each.placed, interpolation="nearest", vmin=0, vmax=1)
        _title(shape, _told(each.row))
    _key(figure)
    return figure


def _mammogram(axes: Axes, each: Example) -> None:
    axes.imshow(each.mammogram, vmin=0, vmax=max(float(each.mammogram.max()), 1e-6))
    for kind, (x_min, y_min, x_max, y_max) in each.boxes:
        edge = Rectangle((x_min, y_min), x_max - x_min, y_max - y_min, fill=False, lw=1.1,
                         ec=BOX_COLOURS[kind])  # fmt: skip
        axes.add_patch(edge)
    _title(axes, each.rule)
    axes.set_ylabel(str(each.row["case"]), fontsize="xx-small")


def _title(axes: Axes, text: str) -> None:
    axes.set_title(text, fontsize="x-small", fontweight="normal")


def _told(row: pd.Series) -> str:
    """Say which shape was told of a mass, and which it has."""
    label = row["label"] if pd.notna(row["label"]) else "not known"
    if pd.isna(row["predicted"]) or row["predicted"] == "none":
        return f"no shape told\n(truth: {label})"
    return f"{row['predicted']}, p {row['probability']:.2f}\n(truth: {label})"


def _key(figure: Figure) -> None:
    boxes = {"known box": "known", "box that finds it": "finds it", "other box": "other"}
    handles = [
        Patch(facecolor="none" if kind != "known" else "white", label=name,
              edgecolor="black" if kind == "known" else BOX_COLOURS[kind])
        for name, kind in boxes.items()
    ]  # fmt: skip
    handles += [
        Patch(facecolor=colour, edgecolor="black", label=name)
        for name, colour in style.AGREEMENT.items()
    ]
    figure.legend(handles=handles, loc="outside lower center", ncols=3, fontsize="small")
