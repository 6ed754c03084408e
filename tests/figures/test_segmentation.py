"""What is special to the figures on segmentation, from toy tables."""

import numpy as np
import pandas as pd

from mammostudy.figures import segmentation

DICE, RELEASED = "cGAN, Dice (paper)", "cGAN, as released"


def drawn(axes):
    return [list(line.get_ydata()) for line in axes.get_lines()]


def test_courses_of_losses():
    quantities = ("generator", "validation_dice", "discriminator_real", "adversarial", "overlap")
    long = [(r, at, q, 0.5 + at) for r in (DICE, RELEASED) for q in quantities for at in (0, 1)]
    curves = pd.DataFrame(long, columns=["row", "iteration", "quantity", "value"])
    left, right = segmentation.loss_curves(curves).axes
    assert (left.get_yscale(), drawn(left)) == ("log", [[0.5, 1.5]])  # the released has other units
    assert len(drawn(right)) == 2
    left, right = segmentation.adversaries(curves).axes
    assert drawn(left)[0] == [0.5, 1.5]
    assert len(drawn(right)) == 3  # two losses, and the line of chance


def test_mean_masks_are_on_one_scale():
    figure = segmentation.mean_masks({"a": np.full((2, 2), 0.25), "b": np.eye(2)})
    pictures = [axes.images[0] for axes in figure.axes if axes.images]
    assert [picture.get_clim() for picture in pictures] == [(0, 100)] * 2
    assert pictures[0].get_array().max() == 25


def test_boxes_have_the_papers_quartiles_below():
    rows = pd.DataFrame({"row": ["a"] * 3 + ["b"] * 3, "replicate": 0, "dice": [0.1, 0.8, 0.9] * 2})
    paper = {"model": ["a"], "metric": "dice", "q1": 0.5, "median": 0.6, "q3": 0.7}
    axes = segmentation.boxes(rows, pd.DataFrame(paper)).axes[0]
    assert [0.5, 0.7] in [list(line.get_xdata()) for line in axes.get_lines()]
    assert segmentation.boxes(rows[:0], pd.DataFrame(paper)) is None


def test_scales_have_a_panel_a_grid_and_a_line_a_box():
    metrics, boxes, sides = ["dice", "dice_image"], ["oracle", "jittered"], [1.0, 2.0]
    cells = pd.MultiIndex.from_product([metrics, boxes, sides], names=["metric", "box", "scale"])
    summary = cells.to_frame(index=False).assign(row="cGAN", mean=0.5, low=0.4, high=0.6)
    figure = segmentation.scales(summary)
    styles = [{line.get_linestyle() for line in axes.get_lines()} for axes in figure.axes]
    assert styles == [{"-", "--"}] * 2
