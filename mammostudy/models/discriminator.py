"""The discriminator of the conditional GAN: one score for each 70 x 70 patch.

Source: section "Proposed method" of Singh et al. (2020): five 4x4 convolutions with strides
2, 2, 2, 1, 1, batch norm after Cn2-Cn4, leaky ReLU 0.2 after all but the last, sigmoid.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from mammostudy.models.common import initialise_weights


class Discriminator(nn.Module):
    """Patch discriminator of width x (1, 2, 4, 8) filters and one score.

    It sees image and mask together, ``in_channels``; ``width`` is the filters of Cn1.
    """

    def __init__(self, in_channels: int = 2, width: int = 32) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        inputs = in_channels
        for number, stride in enumerate((2, 2, 2, 1)):
            outputs = width * 2**number
            layers.append(nn.Conv2d(inputs, outputs, 4, stride=stride, padding=1))
            if number > 0:
                layers.append(nn.BatchNorm2d(outputs))
            layers.append(nn.LeakyReLU(0.2, inplace=True))
            inputs = outputs
        layers.append(nn.Conv2d(inputs, 1, 4, stride=1, padding=1))
        self.layers = nn.Sequential(*layers)
        initialise_weights(self)

    def forward(self, pairs: Tensor) -> Tensor:
        """Score how real each patch looks of image and mask, float ``(n, in_channels, h, w)``.

        It gives ``(n, 1, h/8 - 2, w/8 - 2)`` in [0, 1]: 30 x 30 scores of 256 x 256 pixels.
        """
        return torch.sigmoid(self.layers(pairs))
