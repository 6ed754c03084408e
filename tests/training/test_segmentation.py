"""One training step: who moves, who does not, what each network is shown."""

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from mammostudy.models import Generator
from mammostudy.training import loop, losses
from mammostudy.training.loop import NonFiniteLossError
from mammostudy.training.segmentation import predict_probabilities


def weights(module: nn.Module) -> dict[str, Tensor]:
    return {name: value.detach().clone() for name, value in module.named_parameters()}


def moved(before: dict[str, Tensor], module: nn.Module) -> bool:
    return any(not torch.equal(before[name], value) for name, value in module.named_parameters())


def test_each_step_moves_its_own_network_alone(adversarial, batch, monkeypatch) -> None:
    trainer = adversarial()
    usual, seen = loop.descend, []

    def spied(optimiser, loss, parts):
        g, d = weights(trainer.generator), weights(trainer.discriminator)
        found = usual(optimiser, loss, parts)
        seen.append((set(parts), moved(g, trainer.generator), moved(d, trainer.discriminator)))
        return found

    monkeypatch.setattr(loop, "descend", spied)
    trainer.step(*batch)
    assert seen == [
        ({"discriminator_real", "discriminator_fake"}, False, True),
        ({"adversarial", "overlap"}, True, False),
    ]


@pytest.mark.parametrize(("signed", "low"), [(False, 0.0), (True, -1.0)])
def test_signed_masks_change_what_the_discriminator_sees(signed, low, adversarial, batch) -> None:
    trainer = adversarial(signed_masks=signed)
    (images, masks), shown, made = batch, [], []
    trainer.discriminator.register_forward_pre_hook(lambda _, seen: shown.append(seen[0]))
    trainer.generator.register_forward_hook(lambda _, __, out: made.append(out.detach()))
    trainer.step(images, masks)
    real, fake, again = shown
    (output,) = made
    assert torch.equal(again, fake)
    assert torch.equal(real[:, :1], images)
    assert torch.equal(real[:, 1:], masks * (1 - low) + low)
    assert torch.allclose(fake[:, 1:], output if signed else (output + 1) / 2)


@pytest.mark.parametrize("overlap", ["dice", "l1", "released_dice", "dice_bce", "nll_epe"])
@pytest.mark.parametrize("kind", ["supervised", "adversarial"])
def test_a_loss_that_is_not_finite_stops_before_any_weight_moves(
    kind, overlap, batch, request, monkeypatch
) -> None:
    trainer = request.getfixturevalue(kind)(overlap=overlap)
    networks = [trainer.generator, getattr(trainer, "discriminator", nn.Module())]
    before = [weights(network) for network in networks]
    with pytest.raises(NonFiniteLossError, match="overlap nan"):
        trainer.step(batch[0] * torch.nan, batch[1])
    assert not any(map(moved, before, networks))
    usual = trainer.overlap
    trainer.overlap = lambda t, y: usual(t, y) / 0.0
    monkeypatch.setattr(loop, "finite", lambda parts: {})  # the control: without the guard
    trainer.step(*batch)
    assert moved(before[0], trainer.generator)


GOLDEN = {
    "discriminator_real": [0.6852773, 0.6290732, 0.542818],
    "discriminator_fake": [0.7157825, 0.6301128, 0.5662559],
    "adversarial": [0.7648879, 0.8510997, 0.9995699],
    "overlap": [0.7246681, 0.7222837, 0.7210188],
}


def test_golden_numbers(adversarial, batch) -> None:
    trainer = adversarial()
    torch.manual_seed(3)
    steps = [trainer.step(*batch) for _ in range(3)]
    for name, values in GOLDEN.items():
        assert [step[name] for step in steps] == pytest.approx(values, rel=2e-3), name


def test_the_paper_equation_is_what_the_generator_descends(adversarial, batch, monkeypatch) -> None:
    trainer, (images, masks), made, seen = adversarial(), batch, [], []
    trainer.generator.register_forward_hook(lambda _, __, out: made.append(out))
    monkeypatch.setattr(loop, "descend", lambda _, loss, parts: seen.append(loss) or {})
    trainer.step(images, masks)  # moves nothing
    p = losses.probability(made[0])
    scores = trainer.discriminator(torch.cat([images, p], dim=1))
    expected = -scores.log().mean() + 150 * losses.dice_loss(p, masks)
    assert seen[-1].item() == pytest.approx(expected.item(), rel=1e-5)


IMAGES = torch.rand(5, 1, 32, 32, generator=torch.Generator().manual_seed(1))


def test_the_probability_is_half_of_one_more_than_the_output_averaged_over_channels() -> None:
    images = torch.tensor([-1.0, 0.0, 0.5, 1.0]).reshape(1, 1, 2, 2)
    predicted = predict_probabilities(nn.Identity().train(), images)
    assert predicted.dtype == np.float32
    assert predicted.tolist() == [[[0.0, 0.5], [0.75, 1.0]]]
    channels = torch.stack([torch.full((3, 3), v) for v in (-1.0, 0.0, 1.0)])[None]
    assert predict_probabilities(nn.Identity(), channels)[0] == pytest.approx(0.5)


def test_dropout_follows_the_seed_and_leaves_the_callers_with_golden_numbers() -> None:
    torch.manual_seed(0)
    model = Generator(width=2, levels=5, dropout_at_prediction=True)
    before = torch.get_rng_state()
    one = predict_probabilities(model, IMAGES, seed=4)
    assert torch.equal(torch.get_rng_state(), before)
    torch.manual_seed(12)
    assert np.array_equal(one, predict_probabilities(model, IMAGES, seed=4))
    assert not np.array_equal(one, predict_probabilities(model, IMAGES, seed=5))
    with torch.no_grad():  # as drawn, the weights say one half everywhere
        for weight in model.parameters():
            weight.mul_(8)
    predicted = predict_probabilities(model, IMAGES, batch=2, seed=4)
    golden = [0.3836145, 0.3685431, 0.396054, 0.3931445, 0.3775864]
    assert [float(p.mean()) for p in predicted] == pytest.approx(golden, rel=1e-3)
