"""The defining part of each segmenter, by hand: unpooling, pyramid bins, skips, packed weights."""

from __future__ import annotations

import sys
from types import ModuleType

import pytest
import segmentation_models_pytorch
import torch
from torch import nn
from torch.nn import functional

from mammostudy.errors import DataError
from mammostudy.models import build_segmenter
from mammostudy.models.segmenters import encoder_unets, trunks
from mammostudy.models.segmenters.slsdeep import PyramidPooling


def test_segnet_puts_values_back_where_they_came_from(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each unpooling takes the positions of its own level's pooling, in reverse order."""
    pooled, unpooled = [], []
    pool, unpool = functional.max_pool2d, functional.max_unpool2d

    def pooling(*args: object, **kwargs: object) -> object:
        out = pool(*args, **kwargs)  # type: ignore[arg-type]
        pooled.append(out[1])
        return out

    def unpooling(values: torch.Tensor, places: torch.Tensor, *rest: object) -> torch.Tensor:
        unpooled.append(places)
        out = unpool(values, places, *rest)  # type: ignore[arg-type]
        there = out.flatten(2).gather(2, places.flatten(2)).reshape(values.shape)
        assert torch.equal(there, values)
        assert int((out != 0).sum()) <= values.numel()
        return out

    monkeypatch.setattr(functional, "max_pool2d", pooling)
    monkeypatch.setattr(functional, "max_unpool2d", unpooling)
    with torch.no_grad():
        build_segmenter("segnet").eval()(torch.rand(1, 1, 32, 32))
    assert len(pooled) == len(unpooled) == 5
    assert all(one is other for one, other in zip(pooled, reversed(unpooled), strict=True))


def test_pyramid_bins_are_means_of_equal_parts() -> None:
    features = torch.arange(36.0).reshape(1, 1, 6, 6)
    pooling = PyramidPooling(4)
    one, two, three, six = pooling.pooled(features)
    assert one.item() == pytest.approx(17.5)
    assert two.flatten().tolist() == pytest.approx([7.0, 10.0, 25.0, 28.0])
    assert three[0, 0, 0, 0].item() == pytest.approx((0 + 1 + 6 + 7) / 4)
    assert torch.equal(six, features)
    assert pooling.out_channels == 8
    assert torch.equal(pooling(features.expand(1, 4, 6, 6))[:, :4], features.expand(1, 4, 6, 6))


def test_the_fcn_joins_three_strides() -> None:
    """With the scores of two levels at zero, the third alone makes the map, at its stride."""
    torch.manual_seed(0)
    module = build_segmenter("fcn", dense=8).eval()
    scores: nn.ModuleList = module.scores  # type: ignore[assignment]
    images = torch.rand(1, 1, 64, 64)
    with torch.no_grad():
        whole = module.logits(images)  # type: ignore[operator]
        parts = []
        for kept in range(3):
            for level, layer in enumerate(scores):
                layer.weight.mul_(float(level == kept))
                layer.bias.mul_(float(level == kept))
            parts.append(module.logits(images))  # type: ignore[operator]
            torch.manual_seed(0)
            fresh = build_segmenter("fcn", dense=8)
            module.load_state_dict(fresh.state_dict())
    torch.testing.assert_close(sum(parts), whole, atol=1e-6, rtol=1e-4)
    assert all(part.std() > 0 for part in parts)


@pytest.mark.parametrize("name", ["fcn-resnet101", "slsdeep"])
def test_dilated_trunks_keep_an_eighth_of_the_side(name: str) -> None:
    module = build_segmenter(name).eval()
    trunk: nn.ModuleDict = module.trunk  # type: ignore[assignment]
    features = torch.rand(1, 1, 64, 64)
    with torch.no_grad():
        for stage in trunk.values():
            features = stage(features)
    assert features.shape == (1, 2048, 8, 8)


def test_a_colour_layer_takes_grey_as_three_equal_channels() -> None:
    first = nn.Conv2d(3, 4, 3, padding=1)
    grey = torch.rand(2, 1, 8, 8)
    with torch.no_grad():
        expected = first(grey.expand(-1, 3, -1, -1))
        torch.testing.assert_close(trunks._takes(first, 1)(grey), expected, atol=1e-6, rtol=1e-5)


@pytest.mark.parametrize("name", ["fcn", "segnet", "slsdeep", "unet-vgg16", "cgan-resnet101"])
def test_weights_that_cannot_be_had_are_one_clear_error(
    name: str, monkeypatch: pytest.MonkeyPatch, tmp_path: object
) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise OSError("no network")

    plain = segmentation_models_pytorch.Unet

    def unet(*args: object, **fields: object) -> object:
        return refuse() if fields.get("encoder_weights") else plain(*args, **fields)

    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    monkeypatch.setattr("torch.hub.load_state_dict_from_url", refuse)
    monkeypatch.setattr("torchvision.models._api.load_state_dict_from_url", refuse)
    monkeypatch.setattr("segmentation_models_pytorch.Unet", unet)
    fields = {"dense": 8} if name == "fcn" else {}
    with pytest.raises(DataError, match="weights = 'none'"):
        build_segmenter(name, weights="imagenet", **fields)


def test_packaged_weights_stand_in_the_encoder_in_order(monkeypatch: pytest.MonkeyPatch) -> None:
    plain = build_segmenter("unet-lite0", weights="none")
    encoder: nn.Module = plain.network.encoder.model  # type: ignore[union-attr, assignment]
    own = encoder.state_dict()
    stored = {f"_{i}": torch.full_like(each, 1 + i % 5) for i, each in enumerate(own.values())}
    stored["_0"] = torch.ones(32, 3, 3, 3)
    extra = {"_conv_head.weight": torch.zeros(1), "_bn1.bias": torch.zeros(1)}
    monkeypatch.setattr(encoder_unets, "packaged_weights", lambda: stored | extra)
    filled = build_segmenter("unet-lite0").network.encoder.model.state_dict()  # type: ignore[union-attr]
    first, *rest = filled.values()
    assert first.unique().tolist() == [3.0]  # the sum over three colours
    assert all(torch.equal(a, b) for a, b in zip(rest, list(stored.values())[1:], strict=True))
    stored.popitem()
    with pytest.raises(DataError, match="tensors"):
        build_segmenter("unet-lite0")
    stored["_last"] = torch.zeros(2, 2)
    with pytest.raises(DataError, match="found"):
        build_segmenter("unet-lite0")


def test_a_missing_package_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, encoder_unets.PACKAGE, None)  # type: ignore[arg-type]
    with pytest.raises(DataError, match=r"mammostudy\[pretrained\]"):
        build_segmenter("unet-lite0")
    broken = ModuleType(encoder_unets.PACKAGE)
    monkeypatch.setitem(sys.modules, encoder_unets.PACKAGE, broken)
    with pytest.raises(DataError, match="install it anew"):
        build_segmenter("unet-lite0")
