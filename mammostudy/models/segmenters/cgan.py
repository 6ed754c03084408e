"""The paper's generator as a segmenter, with an adversary or without: that is the trainer's."""

from __future__ import annotations

from mammostudy.models.generator import VERSION, Generator

__all__ = ["VERSION", "build"]


def build(
    in_channels: int = 1,
    out_channels: int = 1,
    width: int = 32,
    levels: int = 8,
    shared_batch_norm: bool = False,
    dropout_at_prediction: bool = False,
) -> Generator:
    """Make the generator.

    Args:
        in_channels: of the input.
        out_channels: of the output.
        width: filters of the first layer.
        levels: stride-2 levels; the input's sides must be divisible by ``2**levels``.
        shared_batch_norm: one batch norm for all layers of one width (released code).
        dropout_at_prediction: keep the dropout of Dn1-Dn3 in evaluation mode (paper).

    Returns:
        The generator with the published initialisation.

    Raises:
        SpecError: numbers that make no network.
    """
    generator = Generator(in_channels, out_channels, width, levels, shared_batch_norm)
    generator.dropout_at_prediction = dropout_at_prediction
    return generator
