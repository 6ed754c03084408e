"""Each figure on shapes draws from a toy table without a warning, and nothing from nothing."""

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest

from mammostudy.figures import shapes as figures

CLASSES = ("irregular", "lobular", "oval", "round")
TABLE = pd.DataFrame([[6, 2, 1, 0], [1, 5, 0, 2], [0, 0, 0, 0]], list("abc"), list(CLASSES))
pytestmark = pytest.mark.filterwarnings("error")


@pytest.fixture(autouse=True)
def _close():
    yield
    plt.close("all")


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
        "occlusion_maps": rng.normal(size=(5, 64, 64)).astype(np.float16),
        "shown": {f"c{k}": np.eye(64, k=k, dtype=bool) for k in range(5)},
        "titles": {f"c{k}": f"oval, {k}" for k in range(5)},
    }
    lines, strip = drawn(figures.walk(kept))
    assert len(lines.get_lines()) == 4
    assert len(strip.artists) == 7
    maps = drawn(figures.occlusions(kept))
    assert [axes.get_title() for axes in maps][:5] == [f"oval, {k}" for k in range(5)]
    assert figures.walk({}) is figures.occlusions({}) is figures.occlusions({"shown": {}}) is None


def test_roc_curves():
    points = pd.DataFrame({"false_positive": [0, 0.2, 1], "true_positive": [0, 0.8, 1]})
    every = pd.concat([points.assign(row="net", curve=name) for name in (*CLASSES, "macro")])
    published = pd.DataFrame({"curve": CLASSES, "false_positive": 0.1, "true_positive": 0.7})
    (panel,) = drawn(figures.roc_curves(every, published, ["net"]))
    assert len(panel.get_lines()) == 6
    assert len(panel.collections[0].get_offsets()) == 4
    fewer = every[every["curve"] != "round"]
    (panel,) = drawn(figures.roc_curves(fewer, published, ["net"]))
    assert not panel.collections  # the paper's crosses are of other classes
    mean = points.assign(curve="oval", low=0.0, high=1.0, auc=0.8, auc_sd=0.1, curves=2)
    each = pd.concat([points.assign(curve="oval", fold=fold) for fold in (0, 1)])
    axes = drawn(figures.roc_folds(each, mean))
    assert "0.800 ± 0.100" in axes[0].get_title()
    assert figures.roc_folds(each, mean.iloc[:0]) is None


def test_reliability():
    lines = pd.DataFrame({"low": [0.2, 0.8], "high": [0.3, 0.9], "cases": [3, 5]})
    lines = lines.assign(confidence=[0.25, 0.85], accuracy=[0.3, 0.8])
    lines = lines.assign(accuracy_low=[0.1, 0.6], accuracy_high=[0.5, 0.9], row="net")
    table = pd.concat([lines.assign(scaling=name) for name in ("before", "after")])
    upper, lower = drawn(figures.reliability(table))
    assert upper.get_title() == "net"
    assert len(lower.get_lines()) == 2
    assert figures.reliability(table.iloc[:0]) is None


def test_subtypes():
    left, right = drawn(figures.mosaics({"one": TABLE, "other": TABLE.iloc[:2]}))
    assert [label.get_text() for label in left.get_xticklabels()] == ["a (9)", "b (8)", "c (0)"]
    assert [text for text in texts(left) if text] == ["6", "1", "2", "5", "1", "2"]
    assert right.get_title() == "other"
    assert len(drawn(figures.residuals({str(k): TABLE.iloc[:2] / 3 for k in range(4)}))) == 8
    assert figures.mosaics({}) is figures.residuals({}) is None
    curves = pd.DataFrame({"table": "t", "v": [0, 0.2, 0.4], "power": [0.05, 0.5, 0.9]})
    (axes,) = drawn(figures.power(curves, pd.DataFrame({"smallest V": [0.35]})))
    assert axes.get_lines()[0].get_label() == "t"
