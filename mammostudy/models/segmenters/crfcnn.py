"""CRFCNN: an FCN whose scores a conditional random field refines, both trained together."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from mammostudy.errors import SpecError
from mammostudy.models.segmenters.fcn import DENSE, FCN8
from mammostudy.models.segmenters.mean_field import MeanField
from mammostudy.models.segmenters.trunks import Weights

VERSION = 1
"""Recipe version: raised by hand when the numbers that leave :class:`CrfCnn` change."""


class CrfCnn(nn.Module):
    """:class:`~mammostudy.models.segmenters.fcn.FCN8`, then a mean field as a recurrent network.

    Args:
        in_channels: of the input.
        weights: of the FCN's encoder.
        dense: filters of the FCN's dense layers.
        rounds: of mean field.
        window: its side, pixels.

    Raises:
        SpecError: a number outside its range.
        DataError: weights that cannot be downloaded.

    Source: Zheng et al. 2015; Singh et al. 2020 name it CRFCNN.
    """

    def __init__(
        self, in_channels: int, weights: Weights, dense: int, rounds: int, window: int
    ) -> None:
        super().__init__()
        self.network = FCN8(in_channels, 1, weights, dense)
        self.field = MeanField(rounds, window)

    def forward(self, images: Tensor) -> Tensor:
        """Segment a batch.

        Args:
            images: float ``(n, in_channels, h, w)``, h and w divisible by 32.

        Returns:
            ``(n, 1, h, w)`` in [-1, 1].

        Raises:
            SpecError: the input does not fit the network.
        """
        return torch.tanh(self.field(self.network.logits(images), images) / 2)


def build(
    in_channels: int = 1,
    out_channels: int = 1,
    weights: Weights = "none",
    dense: int = DENSE,
    rounds: int = 5,
    window: int = 11,
) -> CrfCnn:
    """Make the network; see :class:`CrfCnn`.

    Raises:
        SpecError: more than one channel out: its field knows two labels.
    """
    if in_channels < 1 or out_channels < 1:
        msg = "in_channels and out_channels of CRFCNN must be 1 or more"
        raise SpecError(msg)
    if out_channels > 1:
        msg = f"out_channels = {out_channels}: CRFCNN's field knows one label besides background"
        raise SpecError(msg)
    return CrfCnn(in_channels, weights, dense, rounds, window)
