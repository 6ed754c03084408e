"""Figures of the failures."""

from __future__ import annotations

import matplotlib.pyplot as plt
import pandas as pd
import seaborn as sns
from matplotlib.figure import Figure

from mammostudy.figures import primitives as style

_COLOURS = {
    "missed": style.RED,
    "too small": style.ORANGE,
    "too large": style.PURPLE,
    "misplaced": style.GREEN,
    "no failure": style.BLUE,
}
_LABELS = {
    "box_share": "longer side of the box, % of the image's longer side",
    "mass_share": "mass, % of the frame",
}


def sizes(stacked: pd.DataFrame, column: str, good: float) -> Figure:
    """Dice of every test mass against its size.

    Args:
        stacked: :func:`mammostudy.study.failures.with_sizes`.
        column: ``box_share``, or ``mass_share`` where the box is not known.
        good: Dice from which on a case is no failure.
    """
    figure, axes = plt.subplots(figsize=style.SINGLE)
    present = [kind for kind in _COLOURS if (stacked["kind"] == kind).any()]
    shown = stacked.assign(size=stacked[column] * (100 if column == "mass_share" else 1))
    sns.scatterplot(
        shown,
        x="size",
        y="dice",
        hue="kind",
        style="company",
        hue_order=present,
        palette=_COLOURS,
        markers={True: "X", False: "o"},
        ax=axes,
    )
    axes.axhline(good, color="black", lw=1, ls="--")
    axes.set(xlabel=_LABELS[column], ylabel="Dice", ylim=(-0.02, 1.02))
    handles, names = axes.get_legend_handles_labels()
    said = {"True": "second mass in frame", "False": "alone", "kind": "", "company": ""}
    kept = [(h, said.get(n, n)) for h, n in zip(handles, names, strict=True) if said.get(n, n)]
    axes.legend([h for h, _ in kept], [n for _, n in kept], fontsize="x-small", loc="lower right")
    return figure


def kinds(table: pd.DataFrame) -> Figure:
    """How many masses fail, and how.

    Args:
        table: :func:`mammostudy.study.failures.kinds_table`.
    """
    figure, axes = plt.subplots(figsize=style.WIDE)
    sns.barplot(
        table, y="kind", x="% of masses", hue="kind", palette=_COLOURS, ax=axes, legend=False
    )
    axes.set(xlabel="test masses, %", ylabel="")
    return figure
