"""SegNet: a VGG16 encoder, and its mirror image that unpools by the encoder's own positions."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from mammostudy.models.common import check_sides
from mammostudy.models.segmenters.trunks import STAGES, Weights, check_channels, vgg16_stages

VERSION = 1
"""Recipe version: raised by hand when the numbers that leave :class:`SegNet` change."""
_MIRROR = ((512, 512, 512), (512, 512, 256), (256, 256, 128), (128, 64), (64,))


class SegNet(nn.Module):
    """Thirteen convolutions with batch norm down, as many up.

    Where the encoder pools it keeps the position of each maximum; the decoder puts its values back
    to these positions, zeros elsewhere, and convolves. The last convolution gives the scores.

    Args:
        in_channels: of the input.
        out_channels: of the output.
        weights: of the encoder.

    Raises:
        SpecError: a number of channels below 1.
        DataError: weights that cannot be downloaded.

    Source: Badrinarayanan, Kendall and Cipolla 2017.
    """

    def __init__(self, in_channels: int, out_channels: int, weights: Weights) -> None:
        super().__init__()
        check_channels(in_channels, out_channels, "the SegNet")
        self.in_channels = in_channels
        self.stages = vgg16_stages(weights, in_channels, batch_norm=True)
        ups, before = [], 512
        for widths in _MIRROR:
            layers: list[nn.Module] = []
            for width in widths:
                layers += [
                    nn.Conv2d(before, width, 3, padding=1),
                    nn.BatchNorm2d(width),
                    nn.ReLU(inplace=True),
                ]
                before = width
            ups.append(nn.Sequential(*layers))
        self.ups = nn.ModuleList(ups)
        self.score = nn.Conv2d(before, out_channels, 3, padding=1)
        for layer in self.ups.modules():
            if isinstance(layer, nn.Conv2d):
                nn.init.kaiming_normal_(layer.weight, nonlinearity="relu")

    def forward(self, images: Tensor) -> Tensor:
        """Segment a batch.

        Args:
            images: float ``(n, in_channels, h, w)``, h and w divisible by 32; in training mode
                more than one value a channel at the deepest layer.

        Returns:
            ``(n, out_channels, h, w)`` in [-1, 1].

        Raises:
            SpecError: the input does not fit the network.
        """
        check_sides(images, self.in_channels, STAGES, "the SegNet", "change the input size")
        places, features = [], images
        for stage in self.stages:
            features, place = functional.max_pool2d(stage(features), 2, return_indices=True)
            places.append(place)
        for up, place in zip(self.ups, reversed(places), strict=True):
            features = up(functional.max_unpool2d(features, place, [2, 2]))
        return torch.tanh(self.score(features) / 2)


def build(in_channels: int = 1, out_channels: int = 1, weights: Weights = "none") -> SegNet:
    """Make the SegNet; see :class:`SegNet`."""
    return SegNet(in_channels, out_channels, weights)
