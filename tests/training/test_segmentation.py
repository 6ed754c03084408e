"""Losses by hand, by MONAI and by their past; a step: who moves, and what each network is shown."""

import math

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional

from mammostudy.models import Generator
from mammostudy.training import loop, losses
from mammostudy.training.loop import NonFiniteLossError
from mammostudy.training.segmentation import predict_probabilities


def image(*values):
    return torch.tensor(values, dtype=torch.float32).reshape(1, 1, 1, -1)


@pytest.mark.parametrize(
    ("p", "y", "expected"),
    [
        ((1, 1, 0, 0), (1, 0, 0, 0), 1 - 3 / 4),
        ((0.5, 0.5, 0.5, 0.5), (1, 1, 0, 0), 1 - 3 / 5),
        ((0, 0, 0, 0), (0, 0, 0, 0), 0.0),
        ((0, 0, 0, 0), (1, 1, 1, 0), 1 - 1 / 4),
    ],
)
def test_dice_with_smooth_one(p, y, expected):
    assert float(losses.dice_loss(image(*p), image(*y))) == pytest.approx(expected, abs=1e-6)


def test_released_dice_costs_a_perfect_mask_more_than_an_empty_output():
    y = torch.zeros(1, 1, 256, 256)
    y.flatten()[: round(0.2 * 256 * 256)] = 1  # a mask of 20 %
    assert float(losses.released_dice_loss(2 * y - 1, y)) == pytest.approx(2.67, abs=0.005)
    painted = losses.released_dice_loss(torch.ones_like(y), y)  # everything is mass: (p + y) > 0
    assert float(painted) == pytest.approx(1 + 2 * 0.6 / 0.4, abs=1e-3)


def test_cross_entropy_by_hand():
    p, y = image(0.9, 0.4), image(1, 0)
    entropy = -(math.log(0.9) + math.log(0.6)) / 2
    dice = 1 - (2 * 0.9 + 1) / (1.3 + 1 + 1)
    assert float(losses.dice_bce_loss(p, y)) == pytest.approx(dice + entropy, rel=1e-5)
    sure = float(losses.dice_bce_loss(image(0, 1), image(1, 0)))  # wrong and sure: large, finite
    assert sure == pytest.approx(-math.log(1e-6) + 1 - 1 / 3, rel=0.02)


def test_adversarial_terms_are_the_papers_logarithms():
    scores = torch.full((2, 1, 3, 3), 0.01)
    scores[0] = 0.25
    real = -(math.log(0.01) + math.log(0.25)) / 2
    fake = -(math.log(0.99) + math.log(0.75)) / 2
    assert float(losses.adversarial_loss(scores, 1.0)) == pytest.approx(real, rel=1e-5)
    assert float(losses.adversarial_loss(scores, 0.0)) == pytest.approx(fake, rel=1e-5)


def test_dice_agrees_with_its_definition():
    p, y = torch.rand(4, 1, 8, 8), (torch.rand(4, 1, 8, 8) > 0.6).float()
    pairs = [(float((a * b).sum()), float(a.sum() + b.sum())) for a, b in zip(p, y, strict=True)]
    each = [1 - (2 * both + 1) / (all_of_it + 1) for both, all_of_it in pairs]
    assert float(losses.dice_loss(p, y)) == pytest.approx(sum(each) / len(each))


def test_a_score_that_is_not_a_number_makes_a_loss_that_is_not():
    scores = torch.tensor([[0.5, torch.nan]])
    for loss in (losses.adversarial_loss(scores, 1.0), losses.adversarial_loss(scores, 0.0)):
        assert math.isnan(float(loss))
    assert math.isnan(float(losses.dice_bce_loss(scores, torch.ones(1, 2))))
    with pytest.raises(RuntimeError, match="between 0 and 1"):  # control: torch by itself
        functional.binary_cross_entropy(scores, torch.ones(1, 2))


LOSSES = {"dice": 0.5641265, "l1": 0.5047569, "released_dice": 1.013489, "dice_bce": 1.972677}


def test_golden_losses():
    t = torch.sin(torch.arange(2 * 64, dtype=torch.float32)).reshape(2, 1, 8, 8)
    y = (torch.cos(torch.arange(2 * 64, dtype=torch.float32)).reshape(2, 1, 8, 8) > 0.4).float()
    numbers = {name: float(losses.overlap_loss(name)(t, y)) for name in LOSSES}
    assert numbers == pytest.approx(LOSSES, rel=1e-5)


def test_the_end_point_error_by_hand():
    """One pixel of a 3x3 mask: its left and upper neighbour and itself have other gradients."""
    y = torch.zeros(1, 1, 3, 3)
    p = y.clone()
    p[0, 0, 1, 1] = 1
    lengths = [1.0, 1.0, 2**0.5]  # the pixel above, the one to the left, the pixel itself
    assert float(losses.end_point_error(p, y)) == pytest.approx(sum(lengths) / 9, abs=1e-5)
    assert float(losses.end_point_error(p, p)) == pytest.approx(0, abs=1e-5)


def weights(module):
    return {name: value.detach().clone() for name, value in module.named_parameters()}


def moved(before, module):
    return any(not torch.equal(before[name], value) for name, value in module.named_parameters())


def test_each_step_moves_its_own_network_alone(adversarial, batch, monkeypatch):
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
def test_signed_masks_change_what_the_discriminator_sees(signed, low, adversarial, batch):
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
def test_a_loss_that_is_not_finite_moves_no_weight(kind, overlap, batch, request, monkeypatch):
    trainer = request.getfixturevalue(kind)(overlap=overlap)
    networks = [trainer.generator, getattr(trainer, "discriminator", nn.Module())]
    before = [weights(network) for network in networks]
    with pytest.raises(NonFiniteLossError, match="'overlap': nan"):
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


def test_golden_numbers(adversarial, batch):
    trainer = adversarial()
    torch.manual_seed(3)
    steps = [trainer.step(*batch) for _ in range(3)]
    for name, values in GOLDEN.items():
        assert [step[name] for step in steps] == pytest.approx(values, rel=2e-3), name


def test_the_paper_equation_is_what_the_generator_descends(adversarial, batch, monkeypatch):
    trainer, (images, masks), made, seen = adversarial(), batch, [], []
    trainer.generator.register_forward_hook(lambda _, __, out: made.append(out))
    monkeypatch.setattr(loop, "descend", lambda _, loss, parts: seen.append(loss) or {})
    trainer.step(images, masks)  # moves nothing
    p = losses.probability(made[0])
    scores = trainer.discriminator(torch.cat([images, p], dim=1))
    expected = -scores.log().mean() + 150 * losses.dice_loss(p, masks)
    assert seen[-1].item() == pytest.approx(expected.item(), rel=1e-5)


IMAGES = torch.rand(5, 1, 32, 32, generator=torch.Generator().manual_seed(1))


def test_the_probability_is_half_of_one_more_than_the_output_averaged_over_channels():
    images = torch.tensor([-1.0, 0.0, 0.5, 1.0]).reshape(1, 1, 2, 2)
    predicted = predict_probabilities(nn.Identity().train(), images)
    assert predicted.dtype == np.float32
    assert predicted.tolist() == [[[0.0, 0.5], [0.75, 1.0]]]
    channels = torch.stack([torch.full((3, 3), v) for v in (-1.0, 0.0, 1.0)])[None]
    assert predict_probabilities(nn.Identity(), channels)[0] == pytest.approx(0.5)


def test_dropout_follows_the_seed_and_leaves_the_callers_with_golden_numbers():
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
