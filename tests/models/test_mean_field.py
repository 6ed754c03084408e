"""Mean field against sums written out pixel by pixel."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from mammostudy.errors import SpecError
from mammostudy.models.segmenters.crfcnn import MeanField


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
            kernels[0, i, j] = math.exp(-far / (2 * field.smooth**2))
            kernels[1, i, j] = math.exp(-far / (2 * field.near**2) - grey / (2 * field.alike**2))
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


@pytest.mark.parametrize("rounds", [1, 2, 5])
def test_as_the_sum_over_all_pixels_says(rounds: int) -> None:
    rng = np.random.default_rng(rounds)
    logits, image = rng.normal(size=(3, 3)) * 2, rng.random((3, 3))
    field = MeanField(rounds, window=5, smooth=1.5, near=2.0, alike=0.3)
    with torch.no_grad():
        field.weights.copy_(torch.tensor([0.7, 1.3]))
        field.penalty.fill_(0.9)
        got = field(
            torch.tensor(logits, dtype=torch.float32)[None, None],
            torch.tensor(image, dtype=torch.float32)[None, None],
        )
    np.testing.assert_allclose(got[0, 0].numpy(), brute_force(logits, image, field), atol=1e-5)


def test_a_window_that_is_too_small_is_another_sum() -> None:
    """Control: where the window cuts neighbours off, the brute force disagrees."""
    rng = np.random.default_rng(0)
    logits, image = rng.normal(size=(3, 3)) * 2, rng.random((3, 3))
    field = MeanField(2, window=3, smooth=1.5, near=2.0, alike=0.3)
    planes = (torch.tensor(a, dtype=torch.float32)[None, None] for a in (logits, image))
    with torch.no_grad():
        got = field(*planes)[0, 0].numpy()
    assert np.abs(got - brute_force(logits, image, field)).max() > 1e-3


def test_a_lone_pixel_gives_in_to_its_neighbours() -> None:
    logits = -torch.ones(1, 1, 9, 9)
    logits[..., 4, 4] = 0.5
    with torch.no_grad():
        assert MeanField()(logits, torch.zeros_like(logits))[..., 4, 4].item() < 0


def test_an_edge_in_the_image_keeps_labels_apart() -> None:
    """The appearance kernel asks pixels of the same grey; far greys hardly count."""
    image = torch.zeros(1, 1, 8, 8)
    image[..., 4:] = 1
    _, alike = MeanField(window=3).kernels(image)
    middle_row = alike[0, :, 4, 3].reshape(3, 3)
    assert middle_row[:, 2].sum() < 1e-6
    assert alike.sum(dim=1).min() == pytest.approx(1, abs=1e-5)


def test_weights_and_penalty_are_learnt() -> None:
    field = MeanField(2, window=3)
    field(torch.randn(1, 1, 6, 6), torch.rand(1, 1, 6, 6)).sum().backward()
    assert all(each.grad is not None and each.grad.abs().sum() > 0 for each in field.parameters())


@pytest.mark.parametrize("fields", [{"rounds": 0}, {"window": 4}, {"window": 1}, {"alike": 0.0}])
def test_numbers_out_of_range_are_refused(fields: dict[str, float]) -> None:
    with pytest.raises(SpecError, match="one round or more"):
        MeanField(**fields)  # type: ignore[arg-type]
