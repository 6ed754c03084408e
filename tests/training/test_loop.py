"""The loop: batches, curves, checkpoints, resuming after any death, the average of weights."""

import os
import signal
import sys
from contextlib import nullcontext

import numpy as np
import pytest
import torch
from torch import nn

from mammostudy.errors import DataError
from mammostudy.models.common import weight_average
from mammostudy.training import loop
from mammostudy.training.loop import batch_of, load_checkpoint, save_checkpoint
from mammostudy.training.segmentation import Averaged, Budget, fit, flip_and_rotate

BUDGET = Budget(iterations=7, batch=4, validations=3)
STATE = {"iteration": 3, "curves": [{"overlap": 0.5}], "random": torch.get_rng_state()}


def run(trainer, batch, path, validate=None):
    first = next(trainer.generator.parameters())
    return fit(
        trainer, *batch, BUDGET, seed=0, checkpoint=path, progress=False, augment=True,
        validate=validate or (lambda: float(first.detach().abs().mean())),
    )  # fmt: skip


@pytest.mark.parametrize(("n", "batch"), [(10, 4), (8, 8), (5, 8), (1, 1)])
def test_every_epoch_is_a_permutation(n, batch):
    per_epoch = -(-n // batch)
    epochs = []
    for epoch in range(3):
        rows = [batch_of(n, epoch * per_epoch + i, batch, seed=2) for i in range(per_epoch)]
        assert all(0 < len(r) <= batch for r in rows)
        epochs.append(torch.cat(rows).tolist())
        assert sorted(epochs[-1]) == list(range(n))
    assert n < 5 or epochs[0] != epochs[1]


def test_golden_order():
    order = [batch_of(10, i, 4, seed=3).tolist() for i in range(4)]
    assert order == [[4, 5, 0, 1], [2, 8, 3, 6], [9, 7], [1, 9, 5, 6]]


def test_curves_and_validations(adversarial, batch, tmp_path):
    fitted = run(adversarial(), batch, tmp_path / "c.pt")
    assert [row["iteration"] for row in fitted.curves] == [1, 2, 3, 4, 5, 6, 7]
    validated = [row["iteration"] for row in fitted.curves if "validation_dice" in row]
    assert validated == [2, 4, 6, 7]  # every 7 // 3, and the last
    assert fitted.diverged is None
    assert not (tmp_path / "c.pt").exists()  # nothing to keep of a run shorter than half a minute


@pytest.mark.parametrize(("after", "decay"), [(1, 0.0), (3, 0.9), (6, 0.0)])
def test_killed_runs_resume(after, decay, adversarial, batch, killed, flat, tmp_path, monkeypatch):
    def trained(name, seed=0, drawn=5):
        inner = adversarial(seed)
        trainer = Averaged(inner, decay) if decay else inner
        torch.manual_seed(drawn)
        curves = run(trainer, batch, tmp_path / name).curves
        return curves, flat(trainer.generator, inner.generator, inner.discriminator)

    curves, weights = trained("whole.pt")
    killed(lambda: trained("killed.pt"), after)
    assert load_checkpoint(tmp_path / "killed.pt")["iteration"] == after
    again, resumed = trained("killed.pt", seed=99, drawn=1234)  # both come from the checkpoint
    assert again == curves
    assert torch.equal(resumed, weights)
    monkeypatch.setattr(torch, "set_rng_state", lambda state: None)  # the control
    assert not torch.equal(trained("killed.pt", drawn=1234)[1], weights)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("within", ["step", "validation"])
def test_a_run_told_to_end_keeps_the_step_that_it_is_at(
    within, number, adversarial, batch, flat, tmp_path, monkeypatch
):
    """And what it was about to tell of it. Without the hold, half a step stands in the weights."""
    signal.signal(signal.SIGINT, signal.default_int_handler)  # ignored in a shell's background

    def trained(name, stop=None):
        trainer = adversarial()
        judge, asked = trainer._judge, []

        def judged(*words):  # three times a step
            asked.append(words)
            if stop == "step" and len(asked) == 9:  # D has moved, G has not
                os.kill(os.getpid(), number)
            return judge(*words)

        def validate():
            if stop == "validation" and len(asked) == 12:
                os.kill(os.getpid(), number)
            return float(flat(trainer.generator).abs().mean())

        monkeypatch.setattr(trainer, "_judge", judged)
        curves = run(trainer, batch, tmp_path / name, validate).curves
        return curves, flat(trainer.generator, trainer.discriminator)

    def stopped(name):
        with pytest.raises((SystemExit, KeyboardInterrupt)):
            trained(name, within)
        return load_checkpoint(tmp_path / name)["iteration"], trained(name)

    usual = signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    try:
        curves, weights = trained("whole.pt")
        done, (again, resumed) = stopped("stopped.pt")
        assert done == (3 if within == "step" else 4)
        assert again == curves
        assert torch.equal(resumed, weights)
        if within == "step":  # the control
            monkeypatch.setattr(loop, "held", nullcontext)
            assert not torch.equal(stopped("half.pt")[1][1], weights)
    finally:
        signal.signal(signal.SIGTERM, usual)


def test_the_state_of_every_graphics_card_is_kept_and_given_back(tmp_path, monkeypatch):
    """A machine with fewer of them takes what it can."""
    states = [torch.full((4,), number, dtype=torch.uint8) for number in (7, 8)]
    given, path, parts = {}, tmp_path / "c.pt", {"network": nn.Linear(1, 1)}
    with monkeypatch.context() as patch:
        patch.setattr(torch.cuda, "is_available", lambda: True)
        patch.setattr(torch.cuda, "get_rng_state_all", lambda: states)
        loop._keep(path, parts, 2, seconds=0.0, curves=[])
    monkeypatch.setattr(torch.cuda, "set_rng_state", lambda s, at: given.update({at: s.tolist()}))
    for cards, expected in ((0, {}), (1, {0: [7] * 4}), (2, {0: [7] * 4, 1: [8] * 4})):
        monkeypatch.setattr(torch.cuda, "device_count", lambda cards=cards: cards)
        assert loop._resumed(path, parts)[0] == 2
        assert given == expected


def test_a_checkpoint_is_read_to_the_processor(tmp_path, monkeypatch):
    """One that was written on a graphics card is read where there is none."""
    save_checkpoint(tmp_path / "c.pt", STATE)
    usual, asked = torch.load, []
    monkeypatch.setattr(torch, "load", lambda path, **o: asked.append(o) or usual(path, **o))
    assert load_checkpoint(tmp_path / "c.pt") is not None
    assert asked == [{"weights_only": True, "map_location": "cpu"}]


@pytest.mark.parametrize("other", ["wider", "no adversary", "renamed", "older"])
def test_a_checkpoint_of_another_run(other, adversarial, supervised, batch, killed, tmp_path):
    path = tmp_path / "c.pt"
    killed(lambda: run(adversarial(), batch, path), 3)
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


GARBAGE = [b"garbage", b"\x80\x02.", b"\x80\x04K\x01.", b"cos\nsystem\n(S'true'\ntR.", b"(lp0\n."]


@pytest.mark.filterwarnings("ignore:Detected pickle protocol")
def test_half_a_checkpoint_or_garbage_is_none_and_no_code_runs(tmp_path):
    path = tmp_path / "deep" / "state.pt"
    save_checkpoint(path, STATE)
    assert [each.name for each in path.parent.iterdir()] == ["state.pt"]
    assert torch.equal(load_checkpoint(path)["random"], STATE["random"])
    whole = path.read_bytes()
    halves = [whole[: int(share * len(whole))] for share in (0.0, 0.01, 0.3, 0.9, 0.999)]
    for content in (*halves, *GARBAGE, *(bytes([i]) * 40 for i in range(0, 256, 15))):
        path.write_bytes(content)
        assert load_checkpoint(path) is None
    assert load_checkpoint(tmp_path) is None


def test_every_flip_of_a_checkpoint_is_noticed_and_named(tmp_path, caplog):
    path = tmp_path / "c.pt"
    save_checkpoint(path, STATE)
    whole = path.read_bytes()

    def read(content):
        found = []
        for at in np.random.default_rng(0).integers(0, len(content), 180).tolist():
            path.write_bytes(content[:at] + bytes([content[at] ^ 1]) + content[at + 1 :])
            found.append(load_checkpoint(path))
        return [torch.equal(state["random"], STATE["random"]) for state in found if state]

    sound = read(whole)
    assert all(sound)  # where the mark before the checksum was hit
    assert caplog.text.count("c.damaged") == 180 - len(sound) > 170
    assert not all(read(whole[: whole.rindex(loop.SEAL)]))  # the control: as it once was


def test_the_average_is_that_of_the_formula():
    network = nn.Linear(1, 1, bias=False)
    average, expected = weight_average(network, decay=0.5), 0.0
    for t in range(1, 8):
        network.weight.data.fill_(float(t * t))
        average.update_parameters(network)
        decay = min(0.5, (1 + t) / (10 + t))
        expected = 1.0 if t == 1 else decay * expected + (1 - decay) * t * t
        assert average.module.weight.item() == pytest.approx(expected, rel=1e-6)


def test_augmentation_turns_image_and_mask_together():
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
