"""Class weights by hand; the focal loss against cross-entropy and torchvision's."""

import pytest
import torch
from mammostudy.training.shape_weights import WEIGHTINGS, weighted_cross_entropy
from torch.nn import functional
from torchvision.ops import sigmoid_focal_loss

from mammostudy.errors import DataError, SpecError
from mammostudy.training.shapes import focal_loss, shape_class_weights

DDSM = [504, 473, 115, 76]
LOGITS = torch.randn(32, 4, generator=torch.Generator().manual_seed(0))
LABELS = torch.arange(32) % 4


def test_published_weights():
    assert shape_class_weights(DDSM).tolist() == pytest.approx(
        [0.568, 0.595, 0.902, 0.935], abs=6e-4
    )


def test_inverse_frequency_makes_the_classes_equal():
    weights = shape_class_weights(DDSM, "inverse")
    assert (weights * torch.tensor(DDSM)).tolist() == pytest.approx([292] * 4)
    assert shape_class_weights([30, 10], "inverse").tolist() == pytest.approx([2 / 3, 2])


def test_effective_number_by_hand():
    # beta 0.9: effective numbers of 1 and 2 are 1 and 1.9
    weights = shape_class_weights([1, 2], "effective", beta=0.9)
    assert weights.tolist() == pytest.approx([2 * 1.9 / 2.9, 2 / 2.9])
    assert weights.sum() == pytest.approx(2)


def test_effective_number_lies_between_none_and_inverse():
    assert shape_class_weights(DDSM, "effective", beta=0.0).tolist() == pytest.approx([1] * 4)
    near_inverse = shape_class_weights(DDSM, "effective", beta=1 - 1e-9)
    inverse = shape_class_weights(DDSM, "inverse")
    assert near_inverse.tolist() == pytest.approx((4 * inverse / inverse.sum()).tolist(), rel=1e-4)


def test_none_and_types():
    assert shape_class_weights(DDSM, "none").tolist() == [1] * 4
    assert all(shape_class_weights(DDSM, w).dtype == torch.float32 for w in WEIGHTINGS)


def test_focal_loss_without_focus_is_cross_entropy():
    assert focal_loss(LOGITS, LABELS, gamma=0).item() == pytest.approx(
        functional.cross_entropy(LOGITS, LABELS).item()
    )


def test_focal_loss_by_hand():
    # p = 3/4 and 1/4 for the true class, gamma 2, weights 1 and 2
    logits = torch.tensor([[3.0, 1.0], [3.0, 1.0]]).log()
    expected = (0.0625 * torch.tensor(4 / 3).log() + 2 * 0.5625 * torch.tensor(4.0).log()) / 2
    found = focal_loss(logits, torch.tensor([0, 1]), torch.tensor([1.0, 2.0]))
    assert found.item() == pytest.approx(expected.item())


@pytest.mark.parametrize("gamma", [0.0, 1.0, 2.0, 3.5])
def test_two_classes_agree_with_torchvision(gamma):
    x, y = LOGITS[:, 0], LABELS % 2
    oracle = sigmoid_focal_loss(x, y.float(), alpha=-1, gamma=gamma, reduction="mean")
    found = focal_loss(torch.stack([torch.zeros_like(x), x], dim=1), y, gamma=gamma)
    assert found.item() == pytest.approx(oracle.item(), rel=1e-5)


@pytest.mark.parametrize("gamma", [0.5, 2.0])
def test_gradient_stays_finite_where_the_network_is_sure(gamma):
    logits = torch.tensor([[60.0, 0.0], [0.0, 60.0]], requires_grad=True)
    focal_loss(logits, torch.tensor([0, 0]), gamma=gamma).backward()
    assert logits.grad is not None
    assert torch.isfinite(logits.grad).all()


def test_gradient_is_right():
    logits = LOGITS.double().requires_grad_()
    weights = shape_class_weights(DDSM).double()
    assert torch.autograd.gradcheck(lambda x: focal_loss(x, LABELS, weights), (logits,))


def test_weighted_cross_entropy_divides_by_cases():
    weights = shape_class_weights(DDSM)
    torchs = functional.cross_entropy(LOGITS, LABELS, weights)
    found = weighted_cross_entropy(LOGITS, LABELS, weights)
    assert found.item() == pytest.approx((torchs * weights[LABELS].mean()).item(), rel=1e-5)
    ones = torch.ones(4)
    assert weighted_cross_entropy(LOGITS, LABELS, ones).item() == pytest.approx(
        functional.cross_entropy(LOGITS, LABELS).item()
    )


@pytest.mark.parametrize("weighting", WEIGHTINGS)
def test_a_class_without_a_case_is_refused(weighting):
    with pytest.raises(DataError, match=r"counts\[2\] = 0: .* stratify"):
        shape_class_weights([5, 6, 0, 7], weighting)


def test_bad_settings():
    with pytest.raises(SpecError, match="none, published, inverse, effective"):
        shape_class_weights(DDSM, "balanced")
    with pytest.raises(SpecError, match="beta = 1"):
        shape_class_weights(DDSM, "effective", beta=1.0)
    with pytest.raises(DataError, match="two classes"):
        shape_class_weights([5])
    with pytest.raises(SpecError, match="gamma = -1"):
        focal_loss(LOGITS, LABELS, gamma=-1)
