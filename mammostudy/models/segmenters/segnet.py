"""SegNet: a VGG16 encoder, and its mirror image that unpools by the encoder's own positions."""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn import functional
from torchvision.ops.misc import Conv2dNormActivation

from mammostudy.models.common import Count, Segmenter, he_initialise
from mammostudy.models.encoders import Weights, vgg16_stages

_MIRROR = ((512, 512, 512), (512, 512, 256), (256, 256, 128), (128, 64), (64,))


class SegNet(Segmenter):
    """Thirteen convolutions with batch norm down, as many up.

    Where the encoder pools it keeps the position of each maximum; the decoder puts its values back
    to these positions, zeros elsewhere, and convolves. The last convolution gives the scores.

    Source: Badrinarayanan, Kendall and Cipolla 2017.
    """

    def __init__(
        self, in_channels: Count = 1, out_channels: Count = 1, weights: Weights = "none"
    ) -> None:
        super().__init__(in_channels)
        self.stages = vgg16_stages(weights, in_channels, batch_norm=True)
        ups, before = [], 512
        for widths in _MIRROR:
            layers: list[nn.Module] = []
            for width in widths:
                layers += Conv2dNormActivation(before, width, bias=True)
                before = width
            ups.append(nn.Sequential(*layers))
        self.ups = nn.ModuleList(ups)
        self.score = nn.Conv2d(before, out_channels, 3, padding=1)
        he_initialise(self.ups)

    def logits(self, images: Tensor) -> Tensor:
        """Score every pixel; training needs more than one value a channel at the deepest layer."""
        places, features = [], images
        for stage in self.stages:
            features, place = functional.max_pool2d(stage(features), 2, return_indices=True)
            places.append(place)
        for up, place in zip(self.ups, reversed(places), strict=True):
            features = up(functional.max_unpool2d(features, place, [2, 2]))
        scores: Tensor = self.score(features)
        return scores
