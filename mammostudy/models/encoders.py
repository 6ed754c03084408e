"""Published classification networks as trunks, with ImageNet weights or without, and their blocks.

A first layer trained on colours takes a grey image as if it were three equal channels: its weights
are summed over the colours, and their ranges averaged.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise
from typing import Literal, TypeVar

import torch
from torch import nn
from torchvision import models
from torchvision.models.resnet import BasicBlock
from torchvision.models.vgg import cfgs, make_layers

from mammostudy.errors import DataError
from mammostudy.models.common import he_initialise

Weights = Literal["none", "imagenet"]
Made = TypeVar("Made")
RANGES: dict[str, tuple[float, float]] = {"imagenet": (0.449, 0.226), "packaged": (0.5, 0.5)}
"""Mean and deviation of the images that published weights learnt from, by a run's ``weights``.

Those of EfficientNet-lite0 saw [-1, 1]: the variances that its first batch norm keeps say so.
"""


def fetch(make: Callable[[], Made], weights: str) -> Made:
    """Make what may have to download weights first, or say that they are not to be had."""
    try:
        return make()
    except OSError as error:
        raise DataError(
            f"weights = {weights!r}: the encoder's weights could not be downloaded ({error}); use "
            "weights = 'none', or put the file into torch's cache (TORCH_HOME) first"
        ) from error


def draw_vgg16(*, batch_norm: bool) -> nn.Sequential:
    """VGG16's convolutions and poolings by He's rule, biases 0 (Simonyan and Zisserman 2015)."""
    layers: nn.Sequential = make_layers(cfgs["D"], batch_norm)
    he_initialise(layers, "fan_out")
    for layer in layers:
        if isinstance(layer, nn.Conv2d):
            nn.init.zeros_(layer.bias)  # type: ignore[arg-type]
    return layers


def load_vgg16(layers: nn.Sequential, published: str) -> nn.Sequential:
    """Fill VGG16's convolutions with torchvision's weights of a name, downloaded on first use."""
    made = models.get_weight(published)
    state = fetch(lambda: made.get_state_dict(progress=False, check_hash=True), "imagenet")
    kept = {name: each for name, each in state.items() if name.startswith("features.")}
    layers.load_state_dict({name.removeprefix("features."): each for name, each in kept.items()})
    return layers


def vgg16_stages(weights: Weights, in_channels: int, *, batch_norm: bool) -> nn.ModuleList:
    """The convolutions of VGG16 in five stages, without the poolings between them."""
    layers = draw_vgg16(batch_norm=batch_norm)
    if weights == "imagenet":
        load_vgg16(layers, f"VGG16{'_BN' if batch_norm else ''}_Weights.IMAGENET1K_V1")
    layers[0] = _takes(layers[0], in_channels)
    ends = [-1, *(at for at, layer in enumerate(layers) if isinstance(layer, nn.MaxPool2d))]
    return nn.ModuleList(nn.Sequential(*layers[a + 1 : b]) for a, b in pairwise(ends))


def residual_trunk(depth: Literal[50, 101], weights: Weights, in_channels: int) -> nn.ModuleDict:
    """A residual network without its classifier, by stage: stem, layer1 ... layer4.

    The last two stages keep their resolution and dilate instead: the output is smaller than the
    input by 8. Source: He et al. 2016; Yu and Koltun 2016 for the dilation; torchvision.
    """
    fields = {"progress": False, "replace_stride_with_dilation": [False, True, True]}
    chosen = "IMAGENET1K_V2" if weights == "imagenet" else None
    whole = fetch(lambda: models.get_model(f"resnet{depth}", weights=chosen, **fields), weights)
    stem = nn.Sequential(_takes(whole.conv1, in_channels), whole.bn1, whole.relu)
    layer1 = nn.Sequential(whole.maxpool, whole.layer1)
    deeper = {name: getattr(whole, name) for name in ("layer2", "layer3", "layer4")}
    return nn.ModuleDict({"stem": stem, "layer1": layer1, **deeper})


@torch.no_grad()
def _takes(first: nn.Module, in_channels: int) -> nn.Conv2d:
    """A first layer for another number of channels, its weights summed over the colours."""
    assert isinstance(first, nn.Conv2d)
    if in_channels == first.in_channels:
        return first
    bias = first.bias is not None
    side, stride, padding = first.kernel_size, first.stride, first.padding
    other = nn.Conv2d(in_channels, first.out_channels, side, stride, padding, bias=bias)  # type: ignore[arg-type]
    grey = first.weight.sum(dim=1, keepdim=True) / in_channels
    other.weight.copy_(grey.expand_as(other.weight))
    if first.bias is not None and other.bias is not None:
        other.bias.copy_(first.bias)
    return other


def halving_block(before: int, after: int) -> BasicBlock:
    """A residual block of stride 2, with a 1x1 convolution beside it."""
    beside = nn.Sequential(nn.Conv2d(before, after, 1, stride=2, bias=False), nn.BatchNorm2d(after))
    return BasicBlock(before, after, stride=2, downsample=beside)
