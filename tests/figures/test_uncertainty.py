from types import SimpleNamespace

import matplotlib as mpl
import numpy as np
import pandas as pd
import pytest

mpl.use("Agg")
import matplotlib.pyplot as plt

from mammostudy.figures import primitives as style
from mammostudy.figures import uncertainty
from mammostudy.study import uncertainty as chapter

NOTHING = pd.DataFrame(columns=["error", *chapter.SCORES])


@pytest.fixture(autouse=True)
def clean_style():
    with mpl.rc_context():
        style.use_style()
        yield
    plt.close("all")


def test_every_score_has_a_colour_and_a_label():
    assert tuple(uncertainty.COLOURS) == chapter.SCORES
    assert set(uncertainty.LABELS) == set(chapter.SCORES)


def test_less_certain_stands_right():
    scored = pd.DataFrame({name: [1.0, 2.0] for name in chapter.DRAWN})
    scored = scored.assign(smallness=[-100.0, -10.0], error=[0.1, 0.4])
    *drawn, size = uncertainty.scatter(scored).axes
    assert all(not axes.xaxis_inverted() for axes in drawn)
    assert size.xaxis_inverted()
    assert size.collections[0].get_offsets()[:, 0].tolist() == [100, 10]


def test_risk_draws_scores_and_both_references():
    curves = pd.DataFrame(
        {"score": ["spread"] * 2 + ["oracle"] * 2 + ["random"] * 2, "coverage": [0.5, 1] * 3,
         "risk": [0.2, 0.3, 0.1, 0.3, 0.3, 0.3]}
    )  # fmt: skip
    (axes,) = uncertainty.risk(curves).axes
    assert [line.get_label() for line in axes.get_lines()] == ["spread", "oracle", "random"]
    assert axes.get_ylim()[0] == 0


def test_maps_share_their_scales():
    side = np.zeros((8, 8))
    truth = side.astype(bool)
    truth[2:5, 2:5] = True
    case = SimpleNamespace(
        title="median", image=side, truth=truth, mean=side + 0.2, spread=side + 0.1, dice=0.8,
        score=0.05,
    )  # fmt: skip
    figure = uncertainty.maps([case, case])
    pictures = [axes.get_images()[0] for axes in figure.axes if axes.get_images()]
    assert [picture.get_clim() for picture in pictures[1::3]] == [(0, 1)] * 2
    assert [picture.get_clim() for picture in pictures[2::3]] == [(0, 0.5)] * 2
    assert "Dice 0.80, spread 0.050" in figure.axes[0].get_ylabel()


def test_figures_without_records_are_empty_and_do_not_fail():
    assert uncertainty.scatter(NOTHING).axes
    assert uncertainty.risk(pd.DataFrame(columns=["score", "coverage", "risk"])).axes
    assert uncertainty.maps([]).axes
