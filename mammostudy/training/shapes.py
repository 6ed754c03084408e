"""Training and prediction of the shape networks: masks in, logits out."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional
from tqdm.auto import tqdm

from mammostudy.errors import DataError
from mammostudy.training.checkpoints import RUN, resume_from, save_checkpoint
from mammostudy.training.fit import Curve, Fitted, batch_of
from mammostudy.training.segmentation import NonFiniteLossError
from mammostudy.training.shape_weights import focal_loss

VERSION: Final = 1
"""Recipe version: raised by hand when a trained network's numbers change."""
CHECKPOINT_SECONDS: Final = 30.0
_KEPT: Final = {"epoch", "seconds", "curves", "model", "optimiser"}


@dataclass(frozen=True)
class ShapeBudget:
    """How long a shape network trains, and its RMSProp.

    Attributes:
        epochs: passes over the training masks.
        batch: masks in a step.
        learning_rate: of RMSProp.
        momentum: of RMSProp.
        smoothing: of RMSProp's mean square.
    """

    epochs: int
    batch: int
    learning_rate: float
    momentum: float
    smoothing: float


def rotate_batch(
    inputs: Tensor, rows: Tensor, epoch: int, *, total: int, seed: int, binary: bool = True
) -> Tensor:
    """Turn each input about its centre by an angle of its own, every second one mirrored.

    The draws depend on seed, epoch and the row of the input alone, not on the batch it is in.
    In a loose frame (mass on half of the side) no turned mass leaves the grid.

    Args:
        inputs: float ``(n, 1, s, s)``.
        rows: of the inputs among all that are trained on, int64 ``(n,)``.
        epoch: from 0.
        total: how many inputs are trained on.
        seed: of the draws.
        binary: masks: resampled as 0/1, then >= 0.5, background around them. Else grey images:
            linear, mirrored at the edge so that no dark corner tells the angle.

    Returns:
        float ``(n, 1, s, s)``.
    """
    generator = torch.Generator().manual_seed(seed * 1_000_003 + epoch + 500_009)
    draws = torch.rand(total, 2, generator=generator)[rows]
    angle = 2 * math.pi * draws[:, 0]
    mirror = 1 - 2 * (draws[:, 1] < 0.5).to(angle)
    cos, sin, zero = angle.cos(), angle.sin(), torch.zeros_like(angle)
    turns = torch.stack([mirror * cos, -sin, zero, mirror * sin, cos, zero], dim=1)
    grid = functional.affine_grid(
        turns.view(-1, 2, 3).to(inputs), list(inputs.shape), align_corners=False
    )
    padding = "zeros" if binary else "reflection"
    turned = functional.grid_sample(inputs, grid, padding_mode=padding, align_corners=False)
    return (turned >= 0.5).to(inputs) if binary else turned


def fit_shapes(
    model: nn.Module,
    inputs: Tensor,
    labels: Tensor,
    budget: ShapeBudget,
    *,
    weights: Tensor,
    focal_gamma: float,
    rotate: bool,
    seed: int,
    validate: Callable[[], dict[str, float]],
    checkpoint: Path,
    binary: bool = True,
    label: str = "training",
    progress: bool | None = None,
) -> Fitted:
    """Train a shape network by RMSProp, resuming from a checkpoint where there is one.

    Order, turns and dropout of an epoch are drawn from seed and epoch alone: a resumed run gives
    the numbers of an uninterrupted one. The caller's random state is left as it was.

    Args:
        model: of ``(n, 1, 64, 64)`` to logits ``(n, k)``; trained in place.
        inputs: float32 ``(n, 1, 64, 64)``.
        labels: class numbers, int64 ``(n,)``.
        budget: epochs, batch size and RMSProp's settings.
        weights: of the classes in the loss, float32 ``(k,)``.
        focal_gamma: 0 is the weighted cross-entropy.
        rotate: turn and mirror the inputs at random (:func:`rotate_batch`).
        seed: of order, turns and dropout; the first weights are the caller's.
        validate: called after each epoch; what it returns joins the epoch's row of the curves.
        checkpoint: where the state is kept every half minute between epochs, and read from at
            the start.
        binary: whether the inputs are masks, which stay 0 and 1 when turned.
        label: shown before the progress bar.
        progress: show the bar; None shows it on a terminal only.

    Returns:
        Curves (epoch, iteration, loss: mean over the epoch's cases, and what ``validate`` gave),
        seconds, and the loss where it was not finite; training then stopped before that step.

    Raises:
        DataError: no input, as many labels as inputs are not there, or a label without a class.

    Source: paper, section on shape classification (RMSProp, weighted cross-entropy).
    """
    _check(inputs, labels, len(weights))
    optimiser = torch.optim.RMSprop(
        model.parameters(),
        lr=budget.learning_rate,
        alpha=budget.smoothing,
        momentum=budget.momentum,
    )
    run = _Epochs(model, optimiser, inputs, labels, budget, weights, focal_gamma, seed)
    epoch, before, curves = run.resume(checkpoint)
    started = saved = time.monotonic()
    diverged, hidden = None, None if progress is None else not progress
    with tqdm(
        total=budget.epochs, initial=epoch, desc=label, unit="epoch", disable=hidden, leave=False
    ) as bar:
        while epoch < budget.epochs:
            try:
                loss = run.train(epoch, turn=rotate, binary=binary)
            except NonFiniteLossError as error:
                diverged = error.parts
                break
            epoch += 1
            row: Curve = {"epoch": float(epoch), "iteration": float(epoch * run.steps)}
            curves.append(row | {"loss": loss} | validate())
            bar.update()
            bar.set_postfix(loss=f"{loss:.3f}", refresh=False)
            if time.monotonic() - saved > CHECKPOINT_SECONDS and epoch < budget.epochs:
                seconds = before + time.monotonic() - started
                run.save(checkpoint, epoch, seconds, curves)
                saved = time.monotonic()
    return Fitted(curves, before + time.monotonic() - started, diverged)


@dataclass(frozen=True)
class _Epochs:
    """One epoch after another, each from its own draws."""

    model: nn.Module
    optimiser: torch.optim.Optimizer
    inputs: Tensor
    labels: Tensor
    budget: ShapeBudget
    weights: Tensor
    gamma: float
    seed: int

    @property
    def steps(self) -> int:
        return math.ceil(len(self.inputs) / self.budget.batch)

    def train(self, epoch: int, *, turn: bool, binary: bool) -> float:
        """Pass over all inputs once; return the mean loss of a case."""
        self.model.train()
        total, n = 0.0, len(self.inputs)
        with torch.random.fork_rng():
            torch.manual_seed(self.seed * 1_000_003 + epoch + 250_007)  # the dropout's
            for step in range(self.steps):
                rows = batch_of(n, epoch * self.steps + step, self.budget.batch, self.seed)
                batch = self.inputs[rows]
                if turn:
                    batch = rotate_batch(batch, rows, epoch, total=n, seed=self.seed, binary=binary)
                total += len(rows) * self._step(batch, self.labels[rows])
        return total / n

    def _step(self, batch: Tensor, labels: Tensor) -> float:
        logits = self.model(_ready(batch, self.model))
        loss = focal_loss(logits, labels.to(logits.device), self.weights, self.gamma)
        value = float(loss.detach())
        if not math.isfinite(value):
            raise NonFiniteLossError({"loss": value})
        self.optimiser.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        self.optimiser.step()
        return value

    def save(self, path: Path, epoch: int, seconds: float, curves: list[Curve]) -> None:
        state: dict[str, Any] = {
            RUN: path.stem,
            "epoch": epoch,
            "seconds": seconds,
            "curves": curves,
        }
        trained = {"model": self.model.state_dict(), "optimiser": self.optimiser.state_dict()}
        save_checkpoint(path, state | trained)

    def resume(self, path: Path) -> tuple[int, float, list[Curve]]:
        """Take over an interrupted run's state: epochs done, seconds spent, curves."""
        state = resume_from(path, _KEPT, self._take_over)
        return (state["epoch"], state["seconds"], state["curves"]) if state else (0, 0.0, [])

    def _take_over(self, state: dict[str, Any]) -> None:
        self.model.load_state_dict(state["model"])
        self.optimiser.load_state_dict(state["optimiser"])


def predict_logits(model: nn.Module, inputs: Tensor, batch: int = 64) -> NDArray[np.float64]:
    """Score inputs with the dropout off.

    Args:
        model: of ``(n, 1, 64, 64)`` to logits ``(n, k)``; left in evaluation mode.
        inputs: float32 ``(n, 1, 64, 64)``, one or more.
        batch: inputs at once.

    Returns:
        float64 ``(n, k)``.

    Raises:
        DataError: no input.
    """
    return _outputs(model, model, inputs, batch).astype(np.float64)


def embed(model: nn.Module, inputs: Tensor, batch: int = 64) -> NDArray[np.float32]:
    """What the last hidden layer makes of inputs.

    Args:
        model: with a method ``embed``, such as :class:`~mammostudy.models.ShapeCNN`; left in
            evaluation mode.
        inputs: float32 ``(n, 1, 64, 64)``, one or more.
        batch: inputs at once.

    Returns:
        float32 ``(n, width of the embedding)``.

    Raises:
        DataError: no input.
    """
    through: Any = model.embed
    return _outputs(model, through, inputs, batch)


def _outputs(
    model: nn.Module, through: Callable[[Tensor], Tensor], inputs: Tensor, batch: int
) -> NDArray[np.float32]:
    if not len(inputs):
        msg = "inputs are empty: nothing to predict; leave out sets without a mask"
        raise DataError(msg)
    model.eval()
    with torch.inference_mode():
        parts = [through(_ready(part, model)).float().cpu() for part in torch.split(inputs, batch)]
    return np.asarray(torch.cat(parts).numpy(), dtype=np.float32)


def _ready(batch: Tensor, model: nn.Module) -> Tensor:
    """Where the model is, channels last: convolutions on a processor take a third less time.

    A copy, since torch takes a tensor of one channel for channels-last already and keeps its
    strides, by which the convolutions choose.
    """
    place = next(model.parameters()).device
    ready = torch.empty_like(batch, device=place, memory_format=torch.channels_last)
    return ready.copy_(batch)


def _check(inputs: Tensor, labels: Tensor, classes: int) -> None:
    if not len(inputs):
        msg = "inputs are empty: no training mask; check the cohort's shapes and the split"
        raise DataError(msg)
    if labels.shape != (len(inputs),):
        msg = f"labels of shape {tuple(labels.shape)} for {len(inputs)} inputs: one each needed"
        raise DataError(msg)
    outside = ((labels < 0) | (labels >= classes)).nonzero()
    if len(outside):
        at = int(outside[0])
        msg = f"labels[{at}] is {int(labels[at])}: with {classes} classes use 0 to {classes - 1}"
        raise DataError(msg)
