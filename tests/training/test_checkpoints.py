"""Checkpoints: whole or not at all, and never a crash when they are read."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from mammostudy.training.checkpoints import resume_from

from mammostudy.errors import DataError
from mammostudy.training.loop import load_checkpoint, save_checkpoint

STATE = {"iteration": 3, "curves": [{"overlap": 0.5}], "random": torch.get_rng_state()}


def test_round_trip(tmp_path: Path) -> None:
    save_checkpoint(tmp_path / "deep" / "state.pt", STATE)
    state = load_checkpoint(tmp_path / "deep" / "state.pt")
    assert state is not None
    assert state["curves"] == STATE["curves"]
    assert torch.equal(state["random"], STATE["random"])
    assert [p.name for p in (tmp_path / "deep").iterdir()] == ["state.pt"]


def test_none_where_there_is_no_file(tmp_path: Path) -> None:
    assert load_checkpoint(tmp_path / "none.pt") is None
    assert load_checkpoint(tmp_path) is None


@pytest.mark.parametrize("share", [0.0, 0.01, 0.3, 0.9, 0.999])
def test_truncated(tmp_path: Path, share: float) -> None:
    path = tmp_path / "state.pt"
    save_checkpoint(path, STATE)
    whole = path.read_bytes()
    path.write_bytes(whole[: int(share * len(whole))])
    assert load_checkpoint(path) is None


GARBAGE = [b"garbage", b"\x80\x02.", b"\x80\x04K\x01.", b"cos\nsystem\n(S'true'\ntR.", b"(lp0\n."]


@pytest.mark.filterwarnings("ignore:Detected pickle protocol")
@pytest.mark.parametrize("content", [*GARBAGE, *(bytes([i]) * 40 for i in range(0, 256, 5))])
def test_garbage(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "state.pt"
    path.write_bytes(content)
    assert load_checkpoint(path) is None


def test_what_is_not_a_table(tmp_path: Path) -> None:
    torch.save([1, 2], tmp_path / "list.pt")
    assert load_checkpoint(tmp_path / "list.pt") is None


def test_a_failed_write_leaves_the_one_before(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "state.pt"
    save_checkpoint(path, STATE)

    def half(state: object, file: Path) -> None:
        file.write_bytes(b"half")
        raise OSError("no space left")

    monkeypatch.setattr(torch, "save", half)
    with pytest.raises(OSError, match="no space"):
        save_checkpoint(path, {})
    state = load_checkpoint(path)
    assert state is not None
    assert state["iteration"] == 3
    assert [p.name for p in tmp_path.iterdir()] == ["state.pt"]


KEPT = frozenset({"iteration", "random"})


def test_what_was_saved_is_taken_over(tmp_path: Path) -> None:
    taken: list[dict[str, object]] = []
    for name, state in (("named", STATE | {"run": "named"}), ("older", STATE)):
        save_checkpoint(tmp_path / f"{name}.pt", state)
        found = resume_from(tmp_path / f"{name}.pt", KEPT, taken.append)
        assert found is not None
        assert taken[-1] is found
    assert len(taken) == 2


def test_nothing_to_resume_from(tmp_path: Path) -> None:
    def never(state: dict[str, object]) -> None:
        pytest.fail("taken over")

    assert resume_from(tmp_path / "none.pt", KEPT, never) is None
    save_checkpoint(tmp_path / "half.pt", {"iteration": 3})
    assert resume_from(tmp_path / "half.pt", KEPT, never) is None


def test_a_checkpoint_of_another_run_is_refused_and_kept(tmp_path: Path) -> None:
    save_checkpoint(tmp_path / "abc.pt", STATE | {"run": "abc"})
    (tmp_path / "abc.pt").rename(tmp_path / "xyz.pt")
    with pytest.raises(DataError, match=r"xyz\.pt: the checkpoint of run abc, .* delete the file"):
        resume_from(tmp_path / "xyz.pt", KEPT, lambda state: None)
    assert (tmp_path / "xyz.pt").is_file()


@pytest.mark.parametrize("error", [RuntimeError, KeyError, ValueError, TypeError, AttributeError])
def test_a_checkpoint_that_does_not_fit_is_one_clear_error(
    tmp_path: Path, error: type[Exception]
) -> None:
    def fails(state: dict[str, object]) -> None:
        raise error("size mismatch for down.0.weight ...")

    save_checkpoint(tmp_path / "abc.pt", STATE)
    with pytest.raises(DataError, match=r"abc\.pt: .* does not fit the networks") as caught:
        resume_from(tmp_path / "abc.pt", KEPT, fails)
    assert caught.value.__suppress_context__
