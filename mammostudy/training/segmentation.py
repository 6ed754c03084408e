"""One training step of a segmenter, with and without an adversary (paper, section 2)."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, Final

import torch
from torch import Tensor, nn

from mammostudy.training.losses import fake_loss, overlap_loss, real_loss

VERSION: Final = 1
Losses = dict[str, float]


class NonFiniteLossError(Exception):
    """A loss that is not a number or infinite; its parts say which."""

    def __init__(self, parts: Losses) -> None:
        """Keep the parts of the loss by name."""
        super().__init__(", ".join(f"{name} {value:g}" for name, value in parts.items()))
        self.parts = parts


def _floats(parts: dict[str, Tensor]) -> Losses:
    """Read the parts of a loss; stop where one is not finite, before any weight moves."""
    values = {name: float(part.detach()) for name, part in parts.items()}
    if not all(torch.isfinite(torch.tensor(list(values.values())))):
        raise NonFiniteLossError(values)
    return values


class Supervised:
    """Minimise ``weight * overlap(G(x), y)``.

    Args:
        generator: module of ``(n, c, s, s)`` images to a tanh output of the same size.
        overlap: name of the overlap loss (see :func:`mammostudy.training.losses.overlap_loss`).
        overlap_weight: the paper's lambda.
        optimiser: makes an optimiser of parameters.
    """

    def __init__(
        self,
        generator: nn.Module,
        *,
        overlap: str,
        overlap_weight: float,
        optimiser: Callable[[Iterator[nn.Parameter]], torch.optim.Optimizer],
    ) -> None:
        self.generator = generator
        self.overlap = overlap_loss(overlap)
        self.overlap_weight = overlap_weight
        self.generator_optimiser = optimiser(generator.parameters())

    def step(self, images: Tensor, masks: Tensor) -> Losses:
        """Take one step on a batch.

        Args:
            images: ``(n, c, s, s)`` in the range the model was made for.
            masks: ``(n, c, s, s)`` of 0 and 1.

        Returns:
            The parts of the loss.

        Raises:
            NonFiniteLossError: with its parts; no weight has moved.
        """
        self.generator.train()
        overlap = self.overlap(self.generator(images), masks)
        parts = _floats({"overlap": overlap})
        self._descend(self.generator_optimiser, self.overlap_weight * overlap)
        return parts

    @staticmethod
    def _descend(optimiser: torch.optim.Optimizer, loss: Tensor) -> None:
        optimiser.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        optimiser.step()

    def state_dict(self) -> dict[str, Any]:
        """Return everything that a resumed run needs."""
        return {
            "generator": self.generator.state_dict(),
            "generator_optimiser": self.generator_optimiser.state_dict(),
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Take over the state of an interrupted run.

        Raises:
            ValueError: it is of a trainer with other parts: with an adversary, or without.
        """
        if set(state) != set(self.state_dict()):
            msg = f"parts {', '.join(state)}: expected {', '.join(self.state_dict())}"
            raise ValueError(msg)
        self.generator.load_state_dict(state["generator"])
        self.generator_optimiser.load_state_dict(state["generator_optimiser"])


class Adversarial(Supervised):
    """The paper's cGAN.

    G descends ``-log D(x, G(x)) + lambda * overlap``, D ``-log D(x, y) - log(1 - D(x, G(x)))``.

    Args:
        generator: as for :class:`Supervised`.
        discriminator: module of ``(n, c_image + c_mask, s, s)`` to sigmoid scores.
        signed_masks: show the discriminator masks in [-1, 1], as the released code does; else
            0/1 masks and probabilities.
        adversarial_weight: of the adversarial term in G's loss; 1 in the paper.
        overlap: as for :class:`Supervised`.
        overlap_weight: as for :class:`Supervised`.
        optimiser: as for :class:`Supervised`.
    """

    def __init__(
        self,
        generator: nn.Module,
        discriminator: nn.Module,
        *,
        overlap: str,
        overlap_weight: float,
        optimiser: Callable[[Iterator[nn.Parameter]], torch.optim.Optimizer],
        signed_masks: bool = False,
        adversarial_weight: float = 1.0,
    ) -> None:
        super().__init__(
            generator, overlap=overlap, overlap_weight=overlap_weight, optimiser=optimiser
        )
        self.discriminator = discriminator
        self.signed_masks = signed_masks
        self.adversarial_weight = adversarial_weight
        self.discriminator_optimiser = optimiser(discriminator.parameters())

    def step(self, images: Tensor, masks: Tensor) -> Losses:
        """Take one step of D, then one of G.

        Args:
            images: as for :class:`Supervised`.
            masks: as for :class:`Supervised`.

        Returns:
            The parts of both losses.

        Raises:
            NonFiniteLossError: with its parts; no weight of G has moved, and none of D unless it
                was D's step that spoilt the scores.
        """
        self.generator.train()
        self.discriminator.train()
        output = self.generator(images)
        with torch.no_grad():  # D must not move either where the overlap is not finite
            _floats({"overlap": self.overlap(output, masks)})
        parts = self.step_discriminator(images, masks, output.detach())
        return parts | self.step_generator(images, masks, output)

    def step_discriminator(self, images: Tensor, masks: Tensor, output: Tensor) -> Losses:
        """Descend ``-log D(x, y) - log(1 - D(x, G(x)))``."""
        self.discriminator.requires_grad_(True)
        real = real_loss(self._judge(images, 2 * masks - 1))
        fake = fake_loss(self._judge(images, output))
        parts = _floats({"discriminator_real": real, "discriminator_fake": fake})
        self._descend(self.discriminator_optimiser, real + fake)
        return parts

    def step_generator(self, images: Tensor, masks: Tensor, output: Tensor) -> Losses:
        """Descend ``-log D(x, G(x)) + lambda * overlap(G(x), y)``, D's weights held still."""
        self.discriminator.requires_grad_(False)
        adversarial = real_loss(self._judge(images, output))
        overlap = self.overlap(output, masks)
        parts = _floats({"adversarial": adversarial, "overlap": overlap})
        loss = self.adversarial_weight * adversarial + self.overlap_weight * overlap
        self._descend(self.generator_optimiser, loss)
        return parts

    def _judge(self, images: Tensor, t: Tensor) -> Tensor:
        shown = t if self.signed_masks else (t + 1) / 2
        scores: Tensor = self.discriminator(torch.cat([images, shown], dim=1))
        return scores

    def state_dict(self) -> dict[str, Any]:
        """Return everything that a resumed run needs."""
        return super().state_dict() | {
            "discriminator": self.discriminator.state_dict(),
            "discriminator_optimiser": self.discriminator_optimiser.state_dict(),
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Take over the state of an interrupted run."""
        super().load_state_dict(state)
        self.discriminator.load_state_dict(state["discriminator"])
        self.discriminator_optimiser.load_state_dict(state["discriminator_optimiser"])
