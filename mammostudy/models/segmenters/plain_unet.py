"""The U-Net as first published, with padding and batch norm, from scratch."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from mammostudy.errors import SpecError
from mammostudy.models.common import check_sides
from mammostudy.models.segmenters.trunks import check_channels

VERSION = 1
"""Recipe version: raised by hand when the numbers that leave :class:`PlainUnet` change."""
_HALVINGS = 4


class PlainUnet(nn.Module):
    """Four poolings down, four transposed convolutions up, two convolutions at each level.

    Convolutions are padded, so that the mask has the size of the image (the original lost a rim),
    and followed by batch norm, without which it hardly trains from scratch at this size.

    Args:
        in_channels: of the input.
        out_channels: of the output.
        width: filters of the first level, 64 as published; doubled at each level.

    Raises:
        SpecError: a number below 1.

    Source: Ronneberger, Fischer and Brox 2015.
    """

    def __init__(self, in_channels: int, out_channels: int, width: int) -> None:
        super().__init__()
        check_channels(in_channels, out_channels, "the plain U-Net")
        if width < 1:
            msg = f"width = {width} of the plain U-Net: 1 filter or more needed"
            raise SpecError(msg)
        self.in_channels = in_channels
        widths = [width * 2**level for level in range(_HALVINGS + 1)]
        self.down = nn.ModuleList(
            _twice(before, after)
            for before, after in zip([in_channels, *widths], widths, strict=False)
        )
        self.enlarge = nn.ModuleList(
            nn.ConvTranspose2d(2 * after, after, 2, stride=2) for after in reversed(widths[:-1])
        )
        self.up = nn.ModuleList(_twice(2 * after, after) for after in reversed(widths[:-1]))
        self.score = nn.Conv2d(width, out_channels, 1)

    def forward(self, images: Tensor) -> Tensor:
        """Segment a batch.

        Args:
            images: float ``(n, in_channels, h, w)``, h and w divisible by 16.

        Returns:
            ``(n, out_channels, h, w)`` in [-1, 1].

        Raises:
            SpecError: the input does not fit the network.
        """
        check_sides(images, self.in_channels, _HALVINGS, "the plain U-Net", "change the input size")
        seen, features = [], images
        for level, stage in enumerate(self.down):
            features = stage(functional.max_pool2d(features, 2) if level else features)
            seen.append(features)
        for enlarge, up, beside in zip(self.enlarge, self.up, reversed(seen[:-1]), strict=True):
            features = up(torch.cat([beside, enlarge(features)], dim=1))
        return torch.tanh(self.score(features) / 2)


def _twice(before: int, after: int) -> nn.Sequential:
    layers: list[nn.Module] = []
    for channels in (before, after):
        layers += [
            nn.Conv2d(channels, after, 3, padding=1, bias=False),
            nn.BatchNorm2d(after),
            nn.ReLU(inplace=True),
        ]
    for layer in layers:
        if isinstance(layer, nn.Conv2d):
            nn.init.kaiming_normal_(layer.weight, nonlinearity="relu")
    return nn.Sequential(*layers)


def build(in_channels: int = 1, out_channels: int = 1, width: int = 64) -> PlainUnet:
    """Make the plain U-Net; see :class:`PlainUnet`."""
    return PlainUnet(in_channels, out_channels, width)
