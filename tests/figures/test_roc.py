import matplotlib as mpl
import numpy as np
import pandas as pd
import pytest

mpl.use("Agg")
import matplotlib.pyplot as plt
from matplotlib.collections import PathCollection

from mammostudy.figures import roc, style
from mammostudy.study import published, roc_printed
from mammostudy.study import roc as chapter

CURVES = (*published.SHAPES, "macro", "micro")


@pytest.fixture(autouse=True)
def clean_style():
    with mpl.rc_context():
        style.use_style()
        yield
    plt.close("all")


def lines(**columns):
    """Two points of every curve of every classifier."""
    rows = [
        {"model": model, "curve": curve, "false_positive": x, "true_positive": x**0.5, **columns}
        for model in roc.TITLES
        for curve in CURVES
        for x in (0.0, 0.25, 1.0)
    ]
    return pd.DataFrame(rows)


def curves_of(axes):
    return [line for line in axes.get_lines() if line.get_label() in CURVES]


def test_every_row_and_curve_of_the_chapter_has_a_look_of_its_own():
    assert list(roc.TITLES) == [chapter.PAPER, chapter.STUDY, chapter.FOREST]
    assert set(roc.TITLES) <= set(roc_printed.TITLES)
    assert tuple(roc.LINES) == CURVES
    assert len({look["color"] for look in roc.LINES.values()}) == len(CURVES)
    dashes = [str(roc.LINES[name]["ls"]) for name in published.SHAPES]
    assert len(set(dashes)) == len(dashes)


def test_curves_are_square_and_named():
    figure = roc.curves(lines(), chapter.published_points())
    left, right = figure.axes
    for axes in (left, right):
        assert axes.get_aspect() == 1
        assert axes.get_xlabel() == "1 - specificity"
        assert len(curves_of(axes)) == len(CURVES)
        assert curves_of(axes)[0].get_ydata().tolist() == [0, 0.5, 1]
    assert left.get_ylabel() == "sensitivity"
    crosses = [c for c in left.collections if isinstance(c, PathCollection)]
    assert crosses[0].get_offsets()[0].tolist() == pytest.approx([33 / 166, 96 / 126])
    assert len(crosses[0].get_offsets()) == 4


def test_published_points_of_other_classes_are_not_drawn():
    three = lines()
    three = three[three["curve"] != "lobular"]
    left, _ = roc.curves(three, chapter.published_points()).axes
    assert not [c for c in left.collections if isinstance(c, PathCollection)]


def test_both_intervals_are_drawn_where_they_exist():
    table = pd.DataFrame(
        {
            "model": "paper",
            "curve": ["oval", "macro"],
            "auc": [0.8, 0.7],
            "delong_low": [0.75, np.nan],
            "delong_high": [0.85, np.nan],
            "low": [0.7, 0.6],
            "high": [0.9, 0.8],
        }
    )
    figure = roc.areas(table)
    bars = figure.axes[0].containers
    assert [bar.lines[0].get_xdata()[0] for bar in bars] == [0.8, 0.8, 0.7]
    assert [tick.get_text() for tick in figure.axes[0].get_yticklabels()] == ["oval", "macro"]
    assert [text.get_text() for text in figure.legends[0].get_texts()] == [
        "over patients",
        "DeLong",
    ]


def test_folds_are_thin_lines_about_a_band():
    each = pd.concat([lines(fold=fold) for fold in range(5)])
    means = lines(low=0.1, high=0.9, auc=0.8, auc_sd=0.05, folds=5)
    figure = roc.folds(each, means)
    shown = [axes for axes in figure.axes if axes.get_lines()]
    assert len(shown) == len(CURVES)
    for axes in shown:
        assert sorted(line.get_linewidth() for line in curves_of(axes)) == [0.6] * 5 + [2]
        assert len(axes.collections) == 1
        assert axes.get_aspect() == 1
    assert shown[0].get_title() == "irregular, 5 folds\nAUC 0.800 ± 0.050"
    three = [table[table["curve"] != "lobular"] for table in (each, means)]
    named = [axes.get_xlabel() for axes in roc.folds(*three).axes]
    assert named[:5] == ["", "", *["1 - specificity"] * 3]  # below the third stands nothing
    single = roc.folds(each[each["fold"] == 0], means.assign(folds=1, auc_sd=0.0))
    assert single.axes[0].get_title().endswith("AUC 0.800")


def test_settled_differences_are_filled():
    tests = pd.DataFrame(
        {
            "b": ["study", "study", "random forest on features"],
            "curve": ["oval", "macro", "oval"],
            "difference": [-0.1, -0.05, 0.02],
            "low": [-0.2, -0.1, np.nan],
            "high": [-0.05, 0.01, np.nan],
            "p_holm": [0.01, np.nan, 0.9],
        }
    )
    study, forest = roc.differences(tests).axes
    faces = [bar.lines[0].get_markerfacecolor() for bar in study.containers]
    assert faces == [style.BLUE, "white"]
    assert not forest.containers  # no interval, no point
    assert forest.get_title() == "minus random forest"


def test_reliability_before_and_after_with_their_cases():
    part = pd.DataFrame(
        {
            "low": [0.4, 0.8],
            "high": [0.5, 0.9],
            "cases": [3, 7],
            "confidence": [0.45, 0.85],
            "accuracy": [0.5, 0.8],
            "accuracy_low": [0.1, 0.6],
            "accuracy_high": [0.9, 0.9],
        }
    )
    both = [part.assign(model="paper", scaling=name) for name in roc.SCALINGS]
    axes = roc.reliability(pd.concat(both)).axes
    assert len(axes[0].containers) == 2
    assert axes[0].get_aspect() == 1
    assert [line.get_ydata().tolist() for line in axes[3].get_lines()] == [[3, 3, 7, 7]] * 2
    assert not axes[1].containers


def test_figures_without_records_are_empty_and_do_not_fail():
    nothing = lines(fold=0, low=0.0, high=1.0, auc=0.5, auc_sd=0.0, folds=1).iloc[:0]
    assert roc.curves(nothing, chapter.published_points()).axes
    assert roc.folds(nothing, nothing).axes
    assert roc.areas(chapter.auc_table({}, ())).axes
    assert roc.differences(pd.DataFrame(columns=["b", "curve"])).axes
    assert roc.reliability(pd.DataFrame(columns=["model", "scaling"])).axes
