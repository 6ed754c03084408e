"""Quick layers against torch's own, in double precision."""

import copy

import pytest
import torch
from torch import Tensor, nn

from mammostudy.models import Discriminator, Generator
from mammostudy.models.quick_layers import lay_channels_last


def relative(found: Tensor, expected: Tensor) -> float:
    return float(((found.double() - expected).abs().max() / expected.abs().max()).detach())


@pytest.mark.parametrize(
    ("layer", "side"),
    [
        (nn.Conv2d(3, 16, 4, 1, 1), 32),  # by Winograd's products, sides not divisible by 3
        (nn.Conv2d(3, 8, 4, 1, 1), 28),  # and divisible
        (nn.Conv2d(32, 32, 4, 2, 1), 64),  # by products of folded pixels
        (nn.Conv2d(32, 64, 4, 2, 1), 8),  # in the usual layout
        (nn.Conv2d(32, 32, 4, 2, 1), 17),
        (nn.ConvTranspose2d(32, 32, 4, 2, 1), 32),  # by products of folded pixels
        (nn.ConvTranspose2d(64, 32, 4, 2, 1), 4),
        (nn.ConvTranspose2d(8, 1, 4, 2, 1), 16),
    ],
    ids=str,
)
def test_a_layer_and_its_gradients_equal_torch(layer: nn.Module, side: int) -> None:
    torch.manual_seed(0)
    exact = copy.deepcopy(layer).double()
    quick = lay_channels_last(copy.deepcopy(layer))
    assert type(quick) is not type(layer)
    images = torch.randn(2, layer.in_channels, side, side)
    one = images.clone().requires_grad_()
    other = images.double().requires_grad_()
    out, expected = quick(one), exact(other)
    slope = torch.randn(expected.shape)
    out.backward(slope)
    expected.backward(slope.double())
    assert relative(out, expected) < 2e-5
    assert relative(one.grad, other.grad) < 2e-5
    for found, wanted in zip(quick.parameters(), exact.parameters(), strict=True):
        assert relative(found.grad, wanted.grad) < 2e-5


@pytest.mark.parametrize(("made", "channels"), [(Generator, 1), (Discriminator, 2)])
def test_networks_keep_names_and_numbers(made: type[nn.Module], channels: int) -> None:
    torch.manual_seed(0)
    network = made(**({"width": 8, "levels": 5} if made is Generator else {"width": 8}))
    images = torch.rand(2, channels, 64, 64)
    quick = lay_channels_last(copy.deepcopy(network))
    assert list(quick.state_dict()) == list(network.state_dict())
    torch.testing.assert_close(quick.eval()(images), network.eval()(images), rtol=0, atol=1e-5)
