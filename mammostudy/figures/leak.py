"""Figures of the page on leaks: the gain by subset, and patient by patient."""

from __future__ import annotations

from collections.abc import Mapping

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from mammostudy.figures import primitives as style

COLOURS = {
    "all masses": style.BLUE,
    "patient also trained on": style.RED,
    "patient new to the model": style.GREY,
}


def gains(table: pd.DataFrame) -> Figure:
    """What folds by image add, in points, with 95 % intervals over patients.

    Args:
        table: rows of :func:`mammostudy.study.leak_tables.gains`, stacked.
    """
    names = [f"{row['row']}, {row['metric']}" for row in table.to_dict("records")]
    rows = list(dict.fromkeys(names))
    figure, axes = plt.subplots(figsize=(style.WIDTH, 0.9 * len(rows) + 1.2))
    for shift, (subset, colour) in zip((-0.2, 0.0, 0.2), COLOURS.items(), strict=True):
        part = table[table["subset"] == subset]
        where = [rows.index(f"{r['row']}, {r['metric']}") + shift for r in part.to_dict("records")]
        spread = [part["difference"] - part["low"], part["high"] - part["difference"]]
        axes.errorbar(
            100 * part["difference"],
            where,
            xerr=100 * np.abs(np.array(spread, dtype=float)),
            fmt="o",
            color=colour,
            capsize=3,
            label=subset,
        )
    axes.axvline(0, color="black", lw=1)
    axes.set_yticks(range(len(rows)), rows)
    axes.set_ylim(len(rows) - 0.5, -0.5)
    axes.set_xlabel("folds by image less folds by patient, points")
    figure.legend(loc="outside upper center", ncols=3, fontsize="small")
    return figure


def patients(differences: Mapping[str, pd.DataFrame]) -> Figure:
    """Every patient's difference between the two kinds of fold, trained on or new.

    Args:
        differences: :func:`mammostudy.study.leak_tables.patient_differences` by what was tested.
    """
    figure, grid = plt.subplots(
        1, len(differences), figsize=(style.WIDTH, 2.8), squeeze=False, sharey=False
    )
    subsets = {True: "patient also trained on", False: "patient new to the model"}
    for axes, (name, table) in zip(grid[0], differences.items(), strict=True):
        for at, (exposed, subset) in enumerate(subsets.items()):
            values = 100 * table.loc[table["exposed"] == exposed, "difference"].to_numpy(float)
            across = at + np.linspace(-0.25, 0.25, len(values)) if len(values) > 1 else [at]
            axes.scatter(
                across[: len(values)], np.sort(values), s=12, alpha=0.7, color=COLOURS[subset]
            )
            if len(values):
                axes.hlines(values.mean(), at - 0.32, at + 0.32, color="black", lw=1.5)
        axes.axhline(0, color="black", lw=0.6, ls=":")
        axes.set_xticks([0, 1], ["also trained on", "new"])
        axes.set(title=name, ylabel="difference, points" if axes is grid[0][0] else "")
    return figure
