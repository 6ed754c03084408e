import matplotlib as mpl
import pandas as pd
import pytest

mpl.use("Agg")
import matplotlib.pyplot as plt

from mammostudy.figures import primitives as style
from mammostudy.figures import transfer
from mammostudy.study import transfer as chapter
from mammostudy.study import transfer_recipes

COLUMNS = ["home", "away", "box", "mean", "low", "high", "ellipse"]


@pytest.fixture(autouse=True)
def clean_style():
    with mpl.rc_context():
        style.use_style()
        yield
    plt.close("all")


def test_cohorts_are_the_chapters():
    assert tuple(transfer.COLOURS) == transfer_recipes.COHORTS


def test_a_panel_a_tested_cohort_hollow_where_jittered():
    rows = [
        ("cdd-cesm", "cdd-cesm", "oracle", 0.8, 0.7, 0.9, 0.75),
        ("cdd-cesm", "cdd-cesm", "jittered", 0.7, 0.6, 0.8, 0.65),
        ("phantom", "cdd-cesm-cm", "oracle", 0.5, 0.4, 0.6, float("nan")),
    ]
    summary = pd.DataFrame(rows, columns=COLUMNS)
    left, right = transfer.scores(summary, chapter.TITLES).axes
    points = [container.lines[0] for container in left.containers]
    assert [point.get_xdata()[0] for point in points] == [0.8, 0.7]
    assert [point.get_markerfacecolor() for point in points] == [style.BLUE, "white"]
    assert right.containers[0].lines[0].get_ydata()[0] == 2
    assert "CM" in right.get_title()


def test_differences_name_both_cohorts():
    tests = pd.DataFrame(
        {"home": ["phantom"], "away": ["cdd-cesm"], "difference": -0.1, "low": -0.2, "high": 0.0}
    )
    (axes,) = transfer.differences(tests, chapter.TITLES).axes
    (label,) = axes.get_yticklabels()
    assert label.get_text() == "phantoms (computer-made)\non DM (CDD-CESM, low energy)"


def test_figures_without_records_are_empty_and_do_not_fail():
    assert transfer.scores(pd.DataFrame(columns=COLUMNS), chapter.TITLES).axes
    assert transfer.differences(pd.DataFrame(), chapter.TITLES).axes
