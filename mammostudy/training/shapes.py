"""The training of the shape networks, and their work: masks in, logits out."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, Unpack

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from torch import Tensor, nn
from torch.nn import functional

from mammostudy.errors import DataError
from mammostudy.imaging.shape_masks import place_mask, shape_between
from mammostudy.training import loop
from mammostudy.training.loop import Curve, Fitted, Losses

BETA: Final = 0.999  # of the effective number
Logits = NDArray[np.float64]


def shape_class_weights(counts: ArrayLike, weighting: str = "published") -> Tensor:
    """Weight of each class, float32 ``(k,)``, from its number of training cases.

    ``none``: 1 each; ``published``: ``1 - n / N``, not rescaled (0.568, 0.595, 0.902, 0.935 on the
    paper's DDSM masses); ``inverse``: ``N / (k n)``, so that the mean over cases is 1;
    ``effective``: inverse effective number ``(1 - beta) / (1 - beta^n)``, scaled to sum k (Cui et
    al. 2019).
    """
    n = torch.as_tensor(counts, dtype=torch.float64)
    if not bool((n >= 1).all()):
        at = int(torch.argmin(n))
        msg = f"counts[{at}] = {n[at]:g}: a class without a training case; stratify the split"
        raise DataError(msg)
    effective = (1 - BETA) / (1 - BETA**n)
    weights = {
        "none": torch.ones_like(n),
        "published": 1 - n / n.sum(),
        "inverse": n.sum() / (len(n) * n),
        "effective": effective * len(n) / effective.sum(),
    }
    return weights[weighting].float()


def focal_loss(
    logits: Tensor, labels: Tensor, weights: Tensor | None = None, gamma: float = 2.0
) -> Tensor:
    """Mean over cases of ``w (1 - p)^gamma (-log p)``, p the probability of the true class.

    With gamma 0 it is the published weighted cross-entropy. The sum is divided by the number of
    cases, not by the sum of their weights as in torch. Source: Lin et al. 2017.
    """
    labels = labels.to(logits.device)
    surprise = functional.cross_entropy(logits, labels, reduction="none")
    if gamma > 0:
        miss = (-torch.expm1(-surprise)).clamp(min=1e-12)  # 1 - p; its power has a slope there
        surprise = miss**gamma * surprise
    if weights is not None:
        surprise = surprise * weights.to(surprise)[labels]
    return surprise.mean()


def rotate_batch(
    inputs: Tensor, rows: Tensor, epoch: int, *, total: int, seed: int, binary: bool = True
) -> Tensor:
    """Turn each input about its centre by an angle of its own, every second one mirrored.

    The draws depend on seed, epoch and the row of the input among all alone, not on the batch. In a
    loose frame (mass on half of the side) no turned mass leaves the grid. Masks stay 0 and 1; grey
    images are mirrored at the edge, so that no dark corner tells the angle.
    """
    generator = torch.Generator().manual_seed(seed * 1_000_003 + epoch + 500_009)
    draws = torch.rand(total, 2, generator=generator)[rows]
    angle = 2 * math.pi * draws[:, 0]
    mirror = 1 - 2 * (draws[:, 1] < 0.5).to(angle)
    cos, sin, zero = angle.cos(), angle.sin(), torch.zeros_like(angle)
    turns = torch.stack([mirror * cos, -sin, zero, mirror * sin, cos, zero], dim=1)
    theta, padding = turns.view(-1, 2, 3).to(inputs), "zeros" if binary else "reflection"
    grid = functional.affine_grid(theta, list(inputs.shape), align_corners=False)
    turned = functional.grid_sample(inputs, grid, padding_mode=padding, align_corners=False)
    return (turned >= 0.5).to(inputs) if binary else turned


@dataclass(frozen=True)
class ShapeBudget:
    """How long a shape network trains (passes, masks in a step), and its RMSProp."""

    epochs: int
    batch: int
    learning_rate: float
    momentum: float
    smoothing: float


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
    validate: Callable[[], Curve],
    binary: bool = True,
    **course: Unpack[loop.Course],
) -> Fitted:
    """Train a shape network; a step of the loop is an epoch.

    Order, turns (:func:`rotate_batch`) and dropout of an epoch are drawn from seed and epoch alone;
    the caller's random state is left as it was. Inputs are float32 ``(n, 1, 64, 64)``, labels
    class numbers ``(n,)``, weights of the classes ``(k,)``.

    Source: paper, section on shape classification (RMSProp, weighted cross-entropy).
    """
    if not len(inputs):
        msg = "inputs are empty: no training mask; check the cohort's shapes and the split"
        raise DataError(msg)
    rate, alpha, momentum = budget.learning_rate, budget.smoothing, budget.momentum
    optimiser = torch.optim.RMSprop(model.parameters(), lr=rate, alpha=alpha, momentum=momentum)
    n, steps = len(inputs), math.ceil(len(inputs) / budget.batch)

    def epoch(done: int) -> Losses:
        model.train()
        total = 0.0
        with torch.random.fork_rng():
            torch.manual_seed(seed * 1_000_003 + done + 250_007)  # the dropout's
            for step in range(steps):
                rows = loop.batch_of(n, done * steps + step, budget.batch, seed)
                batch = inputs[rows]
                if rotate:
                    batch = rotate_batch(batch, rows, done, total=n, seed=seed, binary=binary)
                loss = focal_loss(model(_ready(batch, model)), labels[rows], weights, focal_gamma)
                total += len(rows) * loop.descend(optimiser, loss, {"loss": loss})["loss"]
        return {"loss": total / n}

    return loop.run_steps(
        epoch,
        {"model": model, "optimiser": optimiser},
        budget.epochs,
        head=lambda done, _: {"epoch": float(done), "iteration": float(done * steps)},
        validate=validate,
        validations=budget.epochs,
        rows=budget.epochs,
        **course,
    )


def predict_logits(model: nn.Module, inputs: Tensor) -> Logits:
    """Score inputs, float32 ``(n, 1, 64, 64)``, with the dropout off: float64 ``(n, k)``."""
    model.eval()
    with torch.inference_mode():
        parts = [model(_ready(part, model)).float().cpu() for part in torch.split(inputs, 64)]
        return torch.cat(parts).double().numpy()


def walk(model: nn.Module, placement: str, positions: NDArray[np.float64]) -> list[Logits]:
    """Walk from shape to shape: the logits of five drawn masks at each position (0 to 3)."""
    found = []
    for seed in range(5):
        steps = (shape_between(float(at), 256, seed=seed) for at in positions)
        masks = np.stack([place_mask(mask, 64, placement) for mask in steps]).astype(np.float32)
        found.append(predict_logits(model, torch.from_numpy(masks)[:, None]))
    return found


def _ready(batch: Tensor, model: nn.Module) -> Tensor:
    """Where the model is, channels last: convolutions on a processor take a third less time."""
    place = next(model.parameters()).device  # a copy: strides of one channel would stay as they are
    ready = torch.empty_like(batch, device=place, memory_format=torch.channels_last)
    return ready.copy_(batch)
