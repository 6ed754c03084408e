"""A fully convolutional head on a dilated ResNet-101. Source: torchvision."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional
from torchvision.models.segmentation.fcn import FCNHead

from mammostudy.models.common import check_sides
from mammostudy.models.segmenters.trunks import Weights, check_channels, residual_trunk

VERSION = 1
"""Recipe version: raised by hand when the numbers that leave :class:`ResidualFCN` change."""
_HALVINGS = 3


class ResidualFCN(nn.Module):
    """torchvision's FCN head on ResNet-101, whose last two stages dilate instead of striding.

    Args:
        in_channels: of the input.
        out_channels: of the output.
        weights: of the encoder.

    Raises:
        SpecError: a number of channels below 1.
        DataError: weights that cannot be downloaded.

    Source: Long et al. 2015; He et al. 2016; torchvision ``fcn_resnet101``.
    """

    def __init__(self, in_channels: int, out_channels: int, weights: Weights) -> None:
        super().__init__()
        check_channels(in_channels, out_channels, "FCN-ResNet101")
        self.in_channels = in_channels
        self.trunk = residual_trunk(101, weights, in_channels, dilated=2)
        self.head = FCNHead(2048, out_channels)

    def forward(self, images: Tensor) -> Tensor:
        """Segment a batch.

        Args:
            images: float ``(n, in_channels, h, w)``, h and w divisible by 8.

        Returns:
            ``(n, out_channels, h, w)`` in [-1, 1].

        Raises:
            SpecError: the input does not fit the network.
        """
        check_sides(images, self.in_channels, _HALVINGS, "FCN-ResNet101", "change the input size")
        features = images
        for stage in self.trunk.values():
            features = stage(features)
        scores = functional.interpolate(
            self.head(features), images.shape[-2:], mode="bilinear", align_corners=False
        )
        return torch.tanh(scores / 2)


def build(in_channels: int = 1, out_channels: int = 1, weights: Weights = "none") -> ResidualFCN:
    """Make the network; see :class:`ResidualFCN`."""
    return ResidualFCN(in_channels, out_channels, weights)
