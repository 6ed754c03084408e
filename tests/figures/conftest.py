"""Every figure is drawn without a screen or a warning, in the book's style, and closed again."""

import warnings

import matplotlib as mpl
import pytest

mpl.use("Agg")
import matplotlib.pyplot as plt

from mammostudy.figures.primitives import use_style


@pytest.fixture(autouse=True)
def book_style():
    with mpl.rc_context(), warnings.catch_warnings():
        warnings.simplefilter("error", UserWarning)
        use_style()
        yield
    plt.close("all")
