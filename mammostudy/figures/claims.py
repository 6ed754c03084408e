"""The forest plot of the claims."""

from __future__ import annotations

from textwrap import fill

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from mammostudy.figures import primitives as style

_COLOURS = {
    "supported": style.GREEN,
    "contradicted": style.RED,
    "undecided": style.GREY,
}
_MARKERS = {"supported": "o", "contradicted": "X", "undecided": "s"}
_TICKS = (-100, -50, -20, -10, -5, -2, 0, 2, 5, 10, 20, 50, 100)
_TEXT = 44  # characters of a claim on a line


def forest(judged: pd.DataFrame) -> Figure:
    """Differences with their intervals and margins, a row a claim that was tested.

    Args:
        judged: :func:`mammostudy.study.claims.judge`; rows without a difference are left out.
    """
    tested = judged[judged["difference"].notna()]
    where = np.arange(len(tested))
    figure, axes = plt.subplots(figsize=(style.WIDTH, 0.62 * len(tested) + 1.3))
    for y, row in zip(where, tested.to_dict("records"), strict=True):
        mean, low, high = (100 * row[name] for name in ("difference", "low", "high"))
        if not np.isfinite([low, high]).all():
            low = high = mean
        colour, marker = _COLOURS[row["verdict"]], _MARKERS[row["verdict"]]
        ends = [[mean - low], [high - mean]]
        axes.errorbar(mean, y, xerr=ends, fmt=marker, color=colour, capsize=4, ms=7)
        margin = 100 * row["margin"]
        axes.plot([margin, margin], [y - 0.32, y + 0.32], color="black", lw=1.4)
    axes.axvline(0, color="black", lw=1)
    axes.set_xscale("symlog", linthresh=5)
    low, high = axes.get_xlim()
    ticks = [tick for tick in _TICKS if low <= tick <= high]
    axes.set_xticks(ticks, [f"{tick:+g}" if tick else "0" for tick in ticks])
    axes.set_yticks(where, [fill(text, _TEXT) for text in tested["claim"]], fontsize="small")
    axes.set_ylim(len(tested) - 0.5, -0.5)
    axes.set_xlabel("difference, points (95 % interval; logarithmic beyond 5)")
    handles = [
        Line2D([], [], color=_COLOURS[name], marker=_MARKERS[name], label=name)
        for name in _COLOURS
        if (tested["verdict"] == name).any()
    ]
    handles.append(Line2D([], [], color="black", marker="|", ls="", ms=10, label="margin"))
    figure.legend(handles=handles, loc="outside lower center", ncols=4, fontsize="small")
    return figure
