"""What every segmenter must do: inherit, name it, and state its parameters and a bad size."""

from __future__ import annotations

from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from torch.nn.functional import binary_cross_entropy
from torch.nn.modules.dropout import _DropoutNd

from mammostudy.errors import SpecError
from mammostudy.imaging.contours import inscribed_ellipse
from mammostudy.models import build_segmenter


class SegmenterTester:
    name: ClassVar[str]
    fields: ClassVar[dict[str, Any]] = {}  # small, for the quick tests
    parameters: ClassVar[int]  # of the segmenter as published: without fields
    size: ClassVar[int] = 64
    bad_size: ClassVar[int] = 72
    crop: ClassVar[int] = 64  # side of the four crops it over-fits
    rate: ClassVar[float] = 2e-3
    steps: ClassVar[int] = 120
    closeness: ClassVar[float] = 1e-5  # of a prediction alone and in a batch

    def build(self, seed: int = 0, **fields: Any) -> nn.Module:
        torch.manual_seed(seed)
        return build_segmenter(self.name, **{**self.fields, **fields})

    def images(
        self, count: int = 2, channels: int = 1, seed: int = 1, side: int | None = None
    ) -> Tensor:
        generator = torch.Generator().manual_seed(seed)
        side = side or self.size
        return torch.rand(count, channels, side, side, generator=generator)

    @pytest.fixture(scope="class")
    def made(self) -> nn.Module:
        """One network for the tests that ask only what comes out of it."""
        return self.build()

    def test_parameter_count(self) -> None:
        with torch.device("meta"):  # shapes without numbers
            whole = build_segmenter(self.name)
        assert sum(weights.numel() for weights in whole.parameters()) == self.parameters

    @pytest.mark.parametrize("count", [1, 3])
    @pytest.mark.parametrize("training", [True, False])
    def test_output_size_and_range(self, made: nn.Module, count: int, training: bool) -> None:
        with torch.no_grad():
            out = made.train(training)(self.images(count))
        assert out.shape == (count, 1, self.size, self.size)
        assert out.dtype == torch.float32
        assert out.abs().max() <= 1
        assert out.std() > 0

    def test_gradient_reaches_every_parameter(self) -> None:
        module = self.build().train()
        out = module(self.images(4))
        (out * torch.linspace(-1, 1, out.numel()).reshape(out.shape)).sum().backward()
        for name, weights in module.named_parameters():
            assert weights.grad is not None, name
            assert torch.isfinite(weights.grad).all(), name
            if weights.ndim > 1:  # the bias before a batch norm has none by its nature
                assert weights.grad.abs().max() > 0, name

    def test_prediction_repeats_and_does_not_depend_on_the_batch(self) -> None:
        module, images = self.build().eval(), self.images(3)
        with torch.no_grad():
            assert torch.equal(module(images), module(images))
            torch.testing.assert_close(
                module(images)[1:2], module(images[1:2]), atol=self.closeness, rtol=1e-4
            )

    def test_saved_loaded_and_drawn_again_it_is_the_same(self, tmp_path: Path) -> None:
        module, images = self.build(5), self.images()
        weights = {name: each.clone() for name, each in module.state_dict().items()}
        module.train()(self.images(4))  # moves the running statistics
        save_file(module.state_dict(), tmp_path / "weights.safetensors")
        again, other = self.build(5), self.build(6)
        assert all(torch.equal(each, weights[name]) for name, each in again.state_dict().items())
        with torch.no_grad():
            expected = module.eval()(images)
            assert not torch.equal(expected, other.eval()(images))
            other.load_state_dict(load_file(tmp_path / "weights.safetensors"))
            assert torch.equal(expected, other(images))

    def test_unsuitable_input_is_refused_by_name(self, made: nn.Module) -> None:
        module = made.eval()
        for height, width in ((self.bad_size, self.size), (self.size, self.bad_size)):
            with pytest.raises(SpecError, match=rf"{height} x {width} pixels must be divisible"):
                module(torch.zeros(2, 1, height, width))
        with pytest.raises(SpecError, match=r"takes \(n, 1, h, w\)"):
            module(torch.zeros(2, 2, self.size, self.size))
        with torch.no_grad():
            module(torch.zeros(2, 1, self.size, self.size))  # control

    @pytest.mark.slow
    def test_it_overfits_four_crops(self) -> None:
        images, truth = four_crops(self.crop)
        module = self.build()
        dropouts = [layer for layer in module.modules() if isinstance(layer, _DropoutNd)]
        optimiser = torch.optim.Adam(module.parameters(), lr=self.rate, betas=(0.5, 0.999))
        for step in range(self.steps):
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
        pytest.fail(f"Dice of four crops not above 0.95 after {self.steps} steps")


def fitted(module: nn.Module, images: Tensor, truth: Tensor) -> bool:
    """Whether the Dice of every crop, predicted as in use, is above 0.95."""
    settle(module, images)
    with torch.no_grad():
        found = (module.eval()(images) > 0).float()
    dice = 2 * (found * truth).sum((1, 2, 3)) / (found + truth).sum((1, 2, 3))
    return bool(dice.min() > 0.95)


def settle(module: nn.Module, images: Tensor) -> None:
    """Let the running statistics of batch norm be those of the images, without any dropout.

    After few steps they still hold what they began with; a longer training would bring them there.
    """
    norms = [layer for layer in module.eval().modules() if isinstance(layer, nn.BatchNorm2d)]
    kept = [layer.momentum for layer in norms]
    for layer in norms:
        layer.train()
        layer.momentum = 1.0
    with torch.no_grad():
        module(images)
    for layer, momentum in zip(norms, kept, strict=True):
        layer.momentum = momentum


def four_crops(size: int) -> tuple[Tensor, Tensor]:
    """Noisy ellipses of unlike place and size: float (4, 1, s, s) images and 0/1 masks."""
    shape, unit = (size, size), size // 16
    boxes = ((4, 4, 12, 12), (2, 5, 11, 14), (6, 2, 13, 10), (3, 3, 14, 9))
    truth = np.stack(
        [inscribed_ellipse((unit * a, unit * b, unit * c, unit * d), shape) for a, b, c, d in boxes]
    )
    noise = 0.1 * np.random.default_rng(0).standard_normal(truth.shape)
    images = np.clip(0.3 + 0.3 * truth + noise, 0, 1)
    return tuple(torch.tensor(a[:, None], dtype=torch.float32) for a in (images, truth))  # type: ignore[return-value]
