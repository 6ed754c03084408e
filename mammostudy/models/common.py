"""What the networks share: the published initialisation, the input's size, tanh at the end."""

from __future__ import annotations

from typing import Annotated, Any, ClassVar

import torch
from pydantic import Field
from torch import Tensor, nn
from torch.nn import functional
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from mammostudy.errors import SpecError

Count = Annotated[int, Field(ge=1)]


@torch.no_grad()
def initialise_weights(module: nn.Module) -> None:
    """Draw all weights of a network anew, in place, from torch's global generator.

    Convolutions, transposed ones too: weights N(0, 0.02), bias 0. Batch norm: weight N(1, 0.02),
    bias 0. Source: the released code of Singh et al. (2020).
    """
    for layer in module.modules():
        if isinstance(layer, nn.Conv2d | nn.ConvTranspose2d):
            nn.init.normal_(layer.weight, 0.0, 0.02)
        elif isinstance(layer, nn.BatchNorm2d):
            nn.init.normal_(layer.weight, 1.0, 0.02)
        else:
            continue
        if layer.bias is not None:
            nn.init.zeros_(layer.bias)


def he_initialise(module: nn.Module, mode: str = "fan_in") -> None:
    """Draw the convolutions of a network anew by He's normal rule for ReLU; biases stay."""
    for layer in module.modules():
        if isinstance(layer, nn.Conv2d):
            nn.init.kaiming_normal_(layer.weight, mode=mode, nonlinearity="relu")  # type: ignore[arg-type]


def check_sides(
    images: Tensor, channels: int, halvings: int, network: str, mend: str = "change the input size"
) -> None:
    """Refuse a batch that a network of stride-2 levels cannot bring back to its own size."""
    if images.ndim != 4 or images.shape[1] != channels:
        raise SpecError(
            f"{network} takes (n, {channels}, h, w), not {tuple(images.shape)}: "
            "check in_channels of the model"
        )
    height, width = images.shape[2:]
    factor = 2**halvings
    if height % factor or width % factor or not height or not width:
        raise SpecError(
            f"{network} halves its input {halvings} times: an input of {height} x {width} pixels "
            f"must be divisible by {factor}; {mend}"
        )


class Segmenter(nn.Module):
    """A network of grey values to a score a pixel, and from that to [-1, 1] by ``tanh(x / 2)``."""

    halvings: ClassVar[int] = 5  # of the input's sides
    range: tuple[float, float] | None = None  # mean and deviation of what the encoder learnt from

    def __init__(self, in_channels: int) -> None:
        super().__init__()
        self.in_channels = in_channels

    def logits(self, images: Tensor) -> Tensor:
        """Score every pixel, ``(n, out_channels, h, w)``."""
        raise NotImplementedError

    def forward(self, images: Tensor) -> Tensor:
        """Segment a batch, float ``(n, in_channels, h, w)``: ``(n, out_channels, h, w)``."""
        check_sides(images, self.in_channels, self.halvings, type(self).__name__)
        return torch.tanh(self.logits(self.ranged(images)) / 2)

    def ranged(self, images: Tensor) -> Tensor:
        """Bring images in [0, 1] to the :attr:`range` of pretrained weights, where one is set."""
        return images if self.range is None else (images - self.range[0]) / self.range[1]


def resized(values: Tensor, sides: tuple[int, ...]) -> Tensor:
    """Bring planes ``(n, c, h, w)`` to other sides, bilinearly."""
    return functional.interpolate(values, sides, mode="bilinear", align_corners=False)


def weight_average(network: nn.Module, decay: float) -> AveragedModel:
    """A moving average of a network's weights, that its ``update_parameters`` moves.

    After step t it is ``d * average + (1 - d) * weights``, ``d = min(decay, (1 + t) / (10 + t))``,
    so that a short run is not held back by where it started (TensorFlow's warm-up).
    """

    def average(averages: Any, weights: Any, before: Any) -> None:
        step = int(before) + 1
        update: Any = get_ema_multi_avg_fn(min(decay, (1 + step) / (10 + step)))  # type: ignore[no-untyped-call]
        update(averages, weights, before)

    return AveragedModel(network, multi_avg_fn=average, use_buffers=True)
