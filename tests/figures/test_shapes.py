import matplotlib as mpl
import numpy as np
import pandas as pd
import pytest

mpl.use("Agg")
import matplotlib.pyplot as plt
from matplotlib.collections import PathCollection
from matplotlib.offsetbox import AnnotationBbox

from mammostudy.data.manifest import SHAPES
from mammostudy.figures import shape_pictures, shapes, style
from mammostudy.study import shapes as chapter
from mammostudy.study import shapes_examples


@pytest.fixture(autouse=True)
def clean_style():
    with mpl.rc_context():
        style.use_style()
        yield
    plt.close("all")


def test_every_class_has_a_colour_and_a_marker_of_its_own():
    assert set(shapes.CLASS_COLOURS) == set(shapes.CLASS_MARKERS) == set(SHAPES)
    assert len(set(shapes.CLASS_COLOURS.values())) == len(set(shapes.CLASS_MARKERS.values())) == 4
    assert set(shapes.VARIANT_COLOURS) == {chapter.PAPER, chapter.STUDY}


def matrix(counts, columns=("oval", "round")):
    return pd.DataFrame(counts, index=["oval", "round"], columns=list(columns))


def test_confusions_name_accuracy_and_macro_recall():
    figure = shapes.confusions(
        {
            "a": matrix([[3, 1], [0, 1]]),
            "b": matrix([[2, 1, 1], [1, 0, 0]], ("oval", "round", "none")),
        }
    )
    titles = [axes.get_title() for axes in figure.axes]
    assert titles[:2] == ["a: accuracy 80.0 %", "% of the row: mean 87.5 %"]
    assert titles[2:] == ["b: accuracy 40.0 %", "% of the row: mean 25.0 %"]
    assert [text.get_text() for text in figure.axes[0].texts] == ["3", "1", "0", "1"]


def test_a_class_without_a_case_leaves_its_row_open():
    left, right = shapes.confusions({"a": matrix([[2, 0], [0, 0]])}).axes
    assert left.get_title() == "a: accuracy 100.0 %"
    assert right.get_title() == "% of the row: mean 100.0 %"


def test_recalls_stand_by_class():
    table = pd.DataFrame(
        {
            "row": [chapter.PAPER, chapter.PAPER, chapter.STUDY, chapter.STUDY],
            "class": ["oval", "round"] * 2,
            "masks": 4,
            "patients": 2,
            "recall": [0.5, np.nan, 1.0, 0.25],
            "low": 0.1,
            "high": 1.0,
        }
    )
    axes = shapes.recalls(table).axes[0]
    assert [c.lines[0].get_xdata().tolist() for c in axes.containers] == [[0.5], [1.0, 0.25]]
    assert axes.get_yticklabels()[0].get_text() == "oval\n(4 masks, 2 patients)"


def test_scores_are_sorted_and_ringed():
    table = pd.DataFrame(
        {
            "row": ["chance", chapter.PAPER],
            "converged": ["no epochs", "no"],
            **{
                f"{name}{end}": [0.2, 0.7]
                for name in ("accuracy", "macro_recall")
                for end in ("", "_low", "_high")
            },
        }
    )
    accuracy, macro = shapes.scores(table).axes
    assert [tick.get_text() for tick in accuracy.get_yticklabels()] == [chapter.PAPER, "chance"]
    for axes in (accuracy, macro):
        dots = [c for c in axes.collections if isinstance(c, PathCollection)]
        assert [c.get_sizes()[0] for c in dots] == [90]


def test_curves_have_a_line_a_fold_and_one_name_a_recipe():
    table = pd.concat(
        pd.DataFrame(
            {
                "row": row, "fold": fold, "epoch": [1, 2, 3], "loss": [3, 2, 1],
                "validation_loss": 2.0, "validation_macro_recall": [0.2, 0.4, 0.6],
            }
        )
        for row in (chapter.PAPER, chapter.STUDY)
        for fold in (0, 1)
    )  # fmt: skip
    figure = shapes.curves(table)
    left, right = figure.axes
    assert len(left.get_lines()) == 8
    assert len(right.get_lines()) == 4
    assert [text.get_text() for text in figure.legends[0].texts] == [chapter.PAPER, chapter.STUDY]


def test_differences_stand_round_zero():
    ends = {"difference": [0.1], "low": [0.05], "high": [0.2]}
    ends |= {"macro": [-0.1], "macro_low": [-0.2], "macro_high": [0.0]}
    left, right = shapes.differences(pd.DataFrame({"b": ["x"], **ends}), "a minus b").axes
    assert left.containers[0].lines[0].get_xdata()[0] == 0.1
    assert right.containers[0].lines[0].get_xdata()[0] == -0.1


def test_pairs_keep_their_order():
    table = pd.DataFrame(
        {
            "trained": ["truth", "truth", "segmenter", "segmenter"],
            "tested": ["truth", "segmenter"] * 2,
            "accuracy": [1.0, 0.5, 0.4, 0.6],
            "macro_recall": [0.9, 0.4, 0.3, 0.5],
        }
    )
    left, _ = shapes.pairs(table).axes
    assert [text.get_text() for text in left.texts] == ["100", "50", "40", "60"]
    assert [tick.get_text() for tick in left.get_yticklabels()] == ["truth", "segmenter"]


def test_placements_are_a_grid():
    masks = shapes_examples.placements()
    figure = shape_pictures.placements(masks)
    assert len(figure.axes) == len(masks) == 9
    assert figure.axes[1].get_title() == shape_pictures.PLACED["stretch"]


def test_walk_draws_mean_band_and_masks():
    probabilities = np.stack([np.tile([0.7, 0.3], (4, 1)), np.tile([0.5, 0.5], (4, 1))])
    thumbnails = {0.0: np.eye(8, dtype=bool), 3.0: np.ones((8, 8), bool)}
    walk = shapes_examples.Walk(("oval", "round"), np.linspace(0, 3, 4), probabilities, thumbnails)
    assert walk.switches() == [("oval", 0.0)]
    upper, strip = shape_pictures.walk(walk).axes
    assert upper.get_lines()[0].get_ydata().tolist() == pytest.approx([0.6] * 4)
    assert sum(isinstance(child, AnnotationBbox) for child in strip.get_children()) == 2


@pytest.mark.parametrize("n", [1, 4, 6])
def test_occlusions_share_a_scale_round_zero(n):
    mask = np.zeros((64, 64), bool)
    mask[20:40, 20:40] = True
    found = [
        shapes_examples.Occlusion("oval", "round", mask, np.full((64, 64), 0.1 * at))
        for at in range(n)
    ]
    figure = shape_pictures.occlusions(found)
    shown = [axes for axes in figure.axes if axes.get_images()]
    limits = {axes.get_images()[0].get_clim() for axes in shown}
    assert len(limits) == 1
    low, high = limits.pop()
    assert low == -high


def test_embedding_thumbnails_do_not_cover_each_other():
    points = pd.DataFrame(
        {
            "case": ["a", "b", "c"],
            "label": ["oval", "round", "oval"],
            "part": ["test", "test", "train"],
            "wrong": [False, True, False],
            "x": [0.0, 0.001, 1.0],
            "y": [0.0, 0.001, 1.0],
        }
    )
    masks = dict.fromkeys("abc", np.eye(64, dtype=bool))
    with_masks = shapes_examples.Map(points, (0.6, 0.2), masks)
    axes = shape_pictures.embedding(with_masks).axes[0]
    assert sum(isinstance(child, AnnotationBbox) for child in axes.get_children()) == 2
    assert "60 %" in axes.get_xlabel()
    without = shape_pictures.embedding(shapes_examples.Map(points, (0.6, 0.2), {})).axes[0]
    assert not any(isinstance(child, AnnotationBbox) for child in without.get_children())


def test_figures_without_records_are_empty_and_do_not_fail():
    columns = ["row", "fold", "epoch", "loss", "validation_loss", "validation_macro_recall"]
    assert shapes.curves(pd.DataFrame(columns=columns)).axes
    assert shapes.scores(pd.DataFrame()).axes
    assert shapes.differences(pd.DataFrame(), "").axes
    assert shapes.confusions({}).axes
    assert shape_pictures.occlusions([]).axes
