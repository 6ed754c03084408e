import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mammostudy.evaluation.overlap import largest_mean, least_iou
from mammostudy.models.discriminator import Discriminator
from mammostudy.models.generator import Generator
from mammostudy.study import arithmetic


@given(st.lists(st.floats(0, 1), min_size=1, max_size=30))
def test_no_set_of_cases_can_break_the_bound(dices):
    d = np.array(dices)
    mean_iou = 100 * (d / (2 - d)).mean()
    assert mean_iou >= least_iou(100 * d.mean()) - 1e-9


@settings(deadline=None, max_examples=30)
@given(st.lists(st.floats(0, 1), min_size=9, max_size=40))
def test_largest_mean_holds_for_any_sample_with_the_box_plot(values):
    quartiles = np.percentile(values, [25, 50, 75])
    bound = largest_mean(tuple(quartiles), len(values), reading=1e-7)
    assert np.mean(values) <= bound + 1e-5


def test_largest_mean_by_hand():
    # 5 values: the quartiles are the second, third and fourth one; the last may be 1
    assert largest_mean((0.2, 0.4, 0.6), 5) == pytest.approx(2.4 / 5)
    assert largest_mean((0.2, 0.4, 0.6), 5, [0.1]) == pytest.approx(2.3 / 5)


def test_everything_in_a_tight_frame():
    table = arithmetic.everything_in_tight_frame().set_index("metric")
    assert table["analytic"].round(1).to_dict() == {"dice": 88.0, "iou": 78.5}
    np.testing.assert_allclose(table["rasterised"], table["analytic"], atol=0.05)


def test_dice_loss_on_signed_masks_prefers_anything_to_the_perfect_mask():
    costs = arithmetic.dice_loss_costs().set_index("prediction")
    assert costs.loc["perfect", "released"] == pytest.approx(2.67, abs=0.01)
    assert costs["released"].idxmin() == "uniform, just below the pole"
    assert costs.loc["perfect", "paper"] == pytest.approx(0, abs=1e-9)
    table = arithmetic.uniform_costs()
    signed = table[table["range"] == "[-1, 1]"].set_index("output")["cost"]
    assert signed.idxmin() == pytest.approx(0.6, abs=0.01)
    assert table.loc[table["range"] == "[0, 1]", "cost"].between(0, 1).all()


def test_parameter_counts_by_formula():
    table = arithmetic.parameter_counts()
    assert table["parameters"].tolist() == [
        13_607_043, 13_611_011, 13_603_969, 13_607_937, 694_625, 767_684, 768_132,
    ]  # fmt: skip
    assert table["exact"].tolist() == [True, False, False, False, False, True, False]


def test_parameter_counts_are_those_of_the_networks_built():
    def size(module):
        return sum(p.numel() for p in module.parameters())

    assert size(Generator(3, 3, 32, shared_batch_norm=True)) == 13_607_043
    assert size(Generator()) == arithmetic.parameter_count("generator", 1, 1, False, True)
    assert size(Discriminator()) == arithmetic.parameter_count("discriminator", 2, 1, False, True)


def test_weights_of_the_shapes():
    table = arithmetic.class_weights()
    np.testing.assert_allclose(table["balanced"] * table["masses"], 1168 / 4)
    assert table["pull"].sum() == pytest.approx(1)
