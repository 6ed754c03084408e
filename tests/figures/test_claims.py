import matplotlib as mpl
import numpy as np
import pandas as pd
import pytest

mpl.use("Agg")
import matplotlib.pyplot as plt

from mammostudy.figures import claims, style


@pytest.fixture(autouse=True)
def clean_style():
    with mpl.rc_context():
        style.use_style()
        yield
    plt.close("all")


def test_forest_draws_tested_claims_with_interval_and_margin():
    judged = pd.DataFrame(
        {
            "claim": ["One.", "Two.", "Three.", "Four."],
            "verdict": ["supported", "contradicted", "undecided", "not testable here"],
            "difference": [0.03, -0.02, 0.01, np.nan],
            "low": [0.02, -0.03, -np.inf, np.nan],
            "high": [0.04, -0.01, np.inf, np.nan],
            "margin": [0.01, 0.01, 0.01, np.nan],
        }
    )
    figure = claims.forest(judged)
    axes = figure.axes[0]
    assert [label.get_text() for label in axes.get_yticklabels()] == ["One.", "Two.", "Three."]
    means = [bar.lines[0].get_xdata()[0] for bar in axes.containers]
    assert means == pytest.approx([3, -2, 1])
    margins = [line for line in axes.get_lines() if list(line.get_xdata()) == [1, 1]]
    assert len(margins) == 3
    legend = [text.get_text() for text in figure.legends[0].get_texts()]
    assert legend == ["supported", "contradicted", "undecided", "margin"]
