"""DDSM's chain codes: an outline as a first pixel and steps to neighbours, 0 up, then clockwise."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np
from numpy.typing import ArrayLike, NDArray

from mammostudy.errors import DataError

STEPS: Final = ((0, -1), (1, -1), (1, 0), (1, 1), (0, 1), (-1, 1), (-1, 0), (-1, -1))
"""x and y of the directions 0 to 7: up, up right, right, and so on; y grows downwards."""
END: Final = "#"
LONGEST: Final = 100_000  # steps; the outline of a whole film has about 20,000
FARTHEST: Final = 100_000  # px
OPEN: Final = 0.1  # of the steps, by which the last pixel may be away from the first
_DIGITS: Final = frozenset("01234567")


def decode_chain(words: Sequence[str]) -> NDArray[np.int64]:
    """Turn a chain code into the pixels that it steps on.

    Args:
        words: the line's words: column and row of the first pixel, then one digit a step, then
            ``#``.

    Returns:
        int64 ``(k, 2)`` of x and y, k = steps + 1. A chain that comes back to its first pixel has
        it at both ends.

    Raises:
        DataError: saying what is wrong with the code, without the file's name.
    """
    if len(words) < 3 or END not in words:
        msg = f"the chain code has no end ({END})" if END not in words else "it has no first pixel"
        raise DataError(msg)
    if words.index(END) != len(words) - 1:
        msg = f"the chain code goes on after its end ({END})"
        raise DataError(msg)
    first, digits = words[:2], words[2:-1]
    if not all(word.isascii() and word.isdigit() and len(word) <= 9 for word in first):
        msg = "the chain code does not start with a column and a row"
        raise DataError(msg)
    x, y = map(int, first)
    if max(x, y) > FARTHEST or len(digits) > LONGEST:
        msg = f"the chain code starts at {x},{y} and has {len(digits)} steps, beyond any film"
        raise DataError(msg)
    wrong = next((k for k, word in enumerate(digits) if word not in _DIGITS), None)
    if wrong is not None:
        msg = f"step {wrong + 1} of the chain code is not a direction of 0 to 7"
        raise DataError(msg)
    codes = np.frombuffer("".join(digits).encode(), np.uint8) - ord("0")
    steps = np.empty((len(digits) + 1, 2), np.int64)
    steps[0] = x, y
    steps[1:] = np.asarray(STEPS, np.int64)[codes]
    return np.cumsum(steps, axis=0)


def encode_chain(pixels: ArrayLike) -> str:
    """Write pixels as a chain code: the inverse of :func:`decode_chain`.

    Args:
        pixels: int ``(k, 2)`` of x and y, k >= 1, each a neighbour of the one before.

    Raises:
        DataError: two that follow each other are no neighbours, or the first is negative.
    """
    points = np.asarray(pixels, np.int64).reshape(-1, 2)
    codes = []
    for step in np.diff(points, axis=0).tolist():
        if tuple(step) not in STEPS:
            msg = f"a step of {step[0]},{step[1]} pixels is not one to a neighbour"
            raise DataError(msg)
        codes.append(str(STEPS.index((step[0], step[1]))))
    if not len(points) or points[0].min() < 0:
        msg = "a chain code needs a first pixel inside the image"
        raise DataError(msg)
    return " ".join([str(points[0, 0]), str(points[0, 1]), *codes, END])


def is_closed(pixels: NDArray[np.int64]) -> bool:
    """Whether the last pixel is near the first: at most :data:`OPEN` of the steps away, or 2."""
    gap = int(np.abs(pixels[-1] - pixels[0]).max())
    return gap <= max(2.0, OPEN * (len(pixels) - 1))


def corners(pixels: NDArray[np.int64]) -> NDArray[np.int64]:
    """Leave out the pixels that lie straight between their neighbours, and a repeated first one.

    The outline encloses the same pixels, and a manifest needs fewer points for it. Pixels that the
    chain steps on twice stay: they may be a spike, one pixel wide.
    """
    if len(pixels) > 1 and (pixels[0] == pixels[-1]).all():
        pixels = pixels[:-1]
    before = pixels - np.roll(pixels, 1, axis=0)
    after = np.roll(pixels, -1, axis=0) - pixels
    _, at, visits = np.unique(pixels, axis=0, return_inverse=True, return_counts=True)
    kept = (before != after).any(axis=1) | (visits[at.ravel()] > 1)
    return pixels[kept] if len(pixels) > 2 else pixels
