"""The losses of the paper, of its released code, and their alternatives.

``t`` is a generator's tanh output in [-1, 1], ``p = (t + 1) / 2`` the probability of mass,
``y`` the mask as 0/1; all ``(n, c, h, w)`` float tensors.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import torch
from torch import Tensor
from torch.nn import functional

_ROOT_OF_ZERO: Final = 1e-12  # the root's slope at 0 is infinite
SMOOTH: Final = 1.0  # in numerator and denominator, as in the released code


def probability(t: Tensor) -> Tensor:
    """Map a tanh output to [0, 1]."""
    return (t + 1) / 2


def dice_loss(p: Tensor, y: Tensor) -> Tensor:
    """``1 - 2|y o p| / (|y| + |p|)``, by image, then the mean (paper, section 2)."""
    both, mine, wanted = (each.flatten(1).sum(dim=1) for each in (p * y, p, y))
    return (1 - (2 * both + SMOOTH) / (mine + wanted + SMOOTH)).mean()


def released_dice_loss(t: Tensor, y: Tensor) -> Tensor:
    """The Dice loss as released, on [-1, 1]: the sums can cancel, where the loss has a pole."""
    return dice_loss(t, 2 * y - 1)


def _cross_entropy(p: Tensor, y: Tensor) -> Tensor:
    """The mean; NaN where ``p`` holds one (torch itself stops then)."""
    if torch.isnan(p).any():
        return torch.full((), torch.nan, device=p.device)
    return functional.binary_cross_entropy(p, y)


def dice_bce_loss(p: Tensor, y: Tensor) -> Tensor:
    """Dice loss plus binary cross-entropy, in equal parts."""
    return dice_loss(p, y) + _cross_entropy(p.clamp(1e-6, 1 - 1e-6), y)


def end_point_error(p: Tensor, y: Tensor) -> Tensor:
    """The mean length of the difference of the two gradients (SLSDeep, Sarker et al. 2018).

    Gradients are differences to the next pixel on the right and below, 0 at the far edges.
    """
    right = functional.pad((p - y).diff(dim=-1), (0, 1))
    below = functional.pad((p - y).diff(dim=-2), (0, 0, 0, 1))
    return torch.sqrt(right**2 + below**2 + _ROOT_OF_ZERO).mean()


def nll_epe_loss(p: Tensor, y: Tensor) -> Tensor:
    """Negative log likelihood plus end-point error, in equal parts (SLSDeep)."""
    return _cross_entropy(p.clamp(1e-6, 1 - 1e-6), y) + end_point_error(p, y)


_ON_PROBABILITY: Final[dict[str, Callable[[Tensor, Tensor], Tensor]]] = {
    "dice": dice_loss,
    "l1": functional.l1_loss,  # of the authors' earlier paper
    "dice_bce": dice_bce_loss,
    "nll_epe": nll_epe_loss,
}


def overlap_loss(name: str) -> Callable[[Tensor, Tensor], Tensor]:
    """Return a loss of (tanh output, 0/1 mask): dice, l1, released_dice, dice_bce or nll_epe."""
    if name == "released_dice":
        return released_dice_loss
    chosen = _ON_PROBABILITY[name]
    return lambda t, y: chosen(probability(t), y)


def adversarial_loss(scores: Tensor, wanted: float) -> Tensor:
    """``mean(-log D)`` where scores are wanted at 1, ``mean(-log(1 - D))`` where at 0."""
    return _cross_entropy(scores, torch.full_like(scores, wanted))
