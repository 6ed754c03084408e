"""Figures on subtypes: what is drawn is what the tables hold."""

import matplotlib as mpl
import numpy as np
import pandas as pd
import pytest

mpl.use("Agg")
import matplotlib.pyplot as plt
from matplotlib.collections import PathCollection
from matplotlib.patches import Rectangle

from mammostudy.data.manifest import SHAPES
from mammostudy.figures import primitives as style
from mammostudy.figures import subtype_tables, subtypes
from mammostudy.study import cmmd_shapes, published, subtype_pages
from mammostudy.study import subtype_statistics as statistics
from mammostudy.study import subtype_tables as chapter

TABLE = published.subtype_table()
SMALL = pd.DataFrame([[3, 1], [0, 4]], ["Luminal-A", "HER-2"], ["irregular", "oval"])


@pytest.fixture(autouse=True)
def clean_style():
    with mpl.rc_context():
        style.use_style()
        yield
    plt.close("all")


def scattered(axes):
    return [c.get_offsets() for c in axes.collections if isinstance(c, PathCollection)]


def test_every_shape_has_a_colour_and_no_figure_shows_one_twice():
    shapes = {*SHAPES, *cmmd_shapes.SHAPES.values()}
    assert shapes == set(subtypes.COLOURS)
    assert len(set(subtypes.COLOURS.values())) == len(shapes)


def test_mosaic_bars_are_as_wide_as_rows_and_as_high_as_shares():
    (axes,) = subtypes.mosaics({"small": SMALL}).axes
    bars = [p for p in axes.patches if isinstance(p, Rectangle)]
    assert [bar.get_width() for bar in bars] == pytest.approx([0.5] * 4)
    assert [bar.get_height() for bar in bars] == pytest.approx([75, 25, 0, 100])
    assert [text.get_text() for text in axes.texts] == ["3", "1", "4"]
    assert [label.get_text() for label in axes.get_xticklabels()] == ["Luminal-A (4)", "HER-2 (4)"]
    assert axes.get_title() == "small"


def test_mosaic_of_an_empty_row_and_of_an_empty_table():
    table = pd.DataFrame([[0, 0], [1, 4]], ["HER-2", "Basal-like"], ["oval", "round"])
    (axes,) = subtypes.mosaics({"gap": table}).axes
    assert len(axes.patches) == 2
    (axes,) = subtypes.mosaics({"nobody": table * 0}).axes
    assert not axes.patches


def test_shares_keep_the_names_of_their_own_table():
    named = chapter.tables()
    figure = subtypes.shares({name: statistics.shares(table) for name, table in named.items()})
    for axes, table in zip(figure.axes, named.values(), strict=True):
        assert [label.get_text() for label in axes.get_yticklabels()] == list(table.index)
        firsts = [bars.lines[0].get_xdata()[0] for bars in axes.containers]
        assert firsts == pytest.approx(100 * table.iloc[0] / table.iloc[0].sum())
    legend = [text.get_text() for text in figure.legends[0].get_texts()]
    assert legend == list(subtypes.COLOURS)


def test_residuals_share_one_scale_and_print_their_numbers():
    named = {"a": statistics.residuals(TABLE), "b": statistics.residuals(SMALL)}
    left, right, *_ = subtypes.residuals(named).axes
    assert [each.collections[0].get_clim() for each in (left, right)] == [(-5, 5)] * 2
    assert left.texts[0].get_text() == f"{named['a'].iloc[0, 0]:+.1f}"


def test_power_marks_lie_on_their_curves():
    found = chapter.associations(chapter.tables())
    curves, marks = chapter.power_curves(found), chapter.power_marks(found)
    (axes,) = subtypes.power(curves, marks).axes
    dots = [tuple(places[0]) for places in scattered(axes)]
    for (x, y), mark in zip(dots, marks.to_dict("records"), strict=True):
        line = curves[curves["table"] == mark["table"]]
        assert (x, y) == pytest.approx((mark["v"], 100 * mark["power"]))
        assert y == pytest.approx(100 * np.interp(x, line["v"], line["power"]), abs=0.5)


def test_strengths_without_an_interval_are_dots_alone():
    nan = float("nan")
    rows = [("planted", 0.24, nan, nan, nan), ("true", 0.3, 0.2, 0.4, 0.25)]
    table = pd.DataFrame(rows, columns=["name", "value", "low", "high", "other"])
    (axes,) = subtypes.strengths(table).axes
    assert [label.get_text() for label in axes.get_yticklabels()] == ["planted", "true"]
    assert len(axes.collections) == 4  # dot; interval, dot, hollow dot
    assert axes.get_xlim()[0] <= 0
    assert axes.yaxis_inverted()


def test_blurred_runs_from_before_to_after():
    found = chapter.blurred(chapter.tables())
    table = subtype_pages.blurred_frame(found)
    (axes,) = subtypes.blurred(table).axes
    dots = [places[0] for places in scattered(axes)]
    assert [x for x, _ in dots] == pytest.approx(table[["before", "after"]].to_numpy().ravel())


def test_differences_in_points_with_what_could_have_been_seen():
    table = subtype_pages.differences_frame(chapter.luminal(chapter.tables()))
    (axes,) = subtypes.differences(table).axes
    ticks = [places for places in scattered(axes) if len(places) == 2]
    assert ticks[0][1][0] == pytest.approx(100 * table["smallest_detectable"][0])
    assert "points" in axes.get_xlabel()


def test_null_shows_the_redraws_and_the_observed():
    redraws = pd.DataFrame({"v": np.linspace(0.02, 0.2, 50)})
    (axes,) = subtypes.null(redraws, {"observed": 0.24}, 0.13).axes
    names = [text.get_text() for text in axes.get_legend().get_texts()]
    assert sorted(names) == ["observed", "redraws", "test rejects"]
    assert axes.get_xlim()[1] > 0.24
    assert sum(bar.get_height() for bar in axes.containers[0]) == 50


def test_both_pages_draw_with_the_same_functions():
    assert all(getattr(subtype_tables, n) is getattr(subtypes, n) for n in subtype_tables.__all__)
