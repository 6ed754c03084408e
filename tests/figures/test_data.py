import matplotlib as mpl
import numpy as np
import pandas as pd
import pytest

mpl.use("Agg")
import matplotlib.pyplot as plt

from mammostudy.figures import data, style
from mammostudy.study.real_mammogram import pictures


@pytest.fixture(autouse=True)
def clean_style():
    with mpl.rc_context():
        style.use_style()
        yield
    plt.close("all")


def texts(figure) -> str:
    return " ".join(text.get_text() for text in figure.findobj(mpl.text.Text))


def test_counts_draw_a_panel_a_column():
    table = pd.DataFrame(
        {"by": list("aabc"), "value": list("xyzw"), "masses": [3, 1, 4, 4], "patients": 1}
    )
    figure = data.counts(table)
    assert [axes.get_title() for axes in figure.axes if axes.get_visible()] == ["a", "b", "c"]


def test_sizes_mark_the_median():
    histogram = pd.DataFrame({"low": [0, 2], "high": [2, 4], "masses": [5, 1]})
    figure = data.sizes(histogram, 1.5)
    assert [bar.get_height() for bar in figure.axes[0].patches] == [5, 1]
    assert "median 1.5 %" in texts(figure)


def test_splits_say_how_many_stand_in_each_part_of_each_fold():
    part = ["train", "validation", "test"] * 2
    table = pd.DataFrame(
        {"fold": np.repeat([0, 1], 3), "part": part, "patients": range(6), "masses": range(6, 12)}
    ).assign(**{"small, %": 40.0, "large, %": 60.0})
    figure = data.splits(table)
    assert len(figure.axes) == 2
    assert "11 masses, 5 patients" in texts(figure)
    assert [label.get_text() for label in figure.axes[0].get_yticklabels()] == part[:3]


@pytest.mark.parametrize("images", [True, False])
def test_steps_draw_histograms_with_or_without_pictures(images):
    names = ["plain", "equalised"]
    greys = pd.DataFrame({"step": np.repeat(names, 3), "value": [0.2, 0.5, 0.8] * 2, "share": 10.0})
    shown = {name: np.zeros((4, 4)) for name in names} if images else {}
    figure = data.steps(shown, greys)
    assert len(figure.axes) == (4 if images else 2)
    assert "pixels, %" in texts(figure)


def test_ablation_draws_both_metrics():
    summary = pd.DataFrame(
        {"row": ["a", "a", "b", "b"], "metric": ["dice", "dice_image"] * 2, "mean": 0.8}
    ).assign(low=0.7, high=0.9)
    figure = data.ablation(summary)
    assert len(figure.axes[0].containers) == 2
    assert "in the image's grid" in texts(figure)


def test_montage_titles_every_picture_and_hides_empty_cells():
    shown = {str(i): np.zeros((3, 3)) for i in range(5)}
    figure = pictures.montage(shown, columns=3, key=True)
    assert sum(len(axes.images) for axes in figure.axes) == 5
    assert sum(axes.axison for axes in figure.axes) == 5
    assert "false negative" in texts(figure)
