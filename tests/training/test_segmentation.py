"""One training step: who moves, who does not, what each network is shown."""

from __future__ import annotations

import copy
import math
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from mammostudy.training import losses, segmentation
from mammostudy.training.loop import NonFiniteLossError
from mammostudy.training.segmentation import Adversarial, Supervised

Batch = tuple[Tensor, Tensor]


def weights(module: nn.Module) -> dict[str, Tensor]:
    return {name: value.detach().clone() for name, value in module.named_parameters()}


def moved(before: dict[str, Tensor], module: nn.Module) -> bool:
    return any(not torch.equal(before[name], value) for name, value in module.named_parameters())


def gradients(module: nn.Module) -> list[Tensor]:
    return [p.grad for p in module.parameters() if p.grad is not None]


def test_the_generators_step_leaves_the_discriminator(
    adversarial: Callable[..., Adversarial], batch: Batch
) -> None:
    trainer = adversarial()
    g, d = weights(trainer.generator), weights(trainer.discriminator)
    parts = trainer.step_generator(*batch, trainer.generator(batch[0]))
    assert moved(g, trainer.generator)
    assert not moved(d, trainer.discriminator)
    assert not gradients(trainer.discriminator)
    assert set(parts) == {"adversarial", "overlap"}


def test_the_discriminators_step_leaves_the_generator(
    adversarial: Callable[..., Adversarial], batch: Batch
) -> None:
    trainer = adversarial()
    g, d = weights(trainer.generator), weights(trainer.discriminator)
    parts = trainer.step_discriminator(*batch, trainer.generator(batch[0]).detach())
    assert not moved(g, trainer.generator)
    assert not gradients(trainer.generator)
    assert moved(d, trainer.discriminator)
    assert set(parts) == {"discriminator_real", "discriminator_fake"}


def test_a_whole_step_moves_both_and_names_every_part(
    adversarial: Callable[..., Adversarial], batch: Batch
) -> None:
    trainer = adversarial()
    g, d = weights(trainer.generator), weights(trainer.discriminator)
    parts = trainer.step(*batch)
    assert moved(g, trainer.generator)
    assert moved(d, trainer.discriminator)
    assert list(parts) == ["discriminator_real", "discriminator_fake", "adversarial", "overlap"]
    assert parts["discriminator_real"] == pytest.approx(math.log(2), abs=0.3)  # D knows nothing yet


def _gradient_of_step(trainer: Supervised, batch: Batch) -> Tensor:
    seen: list[Tensor] = []
    trainer._descend = (
        lambda optimiser, loss: seen.extend(  # type: ignore[method-assign]
            torch.autograd.grad(loss, list(trainer.generator.parameters())[:1])
        )
    )
    if isinstance(trainer, Adversarial):
        trainer.step_generator(*batch, trainer.generator(batch[0]))
    else:
        trainer.step(*batch)
    return seen[0]


def test_lambda_scales_the_overlap_term(
    supervised: Callable[..., Supervised],
    adversarial: Callable[..., Adversarial],
    batch: Batch,
) -> None:
    def drawn(make: Callable[..., Any], **fields: float) -> Tensor:
        trainer = make(**fields)
        torch.manual_seed(1)  # dropout
        return _gradient_of_step(trainer, batch)

    one = drawn(supervised, overlap_weight=1.0)
    assert torch.allclose(drawn(supervised, overlap_weight=150.0), 150 * one, rtol=1e-3)
    adversary = drawn(adversarial, overlap_weight=1.0) - one
    assert torch.allclose(
        drawn(adversarial, overlap_weight=150.0), 150 * one + adversary, rtol=1e-3, atol=1e-5
    )
    assert torch.allclose(
        drawn(adversarial, overlap_weight=1.0, adversarial_weight=3.0),
        one + 3 * adversary,
        rtol=1e-2,
        atol=1e-6,
    )


@pytest.mark.parametrize(("signed", "low"), [(False, 0.0), (True, -1.0)])
def test_signed_masks_change_what_the_discriminator_sees(
    signed: bool, low: float, adversarial: Callable[..., Adversarial], batch: Batch
) -> None:
    trainer = adversarial(signed_masks=signed)
    shown: list[Tensor] = []
    trainer.discriminator.register_forward_pre_hook(lambda _, seen: shown.append(seen[0]))
    images, masks = batch
    output = trainer.generator(images).detach()
    trainer.step_discriminator(images, masks, output)
    real, fake = shown
    assert torch.equal(real[:, :1], images)
    assert torch.equal(real[:, 1:], masks * (1 - low) + low)
    assert torch.allclose(fake[:, 1:], output if signed else (output + 1) / 2)


@pytest.mark.parametrize("kind", ["supervised", "adversarial"])
def test_a_loss_that_is_not_finite_stops_before_any_weight_moves(
    kind: str, batch: Batch, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> None:
    trainer = request.getfixturevalue(kind)()
    usual = trainer.overlap
    trainer.overlap = lambda t, y: usual(t, y) / 0.0
    before = [weights(trainer.generator), weights(getattr(trainer, "discriminator", nn.Module()))]
    with pytest.raises(NonFiniteLossError, match="overlap inf") as caught:
        trainer.step(*batch)
    assert caught.value.parts == {"overlap": math.inf}
    assert not moved(before[0], trainer.generator)
    assert not moved(before[1], getattr(trainer, "discriminator", nn.Module()))

    def unguarded(parts: dict[str, Tensor]) -> dict[str, float]:
        return {name: float(part.detach()) for name, part in parts.items()}

    monkeypatch.setattr(segmentation, "_floats", unguarded)  # the control: without the guard
    trainer.step(*batch)
    assert moved(before[0], trainer.generator)


def test_weights_that_are_not_numbers_are_an_error_with_parts_not_a_crash(
    adversarial: Callable[..., Adversarial], batch: Batch
) -> None:
    trainer = adversarial()
    with torch.no_grad():
        next(trainer.discriminator.parameters()).fill_(torch.nan)
    g = weights(trainer.generator)
    with pytest.raises(NonFiniteLossError, match="discriminator_real nan"):
        trainer.step(*batch)
    assert not moved(g, trainer.generator)


@pytest.mark.parametrize("overlap", ["dice", "l1", "released_dice", "dice_bce", "nll_epe"])
def test_no_loss_of_a_spoilt_generator_is_a_crash(
    overlap: str,
    supervised: Callable[..., Supervised],
    adversarial: Callable[..., Adversarial],
    batch: Batch,
) -> None:
    for make in (supervised, adversarial):
        trainer = make(overlap=overlap)
        with torch.no_grad():
            next(trainer.generator.parameters()).fill_(torch.nan)
        with pytest.raises(NonFiniteLossError, match="overlap nan"):
            trainer.step(*batch)


def test_state_travels(adversarial: Callable[..., Adversarial], batch: Batch) -> None:
    one, other = adversarial(seed=0), adversarial(seed=1)
    one.step(*batch)
    other.load_state_dict(copy.deepcopy(one.state_dict()))
    for trainer in (one, other):
        torch.manual_seed(5)
        trainer.step(*batch)
    assert not moved(weights(one.generator), other.generator)
    assert not moved(weights(one.discriminator), other.discriminator)


GOLDEN = {
    "discriminator_real": [0.6852773, 0.6290732, 0.542818],
    "discriminator_fake": [0.7157825, 0.6301128, 0.5662559],
    "adversarial": [0.7648879, 0.8510997, 0.9995699],
    "overlap": [0.7246681, 0.7222837, 0.7210188],
}


def test_golden_numbers(adversarial: Callable[..., Adversarial], batch: Batch) -> None:
    trainer = adversarial()
    torch.manual_seed(3)
    steps = [trainer.step(*batch) for _ in range(3)]
    numbers = {name: [step[name] for step in steps] for name in steps[0]}
    for name, values in numbers.items():
        assert values == pytest.approx(GOLDEN[name], rel=2e-3), (
            f"{name} moved: raise VERSION of segmentation.py (or of the network that moved)"
        )


def test_the_paper_equation_is_what_the_generator_descends(
    adversarial: Callable[..., Adversarial], batch: Batch
) -> None:
    trainer = adversarial()
    images, masks = batch
    output = trainer.generator(images)
    caught: list[Tensor] = []
    trainer._descend = lambda optimiser, loss: caught.append(loss)  # type: ignore[method-assign]
    trainer.step_generator(images, masks, output)
    p = losses.probability(output)
    scores = trainer.discriminator(torch.cat([images, p], dim=1))
    expected = -scores.log().mean() + 150 * losses.dice_loss(p, masks)
    assert caught[0].item() == pytest.approx(expected.item(), rel=1e-5)
