"""The training of detectors: views in a seeded order, checkpoints, validation, progress."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import torch
from torch import Tensor, nn
from tqdm.auto import tqdm

from mammostudy.errors import DataError
from mammostudy.training.checkpoints import RUN, resume_from, save_checkpoint
from mammostudy.training.detection_augmentation import augment_detection
from mammostudy.training.fit import CHECKPOINT_SECONDS, Curve, Fitted, batch_of
from mammostudy.training.segmentation import Losses, NonFiniteLossError

VERSION: Final = 1
"""Recipe version: raised by hand when the same budget and seed give other weights."""
LARGEST_GRADIENT: Final = 5.0
WARM_UP: Final = 0.15
_KEPT: Final = frozenset({"iteration", "seconds", "curves", "model", "optimiser", "schedule"})
Target = dict[str, Tensor]
Boxes = list[np.ndarray[tuple[int, ...], np.dtype[np.float64]]]


@dataclass(frozen=True)
class DetectorBudget:
    """How long a detector is trained, and how fast.

    Attributes:
        iterations: steps.
        batch: views in a step, two or more: batch norm needs them.
        validations: how often validation views are predicted.
        learning_rate: the highest of its one cycle.
        weight_decay: of AdamW.
    """

    iterations: int
    batch: int = 4
    validations: int = 10
    learning_rate: float = 1e-3
    weight_decay: float = 1e-4


def fit_detector(
    model: nn.Module,
    squares: Tensor,
    targets: Sequence[Target],
    budget: DetectorBudget,
    *,
    seed: int,
    validate: Callable[[], Curve],
    checkpoint: Path,
    augment: bool = True,
    label: str = "detector",
    progress: bool | None = None,
) -> Fitted:
    """Train a detector for a number of steps, resuming from a checkpoint where there is one.

    AdamW; the learning rate rises over the first 15 % of the steps and falls along a cosine; the
    gradient's norm is cut at 5. What a step draws depends on seed and iteration alone, so that a
    resumed run sees what the uninterrupted one would have seen.

    Args:
        model: a :class:`~mammostudy.models.detectors.Detector`, on the device that computes.
        squares: float32 ``(n, 1, s, s)`` in [0, 1]: the views as the network sees them.
        targets: one a view: ``boxes`` float32 ``(k, 4)`` in pixels of the square, ``labels``.
        budget: steps, batch, rates.
        seed: of batches, augmentation and what the detector draws.
        validate: called on the present weights; its row joins the curves.
        checkpoint: where the state is kept every half minute, and read from at the start.
        augment: see :mod:`mammostudy.training.detection_augmentation`.
        label: shown before the progress bar.
        progress: show the bar; None shows it on a terminal only.

    Returns:
        Curves (iteration, seconds, loss and its parts, and what ``validate`` gave), seconds, and
        the parts of a loss that was not finite; training then stopped before that step.

    Raises:
        DataError: no view, fewer than a batch of two, or not one target a view.
    """
    if len(squares) < 2 or len(squares) != len(targets):
        msg = f"{len(squares)} training views, {len(targets)} targets: two or more, one each needed"
        raise DataError(msg)
    steps = _Steps(model, squares, targets, budget, seed, augment)
    iteration, before, curves = steps.resume(checkpoint)
    every = max(1, budget.iterations // max(1, budget.validations))
    log_every = max(1, budget.iterations // 100)
    started = saved = time.monotonic()
    diverged, hidden = None, None if progress is None else not progress
    with tqdm(
        total=budget.iterations, initial=iteration, desc=label, disable=hidden, leave=False
    ) as bar:
        while iteration < budget.iterations:
            try:
                losses = steps.take(iteration)
            except NonFiniteLossError as error:
                diverged = error.parts
                break
            iteration += 1
            bar.update()
            bar.set_postfix(loss=f"{losses['loss']:.3f}", refresh=False)
            last = iteration == budget.iterations
            validated = last or iteration % every == 0
            if validated or iteration % log_every == 0:
                spent = before + time.monotonic() - started
                row: Curve = {"iteration": float(iteration), "seconds": round(spent, 1), **losses}
                curves.append(row | (validate() if validated else {}))
            if time.monotonic() - saved > CHECKPOINT_SECONDS and not last:
                steps.save(checkpoint, iteration, before + time.monotonic() - started, curves)
                saved = time.monotonic()
    return Fitted(curves, before + time.monotonic() - started, diverged)


class _Steps:
    """One step after another, each from its own draws."""

    def __init__(
        self,
        model: nn.Module,
        squares: Tensor,
        targets: Sequence[Target],
        budget: DetectorBudget,
        seed: int,
        augment: bool,
    ) -> None:
        self.model, self.squares, self.targets = model, squares, targets
        self.budget, self.seed, self.augment = budget, seed, augment
        self.optimiser = torch.optim.AdamW(
            model.parameters(), lr=budget.learning_rate, weight_decay=budget.weight_decay
        )
        self.schedule = torch.optim.lr_scheduler.OneCycleLR(
            self.optimiser,
            max_lr=budget.learning_rate,
            total_steps=budget.iterations + 1,
            pct_start=WARM_UP,
            cycle_momentum=False,
        )

    def take(self, iteration: int) -> Losses:
        """Learn from one batch.

        Raises:
            NonFiniteLossError: before the weights move.
        """
        self.model.train()
        images, targets = self._batch(iteration)
        with torch.random.fork_rng():
            torch.manual_seed(self.seed * 1_000_003 + iteration + 750_019)
            losses = self.model(images, targets)
        total = sum(losses.values())
        parts = {name: float(part.detach()) for name, part in losses.items()}
        parts = {"loss": float(total.detach())} | parts
        if not all(math.isfinite(value) for value in parts.values()):
            raise NonFiniteLossError(parts)
        self.optimiser.zero_grad(set_to_none=True)
        total.backward()
        norm = nn.utils.clip_grad_norm_(self.model.parameters(), LARGEST_GRADIENT)
        if not math.isfinite(float(norm)):
            raise NonFiniteLossError(parts | {"gradient": float(norm)})
        self.optimiser.step()
        self.schedule.step()
        return parts

    def _batch(self, iteration: int) -> tuple[list[Tensor], list[Target]]:
        n = len(self.squares)
        size = min(self.budget.batch, n)
        rows = batch_of(n, iteration, size, self.seed).tolist()
        if len(rows) == 1:  # what is left of an epoch; batch norm needs two
            rows.append((rows[0] + 1) % n)
        epoch = iteration // math.ceil(n / size)
        place = next(self.model.parameters()).device
        images, targets = [], []
        for row in rows:
            image, target = self.squares[row], self.targets[row]
            if self.augment:
                image, target = augment_detection(
                    image, target, seed=self.seed, epoch=epoch, index=row
                )
            images.append(image.to(place))
            targets.append({name: value.to(place) for name, value in target.items()})
        return images, targets

    def save(self, path: Path, iteration: int, seconds: float, curves: list[Curve]) -> None:
        trained = {
            "model": self.model.state_dict(),
            "optimiser": self.optimiser.state_dict(),
            "schedule": self.schedule.state_dict(),
        }
        state = {"iteration": iteration, "seconds": seconds, "curves": curves}
        save_checkpoint(path, {RUN: path.stem} | state | trained)

    def resume(self, path: Path) -> tuple[int, float, list[Curve]]:
        """Take over an interrupted run's state: iterations done, seconds spent, curves."""
        state = resume_from(path, _KEPT, self._take_over)
        if state is None:
            return 0, 0.0, []
        return state["iteration"], state["seconds"], state["curves"]

    def _take_over(self, state: dict[str, Any]) -> None:
        self.model.load_state_dict(state["model"])
        self.optimiser.load_state_dict(state["optimiser"])
        self.schedule.load_state_dict(state["schedule"])


def predict_boxes(
    model: nn.Module, squares: Tensor, batch: int = 8, *, least_side: float = 1.0
) -> tuple[Boxes, Boxes]:
    """Find boxes in views as the network sees them.

    Args:
        model: a :class:`~mammostudy.models.detectors.Detector`; left in evaluation mode.
        squares: float32 ``(n, 1, s, s)`` in [0, 1].
        batch: views at once.
        least_side: boxes with a shorter side are no boxes, in pixels of the square.

    Returns:
        (boxes, scores): float64 ``(k, 4)`` in pixels of the square and ``(k,)``, one a view, best
        first. A box whose numbers are not finite is left out.
    """
    model.eval()
    place = next(model.parameters()).device
    boxes: Boxes = []
    scores: Boxes = []
    with torch.inference_mode():
        for part in torch.split(squares, batch):
            for found in model([square.to(place) for square in part]):
                each = found["boxes"].double().cpu().numpy()
                score = found["scores"].double().cpu().numpy()
                sound = np.isfinite(each).all(axis=1) & np.isfinite(score)
                each, score = each[sound], score[sound]
                wide = (each[:, 2:] - each[:, :2] >= least_side).all(axis=1)
                boxes.append(each[wide])
                scores.append(score[wide])
    return boxes, scores
