"""Networks that read the shape of a mass from its binary mask of 64 x 64 pixels."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import cast

from torch import Tensor, nn
from torchvision.models.resnet import BasicBlock

from mammostudy.errors import SpecError
from mammostudy.models.common import he_initialise
from mammostudy.models.encoders import halving_block

SIDE = 64
EMBEDDING = 128
WIDTHS = (16, 32, 64)


class MaskClassifier(nn.Module):
    """Features (:data:`EMBEDDING` numbers), dropout 0.5 and a dense layer to the classes."""

    def __init__(self, classes: int, layers: Iterable[nn.Module]) -> None:
        super().__init__()
        self.features = nn.Sequential(*layers, nn.ReLU(inplace=True))
        self.dropout = nn.Dropout(0.5)
        self.head = nn.Linear(EMBEDDING, classes)

    def embed(self, masks: Tensor) -> Tensor:
        """What the last hidden layer makes of masks, before the dropout: float ``(n, 128)``."""
        if masks.ndim != 4 or tuple(masks.shape[1:]) != (1, SIDE, SIDE):
            raise SpecError(
                f"{type(self).__name__} takes (n, 1, {SIDE}, {SIDE}), not {tuple(masks.shape)}: "
                "bring masks to that size with mammostudy.imaging.shape_masks.place_mask"
            )
        return cast(Tensor, self.features(masks))

    def forward(self, masks: Tensor) -> Tensor:
        """Score masks, float ``(n, 1, 64, 64)`` of 0 and 1: logits ``(n, classes)``, no softmax."""
        return cast(Tensor, self.head(self.dropout(self.embed(masks))))


class ShapeCNN(MaskClassifier):
    """Shape classifier of masks as published: 767,684 parameters with four classes.

    9x9 convolution of 64 filters, 5x5 of 128, both "same", each followed by max-pooling 4/4; 4x4
    of 256, "valid"; dense 128; dropout 0.5; dense ``classes``; ReLU throughout. The printed number
    of parameters is met exactly if the convolutions have no bias. The ReLU stands behind the
    pooling, where the same numbers take a sixteenth of the work.

    The paper names no initialisation: weights are drawn by Glorot and Bengio's uniform rule, biases
    are 0. Classes are in the order irregular, lobular, oval, round.

    Source: section on shape classification of Singh et al. (2020).
    """

    def __init__(self, classes: int = 4) -> None:
        super().__init__(classes, self._layers())
        for layer in self.modules():
            if isinstance(layer, nn.Conv2d | nn.Linear):
                nn.init.xavier_uniform_(layer.weight)
                if layer.bias is not None:
                    nn.init.zeros_(layer.bias)

    def _layers(self) -> Iterator[nn.Module]:
        for inputs, outputs, side in ((1, 64, 9), (64, 128, 5)):
            yield nn.Conv2d(inputs, outputs, side, padding=side // 2, bias=False)
            yield nn.MaxPool2d(4)
            yield nn.ReLU(inplace=True)
        yield nn.Conv2d(128, 256, 4, bias=False)
        yield nn.ReLU(inplace=True)
        yield nn.Flatten()
        yield nn.Linear(256, EMBEDDING)


class ShapeResNet(MaskClassifier):
    """Shape classifier of masks: 183,156 parameters with four classes, a quarter of the CNN's.

    A 3x3 convolution of stride 2 (32 x 32 x 16); two residual blocks each of 16, 32 and 64
    filters, halving to 16 and 8 pixels; mean over the plane; dense 128, dropout 0.5, dense
    ``classes``. Convolutions are drawn by He's normal rule, dense layers as torch draws them.

    Source: He et al. 2016, the CIFAR-10 network of section 4.2 with n = 2; blocks of torchvision.
    """

    def __init__(self, classes: int = 4) -> None:
        super().__init__(classes, self._layers())
        he_initialise(self, "fan_out")

    def _layers(self) -> Iterator[nn.Module]:
        before = WIDTHS[0]
        yield nn.Conv2d(1, before, 3, stride=2, padding=1, bias=False)
        yield nn.BatchNorm2d(before)
        yield nn.ReLU(inplace=True)
        for width in WIDTHS:
            yield BasicBlock(width, width) if before == width else halving_block(before, width)
            yield BasicBlock(width, width)
            before = width
        yield nn.AdaptiveAvgPool2d(1)
        yield nn.Flatten()
        yield nn.Linear(before, EMBEDDING)
