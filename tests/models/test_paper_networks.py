"""The paper's pair: published totals, dropout, receptive field; quick layers against torch's."""

import copy

import pytest
import torch
from torch import nn

from mammostudy.errors import SpecError
from mammostudy.models import Discriminator, Generator, build_segmenter
from mammostudy.models.quick_layers import lay_channels_last


@pytest.mark.parametrize(
    ("made", "fields", "total"),
    [
        (Generator, {"in_channels": 3, "out_channels": 3, "shared_batch_norm": True}, 13_607_043),
        (Generator, {}, 13_607_937),
        (Generator, {"shared_batch_norm": True}, 13_603_969),
        (Generator, {"levels": 7}, 10_460_673),
        (Generator, {"width": 16, "levels": 7}, 2_617_089),
        (Discriminator, {}, 694_625),
    ],
)
def test_parameter_totals(made, fields, total):
    with torch.device("meta"):  # shapes without numbers
        network = made(**fields)
    assert sum(weights.numel() for weights in network.parameters()) == total


def test_dropout_at_prediction_leaves_batch_norm_alone():
    torch.manual_seed(0)
    generator = Generator(width=4, levels=6)
    images = torch.rand(4, 1, 64, 64)
    generator.train()(images)
    generator.eval()
    before = {name: values.clone() for name, values in generator.named_buffers()}
    with torch.no_grad():
        assert torch.equal(generator(images), generator(images))
        generator.dropout_at_prediction = True
        torch.manual_seed(1)
        one, other = generator(images), generator(images)
        torch.manual_seed(1)
        assert torch.equal(generator(images), one)
    assert not torch.equal(one, other)
    for name, values in generator.named_buffers():
        assert torch.equal(values, before[name]), name


def test_what_makes_no_network_is_refused():
    for fields in ({"levels": 1}, {"levels": 10}, {"width": 0}, {"out_channels": 0}):
        with pytest.raises(SpecError, match=next(iter(fields))):
            build_segmenter("cgan", **fields)
    assert [Generator(width=2, levels=n).dropout_layers for n in (2, 4, 5, 8)] == [0, 2, 3, 3]
    with pytest.raises(SpecError, match="must be divisible by 128"):
        Generator(width=2, levels=7)(torch.rand(1, 1, 64, 64))


@pytest.mark.parametrize(("size", "scores"), [(256, 30), (64, 6), (24, 1)])
def test_scores_of_the_published_layers(size, scores):
    discriminator = Discriminator(width=4)
    conv, norm, leaky = nn.Conv2d, nn.BatchNorm2d, nn.LeakyReLU
    kinds = [conv, leaky] + [conv, norm, leaky] * 3 + [conv]
    assert list(map(type, discriminator.layers)) == kinds
    out = discriminator(torch.rand(2, 2, size, size))
    assert out.shape == (2, 1, scores, scores)
    assert 0 <= out.min() <= out.max() <= 1


def test_the_receptive_field_is_70_by_70():
    """A score depends on a square of 70 pixels: where its gradient is not zero."""
    torch.manual_seed(0)
    discriminator = Discriminator(width=4).eval()
    images = torch.rand(1, 2, 128, 128, requires_grad=True)
    discriminator.layers(images)[0, 0, 7, 7].backward()
    reached = images.grad.abs().sum(dim=(0, 1)) > 0
    for side in (0, 1):
        lines = reached.any(dim=side).nonzero()
        assert lines.max() - lines.min() + 1 == 70


@pytest.mark.parametrize(
    ("network", "side", "mean", "at", "golden"),
    [
        (Discriminator(width=2), 32, 0.502019, slice(4), [0.509216, 0.507587, 0.491631, 0.499643]),
        (Generator(width=2, levels=4), 16, -0.010395, [52, 201], [0.058341, 0.005447]),
    ],
    ids=["discriminator", "generator"],
)
def test_golden_numbers(network, side, mean, at, golden):
    """Weights are set by rule, so that no generator of random numbers is in them."""
    channels = next(network.parameters()).shape[1]
    with torch.no_grad():
        for weights in network.parameters():
            values = torch.arange(weights.numel(), dtype=torch.float32)
            weights.copy_((0.3 * torch.sin(values)).reshape(weights.shape))
        pixels = torch.linspace(0, 1, channels * side**2).reshape(1, channels, side, side)
        out = network.eval()(pixels)
    assert out.flatten()[at].tolist() == pytest.approx(golden, abs=1e-5)
    assert out.mean().item() == pytest.approx(mean, abs=1e-5)


def relative(found, expected):
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
def test_a_quick_layer_and_its_gradients_equal_torch(layer, side):
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
def test_quick_networks_keep_names_and_numbers(made, channels):
    torch.manual_seed(0)
    network = made(**({"width": 8, "levels": 5} if made is Generator else {"width": 8}))
    images = torch.rand(2, channels, 64, 64)
    quick = lay_channels_last(copy.deepcopy(network))
    assert list(quick.state_dict()) == list(network.state_dict())
    torch.testing.assert_close(quick.eval()(images), network.eval()(images), rtol=0, atol=1e-5)
