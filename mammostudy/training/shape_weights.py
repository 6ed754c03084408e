"""What each class weighs in the loss of the shape classifier, and the losses that use it."""

from __future__ import annotations

from typing import Final

import torch
from numpy.typing import ArrayLike
from torch import Tensor
from torch.nn import functional

from mammostudy.errors import DataError, SpecError

VERSION: Final = 1
WEIGHTINGS: Final = ("none", "published", "inverse", "effective")


def shape_class_weights(
    counts: ArrayLike, weighting: str = "published", beta: float = 0.999
) -> Tensor:
    """Weight of each class from its number of training cases.

    Args:
        counts: training cases of each class, ``(k,)``, each at least 1.
        weighting: ``none`` (1 each); ``published`` (``1 - n / N``, not rescaled: 0.568, 0.595,
            0.902, 0.935 on the paper's DDSM masses); ``inverse`` (``N / (k n)``: the mean over
            cases is 1); ``effective`` (inverse effective number ``(1 - beta) / (1 - beta^n)``,
            scaled to sum k).
        beta: of ``effective``, in [0, 1): 0 weighs all alike, towards 1 it becomes the inverse.

    Returns:
        float32 ``(k,)``.

    Raises:
        DataError: fewer than two classes, or a class without a case.
        SpecError: an unknown weighting, or ``beta`` out of range.

    Source: paper, section on shape classification; Cui et al. 2019 (effective number).
    """
    n = torch.as_tensor(counts, dtype=torch.float64)
    if n.ndim != 1 or len(n) < 2:
        msg = f"counts of shape {tuple(n.shape)}: one number a class needed, two classes or more"
        raise DataError(msg)
    if not bool((n >= 1).all()):
        at = int(torch.argmin(n))
        msg = f"counts[{at}] = {n[at]:g}: a class without a training case; stratify the split"
        raise DataError(msg)
    if not 0 <= beta < 1:
        msg = f"beta = {beta} of the effective number must lie within [0, 1)"
        raise SpecError(msg)
    if weighting == "none":
        weights = torch.ones_like(n)
    elif weighting == "published":
        weights = 1 - n / n.sum()
    elif weighting == "inverse":
        weights = n.sum() / (len(n) * n)
    elif weighting == "effective":
        weights = (1 - beta) / (1 - beta**n)
        weights = weights * len(n) / weights.sum()
    else:
        msg = f"weighting {weighting!r} is unknown; use one of {', '.join(WEIGHTINGS)}"
        raise SpecError(msg)
    return weights.float()


def focal_loss(
    logits: Tensor, labels: Tensor, weights: Tensor | None = None, gamma: float = 2.0
) -> Tensor:
    """Mean over cases of ``w (1 - p)^gamma (-log p)``, p the probability of the true class.

    Args:
        logits: ``(n, k)``, before the softmax.
        labels: class numbers, int64 ``(n,)``.
        weights: of the classes, ``(k,)``; none weighs all alike.
        gamma: 0 or more; 0 is the weighted cross-entropy.

    Returns:
        A scalar.

    Raises:
        SpecError: ``gamma`` below 0.

    Source: Lin et al. 2017, for several classes by softmax.
    """
    if gamma < 0:
        msg = f"gamma = {gamma} of the focal loss must be 0 or more"
        raise SpecError(msg)
    surprise = functional.cross_entropy(logits, labels, reduction="none")
    if gamma > 0:
        miss = (-torch.expm1(-surprise)).clamp(min=1e-12)  # 1 - p; its power has a slope there
        surprise = miss**gamma * surprise
    if weights is not None:
        surprise = surprise * weights.to(surprise)[labels]
    return surprise.mean()


def weighted_cross_entropy(logits: Tensor, labels: Tensor, weights: Tensor) -> Tensor:
    """Mean over cases of ``w (-log p)``: the published loss.

    The sum is divided by the number of cases, not by the sum of their weights as torch's own
    weighted mean is, so that a batch of rare classes pulls harder. Which one the paper took is not
    reported; in the published setting the two differ by the mean weight, a factor of the step.

    Args:
        logits: ``(n, k)``, before the softmax.
        labels: class numbers, int64 ``(n,)``.
        weights: of the classes, ``(k,)``.

    Returns:
        A scalar.

    Source: paper, section on shape classification (weighted categorical cross-entropy).
    """
    return focal_loss(logits, labels, weights, gamma=0.0)
