"""The shape networks: sizes, parameters, the interface that they share, and that they can learn."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from mammostudy.errors import SpecError
from mammostudy.imaging.shape_masks import shape_between
from mammostudy.models.shapes import MaskClassifier, ShapeCNN, ShapeResNet
from mammostudy.study import published

Kind = type[MaskClassifier]
BOTH = pytest.mark.parametrize("kind", [ShapeCNN, ShapeResNet])


def network(kind: Kind = ShapeCNN, seed: int = 0, classes: int = 4) -> MaskClassifier:
    torch.manual_seed(seed)
    return kind(classes)


def masks(count: int = 8) -> tuple[Tensor, Tensor]:
    """Two of each shape; classes in the study's order."""
    planes = [shape_between(3 - k % 4, diameter=0.5 - 0.1 * (k // 4), seed=k) for k in range(count)]
    return torch.tensor(np.stack(planes)[:, None], dtype=torch.float32), torch.arange(count) % 4


def count(module):
    return sum(parameter.numel() for parameter in module.parameters())


def test_published_number_of_parameters():
    assert count(ShapeCNN()) == published.PARAMETER_COUNTS["shape CNN"] == 767_684
    assert count(network(ShapeResNet)) == 183_156


def test_layers_are_the_published_ones():
    table = published.architecture().query("network == 'shape CNN'").reset_index()
    layers = [m for m in ShapeCNN().modules() if isinstance(m, nn.Conv2d | nn.Linear)]
    for layer, row in zip(layers, table.itertuples(), strict=True):
        assert (layer.bias is not None) == row.bias
        if isinstance(layer, nn.Conv2d):
            assert layer.kernel_size == (row.kernel, row.kernel)
            assert layer.out_channels == row.filters
        else:
            assert layer.out_features == row.filters


def test_feature_maps():
    net, shapes = network(), []
    for layer in net.features:
        if isinstance(layer, nn.Conv2d | nn.MaxPool2d | nn.Linear):
            layer.register_forward_hook(lambda _, __, out: shapes.append(tuple(out.shape[1:])))
    logits = net(masks()[0])
    assert shapes == [
        (64, 64, 64),
        (64, 16, 16),
        (128, 16, 16),
        (128, 4, 4),
        (256, 1, 1),
        (128,),
    ]
    assert logits.shape == (8, 4)
    assert net.embed(masks()[0]).shape == (8, 128)
    assert network(classes=3)(masks()[0]).shape == (8, 3)


def test_glorot_uniform_and_no_bias_at_the_start():
    net = network()
    for layer in net.modules():
        if isinstance(layer, nn.Conv2d | nn.Linear):
            fan_in, fan_out = nn.init._calculate_fan_in_and_fan_out(layer.weight)
            limit = (6 / (fan_in + fan_out)) ** 0.5
            assert layer.weight.abs().max() <= limit
            assert layer.weight.std().item() == pytest.approx(limit / 3**0.5, rel=0.1)
            assert layer.bias is None or not layer.bias.any()


@BOTH
def test_interface(kind: Kind, tmp_path: Path) -> None:
    net, (batch, _) = network(kind, classes=3), masks()
    assert not torch.equal(net(batch), net(batch))  # dropout
    net.eval()
    hidden = net.embed(batch)
    assert hidden.shape == (8, 128)
    assert (hidden >= 0).all()
    assert torch.equal(net.head(hidden), net(batch))
    assert torch.allclose(net(batch)[2:3], net(batch[2:3]), atol=1e-5)
    again, other = network(kind, classes=3), network(kind, seed=4, classes=3).eval()
    assert torch.equal(again.head.weight, net.head.weight)
    assert not torch.equal(other(batch), net(batch))
    save_file(net.state_dict(), tmp_path / "weights.safetensors")
    other.load_state_dict(load_file(tmp_path / "weights.safetensors"))
    assert torch.equal(other(batch), net(batch))


@BOTH
def test_every_parameter_gets_a_gradient(kind: Kind) -> None:
    net, (batch, labels) = network(kind), masks()
    nn.functional.cross_entropy(net(batch), labels).backward()
    assert all(each.grad is not None and each.grad.any() for each in net.parameters())


@BOTH
@pytest.mark.parametrize("shape", [(2, 1, 128, 128), (2, 3, 64, 64), (1, 64, 64), (2, 1, 64, 63)])
def test_other_sizes_are_refused(kind: Kind, shape: tuple[int, ...]) -> None:
    with pytest.raises(SpecError, match=r"takes \(n, 1, 64, 64\), not "):
        network(kind)(torch.zeros(shape))
    with pytest.raises(SpecError, match="classes = 1"):
        kind(1)


GOLDEN = {
    ShapeCNN: [0.0052304, -0.0123627, 0.0065670, -0.0052762],
    ShapeResNet: [-0.0425843, -0.0439397, -0.0459218, -0.0438346],
}


@BOTH
def test_golden_numbers(kind: Kind) -> None:
    planes = np.stack([shape_between(position) for position in range(4)])[:, None]
    found = network(kind).eval()(torch.tensor(planes, dtype=torch.float32))[:, 0]
    assert found.tolist() == pytest.approx(GOLDEN[kind], abs=2e-5)
