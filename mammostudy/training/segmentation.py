"""The training of segmenters, with and without an adversary (paper, section 2), and their work."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple, Unpack

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.optim.lr_scheduler import LambdaLR

from mammostudy.models.common import weight_average
from mammostudy.training import loop
from mammostudy.training.loop import Fitted, Losses
from mammostudy.training.losses import adversarial_loss, overlap_loss, probability

Optimisers = Callable[[Iterator[nn.Parameter]], torch.optim.Optimizer]


class Supervised:
    """Minimise ``weight * overlap(G(x), y)``, weight being the paper's lambda.

    ``overlap`` names an :func:`~mammostudy.training.losses.overlap_loss`; ``optimiser`` makes one.
    """

    def __init__(
        self, generator: nn.Module, *, overlap: str, overlap_weight: float, optimiser: Optimisers
    ) -> None:
        self.generator = generator
        self.overlap = overlap_loss(overlap)
        self.overlap_weight = overlap_weight
        self.generator_optimiser = optimiser(generator.parameters())
        self.parts: dict[str, Any] = {"generator": generator}
        self.parts["generator_optimiser"] = self.generator_optimiser

    def step(self, images: Tensor, masks: Tensor) -> Losses:
        """Take one step on ``(n, c, s, s)`` images and 0/1 masks; give the parts of the loss."""
        self.generator.train()
        overlap = self.overlap(self.generator(images), masks)
        loss = self.overlap_weight * overlap
        return loop.descend(self.generator_optimiser, loss, {"overlap": overlap})


class Adversarial(Supervised):
    """The paper's cGAN.

    G descends ``-log D(x, G(x)) + lambda * overlap``, D ``-log D(x, y) - log(1 - D(x, G(x)))``.
    ``signed_masks`` shows the discriminator masks in [-1, 1], as the released code does; else it
    sees 0/1 masks and probabilities. ``adversarial_weight`` is of the adversarial term in G's loss.
    """

    def __init__(
        self,
        generator: nn.Module,
        discriminator: nn.Module,
        *,
        signed_masks: bool = False,
        adversarial_weight: float = 1.0,
        **supervised: Any,
    ) -> None:
        super().__init__(generator, **supervised)
        self.discriminator = discriminator
        self.signed_masks, self.adversarial_weight = signed_masks, adversarial_weight
        self.discriminator_optimiser = supervised["optimiser"](discriminator.parameters())
        self.parts["discriminator"] = discriminator
        self.parts["discriminator_optimiser"] = self.discriminator_optimiser

    def step(self, images: Tensor, masks: Tensor) -> Losses:
        """Take one step of D, then one of G; neither where a loss is not finite at first."""
        self.generator.train()
        self.discriminator.train()
        output = self.generator(images)
        with torch.no_grad():  # D must not move either where the overlap is not finite
            loop.finite({"overlap": self.overlap(output, masks)})
        self.discriminator.requires_grad_(True)
        real = self._judge(images, 2 * masks - 1, 1.0)
        fake = self._judge(images, output.detach(), 0.0)
        parts = {"discriminator_real": real, "discriminator_fake": fake}
        seen = loop.descend(self.discriminator_optimiser, real + fake, parts)
        self.discriminator.requires_grad_(False)  # held still while G learns
        adversarial, overlap = self._judge(images, output, 1.0), self.overlap(output, masks)
        loss = self.adversarial_weight * adversarial + self.overlap_weight * overlap
        parts = {"adversarial": adversarial, "overlap": overlap}
        return seen | loop.descend(self.generator_optimiser, loss, parts)

    def _judge(self, images: Tensor, t: Tensor, wanted: float) -> Tensor:
        shown = t if self.signed_masks else (t + 1) / 2
        return adversarial_loss(self.discriminator(torch.cat([images, shown], dim=1)), wanted)


class Averaged(Supervised):
    """Any trainer, whose averaged generator is what is validated, saved and predicts."""

    def __init__(self, trainer: Supervised, decay: float) -> None:
        self.trainer = trainer
        self.average = weight_average(trainer.generator, decay)
        self.generator = self.average.module
        self.parts = trainer.parts | {"average": self.average}

    def step(self, images: Tensor, masks: Tensor) -> Losses:
        """Take one step, then move the average; it has not moved where a loss is not finite."""
        losses = self.trainer.step(images, masks)
        self.average.update_parameters(self.trainer.generator)
        return losses


class Budget(NamedTuple):
    """How long a run trains: iterations, batch size, and how often it is validated."""

    iterations: int
    batch: int
    validations: int
    schedule: str = "constant"  # of the learning rate; ``cosine`` falls to zero at the end


def fit(
    trainer: Supervised,
    images: Tensor,
    masks: Tensor,
    budget: Budget,
    *,
    seed: int,
    validate: Callable[[], float],
    augment: bool = False,
    **course: Unpack[loop.Course],
) -> Fitted:
    """Train a segmenter on ``(n, c, s, s)`` images and masks of 0 and 1.

    ``seed`` is of batches and of the augmentation (flips and quarter turns); ``validate`` returns
    the validation Dice of the present weights.
    """
    schedules = falling(trainer.parts, budget.iterations) if budget.schedule == "cosine" else {}

    def step(done: int) -> Losses:
        rows = loop.batch_of(len(images), done, budget.batch, seed)
        batch = images[rows], masks[rows]
        losses = trainer.step(*(flip_and_rotate(*batch, done, seed) if augment else batch))
        for schedule in schedules.values():
            schedule.step()
        return losses

    return loop.run_steps(
        step,
        trainer.parts | schedules,
        budget.iterations,
        head=lambda done, _: {"iteration": float(done)},
        validate=lambda: {"validation_dice": validate()},
        validations=budget.validations,
        rows=400,
        **course,
    )


def falling(parts: loop.Parts, total: int) -> dict[str, LambdaLR]:
    """Schedules that let the learning rate of every optimiser fall along a cosine, to zero."""
    return {
        f"{name}_schedule": LambdaLR(part, lambda step: (1 + math.cos(math.pi * step / total)) / 2)
        for name, part in parts.items()
        if isinstance(part, torch.optim.Optimizer)
    }


def flip_and_rotate(
    images: Tensor, masks: Tensor, iteration: int, seed: int
) -> tuple[Tensor, Tensor]:
    """Turn each image and its mask by a random multiple of 90 degrees, mirrored or not."""
    generator = torch.Generator().manual_seed(seed * 1_000_003 + iteration + 500_009)
    draws = torch.randint(0, 8, (len(images),), generator=generator).tolist()

    def turned(planes: Tensor) -> Tensor:
        pairs = zip(planes, draws, strict=True)
        turns = [(torch.rot90(plane, d % 4, (-2, -1)), d >= 4) for plane, d in pairs]
        return torch.stack([plane.flip(-1) if mirror else plane for plane, mirror in turns])

    return turned(images), turned(masks)


def predict_probabilities(
    model: nn.Module, images: Tensor, *, batch: int = 32, seed: int = 0
) -> NDArray[np.float32]:
    """Predict the probability of mass in ``(n, c, s, s)`` images: float32 ``(n, s, s)``.

    Where the model keeps dropout on at prediction (the paper's z), the draws follow ``seed``, and
    the caller's random state is left as it was. Channels of the output are averaged.
    """
    model.eval()
    with torch.random.fork_rng(), torch.inference_mode():
        torch.manual_seed(seed)
        outputs = [probability(model(part)).mean(dim=1) for part in torch.split(images, batch)]
    return torch.cat(outputs).cpu().numpy().astype(np.float32)
