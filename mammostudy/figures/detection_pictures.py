"""Mammograms with the boxes of their masses and those that a detector laid."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import matplotlib.pyplot as plt
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Rectangle

from mammostudy.figures import primitives as style

if TYPE_CHECKING:
    from mammostudy.study.detection_examples import Picture

VERSION = 1
"""Recipe version: raised by hand when the page would look different."""

MASS = "#ffff00"
OUTCOMES = {"hit": "#35c5ff", "repeat": "#b0b0b0", "false": "#ff5c5c"}
COLUMNS = 3


def montage(pictures: Sequence[Picture]) -> Figure:
    """Chosen views: masses in yellow (dashed), found boxes by outcome, the chosen one thick.

    Args:
        pictures: :func:`mammostudy.study.detection_examples.pictures`.
    """
    rows = -(-len(pictures) // COLUMNS)
    tallest = max(each.image.shape[0] / each.image.shape[1] for each in pictures)
    side = style.WIDTH / COLUMNS
    size = (style.WIDTH, rows * (side * min(tallest, 1.4) + 0.35) + 0.3)
    figure, axes = plt.subplots(rows, COLUMNS, figsize=size, squeeze=False)
    for cell in axes.flat:
        cell.set_axis_off()
    for cell, each in zip(axes.flat, pictures, strict=False):
        cell.set_axis_on()
        cell.imshow(each.image, vmin=0, vmax=1)
        style.picture_axes(cell)
        cell.set_title(each.title, fontsize="x-small", fontweight="normal")
        _boxes(cell, each)
    _key(figure)
    return figure


def _boxes(axes: Axes, picture: Picture) -> None:
    for at, edges in enumerate(picture.masses):
        thick = 2.4 if picture.of_mass and at == picture.focus else 1.2
        _rectangle(axes, edges, MASS, thick, "--")
    for at, found in enumerate(picture.found):
        colour = OUTCOMES[found.outcome]
        thick = 2.4 if not picture.of_mass and at == picture.focus else 1.2
        _rectangle(axes, found.edges, colour, thick, "-")
        axes.annotate(
            f"{found.score:.2f}", found.edges[:2], (1, 2), textcoords="offset points",
            color=colour, fontsize="xx-small", clip_on=True,
        )  # fmt: skip


def _rectangle(
    axes: Axes, edges: tuple[float, float, float, float], colour: str, width: float, dashes: str
) -> None:
    x_min, y_min, x_max, y_max = edges
    sides = (x_max - x_min, y_max - y_min)
    axes.add_patch(Rectangle((x_min, y_min), *sides, fill=False, ec=colour, lw=width, ls=dashes))


def _key(figure: Figure) -> None:
    lines = [Line2D([], [], color="#b8a800", ls="--", label="mass")]
    lines += [Line2D([], [], color=colour, label=name) for name, colour in OUTCOMES.items()]
    figure.legend(handles=lines, loc="outside lower center", ncols=4, fontsize="small")
