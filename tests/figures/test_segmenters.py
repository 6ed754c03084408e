import matplotlib as mpl
import numpy as np
import pandas as pd
import pytest

mpl.use("Agg")
import matplotlib.pyplot as plt
from matplotlib.collections import PathCollection

from mammostudy.figures import segmenters, style
from mammostudy.runs.spec import BASELINES
from mammostudy.study import published, segmenters_comparison
from mammostudy.study import segmenter_recipes as models
from mammostudy.study.segmenters_examples import Cell


@pytest.fixture(autouse=True)
def clean_style():
    with mpl.rc_context():
        style.use_style()
        yield
    plt.close("all")


def rings(axes, size=70):
    dots = [c for c in axes.collections if isinstance(c, PathCollection)]
    return sum(len(c.get_offsets()) for c in dots if c.get_sizes()[0] == size)


def labels(axes):
    return [tick.get_text() for tick in axes.get_yticklabels()]


def test_the_words_of_the_chapter_are_those_of_the_figures():
    assert segmenters.PROPOSED == models.PROPOSED
    assert set(segmenters.OWN) == set(models.ROWS) - set(models.PUBLISHED_ROWS)
    assert segmenters.BASELINES == BASELINES
    assert segmenters.MARGIN == segmenters_comparison.MARGIN
    kinds = {segmenters.colour(row) for row in (*models.ROWS, *BASELINES)}
    assert len(kinds) == 4


def test_scores_by_framing():
    line = {"low": 0.4, "high": 0.9, "converged": "yes"}
    rows = [("loose", models.UNET, 0.8), ("full", models.UNET, 0.5), ("loose", models.BEST, 0.7)]
    summary = pd.DataFrame(
        [
            {"framing": framing, "row": row, "metric": metric, "mean": mean, **line}
            for framing, row, mean in rows
            for metric in ("dice", "dice_image")
        ]
    )
    summary.loc[0, "converged"] = "no"
    left, right = segmenters.scores(summary).axes
    assert [c.lines[0].get_xdata()[0] for c in left.containers] == [0.8, 0.5, 0.7]
    assert labels(left) == ["UNet", "best found here"]
    assert (rings(left), rings(right)) == (1, 0)


def test_boxes_stand_beside_the_papers():
    cases = pd.DataFrame(
        {
            "row": [models.PROPOSED] * 5 + [models.UNET] * 5,
            "dice": [0.1, 0.8, 0.8, 0.9, 0.9] * 2,
            "iou": 0.5,
            "converged": [True] * 5 + [False] * 5,
        }
    )
    quartiles = pd.DataFrame(
        {"row": [models.PROPOSED, models.UNET], "metric": "dice", "outliers": [1, 7]}
    )
    dice, iou = segmenters.boxes(cases, quartiles, published.box_plots()).axes
    hatches = [patch.get_hatch() for patch in dice.patches]
    assert hatches == [None, "////"]
    assert [text.get_text() for text in dice.texts] == ["1", "7"]
    assert not iou.texts
    drawn = [line.get_xdata().tolist() for line in dice.get_lines()]
    assert [0.901, 0.967] in drawn  # the paper's quartiles of the proposed cGAN
    assert labels(dice) == [models.PROPOSED, models.UNET]


def test_differences_and_their_rings():
    line = {"difference": 0.05, "low": 0.04, "high": 0.06}
    tests = pd.DataFrame(
        [
            {"b": models.UNET, **line, "unsettled": ""},
            {"b": models.FCN, **line, "unsettled": models.FCN},
        ]
    )
    left, right = segmenters.differences(tests).axes
    assert [c.lines[0].get_xdata()[0] for c in left.containers] == [0.05, 0.05]
    assert rings(left) == 1
    assert right.get_xlim() == (-0.06, 0.06)
    (axes,) = segmenters.outliers(tests).axes
    assert axes.containers[0].lines[0].get_xdata()[0] == 5.0  # points
    assert rings(axes) == 1


def test_ablations_show_both_parts():
    row = {"row": "x", "difference": 0.02, "low": 0.01, "high": 0.03, "unsettled": ""}
    test = {"test_difference": -0.01, "test_low": -0.02, "test_high": 0.0}
    (axes,) = segmenters.ablations(pd.DataFrame([row | test])).axes
    assert [c.lines[0].get_xdata()[0] for c in axes.containers] == [0.02, -0.01]


def test_cost_is_logarithmic_and_names_every_model():
    table = pd.DataFrame(
        {
            "row": [models.UNET, models.BEST, models.FCN],
            "seconds": [1.0, 10.0, 0.0],  # no time is known of the last
            "dice": 0.8,
            "low": 0.7,
            "high": 0.9,
            "parameters": 1_000_000,
            "converged": ["yes", "no", "yes"],
        }
    )
    figure = segmenters.cost(table)
    left, right = figure.axes
    assert left.get_xscale() == "log"
    assert [text.get_text() for text in left.texts] == ["1", "2"]
    names = [text.get_text() for text in figure.legends[0].get_texts()]
    assert names == ["1 UNet", "2 best found here", "not converged"]
    assert right.get_ylim() == pytest.approx((0.68, 0.92))  # of the converged


def test_a_grid_of_predictions():
    picture = np.zeros((4, 4, 3), np.uint8)
    cells = [
        Cell("worst", "full", picture, "0.500"),
        Cell("worst", "tight", None, "not run"),
        Cell("best", "full", picture, "0.900"),
        Cell("best", "tight", picture, "0.800"),
    ]
    figure = segmenters.grid(cells)
    assert [axes.get_xlabel() for axes in figure.axes] == ["0.500", "not run", "0.900", "0.800"]
    assert [len(axes.get_images()) for axes in figure.axes] == [1, 0, 1, 1]
    assert segmenters.grid([]) is None


def test_figures_without_records_are_empty_and_do_not_fail():
    nothing = pd.DataFrame(columns=["row", "metric", "seconds"])
    assert segmenters.scores(pd.DataFrame()).axes
    assert segmenters.boxes(nothing, nothing, published.box_plots()).axes
    assert segmenters.differences(pd.DataFrame()).axes
    assert segmenters.outliers(pd.DataFrame()).axes
    assert segmenters.ablations(pd.DataFrame()).axes
    assert segmenters.cost(nothing).axes
