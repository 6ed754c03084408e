"""The small residual network: size, interface, and that its numbers stay."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import nn

from mammostudy.errors import SpecError
from mammostudy.imaging.shape_masks import shape_between
from mammostudy.models import ShapeCNN, ShapeResNet


def network(seed: int = 0, classes: int = 4) -> ShapeResNet:
    torch.manual_seed(seed)
    return ShapeResNet(classes)


def masks() -> torch.Tensor:
    planes = np.stack([shape_between(position) for position in range(4)])[:, None]
    return torch.tensor(planes, dtype=torch.float32)


def work(net: nn.Module) -> int:
    """Multiplications of convolutions for one mask."""
    total = 0

    def count(layer: nn.Module, _: object, out: torch.Tensor) -> None:
        nonlocal total
        total += layer.weight.numel() * out.shape[-1] * out.shape[-2]

    for layer in net.modules():
        if isinstance(layer, nn.Conv2d):
            layer.register_forward_hook(count)
    net.eval()(masks()[:1])
    return total


def test_parameters():
    count = sum(p.numel() for p in network().parameters())
    assert count == 183_156
    assert f"{count:,} parameters" in ShapeResNet.__doc__
    assert sum(p.numel() for p in network(classes=3).parameters()) == count - 129


def test_little_more_than_a_third_of_the_work_of_the_cnn():
    assert work(network()) / work(ShapeCNN()) < 0.36


def test_interface_of_the_cnn():
    net = network(classes=3).eval()
    assert net(masks()).shape == (4, 3)
    hidden = net.embed(masks())
    assert hidden.shape == (4, 128)
    assert (hidden >= 0).all()
    assert torch.equal(net.head(hidden), net(masks()))


def test_dropout_in_training_only():
    net = network()
    assert not torch.equal(net(masks()), net(masks()))
    net.eval()
    assert torch.equal(net(masks()), net(masks()))


def test_seeded_by_torch():
    one, same, other = network(0), network(0), network(1)
    assert torch.equal(one.head.weight, same.head.weight)
    assert not torch.equal(one.head.weight, other.head.weight)


def test_trains_on_a_single_mask():
    network().train()(masks()[:1]).sum().backward()  # the last batch of an epoch may hold one


def test_saved_and_loaded(tmp_path):
    net, other = network(1).eval(), network(2).eval()
    save_file(net.state_dict(), tmp_path / "weights.safetensors")
    other.load_state_dict(load_file(tmp_path / "weights.safetensors"))
    assert torch.equal(net(masks()), other(masks()))


@pytest.mark.parametrize("shape", [(2, 1, 128, 128), (2, 3, 64, 64), (1, 64, 64)])
def test_other_sizes_are_refused(shape):
    with pytest.raises(SpecError, match=r"takes \(n, 1, 64, 64\), not .*place_mask"):
        network()(torch.zeros(shape))


def test_one_class_is_no_classifier():
    with pytest.raises(SpecError, match="classes = 1"):
        ShapeResNet(1)


def test_golden_numbers():
    found = network().eval()(masks())[:, 0].tolist()
    assert found == pytest.approx(GOLDEN, abs=2e-5), "logits moved: raise VERSION"


GOLDEN = [-0.0425843, -0.0439397, -0.0459218, -0.0438346]
