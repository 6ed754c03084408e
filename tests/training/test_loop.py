"""The loop: batches, curves, checkpoints, resuming after any death, the average of weights."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from mammostudy.errors import DataError
from mammostudy.training import loop
from mammostudy.training.loop import Fitted, batch_of, load_checkpoint, save_checkpoint
from mammostudy.training.segmentation import Averaged, Budget, fit, flip_and_rotate

BUDGET = Budget(iterations=7, batch=4, validations=3)
STATE = {"iteration": 3, "curves": [{"overlap": 0.5}], "random": torch.get_rng_state()}


def run(trainer, batch, path: Path) -> Fitted:
    first = next(trainer.generator.parameters())
    return fit(
        trainer, *batch, BUDGET, seed=0, validate=lambda: float(first.detach().abs().mean()),
        checkpoint=path, progress=False, augment=True,
    )  # fmt: skip


def flat(*modules: nn.Module) -> Tensor:
    states = [each.state_dict().values() for each in modules]
    return torch.cat([value.flatten().float() for state in states for value in state])


@pytest.mark.parametrize(("n", "batch"), [(10, 4), (8, 8), (5, 8), (1, 1)])
def test_every_epoch_is_a_permutation(n: int, batch: int) -> None:
    per_epoch = -(-n // batch)
    epochs = []
    for epoch in range(3):
        rows = [batch_of(n, epoch * per_epoch + i, batch, seed=2) for i in range(per_epoch)]
        assert all(0 < len(r) <= batch for r in rows)
        epochs.append(torch.cat(rows).tolist())
        assert sorted(epochs[-1]) == list(range(n))
    assert n < 5 or epochs[0] != epochs[1]


def test_golden_order() -> None:
    state = torch.get_rng_state()
    order = [batch_of(10, i, 4, seed=3).tolist() for i in range(4)]
    assert order == [[4, 5, 0, 1], [2, 8, 3, 6], [9, 7], [1, 9, 5, 6]]
    assert torch.equal(torch.get_rng_state(), state)


def test_curves_and_validations(adversarial, batch, tmp_path) -> None:
    fitted = run(adversarial(), batch, tmp_path / "c.pt")
    assert [row["iteration"] for row in fitted.curves] == [1, 2, 3, 4, 5, 6, 7]
    validated = [row["iteration"] for row in fitted.curves if "validation_dice" in row]
    assert validated == [2, 4, 6, 7]  # every 7 // 3, and the last
    assert fitted.diverged is None
    assert not (tmp_path / "c.pt").exists()  # nothing to keep of a run shorter than half a minute


class KilledError(BaseException):
    pass


def killed(trainer, after: int, batch, path: Path) -> bytes:
    """Run until it dies, with a checkpoint after every step; return what it left."""
    step, taken = trainer.step, []

    def counted(images: Tensor, masks: Tensor) -> dict[str, float]:
        if len(taken) == after:
            raise KilledError
        taken.append(images)
        return step(images, masks)

    trainer.step = counted
    torch.manual_seed(5)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(loop, "CHECKPOINT_SECONDS", -1.0)
        with pytest.raises(KilledError):
            run(trainer, batch, path)
    return path.read_bytes()


@pytest.mark.parametrize(("after", "decay"), [(1, 0.0), (3, 0.9), (6, 0.0)])
def test_a_killed_run_resumes_bit_for_bit(after, decay, adversarial, batch, tmp_path) -> None:
    def made(seed=0):
        inner = adversarial(seed)
        return (Averaged(inner, decay) if decay else inner), inner

    whole, of_whole = made()
    torch.manual_seed(5)
    uninterrupted = run(whole, batch, tmp_path / "whole.pt")
    killed(made()[0], after, batch, tmp_path / "killed.pt")
    assert load_checkpoint(tmp_path / "killed.pt")["iteration"] == after
    resumed, of_resumed = made(99)  # what it holds and the random state come from the checkpoint
    torch.manual_seed(1234)
    again = run(resumed, batch, tmp_path / "killed.pt")
    assert again.curves == uninterrupted.curves
    of_both = [
        flat(trainer.generator, inner.generator, inner.discriminator)
        for trainer, inner in ((whole, of_whole), (resumed, of_resumed))
    ]
    assert torch.equal(*of_both)


def test_control_without_the_random_state_a_resumed_run_is_another(
    adversarial, batch, tmp_path, monkeypatch
) -> None:
    whole, resumed = adversarial(), adversarial()
    torch.manual_seed(5)
    run(whole, batch, tmp_path / "whole.pt")
    killed(adversarial(), 3, batch, tmp_path / "killed.pt")
    monkeypatch.setattr(torch, "set_rng_state", lambda state: None)
    torch.manual_seed(1234)
    run(resumed, batch, tmp_path / "killed.pt")
    assert not torch.equal(flat(resumed.generator), flat(whole.generator))


def test_the_state_of_every_graphics_card_is_kept_and_given_back(tmp_path, monkeypatch) -> None:
    """A machine with fewer of them takes what it can."""
    states = [torch.full((4,), number, dtype=torch.uint8) for number in (7, 8)]
    parts = {"network": nn.Linear(1, 1)}
    with monkeypatch.context() as patch:
        patch.setattr(torch.cuda, "is_available", lambda: True)
        patch.setattr(torch.cuda, "get_rng_state_all", lambda: states)
        loop._keep(tmp_path / "c.pt", parts, 2, 0.0, [])
    given: dict[int, list[int]] = {}
    monkeypatch.setattr(
        torch.cuda, "set_rng_state", lambda state, number: given.update({number: state.tolist()})
    )
    for cards, expected in ((2, {0: [7] * 4, 1: [8] * 4}), (1, {0: [7] * 4}), (0, {})):
        given.clear()
        monkeypatch.setattr(torch.cuda, "device_count", lambda cards=cards: cards)
        assert loop._resumed(tmp_path / "c.pt", parts)[0] == 2
        assert given == expected


def test_a_checkpoint_is_read_to_the_processor(tmp_path, monkeypatch) -> None:
    """One that was written on a graphics card is read where there is none."""
    save_checkpoint(tmp_path / "c.pt", STATE)
    usual, asked = torch.load, []
    monkeypatch.setattr(torch, "load", lambda path, **o: asked.append(o) or usual(path, **o))
    assert load_checkpoint(tmp_path / "c.pt") is not None
    assert asked == [{"weights_only": True, "map_location": "cpu"}]


@pytest.mark.parametrize("other", ["wider", "no adversary", "renamed", "older"])
def test_a_checkpoint_of_another_run_is_one_clear_error(
    other, adversarial, supervised, batch, tmp_path
) -> None:
    path = tmp_path / "c.pt"
    kept = killed(adversarial(), 3, batch, path)
    trainer = supervised() if other == "no adversary" else adversarial()
    if other == "wider":
        trainer.parts["discriminator"] = nn.Linear(2, 2)
    elif other == "renamed":
        path = path.rename(tmp_path / "other.pt")
    elif other == "older":  # as the first house wrote them
        save_checkpoint(path, STATE | {"run": "c", "trainer": {}})
        kept = path.read_bytes()
    with pytest.raises(DataError, match=f"{path.name}: the checkpoint .* delete the file"):
        run(trainer, batch, path)
    assert path.read_bytes() == kept


def test_half_a_checkpoint_is_none(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "state.pt"
    save_checkpoint(path, STATE)
    assert [each.name for each in path.parent.iterdir()] == ["state.pt"]
    assert torch.equal(load_checkpoint(path)["random"], STATE["random"])
    whole = path.read_bytes()
    for share in (0.0, 0.01, 0.3, 0.9, 0.999):
        path.write_bytes(whole[: int(share * len(whole))])
        assert load_checkpoint(path) is None
    assert load_checkpoint(tmp_path) is None


GARBAGE = [b"garbage", b"\x80\x02.", b"\x80\x04K\x01.", b"cos\nsystem\n(S'true'\ntR.", b"(lp0\n."]


@pytest.mark.filterwarnings("ignore:Detected pickle protocol")
def test_garbage_is_none_and_no_code_runs(tmp_path: Path) -> None:
    for content in (*GARBAGE, *(bytes([i]) * 40 for i in range(0, 256, 15))):
        (tmp_path / "state.pt").write_bytes(content)
        assert load_checkpoint(tmp_path / "state.pt") is None


def test_the_average_is_that_of_the_formula() -> None:
    network = nn.Linear(1, 1, bias=False)
    average, expected = loop.weight_average(network, decay=0.5), 0.0
    for t in range(1, 8):
        network.weight.data.fill_(float(t * t))
        average.update_parameters(network)
        decay = min(0.5, (1 + t) / (10 + t))
        expected = 1.0 if t == 1 else decay * expected + (1 - decay) * t * t
        assert average.module.weight.item() == pytest.approx(expected, rel=1e-6)


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
    assert not torch.equal(flip_and_rotate(plane, plane, iteration=1, seed=0)[0], images)
