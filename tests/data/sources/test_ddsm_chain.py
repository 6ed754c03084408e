"""Chain codes: there and back, every direction, and the outline that they enclose."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mammostudy.data.sources.ddsm_chain import (
    LONGEST,
    STEPS,
    corners,
    decode_chain,
    encode_chain,
    is_closed,
)
from mammostudy.errors import DataError
from mammostudy.imaging.contours import fill_rows

START = st.tuples(st.integers(0, 9000), st.integers(0, 9000))
CODES = st.lists(st.integers(0, 7), max_size=200)


@given(START, CODES)
def test_code_to_pixels_to_code(start: tuple[int, int], codes: list[int]) -> None:
    words = [*map(str, (*start, *codes)), "#"]
    pixels = decode_chain(words)
    assert pixels.shape == (len(codes) + 1, 2)
    assert tuple(pixels[0]) == start
    assert encode_chain(pixels).split() == words


@given(START, CODES)
def test_steps_go_to_the_neighbour_that_the_clock_says(
    start: tuple[int, int], codes: list[int]
) -> None:
    steps = np.diff(decode_chain([*map(str, (*start, *codes)), "#"]), axis=0)
    assert (np.abs(steps).max(axis=1, initial=1) == 1).all()
    for (x, y), code in zip(steps.tolist(), codes, strict=True):
        hour = np.degrees(np.arctan2(x, -y)) % 360  # clockwise from up, y grows downwards
        assert hour == pytest.approx(45 * code)


def test_the_table_of_the_owners() -> None:
    x = [0, 1, 1, 1, 0, -1, -1, -1]
    y = [-1, -1, 0, 1, 1, 1, 0, -1]
    assert list(zip(x, y, strict=True)) == list(STEPS)


@given(st.lists(st.integers(0, 7), min_size=4, max_size=60), st.integers(0, 3))
def test_corners_enclose_the_same_pixels(codes: list[int], repeat: int) -> None:
    """Also where the chain crosses itself; here it comes back to its start by another way."""
    codes = [code for code in codes for _ in range(repeat + 1)]
    codes += [(code + 4) % 8 for code in sorted(codes)]
    closed = decode_chain(["300", "300", *map(str, codes), "#"])
    assert (closed[-1] == 300).all()
    few = corners(closed)
    assert len(few) <= len(closed)
    if len(few) < 3:
        return
    shape = (600, 600)
    np.testing.assert_array_equal(fill_rows(few, shape), fill_rows(closed, shape))


def test_a_rectangle_is_four_corners_and_its_boundary_belongs_to_it() -> None:
    words = ["10", "20", "2", "2", "2", "4", "4", "6", "6", "6", "0", "0", "#"]
    pixels = decode_chain(words)
    assert is_closed(pixels)
    assert corners(pixels).tolist() == [[10, 20], [13, 20], [13, 22], [10, 22]]
    mask = fill_rows(corners(pixels), (40, 40))
    assert mask.sum() == 12
    assert mask[20:23, 10:14].all()


def test_an_open_chain_is_told() -> None:
    assert not is_closed(decode_chain(["5", "5", *"2" * 20, "#"]))
    assert is_closed(decode_chain(["5", "5", "2", "2", "#"]))  # two pixels are no gap


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "no end"),
        ("#", "no first pixel"),
        ("5 #", "no first pixel"),
        ("5 5 2 2", "no end"),
        ("5 5 2 # 2", "goes on"),
        ("5 5 2 # #", "goes on"),
        ("-5 5 2 #", "column and a row"),
        ("5.0 5 2 #", "column and a row"),
        ("٣ 5 2 #", "column and a row"),
        (f"{'9' * 5000} 5 2 #", "column and a row"),
        ("100001 5 2 #", "beyond"),
        ("5 5 2 8 #", "step 2"),
        ("5 5 12 #", "step 1"),
        ("5 5 x #", "step 1"),
        ("5 5 -1 #", "step 1"),
    ],
)
def test_no_chain_code(text: str, words: str) -> None:
    with pytest.raises(DataError, match=words):
        decode_chain(text.split())


def test_a_chain_beyond_any_film() -> None:
    with pytest.raises(DataError, match="beyond"):
        decode_chain(["5", "5", *"24" * LONGEST, "#"])


def test_pixels_that_are_no_neighbours_have_no_code() -> None:
    with pytest.raises(DataError, match="2,0"):
        encode_chain([[1, 1], [3, 1]])
    with pytest.raises(DataError, match="first pixel"):
        encode_chain(np.zeros((0, 2)))
    with pytest.raises(DataError, match="0,0"):
        encode_chain([[1, 1], [1, 1]])
