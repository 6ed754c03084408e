import matplotlib as mpl
import numpy as np
import pandas as pd
import pytest

mpl.use("Agg")
import matplotlib.pyplot as plt

from mammostudy.figures import detection, detection_pictures, style
from mammostudy.study import detect_recipes
from mammostudy.study.detection_examples import Found, Picture

LIGHT, PRIOR = detect_recipes.LIGHT, detect_recipes.PRIOR_ROW


@pytest.fixture(autouse=True)
def clean_style():
    with mpl.rc_context():
        style.use_style()
        yield
    plt.close("all")


def test_every_detector_has_a_colour_of_its_own():
    assert set(detection.COLOURS) == {*detect_recipes.ROWS, PRIOR}
    assert len(set(detection.COLOURS.values())) == len(detection.COLOURS)


def band(row, *, single=False, reached=(True, True, False)):
    ends = {"sensitivity": [0.2, 0.4, 0.4], "low": 0.1, "high": 0.6}
    rates = {"rate": [0.5, 1.0, 2.0], "reached": reached}
    return pd.DataFrame({"row": row, **rates, **ends, "single": single})


def test_a_curve_is_dotted_where_no_more_boxes_are_left():
    table = pd.concat([band(LIGHT), band(PRIOR, single=True)])
    points = pd.DataFrame({"row": [LIGHT], "rate": [0.7], "sensitivity": [0.3]})
    axes = detection.froc({"": table}, points).axes[0]
    solid, dotted = (line for line in axes.lines if line.get_color() == style.BLUE)
    assert solid.get_xdata().tolist() == [0.5, 1.0]
    assert dotted.get_xdata().tolist() == [1.0, 2.0]
    assert dotted.get_linestyle() == ":"
    rings = [line for line in axes.lines if line.get_marker() == "o"]
    assert [line.get_xdata().tolist() for line in rings] == [[0.5]]
    assert axes.get_xlim()[1] == 8


def test_names_stand_once_in_the_key():
    figure = detection.froc({"a": band(LIGHT), "b": band(LIGHT)}, band=False)
    assert [text.get_text() for text in figure.legends[0].get_texts()] == [LIGHT]
    assert [axes.get_title() for axes in figure.axes] == ["a", "b"]


def test_precision_of_one_point_is_a_ring():
    table = pd.DataFrame(
        {"row": [LIGHT, LIGHT, PRIOR], "recall": [0.1, 0.5, 0.0], "precision": [1.0, 0.3, 0.0]}
    )
    axes = detection.precision_recall({"a": table}).axes[0]
    assert [line.get_marker() for line in axes.lines] == ["None", "o"]


def test_scores_count_their_boxes():
    table = pd.DataFrame(
        {
            "score": [0.9, 0.2, 0.3, 0.3],
            "outcome": ["hit", "false", "false", "repeat"],
            "mass_free": [False, True, False, False],
        }
    )
    left, right = detection.scores(table, {0: 0.25, 1: np.inf}).axes
    assert [text.get_text() for text in left.get_legend().get_texts()] == [
        "hit (1)",
        "repeat (1)",
        "false (2)",
    ]
    assert len(right.get_legend().get_texts()) == 2
    assert [line.get_xdata()[0] for line in left.lines] == [0.25]  # none for what nobody reaches


def test_reliability_names_its_boxes():
    table = pd.DataFrame(
        {"score": [0.1, 0.15, 0.9], "share": [0.0, 0.1, 1.0], "boxes": [1200, 30, 4]}
        | {"share_low": [0.0, 0.05, 0.4], "share_high": [0.1, 0.15, 1.0]}
    )
    axes = detection.reliability(table).axes[0]
    assert [text.get_text() for text in axes.texts] == ["1,200", "30", "4"]
    assert axes.texts[0].xyann[1] < axes.texts[1].xyann[1]  # neighbours do not cover each other
    assert len(detection.reliability(pd.DataFrame()).axes[0].texts) == 0


def test_differences_ring_what_had_not_converged():
    table = pd.DataFrame({"row": ["a", "b"], "converged": ["yes", "no"], "group": "g"})
    for end, value in (("", 0.1), ("_low", 0.0), ("_high", 0.2)):
        table[f"at_one{end}"] = value
    figure = detection.differences(table, {"at_one": "sensitivity"}, "a minus b")
    axes = figure.axes[0]
    rings = axes.collections[-1].get_offsets()
    assert rings[:, 1].tolist() == [1]
    assert [label.get_text() for label in axes.get_yticklabels()] == ["a (g)", "b (g)"]


def test_sizes_without_a_mass_have_no_line():
    table = pd.DataFrame(
        {
            "size": ["small", "small", "medium"],
            "masses": [3, 3, 0],
            "rate": [1.0, 2.0, np.nan],
            "sensitivity": [0.2, 0.4, np.nan],
            "low": [0.1, 0.2, np.nan],
            "high": [0.4, np.nan, np.nan],
        }
    )
    axes = detection.sizes(table).axes[0]
    assert [text.get_text() for text in axes.get_legend().get_texts()] == ["small (3 masses)"]


def test_cost_is_hollow_for_equal_time():
    curves = pd.DataFrame(
        {"group": ["e", "l", "l"], "row": LIGHT, "minutes": [1.0, 1, 2], "sensitivity": 0.2}
    )
    ends = pd.DataFrame({"group": ["e", "l"], "row": LIGHT, "minutes": [1.0, 4.0], "at_one": 0.3})
    ends["at_one_low"], ends["at_one_high"] = 0.2, 0.5
    left, right = detection.cost(curves, ends).axes
    assert len(left.lines) == 1  # of the longer budget
    fills = [each.lines[0].get_markerfacecolor() for each in right.containers]
    assert fills == ["white", style.BLUE]
    assert detection.cost(pd.DataFrame(), pd.DataFrame()).axes


def test_a_montage_draws_masses_and_boxes():
    image = np.zeros((60, 40), np.float32)
    found = (Found((1, 2, 11, 22), 0.8, "hit"), Found((20, 20, 30, 30), 0.3, "false"))
    chosen = Picture("hit", image, ((0, 0, 10, 20),), found, 0, of_mass=False)
    missed = Picture("missed", image, ((0, 0, 10, 20),), (), 0, of_mass=True)
    figure = detection_pictures.montage([chosen, missed])
    first, second = figure.axes[:2]
    assert [patch.get_linewidth() for patch in first.patches] == [1.2, 2.4, 1.2]
    assert [text.get_text() for text in first.texts] == ["0.80", "0.30"]
    assert second.patches[0].get_linewidth() == 2.4
    assert second.patches[0].get_bbox().bounds == (0, 0, 10, 20)
    assert {text.get_text() for text in figure.legends[0].get_texts()} == {
        "mass",
        "hit",
        "repeat",
        "false",
    }
