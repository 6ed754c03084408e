"""Figures on cropping: examples of frames, scores by framing, box and scale."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from typing import Protocol

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Rectangle
from numpy.typing import NDArray

from mammostudy.figures import primitives as style

FRAMINGS = ("full", "loose", "tight")
COLOURS = {
    "cGAN": style.BLUE,
    "all-mass": style.GREY,
    "ellipse": style.ORANGE,
    "otsu": style.GREEN,
    "chan-vese": style.PINK,
}
MARKERS = {"cGAN": "o", "all-mass": "s", "ellipse": "D", "otsu": "^", "chan-vese": "v"}
GRIDS = {"dice": "frame's grid", "dice_image": "image's grid, common window"}


class Example(Protocol):
    """What :func:`frames` draws (see :class:`mammostudy.study.cropping_examples.Example`)."""

    @property
    def strategy(self) -> str: ...  # noqa: D102
    @property
    def box(self) -> str: ...  # noqa: D102
    @property
    def image(self) -> NDArray[np.float32]: ...  # noqa: D102
    @property
    def target(self) -> NDArray[np.bool_]: ...  # noqa: D102
    @property
    def others(self) -> NDArray[np.bool_]: ...  # noqa: D102
    @property
    def rectangles(self) -> Mapping[str, tuple[float, float, float, float]]: ...  # noqa: D102


def frames(examples: Sequence[Example]) -> Figure | None:
    """One mass in full, loose and tight frames: known boxes above, jittered ones below.

    Args:
        examples: :func:`mammostudy.study.cropping_examples.examples`.

    Returns:
        A row a kind of box, or None without examples (the images are not at hand).
    """
    if not examples:
        return None
    boxes = list(dict.fromkeys(each.box for each in examples))
    figure, grid = plt.subplots(
        len(boxes), len(FRAMINGS), figsize=(style.WIDTH, 2.5 * len(boxes)), squeeze=False
    )
    for each in examples:
        axes = grid[boxes.index(each.box), FRAMINGS.index(each.strategy)]
        axes.imshow(each.image, vmin=0, vmax=1)
        for mask, colour in ((each.others, style.PINK), (each.target, style.YELLOW)):
            if mask.any():
                axes.contour(mask.astype(float), levels=[0.5], colors=[colour], linewidths=1.2)
        for name, (x_min, y_min, x_max, y_max) in each.rectangles.items():
            axes.add_patch(
                Rectangle(
                    (x_min, y_min),
                    x_max - x_min,
                    y_max - y_min,
                    fill=False,
                    lw=1.2,
                    ec=style.FRAMING_COLOURS[name],
                )
            )
        style.picture_axes(axes, each.strategy if each.box == boxes[0] else "")
    for axes, box in zip(grid[:, 0], boxes, strict=True):
        axes.set_ylabel("known box" if box == "oracle" else f"{box} box")
    return figure


def framings(summary: pd.DataFrame) -> Figure:
    """Dice by framing, of the model and of baselines, in both grids.

    Args:
        summary: :func:`mammostudy.study.cropping.table`.

    Returns:
        Two panels; filled markers are known boxes, open ones jittered boxes, bars 95 % intervals.
    """
    figure, panels = plt.subplots(1, 2, figsize=(style.WIDTH, 3.8), sharey=True)
    for axes, (metric, title) in zip(panels, GRIDS.items(), strict=True):
        axes.set(title=title, xlim=(-0.5, 2.5), ylim=(-0.02, 1.02), xlabel="frame", ylabel="Dice")
        axes.set_xticks(range(len(FRAMINGS)), FRAMINGS)
        axes.xaxis.grid(visible=False)
        part = summary[summary["metric"] == metric] if len(summary) else summary
        for row in part.to_dict("records"):
            _mark(axes, row)
    panels[1].set_ylabel("")
    _legend(figure)
    return figure


def _mark(axes: Axes, row: Mapping[Hashable, object]) -> None:
    """Draw one mean with its interval, beside the others of its framing."""
    name, oracle = str(row["row"]), row["box"] == "oracle"
    place = FRAMINGS.index(str(row["framing"]))
    shift = 0.16 * (list(COLOURS).index(name) - 2) + (-0.03 if oracle else 0.03)
    mean, low, high = (float(str(row[key])) for key in ("mean", "low", "high"))
    if row.get("converged") == "no":
        axes.scatter(place + shift, mean, s=80, fc="none", ec="black", lw=0.8)
    axes.errorbar(
        place + shift,
        mean,
        yerr=[[max(mean - low, 0)], [max(high - mean, 0)]],
        fmt=MARKERS[name],
        color=COLOURS[name],
        markerfacecolor=COLOURS[name] if oracle else "white",
        markersize=5,
        elinewidth=1.2,
    )


def _legend(figure: Figure) -> None:
    handles = [
        Line2D([], [], color=COLOURS[name], marker=MARKERS[name], ls="", label=name)
        for name in COLOURS
    ]
    handles += [
        Line2D([], [], color="black", marker="o", ls="", label="known box"),
        Line2D([], [], color="black", marker="o", ls="", mfc="white", label="jittered box"),
        Line2D([], [], color="black", marker="o", ls="", mfc="none", ms=9, label="not converged"),
    ]
    figure.legend(handles=handles, loc="outside lower center", ncols=4, fontsize="small")


def cases(stacked: pd.DataFrame) -> Figure:
    """The model's Dice of every mass, by framing, in the image's grid.

    Args:
        stacked: :func:`mammostudy.study.cropping.rows`.

    Returns:
        One panel: a box and the single cases, known and jittered boxes side by side.
    """
    figure, axes = plt.subplots(figsize=style.WIDE)
    axes.set(xlabel="frame", ylabel="Dice, image's grid", ylim=(-0.02, 1.02))
    ours = stacked[(stacked["row"] == "cGAN") & (stacked["replicate"] == 0)]
    if ours.empty:
        return figure
    ours = ours.assign(box=ours["box"].map({"oracle": "known box", "jittered": "jittered box"}))
    options = {
        "data": ours,
        "x": "framing",
        "y": "dice_image",
        "hue": "box",
        "order": FRAMINGS,
        "hue_order": ("known box", "jittered box"),
        "palette": (style.BLUE, style.CYAN),
        "ax": axes,
    }
    sns.boxplot(**options, showfliers=False, width=0.7, boxprops={"alpha": 0.35})
    sns.stripplot(**options, dodge=True, size=2.5, alpha=0.7, legend=False)
    axes.set(xlabel="frame", ylabel="Dice, image's grid")
    axes.legend(title=None, fontsize="small", loc="lower right")
    return figure


def scales(curve: pd.DataFrame) -> Figure:
    """Dice against the scale of the frame, with the baselines as curves.

    Args:
        curve: :func:`mammostudy.study.cropping.scale_curve`.

    Returns:
        Two panels (the frame's grid, the image's); full lines are known boxes, dashed ones
        jittered boxes; the band is the 95 % interval of the model on known boxes.
    """
    figure, panels = plt.subplots(1, 2, figsize=(style.WIDTH, 3.8), sharey=True)
    for axes, (metric, title) in zip(panels, GRIDS.items(), strict=True):
        axes.set(title=title, ylim=(-0.02, 1.02), xlim=(0.9, 4.1), ylabel="Dice")
        axes.set_xlabel("side of the frame / side of the box")
        part = curve[curve["metric"] == metric] if len(curve) else curve
        groups = part.groupby(["row", "box"], sort=False) if len(part) else ()
        for (row, box), line in groups:
            name = str(row)
            ordered = line.sort_values("scale")
            oracle = box == "oracle"
            axes.plot(
                ordered["scale"],
                ordered["mean"],
                color=COLOURS[name],
                marker=MARKERS[name],
                ls="-" if oracle else "--",
                mfc=COLOURS[name] if oracle else "white",
                ms=4.5,
                lw=2 if name == "cGAN" else 1.2,
                zorder=4 if name == "cGAN" else 2,
            )
            unsettled = ordered[ordered["converged"] == "no"]
            axes.scatter(unsettled["scale"], unsettled["mean"], s=80, fc="none", ec="black", lw=0.8)
            if name == "cGAN" and oracle:
                limits = (ordered["low"], ordered["high"])
                axes.fill_between(ordered["scale"], *limits, color=COLOURS[name], alpha=0.15, lw=0)
    panels[1].set_ylabel("")
    _legend(figure)
    return figure


def jitter(costs: pd.DataFrame) -> Figure:
    """What a jittered box costs, by framing and model, in the image's grid.

    Args:
        costs: :func:`mammostudy.study.cropping.jitter_cost`.

    Returns:
        One panel: mean difference of Dice and its 95 % interval.
    """
    figure, axes = plt.subplots(figsize=style.WIDE)
    axes.axhline(0, color="black", lw=1)
    axes.set(xlim=(-0.5, 2.5), xlabel="frame", ylabel="Dice, jittered - known box")
    axes.set_xticks(range(len(FRAMINGS)), FRAMINGS)
    part = costs[costs["metric"] == "dice_image"] if len(costs) else costs
    for row in part.to_dict("records"):
        _mark(axes, row | {"mean": row["difference"], "box": "oracle"})
    handles = [
        Line2D([], [], color=COLOURS[name], marker=MARKERS[name], ls="", label=name)
        for name in COLOURS
    ]
    figure.legend(handles=handles, loc="outside right center", fontsize="small")
    return figure
