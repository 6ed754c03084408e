"""What is special to the figures on detection and the chain: curves, scores, boxes on views."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

import cv2
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from matplotlib.ticker import NullLocator
from numpy.typing import NDArray

from mammostudy.data.cohort import Cohort
from mammostudy.evaluation import froc_curves
from mammostudy.evaluation.boxes import FALSE, HIT, OUTCOMES, REPEAT, Matches
from mammostudy.evaluation.classification import binned_shares
from mammostudy.figures import primitives as look

COLOURS: Final = {
    "SSD, light trunk": look.BLUE,
    "SSD300, VGG16": look.CYAN,
    "SSD300, batch norm": look.PINK,
    "SSDlite, MobileNetV3": look.GREEN,
    "Faster R-CNN": look.RED,
    "RetinaNet": look.ORANGE,
    "FCOS": look.PURPLE,
    "RetinaNet, pretrained trunk": look.ORANGE,
    "FCOS, pretrained trunk": look.PURPLE,
    "fixed prior box": "black",
}
PARTS: Final = {
    "segmentation from the known box": look.BLUE,
    "imperfect box": look.ORANGE,
    "missed": look.GREY,
}
"""Of the error of a chain."""
MARKS: Final = {"mass": "#ffff00", "hit": "#35c5ff", "repeat": "#b0b0b0", "false": "#ff5c5c"}
"""Colours of boxes: of a mass, and of what was laid by what it is."""
RATE_LABELS: Final = ("1/8", "1/4", "1/2", "1", "2", "4", "8")
LONGEST: Final = 480  # pixels of a picture's longer side
Searched = Any  # a detector on test views: mammostudy.study.detection.Detector
Mark = tuple[str, Sequence[float], bool, str]
"""A box: its colour, edges in the image's pixels, whether it is drawn thick, and a label."""


def froc(panels: Mapping[str, Mapping[str, Searched]], *, band: bool = True) -> Figure:
    """Sensitivity against false positives a view, a curve a detector, a panel a title.

    Dotted on beyond the last rate that a detector reaches. A full dot is the threshold chosen on
    validation; a ring is a detector with one operating point, the prior box.
    """
    figure, grid = plt.subplots(
        1, max(1, len(panels)), figsize=(look.WIDTH, 4.2), squeeze=False, sharey=True
    )
    for axes, (title, group) in zip(grid.flat, panels.items(), strict=False):
        for name, one in group.items():
            _curve(axes, one, name, band)
        axes.axvline(1, color="black", lw=0.8, ls=":")
        axes.set(xlim=(1 / 32, 8), ylim=(-0.02, 1.02), title=title)
        _by_rate(axes)
    for axes in grid[0, 1:]:
        axes.set_ylabel("")
    look.key_below(figure, grid.flat)
    return figure


def _by_rate(axes: Axes) -> None:
    axes.set(xscale="log", xlabel="false positives a view", ylabel="sensitivity")
    axes.set_xticks(froc_curves.RATES, RATE_LABELS)
    axes.xaxis.set_minor_locator(NullLocator())


def _curve(axes: Axes, one: Searched, name: str, band: bool) -> None:
    colour, laid = COLOURS.get(name, look.GREY), one.matches(laid=True)
    curve = froc_curves.froc_of(one.matches())
    false, found = curve.false_positives_per_image, curve.sensitivity
    if band:
        ends = froc_curves.froc_band(curve, one.patients)
        ends = ends[ends["rate"] >= false[min(1, len(false) - 1)]]
        axes.fill_between(ends["rate"], ends["low"], ends["high"], color=colour, alpha=0.15, lw=0)
    point = (np.sum(laid.outcome == FALSE) / laid.images, np.mean(laid.found_by >= 0))
    if len(curve.thresholds) == 2:
        axes.plot(false[-1], found[-1], "o", mfc="white", color=colour, ms=6, label=name, zorder=4)
    else:
        axes.plot(false, found, color=colour, label=name, drawstyle="steps-post")
        axes.scatter(*point, color=colour, s=42, zorder=5, ec="white", lw=0.8)
    axes.plot([false[-1], froc_curves.RATES[-1]], [found[-1]] * 2, color=colour, lw=1, ls=":")


def detail(one: Searched) -> Figure:
    """Behind one detector's curve: precision, scores, what a score means."""
    figure, (precision, scores, meaning) = plt.subplots(1, 3, figsize=(look.WIDTH, 4.2))
    curve = froc_curves.precision_recall(one.matches("iou50", "false_positive"))
    precision.plot(curve.recall, curve.precision, drawstyle="steps-post", color=look.BLUE)
    precision.set(xlim=(0, 1), ylim=(-0.02, 1.02), xlabel="recall", ylabel="precision, IoU 0.5")
    _scores(scores, one.matches(), one.free)
    _meaning(meaning, one.matches())
    return figure


def _scores(axes: Axes, found: Matches, free: NDArray[np.bool_]) -> None:
    """Histograms of the scores of hits, repeats and false positives."""
    on_free = free[found.image]
    for name, chosen, colour in (
        ("hit", found.outcome == HIT, look.BLUE),
        ("repeat", found.outcome == REPEAT, look.GREY),
        ("false, view with a mass", (found.outcome == FALSE) & ~on_free, look.RED),
        ("false, mass-free view", (found.outcome == FALSE) & on_free, look.GREEN),
    ):
        values, label = found.scores[chosen], f"{name} ({chosen.sum():,})"
        options: dict[str, Any] = {"histtype": "step", "lw": 1.6, "color": colour, "label": label}
        axes.hist(values, np.linspace(0, 1, 21).tolist(), **options)
    axes.set(xlabel="score", ylabel="boxes", xlim=(0, 1))
    if len(found.scores):
        look.logarithmic(axes.yaxis)
    axes.legend(fontsize="x-small", loc="upper right")


def _meaning(axes: Axes, found: Matches) -> None:
    """Score against the share of boxes on a mass, with the number of boxes."""
    axes.plot([0, 1], [0, 1], color="black", lw=0.8, ls=":")
    axes.set(xlim=(0, 1), ylim=(0, 1.12), xlabel="score", ylabel="share that lie on a mass")
    if not len(found.scores):
        return
    table = binned_shares(found.scores, found.outcome != FALSE, 10)
    share = table["share"]
    reach = np.array([share - table["share_low"], table["share_high"] - share]).clip(min=0)
    axes.errorbar(table["mean"], share, yerr=reach, fmt="o-", color=look.BLUE, ms=4, lw=1)
    for row in table.to_dict("records"):
        place = (row["mean"], row["share_high"])
        axes.annotate(
            f"{row['cases']:.0f}", place, (0, 3), textcoords="offset points", ha="center",
            fontsize="x-small",
        )  # fmt: skip


def error_parts(table: pd.DataFrame) -> Figure | None:
    """Where the error of every chain comes from, stacked; diamond: the sum."""
    if table.empty:
        return None
    figure, axes = plt.subplots(figsize=look.WIDE)
    wide = table.pivot(index="arm", columns="metric", values="mean")
    wide = wide.reindex(index=table["arm"].unique(), columns=table["metric"].unique())
    bars = wide.drop(columns="sum")
    bars.plot.barh(stacked=True, ax=axes, color=dict(PARTS), width=0.62, legend=False)
    axes.scatter(wide["sum"], range(len(wide)), marker="D", color="black", s=22, zorder=4)
    axes.axvline(0, color="black", lw=0.8)
    axes.invert_yaxis()
    axes.set(xlabel="mean 1 - Dice over masses", ylabel="")
    look.key_below(figure, [axes], 3)
    return figure


def boxed(image: NDArray[np.float32], marks: Iterable[Mark]) -> NDArray[np.uint8]:
    """Draw boxes, the last one on top, on a mammogram in [0, 1], shrunk and padded to a square."""
    scale = LONGEST / max(image.shape)
    height, width = (max(1, round(side * scale)) for side in image.shape)
    small = cv2.resize(image, (width, height), interpolation=cv2.INTER_AREA)
    canvas = np.zeros((LONGEST, LONGEST, 3), np.uint8)
    top, left = (LONGEST - height) // 2, (LONGEST - width) // 2
    grey = (255 * np.clip(small, 0, 1)).astype(np.uint8)
    canvas[top : top + height, left : left + width] = grey[..., None]
    for colour, edges, thick, label in marks:
        x_min, y_min, x_max, y_max = (round(edge * scale) for edge in edges)
        rgb = tuple(round(255 * part) for part in to_rgb(colour))
        start, end = (left + x_min, top + y_min), (left + x_max, top + y_max)
        cv2.rectangle(canvas, start, end, rgb, 5 if thick else 2)
        place = (start[0], max(start[1] - 4, 16))
        cv2.putText(canvas, label, place, cv2.FONT_HERSHEY_SIMPLEX, 0.6, rgb, 2)
    return canvas


def chosen(one: Searched) -> dict[str, tuple[int, int, int]]:
    """Choose views by rule among the boxes from the threshold on; what nothing fits is left out.

    Rule -> number of the view, of the box and of the mass; -1 where the rule chose none.
    """
    found = one.matches(laid=True)
    free = one.free[found.image]
    hit, false = found.outcome == HIT, found.outcome == FALSE
    share = one.rows.loc[one.rows["row"] == "mass", "share"].to_numpy(np.float64)
    rules = {
        "hit of the highest score": (hit, found.scores),
        "hit of the lowest score": (hit, -found.scores),
        "largest mass missed": (found.found_by < 0, share),
        "surest false positive beside a mass": (false & ~free, found.scores),
        "surest false positive, mass-free view": (false & free, found.scores),
    }
    out = {}
    for rule, (among, by) in rules.items():
        if among.any():
            at = int(np.where(among, by, -np.inf).argmax())
            missed = by is share
            view = (found.true_image if missed else found.image)[at]
            out[rule] = (int(view), -1 if missed else at, at if missed else -1)
    drawn = int(np.random.default_rng(0).integers(len(one.views)))
    return out | {"drawn by seed 0": (drawn, -1, -1)}


def examples(cohort: Cohort | None, one: Searched) -> dict[str, NDArray[np.uint8]]:
    """Show the chosen views with their masses and boxes; none without these images."""
    out: dict[str, NDArray[np.uint8]] = {}
    if cohort is None:
        return out
    views, found, names = cohort.views, one.matches(laid=True), one.views["view"].tolist()
    for rule, (view, box, mass) in chosen(one).items():
        if names[view] not in views.index:  # a cohort of another size
            continue
        shown = views.loc[names[view]]
        first = int(np.searchsorted(found.true_image, view))
        marks: list[Mark] = [
            (MARKS["mass"], edges, number + first == mass, "")
            for number, edges in enumerate(shown["boxes"].tolist())
        ]
        for number in np.flatnonzero(found.image == view):
            colour = MARKS[OUTCOMES[found.outcome[number]]]
            label = f"{found.scores[number]:.2f}"
            marks.append((colour, found.boxes[number].tolist(), number == box, label))
        rows = cohort.manifest[cohort.manifest["image"] == shown["image"]]
        out[rule] = boxed(cohort.image(rows.iloc[0]), marks)
    return out
