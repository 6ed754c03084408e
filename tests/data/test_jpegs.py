"""The size of a JPEG from its header."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from mammostudy.data.jpegs import jpeg_size
from mammostudy.errors import DataError


@pytest.mark.parametrize("progressive", [0, 1])
def test_the_size_is_that_of_the_pixels(progressive: int, tmp_path: Path) -> None:
    path = tmp_path / "a.jpg"
    flags = [cv2.IMWRITE_JPEG_PROGRESSIVE, progressive]
    cv2.imwrite(str(path), np.zeros((37, 91), np.uint8), flags)
    assert jpeg_size(path) == (37, 91)
    content = path.read_bytes()
    path.write_bytes(content[:2] + b"\xff\xff" + content[3:])  # a fill byte before a marker
    assert jpeg_size(path) == (37, 91)


def test_every_cut_is_one_error(tmp_path: Path) -> None:
    path = tmp_path / "a.jpg"
    cv2.imwrite(str(path), np.zeros((37, 91), np.uint8))
    content = path.read_bytes()
    start = content.index(b"\xff\xc0") + 9
    for length in range(start):
        path.write_bytes(content[:length])
        with pytest.raises(DataError, match=r"a\.jpg: no JPEG, or cut"):
            jpeg_size(path)
    path.write_bytes(content[:start])
    assert jpeg_size(path) == (37, 91)


def test_no_file(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="cannot be read"):
        jpeg_size(tmp_path / "away.jpg")
