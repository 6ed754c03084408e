"""Fully convolutional networks: FCN-8s on VGG16, and a head on a dilated ResNet-101."""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn import functional
from torchvision.models.segmentation.fcn import FCNHead

from mammostudy.models.common import Count, Segmenter, he_initialise, resized
from mammostudy.models.encoders import Weights, residual_trunk, vgg16_stages


class FCN8(Segmenter):
    """The network of Long et al. with skips at strides 16 and 8.

    VGG16's two dense layers become convolutions of 7x7 and 1x1 with dropout 0.5; their scores are
    upsampled by 2, added to the scores of the fourth pooling, by 2 again, added to those of the
    third, and by 8, bilinearly (the original goes on to learn it). ``dense`` is 4096 as published.

    Source: Long, Shelhamer and Darrell 2015.
    """

    def __init__(
        self,
        in_channels: Count = 1,
        out_channels: Count = 1,
        weights: Weights = "none",
        dense: Count = 4096,
    ) -> None:
        super().__init__(in_channels)
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
        he_initialise(self.dense)

    def logits(self, images: Tensor) -> Tensor:
        """Score every pixel."""
        pooled, features = [], images
        for stage in self.stages:
            features = functional.max_pool2d(stage(features), 2)
            pooled.append(features)
        levels = (pooled[2], pooled[3], self.dense(pooled[4]))
        third, fourth, last = (score(each) for score, each in zip(self.scores, levels, strict=True))
        for finer in (fourth, third):
            last = resized(last, finer.shape[2:]) + finer
        return resized(last, images.shape[2:])


class ResidualFCN(Segmenter):
    """torchvision's FCN head on ResNet-101, whose last two stages dilate instead of striding.

    Source: Long et al. 2015; He et al. 2016; torchvision ``fcn_resnet101``.
    """

    halvings = 3

    def __init__(
        self, in_channels: Count = 1, out_channels: Count = 1, weights: Weights = "none"
    ) -> None:
        super().__init__(in_channels)
        self.trunk = residual_trunk(101, weights, in_channels)
        self.head = FCNHead(2048, out_channels)

    def logits(self, images: Tensor) -> Tensor:
        """Score every pixel."""
        features = images
        for stage in self.trunk.values():
            features = stage(features)
        return resized(self.head(features), images.shape[2:])
