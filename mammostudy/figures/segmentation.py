"""What is special to the figures on segmentation: courses of losses, mean masks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib.figure import Figure
from numpy.typing import NDArray

from mammostudy.figures import primitives as look

LOSSES: Final = {
    "cGAN, Dice (paper)": look.BLUE,
    "cGAN, L1": look.ORANGE,
    "cGAN, as released": look.RED,
    "generator, no adversary": look.GREEN,
    "U-Net, ResNet-18 encoder": look.PURPLE,
    "study": look.BROWN,
    "paper's own setting": "black",
}
_UNITS: Final = {
    "cGAN, Dice (paper)": "λ (1 - Dice) + adversarial",
    "cGAN, L1": "λ L1 + adversarial",
}
_KINDS: Final = {
    "missed": look.RED,
    "too small": look.ORANGE,
    "too large": look.PURPLE,
    "misplaced": look.GREEN,
    "no failure": look.BLUE,
}


def loss_curves(curves: pd.DataFrame) -> Figure:
    """The generator's loss with Dice and with L1 (own units), and validation Dice of every row."""
    figure, (left, right) = plt.subplots(1, 2, figsize=(look.WIDTH, 3.6))
    descended = curves[(curves["quantity"] == "generator") & curves["row"].isin(_UNITS)]
    look.lines(left, descended, "iteration", "value", colours=LOSSES)
    for line in left.get_lines():
        line.set_label(_UNITS[str(line.get_label())])
    look.logarithmic(left.yaxis)
    left.set(xlabel="iteration", ylabel="loss of the generator, own units")
    left.legend(fontsize="x-small")
    validated = curves[curves["quantity"] == "validation_dice"]
    look.lines(right, validated, "iteration", "value", colours=LOSSES, marker=".")
    right.set(ylim=(-0.02, 1.02), xlabel="iteration", ylabel="validation Dice")
    look.key_below(figure, [right], 3, "x-small")
    return figure


def adversaries(curves: pd.DataFrame) -> Figure:
    """The released overlap loss, and the three adversarial losses of the paper's model."""
    figure, (left, right) = plt.subplots(1, 2, figsize=(look.WIDTH, 3.2))
    released = curves[(curves["row"] == "cGAN, as released") & (curves["quantity"] == "overlap")]
    look.lines(left, released, "iteration", "value", colours=LOSSES)
    left.axhline(0, color="black", ls="--", lw=1)
    look.logarithmic(left.yaxis, 1)
    left.set(xlabel="iteration", ylabel="released Dice loss, no unit", title="as released")
    names = {
        "discriminator_real": "D on true masks",
        "discriminator_fake": "D on predictions",
        "adversarial": "G against D",
    }
    paper = curves[(curves["row"] == "cGAN, Dice (paper)") & curves["quantity"].isin(names)]
    colours = dict(zip(names.values(), (look.GREEN, look.ORANGE, look.BLUE), strict=True))
    paper = paper.assign(quantity=paper["quantity"].map(names))
    look.lines(right, paper, "iteration", "value", by="quantity", colours=colours)
    right.axhline(np.log(2), color="black", ls="--", lw=1, label="D undecided")
    right.set(xlabel="iteration", ylabel="cross-entropy, nats", title="paper's model")
    right.set_ylim(top=1.4 * right.get_ylim()[1])
    right.legend(fontsize="x-small", ncols=2, loc="upper center")
    return figure


def mean_masks(masks: Mapping[str, NDArray[np.float64]]) -> Figure | None:
    """How often each pixel of a loose frame was painted, a picture a row on one scale."""
    if not masks:
        return None
    columns, rows = 3, -(-len(masks) // 3)
    figure, grid = plt.subplots(rows, columns, figsize=(look.WIDTH, 2.35 * rows), squeeze=False)
    for axes in grid.flat:
        axes.set_axis_off()
    mako = sns.color_palette("mako", as_cmap=True)
    for axes, (name, mask) in zip(grid.flat, masks.items(), strict=False):
        axes.set_axis_on()
        picture = axes.imshow(100 * mask, vmin=0, vmax=100, cmap=mako)
        look.picture_axes(axes, name).title.set_fontsize("small")
    figure.colorbar(picture, ax=grid, label="test masses that paint the pixel, %", shrink=0.8)
    return figure


def boxes(rows: pd.DataFrame, published: pd.DataFrame) -> Figure | None:
    """Box plots of Dice of every row; black lines below: the paper's quartiles and median."""
    first = rows[rows["replicate"] == 0]
    if first.empty:
        return None
    names = list(first["row"].unique())
    figure, axes = plt.subplots(figsize=(look.WIDTH, 1.0 + 0.32 * len(names)))
    axes.boxplot(
        [first.loc[first["row"] == name, "dice"].to_numpy(dtype=float) for name in names],
        positions=range(len(names)),
        orientation="horizontal",
        widths=0.5,
        manage_ticks=False,
        patch_artist=True,
        boxprops={"facecolor": look.CYAN, "alpha": 0.6},
        flierprops={"marker": "o", "markersize": 3, "markeredgewidth": 0.7},
        medianprops={"color": "black"},
    )
    for each in published[published["metric"] == "dice"].to_dict("records"):
        if each["model"] in names:
            y = names.index(each["model"]) + 0.38
            axes.plot([each["q1"], each["q3"]], [y, y], color="black", lw=1.6)
            axes.plot(each["median"], y, marker="|", color="black", ms=7, mew=1.6)
    look.name_rows(axes, names)
    axes.set(xlim=(-0.02, 1.02), xlabel="Dice")
    return figure


def scales(summary: pd.DataFrame) -> Figure | None:
    """Dice against the scale of the frame, a line a row, in the frame's grid and the image's.

    Full lines are known boxes, dashed ones jittered boxes; the band is the model's interval.
    """
    if summary.empty:
        return None
    rows = list(dict.fromkeys(summary["row"]))
    colours = dict(zip(rows, look.PALETTE, strict=False))
    figure, panels = plt.subplots(1, 2, figsize=(look.WIDTH, 3.6), sharey=True)
    titles = {"dice": "frame's grid", "dice_image": "image's grid"}
    for axes, (metric, title) in zip(panels, titles.items(), strict=True):
        part = summary[summary["metric"] == metric]
        for box, style in (("oracle", "-"), ("jittered", "--")):
            own = part[part["box"] == box]
            band = own[own["row"] == rows[0]] if box == "oracle" else own[:0]
            look.lines(axes, own, "scale", "mean", colours=colours, ls=style, marker=".")
            look.lines(axes, band, "scale", "mean", colours=colours, band=True)
        axes.set(title=title, ylim=(-0.02, 1.02), xlabel="side of the frame / side of the box")
    panels[0].set_ylabel("Dice")
    look.key_below(figure, panels[0].get_legend_handles_labels()[0][: len(rows)], 5)
    return figure


def failure_sizes(rows: pd.DataFrame, good: float, label: str) -> Figure | None:
    """Dice of every test mass against its size, by kind of failure."""
    if rows.empty:
        return None
    figure, axes = plt.subplots(figsize=look.SINGLE)
    for kind, colour in _KINDS.items():
        for company, marker in ((False, "o"), (True, "X")):
            part = rows[(rows["kind"] == kind) & (rows["company"] == company)]
            name = f"{kind}, second mass in frame" if company else kind
            if len(part):
                axes.scatter(part["size"], part["dice"], s=22, c=colour, marker=marker, label=name)
    axes.axhline(good, color="black", lw=1, ls="--")
    axes.set(xlabel=label, ylabel="Dice", ylim=(-0.02, 1.02))
    axes.legend(fontsize="x-small", loc="lower right")
    return figure


def score_scatter(scored: pd.DataFrame, scores: Sequence[str]) -> Figure | None:
    """Every mass: its error against each score of uncertainty, a panel a score."""
    if scored.empty:
        return None
    figure, panels = plt.subplots(1, len(scores), figsize=look.WIDE, sharey=True)
    for axes, score, colour in zip(panels, scores, look.PALETTE, strict=False):
        axes.scatter(scored[score].astype(float), scored["error"], s=9, color=colour, alpha=0.5)
        axes.set_xlabel(score)
    panels[0].set_ylabel("1 - Dice")
    return figure


def risk(curves: pd.DataFrame) -> Figure | None:
    """Mean error of the most certain masses against the share of masses kept."""
    if curves.empty:
        return None
    figure, axes = plt.subplots(figsize=look.SINGLE)
    names = [name for name in curves["score"].unique() if name not in ("oracle", "random")]
    colours = {"oracle": "black", "random": look.GREY}
    colours |= dict(zip(names, look.PALETTE, strict=False))
    look.lines(axes, curves, "coverage", "risk", by="score", colours=colours)
    axes.set(xlim=(0, 1), xlabel="share of masses kept", ylabel="mean 1 - Dice of those kept")
    axes.set_ylim(bottom=0)
    axes.legend(fontsize="small")
    return figure
