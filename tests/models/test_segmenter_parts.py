"""The defining part of each segmenter, by hand: unpooling, packed weights, mean field."""

import math
import sys

import numpy as np
import pytest
import segmentation_models_pytorch
import torch
from torch.nn import functional

from mammostudy.errors import DataError
from mammostudy.models import build_detector, build_segmenter, segmenter_names
from mammostudy.models.segmenters import crfcnn, library_unets
from mammostudy.models.segmenters.crfcnn import MeanField


def test_segnet_puts_values_back_where_they_came_from(monkeypatch) -> None:
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
def test_weights_that_cannot_be_had_are_one_clear_error(name, monkeypatch, tmp_path) -> None:
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


def test_packaged_weights_stand_in_the_encoder_in_order(monkeypatch) -> None:
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
    with pytest.raises(DataError, match="tensors"):
        build_segmenter("unet-lite0")
    monkeypatch.undo()
    monkeypatch.setitem(sys.modules, library_unets.PACKAGE, None)
    with pytest.raises(DataError, match=r"mammostudy\[pretrained\]"):
        build_segmenter("unet-lite0")


def brute_force(logits: np.ndarray, image: np.ndarray, field: MeanField) -> np.ndarray:
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
def test_mean_field_is_what_the_sum_over_all_pixels_says(rounds, monkeypatch) -> None:
    for name, value in (("SMOOTH", 1.5), ("NEAR", 2.0), ("ALIKE", 0.3)):
        monkeypatch.setattr(crfcnn, name, value)  # kernels that matter on a few pixels
    rng = np.random.default_rng(rounds)
    logits, image = rng.normal(size=(3, 3)) * 2, rng.random((3, 3))
    field = MeanField(rounds, window=5)
    planes = [torch.tensor(each, dtype=torch.float32)[None, None] for each in (logits, image)]
    with torch.no_grad():
        field.weights.copy_(torch.tensor([0.7, 1.3]))
        field.penalty.fill_(0.9)
        found = field(*planes)[0, 0].numpy()
    np.testing.assert_allclose(found, brute_force(logits, image, field), atol=1e-5)
