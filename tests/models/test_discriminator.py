"""The discriminator: published total, scores and receptive field."""

from __future__ import annotations

from itertools import pairwise

import pytest
import torch
from torch import nn

from mammostudy.errors import SpecError
from mammostudy.models import Discriminator


def test_parameter_total() -> None:
    assert sum(weights.numel() for weights in Discriminator().parameters()) == 694_625
    filters = [2, 32, 64, 128, 256, 1]  # oracle: the paper's table
    convolutions = sum(16 * a * b + b for a, b in pairwise(filters))
    assert convolutions + 2 * (64 + 128 + 256) == 694_625


@pytest.mark.parametrize(("size", "scores"), [(256, 30), (128, 14), (64, 6), (24, 1)])
def test_scores(size: int, scores: int) -> None:
    out = Discriminator(width=4)(torch.rand(2, 2, size, size))
    assert out.shape == (2, 1, scores, scores)
    assert out.min() >= 0
    assert out.max() <= 1


def test_the_receptive_field_is_70_by_70() -> None:
    """A score depends on a square of 70 pixels: where its gradient is not zero."""
    torch.manual_seed(0)
    discriminator = Discriminator().eval()
    images = torch.rand(1, 2, 256, 256, requires_grad=True)
    discriminator.layers(images)[0, 0, 15, 15].backward()
    assert images.grad is not None
    reached = images.grad.abs().sum(dim=(0, 1)) > 0
    rows, columns = reached.any(dim=1).nonzero(), reached.any(dim=0).nonzero()
    assert rows.max() - rows.min() + 1 == 70
    assert columns.max() - columns.min() + 1 == 70


def test_batch_norm_after_the_middle_layers() -> None:
    kinds = [type(layer) for layer in Discriminator().layers]
    conv, norm, leaky = nn.Conv2d, nn.BatchNorm2d, nn.LeakyReLU
    assert kinds == [conv, leaky] + [conv, norm, leaky] * 3 + [conv]


@pytest.mark.parametrize(
    ("shape", "message"),
    [
        ((1, 1, 64, 64), r"takes \(n, 2, h, w\), .* not \(1, 1, 64, 64\)"),
        ((2, 64, 64), "takes"),
        ((1, 2, 16, 64), "sides of 24 pixels or more"),
    ],
)
def test_unsuitable_input_is_refused(shape: tuple, message: str) -> None:
    with pytest.raises(SpecError, match=message):
        Discriminator(width=4)(torch.rand(shape))
    Discriminator(width=4)(torch.rand(1, 2, 24, 64))  # control
    with pytest.raises(SpecError, match="must be 1 or more"):
        Discriminator(width=0)


def test_numbers_move_only_with_the_recipe_version() -> None:
    """Golden: weights set by rule, so that no generator of random numbers is in it."""
    discriminator = Discriminator(width=2).eval()
    with torch.no_grad():
        for weights in discriminator.parameters():
            values = torch.arange(weights.numel(), dtype=torch.float32)
            weights.copy_((0.3 * torch.sin(values)).reshape(weights.shape))
        out = discriminator(torch.linspace(0, 1, 2 * 32 * 32).reshape(1, 2, 32, 32))
    assert out.flatten().tolist() == pytest.approx(GOLDEN, abs=1e-5)


GOLDEN = [0.509216, 0.507587, 0.491631, 0.499643]
