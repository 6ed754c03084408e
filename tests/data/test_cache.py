"""The cache: made once, remade when damaged, never half-written."""

import numpy as np
import pytest

from mammostudy.data.cache import cached_arrays, write_atomically


def files(store):
    return [path for path in store.rglob("*") if path.is_file()]


@pytest.mark.parametrize("damage", [None, "empty", "half", "text", "flipped"])
def test_arrays_are_made_once_and_again_where_the_file_is_damaged(own_store, damage):
    calls, arrays = [], {"a": np.arange(6.0).reshape(2, 3), "b": np.array([True, False])}

    def make():
        calls.append(1)
        return arrays

    cached_arrays("room", {"of": "test"}, make)
    (path,) = files(own_store)
    content = bytearray(path.read_bytes())
    content[len(content) // 4] ^= 0xFF
    if damage:
        half = path.read_bytes()[: len(content) // 2]
        damaged = {"empty": b"", "half": half, "text": b"no archive", "flipped": bytes(content)}
        path.write_bytes(damaged[damage])
    for _ in range(2):
        again = cached_arrays("room", {"of": "test"}, make)
        assert {name: array.dtype for name, array in again.items()} == {"a": float, "b": bool}
        np.testing.assert_array_equal(again["a"], arrays["a"])
    assert len(calls) == (2 if damage else 1)
    cached_arrays("room", {"of": "test", "more": 1}, make)
    assert len(files(own_store)) == 2


def test_a_killed_write_leaves_nothing(tmp_path):
    def half(partial):
        partial.write_bytes(b"half")
        raise KeyboardInterrupt

    path = tmp_path / "new" / "a.bin"
    for before in (None, b"old"):
        if before:
            path.write_bytes(before)
        with pytest.raises(KeyboardInterrupt):
            write_atomically(path, half)
        assert [file.read_bytes() for file in files(tmp_path)] == ([before] if before else [])
    with pytest.raises(KeyboardInterrupt):
        half(path)
    assert path.read_bytes() == b"half"  # control: in place it would be half-written
