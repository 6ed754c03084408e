"""Every segmenter: what all must do, from one table."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from mammostudy.errors import SpecError
from mammostudy.models import build_segmenter, segmenter_names


@dataclass(frozen=True)
class Case:
    parameters: int  # of the segmenter as published
    fields: dict[str, Any] = field(default_factory=dict)  # small, for the quick tests
    bad_size: int = 72
    closeness: float = 1e-5  # of a prediction alone and in a batch


DEEP = 1e-2  # a hundred layers of batch norm that has not run yet
CASES = {
    "cgan": Case(13_607_937, {"width": 8, "levels": 6}),
    "cgan-resnet101": Case(51_506_961, closeness=DEEP),
    "crfcnn": Case(134_264_262, {"dense": 64}),
    "fcn": Case(134_264_259, {"dense": 64}),
    "fcn-resnet101": Case(51_932_609, bad_size=68, closeness=DEEP),
    "segnet": Case(29_442_433),
    "slsdeep": Case(37_320_321, bad_size=68),
    "unet": Case(14_321_937),
    "unet-lite0": Case(5_197_585, {"weights": "none"}),
    "unet-plain": Case(31_036_481, {"width": 8}, bad_size=76),
    "unet-vgg16": Case(23_755_537),
}
HEAVY = {"cgan-resnet101", "fcn-resnet101", "slsdeep", "unet-vgg16"}


def build(name: str, seed: int = 0, **fields: Any) -> nn.Module:
    torch.manual_seed(seed)
    return build_segmenter(name, **{**CASES[name].fields, **fields})


def shown(side: int) -> Tensor:
    return torch.rand(2, 1, side, side, generator=torch.Generator().manual_seed(1))


@pytest.mark.parametrize("name", segmenter_names())
def test_parameter_count(name: str) -> None:
    with torch.device("meta"):  # shapes without numbers
        whole = build_segmenter(name, **({"weights": "none"} if name == "unet-lite0" else {}))
    assert sum(weights.numel() for weights in whole.parameters()) == CASES[name].parameters


@pytest.mark.parametrize(
    "name",
    [pytest.param(each, marks=[pytest.mark.slow] * (each in HEAVY)) for each in sorted(CASES)],
)
def test_size_range_gradient_and_saved_weights(name: str, tmp_path: Path) -> None:
    module, side = build(name).train(), 64 if name == "cgan" else 32
    images = shown(side)
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
        whole, close = module.eval()(images), CASES[name].closeness
        torch.testing.assert_close(whole[1:], module(images[1:]), atol=close, rtol=1e-4)
    save_file(module.state_dict(), tmp_path / "weights.safetensors")
    with torch.device("meta"):
        other = build(name).eval()
    other.load_state_dict(load_file(tmp_path / "weights.safetensors"), assign=True)
    for part, weights in module.state_dict().items():
        assert torch.equal(weights, other.state_dict()[part]), part
    torch.testing.assert_close(whole, other(images), atol=close, rtol=1e-4)
    bad = CASES[name].bad_size
    for height, width in ((bad, 64), (64, bad)):
        with pytest.raises(SpecError, match=rf"{height} x {width} pixels must be divisible"):
            module(torch.zeros(2, 1, height, width))
    with pytest.raises(SpecError, match=r"takes \(n, 1, h, w\)"):
        module(torch.zeros(2, 2, 64, 64))


def test_fields_are_taken_or_refused_by_name() -> None:
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


def test_a_batch_too_small_to_train_the_unet() -> None:
    small = torch.zeros(1, 1, 32, 32)
    with pytest.raises(SpecError, match="cannot train the U-Net"):
        build("unet").train()(small)
    build("unet").eval()(small)  # control
