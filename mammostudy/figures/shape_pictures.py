"""Pictures on shape classification: placed masks, walks, occlusion maps, the map of embeddings."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.offsetbox import AnnotationBbox, OffsetImage
from numpy.typing import NDArray

from mammostudy.figures import primitives as style
from mammostudy.figures.shapes import CLASS_COLOURS, CLASS_MARKERS

if TYPE_CHECKING:
    from mammostudy.study.shapes_examples import Map, Occlusion, Walk

VERSION = 1
"""Recipe version: raised by hand when the page would look different."""

PLACED = {
    "image": "in the mammogram",
    "stretch": "each axis resized (paper)",
    "square": "square frame (study)",
}


def placements(masks: Mapping[tuple[str, str], NDArray[np.bool_]]) -> Figure:
    """A circle and ovals as drawn and as either placement shows them.

    Args:
        masks: :func:`mammostudy.study.shapes_examples.placements`.

    Returns:
        A row a mass, a column a placement.
    """
    names = list(dict.fromkeys(name for name, _ in masks))
    size = (style.WIDTH, 2.1 * len(names))
    figure, grid = plt.subplots(len(names), len(PLACED), figsize=size, squeeze=False)
    for row, name in zip(grid, names, strict=True):
        for cell, (placement, title) in zip(row, PLACED.items(), strict=True):
            cell.imshow(masks[name, placement], interpolation="nearest")
            style.picture_axes(cell, title if name == names[0] else "")
            cell.title.set_fontsize("small")
        row[0].set_ylabel(name, fontsize="small")
    return figure


def walk(found: Walk) -> Figure:
    """Class probabilities from round to irregular, with the masks below the axis.

    Args:
        found: :func:`mammostudy.study.shapes_examples.walk`.

    Returns:
        Lines are means over the walks, bands hold the middle 80 % of them.
    """
    figure, (axes, strip) = plt.subplots(
        2, 1, figsize=style.SINGLE, sharex=True, height_ratios=(4, 1)
    )
    mean = found.probabilities.mean(axis=0)
    low, high = np.percentile(found.probabilities, [10, 90], axis=0)
    for k, name in enumerate(found.classes):
        colour = CLASS_COLOURS[name]
        axes.fill_between(found.positions, low[:, k], high[:, k], color=colour, alpha=0.2, lw=0)
        marks: dict[str, Any] = {"marker": CLASS_MARKERS[name], "ms": 4, "markevery": 3}
        axes.plot(found.positions, mean[:, k], color=colour, label=name, **marks)
    axes.set(ylim=(-0.02, 1.02), ylabel="probability")
    axes.legend(ncols=len(found.classes), loc="lower center", bbox_to_anchor=(0.5, 1.0))
    for at, mask in found.thumbnails.items():
        _thumbnail(strip, mask, (at, 0.5), 0.8)
    strip.set(ylim=(0, 1), xlim=(-0.2, 3.2), yticks=[])
    strip.set_xticks(range(4), ["round", "oval", "lobular", "irregular"])
    strip.grid(visible=False)
    strip.spines[["left"]].set_visible(False)
    return figure


def _thumbnail(
    axes: Axes, mask: NDArray[np.bool_], at: tuple[float, float], zoom: float, colour: str = ""
) -> None:
    """Put a mask on axes, centred on a point; its pixels get the colour, the rest is clear."""
    from matplotlib.colors import to_rgb

    picture = np.ones((*mask.shape, 4))
    picture[..., :3] = to_rgb(colour or "black")
    picture[..., 3] = mask
    box = AnnotationBbox(OffsetImage(picture, zoom=zoom), at, frameon=False, pad=0)
    box.set_zorder(5)
    axes.add_artist(box)


def occlusions(found: Sequence[Occlusion], columns: int = 4) -> Figure:
    """What each part of a mask is worth to the probability of its true class.

    Args:
        found: :func:`mammostudy.study.shapes_examples.occlusions`.
        columns: pictures in a row.

    Returns:
        Maps on one scale with the outline of the mask: red where a changed patch costs
        probability, blue where it gains some.
    """
    rows = max(1, -(-len(found) // columns))
    figure, grid = plt.subplots(rows, columns, figsize=(style.WIDTH, 2.2 * rows), squeeze=False)
    for cell in grid.flat:
        cell.set_axis_off()
    reach = max([float(np.abs(each.fall).max()) for each in found], default=1.0) or 1.0
    picture = None
    for cell, each in zip(grid.flat, found, strict=False):
        cell.set_axis_on()
        options: dict[str, Any] = {"cmap": "RdBu_r", "vmin": -reach, "vmax": reach}
        picture = cell.imshow(each.fall, interpolation="nearest", **options)
        cell.contour(each.mask, levels=[0.5], colors="black", linewidths=1)
        style.picture_axes(cell)
        cell.set_title(f"{each.label},\ncalled {each.predicted}", fontsize="x-small")
    if picture is not None:
        figure.colorbar(picture, ax=grid, label="fall of probability", shrink=0.8)
    return figure


def embedding(found: Map, most: int = 60) -> Figure:
    """All masks where the network of one fold puts them.

    Args:
        found: :func:`mammostudy.study.shapes_examples.embedding_map`.
        most: thumbnails at most; they leave out masks that would cover each other.

    Returns:
        Colour and marker tell the true class; full markers are test masks, pale ones those that
        the network was trained or validated on; a ring is a wrong call.
    """
    figure, axes = plt.subplots(figsize=(style.WIDTH, 5.6))
    points = found.points
    test = points["part"] == "test"
    for name in [name for name in CLASS_COLOURS if name in set(points["label"])]:
        for chosen, alpha, label in ((~test, 0.25, None), (test, 0.95, name)):
            part = points[chosen & (points["label"] == name)]
            look: dict[str, Any] = {"marker": CLASS_MARKERS[name], "s": 26, "alpha": alpha}
            axes.scatter(part["x"], part["y"], color=CLASS_COLOURS[name], label=label, **look)
    wrong = points[points["wrong"]]
    axes.scatter(wrong["x"], wrong["y"], s=110, fc="none", ec="black", lw=1, label="called wrong")
    axes.margins(0.12)
    for row in _apart(found, most):
        colour = CLASS_COLOURS[row["label"]]
        _thumbnail(axes, found.masks[row["case"]], (row["x"], row["y"]), 0.5, colour)
    first, second = (100 * share for share in found.explained)
    axes.set_xlabel(f"first principal axis ({first:.0f} % of the variance)")
    axes.set_ylabel(f"second principal axis ({second:.0f} %)")
    axes.legend(fontsize="small", loc="best")
    return figure


def _apart(found: Map, most: int) -> list[dict[str, Any]]:
    """Pick points with a mask that lie at least a thumbnail apart, in the table's order."""
    points = found.points
    spread = points[["x", "y"]].max() - points[["x", "y"]].min()
    step = np.maximum(spread.to_numpy(dtype=np.float64) * (0.07, 0.09), 1e-12)
    chosen: list[dict[str, Any]] = []
    places: list[NDArray[np.float64]] = []
    for row in points.to_dict("records"):
        place = np.array([row["x"], row["y"]], dtype=np.float64) / step
        near = any(np.abs(place - other).max() < 1 for other in places)
        if row["case"] in found.masks and not near and len(chosen) < most:
            chosen.append({str(name): value for name, value in row.items()})
            places.append(place)
    return chosen
