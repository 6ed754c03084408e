import warnings

import matplotlib as mpl
import pandas as pd
import pytest

mpl.use("Agg")
import matplotlib.pyplot as plt

from mammostudy.figures import audit, data, primitives
from mammostudy.study import arithmetic, cohorts, fingerprint, published
from mammostudy.study.data import counts_table, grey_table, split_table


@pytest.fixture(autouse=True)
def strict_style():
    with mpl.rc_context(), warnings.catch_warnings():
        warnings.simplefilter("error")
        primitives.use_style()
        yield
    plt.close("all")


def texts(figure) -> str:
    figure.canvas.draw()
    return " ".join(text.get_text() for text in figure.findobj(mpl.text.Text))


def test_figures_of_the_audit_draw_every_row():
    bound = audit.overlap_bound(arithmetic.overlap_pairs())
    rings = [c for c in bound.axes[0].collections if c.get_label() == "breaks the bound"]
    assert len(rings[0].get_offsets()) == 6
    assert "proposed, loose" in texts(bound)
    plots = published.box_plots().query("metric == 'dice'")
    assert "94.07" in texts(audit.box_plots(plots, arithmetic.box_plot_means()))
    means = arithmetic.accuracy_and_macro_recall()
    heat = audit.confusion(published.confusion_matrix(), arithmetic.row_shares(), *means)
    assert "accuracy 75.7 %" in texts(heat)
    bars = audit.class_weights(arithmetic.class_weights())
    assert [len(axes.patches) for axes in bars.axes] == [4, 8, 4]
    assert len(audit.uniform_costs(arithmetic.uniform_costs()).axes[0].get_lines()) == 3
    masks = audit.same_mask(arithmetic.stretched_masks())
    assert sum(len(axes.images) for axes in masks.axes) == 6


def test_figures_of_the_data_draw_from_a_committed_fingerprint():
    content = fingerprint.read_committed("phantom")
    assert "Luminal-A" in texts(data.counts(counts_table(content)))
    assert "median 8.0 %" in texts(data.sizes(content))
    assert "fold 0" in texts(data.splits(split_table(content, "reference")))
    assert "equalised" in texts(data.steps({}, grey_table(content)))
    assert "504" in texts(data.shapes(cohorts.shapes_table()))
    needs = pd.DataFrame({"name": ["a", "b"], "sd": [0.1, 0.2], "margin": [0.02, 0.02]})
    line = data.power(needs, 71).axes[0].get_lines()[0]
    assert line.get_ydata()[0] == pytest.approx(2.8016 * 0.1 / 10**0.5 / 0.02, rel=1e-3)
