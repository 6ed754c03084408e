"""Figure of the page on a new cohort: the difference that can be seen by the number of patients."""

from __future__ import annotations

import matplotlib.pyplot as plt
import pandas as pd
from matplotlib.figure import Figure

from mammostudy.figures import primitives as style


def power(curves: pd.DataFrame, patients: int) -> Figure:
    """The difference seen with 80 % power, in margins of each claim, by number of patients.

    Args:
        curves: :func:`mammostudy.study.power.curves`.
        patients: of the page's cohort.
    """
    figure, axes = plt.subplots(figsize=(style.WIDTH, 4.4))
    names = list(curves["claim"].unique())
    for at, name in enumerate(names):
        part = curves[curves["claim"] == name]
        dashes = "-" if at < len(style.PALETTE) else "--"
        colour = style.PALETTE[at % len(style.PALETTE)]
        axes.plot(part["patients"], part["visible"], color=colour, ls=dashes, lw=1.6, label=name)
    axes.axhline(1, color="black", lw=1)
    axes.axvline(patients, color="black", lw=1, ls=":")
    axes.annotate(
        f"{patients:,} patients",
        (patients, 0.98),
        xycoords=("data", "axes fraction"),
        xytext=(4, 0),
        textcoords="offset points",
        va="top",
        fontsize="small",
    )
    axes.set(
        xscale="log",
        yscale="log",
        xlabel="patients",
        ylabel="difference that is seen, in margins of the claim",
    )
    figure.legend(loc="outside lower center", ncols=3, fontsize="x-small")
    return figure
