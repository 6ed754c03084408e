import pandas as pd
import pytest

from mammostudy.figures import audit, data
from mammostudy.study import arithmetic, cohorts, fingerprint, published
from mammostudy.study.data import counts_table, grey_table, split_table


def test_figures_of_the_audit_draw_every_row():
    bound = audit.overlap_bound(arithmetic.overlap_pairs())
    rings = [c for c in bound.axes[0].collections if c.get_label() == "breaks the bound"]
    assert len(rings[0].get_offsets()) == 6
    plots = published.box_plots().query("metric == 'dice'")
    for figure in (
        audit.box_plots(plots, arithmetic.box_plot_means()),
        audit.uniform_costs(arithmetic.uniform_costs()),
        audit.same_mask(arithmetic.stretched_masks()),
    ):
        figure.canvas.draw()
    bars = audit.class_weights(arithmetic.class_weights())
    assert [len(axes.patches) for axes in bars.axes] == [4, 8, 4]


def test_figures_of_the_data_draw_from_a_committed_fingerprint():
    content = fingerprint.read_committed("phantom")
    for figure in (
        data.counts(counts_table(content)),
        data.sizes(content),
        data.splits(split_table(content, "reference")),
        data.steps({}, grey_table(content)),
        data.shapes(cohorts.shapes_table()),
    ):
        figure.canvas.draw()
    needs = pd.DataFrame({"name": ["a", "b"], "sd": [0.1, 0.2], "margin": [0.02, 0.02]})
    line = data.power(needs, 71).axes[0].get_lines()[0]
    assert line.get_ydata()[0] == pytest.approx(2.8016 * 0.1 / 10**0.5 / 0.02, rel=1e-3)
