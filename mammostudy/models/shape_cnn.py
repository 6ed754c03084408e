"""The shape CNN: four shapes of a mass from its binary mask of 64 x 64 pixels.

Source: section on shape classification of Singh et al. (2020): 9x9 convolution of 64 filters,
5x5 of 128, both "same", each followed by max-pooling 4/4; 4x4 of 256, "valid"; dense 128; dropout
0.5; dense 4; ReLU throughout. The printed 767,684 parameters are met exactly if the convolutions
have no bias.
"""

from __future__ import annotations

import torch
from torch import nn

from mammostudy.models.mask_classifier import EMBEDDING, SIDE, MaskClassifier

VERSION = 1
"""Recipe version: raised by hand when the numbers that leave :class:`ShapeCNN` change."""
__all__ = ["EMBEDDING", "SIDE", "ShapeCNN"]


class ShapeCNN(MaskClassifier):
    """Shape classifier of masks as published: 767,684 parameters with four classes.

    Feature maps: 64 x 64 x 64, pooled to 16; 16 x 16 x 128, pooled to 4; 1 x 1 x 256 (4 divides
    64 and 16, so "same" pooling pads nothing); then 128 and ``classes`` numbers. The ReLU stands
    behind the pooling, where the same numbers take a sixteenth of the work.

    Weights are drawn by Glorot and Bengio's uniform rule with biases 0 (:meth:`initialise`), from
    torch's global generator: seed torch before. The paper names no initialisation.

    Args:
        classes: number of shapes; in the order irregular, lobular, oval, round.

    Raises:
        SpecError: fewer than two classes.
    """

    title = "shape CNN"

    def __init__(self, classes: int = 4) -> None:
        super().__init__(classes)
        self.features = nn.Sequential(
            nn.Conv2d(1, 64, 9, padding=4, bias=False),
            nn.MaxPool2d(4),
            nn.ReLU(inplace=True),
            nn.Conv2d(64, 128, 5, padding=2, bias=False),
            nn.MaxPool2d(4),
            nn.ReLU(inplace=True),
            nn.Conv2d(128, 256, 4, bias=False),
            nn.ReLU(inplace=True),
            nn.Flatten(),
            nn.Linear(256, EMBEDDING),
            nn.ReLU(inplace=True),
        )
        self.dropout = nn.Dropout(0.5)
        self.head = nn.Linear(EMBEDDING, classes)
        self.initialise()

    @torch.no_grad()
    def initialise(self) -> None:
        """Draw all weights anew, in place: Glorot uniform, biases 0."""
        for layer in self.modules():
            if isinstance(layer, nn.Conv2d | nn.Linear):
                nn.init.xavier_uniform_(layer.weight)
                if layer.bias is not None:
                    nn.init.zeros_(layer.bias)
