"""CRFCNN: an FCN whose scores a conditional random field refines, both trained together.

Neighbours within a window are weighed by two Gaussian kernels: of distance alone (smoothness), and
of distance and grey value (appearance). The original sums over all pixels.
"""

from __future__ import annotations

from typing import Annotated

import torch
from pydantic import Field
from torch import Tensor, nn
from torch.nn import functional

from mammostudy.models.common import Count, Segmenter
from mammostudy.models.encoders import Weights
from mammostudy.models.segmenters.fcn import FCN8

SMOOTH = 3.0  # standard deviation of the smoothness kernel, pixels
NEAR = 8.0  # of the distance in the appearance kernel, pixels
ALIKE = 0.1  # of the grey value, images in [0, 1]


class CrfCnn(Segmenter):
    """:class:`~mammostudy.models.segmenters.fcn.FCN8`, then a mean field as a recurrent network.

    Source: Zheng et al. 2015; Singh et al. 2020 name it CRFCNN.
    """

    def __init__(
        self,
        in_channels: Count = 1,
        out_channels: Annotated[int, Field(ge=1, le=1)] = 1,  # the field knows one label
        weights: Weights = "none",
        dense: Count = 4096,
    ) -> None:
        super().__init__(in_channels)
        self.network = FCN8(in_channels, out_channels, weights, dense)
        self.field = MeanField()

    def logits(self, images: Tensor) -> Tensor:
        """Score every pixel."""
        refined: Tensor = self.field(self.network.logits(images), images)
        return refined


class MeanField(nn.Module):
    """Rounds of mean field (5 as published) over two labels, with weights that are learnt.

    A round: each label's probabilities are filtered by both kernels (a pixel does not ask itself),
    each normalised by the kernel's own sum; weighed by :attr:`weights` and added; turned into
    penalties by the compatibility, 1 between unlike labels times :attr:`penalty`; taken off the
    unary scores; and normalised by the softmax.

    Source: Zheng et al. 2015 (CRF-RNN); Krahenbuhl and Koltun 2011 (kernels, mean field).
    """

    def __init__(self, rounds: int = 5, window: int = 11) -> None:
        super().__init__()
        self.rounds, self.window = rounds, window
        self.weights = nn.Parameter(torch.tensor([1.0, 1.0]))
        self.penalty = nn.Parameter(torch.tensor(1.0))

    def forward(self, logits: Tensor, images: Tensor) -> Tensor:
        """Let the field change scores of mass ``(n, 1, h, w)`` by images ``(n, c, h, w)``."""
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
        """Weights of the neighbours by smoothness and by appearance, ``(n, window ** 2, h, w)``.

        Each sums to 1 over those in the image; the pixel itself has weight 0.
        """
        half = self.window // 2
        steps = torch.arange(-half, half + 1, device=images.device, dtype=images.dtype)
        distance = (steps[:, None] ** 2 + steps[None, :] ** 2).reshape(1, -1, 1, 1)
        inside = _neighbours(torch.ones_like(images[:1, :1]), self.window)
        inside = inside * (distance > 0)
        smooth = inside * torch.exp(-distance / (2 * SMOOTH**2))
        planes = images[:, :, None].unbind(1)
        gap = sum((_neighbours(grey, self.window) - grey) ** 2 for grey in planes)
        alike = inside * torch.exp(
            -distance / (2 * NEAR**2) - gap / (2 * ALIKE**2 * images.shape[1])
        )
        return _normalised(smooth), _normalised(alike)


def _neighbours(plane: Tensor, window: int) -> Tensor:
    """The values around each pixel of ``(n, 1, h, w)``: ``(n, window ** 2, h, w)``, 0 outside."""
    unfolded = functional.unfold(plane, window, padding=window // 2)
    return unfolded.reshape(len(plane), window**2, *plane.shape[-2:])


def _normalised(kernel: Tensor) -> Tensor:
    return kernel / kernel.sum(dim=1, keepdim=True).clamp_min(1e-12)
