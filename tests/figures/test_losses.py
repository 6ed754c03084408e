import matplotlib as mpl
import numpy as np
import pandas as pd
import pytest

mpl.use("Agg")
import matplotlib.pyplot as plt
from matplotlib.collections import PathCollection

from mammostudy.figures import losses, style
from mammostudy.study import losses as chapter


@pytest.fixture(autouse=True)
def clean_style():
    with mpl.rc_context():
        style.use_style()
        yield
    plt.close("all")


def table(row, quantity, values):
    content = {"row": row, "quantity": quantity, "value": values}
    return pd.DataFrame(content | {"iteration": range(1, len(values) + 1)})


def test_every_trained_row_has_a_colour_of_its_own():
    assert set(losses.COLOURS) == set(chapter.TRAINED)
    assert len(set(losses.COLOURS.values())) == len(chapter.TRAINED)
    assert {chapter.DICE, chapter.L1} == set(losses.UNITS)


def test_curves_are_logarithmic_on_the_left_and_dice_on_the_right():
    content = pd.concat(
        [
            table(chapter.DICE, "generator", [120.0, 20.0]),
            table(chapter.L1, "generator", [70.0, 10.0]),
            table(chapter.DICE, "validation_dice", [0.5, 0.8]),
        ]
    )
    left, right = losses.curves(content).axes
    assert left.get_yscale() == "log"
    assert [line.get_ydata().tolist() for line in left.get_lines()] == [[120, 20], [70, 10]]
    assert "own units" in left.get_ylabel()
    assert [line.get_ydata().tolist() for line in right.get_lines()] == [[0.5, 0.8]]


def test_a_released_loss_below_zero_is_drawn():
    left, _ = losses.adversaries(table(chapter.RELEASED, "overlap", [1.0, -300.0])).axes
    assert left.get_yscale() == "symlog"
    assert left.get_ylim()[0] < -300


def test_scores_and_single_trainings():
    summary = pd.DataFrame(
        {
            "row": [chapter.DICE, "ellipse"] * 2,
            "metric": ["dice", "dice", "iou", "iou"],
            "mean": [0.8, 0.7, 0.6, 0.5],
            "low": 0.4,
            "high": 0.9,
            "converged": ["no", "no training"] * 2,
        }
    )
    trainings = pd.DataFrame({"row": [chapter.DICE] * 3 + ["ellipse"], "mean": 0.75})
    dice, iou = losses.scores(summary, trainings).axes
    assert [c.lines[0].get_xdata()[0] for c in dice.containers] == [0.8, 0.7]
    assert [c.lines[0].get_xdata()[0] for c in iou.containers] == [0.6, 0.5]
    assert [tick.get_text() for tick in dice.get_yticklabels()] == [chapter.DICE, "ellipse"]
    dots = [c for c in dice.collections if isinstance(c, PathCollection)]
    sizes = [(len(c.get_offsets()), c.get_sizes()[0]) for c in dots]
    assert (3, 10) in sizes  # trainings; a baseline has none
    assert sum(size == 90 for _, size in sizes) == 1  # the ring


def test_differences_stand_in_both_panels():
    tests = pd.DataFrame({"b": [chapter.L1], "difference": [0.5], "low": [0.4], "high": [0.6]})
    pairs = pd.DataFrame({"b": [chapter.L1] * 2, "mean": [0.45, 0.55]})
    everything, near = losses.differences(tests, pairs).axes
    assert everything.get_xlim()[1] > 0.6
    assert near.get_xlim() == (-losses.NEAR, losses.NEAR)
    assert len(everything.collections[-1].get_offsets()) == 2


@pytest.mark.parametrize("n", [0, 1, 3, 6])
def test_mean_masks_are_a_picture_each(n):
    masks = {f"row {i}": np.full((4, 4), i / 6) for i in range(n)}
    figure = losses.mean_masks(masks)
    shown = [axes for axes in figure.axes if axes.get_images()]
    assert [axes.get_title() for axes in shown] == list(masks)
    for axes, mask in zip(shown, masks.values(), strict=True):
        assert axes.get_images()[0].get_array().max() == pytest.approx(100 * mask.max())


def test_figures_without_records_are_empty_and_do_not_fail():
    curves = pd.DataFrame(columns=["iteration", "quantity", "value", "row"])
    nobody = pd.DataFrame(columns=["row", "fold", "seed", "mean"])
    assert losses.curves(curves).axes
    assert losses.adversaries(curves).axes
    assert losses.scores(pd.DataFrame(), nobody).axes
    assert losses.differences(pd.DataFrame(), pd.DataFrame(columns=["b", "mean"])).axes
