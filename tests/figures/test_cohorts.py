import matplotlib as mpl
import numpy as np
import pandas as pd
import pytest

mpl.use("Agg")
import matplotlib.pyplot as plt

from mammostudy.figures import cohorts, leak, new_cohort, style


@pytest.fixture(autouse=True)
def clean_style():
    with mpl.rc_context():
        style.use_style()
        yield
    plt.close("all")


def test_shapes_fill_a_bar_and_published_counts_are_pale():
    table = pd.DataFrame(
        {"data set": ["a", "a", "b"], "shape": ["irregular", "round", "oval"],
         "masses": [3, 1, 2], "share": [75.0, 25.0, 100.0], "confirmed": [True, True, False]}
    )  # fmt: skip
    axes = cohorts.shapes(table).axes[0]
    assert [patch.get_width() for patch in axes.patches] == [75, 25, 100]
    assert [patch.get_alpha() for patch in axes.patches] == [1, 1, 0.45]
    assert [text.get_text() for text in axes.texts] == ["3", "1", "2"]


def test_fingerprints_draw_a_line_a_cohort():
    sizes = pd.DataFrame({"cohort": ["a", "a", "b"], "low": [0, 2, 0], "high": [2, 6, 5],
                          "share": [40.0, 60.0, 100.0]})  # fmt: skip
    greys = pd.DataFrame({"cohort": ["a", "b"], "percentile": 50, "value": [0.2, 0.4]})
    left, right = cohorts.fingerprints(sizes, greys).axes
    heights = [patch.get_data().values.tolist() for patch in left.patches]
    assert heights == [[20, 15], [20]]  # a density, so that widths do not matter
    assert len(right.get_lines()) == 2


def test_greys_draw_a_panel_an_image():
    table = pd.DataFrame(
        {"image": ["x", "x", "y"], "value": [0.1, 0.9, 0.5], "share": [60, 40, 100]}
    )
    assert [axes.get_title() for axes in cohorts.greys(table).axes] == ["x", "y"]


def test_power_marks_the_cohort():
    curves = pd.DataFrame({"claim": "c", "patients": [10, 1000], "visible": [3.0, 0.3]})
    axes = new_cohort.power(curves, 71).axes[0]
    assert axes.get_lines()[0].get_xdata().tolist() == [10, 1000]
    assert [text.get_text() for text in axes.texts] == ["71 patients"]


def test_gains_and_patients_of_the_leak():
    rows = [("cGAN", "Dice", s, 0.01, 0.0, 0.02) for s in leak.COLOURS]
    names = ["row", "metric", "subset", "difference", "low", "high"]
    axes = leak.gains(pd.DataFrame(rows, columns=names)).axes[0]
    points = [bar.lines[0].get_xdata()[0] for bar in axes.containers]
    assert points == pytest.approx([1, 1, 1])
    table = pd.DataFrame({"exposed": [True, True, False], "difference": [0.1, 0.3, -0.1]})
    drawn = leak.patients({"cGAN": table}).axes[0]
    offsets = np.concatenate([c.get_offsets()[:, 1] for c in drawn.collections[::2]][:2])
    assert sorted(np.round(offsets, 6).tolist()) == pytest.approx([-10, 10, 30])
