"""The generator: published totals, dropout and batch norm."""

from typing import Any

import pytest
import torch

from mammostudy.errors import SpecError
from mammostudy.models import Generator, build_segmenter


@pytest.mark.parametrize(
    ("fields", "total"),
    [
        ({"in_channels": 3, "out_channels": 3, "shared_batch_norm": True}, 13_607_043),
        ({}, 13_607_937),
        ({"shared_batch_norm": True}, 13_603_969),
        ({"levels": 7}, 10_460_673),
        ({"width": 16, "levels": 7}, 2_617_089),
    ],
)
def test_parameter_totals(fields: dict[str, Any], total: int) -> None:
    with torch.device("meta"):  # shapes without numbers
        generator = Generator(**fields)
    assert sum(weights.numel() for weights in generator.parameters()) == total


def test_dropout_at_prediction_leaves_batch_norm_alone() -> None:
    torch.manual_seed(0)
    generator = Generator(width=4, levels=6)
    images = torch.rand(4, 1, 64, 64)
    generator.train()(images)
    generator.eval()
    before = {name: values.clone() for name, values in generator.named_buffers()}
    with torch.no_grad():
        assert torch.equal(generator(images), generator(images))
        generator.dropout_at_prediction = True
        torch.manual_seed(1)
        one, other = generator(images), generator(images)
        torch.manual_seed(1)
        assert torch.equal(generator(images), one)
    assert not torch.equal(one, other)
    for name, values in generator.named_buffers():
        assert torch.equal(values, before[name]), name


def test_what_makes_no_network_is_refused() -> None:
    for fields in ({"levels": 1}, {"levels": 10}, {"width": 0}, {"out_channels": 0}):
        with pytest.raises(SpecError, match=next(iter(fields))):
            build_segmenter("cgan", **fields)
    assert [Generator(width=2, levels=n).dropout_layers for n in (2, 4, 5, 8)] == [0, 2, 3, 3]
    with pytest.raises(SpecError, match="must be divisible by 128"):
        Generator(width=2, levels=7)(torch.rand(1, 1, 64, 64))


def test_golden_numbers() -> None:
    """Weights are set by rule, so that no generator of random numbers is in them."""
    generator = Generator(width=2, levels=4).eval()
    with torch.no_grad():
        for weights in generator.parameters():
            values = torch.arange(weights.numel(), dtype=torch.float32)
            weights.copy_((0.3 * torch.sin(values)).reshape(weights.shape))
        out = generator(torch.linspace(0, 1, 256).reshape(1, 1, 16, 16))
    numbers = [out.mean().item(), out[0, 0, 3, 4].item(), out[0, 0, 12, 9].item()]
    assert numbers == pytest.approx([-0.010395, 0.058341, 0.005447], abs=1e-5)
