"""The loop: batches, augmentation, curves, resuming after any death."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest
import torch
from torch import Tensor

from mammostudy.errors import DataError
from mammostudy.models import Discriminator, Generator
from mammostudy.training.loop import Fitted, batch_of, load_checkpoint, save_checkpoint
from mammostudy.training.segmentation import Adversarial, Budget, Supervised, fit, flip_and_rotate
from mammostudy.training.segmentation import fit as loop

adam = partial(torch.optim.Adam, lr=2e-3)
Batch = tuple[Tensor, Tensor]
Make = Callable[..., Adversarial]
BUDGET = Budget(iterations=7, batch=4, validations=3)


def run(
    trainer: Supervised, batch: Batch, path: Path, *, seed: int = 0, budget: Budget = BUDGET
) -> Fitted:
    def validate() -> float:  # a number of the weights
        return float(next(trainer.generator.parameters()).detach().abs().mean())

    return fit(
        trainer, *batch, budget, seed=seed, validate=validate, checkpoint=path, progress=False,
        augment=True,
    )  # fmt: skip


def flat(trainer: Supervised) -> Tensor:
    values = [v.flatten().float() for v in trainer.generator.state_dict().values()]
    return torch.cat(values)


@pytest.mark.parametrize(("n", "batch"), [(10, 4), (8, 8), (7, 3), (5, 8), (1, 1)])
def test_every_epoch_is_a_permutation(n: int, batch: int) -> None:
    per_epoch = -(-n // batch)
    epochs = []
    for epoch in range(3):
        rows = [batch_of(n, epoch * per_epoch + i, batch, seed=2) for i in range(per_epoch)]
        assert all(0 < len(r) <= batch for r in rows)
        epochs.append(torch.cat(rows).tolist())
        assert sorted(epochs[-1]) == list(range(n))
    assert n < 5 or epochs[0] != epochs[1]


def test_batches_differ_by_seed_and_leave_the_global_state() -> None:
    state = torch.get_rng_state()
    assert batch_of(50, 0, 8, seed=0).tolist() != batch_of(50, 0, 8, seed=1).tolist()
    flip_and_rotate(torch.zeros(2, 1, 4, 4), torch.zeros(2, 1, 4, 4), 0, 0)
    assert torch.equal(torch.get_rng_state(), state)


def test_augmentation_turns_image_and_mask_together() -> None:
    plane = torch.arange(16.0).reshape(1, 1, 4, 4).repeat(64, 1, 1, 1)
    images, masks = flip_and_rotate(plane, 100 + plane, iteration=0, seed=0)
    assert torch.equal(images + 100, masks)
    turns = {tuple(image.flatten().tolist()) for image in images}
    known = set()
    for k in range(4):
        turned = torch.rot90(plane[0], k, dims=(-2, -1))
        known |= {tuple(turned.flatten().tolist()), tuple(turned.flip(-1).flatten().tolist())}
    assert turns == known  # all eight, and nothing else
    again, _ = flip_and_rotate(plane, plane, iteration=0, seed=0)
    later, _ = flip_and_rotate(plane, plane, iteration=1, seed=0)
    assert torch.equal(again, images)
    assert not torch.equal(later, images)


def test_golden_order() -> None:
    order = [batch_of(10, i, 4, seed=3).tolist() for i in range(4)]
    assert order == GOLDEN_ORDER, "the order of batches moved: raise VERSION of fit.py"
    images = torch.arange(8.0).reshape(8, 1, 1, 1).expand(8, 1, 2, 2) + torch.arange(
        0, 0.4, 0.1
    ).reshape(2, 2)
    turned, _ = flip_and_rotate(images, images, iteration=2, seed=3)
    corners = [round(float(t[0, 0, 0] - i) * 10) for i, t in enumerate(turned)]
    assert corners == GOLDEN_CORNERS, "augmentation moved: raise VERSION of fit.py"


GOLDEN_ORDER = [[4, 5, 0, 1], [2, 8, 3, 6], [9, 7], [1, 9, 5, 6]]
GOLDEN_CORNERS = [3, 2, 2, 1, 3, 0, 1, 3]


def test_curves_and_validations(adversarial: Make, batch: Batch, tmp_path: Path) -> None:
    fitted = run(adversarial(), batch, tmp_path / "c.pt")
    assert [row["iteration"] for row in fitted.curves] == [1, 2, 3, 4, 5, 6, 7]
    validated = [row["iteration"] for row in fitted.curves if "validation_dice" in row]
    assert validated == [2, 4, 6, 7]  # every 7 // 3, and the last
    assert all({"overlap", "adversarial"} <= set(row) for row in fitted.curves)
    assert fitted.diverged is None
    assert fitted.seconds > 0
    assert not (tmp_path / "c.pt").exists()  # nothing to keep of a run shorter than half a minute


def test_same_seed_same_weights_other_seed_other_weights(
    adversarial: Make, batch: Batch, tmp_path: Path
) -> None:
    trainers = [adversarial(seed) for seed in (0, 0, 1)]
    fits = []
    for trainer, seed in zip(trainers, (0, 0, 1), strict=True):
        torch.manual_seed(seed)
        fits.append(run(trainer, batch, tmp_path / "none.pt", seed=seed))
    one, same, other = map(flat, trainers)
    assert torch.equal(one, same)
    assert fits[0].curves == fits[1].curves
    assert not torch.equal(one, other)


class KilledError(BaseException):
    pass


def dying(trainer: Adversarial, after: int) -> Adversarial:
    step, taken = trainer.step, 0

    def counted(images: Tensor, masks: Tensor) -> dict[str, float]:
        nonlocal taken
        if taken == after:
            raise KilledError
        taken += 1
        return step(images, masks)

    trainer.step = counted  # type: ignore[method-assign]
    return trainer


@pytest.mark.parametrize("after", [1, 3, 6])
def test_a_killed_run_resumes_bit_for_bit(
    after: int, adversarial: Make, batch: Batch, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(loop, "CHECKPOINT_SECONDS", -1.0)
    whole = adversarial()
    torch.manual_seed(5)
    uninterrupted = run(whole, batch, tmp_path / "whole.pt")
    killed = dying(adversarial(), after)
    torch.manual_seed(5)
    with pytest.raises(KilledError):
        run(killed, batch, tmp_path / "killed.pt")
    state = load_checkpoint(tmp_path / "killed.pt")
    assert state is not None
    assert state["iteration"] == after
    resumed = adversarial(seed=99)  # what it holds and the random state come from the checkpoint
    torch.manual_seed(1234)
    again = run(resumed, batch, tmp_path / "killed.pt")
    assert again.curves == uninterrupted.curves
    assert torch.equal(flat(resumed), flat(whole))
    assert all(
        torch.equal(a, b)
        for a, b in zip(
            resumed.discriminator.state_dict().values(),
            whole.discriminator.state_dict().values(),
            strict=True,
        )
    )


def test_the_random_state_is_what_makes_the_resumed_run_the_same(
    adversarial: Make, batch: Batch, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(loop, "CHECKPOINT_SECONDS", -1.0)
    whole = adversarial()
    torch.manual_seed(5)
    run(whole, batch, tmp_path / "whole.pt")
    killed = dying(adversarial(), 3)
    torch.manual_seed(5)
    with pytest.raises(KilledError):
        run(killed, batch, tmp_path / "killed.pt")
    resumed = adversarial()
    monkeypatch.setattr(torch, "set_rng_state", lambda state: None)  # the control
    torch.manual_seed(1234)
    run(resumed, batch, tmp_path / "killed.pt")
    assert not torch.equal(flat(resumed), flat(whole))


@pytest.mark.parametrize("damage", ["truncated", "garbage", "other"])
def test_a_damaged_checkpoint_starts_anew(
    damage: str, adversarial: Make, batch: Batch, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "c.pt"
    monkeypatch.setattr(loop, "CHECKPOINT_SECONDS", -1.0)
    with pytest.raises(KilledError):
        run(dying(adversarial(), 3), batch, path)
    if damage == "other":
        save_checkpoint(path, {"iteration": 3})
    else:
        path.write_bytes(path.read_bytes()[:1000] if damage == "truncated" else b"garbage")
    fitted = run(adversarial(), batch, path)
    assert [row["iteration"] for row in fitted.curves] == [1, 2, 3, 4, 5, 6, 7]


def wider(**_: object) -> Supervised:
    torch.manual_seed(0)
    return Supervised(
        Generator(width=4, levels=5), overlap="dice", overlap_weight=150.0, optimiser=adam
    )


def narrow_adversary(adversarial: Make) -> Supervised:
    trainer = adversarial()
    return Adversarial(
        trainer.generator, Discriminator(width=4), overlap="dice", overlap_weight=150.0,
        optimiser=adam,
    )  # fmt: skip


@pytest.mark.parametrize("other", ["a wider network", "no adversary", "another adversary"])
def test_a_checkpoint_of_other_networks_is_one_clear_error(
    other: str, adversarial: Make, supervised: Callable[..., Supervised], batch: Batch,
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    """Of another width; without the adversary, whose parts would be ignored; of another one."""
    path = tmp_path / "c.pt"
    monkeypatch.setattr(loop, "CHECKPOINT_SECONDS", -1.0)
    with pytest.raises(KilledError):
        run(dying(adversarial(), 3), batch, path)
    kept = path.read_bytes()
    trainer = {
        "a wider network": wider,
        "no adversary": supervised,
        "another adversary": lambda: narrow_adversary(adversarial),
    }[other]()
    with pytest.raises(DataError, match=r"c\.pt: .* does not fit the networks of this run"):
        run(trainer, batch, path)
    assert path.read_bytes() == kept
    resumed = run(adversarial(), batch, path)  # control: the run it belongs to
    assert [row["iteration"] for row in resumed.curves] == [1, 2, 3, 4, 5, 6, 7]


def test_a_checkpoint_under_another_runs_name_is_one_clear_error(
    adversarial: Make, batch: Batch, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(loop, "CHECKPOINT_SECONDS", -1.0)
    with pytest.raises(KilledError):
        run(dying(adversarial(), 3), batch, tmp_path / "one.pt")
    (tmp_path / "one.pt").rename(tmp_path / "other.pt")
    with pytest.raises(DataError, match=r"other\.pt: the checkpoint of run one, not of this one"):
        run(adversarial(), batch, tmp_path / "other.pt")


def test_divergence_is_what_the_fit_returns(
    adversarial: Make, batch: Batch, tmp_path: Path
) -> None:
    trainer = adversarial()
    usual, taken = trainer.overlap, 0

    def later_infinite(t: Tensor, y: Tensor) -> Tensor:
        nonlocal taken
        taken += 1
        return usual(t, y) / (0.0 if taken > 4 else 1.0)  # looked at twice an iteration

    trainer.overlap = later_infinite
    fitted = run(trainer, batch, tmp_path / "c.pt")
    assert fitted.diverged == {"overlap": float("inf")}
    assert [row["iteration"] for row in fitted.curves] == [1, 2]
    assert torch.isfinite(flat(trainer)).all()
