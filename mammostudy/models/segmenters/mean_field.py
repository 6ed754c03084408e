"""A conditional random field as a recurrent network: mean field in a window, trained end to end.

Two labels, background and mass. Of each pixel the field asks its neighbours within a window for
their labels, weighed by two Gaussian kernels: of distance alone (smoothness), and of distance and
grey value (appearance). The original sums over all pixels by filtering on a permutohedral lattice;
the window cuts the kernels where they are small, and on an image no larger than the window it is
the full sum.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from mammostudy.errors import SpecError

VERSION = 1
"""Recipe version: raised by hand when the numbers that leave :class:`MeanField` change."""


class MeanField(nn.Module):
    """Some rounds of mean field over two labels, with weights that are learnt.

    A round: each label's probabilities are filtered by both kernels (a pixel does not ask itself),
    each normalised by the kernel's own sum; weighed by :attr:`weights` and added; turned into
    penalties by the compatibility, 1 between unlike labels times :attr:`penalty`; taken off the
    unary scores; and normalised by the softmax.

    Args:
        rounds: 1 or more; the original trains with 5.
        window: odd side of the window in pixels, 3 or more.
        smooth: standard deviation of the smoothness kernel, pixels.
        near: that of the distance in the appearance kernel, pixels.
        alike: that of the grey value, images in [0, 1].

    Raises:
        SpecError: a number outside its range.

    Source: Zheng et al. 2015 (CRF-RNN); Krahenbuhl and Koltun 2011 (kernels, mean field).
    """

    def __init__(
        self,
        rounds: int = 5,
        window: int = 11,
        smooth: float = 3.0,
        near: float = 8.0,
        alike: float = 0.1,
    ) -> None:
        super().__init__()
        if rounds < 1 or window < 3 or window % 2 == 0 or min(smooth, near, alike) <= 0:
            msg = (
                f"mean field of {rounds} rounds, window {window}, kernels {smooth:g}, {near:g}, "
                f"{alike:g}: one round or more, an odd window from 3 on, kernels above 0 needed"
            )
            raise SpecError(msg)
        self.rounds, self.window = rounds, window
        self.smooth, self.near, self.alike = smooth, near, alike
        self.weights = nn.Parameter(torch.tensor([1.0, 1.0]))
        self.penalty = nn.Parameter(torch.tensor(1.0))

    def forward(self, logits: Tensor, images: Tensor) -> Tensor:
        """Let the field change some scores.

        Args:
            logits: of mass, float ``(n, 1, h, w)``.
            images: float ``(n, c, h, w)``: grey values that the appearance kernel compares.

        Returns:
            New logits of mass, ``(n, 1, h, w)``.
        """
        smooth, alike = self.kernels(images)
        mass = torch.sigmoid(logits)
        for _ in range(self.rounds):
            around = _neighbours(mass, self.window)
            asked = self.weights[0] * (smooth * around).sum(dim=1, keepdim=True)
            asked = asked + self.weights[1] * (alike * around).sum(dim=1, keepdim=True)
            total = self.weights.sum()
            # unlike neighbours cost: mass pays for background around it, and the other way round
            changed = logits - self.penalty * ((total - asked) - asked)
            mass = torch.sigmoid(changed)
        return changed

    def kernels(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """Weights of the neighbours by either kernel, each summing to 1 over those in the image.

        Returns:
            Smoothness ``(1, window ** 2, h, w)`` and appearance ``(n, window ** 2, h, w)``; the
            pixel itself and places outside the image have weight 0.
        """
        half = self.window // 2
        steps = torch.arange(-half, half + 1, device=images.device, dtype=images.dtype)
        distance = (steps[:, None] ** 2 + steps[None, :] ** 2).reshape(1, -1, 1, 1)
        inside = _neighbours(torch.ones_like(images[:1, :1]), self.window)
        inside = inside * (distance > 0)
        smooth = inside * torch.exp(-distance / (2 * self.smooth**2))
        gap = torch.zeros_like(inside)
        for channel in range(images.shape[1]):
            grey = images[:, channel : channel + 1]
            gap = gap + (_neighbours(grey, self.window) - grey) ** 2
        alike = inside * torch.exp(
            -distance / (2 * self.near**2) - gap / (2 * self.alike**2 * images.shape[1])
        )
        return _normalised(smooth), _normalised(alike)


def _neighbours(plane: Tensor, window: int) -> Tensor:
    """The values around each pixel of ``(n, 1, h, w)``: ``(n, window ** 2, h, w)``, 0 outside."""
    unfolded = functional.unfold(plane, window, padding=window // 2)
    return unfolded.reshape(len(plane), window**2, *plane.shape[-2:])


def _normalised(kernel: Tensor) -> Tensor:
    return kernel / kernel.sum(dim=1, keepdim=True).clamp_min(1e-12)
