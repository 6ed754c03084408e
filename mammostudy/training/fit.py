"""The training loop: batches in a seeded order, checkpoints, validation, progress."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import torch
from torch import Tensor
from tqdm.auto import tqdm

from mammostudy.training.checkpoints import RUN, resume_from, save_checkpoint
from mammostudy.training.segmentation import Losses, NonFiniteLossError, Supervised

VERSION: Final = 1
CHECKPOINT_SECONDS: Final = 30.0
_KEPT: Final = frozenset({"iteration", "seconds", "curves", "trainer", "random"})
Curve = dict[str, float]


@dataclass(frozen=True)
class Budget:
    """How long a run trains: iterations, batch size, and how often it is validated."""

    iterations: int
    batch: int
    validations: int


@dataclass(frozen=True)
class Fitted:
    """What training left: curves (a row an iteration logged), and the parts of a bad loss."""

    curves: list[Curve]
    seconds: float
    diverged: Losses | None


def batch_of(n: int, iteration: int, batch: int, seed: int) -> Tensor:
    """Return the indices of one iteration's batch.

    Every epoch is a permutation of its own, drawn from seed and epoch alone, so that a resumed
    run sees what the uninterrupted one would have seen.
    """
    per_epoch = math.ceil(n / batch)
    epoch, position = divmod(iteration, per_epoch)
    generator = torch.Generator().manual_seed(seed * 1_000_003 + epoch)
    order = torch.randperm(n, generator=generator)
    return order[position * batch : (position + 1) * batch]


def flip_and_rotate(
    images: Tensor, masks: Tensor, iteration: int, seed: int
) -> tuple[Tensor, Tensor]:
    """Turn each image and its mask by a random multiple of 90 degrees, mirrored or not."""
    generator = torch.Generator().manual_seed(seed * 1_000_003 + iteration + 500_009)
    draws = torch.randint(0, 8, (len(images),), generator=generator).tolist()

    def turned(tensor: Tensor, draw: int) -> Tensor:
        tensor = torch.rot90(tensor, draw % 4, dims=(-2, -1))
        return tensor.flip(-1) if draw >= 4 else tensor

    return (
        torch.stack([turned(image, d) for image, d in zip(images, draws, strict=True)]),
        torch.stack([turned(mask, d) for mask, d in zip(masks, draws, strict=True)]),
    )


@dataclass
class _Progress:
    """What a checkpoint holds beside the trainer."""

    iteration: int
    seconds: float
    curves: list[Curve]

    def save(self, path: Path, trainer: Supervised) -> None:
        state: dict[str, Any] = {
            RUN: path.stem,
            "iteration": self.iteration,
            "seconds": self.seconds,
            "curves": self.curves,
            "trainer": trainer.state_dict(),
            "random": torch.get_rng_state(),
        }
        save_checkpoint(path, state)

    @classmethod
    def resume(cls, path: Path, trainer: Supervised) -> _Progress:
        state = resume_from(path, _KEPT, lambda kept: trainer.load_state_dict(kept["trainer"]))
        if state is None:
            return cls(0, 0.0, [])
        torch.set_rng_state(state["random"])
        return cls(state["iteration"], state["seconds"], state["curves"])


def fit(
    trainer: Supervised,
    images: Tensor,
    masks: Tensor,
    budget: Budget,
    *,
    seed: int,
    validate: Callable[[], float],
    checkpoint: Path,
    augment: bool = False,
    label: str = "training",
    progress: bool | None = None,
) -> Fitted:
    """Train for a number of iterations, resuming from a checkpoint where there is one.

    Args:
        trainer: takes the steps.
        images: ``(n, c, s, s)``.
        masks: ``(n, c, s, s)`` of 0 and 1.
        budget: iterations, batch size, number of validations.
        seed: of batches and augmentation.
        validate: returns the validation Dice of the present weights.
        checkpoint: where the state is kept every half minute, and read from at the start.
        augment: flips and quarter turns.
        label: shown before the progress bar.
        progress: show the bar; None shows it on a terminal only.

    Returns:
        The curves, the seconds spent, and the parts of the loss where it was not finite; training
        then stopped before the weights moved.

    Raises:
        DataError: the checkpoint is another run's.
    """
    state = _Progress.resume(checkpoint, trainer)
    every = max(1, budget.iterations // max(1, budget.validations))
    log_every = max(1, budget.iterations // 400)
    started = saved = time.monotonic()
    before = state.seconds
    hidden = None if progress is None else not progress
    bar = tqdm(
        total=budget.iterations, initial=state.iteration, desc=label, disable=hidden, leave=False
    )
    diverged = None
    with bar:
        while state.iteration < budget.iterations:
            rows = batch_of(len(images), state.iteration, budget.batch, seed)
            batch = (images[rows], masks[rows])
            if augment:
                batch = flip_and_rotate(*batch, state.iteration, seed)
            try:
                losses = trainer.step(*batch)
            except NonFiniteLossError as error:
                diverged = error.parts
                break
            state.iteration += 1
            bar.update()
            bar.set_postfix({name: f"{value:.3f}" for name, value in losses.items()}, refresh=False)
            last = state.iteration == budget.iterations
            validated = last or state.iteration % every == 0
            if validated or state.iteration % log_every == 0:
                row: Curve = {"iteration": float(state.iteration), **losses}
                state.curves.append(row | ({"validation_dice": validate()} if validated else {}))
            state.seconds = before + time.monotonic() - started
            if time.monotonic() - saved > CHECKPOINT_SECONDS and not last:
                state.save(checkpoint, trainer)
                saved = time.monotonic()
    return Fitted(state.curves, state.seconds, diverged)
