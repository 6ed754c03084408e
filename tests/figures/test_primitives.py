"""The figures that every chapter draws, from toy tables."""

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
from matplotlib.collections import PathCollection

from mammostudy.figures import primitives
from mammostudy.study.comparing import judge

LINES = [
    {"a": name, "b": "c", "difference": value, "low": value - 0.05, "high": value + 0.05, "p": 0.01}
    for name, value in (("a", 0.2), ("b", -0.2))
]


def points(axes):
    return [bars.lines[0].get_xdata()[0] for bars in axes.containers]


def test_comparisons_are_drawn_a_row_each_in_the_colour_of_their_verdict():
    figure = primitives.forest(judge(LINES), names=["one", "two"])
    axes = figure.axes[0]
    assert points(axes) == [0.2, -0.2]
    assert [label.get_text() for label in axes.get_yticklabels()] == ["one", "two"]
    assert [text.get_text() for text in figure.legends[0].get_texts()] == ["better", "worse"]
    assert not primitives.forest(judge(LINES, judged=False)).legends
    assert primitives.forest(judge([])) is None


def test_dots_have_a_panel_a_metric_and_ring_what_had_not_converged():
    rows = [("x", "dice", 0.8, 0.7, 0.9, "yes"), ("y", "dice", 0.6, -np.inf, np.inf, "no")]
    rows.append(("x", "iou", 0.7, 0.6, 0.8, "yes"))
    columns = ["row", "metric", "mean", "low", "high", "converged"]
    summary = pd.DataFrame(rows, columns=columns)
    figure = primitives.dots(summary, {"dice": "Dice", "iou": "IoU"}, hue="converged")
    assert [points(axes) for axes in figure.axes] == [[0.8, 0.6], [0.7]]
    rings = figure.axes[0].findobj(PathCollection)
    assert [ring.get_offsets()[0][0] for ring in rings] == [0.6]
    assert primitives.dots(summary[:0], {"dice": "Dice"}) is None


def test_lines_stand_in_the_order_of_x():
    table = pd.DataFrame({"row": ["a", "a"], "x": [2, 1], "y": [4, 3], "low": 2, "high": 5})
    _, axes = plt.subplots()
    primitives.lines(axes, table, "x", "y", band=True)
    assert axes.get_lines()[0].get_ydata().tolist() == [3, 4]  # in the order of x
    assert primitives.montage([]) is None


def test_what_data_hold_is_shown_and_never_run():
    signs = ["<script>alert(1)</script>", "a_b % $\\frac{$", "{{7*7}} [red]"]
    table = primitives.page_table(pd.DataFrame({"<b>case</b>": signs, "n": [1, 2.5, None]}))
    page, paper = table.to_html(), table._repr_latex_()
    assert "<script>" not in page
    assert "<b>" not in page
    assert "&lt;script&gt;" in page
    assert all(sign in repr(table) for sign in signs)
    assert r"a\_b \% \$" in paper
    assert repr(table) == repr(primitives.page_table(table.data))  # equal runs give equal files
    assert table.to_html() == primitives.page_table(table.data).to_html()
    primitives.use_style()
    figure = primitives.montage([(sign, np.zeros((4, 4))) for sign in signs])
    figure.canvas.draw()  # mathematics in a name would stop here


@pytest.mark.parametrize(("threshold", "expected"), [(None, "0.1"), (0.05, "-0.05")])
def test_ticks_of_logarithmic_axes_are_plain_numbers(threshold, expected):
    primitives.use_style()
    figure, axes = plt.subplots()
    axes.plot([0.01, 100], [0, 1])
    primitives.logarithmic(axes.xaxis, threshold)
    axes.set_xlim((-1, 100) if threshold else (0.01, 100))
    figure.canvas.draw()
    texts = [label.get_text() for label in axes.get_xticklabels()]
    assert expected in texts
    assert not [text for text in texts if "$" in text]
