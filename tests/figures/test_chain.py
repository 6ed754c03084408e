import matplotlib as mpl
import numpy as np
import pandas as pd
import pytest

mpl.use("Agg")
import matplotlib.pyplot as plt
from matplotlib.patches import Rectangle

from mammostudy.figures import chain, chain_pictures, style
from mammostudy.study.chain_examples import Example

PARTS = ["segmentation", "box", "missed"]


@pytest.fixture(autouse=True)
def clean_style():
    with mpl.rc_context():
        style.use_style()
        yield
    plt.close("all")


def budget(values):
    rows = [
        {"arm": arm, "measure": "1 - Dice", "part": part, "mean": value}
        for arm, parts in values.items()
        for part, value in zip([*PARTS, "error"], [*parts, sum(parts)], strict=True)
    ]
    return pd.DataFrame(rows)


def test_bars_stand_end_to_end_and_negative_ones_left_of_zero():
    figure = chain.budget(budget({"a": (0.1, 0.2, 0.3), "b": (0.3, -0.1, 0.2)}))
    axes = figure.axes[0]
    bars = [patch for patch in axes.patches if isinstance(patch, Rectangle)]
    edges = [(bar.get_x(), bar.get_x() + bar.get_width()) for bar in bars]
    np.testing.assert_allclose(
        [sorted(edge) for edge in edges],
        [(0, 0.1), (0.1, 0.3), (0.3, 0.6), (0, 0.3), (-0.1, 0), (0.3, 0.5)],
        atol=1e-12,
    )
    assert axes.get_xlim()[0] < -0.1
    texts = [text.get_text() for text in figure.legends[0].get_texts()]
    assert texts == [*PARTS, "sum of the parts"]


def test_scores_stand_by_source_with_the_commonest_shape_dashed():
    table = pd.DataFrame(
        {
            "arm": ["a", "a"], "source": ["oracle", "detected"], "mean": [0.9, np.nan],
            "low": [0.8, np.nan], "high": [1.0, np.nan], "commonest": [0.4, 0.5],
        }
    )  # fmt: skip
    figure = chain.scores(table, {"oracle": "known", "detected": "detected, missed"}, "score")
    axes = figure.axes[0]
    assert [text.get_text() for text in axes.get_xticklabels()] == ["known", "detected,\nmissed"]
    assert any(np.allclose(line.get_ydata(), 0.5) for line in axes.get_lines())


@pytest.mark.parametrize("empty", [True, False])
def test_every_figure_draws_with_and_without_rows(empty):
    n = 0 if empty else 2
    boxes = pd.DataFrame(
        {"known": [0.9] * n, "detected": [0.8] * n, "iou": [0.5] * n, "loss": [0.1] * n}
    )
    chain.box_quality(boxes).canvas.draw()
    table = budget({} if empty else {"a": (0.1, 0.2, 0.3)})
    if empty:
        table = pd.DataFrame(columns=["arm", "measure", "part", "mean"])
    chain.budget(table).canvas.draw()
    scores = pd.DataFrame(columns=["arm", "source", "mean", "low", "high"])
    chain.scores(scores, {"oracle": "known"}, "score").canvas.draw()


@pytest.mark.parametrize("found", [True, False])
def test_examples_show_boxes_mask_and_shape(found):
    row = pd.Series(
        {"case": "a1", "found": found, "dice": 0.8 if found else 0.0, "label": "oval",
         "predicted": "round" if found else "none", "probability": 0.6}
    )  # fmt: skip
    grey = np.random.default_rng(0).random((20, 16)).astype(np.float32)
    each = Example(
        "best found", row, grey, [("finds it", (1, 1, 5, 5)), ("known", (2, 2, 6, 6))], grey,
        np.zeros((8, 8, 3), np.uint8), np.eye(64, dtype=bool) if found else None,
    )  # fmt: skip
    figure = chain_pictures.examples([each])
    figure.canvas.draw()
    titles = [axes.get_title() for axes in figure.axes]
    assert titles[0] == "best found"
    assert titles[3].startswith("round, p 0.60" if found else "no shape told")
    assert len(figure.axes[0].patches) == 2
