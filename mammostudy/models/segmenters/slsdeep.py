"""SLSDeep: a dilated residual encoder, pyramid pooling, and a decoder with one skip."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional
from torchvision.ops.misc import Conv2dNormActivation

from mammostudy.models.common import Count, Segmenter, he_initialise, resized
from mammostudy.models.encoders import Weights, residual_trunk

BINS = (1, 2, 3, 6)
_DEEP, _EARLY = 2048, 64


class PyramidPooling(nn.Module):
    """What an image shows as a whole, in halves, thirds and sixths, beside each place of it.

    Each of the :data:`BINS` adds a quarter of the channels. Source: Zhao et al. 2017 (PSPNet).
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        each = channels // len(BINS)
        self.squeeze = nn.ModuleList(nn.Conv2d(channels, each, 1) for _ in BINS)
        self.out_channels = channels + each * len(BINS)

    def forward(self, features: Tensor) -> Tensor:
        """Return ``(n, out_channels, h, w)``: the features and each bin's own, brought to size."""
        beside = [
            functional.relu(squeeze(functional.adaptive_avg_pool2d(features, side)))
            for squeeze, side in zip(self.squeeze, BINS, strict=True)
        ]
        return torch.cat([features, *(resized(x, features.shape[2:]) for x in beside)], dim=1)


class SlsDeep(Segmenter):
    """ResNet-50 with dilation, pyramid pooling, and the stem's features joined at half size.

    Its loss is the negative log likelihood and the end-point error of the outline
    (:func:`mammostudy.training.losses.nll_epe_loss`).

    Source: Sarker et al. 2018 (SLSDeep); the depth of its encoder is not told.
    """

    halvings = 3

    def __init__(
        self, in_channels: Count = 1, out_channels: Count = 1, weights: Weights = "none"
    ) -> None:
        super().__init__(in_channels)
        self.trunk = residual_trunk(50, weights, in_channels)
        self.pyramid = PyramidPooling(_DEEP)
        self.narrow = _step(self.pyramid.out_channels, 256)
        self.join = _step(256 + _EARLY, 64)
        self.score = nn.Conv2d(64, out_channels, 1)

    def logits(self, images: Tensor) -> Tensor:
        """Score every pixel."""
        early = features = self.trunk["stem"](images)
        for name in ("layer1", "layer2", "layer3", "layer4"):
            features = self.trunk[name](features)
        features = resized(self.narrow(self.pyramid(features)), early.shape[2:])
        scores = self.score(self.join(torch.cat([features, early], dim=1)))
        return resized(scores, images.shape[2:])


def _step(before: int, after: int) -> nn.Sequential:
    step: nn.Sequential = Conv2dNormActivation(before, after)
    he_initialise(step)
    return step
