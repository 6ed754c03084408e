"""The moving average of the weights: by hand, resumed, and where a loss is not finite."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import torch
from torch import Tensor, nn

from mammostudy.training.loop import NonFiniteLossError
from mammostudy.training.segmentation import Averaged, Supervised


class Scale(nn.Module):
    """One weight, and what its tanh makes of an image."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.tensor(1.0))

    def forward(self, images: Tensor) -> Tensor:
        return torch.tanh(self.weight * images)


def trainer(decay: float = 0.5) -> Averaged:
    def descent(parameters: Iterator[nn.Parameter]) -> torch.optim.Optimizer:
        return torch.optim.SGD(parameters, lr=1.0)

    inner = Supervised(Scale(), overlap="l1", overlap_weight=1.0, optimiser=descent)
    return Averaged(inner, decay)


def batch() -> tuple[Tensor, Tensor]:
    return torch.full((1, 1, 2, 2), 0.5), torch.ones(1, 1, 2, 2)


def weights(made: Averaged) -> tuple[float, float]:
    return tuple(float(net.weight.detach()) for net in (made.trainer.generator, made.generator))  # type: ignore[return-value, arg-type]


def test_the_average_is_that_of_the_formula() -> None:
    made = trainer(decay=0.5)
    expected = None
    for t in range(1, 8):
        made.step(*batch())
        now, average = weights(made)
        decay = min(0.5, (1 + t) / (10 + t))
        expected = now if expected is None else decay * expected + (1 - decay) * now
        assert average == pytest.approx(expected, rel=1e-6)
    assert average != pytest.approx(now)


def test_the_steps_are_those_of_the_trainer() -> None:
    made, plain = trainer(), trainer().trainer
    for _ in range(3):
        assert made.step(*batch()) == plain.step(*batch())
    assert weights(made)[0] == float(plain.generator.weight)


def test_a_resumed_average_goes_on_as_if_never_stopped() -> None:
    whole, first, second = trainer(), trainer(), trainer()
    for made in (whole, first):
        for _ in range(3):
            made.step(*batch())
    second.load_state_dict(first.state_dict())
    for made in (whole, second):
        for _ in range(2):
            made.step(*batch())
    assert weights(second) == weights(whole)


def test_nothing_moves_where_the_loss_is_not_finite() -> None:
    made = trainer()
    made.step(*batch())
    before = weights(made)
    with pytest.raises(NonFiniteLossError):
        made.step(torch.full((1, 1, 2, 2), torch.nan), batch()[1])
    assert weights(made) == before
