"""Two iterations of every ``paper`` and ``released`` configuration at the published size."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
import torch

from mammostudy.runs.segmenters import as_tensor, build_trainer
from mammostudy.runs.spec import RunSpec
from mammostudy.study.recipes import recipe, without_adversary
from mammostudy.training.segmentation import Budget, fit

CONFIGURATIONS = {
    "paper": recipe("phantom", "paper", "paper"),
    "paper, L1": recipe("phantom", "paper", "paper", loss__overlap="l1"),
    "paper, no adversary": without_adversary(recipe("phantom", "paper", "paper")),
    "released": recipe("phantom", "paper", "released"),
    "released, no adversary": without_adversary(recipe("phantom", "paper", "released")),
}


@pytest.mark.slow
@pytest.mark.parametrize("name", CONFIGURATIONS)
def test_two_iterations(name: str, tmp_path: Path) -> None:
    spec: RunSpec = CONFIGURATIONS[name]
    settings = spec.optimiser
    assert (spec.frame.size, spec.model.width, spec.model.levels) == (256, 32, 8)
    assert settings.batch == 8
    rng = np.random.default_rng(0)
    images = rng.random((16, 256, 256), dtype=np.float32)
    if spec.preprocessing.value_range == "signed":
        images = 2 * images - 1
    masks = np.zeros(images.shape, bool)
    for i, mask in enumerate(masks):
        mask[60 + i : 160, 70 : 170 - i] = True
    torch.manual_seed(spec.seed)
    trainer = build_trainer(spec)
    before = [p.detach().clone() for p in trainer.generator.parameters()]
    fitted = fit(
        trainer,
        as_tensor(images, spec.model.channels),
        as_tensor(masks, spec.model.channels),
        Budget(2, settings.batch, 1),
        seed=spec.seed,
        validate=lambda: 0.0,
        checkpoint=tmp_path / "c.pt",
        progress=False,
    )
    assert fitted.diverged is None
    assert [row["iteration"] for row in fitted.curves] == [1, 2]
    assert all(math.isfinite(value) for row in fitted.curves for value in row.values())
    after = list(trainer.generator.parameters())
    assert all(torch.isfinite(p).all() for p in after)
    assert any(not torch.equal(a, b) for a, b in zip(before, after, strict=True))
    if not name.startswith("released"):
        assert all(0 <= row["overlap"] <= 1 for row in fitted.curves)
