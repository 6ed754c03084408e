"""The shape networks: published layers, the interface that they share, golden numbers."""

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import nn

from mammostudy.errors import SpecError
from mammostudy.imaging.shape_masks import shape_between
from mammostudy.models.shapes import ShapeCNN, ShapeResNet
from mammostudy.study import published

BOTH = pytest.mark.parametrize("kind", [ShapeCNN, ShapeResNet])


def network(kind=ShapeCNN, seed=0, classes=4):
    torch.manual_seed(seed)
    return kind(classes)


def masks(positions=(3, 2, 1, 0)):
    planes = np.stack([shape_between(position) for position in positions])
    return torch.tensor(planes[:, None], dtype=torch.float32)


def test_layers_and_maps_are_the_published_ones():
    table = published.architecture().query("network == 'shape CNN'").reset_index()
    net, shapes = network(), []
    layers = [m for m in net.modules() if isinstance(m, nn.Conv2d | nn.Linear)]
    for layer, row in zip(layers, table.itertuples(), strict=True):
        assert (layer.bias is not None) == row.bias
        if isinstance(layer, nn.Conv2d):
            assert layer.kernel_size == (row.kernel, row.kernel)
            assert layer.out_channels == row.filters
        else:
            assert layer.out_features == row.filters
    for layer in net.features:
        if isinstance(layer, nn.Conv2d | nn.MaxPool2d | nn.Linear):
            layer.register_forward_hook(lambda _, __, out: shapes.append(tuple(out.shape[1:])))
    net(masks())
    maps = [(64, 64, 64), (64, 16, 16), (128, 16, 16), (128, 4, 4), (256, 1, 1), (128,)]
    assert shapes == maps
    counts = [sum(each.numel() for each in made().parameters()) for made in (ShapeCNN, ShapeResNet)]
    assert counts == [published.PARAMETER_COUNTS["shape CNN"], 183_156] == [767_684, 183_156]


@BOTH
def test_interface(kind, tmp_path):
    net, batch = network(kind, classes=3), masks()
    assert not torch.equal(net(batch), net(batch))  # dropout
    nn.functional.cross_entropy(net(batch), torch.tensor([0, 1, 2, 0])).backward()
    assert all(each.grad is not None and each.grad.any() for each in net.parameters())
    net.eval()
    hidden = net.embed(batch)
    assert hidden.shape == (4, 128)
    assert (hidden >= 0).all()
    assert torch.equal(net.head(hidden), net(batch))
    assert torch.allclose(net(batch)[2:3], net(batch[2:3]), atol=1e-5)
    save_file(net.state_dict(), tmp_path / "weights.safetensors")
    other = network(kind, seed=4, classes=3).eval()
    assert not torch.equal(other(batch), net(batch))
    other.load_state_dict(load_file(tmp_path / "weights.safetensors"))
    assert torch.equal(other(batch), net(batch))


@BOTH
@pytest.mark.parametrize("shape", [(2, 1, 128, 128), (2, 3, 64, 64), (1, 64, 64), (2, 1, 64, 63)])
def test_other_sizes_are_refused(kind, shape):
    with pytest.raises(SpecError, match=r"takes \(n, 1, 64, 64\)"):
        network(kind)(torch.zeros(shape))


GOLDEN = {
    ShapeCNN: [0.0052304, -0.0123627, 0.0065670, -0.0052762],
    ShapeResNet: [-0.0425843, -0.0439397, -0.0459218, -0.0438346],
}


@BOTH
def test_golden_numbers(kind):
    found = network(kind).eval()(masks(range(4)))[:, 0]
    assert found.tolist() == pytest.approx(GOLDEN[kind], abs=2e-5)
