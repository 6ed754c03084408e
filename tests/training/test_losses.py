"""Losses against numbers worked out by hand, other libraries, and their own past."""

import math

import pytest
import torch
from monai.losses import DiceLoss
from torch import Tensor
from torch.nn import functional

from mammostudy.training import losses


def image(*values: float) -> Tensor:
    return torch.tensor(values, dtype=torch.float32).reshape(1, 1, 1, -1)


@pytest.mark.parametrize(
    ("p", "y", "expected"),
    [
        ((1, 1, 0, 0), (1, 0, 0, 0), 1 - 3 / 4),
        ((0.5, 0.5, 0.5, 0.5), (1, 1, 0, 0), 1 - 3 / 5),
        ((0, 0, 0, 0), (0, 0, 0, 0), 0.0),
        ((0, 0, 0, 0), (1, 1, 1, 0), 1 - 1 / 4),
    ],
)
def test_dice_with_smooth_one(p: tuple[float], y: tuple[float], expected: float) -> None:
    assert float(losses.dice_loss(image(*p), image(*y))) == pytest.approx(expected, abs=1e-6)


def test_released_dice_costs_a_perfect_mask_more_than_an_empty_output() -> None:
    y = torch.zeros(1, 1, 256, 256)
    y.flatten()[: round(0.2 * 256 * 256)] = 1  # a mask of 20 %
    assert float(losses.released_dice_loss(2 * y - 1, y)) == pytest.approx(2.67, abs=0.005)
    painted = losses.released_dice_loss(torch.ones_like(y), y)  # everything is mass: (p + y) > 0
    assert float(painted) == pytest.approx(1 + 2 * 0.6 / 0.4, abs=1e-3)


def test_cross_entropy_by_hand() -> None:
    p, y = image(0.9, 0.4), image(1, 0)
    entropy = -(math.log(0.9) + math.log(0.6)) / 2
    dice = 1 - (2 * 0.9 + 1) / (1.3 + 1 + 1)
    assert float(losses.dice_bce_loss(p, y)) == pytest.approx(dice + entropy, rel=1e-5)
    sure = float(losses.dice_bce_loss(image(0, 1), image(1, 0)))  # wrong and sure: large, finite
    assert sure == pytest.approx(-math.log(1e-6) + 1 - 1 / 3, rel=0.02)


def test_adversarial_terms_are_the_papers_logarithms() -> None:
    scores = torch.full((2, 1, 3, 3), 0.01)
    scores[0] = 0.25
    real = -(math.log(0.01) + math.log(0.25)) / 2
    fake = -(math.log(0.99) + math.log(0.75)) / 2
    assert float(losses.adversarial_loss(scores, 1.0)) == pytest.approx(real, rel=1e-5)
    assert float(losses.adversarial_loss(scores, 0.0)) == pytest.approx(fake, rel=1e-5)


def test_dice_agrees_with_monai() -> None:
    torch.manual_seed(0)
    p, y = torch.rand(4, 1, 8, 8), (torch.rand(4, 1, 8, 8) > 0.6).float()
    theirs = DiceLoss(smooth_nr=1.0, smooth_dr=1.0)(p, y)
    assert float(losses.dice_loss(p, y)) == pytest.approx(float(theirs))


def test_a_score_that_is_not_a_number_makes_a_loss_that_is_not() -> None:
    scores = torch.tensor([[0.5, torch.nan]])
    for loss in (losses.adversarial_loss(scores, 1.0), losses.adversarial_loss(scores, 0.0)):
        assert math.isnan(float(loss))
    assert math.isnan(float(losses.dice_bce_loss(scores, torch.ones(1, 2))))
    with pytest.raises(RuntimeError, match="between 0 and 1"):  # control: torch by itself
        functional.binary_cross_entropy(scores, torch.ones(1, 2))


GOLDEN = {"dice": 0.5641265, "l1": 0.5047569, "released_dice": 1.013489, "dice_bce": 1.972677}


def test_golden_numbers() -> None:
    t = torch.sin(torch.arange(2 * 64, dtype=torch.float32)).reshape(2, 1, 8, 8)
    y = (torch.cos(torch.arange(2 * 64, dtype=torch.float32)).reshape(2, 1, 8, 8) > 0.4).float()
    numbers = {name: float(losses.overlap_loss(name)(t, y)) for name in GOLDEN}
    assert numbers == pytest.approx(GOLDEN, rel=1e-5)


def test_the_end_point_error_by_hand() -> None:
    """One pixel of a 3x3 mask: its left and upper neighbour and itself have other gradients."""
    y = torch.zeros(1, 1, 3, 3)
    p = y.clone()
    p[0, 0, 1, 1] = 1
    lengths = [1.0, 1.0, 2**0.5]  # the pixel above, the one to the left, the pixel itself
    assert float(losses.end_point_error(p, y)) == pytest.approx(sum(lengths) / 9, abs=1e-5)
    assert float(losses.end_point_error(p, p)) == pytest.approx(0, abs=1e-5)
