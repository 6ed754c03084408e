"""Every segmenter: what all must do, from one table."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from torch.nn.functional import binary_cross_entropy
from torch.nn.modules.dropout import _DropoutNd

from mammostudy.errors import SpecError
from mammostudy.imaging.contours import inscribed_ellipse
from mammostudy.models import build_segmenter, segmenter_names


@dataclass(frozen=True)
class Case:
    parameters: int  # of the segmenter as published
    fields: dict[str, Any] = field(default_factory=dict)  # small, for the quick tests
    bad_size: int = 72
    crop: int = 32  # side of the four crops it over-fits
    rate: float = 2e-3
    steps: int = 60
    closeness: float = 1e-5  # of a prediction alone and in a batch


DEEP = 1e-2  # a hundred layers of batch norm that has not run yet
CASES = {
    "cgan": Case(13_607_937, {"width": 8, "levels": 6}, crop=64, steps=120),
    "cgan-resnet101": Case(51_506_961, closeness=DEEP),
    "crfcnn": Case(
        134_264_262, {"dense": 64, "rounds": 2, "window": 5}, rate=2e-4, steps=150
    ),  # without batch norm it learns slowly
    "fcn": Case(134_264_259, {"dense": 64}, rate=3e-4, steps=150),
    "fcn-resnet101": Case(51_932_609, bad_size=68, crop=48, rate=1e-3, steps=50, closeness=DEEP),
    "segnet": Case(29_442_433, rate=3e-3, steps=40),
    "slsdeep": Case(37_320_321, bad_size=68, rate=4e-3),
    "unet": Case(14_321_937, crop=64, rate=1e-3),
    "unet-lite0": Case(5_197_585, {"weights": "none"}, crop=64, rate=3e-3, steps=120),
    "unet-plain": Case(31_036_481, {"width": 8}, bad_size=76, crop=64, rate=5e-3),
    "unet-vgg16": Case(23_755_537, steps=40),
}
EVERY = pytest.mark.parametrize("name", sorted(CASES))


def build(name: str, seed: int = 0, **fields: Any) -> nn.Module:
    torch.manual_seed(seed)
    return build_segmenter(name, **{**CASES[name].fields, **fields})


def shown(count: int = 2, side: int = 64) -> Tensor:
    return torch.rand(count, 1, side, side, generator=torch.Generator().manual_seed(1))


def test_every_segmenter_has_a_case() -> None:
    assert sorted(CASES) == segmenter_names()


@EVERY
def test_parameter_count(name: str) -> None:
    with torch.device("meta"):  # shapes without numbers
        whole = build_segmenter(name, **({"weights": "none"} if name == "unet-lite0" else {}))
    assert sum(weights.numel() for weights in whole.parameters()) == CASES[name].parameters


@EVERY
def test_size_range_and_gradient(name: str) -> None:
    module = build(name).train()
    out = module(shown(3))
    assert out.shape == (3, 1, 64, 64)
    assert out.abs().max() <= 1
    assert out.std() > 0
    (out * torch.linspace(-1, 1, out.numel()).reshape(out.shape)).sum().backward()
    for part, weights in module.named_parameters():
        assert weights.grad is not None, part
        assert torch.isfinite(weights.grad).all(), part
        if weights.ndim > 1:  # the bias before a batch norm has none by its nature
            assert weights.grad.abs().max() > 0, part
    with torch.no_grad():
        assert module(1e3 * shown()).abs().max() <= 1
        assert module.eval()(shown(1, 128)).shape == (1, 1, 128, 128)
        whole, close = module(shown(3)), CASES[name].closeness
        assert torch.equal(module(shown(3)), whole)
        torch.testing.assert_close(whole[1:2], module(shown(3)[1:2]), atol=close, rtol=1e-4)


@EVERY
def test_saved_loaded_and_drawn_again_it_is_the_same(name: str, tmp_path: Path) -> None:
    module = build(name, 5)
    weights = {part: each.clone() for part, each in module.state_dict().items()}
    again, other = build(name, 5), build(name, 6)
    assert all(torch.equal(each, weights[part]) for part, each in again.state_dict().items())
    with torch.no_grad():
        module.train()(shown(4))  # moves the running statistics
        save_file(module.state_dict(), tmp_path / "weights.safetensors")
        expected = module.eval()(shown())
        assert not torch.equal(expected, other.eval()(shown()))
        other.load_state_dict(load_file(tmp_path / "weights.safetensors"))
        assert torch.equal(expected, other(shown()))


@EVERY
def test_unsuitable_input_is_refused_by_name(name: str) -> None:
    module, bad = build(name).eval(), CASES[name].bad_size
    for height, width in ((bad, 64), (64, bad)):
        with pytest.raises(SpecError, match=rf"{height} x {width} pixels must be divisible"):
            module(torch.zeros(2, 1, height, width))
    with pytest.raises(SpecError, match=r"takes \(n, 1, h, w\)"):
        module(torch.zeros(2, 2, 64, 64))


@pytest.mark.parametrize("name", ["cgan", "unet", "unet-plain"])
def test_channels_and_fields(name: str) -> None:
    out = build(name, in_channels=3, out_channels=2)(torch.rand(2, 3, 64, 64))
    assert out.shape == (2, 2, 64, 64)
    with pytest.raises(SpecError, match=f"'{name}' has no field wdith: it has "):
        build(name, wdith=3)
    with pytest.raises(SpecError, match="in_channels: Input should be a valid integer"):
        build(name, in_channels="one")


@pytest.mark.parametrize(
    ("name", "fields", "message"),
    [
        ("unet-plain", {"width": 0}, "width: "),
        ("fcn", {"dense": 0}, "dense: "),
        ("crfcnn", {"out_channels": 2}, "out_channels: "),
        ("crfcnn", {"window": 4}, "window = 4"),
        ("unet", {"encoder": "resnet1"}, "encoder 'resnet1' is unknown"),
    ],
)
def test_values_are_refused_by_name(name: str, fields: dict[str, Any], message: str) -> None:
    with pytest.raises(SpecError, match=message):
        build(name, **fields)


def test_a_batch_too_small_to_train_the_unet() -> None:
    small = torch.zeros(1, 1, 32, 32)
    with pytest.raises(SpecError, match="cannot train the U-Net"):
        build("unet").train()(small)
    build("unet").eval()(small)  # control
    build("unet").train()(small.expand(2, -1, -1, -1))


@pytest.mark.slow
@EVERY
def test_it_overfits_four_crops(name: str) -> None:
    images, truth = four_crops(CASES[name].crop)
    module = build(name)
    dropouts = [layer for layer in module.modules() if isinstance(layer, _DropoutNd)]
    optimiser = torch.optim.Adam(module.parameters(), lr=CASES[name].rate, betas=(0.5, 0.999))
    for step in range(CASES[name].steps):
        module.train()
        for layer in dropouts:  # it is there to prevent what is asked for here
            layer.eval()
        share = (module(images) + 1) / 2
        overlap = (share * truth).sum((1, 2, 3))
        total = (share + truth).sum((1, 2, 3))
        loss = (1 - 2 * overlap / total).mean()
        loss = loss + binary_cross_entropy(share.clamp(1e-6, 1 - 1e-6), truth)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        if step % 5 == 4 and fitted(module, images, truth):
            return
    pytest.fail(f"Dice of four crops not above 0.95 after {CASES[name].steps} steps")


def fitted(module: nn.Module, images: Tensor, truth: Tensor) -> bool:
    """Whether the Dice of every crop is above 0.95 with the running statistics of the crops.

    After few steps they still hold what they began with; a longer training would bring them there.
    """
    norms = [layer for layer in module.eval().modules() if isinstance(layer, nn.BatchNorm2d)]
    kept = [layer.momentum for layer in norms]
    for layer in norms:
        layer.train()
        layer.momentum = 1.0
    with torch.no_grad():
        module(images)
        found = (module.eval()(images) > 0).float()
    for layer, momentum in zip(norms, kept, strict=True):
        layer.momentum = momentum
    dice = 2 * (found * truth).sum((1, 2, 3)) / (found + truth).sum((1, 2, 3))
    return bool(dice.min() > 0.95)


def four_crops(size: int) -> tuple[Tensor, Tensor]:
    """Noisy ellipses of unlike place and size: float (4, 1, s, s) images and 0/1 masks."""
    shape, unit = (size, size), size // 16
    boxes = ((4, 4, 12, 12), (2, 5, 11, 14), (6, 2, 13, 10), (3, 3, 14, 9))
    truth = np.stack(
        [inscribed_ellipse((unit * a, unit * b, unit * c, unit * d), shape) for a, b, c, d in boxes]
    )
    noise = 0.1 * np.random.default_rng(0).standard_normal(truth.shape)
    images = np.clip(0.3 + 0.3 * truth + noise, 0, 1)
    one, other = (torch.tensor(a[:, None], dtype=torch.float32) for a in (images, truth))
    return one, other
