"""The generator: published totals, widths, skips, dropout and batch norm."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from mammostudy.errors import SpecError
from mammostudy.models import Generator


def count(module: nn.Module) -> int:
    return sum(weights.numel() for weights in module.parameters())


@pytest.mark.parametrize(
    ("fields", "total"),
    [
        ({"in_channels": 3, "out_channels": 3, "shared_batch_norm": True}, 13_607_043),
        ({}, 13_607_937),
        ({"shared_batch_norm": True}, 13_603_969),
        ({"levels": 7}, 10_460_673),
        ({"levels": 6}, 7_313_409),
        ({"width": 16, "levels": 7}, 2_617_089),
    ],
)
def test_parameter_totals(fields: dict, total: int) -> None:
    assert count(Generator(**fields)) == total


@pytest.mark.parametrize(("levels", "expected"), [(8, 3), (7, 3), (6, 3), (5, 3), (4, 2), (2, 0)])
def test_dropout_is_on_the_first_layers_up(
    levels: int, expected: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen = []

    def watch(values: torch.Tensor, rate: float, training: bool) -> torch.Tensor:
        seen.append((values.shape[-1], rate, training))
        return values

    monkeypatch.setattr("mammostudy.models.generator.F.dropout", watch)
    generator = Generator(width=2, levels=levels)
    images = torch.rand(2, 1, 2**levels, 2**levels)
    generator(images)
    assert seen == [(2 ** (layer + 1), 0.5, True) for layer in range(expected)]


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


def test_the_published_initialisation() -> None:
    torch.manual_seed(0)
    generator = Generator()
    for layer in [*generator.down.values(), *generator.up.values()]:
        assert layer.bias.abs().max() == 0
        if layer.weight.numel() > 10_000:
            assert layer.weight.std().item() == pytest.approx(0.02, rel=0.05)
            assert abs(layer.weight.mean().item()) < 1e-3
    for norm in generator.norms.values():
        assert norm.weight.mean().item() == pytest.approx(1, abs=0.02)
        assert norm.weight.std().item() == pytest.approx(0.02, rel=0.5)
        assert norm.bias.abs().max() == 0


def test_a_size_that_does_not_divide_names_the_fix(monkeypatch: pytest.MonkeyPatch) -> None:
    for fields in ({"levels": 1}, {"levels": 10}, {"width": 0}, {"out_channels": 0}):
        with pytest.raises(SpecError, match="must be"):
            Generator(**fields)
    generator = Generator(width=2, levels=7)
    with pytest.raises(SpecError, match=r"64 x 64 pixels must be divisible by 128; change the inp"):
        generator(torch.rand(1, 1, 64, 64))
    monkeypatch.setattr("mammostudy.models.generator.check_sides", lambda *_: None)
    with pytest.raises((RuntimeError, ValueError)):  # control: torch's own words
        generator(torch.rand(1, 1, 64, 64))


def test_numbers_move_only_with_the_recipe_version() -> None:
    """Golden: weights set by rule, so that no generator of random numbers is in it."""
    generator = Generator(width=2, levels=4).eval()
    with torch.no_grad():
        for weights in generator.parameters():
            values = torch.arange(weights.numel(), dtype=torch.float32)
            weights.copy_((0.3 * torch.sin(values)).reshape(weights.shape))
        out = generator(torch.linspace(0, 1, 256).reshape(1, 1, 16, 16))
    numbers = [out.mean().item(), out[0, 0, 3, 4].item(), out[0, 0, 12, 9].item()]
    assert numbers == pytest.approx(GOLDEN, abs=1e-5)


GOLDEN = [-0.010395, 0.058341, 0.005447]
