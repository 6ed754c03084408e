"""Figures on ROC curves and calibration of the shape classifiers."""

from __future__ import annotations

from typing import Any

import matplotlib.pyplot as plt
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from mammostudy.figures import primitives as style

TITLES = {
    "paper": "paper's CNN",
    "study": "study's CNN",
    "random forest on features": "random forest",
}
LINES: dict[str, dict[str, Any]] = {
    "irregular": {"color": style.SHAPE_COLOURS["irregular"], "ls": "-"},
    "lobular": {"color": style.SHAPE_COLOURS["lobular"], "ls": (0, (6, 1.5))},
    "oval": {"color": style.SHAPE_COLOURS["oval"], "ls": (0, (3, 1.5))},
    "round": {"color": style.SHAPE_COLOURS["round"], "ls": (0, (6, 1.5, 1.5, 1.5))},
    "macro": {"color": "black", "ls": "-"},
    "micro": {"color": style.GREY, "ls": "-"},
}
"""Colour and dashes of a curve: every class can be told by either."""
INTERVALS = {
    "over patients": ("low", "high", style.BLUE, "o"),
    "DeLong": ("delong_low", "delong_high", style.ORANGE, "s"),
}
SCALINGS = {"before": (style.ORANGE, "s"), "after": (style.BLUE, "o")}


def curves(points: pd.DataFrame, published: pd.DataFrame) -> Figure:
    """The pooled curves of the paper's and of the study's CNN.

    Args:
        points: :func:`mammostudy.study.roc.pooled_curves`.
        published: :func:`mammostudy.study.roc.published_points`; drawn as crosses in the paper's
            panel, if the page has the same classes.

    Returns:
        Two square panels.
    """
    figure, panels = plt.subplots(1, 2, figsize=(style.WIDTH, 4.3), sharey=True)
    for axes, model in zip(panels, ("paper", "study"), strict=True):
        part = points[points["model"] == model]
        for name, line in part.groupby("curve", sort=False):
            _step(axes, line, str(name), lw=1.6)
        _plane(axes, TITLES[model])
    crosses = published.dropna()
    if set(crosses["curve"]) <= set(points["curve"]):
        colours = [LINES[name]["color"] for name in crosses["curve"]]
        at = (crosses["false_positive"], crosses["true_positive"])
        panels[0].scatter(*at, c=colours, marker="X", s=55, ec="white", zorder=4)
    panels[1].set_ylabel("")
    _legend(figure, panels[0])
    return figure


def _step(axes: Axes, line: pd.DataFrame, name: str, **options: Any) -> None:
    look = {**LINES.get(name, {}), "label": name, **options}
    axes.plot(line["false_positive"], line["true_positive"], **look)


def _plane(axes: Axes, title: str) -> None:
    """Make axes the ROC plane: square, with the line of chance."""
    axes.plot([0, 1], [0, 1], color="black", lw=0.8, ls=":")
    axes.set(xlim=(-0.01, 1.01), ylim=(-0.01, 1.01), aspect="equal", title=title)
    axes.set(xlabel="1 - specificity", ylabel="sensitivity")


def _legend(figure: Figure, axes: Axes) -> None:
    handles, labels = axes.get_legend_handles_labels()
    if handles:
        figure.legend(
            handles, labels, loc="outside lower center", ncols=6, fontsize="x-small", handlelength=3
        )


def areas(table: pd.DataFrame) -> Figure:
    """The AUC of every curve with the interval over patients and DeLong's side by side.

    Args:
        table: :func:`mammostudy.study.roc.auc_table`.

    Returns:
        A panel a classifier.
    """
    figure, panels = plt.subplots(
        1, len(TITLES), figsize=(style.WIDTH, 3.4), sharex=True, sharey=True
    )
    names = list(dict.fromkeys(table["curve"]))
    for axes, (model, title) in zip(panels, TITLES.items(), strict=True):
        for row in table[table["model"] == model].to_dict("records"):
            for shift, (low, high, colour, marker) in zip(
                (-0.14, 0.14), INTERVALS.values(), strict=True
            ):
                y = names.index(row["curve"]) + shift
                _interval(axes, y, row["auc"], row[low], row[high], color=colour, fmt=marker)
        axes.set(xlabel="AUC", title=title)
        _rows(axes, names)
    for label, (_, _, colour, marker) in INTERVALS.items():
        panels[0].plot([], [], color=colour, marker=marker, label=label)
    _legend(figure, panels[0])
    return figure


def _interval(axes: Axes, y: float, value: float, low: float, high: float, **options: Any) -> None:
    """Draw a point with its interval; a point with no interval is left out."""
    if pd.notna(low) and pd.notna(high):
        reach = [[max(value - low, 0)], [max(high - value, 0)]]
        axes.errorbar(value, y, xerr=reach, ms=4, elinewidth=1.4, **options)


def _rows(axes: Axes, names: list[str]) -> None:
    axes.set_yticks(range(len(names)), names)
    axes.set_ylim(len(names) - 0.4, -0.6)
    axes.yaxis.grid(visible=False)


def folds(each: pd.DataFrame, means: pd.DataFrame, model: str = "paper") -> Figure:
    """Every curve fold by fold, with the mean over folds and one standard deviation about it.

    Args:
        each: :func:`mammostudy.study.roc.fold_curves`.
        means: :func:`mammostudy.study.roc.mean_curves`.
        model: whose curves.

    Returns:
        A square panel a curve; thin lines are single folds.
    """
    each, means = each[each["model"] == model], means[means["model"] == model]
    names = list(dict.fromkeys(means["curve"]))
    figure, grid = plt.subplots(
        max(1, -(-len(names) // 3)), 3, figsize=(style.WIDTH, 5.2), squeeze=False
    )
    for axes in grid.flat[len(names) :]:
        axes.set_axis_off()
    for place, (axes, name) in enumerate(zip(grid.flat, names, strict=False)):
        for _, line in each[each["curve"] == name].groupby("fold"):
            _step(axes, line, str(name), lw=0.6, alpha=0.8, ls="-")
        mean = means[means["curve"] == name]
        colour = LINES.get(name, {}).get("color")
        band = (mean["false_positive"], mean["low"], mean["high"])
        axes.fill_between(*band, color=colour, alpha=0.2, lw=0)
        _step(axes, mean, str(name), lw=2, ls="-")
        row = mean.iloc[0]
        spread = f" ± {row['auc_sd']:.3f}" if row["folds"] > 1 else ""
        _plane(axes, f"{name}, {row['folds']} folds\nAUC {row['auc']:.3f}{spread}")
        axes.title.set_fontsize("small")
        axes.tick_params(labelbottom=place + 3 >= len(names), labelleft=place % 3 == 0)
        axes.set_xlabel("1 - specificity" if place + 3 >= len(names) else "")
        axes.set_ylabel("sensitivity" if place % 3 == 0 else "")
    return figure


def differences(tests: pd.DataFrame) -> Figure:
    """The AUC of the paper's CNN minus that of each other classifier.

    Args:
        tests: :func:`mammostudy.study.roc_comparison.comparisons`.

    Returns:
        A panel a comparison; a point right of 0 says that the paper's CNN separates better, a
        filled one that DeLong's test finds a difference after Holm's correction.
    """
    others = list(dict.fromkeys(tests["b"]))
    figure, panels = plt.subplots(
        1, max(len(others), 1), figsize=style.WIDE, sharex=True, sharey=True, squeeze=False
    )
    names = list(dict.fromkeys(tests["curve"]))
    for axes, other in zip(panels.flat, others, strict=False):
        axes.axvline(0, color="black", lw=1)
        for row in tests[tests["b"] == other].to_dict("records"):
            face = style.BLUE if row["p_holm"] < 0.05 else "white"
            look = {"fmt": "o", "color": style.BLUE, "mfc": face}
            y = names.index(row["curve"])
            _interval(axes, y, row["difference"], row["low"], row["high"], **look)
        axes.set_title(f"minus {TITLES.get(other, other)}")
        _rows(axes, names)
    figure.supxlabel("difference in AUC, the paper's CNN minus the other", fontsize="small")
    return figure


def reliability(table: pd.DataFrame) -> Figure:
    """Confidence against accuracy before and after temperature scaling, and the cases behind it.

    Args:
        table: :func:`mammostudy.study.roc_calibration.reliability`.

    Returns:
        A square panel a classifier, with the number of cases by confidence below it.
    """
    figure, (upper, lower) = plt.subplots(
        2, len(TITLES), figsize=(style.WIDTH, 4.4), sharex=True, sharey="row", height_ratios=(3, 1)
    )
    for axes, bars, (model, title) in zip(upper, lower, TITLES.items(), strict=True):
        axes.plot([0, 1], [0, 1], color="black", lw=0.8, ls=":")
        for scaling, (colour, marker) in SCALINGS.items():
            part = table[(table["model"] == model) & (table["scaling"] == scaling)]
            _reliable(axes, part, colour, marker, f"{scaling} scaling")
            if len(part):
                edges = [*part["low"], part["high"].iloc[-1]]
                bars.step(
                    [edge for pair in zip(part["low"], part["high"], strict=True) for edge in pair],
                    [count for count in part["cases"] for _ in range(2)],
                    color=colour,
                    lw=1.4,
                )
                bars.set_xlim(min(0, *edges), 1)
        axes.set(xlim=(0, 1), ylim=(0, 1), aspect="equal", title=title)
        bars.set_xlabel("confidence")
    upper[0].set_ylabel("accuracy")
    lower[0].set_ylabel("cases")
    lower[0].set_ylim(bottom=0)
    _legend(figure, upper[0])
    return figure


def _reliable(axes: Axes, part: pd.DataFrame, colour: str, marker: str, label: str) -> None:
    if len(part):
        reach = [part["accuracy"] - part["accuracy_low"], part["accuracy_high"] - part["accuracy"]]
        at = (part["confidence"], part["accuracy"])
        look: dict[str, Any] = {"color": colour, "marker": marker, "ms": 4, "lw": 1}
        axes.errorbar(
            *at, yerr=[side.clip(lower=0) for side in reach], label=label, elinewidth=0.8, **look
        )
