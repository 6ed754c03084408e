"""Pictures side by side, and the key to the colours of an agreement overlay."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import matplotlib.pyplot as plt
from matplotlib.figure import Figure
from matplotlib.patches import Patch
from numpy.typing import NDArray

from mammostudy.figures import style

COLOURS = {"true positive": "#ffff00", "false negative": "#ff0000", "false positive": "#00ff00"}


def montage(pictures: Mapping[str, NDArray[Any]], *, columns: int = 4, key: bool = False) -> Figure:
    """Show pictures in a grid, in order, each with its title.

    Args:
        pictures: grey ``(h, w)`` in [0, 1] or RGB uint8 ``(h, w, 3)``, by title.
        columns: pictures in a row.
        key: explain the colours of an agreement overlay.
    """
    columns = min(columns, len(pictures))
    rows = -(-len(pictures) // columns)
    first = next(iter(pictures.values()))
    side = style.WIDTH / columns
    height = rows * (side * first.shape[0] / first.shape[1] + 0.42) + 0.3 * key
    figure, axes = plt.subplots(rows, columns, figsize=(style.WIDTH, height), squeeze=False)
    for cell in axes.flat:
        cell.set_axis_off()
    for cell, (title, picture) in zip(axes.flat, pictures.items(), strict=False):
        cell.set_axis_on()
        limits = {"vmin": 0, "vmax": 1} if picture.ndim == 2 else {}
        cell.imshow(picture, interpolation="nearest", **limits)
        style.picture_axes(cell)
        cell.set_title(title, fontsize="x-small", fontweight="normal")
    if key:
        _colour_key(figure)
    return figure


def _colour_key(figure: Figure) -> None:
    patches = [
        Patch(facecolor=colour, edgecolor="black", label=name) for name, colour in COLOURS.items()
    ]
    figure.legend(handles=patches, loc="outside lower center", ncols=3, fontsize="small")
