"""Predictions: a probability map an image, dropout from a seed of its own."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from mammostudy.models import Generator
from mammostudy.training.segmentation import predict_probabilities


class Identity(nn.Module):
    """Gives back what it got: ``t`` is the image."""

    def __init__(self) -> None:
        super().__init__()
        self.modes: list[bool] = []

    def forward(self, images: Tensor) -> Tensor:
        self.modes.append(self.training)
        return images


def noisy() -> Generator:
    torch.manual_seed(0)
    generator = Generator(width=2, levels=5)
    generator.dropout_at_prediction = True
    return generator


IMAGES = torch.rand(5, 1, 32, 32, generator=torch.Generator().manual_seed(1))


def test_the_probability_is_half_of_one_more_than_the_output() -> None:
    model = Identity()
    images = torch.tensor([-1.0, 0.0, 0.5, 1.0]).reshape(1, 1, 2, 2)
    predicted = predict_probabilities(model, images)
    assert predicted.dtype == np.float32
    assert predicted.tolist() == [[[0.0, 0.5], [0.75, 1.0]]]
    assert model.modes == [False]


def test_channels_are_averaged() -> None:
    images = torch.stack([torch.full((3, 3), v) for v in (-1.0, 0.0, 1.0)])[None]
    assert predict_probabilities(Identity(), images)[0] == pytest.approx(0.5)


def test_batches_do_not_matter_without_dropout() -> None:
    model = noisy()
    model.dropout_at_prediction = False
    whole = predict_probabilities(model, IMAGES, seed=0)
    assert predict_probabilities(model, IMAGES, batch=2, seed=9) == pytest.approx(whole, abs=1e-6)
    assert whole.shape == (5, 32, 32)


def test_dropout_follows_the_seed_and_leaves_the_callers() -> None:
    model = noisy()
    torch.manual_seed(11)
    before = torch.get_rng_state()
    one = predict_probabilities(model, IMAGES, seed=4)
    assert torch.equal(torch.get_rng_state(), before)
    torch.manual_seed(12)
    assert np.array_equal(one, predict_probabilities(model, IMAGES, seed=4))
    assert not np.array_equal(one, predict_probabilities(model, IMAGES, seed=5))


def test_no_gradient_is_kept() -> None:
    model = noisy()
    predict_probabilities(model, IMAGES)
    assert all(p.grad is None for p in model.parameters())


def test_golden_numbers() -> None:
    model = noisy()
    with torch.no_grad():  # as drawn, the weights say one half everywhere
        for weight in model.parameters():
            weight.mul_(8)
    predicted = predict_probabilities(model, IMAGES, batch=2, seed=4)
    numbers = [float(p.mean()) for p in predicted]
    assert numbers == pytest.approx(GOLDEN, rel=1e-3), "raise VERSION of prediction.py"


GOLDEN = [0.3836145, 0.3685431, 0.396054, 0.3931445, 0.3775864]
