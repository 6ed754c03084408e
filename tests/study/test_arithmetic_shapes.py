import math

import numpy as np
import pytest

from mammostudy.study import arithmetic, published


def test_accuracy_and_macro_recall():
    assert arithmetic.accuracy_and_macro_recall() == pytest.approx(
        (100 * 221 / 292, 79.97), abs=0.01
    )
    assert arithmetic.class_recalls()["correct"].sum() == 221


def test_class_weights():
    table = arithmetic.class_weights()
    assert table["weight"].round(3).tolist() == [0.568, 0.595, 0.902, 0.935]
    assert table["weight"].max() / table["weight"].min() == pytest.approx(1.6, abs=0.05)
    assert table["masses"].max() / table["masses"].min() == pytest.approx(6.6, abs=0.05)
    np.testing.assert_allclose(table["balanced"] * table["masses"], 1168 / 4)
    assert table["pull"].sum() == pytest.approx(1)


def test_stretch_makes_an_oval_round_and_a_square_frame_does_not():
    same = arithmetic.stretched_agreement().set_index("aspect")["dice"]
    assert same["stretch"] > 0.99
    assert same["square"] < 0.75
    masks = arithmetic.stretched_masks()
    assert all(m.shape == (64, 64) and m.dtype == bool for m in masks.values())
    disc = math.pi / 4 / 4  # a disc of half the frame's side
    assert masks["oval", "stretch"].mean() == pytest.approx(disc, rel=0.03)


def test_row_shares_are_recalls_on_the_diagonal():
    shares = arithmetic.row_shares()
    np.testing.assert_allclose(shares.sum(axis=1), 1)
    np.testing.assert_allclose(np.diag(shares), arithmetic.class_recalls()["recall"])
    assert published.confusion_matrix().shape == shares.shape
