"""The cache: made once, remade when damaged, never half-written."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from mammostudy.data import cache
from mammostudy.data.cache import cached_arrays, digest, write_atomically

CONTENT = {"of": "test"}


class Maker:
    def __init__(self) -> None:
        self.calls = 0

    def __call__(self) -> dict[str, np.ndarray]:
        self.calls += 1
        return {"a": np.arange(6.0).reshape(2, 3), "b": np.array([True, False])}


def files(store: Path) -> list[Path]:
    return [path for path in store.rglob("*") if path.is_file()]


def test_arrays_are_made_once_and_come_back_exact(own_store: Path) -> None:
    make = Maker()
    first = cached_arrays("room", CONTENT, make)
    second = cached_arrays("room", CONTENT, make)
    assert make.calls == 1
    assert set(second) == {"a", "b"}
    for name, array in first.items():
        np.testing.assert_array_equal(second[name], array)
        assert second[name].dtype == array.dtype
    assert files(own_store) == [
        own_store / "cache" / "room" / f"{digest({**CONTENT, 'version': cache.VERSION})}.npz"
    ]
    cached_arrays("room", CONTENT | {"more": 1}, make)
    assert make.calls == 2


def test_digest_ignores_order_and_sees_content() -> None:
    assert digest({"a": 1, "b": [2]}) == digest({"b": [2], "a": 1})
    assert digest({"a": 1}) != digest({"a": 2})
    assert len(digest({})) == 20


def cut(path: Path, share: float) -> None:
    content = path.read_bytes()
    path.write_bytes(content[: int(len(content) * share)])


@pytest.mark.parametrize("damage", ["empty", "half", "cut end", "text", "bare npy", "flipped"])
def test_a_damaged_file_is_remade(own_store: Path, damage: str) -> None:
    make = Maker()
    cached_arrays("room", CONTENT, make)
    (path,) = files(own_store)
    if damage == "text":
        path.write_text("not an archive")
    elif damage == "bare npy":
        with path.open("wb") as stream:
            np.save(stream, np.arange(3))
    elif damage == "flipped":
        content = bytearray(path.read_bytes())
        content[len(content) // 4] ^= 0xFF
        path.write_bytes(content)
    else:
        cut(path, {"empty": 0.0, "half": 0.5, "cut end": 0.97}[damage])
    again = cached_arrays("room", CONTENT, make)
    np.testing.assert_array_equal(again["a"], np.arange(6.0).reshape(2, 3))
    assert make.calls == 2
    cached_arrays("room", CONTENT, make)
    assert make.calls == 2  # whole again


@pytest.mark.parametrize("error", [OSError, KeyboardInterrupt])
def test_a_killed_write_leaves_nothing(tmp_path: Path, error: type[BaseException]) -> None:
    def half(partial: Path) -> None:
        partial.write_bytes(b"half")
        raise error

    path = tmp_path / "new" / "a.bin"
    with pytest.raises(error):
        write_atomically(path, half)
    assert files(tmp_path) == []
    path.write_bytes(b"old")
    with pytest.raises(error):
        write_atomically(path, half)
    assert path.read_bytes() == b"old"
    with pytest.raises(error):
        half(path)
    assert path.read_bytes() == b"half"  # control: in place it would be half-written
