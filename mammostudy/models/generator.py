"""The generator of the conditional GAN: a U-Net of stride-2 convolutions.

Source: section "Proposed method" of Singh et al. (2020): eight convolutions Cn1-Cn8 down and
eight transposed ones Dn1-Dn8 up, all 4x4 with stride 2, skips from Cn7..Cn1 to Dn1..Dn7, dropout on
Dn1-Dn3, tanh at the end. From the released code: padding 1, dropout rate 0.5, the activation
before each convolution, and (``shared_batch_norm``) one batch norm for all layers of one width.
"""

from __future__ import annotations

from typing import Annotated

import torch
import torch.nn.functional as F  # noqa: N812
from pydantic import Field
from torch import Tensor, nn

from mammostudy.models.common import Count, check_sides, initialise_weights

DROPOUT = 0.5
SLOPE = 0.2


class Generator(nn.Module):
    """U-Net whose depth follows the input: sides must be divisible by ``2**levels``.

    Filters down are width x (1, 2, 4, 8, 8, 8, 8, 8) and up the same backwards, then the output
    channels. Fewer levels (8 for 256 pixels, 7 for 128, 6 for 64) leave out the innermost ones, so
    that the bottleneck stays 1 x 1. Dropout is on the first ``min(3, levels - 2)`` layers up. Batch
    norm is after all layers but Cn1, the innermost Cn and the last Dn; as the innermost 1 x 1 layer
    has none, a batch of one image trains too.

    Args:
        in_channels: of the input.
        out_channels: of the output.
        width: filters of Cn1.
        levels: stride-2 layers down, and up: 2 to 9.
        shared_batch_norm: one batch norm for all layers of equal width, down and up, as in the
            released code (4 modules; running statistics of unlike layers are mixed), instead of
            one a layer.
        dropout_at_prediction: dropout also acts in evaluation mode (the z of the paper); batch
            norm still uses its running statistics. An attribute too.
    """

    def __init__(
        self,
        in_channels: Count = 1,
        out_channels: Count = 1,
        width: Count = 32,
        levels: Annotated[int, Field(ge=2, le=9)] = 8,
        shared_batch_norm: bool = False,
        dropout_at_prediction: bool = False,
    ) -> None:
        super().__init__()
        self.in_channels, self.levels = in_channels, levels
        self.shared_batch_norm = shared_batch_norm
        self.dropout_at_prediction = dropout_at_prediction
        self.dropout_layers = min(3, levels - 2)
        self.down, self.up, self.norms = nn.ModuleDict(), nn.ModuleDict(), nn.ModuleDict()

        filters = [width * min(2**level, 8) for level in range(levels)]
        inputs = in_channels
        for number, outputs in enumerate(filters, start=1):
            self.down[f"Cn{number}"] = nn.Conv2d(inputs, outputs, 4, stride=2, padding=1)
            if 1 < number < levels:
                self._norm(f"Cn{number}", outputs)
            inputs = outputs
        for number, outputs in enumerate([*filters[-2::-1], out_channels], start=1):
            self.up[f"Dn{number}"] = nn.ConvTranspose2d(inputs, outputs, 4, stride=2, padding=1)
            if number < levels:
                self._norm(f"Dn{number}", outputs)
            inputs = 2 * outputs  # the skip is as wide as the layer
        initialise_weights(self)

    def _norm(self, layer: str, filters: int) -> nn.Module:
        """The batch norm of a layer; made where it is first asked for."""
        key = f"width{filters}" if self.shared_batch_norm else layer
        if key not in self.norms:
            self.norms[key] = nn.BatchNorm2d(filters)
        return self.norms[key]

    def forward(self, images: Tensor) -> Tensor:
        """Segment a batch, float ``(n, in_channels, h, w)``: ``(n, out_channels, h, w)``.

        It gives t in [-1, 1], of which (t + 1) / 2 is the probability.
        """
        mend = "change the input size or `levels` (8 for 256 pixels, 7 for 128, 6 for 64)"
        check_sides(images, self.in_channels, self.levels, "the generator", mend)
        values: Tensor = self.down["Cn1"](images)
        skips = [values]
        for number in range(2, self.levels):
            name = f"Cn{number}"
            values = self.down[name](F.leaky_relu(values, SLOPE))
            values = self._norm(name, values.shape[1])(values)
            skips.append(values)
        values = self.down[f"Cn{self.levels}"](F.leaky_relu(values, SLOPE))
        for number in range(1, self.levels):
            name = f"Dn{number}"
            values = self.up[name](F.relu(values))
            values = self._norm(name, values.shape[1])(values)
            if number <= self.dropout_layers:
                active = self.training or self.dropout_at_prediction
                values = F.dropout(values, DROPOUT, training=active)
            values = torch.cat([values, skips.pop()], dim=1)
        return torch.tanh(self.up[f"Dn{self.levels}"](F.relu(values)))
