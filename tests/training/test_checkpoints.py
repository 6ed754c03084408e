"""Checkpoints: whole or not at all, and never a crash when they are read."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from mammostudy.training.checkpoints import load_checkpoint, save_checkpoint

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
