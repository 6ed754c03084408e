"""Segmenters: what all must do, and the defining part of some by hand."""

import math
import sys

import numpy as np
import pytest
import segmentation_models_pytorch
import torch
from safetensors.torch import load_file, save_file
from torch.nn import functional

from mammostudy.errors import DataError, SpecError
from mammostudy.models import build_detector, build_segmenter, segmenter_names
from mammostudy.models.segmenters import crfcnn, library_unets

SMALL = {  # for the quick tests
    "cgan": {"width": 8, "levels": 6},
    "crfcnn": {"dense": 64},
    "fcn": {"dense": 64},
    "unet-lite0": {"weights": "none"},
    "unet-plain": {"width": 8},
}
DEEP = {"cgan-resnet101", "fcn-resnet101"}  # a hundred layers of batch norm that has not run yet
HEAVY = {"cgan-resnet101", "fcn-resnet101", "slsdeep", "unet-vgg16"}


def build(name, seed=0, **fields):
    torch.manual_seed(seed)
    return build_segmenter(name, **SMALL.get(name, {}) | fields)


@pytest.mark.parametrize(
    "name",
    [pytest.param(each, marks=[pytest.mark.slow] * (each in HEAVY)) for each in segmenter_names()],
)
def test_size_range_gradient_and_saved_weights(name, tmp_path):
    module, side = build(name).train(), 64 if name == "cgan" else 32
    images = torch.rand(2, 1, side, side, generator=torch.Generator().manual_seed(1))
    out = module(images)
    assert out.shape == images.shape
    assert out.abs().max() <= 1
    assert out.std() > 0
    (out * torch.linspace(-1, 1, out.numel()).reshape(out.shape)).sum().backward()
    for part, weights in module.named_parameters():
        assert weights.grad is not None, part
        assert torch.isfinite(weights.grad).all(), part
        if weights.ndim > 1:  # the bias before a batch norm has none by its nature
            assert weights.grad.abs().max() > 0, part
    with torch.no_grad():
        whole, close = module.eval()(images), 1e-2 if name in DEEP else 1e-5
        torch.testing.assert_close(whole[1:], module(images[1:]), atol=close, rtol=1e-4)
    save_file(module.state_dict(), tmp_path / "weights.safetensors")
    with torch.device("meta"):
        other = build(name).eval()
    other.load_state_dict(load_file(tmp_path / "weights.safetensors"), assign=True)
    torch.testing.assert_close(whole, other(images), atol=close, rtol=1e-4)
    for height, width in ((68, 64), (64, 68)):
        with pytest.raises(SpecError, match=rf"{height} x {width} pixels must be divisible"):
            module(torch.zeros(2, 1, height, width))
    with pytest.raises(SpecError, match=r"takes \(n, 1, h, w\)"):
        module(torch.zeros(2, 2, 64, 64))


def test_fields_are_taken_or_refused_by_name():
    out = build("unet", in_channels=3, out_channels=2)(torch.rand(2, 3, 64, 64))
    assert out.shape == (2, 2, 64, 64)
    for name, fields, message in (
        ("cgan", {"wdith": 3}, "no field wdith"),
        ("unet", {"in_channels": "one"}, "in_channels: "),
        ("fcn", {"dense": 0}, "dense: "),
        ("crfcnn", {"out_channels": 2}, "out_channels: "),
        ("unet", {"encoder": "resnet1"}, "encoder: "),
    ):
        with pytest.raises(SpecError, match=message):
            build(name, **fields)


def test_a_batch_too_small_to_train_the_unet():
    small = torch.zeros(1, 1, 32, 32)
    with pytest.raises(SpecError, match="cannot train the U-Net"):
        build("unet").train()(small)
    build("unet").eval()(small)  # control


def test_segnet_puts_values_back_where_they_came_from(monkeypatch):
    """Each unpooling takes the positions of its own level's pooling, in reverse order."""
    pooled, unpooled = [], []
    pool, unpool = functional.max_pool2d, functional.max_unpool2d

    def pooling(*args, **kwargs):
        out = pool(*args, **kwargs)
        pooled.append(out[1])
        return out

    def unpooling(values, places, *rest):
        unpooled.append(places)
        return unpool(values, places, *rest)

    monkeypatch.setattr(functional, "max_pool2d", pooling)
    monkeypatch.setattr(functional, "max_unpool2d", unpooling)
    with torch.no_grad():
        build_segmenter("segnet").eval()(torch.rand(1, 1, 32, 32))
    assert len(pooled) == len(unpooled) == 5
    assert all(one is other for one, other in zip(pooled, reversed(unpooled), strict=True))


@pytest.mark.parametrize("name", ["fcn", "slsdeep", "unet-vgg16", "retinanet", "ssd300-vgg16"])
def test_weights_that_cannot_be_had_are_one_clear_error(name, monkeypatch, tmp_path):
    plain = segmentation_models_pytorch.Unet

    def refuse(*given, **fields):
        if "encoder_weights" in fields and fields["encoder_weights"] is None:
            return plain(*given, **fields)
        raise OSError("no network")

    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    monkeypatch.setattr("torch.hub.load_state_dict_from_url", refuse)
    monkeypatch.setattr("torchvision.models._api.load_state_dict_from_url", refuse)
    monkeypatch.setattr("segmentation_models_pytorch.Unet", refuse)
    build = build_segmenter if name in segmenter_names() else build_detector
    with pytest.raises(DataError, match="weights = 'none'"):
        build(name, weights="imagenet", **({"dense": 8} if name == "fcn" else {}))


def test_packaged_weights_stand_in_the_encoder_in_order(monkeypatch):
    plain = build_segmenter("unet-lite0", weights="none")
    own = plain.network.encoder.model.state_dict()
    stored = {f"_{i}": torch.full_like(each, 1 + i % 5) for i, each in enumerate(own.values())}
    stored["_0"] = torch.ones(32, 3, 3, 3)
    extra = {"_conv_head.weight": torch.zeros(1), "_bn1.bias": torch.zeros(1)}
    monkeypatch.setattr(library_unets, "packaged_weights", lambda: stored | extra)
    filled = build_segmenter("unet-lite0").network.encoder.model.state_dict()
    first, *rest = filled.values()
    assert first.unique().tolist() == [3.0]  # the sum over three colours
    assert all(torch.equal(a, b) for a, b in zip(rest, list(stored.values())[1:], strict=True))
    stored.popitem()
    with pytest.raises(DataError, match="cannot be used"):
        build_segmenter("unet-lite0")
    monkeypatch.undo()
    monkeypatch.setitem(sys.modules, library_unets.PACKAGE, None)
    with pytest.raises(DataError, match=r"mammostudy\[pretrained\]"):
        build_segmenter("unet-lite0")


@pytest.mark.parametrize(
    ("name", "weights", "mean", "deviation"),
    [("unet-lite0", "packaged", 0.5, 0.5), ("segnet", "imagenet", 0.449, 0.226)],
)
def test_pretrained_encoders_get_the_range_that_their_weights_learnt_from(
    name, weights, mean, deviation, monkeypatch
):
    monkeypatch.setattr(library_unets, "_load_in_order", lambda *_: None)  # no weights are needed
    monkeypatch.setattr("mammostudy.models.encoders.load_vgg16", lambda layers, _: layers)
    images, close = torch.rand(2, 1, 32, 32), {"atol": 1e-5, "rtol": 1e-4}
    plain, ranged = (
        build(name, weights=weights, standardised=flag).eval() for flag in (False, True)
    )
    with torch.no_grad():
        for module in (plain, ranged):  # batch norm has seen nothing yet: its output must move
            module.train()(images)
            module.eval()
        ranged.load_state_dict(plain.state_dict())
        torch.testing.assert_close(ranged(images), plain((images - mean) / deviation), **close)
        assert not torch.allclose(ranged(images), plain(images), atol=1e-4)  # control
    with pytest.raises(SpecError, match="no field standardised"):
        build("crfcnn", weights="none", standardised=True)


def brute_force(logits, image, field):
    """All pixels with all others, both labels kept apart, as Krahenbuhl and Koltun write it."""
    height, width = image.shape
    spots = [(y, x) for y in range(height) for x in range(width)]
    kernels = np.zeros((2, len(spots), len(spots)))
    for i, (y, x) in enumerate(spots):
        for j, (v, u) in enumerate(spots):
            if i == j:
                continue
            far = (y - v) ** 2 + (x - u) ** 2
            grey = (image[y, x] - image[v, u]) ** 2
            kernels[0, i, j] = math.exp(-far / (2 * crfcnn.SMOOTH**2))
            kernels[1, i, j] = math.exp(-far / (2 * crfcnn.NEAR**2) - grey / (2 * crfcnn.ALIKE**2))
    kernels /= kernels.sum(axis=2, keepdims=True)
    weights = field.weights.detach().numpy()
    unary = np.stack([np.zeros(len(spots)), logits.ravel()])  # background, mass
    shares = np.exp(unary) / np.exp(unary).sum(axis=0)
    for _ in range(field.rounds):
        messages = sum(w * shares @ kernel.T for w, kernel in zip(weights, kernels, strict=True))
        penalties = float(field.penalty.detach()) * messages[::-1]  # unlike labels cost
        scores = unary - penalties
        shares = np.exp(scores) / np.exp(scores).sum(axis=0)
    return (scores[1] - scores[0]).reshape(height, width)


@pytest.mark.parametrize("rounds", [1, 5])
def test_mean_field_is_what_the_sum_over_all_pixels_says(rounds, monkeypatch):
    for name, value in (("SMOOTH", 1.5), ("NEAR", 2.0), ("ALIKE", 0.3)):
        monkeypatch.setattr(crfcnn, name, value)  # kernels that matter on a few pixels
    rng = np.random.default_rng(rounds)
    logits, image = rng.normal(size=(3, 3)) * 2, rng.random((3, 3))
    field = crfcnn.MeanField(rounds, window=5)
    planes = [torch.tensor(each, dtype=torch.float32)[None, None] for each in (logits, image)]
    with torch.no_grad():
        field.weights.copy_(torch.tensor([0.7, 1.3]))
        field.penalty.fill_(0.9)
        found = field(*planes)[0, 0].numpy()
    np.testing.assert_allclose(found, brute_force(logits, image, field), atol=1e-5)
