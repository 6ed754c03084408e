"""Figures on sampled masks: scores against errors, risk against coverage, maps."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from mammostudy.figures import primitives as style

COLOURS = {
    "spread": style.BLUE,
    "information": style.ORANGE,
    "disagreement": style.GREEN,
    "smallness": style.PURPLE,
}
LABELS = {
    "spread": "spread",
    "information": "information, bits",
    "disagreement": "disagreement",
    "smallness": "predicted pixels",
}
REFERENCES = {"oracle": ("black", "-"), "random": ("black", "--")}


class Drawn(Protocol):
    """What a row of :func:`maps` shows: :class:`mammostudy.study.uncertainty_maps.Drawn`."""

    @property
    def title(self) -> str:
        """Why it was picked."""

    @property
    def image(self) -> NDArray[np.float32]:
        """``(s, s)``."""

    @property
    def truth(self) -> NDArray[np.bool_]:
        """``(s, s)``."""

    @property
    def mean(self) -> NDArray[np.float64]:
        """``(s, s)`` in [0, 1]."""

    @property
    def spread(self) -> NDArray[np.float64]:
        """``(s, s)`` in [0, 0.5]."""

    @property
    def dice(self) -> float:
        """Of the mean mask."""

    @property
    def score(self) -> float:
        """Spread of the case."""


def scatter(scored: pd.DataFrame) -> Figure:
    """Every mass: its error against each score.

    Args:
        scored: :func:`mammostudy.study.uncertainty.scored`.

    Returns:
        A panel a score; the predicted size runs backwards, so that the least certain stand right.
    """
    figure, panels = plt.subplots(1, len(COLOURS), figsize=style.WIDE, sharey=True)
    for axes, (score, colour) in zip(panels, COLOURS.items(), strict=True):
        values = scored[score].astype(float)
        size = score == "smallness"
        axes.scatter(-values if size else values, scored["error"], s=9, color=colour, alpha=0.5)
        if size and len(values):
            axes.invert_xaxis()
        axes.set_xlabel(LABELS[score])
    panels[0].set_ylabel("1 - Dice")
    return figure


def risk(curves: pd.DataFrame) -> Figure:
    """Mean error of the most certain masses against the share of masses kept.

    Args:
        curves: :func:`mammostudy.study.uncertainty.curves`.

    Returns:
        One panel; lower is better, no order can lie below the oracle.
    """
    figure, axes = plt.subplots(figsize=style.SINGLE)
    for score, colour in COLOURS.items():
        _curve(axes, curves, score, colour, "-")
    for score, (colour, line) in REFERENCES.items():
        _curve(axes, curves, score, colour, line)
    axes.set(xlim=(0, 1), xlabel="share of masses kept", ylabel="mean 1 - Dice of those kept")
    if axes.get_lines():
        axes.set_ylim(bottom=0)
        axes.legend(fontsize="small")
    return figure


def _curve(axes: Axes, curves: pd.DataFrame, score: str, colour: str, line: str) -> None:
    part = curves[curves["score"] == score]
    if len(part):
        axes.plot(part["coverage"], part["risk"], color=colour, ls=line, lw=1.3, label=score)


def maps(drawn: Sequence[Drawn]) -> Figure:
    """Image, mean mask and spread of some masses, the truth outlined in each.

    Args:
        drawn: :func:`mammostudy.study.uncertainty_maps.drawn`.

    Returns:
        A row a mass; mean maps on [0, 1], spreads on [0, 0.5], the most that there can be.
    """
    lines = max(1, len(drawn))
    height = 2.45 * lines if drawn else 0.6
    figure, grid = plt.subplots(lines, 3, figsize=(style.WIDTH, height), squeeze=False)
    for axes in grid.flat:
        style.picture_axes(axes)
    shown = {}
    for panels, case in zip(grid, drawn, strict=False):
        panels[0].imshow(case.image)
        shown["mean"] = panels[1].imshow(case.mean, vmin=0, vmax=1, cmap="gray")
        shown["spread"] = panels[2].imshow(case.spread, vmin=0, vmax=0.5, cmap="magma")
        for axes in panels:
            axes.contour(case.truth, levels=[0.5], colors=style.YELLOW, linewidths=1)
        panels[0].set_ylabel(f"{case.title}\nDice {case.dice:.2f}, spread {case.score:.3f}")
        panels[0].yaxis.label.set_fontsize("small")
    for axes, title in zip(
        grid[0], ("image", "mean of the draws", "spread of the draws"), strict=True
    ):
        axes.set_title(title, fontsize="small")
    for column, name in ((1, "mean"), (2, "spread")):
        if name in shown:
            figure.colorbar(
                shown[name], ax=grid[:, column], location="bottom", shrink=0.8, pad=0.02
            )
    return figure
