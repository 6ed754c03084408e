"""The training of detectors: views in a seeded order, changed a little; and their work."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from functools import cache
from typing import Any, Final, Unpack

import numpy as np
import torch
from torch import Tensor, nn
from torchvision import tv_tensors
from torchvision.transforms import v2

from mammostudy.errors import DataError
from mammostudy.models.common import weight_average
from mammostudy.training import loop
from mammostudy.training.loop import Curve, Fitted, Losses

LARGEST_GRADIENT: Final = 5.0
WARM_UP: Final = 0.15
SHIFT, ZOOM, LIGHT = 0.05, 0.1, 0.1  # shares by which the augmentation changes a view at most
LEAST_SIDE: Final = 2.0  # pixels of a box that an augmented view must still show
Target = dict[str, Tensor]
Boxes = list[np.ndarray[tuple[int, ...], np.dtype[np.float64]]]


def fit_detector(
    model: nn.Module,
    squares: Tensor,
    targets: Sequence[Target],
    budget: Any,
    *,
    seed: int,
    validate: Callable[[], Curve],
    augment: bool = True,
    **course: Unpack[loop.Course],
) -> Fitted:
    """Train a detector.

    ``budget`` is a run's: its iterations, batch, learning rate, decay, averaging and validations.
    AdamW; the learning rate rises over the first 15 % of the steps and falls along a cosine to
    nothing; the gradient's norm is cut at 5. What a step draws depends on seed and iteration alone.
    ``squares``, float32 ``(n, 1, s, s)`` in [0, 1], are the views as the network sees them;
    ``targets`` have ``boxes`` float32 ``(k, 4)`` in pixels of the square, and ``labels``.
    """
    if len(squares) < 2:
        msg = f"{len(squares)} training views: batch norm needs two or more"
        raise DataError(msg)
    rate, decay, total = budget.learning_rate, budget.weight_decay, budget.iterations
    learner, average = model, weight_average(model, budget.averaging) if budget.averaging else None
    if average is not None:  # the model given becomes the average, and the copy of it learns
        learner, average.module = average.module, model
    optimiser = torch.optim.AdamW(learner.parameters(), lr=rate, weight_decay=decay)
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimiser, rate, total_steps=total + 1, pct_start=WARM_UP, cycle_momentum=False
    )

    def step(done: int) -> Losses:
        batch = _batch(squares, targets, done, min(budget.batch, len(squares)), seed, augment)
        with torch.random.fork_rng():
            torch.manual_seed(seed * 1_000_003 + done + 750_019)
            losses = _learn(learner.train(), optimiser, batch)
        if average is not None:
            average.update_parameters(learner)
        schedule.step()
        return losses

    return loop.run_steps(
        step,
        {"model": learner, "optimiser": optimiser, "schedule": schedule}
        | ({} if average is None else {"average": average}),
        total,
        head=lambda done, seconds: {"iteration": float(done), "seconds": round(seconds, 1)},
        validate=validate,
        validations=budget.validations,
        rows=100,
        **course,
    )


def _batch(
    squares: Tensor, targets: Sequence[Target], done: int, size: int, seed: int, augment: bool
) -> list[tuple[Tensor, Target]]:
    """The views of one step."""
    n = len(squares)
    rows = loop.batch_of(n, done, size, seed).tolist()
    if len(rows) == 1:  # what is left of an epoch; batch norm needs two
        rows.append((rows[0] + 1) % n)
    pairs = [(squares[row], targets[row]) for row in rows]
    if not augment:
        return pairs
    epoch = done // math.ceil(n / size)
    return [
        augment_detection(*pair, seed=seed, epoch=epoch, index=row)
        for pair, row in zip(pairs, rows, strict=True)
    ]


def _learn(
    model: nn.Module, optimiser: torch.optim.Optimizer, batch: list[tuple[Tensor, Target]]
) -> Losses:
    """Take one step; weights do not move where a loss or the gradient is not finite."""
    place = next(model.parameters()).device
    targets = [{name: each.to(place) for name, each in target.items()} for _, target in batch]
    losses = model([image.to(place) for image, _ in batch], targets)
    total = sum(losses.values())
    parts = loop.finite({"loss": total} | losses)
    optimiser.zero_grad(set_to_none=True)
    total.backward()
    norm = nn.utils.clip_grad_norm_(model.parameters(), LARGEST_GRADIENT)
    loop.finite({"loss": total} | losses | {"gradient": norm})
    optimiser.step()
    return parts


@cache
def _changes() -> v2.Transform:
    """One recipe for all detectors; a turned box would be larger than the turned mass's box."""
    shift, scale, linear = (SHIFT, SHIFT), (1 - ZOOM, 1 + ZOOM), v2.InterpolationMode.BILINEAR
    moved = v2.RandomAffine(0, translate=shift, scale=scale, interpolation=linear)
    checked = [v2.ClampBoundingBoxes(), v2.SanitizeBoundingBoxes(min_size=LEAST_SIDE)]
    return v2.Compose([v2.RandomHorizontalFlip(), moved, v2.ColorJitter(LIGHT, LIGHT), *checked])


def augment_detection(
    image: Tensor, target: Target, *, seed: int, epoch: int, index: int
) -> tuple[Tensor, Target]:
    """Change an image and its boxes together; the same numbers give the same result.

    torch's global generator is left as it was. The image stays in [0, 1]; boxes are clamped to it,
    and dropped where less than :data:`LEAST_SIDE` is left.
    """
    corners, sides = tv_tensors.BoundingBoxFormat.XYXY, tuple(image.shape[-2:])
    boxes = tv_tensors.BoundingBoxes(target["boxes"], format=corners, canvas_size=sides)
    sample = {"image": tv_tensors.Image(image), "boxes": boxes, "labels": target["labels"]}
    draw = int(np.random.SeedSequence([seed, epoch, index]).generate_state(1, np.uint64)[0])
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(draw % 2**63)
        changed = _changes()(sample)
    found = {"boxes": changed["boxes"].as_subclass(Tensor), "labels": changed["labels"]}
    return changed["image"].as_subclass(Tensor).clamp(0, 1), found


def predict_boxes(model: nn.Module, squares: Tensor) -> tuple[Boxes, Boxes]:
    """Find boxes ``(k, 4)`` in squares, and their scores ``(k,)``; one of each a view, best first.

    A box with a side below 1 pixel, or a number that is not finite, is left out.
    """
    model.eval()
    place = next(model.parameters()).device
    boxes, scores = Boxes(), Boxes()
    with torch.inference_mode():
        for part in torch.split(squares, 8):
            for found in model([square.to(place) for square in part]):
                each, score = (found[name].cpu().double().numpy() for name in ("boxes", "scores"))
                wide = (each[:, 2:] - each[:, :2] >= 1).all(axis=1)  # not so where not a number
                sound = wide & np.isfinite(each).all(axis=1) & np.isfinite(score)
                boxes.append(each[sound])
                scores.append(score[sound])
    return boxes, scores
