import matplotlib as mpl
import pytest

mpl.use("Agg")
import matplotlib.pyplot as plt

from mammostudy.figures import audit, style
from mammostudy.study import arithmetic, published


@pytest.fixture(autouse=True)
def clean_style():
    with mpl.rc_context():
        style.use_style()
        yield
    plt.close("all")


def texts(figure) -> str:
    return " ".join(text.get_text() for text in figure.findobj(mpl.text.Text))


def test_overlap_bound_rings_six_pairs_and_names_the_two_headline_ones():
    figure = audit.overlap_bound(arithmetic.overlap_pairs())
    rings = [c for c in figure.axes[0].collections if c.get_label() == "breaks the bound"]
    assert len(rings[0].get_offsets()) == 6
    assert "proposed, loose" in texts(figure)
    assert "proposed, tight" in texts(figure)


def test_confusion_names_accuracy_and_recall():
    figure = audit.confusion(
        published.confusion_matrix(),
        arithmetic.row_shares(),
        *arithmetic.accuracy_and_macro_recall(),
    )
    assert "accuracy 75.7 %" in texts(figure)
    assert "mean recall 80.0 %" in texts(figure)


def test_box_plots_mark_the_impossible_mean_only():
    plots = published.box_plots().query("metric == 'dice'")
    figure = audit.box_plots(plots, arithmetic.box_plot_means())
    assert "94.07" in texts(figure)
    assert "88.89" not in texts(figure)


def test_class_weights_and_costs_draw_every_row():
    bars = audit.class_weights(arithmetic.class_weights())
    assert [len(axes.patches) for axes in bars.axes] >= [4, 8, 4]
    costs = audit.uniform_costs(arithmetic.uniform_costs())
    assert len(costs.axes[0].get_lines()) == 3


def test_same_mask_shows_six_pictures():
    figure = audit.same_mask(arithmetic.stretched_masks())
    assert sum(len(axes.images) for axes in figure.axes) == 6
    assert "oval" in texts(figure)


def test_page_table_hides_nothing():
    html = style.page_table(arithmetic.parameter_counts()).to_html()
    assert "13,607,043" in html
    assert "not reported" in html
    assert html == style.page_table(arithmetic.parameter_counts()).to_html()
