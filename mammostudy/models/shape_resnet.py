"""A small residual network for the shape of a mass: an alternative to the published CNN."""

from __future__ import annotations

from torch import nn
from torchvision.models.resnet import BasicBlock

from mammostudy.models.mask_classifier import EMBEDDING, MaskClassifier

VERSION = 1
"""Recipe version: raised by hand when the numbers that leave :class:`ShapeResNet` change."""
WIDTHS = (16, 32, 64)


class ShapeResNet(MaskClassifier):
    """Shape classifier of masks: 183,156 parameters with four classes, a quarter of the CNN's.

    A 3x3 convolution of stride 2 (32 x 32 x 16); two residual blocks each of 16, 32 and 64
    filters, halving to 16 and 8 pixels; mean over the plane; dense 128, dropout 0.5, dense
    ``classes``.

    Weights are drawn from torch's global generator, convolutions by He's normal rule, dense layers
    as torch draws them: seed torch before.

    Args:
        classes: number of shapes; in the order irregular, lobular, oval, round.

    Raises:
        SpecError: fewer than two classes.

    Source: He et al. 2016, the CIFAR-10 network of section 4.2 with n = 2; blocks of torchvision.
    """

    title = "shape ResNet"

    def __init__(self, classes: int = 4) -> None:
        super().__init__(classes)
        layers: list[nn.Module] = [
            nn.Conv2d(1, WIDTHS[0], 3, stride=2, padding=1, bias=False),
            nn.BatchNorm2d(WIDTHS[0]),
            nn.ReLU(inplace=True),
        ]
        before = WIDTHS[0]
        for width in WIDTHS:
            layers += [_block(before, width), BasicBlock(width, width)]
            before = width
        self.features = nn.Sequential(
            *layers,
            nn.AdaptiveAvgPool2d(1),
            nn.Flatten(),
            nn.Linear(before, EMBEDDING),
            nn.ReLU(inplace=True),
        )
        self.dropout = nn.Dropout(0.5)
        self.head = nn.Linear(EMBEDDING, classes)
        for layer in self.modules():
            if isinstance(layer, nn.Conv2d):
                nn.init.kaiming_normal_(layer.weight, mode="fan_out", nonlinearity="relu")


def _block(before: int, width: int) -> BasicBlock:
    """A residual block to ``width`` filters; where that is more than before, at half the side."""
    if before == width:
        return BasicBlock(width, width)
    shortcut = nn.Sequential(
        nn.Conv2d(before, width, 1, stride=2, bias=False), nn.BatchNorm2d(width)
    )
    return BasicBlock(before, width, stride=2, downsample=shortcut)
