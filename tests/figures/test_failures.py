import matplotlib as mpl
import pandas as pd
import pytest

mpl.use("Agg")
import matplotlib.pyplot as plt

from mammostudy.figures import failures, style


@pytest.fixture(autouse=True)
def clean_style():
    with mpl.rc_context():
        style.use_style()
        yield
    plt.close("all")


@pytest.mark.parametrize(
    ("column", "label", "size"), [("mass_share", "of the frame", 20.0), ("box_share", "box", 0.2)]
)
def test_sizes_draw_every_mass(column, label, size):
    stacked = pd.DataFrame(
        {
            column: 0.2,
            "dice": [0.1, 0.9],
            "kind": ["missed", "no failure"],
            "company": [True, False],
        }
    )
    axes = failures.sizes(stacked, column, 0.7).axes[0]
    points = axes.collections[0].get_offsets()
    assert points[:, 0].tolist() == pytest.approx([size, size])
    assert label in axes.get_xlabel()
    shown = [text.get_text() for text in axes.get_legend().get_texts()]
    assert shown == ["missed", "no failure", "alone", "second mass in frame"]


def test_kinds_draw_a_bar_each():
    table = pd.DataFrame({"kind": ["missed", "no failure"], "% of masses": [25.0, 75.0]})
    axes = failures.kinds(table).axes[0]
    assert [bar.get_width() for bar in axes.patches] == [25, 75]
