"""An exponential moving average of a segmenter's weights, which predicts in its place."""

from __future__ import annotations

from typing import Any, Final

from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from mammostudy.training.segmentation import Losses, Supervised

VERSION: Final = 1


class Averaged(Supervised):
    """Any trainer, with the average of its generator beside it.

    After step t the average is ``d * average + (1 - d) * weights`` with
    ``d = min(decay, (1 + t) / (10 + t))``, so that a short run is not held back by where it
    started. Running statistics of batch norm are averaged alike.

    Args:
        trainer: takes the steps.
        decay: of the average, in (0, 1).

    Attributes:
        generator: the average: what is validated, saved and predicts.

    Source: Polyak and Juditsky 1992; the warm-up as in TensorFlow's ``ExponentialMovingAverage``.
    """

    def __init__(self, trainer: Supervised, decay: float) -> None:
        self.trainer = trainer
        self.decay = decay
        self.steps = 0
        self.average = AveragedModel(
            trainer.generator, multi_avg_fn=self._average, use_buffers=True
        )

    @property
    def generator(self) -> nn.Module:  # type: ignore[override]
        """The averaged network."""
        module: nn.Module = self.average.module
        return module

    def _average(self, averages: Any, weights: Any, count: Any) -> None:
        decay = min(self.decay, (1 + self.steps) / (10 + self.steps))
        get_ema_multi_avg_fn(decay)(averages, weights, count)  # type: ignore[no-untyped-call]

    def step(self, images: Tensor, masks: Tensor) -> Losses:
        """Take one step and move the average.

        Raises:
            NonFiniteLossError: as the trainer; the average has not moved then.
        """
        losses = self.trainer.step(images, masks)
        self.steps += 1
        self.average.update_parameters(self.trainer.generator)
        return losses

    def state_dict(self) -> dict[str, Any]:
        """Return everything that a resumed run needs."""
        average = {"average": self.average.state_dict(), "steps": self.steps}
        return self.trainer.state_dict() | average

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Take over the state of an interrupted run.

        Raises:
            ValueError: it is of a trainer with other parts.
        """
        if set(state) != set(self.state_dict()):
            msg = f"parts {', '.join(state)}: expected {', '.join(self.state_dict())}"
            raise ValueError(msg)
        own = self.trainer.state_dict()
        self.trainer.load_state_dict({name: state[name] for name in own})
        self.average.load_state_dict(state["average"])
        self.steps = int(state["steps"])
