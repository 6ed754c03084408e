"""Each figure on shapes draws from a toy table without a warning, and nothing from nothing."""

import numpy as np
import pandas as pd

from mammostudy.figures import shapes as figures

CLASSES = ("irregular", "lobular", "oval", "round")


def drawn(figure):
    figure.canvas.draw()
    return figure.axes


def texts(axes):
    return [text.get_text() for text in axes.texts]


def test_confusions_name_accuracy_and_mean_recall():
    counts = pd.DataFrame([[3, 1, 0], [0, 4, 2]], list("xy"), ["x", "y", "none"])
    left, right = drawn(figures.confusions({"net": counts}))
    assert "70.0" in left.get_title()  # 7 of 10
    assert "70.8" in right.get_title()  # 3/4 and 4/6
    assert figures.confusions({}) is None


def test_crossed_keeps_the_order_of_the_table():
    lines = [
        {"trained": a, "tested": b, "metric": metric, "mean": value}
        for a, row in (("z", (0.9, 0.1)), ("a", (0.2, 0.8)))
        for b, value in zip("zb", row, strict=True)
        for metric in ("accuracy", "macro recall")
    ]
    axes = drawn(figures.crossed(pd.DataFrame(lines)))
    assert texts(axes[0]) == ["90", "10", "20", "80"]
    assert figures.crossed(pd.DataFrame(lines).iloc[:0]) is None


def test_what_a_network_sees():
    rng = np.random.default_rng(0)
    kept = {
        "classes": CLASSES,
        "placement": "square",
        "between_positions": np.linspace(0, 3, 5),
        "between_probabilities": rng.dirichlet(np.ones(4), (3, 5)),
    }
    lines, strip = drawn(figures.walk(kept))
    assert len(lines.get_lines()) == 4
    assert len(strip.artists) == 7


def test_curves_have_a_line_a_class_and_average():
    points = pd.DataFrame({"false_positive": [0, 0.2, 1], "true_positive": [0, 0.8, 1]})
    every = pd.concat([points.assign(row="net", curve=name) for name in (*CLASSES, "macro")])
    (panel,) = drawn(figures.roc_curves(every, ["net"]))
    assert len(panel.get_lines()) == 6


def test_reliability():
    lines = pd.DataFrame({"low": [0.2, 0.8], "high": [0.3, 0.9], "cases": [3, 5]})
    lines = lines.assign(mean=[0.25, 0.85], share=[0.3, 0.8])
    lines = lines.assign(share_low=[0.1, 0.6], share_high=[0.5, 0.9], row="net")
    table = pd.concat([lines.assign(scaling=name) for name in ("before", "after")])
    upper, lower = drawn(figures.reliability(table))
    assert upper.get_title() == "net"
    assert len(lower.get_lines()) == 2
    assert figures.reliability(table.iloc[:0]) is None
