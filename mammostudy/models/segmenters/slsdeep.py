"""SLSDeep: a dilated residual encoder, pyramid pooling, and a decoder with one skip."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from mammostudy.models.common import check_sides
from mammostudy.models.segmenters.trunks import Weights, check_channels, residual_trunk

VERSION = 1
"""Recipe version: raised by hand when the numbers that leave :class:`SlsDeep` change."""
BINS = (1, 2, 3, 6)
_HALVINGS = 3
_DEEP, _EARLY = 2048, 64


class PyramidPooling(nn.Module):
    """What an image shows as a whole, in halves, thirds and sixths, beside each place of it.

    Args:
        channels: of the input; each bin adds a quarter as many.
        bins: into how many parts each side is averaged.

    Source: Zhao et al. 2017 (PSPNet).
    """

    def __init__(self, channels: int, bins: tuple[int, ...] = BINS) -> None:
        super().__init__()
        self.bins = bins
        each = channels // len(bins)
        self.squeeze = nn.ModuleList(nn.Conv2d(channels, each, 1) for _ in bins)
        self.out_channels = channels + each * len(bins)

    def pooled(self, features: Tensor) -> list[Tensor]:
        """The means of the parts, ``(n, channels, bin, bin)`` for each bin."""
        return [functional.adaptive_avg_pool2d(features, side) for side in self.bins]

    def forward(self, features: Tensor) -> Tensor:
        """Return ``(n, out_channels, h, w)``: the features and each bin's own, brought to size."""
        beside = [
            functional.interpolate(
                functional.relu(squeeze(means)),
                features.shape[-2:],
                mode="bilinear",
                align_corners=False,
            )
            for squeeze, means in zip(self.squeeze, self.pooled(features), strict=True)
        ]
        return torch.cat([features, *beside], dim=1)


class SlsDeep(nn.Module):
    """ResNet-50 with dilation, pyramid pooling, and the stem's features joined at half size.

    Its loss is the negative log likelihood and the end-point error of the outline
    (:func:`mammostudy.training.losses.nll_epe_loss`).

    Args:
        in_channels: of the input.
        out_channels: of the output.
        weights: of the encoder.

    Raises:
        SpecError: a number of channels below 1.
        DataError: weights that cannot be downloaded.

    Source: Sarker et al. 2018 (SLSDeep), whose encoder is of this kind; its depth is not told in
        the sources at hand.
    """

    def __init__(self, in_channels: int, out_channels: int, weights: Weights) -> None:
        super().__init__()
        check_channels(in_channels, out_channels, "SLSDeep")
        self.in_channels = in_channels
        self.trunk = residual_trunk(50, weights, in_channels, dilated=2)
        self.pyramid = PyramidPooling(_DEEP)
        self.narrow = _step(self.pyramid.out_channels, 256)
        self.join = _step(256 + _EARLY, 64)
        self.score = nn.Conv2d(64, out_channels, 1)

    def forward(self, images: Tensor) -> Tensor:
        """Segment a batch.

        Args:
            images: float ``(n, in_channels, h, w)``, h and w divisible by 8.

        Returns:
            ``(n, out_channels, h, w)`` in [-1, 1].

        Raises:
            SpecError: the input does not fit the network.
        """
        check_sides(images, self.in_channels, _HALVINGS, "SLSDeep", "change the input size")
        early = self.trunk["stem"](images)
        features = early
        for name in ("layer1", "layer2", "layer3", "layer4"):
            features = self.trunk[name](features)
        features = self.narrow(self.pyramid(features))
        features = functional.interpolate(
            features, early.shape[-2:], mode="bilinear", align_corners=False
        )
        scores = functional.interpolate(
            self.score(self.join(torch.cat([features, early], dim=1))),
            images.shape[-2:],
            mode="bilinear",
            align_corners=False,
        )
        return torch.tanh(scores / 2)


def _step(before: int, after: int) -> nn.Sequential:
    convolution = nn.Conv2d(before, after, 3, padding=1, bias=False)
    nn.init.kaiming_normal_(convolution.weight, nonlinearity="relu")
    return nn.Sequential(convolution, nn.BatchNorm2d(after), nn.ReLU(inplace=True))


def build(in_channels: int = 1, out_channels: int = 1, weights: Weights = "none") -> SlsDeep:
    """Make the network; see :class:`SlsDeep`."""
    return SlsDeep(in_channels, out_channels, weights)
