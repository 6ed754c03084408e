import matplotlib as mpl
import pandas as pd
import pytest

mpl.use("Agg")
import matplotlib.pyplot as plt
from matplotlib.collections import PathCollection

from mammostudy.figures import adversary, style
from mammostudy.study import adversary as chapter
from mammostudy.study import adversary_curves


@pytest.fixture(autouse=True)
def clean_style():
    with mpl.rc_context():
        style.use_style()
        yield
    plt.close("all")


def dots(axes):
    sizes = [c for c in axes.collections if isinstance(c, PathCollection)]
    return [(len(c.get_offsets()), c.get_sizes()[0]) for c in sizes if len(c.get_offsets())]


def test_rows_and_colours_are_the_chapters():
    assert tuple(adversary.COLOURS) == chapter.ROWS
    assert set(adversary.SHOWN) == {adversary_curves.TRUE, adversary_curves.PREDICTED}


def test_scores_trainings_and_rings():
    summary = pd.DataFrame(
        {
            "row": ["lambda 1", chapter.PLAIN], "mean": [0.8, 0.7], "low": 0.6, "high": 0.9,
            "trainings": 3, "settled": [2, 3],
        }
    )  # fmt: skip
    trainings = pd.DataFrame({"row": ["lambda 1"] * 3, "mean": [0.7, 0.8, 0.9]})
    (axes,) = adversary.scores(summary, trainings).axes
    assert [c.lines[0].get_xdata()[0] for c in axes.containers] == [0.8, 0.7]
    assert sorted(dots(axes)) == [(1, 90), (3, 10)]
    assert [tick.get_text() for tick in axes.get_yticklabels()] == ["lambda 1", chapter.PLAIN]


def test_differences_and_the_margin():
    tests = pd.DataFrame({"b": ["lambda 10"], "difference": [0.02], "low": [0], "high": [0.04]})
    pairs = pd.DataFrame({"b": ["lambda 10"] * 2, "mean": [0.01, 0.03]})
    (axes,) = adversary.differences(tests, pairs, 0.01).axes
    band = axes.patches[0]
    assert (band.get_x(), band.get_x() + band.get_width()) == pytest.approx((-0.01, 0.01))
    assert dots(axes) == [(2, 10)]


def test_a_panel_a_lambda_a_line_a_training():
    content = [
        {"row": row, "seed": seed, "iteration": step, "shown": shown, "score": 0.5}
        for row in ("lambda 1", "lambda 150")
        for seed in (0, 3)
        for step in (1, 2)
        for shown in adversary.SHOWN
    ]
    figure = adversary.discriminator(pd.DataFrame(content))
    assert [axes.get_title() for axes in figure.axes] == ["lambda 1", "lambda 150"]
    assert [len(axes.get_lines()) for axes in figure.axes] == [5, 5]  # and the broken line


def test_ladder_rungs_share_their_rows():
    summary = pd.DataFrame(
        {"row": ["a", "b"], "mean": [0.2, 0.8], "low": 0.1, "high": 0.9, "converged": ["yes", "no"]}
    )
    steps = pd.DataFrame({"row": ["b"], "difference": [0.6], "low": [0.5], "high": [0.7]})
    left, right = adversary.ladder(summary, steps).axes
    assert [tick.get_text() for tick in left.get_yticklabels()] == ["a", "b"]
    assert right.containers[0].lines[0].get_ydata()[0] == 1
    assert dots(left) == [(1, 90)]


def test_figures_without_records_are_empty_and_do_not_fail():
    nobody = pd.DataFrame(columns=["row", "b", "mean"])
    curves = pd.DataFrame(columns=["row", "seed", "iteration", "shown", "score"])
    assert adversary.scores(nobody, nobody).axes
    assert adversary.differences(pd.DataFrame(), nobody, 0.01).axes
    assert adversary.discriminator(curves).axes
    assert adversary.ladder(pd.DataFrame(), pd.DataFrame()).axes
