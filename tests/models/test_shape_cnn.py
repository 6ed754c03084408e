"""The shape CNN as published: sizes, parameters, and that it can learn."""

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import nn

from mammostudy.errors import SpecError
from mammostudy.imaging.shape_masks import shape_between
from mammostudy.models.shapes import ShapeCNN
from mammostudy.study import published


def network(seed=0, **fields):
    torch.manual_seed(seed)
    return ShapeCNN(**fields)


def masks(count=8):
    """Two of each shape; classes in the study's order."""
    planes = [shape_between(3 - k % 4, diameter=0.5 - 0.1 * (k // 4), seed=k) for k in range(count)]
    return torch.tensor(np.stack(planes)[:, None], dtype=torch.float32), torch.arange(count) % 4


def count(module):
    return sum(parameter.numel() for parameter in module.parameters())


def test_published_number_of_parameters():
    assert count(ShapeCNN()) == published.PARAMETER_COUNTS["shape CNN"] == 767_684


def test_control_biased_convolutions_would_miss_it():
    extra = sum(m.out_channels for m in ShapeCNN().modules() if isinstance(m, nn.Conv2d))
    assert count(ShapeCNN()) + extra != 767_684


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


def test_logits_not_probabilities():
    logits = network().eval()(masks()[0])
    assert not torch.allclose(logits.sum(dim=1), torch.ones(8))
    assert (logits < 0).any()


def test_every_parameter_gets_a_gradient():
    net = network()
    nn.functional.cross_entropy(net(masks()[0]), masks()[1]).backward()
    for name, parameter in net.named_parameters():
        assert parameter.grad is not None, name
        assert parameter.grad.abs().sum() > 0, name


def test_glorot_uniform_and_no_bias_at_the_start():
    net = network()
    for layer in net.modules():
        if isinstance(layer, nn.Conv2d | nn.Linear):
            fan_in, fan_out = nn.init._calculate_fan_in_and_fan_out(layer.weight)
            limit = (6 / (fan_in + fan_out)) ** 0.5
            assert layer.weight.abs().max() <= limit
            assert layer.weight.std().item() == pytest.approx(limit / 3**0.5, rel=0.1)
            assert layer.bias is None or not layer.bias.any()


def test_dropout_only_in_training():
    net, (batch, _) = network(), masks()
    assert not torch.equal(net(batch), net(batch))
    net.eval()
    assert torch.equal(net(batch), net(batch))
    assert net.dropout.p == 0.5


def test_same_seed_same_network_and_batch_does_not_matter():
    one, two, (batch, _) = network(3).eval(), network(3).eval(), masks()
    assert torch.equal(one(batch), two(batch))
    assert torch.allclose(one(batch)[2:3], one(batch[2:3]), atol=1e-5)
    assert not torch.equal(one(batch), network(4).eval()(batch))


def test_saved_and_loaded(tmp_path):
    net, other = network(1).eval(), network(2).eval()
    save_file(net.state_dict(), tmp_path / "weights.safetensors")
    other.load_state_dict(load_file(tmp_path / "weights.safetensors"))
    assert torch.equal(net(masks()[0]), other(masks()[0]))


def test_overfits_eight_masks():
    net, (batch, labels) = network(), masks()
    optimiser = torch.optim.Adam(net.parameters(), 1e-3)
    for _ in range(40):
        optimiser.zero_grad()
        loss = nn.functional.cross_entropy(net(batch), labels)
        loss.backward()
        optimiser.step()
    net.eval()
    assert (net(batch).argmax(dim=1) == labels).all()
    assert nn.functional.cross_entropy(net(batch), labels) < 0.1


@pytest.mark.parametrize("shape", [(2, 1, 128, 128), (2, 3, 64, 64), (1, 64, 64), (2, 1, 64, 63)])
def test_other_sizes_are_refused(shape):
    with pytest.raises(SpecError, match=r"takes \(n, 1, 64, 64\), not .*place_mask"):
        network()(torch.zeros(shape))


def test_one_class_is_no_classifier():
    with pytest.raises(SpecError, match="classes = 1"):
        ShapeCNN(1)


def test_golden_numbers():
    planes = np.stack([shape_between(position) for position in range(4)])[:, None]
    found = network().eval()(torch.tensor(planes, dtype=torch.float32))[:, 0]
    golden = [0.0052304, -0.0123627, 0.0065670, -0.0052762]
    assert found.tolist() == pytest.approx(golden, abs=2e-5), "logits moved: raise VERSION"
