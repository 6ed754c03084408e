import matplotlib as mpl
import pandas as pd
import pytest

mpl.use("Agg")
import matplotlib.pyplot as plt

from mammostudy.figures import postprocessing, style

PUBLISHED = "close3+erode2+dilate3"


@pytest.fixture(autouse=True)
def clean_style():
    with mpl.rc_context():
        style.use_style()
        yield
    plt.close("all")


def test_orders_draw_a_row_each_and_name_the_published_one():
    ranked = pd.DataFrame(
        {"order": ["decided on validation", "none", PUBLISHED], "gain": [0.01, 0.0, 0.02]}
    ).assign(low=lambda t: t["gain"] - 0.01, high=lambda t: t["gain"] + 0.01)
    axes = postprocessing.orders(ranked, PUBLISHED).axes[0]
    labels = [label.get_text() for label in axes.get_yticklabels()]
    assert labels == ["decided on validation", "none", "close3, erode2, dilate3 (published)"]
    points = [bar.lines[0].get_xdata()[0] for bar in axes.containers]
    assert points == pytest.approx([1, 0, 2])


def test_gains_stand_beside_the_published_one():
    table = pd.DataFrame(
        {"framing": ["loose", "loose"], "metric": ["dice", "iou"], "difference": [0.002, 0.004]}
    ).assign(low=0.001, high=0.005)
    figure = postprocessing.gains(table, 1.0)
    lines = [line.get_label() for line in figure.axes[0].get_lines()]
    assert "published: about +1 point" in lines
    assert len(figure.axes[0].containers) == 2
