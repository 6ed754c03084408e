"""Published classification networks as encoders, for grey input, with ImageNet weights or without.

A first layer trained on colours takes a grey image as if it were three equal channels: its weights
are summed over the colours.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal, TypeVar

import torch
from torch import nn
from torchvision.models import (
    ResNet50_Weights,
    ResNet101_Weights,
    VGG16_BN_Weights,
    VGG16_Weights,
    resnet50,
    resnet101,
)
from torchvision.models.vgg import cfgs, make_layers

from mammostudy.errors import DataError, SpecError

VERSION = 1
"""Recipe version: raised by hand when the same seed and weights give another trunk."""
Weights = Literal["none", "imagenet"]
Made = TypeVar("Made")
STAGES = 5  # of VGG16, each ending in a pooling that halves the sides


def check_channels(in_channels: int, out_channels: int, network: str) -> None:
    """Refuse numbers of channels that make no network.

    Raises:
        SpecError: one is below 1.
    """
    if min(in_channels, out_channels) < 1:
        msg = f"in_channels and out_channels of {network} must be 1 or more"
        raise SpecError(msg)


def fetch(make: Callable[[], Made], weights: Weights) -> Made:
    """Make what may have to download weights first.

    Raises:
        DataError: they are neither in torch's cache nor to be had.
    """
    try:
        return make()
    except OSError as error:
        msg = (
            f"weights = {weights!r}: the encoder's weights could not be downloaded ({error}); use "
            "weights = 'none', or put the file into torch's cache (TORCH_HOME) first"
        )
        raise DataError(msg) from error


@torch.no_grad()
def _takes(first: nn.Conv2d, in_channels: int) -> nn.Conv2d:
    """A first layer for another number of channels, its weights summed over the colours."""
    if in_channels == first.in_channels:
        return first
    other = nn.Conv2d(
        in_channels,
        first.out_channels,
        first.kernel_size,  # type: ignore[arg-type]
        first.stride,  # type: ignore[arg-type]
        first.padding,  # type: ignore[arg-type]
        bias=first.bias is not None,
    )
    grey = first.weight.sum(dim=1, keepdim=True) / in_channels
    other.weight.copy_(grey.expand_as(other.weight))
    if first.bias is not None and other.bias is not None:
        other.bias.copy_(first.bias)
    return other


def vgg16_stages(weights: Weights, in_channels: int, *, batch_norm: bool) -> nn.ModuleList:
    """The convolutions of VGG16 in five stages, without the poolings between them.

    Args:
        weights: ``imagenet`` downloads them on first use.
        in_channels: of the input.
        batch_norm: the variant with batch norm.

    Raises:
        DataError: weights that cannot be downloaded.

    Source: Simonyan and Zisserman 2015; torchvision.
    """
    features = make_layers(cfgs["D"], batch_norm)
    for layer in features.modules():
        if isinstance(layer, nn.Conv2d):
            nn.init.kaiming_normal_(layer.weight, mode="fan_out", nonlinearity="relu")
            nn.init.zeros_(layer.bias)  # type: ignore[arg-type]
    if weights == "imagenet":
        published = VGG16_BN_Weights.IMAGENET1K_V1 if batch_norm else VGG16_Weights.IMAGENET1K_V1
        state = fetch(lambda: published.get_state_dict(progress=False, check_hash=True), weights)
        start = "features."
        kept = {name: each for name, each in state.items() if name.startswith(start)}
        features.load_state_dict({name.removeprefix(start): each for name, each in kept.items()})
    layers = list(features)
    layers[0] = _takes(layers[0], in_channels)
    stages: list[nn.Module] = []
    run: list[nn.Module] = []
    for layer in layers:
        if isinstance(layer, nn.MaxPool2d):
            stages.append(nn.Sequential(*run))
            run = []
        else:
            run.append(layer)
    return nn.ModuleList(stages)


def residual_trunk(
    depth: Literal[50, 101], weights: Weights, in_channels: int, *, dilated: int
) -> nn.ModuleDict:
    """A residual network without its classifier, by stage: stem, layer1 ... layer4.

    Args:
        depth: layers.
        weights: ``imagenet`` downloads them on first use.
        in_channels: of the input.
        dilated: how many of the last stages keep their resolution and dilate instead (0 to 2):
            the output is smaller than the input by 32, 16 or 8.

    Raises:
        DataError: weights that cannot be downloaded.

    Source: He et al. 2016; Yu and Koltun 2016 for the dilation; torchvision.
    """
    build = resnet50 if depth == 50 else resnet101
    published = ResNet50_Weights if depth == 50 else ResNet101_Weights
    chosen = published.IMAGENET1K_V2 if weights == "imagenet" else None
    keep = [False, dilated > 1, dilated > 0]
    whole = fetch(
        lambda: build(weights=chosen, progress=False, replace_stride_with_dilation=keep), weights
    )
    stem = nn.Sequential(_takes(whole.conv1, in_channels), whole.bn1, whole.relu)
    return nn.ModuleDict(
        {
            "stem": stem,
            "layer1": nn.Sequential(whole.maxpool, whole.layer1),
            "layer2": whole.layer2,
            "layer3": whole.layer3,
            "layer4": whole.layer4,
        }
    )
