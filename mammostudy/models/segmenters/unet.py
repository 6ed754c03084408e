"""A U-Net with a residual encoder, from scratch. Source: segmentation-models-pytorch."""

from __future__ import annotations

from torch import Tensor, nn

from mammostudy.errors import SpecError
from mammostudy.models.common import check_sides

VERSION = 1
"""Recipe version: raised by hand when the numbers that leave :class:`EncoderUnet` change."""
_HALVINGS = 5


class EncoderUnet(nn.Module):
    """The library's U-Net with tanh at the end; nothing is downloaded, all weights are random.

    Args:
        in_channels: of the input.
        out_channels: of the output.
        encoder: the library's name of the encoder; ``tu-<name>`` takes one of timm's.

    Raises:
        SpecError: unknown encoder, or a number of channels below 1.
    """

    def __init__(
        self, in_channels: int = 1, out_channels: int = 1, encoder: str = "resnet18"
    ) -> None:
        super().__init__()
        # Here, not above: the library takes some seconds to import.
        from segmentation_models_pytorch import Unet
        from segmentation_models_pytorch.encoders import get_encoder_names

        if min(in_channels, out_channels) < 1:
            msg = "in_channels and out_channels of the U-Net must be 1 or more"
            raise SpecError(msg)
        if encoder not in get_encoder_names() and not _of_timm(encoder):
            msg = f"encoder {encoder!r} is unknown to segmentation-models-pytorch"
            raise SpecError(msg)
        self.in_channels = in_channels
        self.network: nn.Module = Unet(
            encoder_name=encoder,
            encoder_weights=None,
            in_channels=in_channels,
            classes=out_channels,
            activation="tanh",
        )

    def forward(self, images: Tensor) -> Tensor:
        """Segment a batch.

        Args:
            images: float ``(n, in_channels, h, w)``, h and w divisible by 32. In training mode
                batch norm needs two values a channel at its deepest layer: a batch of two, or
                sides above 32.

        Returns:
            ``(n, out_channels, h, w)`` in [-1, 1].

        Raises:
            SpecError: the input does not fit the network.
        """
        check_sides(images, self.in_channels, _HALVINGS, "the U-Net", "change the input size")
        if self.training and len(images) * images.shape[2] * images.shape[3] == 4**_HALVINGS:
            msg = "one image of 32 x 32 pixels cannot train the U-Net: use two, or larger ones"
            raise SpecError(msg)
        result: Tensor = self.network(images)
        return result


def _of_timm(encoder: str) -> bool:
    from timm import list_models

    return encoder.startswith("tu-") and encoder.removeprefix("tu-") in list_models()


def build(in_channels: int = 1, out_channels: int = 1, encoder: str = "resnet18") -> EncoderUnet:
    """Make the U-Net; see :class:`EncoderUnet`."""
    return EncoderUnet(in_channels, out_channels, encoder)
