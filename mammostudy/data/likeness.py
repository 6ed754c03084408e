"""Which images are the same picture: a perceptual hash, confirmed by correlation.

Source:
    Difference hash: Krawetz, "Kind of like that" (2013); here 16 x 16 gradients of a thumbnail.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final, NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

HASH_SIDE: Final = 16
MAXIMUM_DISTANCE: Final = 26  # of 256 bits: one in ten
THUMBNAIL: Final = 64  # px
CORRELATION: Final = 0.995  # of two thumbnails, from which on they count as one image
_BLOCK: Final = 1024  # images compared at once


class Look(NamedTuple):
    """What is kept of an image to compare it.

    Attributes:
        bits: bool ``(256,)``, the difference hash.
        thumbnail: float32 ``(4096,)`` of zero mean and unit length.
    """

    bits: NDArray[np.bool_]
    thumbnail: NDArray[np.float32]


def thumbnail(image: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return a small copy of an image, float32 ``(4096,)`` of zero mean and unit length.

    A dot product of two is their correlation.
    """
    small = cv2.resize(image, (THUMBNAIL, THUMBNAIL), interpolation=cv2.INTER_AREA).ravel()
    centred = small - small.mean()
    return np.asarray(centred / max(float(np.linalg.norm(centred)), 1e-9), dtype=np.float32)


def look(image: NDArray[np.generic]) -> Look:
    """Return the difference hash and the thumbnail of a grey image ``(h, w)``."""
    pixels = np.asarray(image, dtype=np.float32)
    wide = cv2.resize(pixels, (HASH_SIDE + 1, HASH_SIDE), interpolation=cv2.INTER_AREA)
    return Look(np.asarray(wide[:, 1:] > wide[:, :-1]).ravel(), thumbnail(pixels))


def alike(looks: Sequence[Look]) -> Iterator[tuple[int, int, float]]:
    """Yield pairs of near-duplicates: first, later one, and their correlation.

    Two images are near-duplicates where at most :data:`MAXIMUM_DISTANCE` bits of their hashes
    differ and their thumbnails correlate above :data:`CORRELATION`.
    """
    if not looks:
        return
    signs = np.stack([np.where(one.bits, 1, -1) for one in looks]).astype(np.float32)
    least = signs.shape[1] - 2 * MAXIMUM_DISTANCE  # dot product of two hashes that near
    for start in range(0, len(looks), _BLOCK):
        near = signs[start : start + _BLOCK] @ signs.T >= least
        for later, first in np.argwhere(near):
            if first < later + start:
                one, other = looks[first], looks[later + start]
                correlation = float(one.thumbnail @ other.thumbnail)
                if correlation > CORRELATION:
                    yield int(first), int(later + start), correlation
