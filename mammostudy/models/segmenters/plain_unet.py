"""The U-Net as first published, with padding and batch norm, from scratch."""

from __future__ import annotations

import itertools

import torch
from torch import Tensor, nn
from torch.nn import functional
from torchvision.ops.misc import Conv2dNormActivation

from mammostudy.models.common import Count, Segmenter, he_initialise


class PlainUnet(Segmenter):
    """Four poolings down, four transposed convolutions up, two convolutions at each level.

    Convolutions are padded (the original lost a rim) and followed by batch norm. The first level
    has ``width`` filters, 64 as published; each one more has twice as many.

    Source: Ronneberger, Fischer and Brox 2015.
    """

    halvings = 4

    def __init__(self, in_channels: Count = 1, out_channels: Count = 1, width: Count = 64) -> None:
        super().__init__(in_channels)
        widths = [width * 2**level for level in range(self.halvings + 1)]
        self.down = nn.ModuleList(
            _twice(before, after)
            for before, after in zip([in_channels, *widths], widths, strict=False)
        )
        self.enlarge = nn.ModuleList(
            nn.ConvTranspose2d(2 * after, after, 2, stride=2) for after in reversed(widths[:-1])
        )
        self.up = nn.ModuleList(_twice(2 * after, after) for after in reversed(widths[:-1]))
        self.score = nn.Conv2d(width, out_channels, 1)

    def logits(self, images: Tensor) -> Tensor:
        """Score every pixel."""
        seen, features = [], images
        for level, stage in enumerate(self.down):
            features = stage(functional.max_pool2d(features, 2) if level else features)
            seen.append(features)
        for enlarge, up, beside in zip(self.enlarge, self.up, reversed(seen[:-1]), strict=True):
            features = up(torch.cat([beside, enlarge(features)], dim=1))
        scores: Tensor = self.score(features)
        return scores


def _twice(before: int, after: int) -> nn.Sequential:
    steps = Conv2dNormActivation(before, after), Conv2dNormActivation(after, after)
    twice = nn.Sequential(*itertools.chain(*steps))
    he_initialise(twice)
    return twice
