"""What the networks share: the published initialisation and the check of the input's size."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from mammostudy.errors import SpecError

VERSION = 1  # recipe version: how weights are drawn


@torch.no_grad()
def initialise_weights(module: nn.Module) -> None:
    """Draw all weights of a network anew, in place, from torch's global generator.

    Convolutions, transposed ones too: weights N(0, 0.02), bias 0. Batch norm: weight N(1, 0.02),
    bias 0. Other layers are left as they are. It takes no seed: seed torch before.
    Source: the released code of Singh et al. (2020).

    Args:
        module: the network; :class:`~mammostudy.models.Generator` and
            :class:`~mammostudy.models.Discriminator` call it when they are made.
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


def check_sides(images: Tensor, channels: int, halvings: int, network: str, mend: str) -> None:
    """Refuse a batch that a network of stride-2 levels cannot bring back to its own size.

    Args:
        images: ``(n, channels, h, w)``.
        channels: that the network was made for.
        halvings: how often it halves the sides: both must be divisible by 2 to this power.
        network: its name in the message.
        mend: what to change, in the message.

    Raises:
        SpecError: wrong number of dimensions or channels, or sides that do not divide.
    """
    if images.ndim != 4 or images.shape[1] != channels:
        msg = (
            f"{network} takes (n, {channels}, h, w), not {tuple(images.shape)}: "
            "check in_channels of the model"
        )
        raise SpecError(msg)
    height, width = images.shape[2:]
    factor = 2**halvings
    if height % factor or width % factor or not height or not width:
        msg = (
            f"{network} halves its input {halvings} times: an input of {height} x {width} pixels "
            f"must be divisible by {factor}; {mend}"
        )
        raise SpecError(msg)
