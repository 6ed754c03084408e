"""The discriminator: published total, scores and receptive field."""

import pytest
import torch
from torch import nn

from mammostudy.models import Discriminator


def test_the_published_layers_and_total() -> None:
    kinds = [type(layer) for layer in Discriminator().layers]
    conv, norm, leaky = nn.Conv2d, nn.BatchNorm2d, nn.LeakyReLU
    assert kinds == [conv, leaky] + [conv, norm, leaky] * 3 + [conv]
    assert sum(weights.numel() for weights in Discriminator().parameters()) == 694_625


@pytest.mark.parametrize(("size", "scores"), [(256, 30), (64, 6), (24, 1)])
def test_scores(size: int, scores: int) -> None:
    out = Discriminator(width=4)(torch.rand(2, 2, size, size))
    assert out.shape == (2, 1, scores, scores)
    assert 0 <= out.min() <= out.max() <= 1


def test_the_receptive_field_is_70_by_70() -> None:
    """A score depends on a square of 70 pixels: where its gradient is not zero."""
    torch.manual_seed(0)
    discriminator = Discriminator(width=4).eval()
    images = torch.rand(1, 2, 128, 128, requires_grad=True)
    discriminator.layers(images)[0, 0, 7, 7].backward()
    reached = images.grad.abs().sum(dim=(0, 1)) > 0
    for side in (0, 1):
        lines = reached.any(dim=side).nonzero()
        assert lines.max() - lines.min() + 1 == 70


def test_golden_numbers() -> None:
    """Weights are set by rule, so that no generator of random numbers is in them."""
    discriminator = Discriminator(width=2).eval()
    with torch.no_grad():
        for weights in discriminator.parameters():
            values = torch.arange(weights.numel(), dtype=torch.float32)
            weights.copy_((0.3 * torch.sin(values)).reshape(weights.shape))
        out = discriminator(torch.linspace(0, 1, 2 * 32 * 32).reshape(1, 2, 32, 32))
    golden = [0.509216, 0.507587, 0.491631, 0.499643]
    assert out.flatten().tolist() == pytest.approx(golden, abs=1e-5)
