"""FCN-8s on VGG16: dense classification, sharpened by the scores of two earlier stages."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from mammostudy.errors import SpecError
from mammostudy.models.common import check_sides
from mammostudy.models.segmenters.trunks import STAGES, Weights, check_channels, vgg16_stages

VERSION = 1
"""Recipe version: raised by hand when the numbers that leave :class:`FCN8` change."""
DENSE = 4096


class FCN8(nn.Module):
    """The network of Long et al. with skips at strides 16 and 8.

    VGG16's two dense layers become convolutions of 7x7 and 1x1 with dropout 0.5; their scores are
    upsampled by 2, added to the scores of the fourth pooling, by 2 again, added to those of the
    third, and by 8. The upsampling is bilinear, where the original's starts from and is then
    learnt (their paper finds no gain in learning the last one).

    Args:
        in_channels: of the input.
        out_channels: of the output.
        weights: of the encoder.
        dense: filters of the two dense layers, 4096 as published (134 million parameters in all).

    Raises:
        SpecError: a number below 1.
        DataError: weights that cannot be downloaded.

    Source: Long, Shelhamer and Darrell 2015.
    """

    def __init__(self, in_channels: int, out_channels: int, weights: Weights, dense: int) -> None:
        super().__init__()
        check_channels(in_channels, out_channels, "the FCN")
        if dense < 1:
            msg = f"dense = {dense} of the FCN: 1 filter or more needed"
            raise SpecError(msg)
        self.in_channels = in_channels
        self.stages = vgg16_stages(weights, in_channels, batch_norm=False)
        self.dense = nn.Sequential(
            nn.Conv2d(512, dense, 7, padding=3),
            nn.ReLU(inplace=True),
            nn.Dropout2d(0.5),
            nn.Conv2d(dense, dense, 1),
            nn.ReLU(inplace=True),
            nn.Dropout2d(0.5),
        )
        self.scores = nn.ModuleList(
            nn.Conv2d(channels, out_channels, 1) for channels in (256, 512, dense)
        )
        for layer in self.dense.modules():
            if isinstance(layer, nn.Conv2d):
                nn.init.kaiming_normal_(layer.weight, nonlinearity="relu")

    def logits(self, images: Tensor) -> Tensor:
        """Score every pixel, ``(n, out_channels, h, w)``; arguments as :meth:`forward`."""
        check_sides(images, self.in_channels, STAGES, "the FCN", "change the input size")
        pooled, features = [], images
        for stage in self.stages:
            features = functional.max_pool2d(stage(features), 2)
            pooled.append(features)
        third, fourth, last = (
            score(each)
            for score, each in zip(
                self.scores, (pooled[2], pooled[3], self.dense(pooled[4])), strict=True
            )
        )
        joined = _enlarge(_enlarge(last, 2) + fourth, 2) + third
        return _enlarge(joined, 8)

    def forward(self, images: Tensor) -> Tensor:
        """Segment a batch.

        Args:
            images: float ``(n, in_channels, h, w)``, h and w divisible by 32.

        Returns:
            ``(n, out_channels, h, w)`` in [-1, 1].

        Raises:
            SpecError: the input does not fit the network.
        """
        return torch.tanh(self.logits(images) / 2)


def _enlarge(scores: Tensor, factor: int) -> Tensor:
    return functional.interpolate(scores, scale_factor=factor, mode="bilinear", align_corners=False)


def build(
    in_channels: int = 1, out_channels: int = 1, weights: Weights = "none", dense: int = DENSE
) -> FCN8:
    """Make the FCN; see :class:`FCN8`."""
    return FCN8(in_channels, out_channels, weights, dense)
