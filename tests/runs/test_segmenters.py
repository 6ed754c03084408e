"""What a spec becomes: baselines, model, trainer, tensors."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from torch.nn import functional

from mammostudy.data.frames import FramedSet
from mammostudy.errors import SpecError
from mammostudy.runs.segmenters import as_tensor, baseline_masks, build_model, build_trainer
from mammostudy.runs.spec import BASELINES, RunSpec, parse_spec
from mammostudy.training import losses
from mammostudy.training.segmentation import Adversarial, Supervised

SIDE = 32
SMALL: dict[str, Any] = {
    "cohort": "c", "frame": {"size": SIDE}, "model": {"width": 2, "levels": 5},
}  # fmt: skip


def small(**changes: Any) -> RunSpec:
    return parse_spec(SMALL).changed(**changes)


@pytest.fixture
def framed() -> FramedSet:
    """Two frames with a bright ellipse in the middle, on a slope, with a ripple in one of them."""
    y, x = np.mgrid[:SIDE, :SIDE].astype(np.float32)
    slope = 0.3 + 0.1 * y / SIDE
    ripple = np.stack([0 * x, 0.2 * np.sin(1.7 * x + 0.9 * y)])
    masks = np.stack(
        [((x - 15.5) / a) ** 2 + ((y - 15.5) / b) ** 2 < 1 for a, b in ((8, 8), (6, 9))]
    )
    images = (slope + 0.3 * masks + ripple).astype(np.float32)
    given = np.array([[8, 8, 24, 24], [10, 7, 22, 25]], np.float32)
    boxes = np.array([[0, 0, SIDE, SIDE]] * 2)
    return FramedSet(("a", "b"), images, masks, boxes, given, np.zeros(2, np.int64))


def test_baselines_by_hand(framed: FramedSet) -> None:
    assert baseline_masks("all-mass", framed).all()
    ellipse = baseline_masks("ellipse", framed)
    assert ellipse.dtype == bool
    area = np.pi / 4 * np.array([16 * 16, 12 * 18])
    assert ellipse.sum(axis=(1, 2)) == pytest.approx(area, rel=0.04)
    for mask, (x0, y0, x1, y1) in zip(ellipse, framed.given.astype(int), strict=True):
        inside = mask[y0:y1, x0:x1].sum()
        assert inside == mask.sum()
    for name in ("otsu", "chan-vese"):
        masks = baseline_masks(name, framed)
        overlap = 2 * (masks & framed.masks).sum() / (masks.sum() + framed.masks.sum())
        assert 0.75 < overlap < 1


def test_a_box_thinner_than_a_pixel_still_has_an_ellipse(framed: FramedSet) -> None:
    framed.given[0] = (10.2, 10.2, 10.4, 10.4)
    assert baseline_masks("ellipse", framed)[0].any()


def test_an_unknown_baseline_is_refused(framed: FramedSet) -> None:
    with pytest.raises(SpecError, match=r"'snake' is unknown; use one of all-mass, ellipse"):
        baseline_masks("snake", framed)


GOLDEN = {
    "all-mass": [1024, 1024, 1047552],
    "ellipse": [208, 172, 194370],
    "otsu": [208, 353, 292369],
    "chan-vese": [208, 168, 192766],
}


@pytest.mark.parametrize("name", BASELINES)
def test_golden_numbers(name: str, framed: FramedSet) -> None:
    masks = baseline_masks(name, framed)
    place = np.arange(SIDE * SIDE).reshape(SIDE, SIDE)
    numbers = [*masks.sum(axis=(1, 2)).tolist(), int((masks * place).sum())]
    assert numbers == GOLDEN[name], "a baseline moved: raise VERSION of runs/segmenters.py"


def test_the_trainer_follows_the_loss() -> None:
    cgan = build_trainer(small())
    assert isinstance(cgan, Adversarial)
    assert (cgan.overlap_weight, cgan.adversarial_weight, cgan.signed_masks) == (150, 1, False)
    assert cgan.discriminator.in_channels == 2
    plain = build_trainer(small(loss__adversarial_weight=0.0, loss__overlap="dice_bce"))
    assert type(plain) is Supervised
    signed = build_trainer(small(loss__signed_masks=True, loss__overlap="released_dice"))
    assert isinstance(signed, Adversarial)
    assert signed.signed_masks
    assert signed.overlap is losses.released_dice_loss


def test_adam_as_published() -> None:
    trainer = build_trainer(small())
    assert isinstance(trainer, Adversarial)
    for optimiser in (trainer.generator_optimiser, trainer.discriminator_optimiser):
        (group,) = optimiser.param_groups
        assert isinstance(optimiser, torch.optim.Adam)
        assert (group["lr"], group["betas"], group["weight_decay"]) == (2e-4, (0.5, 0.999), 0)


def test_wide_and_plain_training_give_equal_losses(monkeypatch: pytest.MonkeyPatch) -> None:
    """From the same weights; dropout is off, since it draws in the order of memory."""
    monkeypatch.setattr(functional, "dropout", lambda values, *_, **__: values)
    wide = small(model__width=32)
    assert wide.trains_channels_last
    generator = torch.Generator().manual_seed(0)
    images = torch.rand(3, 1, SIDE, SIDE, generator=generator)
    masks = (images > 0.6).float()
    found = []
    for is_quick in (True, False):
        monkeypatch.setattr(RunSpec, "trains_channels_last", is_quick)
        torch.manual_seed(0)
        trainer = build_trainer(wide)
        laid = trainer.generator.down["Cn2"].weight.is_contiguous(memory_format=torch.channels_last)
        assert laid == is_quick
        found.append([trainer.step(images, masks) for _ in range(3)])
    for one, other in zip(*found, strict=True):
        assert one == pytest.approx(other, rel=1e-3)


def test_the_model_has_the_specs_fields() -> None:
    model = build_model(small(model__channels=3, model__shared_batch_norm=True))
    assert model.in_channels == 3
    assert model.shared_batch_norm
    assert model.dropout_at_prediction
    assert not build_model(small(model__dropout_at_prediction=False)).dropout_at_prediction
    with pytest.raises(SpecError, match=r"'nnet'.*cgan, .*unet"):
        build_model(small(model__name="nnet"))


def test_weights_come_from_torchs_random_state() -> None:
    drawn = []
    for seed in (0, 0, 1):
        torch.manual_seed(seed)
        drawn.append(torch.cat([p.flatten() for p in build_model(small()).parameters()]))
    assert torch.equal(drawn[0], drawn[1])
    assert not torch.equal(drawn[0], drawn[2])


def test_planes_become_tensors() -> None:
    planes = np.random.default_rng(0).random((2, 4, 4)) > 0.5
    tensor = as_tensor(planes, 3)
    assert tensor.shape == (2, 3, 4, 4)
    assert tensor.dtype == torch.float32
    assert all(np.array_equal(tensor[:, c].numpy(), planes) for c in range(3))
    copied = as_tensor(np.zeros((1, 2, 2), np.float32), 1)
    copied += 1  # the caller's array is not written to


def test_the_unet_trains_behind_the_same_door() -> None:
    spec = small(model__name="unet", frame__size=64, loss__adversarial_weight=0.0)
    torch.manual_seed(0)
    losses_of = build_trainer(spec).step(torch.rand(2, 1, 64, 64), torch.ones(2, 1, 64, 64))
    assert 0 <= losses_of["overlap"] <= 1
