"""A network pair and arrays small enough for tests, and one thread so that sums are the same."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial

import pytest
import torch
from torch import Tensor

from mammostudy.models import Discriminator, Generator
from mammostudy.training.segmentation import Adversarial, Supervised

SIDE = 32
Trainer = Callable[..., Adversarial]
adam = partial(torch.optim.Adam, lr=2e-3, betas=(0.5, 0.999))


def _generator(seed: int) -> Generator:
    torch.manual_seed(seed)
    return Generator(width=2, levels=5)


@pytest.fixture(autouse=True)
def _one_thread() -> Iterator[None]:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture
def adversarial() -> Trainer:
    """Make a small cGAN trainer; fields of ``Adversarial`` can be given."""

    def make(seed: int = 0, **fields: object) -> Adversarial:
        settings: dict[str, object] = {"overlap": "dice", "overlap_weight": 150.0, **fields}
        generator = _generator(seed)
        return Adversarial(generator, Discriminator(width=2), optimiser=adam, **settings)  # type: ignore[arg-type]

    return make


@pytest.fixture
def supervised() -> Callable[..., Supervised]:
    """Make a small trainer without adversary."""

    def make(seed: int = 0, overlap: str = "dice", overlap_weight: float = 150.0) -> Supervised:
        return Supervised(
            _generator(seed), overlap=overlap, overlap_weight=overlap_weight, optimiser=adam
        )

    return make


@pytest.fixture
def batch() -> tuple[Tensor, Tensor]:
    """Ten noisy images, and their masks: a square whose place differs."""
    generator = torch.Generator().manual_seed(7)
    masks = torch.zeros(10, 1, SIDE, SIDE)
    for i in range(10):
        masks[i, :, 4 + i : 16 + i, 6 : 18 + i] = 1
    images = 0.5 * masks + 0.5 * torch.rand(masks.shape, generator=generator)
    return images, masks
