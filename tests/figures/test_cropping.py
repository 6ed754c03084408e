from dataclasses import dataclass, field

import matplotlib as mpl
import numpy as np
import pandas as pd
import pytest

mpl.use("Agg")
import matplotlib.pyplot as plt
from matplotlib.collections import PathCollection

from mammostudy.figures import cropping, style
from mammostudy.study import cropping as chapter


@pytest.fixture(autouse=True)
def clean_style():
    with mpl.rc_context():
        style.use_style()
        yield
    plt.close("all")


@dataclass
class Example:
    strategy: str
    box: str
    others: np.ndarray
    target: np.ndarray = field(default_factory=lambda: np.pad(np.ones((4, 4), bool), 2))
    image: np.ndarray = field(default_factory=lambda: np.full((8, 8), 0.5, np.float32))
    rectangles: dict = field(default_factory=dict)


def summary(converged="yes"):
    rows = [
        {
            "framing": framing,
            "row": model,
            "box": box,
            "metric": metric,
            "mean": 0.5,
            "low": 0.4,
            "high": 0.7,
            "converged": converged,
        }
        for framing in chapter.STRATEGIES
        for model in chapter.MODELS
        for box in chapter.BOXES
        for metric in ("dice", "dice_image")
    ]
    return pd.DataFrame(rows)


def test_every_model_of_the_chapter_has_a_colour_and_a_marker():
    assert set(cropping.COLOURS) == set(cropping.MARKERS) == set(chapter.MODELS)
    assert len(set(cropping.COLOURS.values())) == len(chapter.MODELS)
    assert cropping.FRAMINGS == chapter.STRATEGIES


def test_frames_draw_a_picture_each_and_rectangles_in_the_full_one():
    nothing = np.zeros((8, 8), bool)
    shown = [
        Example(strategy, box, nothing, rectangles={"tight": (1, 1, 5, 6)} if i == 0 else {})
        for box in ("oracle", "jittered")
        for i, strategy in enumerate(cropping.FRAMINGS)
    ]
    figure = cropping.frames(shown)
    axes = np.array(figure.axes).reshape(2, 3)
    assert [each.get_title() for each in axes[0]] == list(cropping.FRAMINGS)
    assert [each.get_ylabel() for each in axes[:, 0]] == ["known box", "jittered box"]
    assert [len(each.patches) for each in axes[0]] == [1, 0, 0]
    patch = axes[0, 0].patches[0]
    assert (patch.get_x(), patch.get_width(), patch.get_height()) == (1, 4, 5)
    assert cropping.frames([]) is None


@pytest.mark.parametrize(("converged", "rings"), [("yes", 0), ("no", 30)])
def test_framings_draw_means_with_intervals_and_mark_what_did_not_converge(converged, rings):
    figure = cropping.framings(summary(converged))
    panel = figure.axes[0]
    assert len(panel.containers) == 30  # 3 framings, 5 models, 2 kinds of box
    drawn = panel.containers[0]
    assert drawn.lines[0].get_ydata()[0] == 0.5
    low, high = drawn.lines[2][0].get_segments()[0][:, 1]
    assert (low, high) == pytest.approx((0.4, 0.7))
    drawn_rings = [c for c in panel.collections if isinstance(c, PathCollection)]
    assert len(drawn_rings) == rings
    assert [each.get_title() for each in figure.axes] == list(cropping.GRIDS.values())


def test_scales_are_a_curve_a_model_and_box():
    curve = pd.concat(
        summary()[lambda t: t["framing"] == "loose"].assign(scale=scale, mean=scale / 10)
        for scale in (2.0, 1.0)
    )
    panel = cropping.scales(curve).axes[0]
    assert len(panel.get_lines()) == 10
    assert panel.get_lines()[0].get_xdata().tolist() == [1.0, 2.0]
    assert panel.get_lines()[0].get_ydata().tolist() == [0.1, 0.2]


def test_jitter_draws_differences_in_the_images_grid():
    costs = pd.DataFrame(
        {
            "framing": ["loose", "loose"],
            "row": "cGAN",
            "metric": ["dice", "dice_image"],
            "difference": [-0.5, -0.1],
            "low": -0.6,
            "high": 0.1,
        }
    )
    drawn = cropping.jitter(costs).axes[0].containers
    assert [each.lines[0].get_ydata()[0] for each in drawn] == [-0.1]


def test_cases_show_the_model_alone():
    stacked = pd.DataFrame(
        {
            "row": ["cGAN"] * 4 + ["ellipse"],
            "replicate": [0, 0, 0, 1, 0],
            "framing": ["full", "loose", "tight", "loose", "loose"],
            "box": "oracle",
            "dice_image": [0.1, 0.2, 0.3, 0.9, 0.9],
        }
    )
    axes = cropping.cases(stacked).axes[0]
    points = np.concatenate([c.get_offsets()[:, 1] for c in axes.collections])
    assert sorted(points) == pytest.approx([0.1, 0.2, 0.3])


@pytest.mark.parametrize("name", ["framings", "scales", "jitter"])
def test_figures_without_records_are_empty_and_do_not_fail(name):
    assert getattr(cropping, name)(pd.DataFrame()).axes


def test_cases_without_records():
    stacked = pd.DataFrame(columns=["row", "replicate", "framing", "box"])
    assert cropping.cases(stacked).axes
