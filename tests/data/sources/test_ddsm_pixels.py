"""Raw films: size, order of bytes, optical density by scanner; the size of pictures."""

from __future__ import annotations

import struct
import zlib
from pathlib import Path

import cv2
import numpy as np
import pytest

from mammostudy.data.sources import ddsm_pixels, owner_files
from mammostudy.data.sources.ddsm_pixels import is_raw, picture_size, read_raw
from mammostudy.errors import DataError

FIRST = {"DBA": "A", "HOWTEK": "D", "LUMISYS": "B"}


def film(
    folder: Path, grey: np.ndarray, scanner: str = "HOWTEK", letter: str = "", bits: int = 12
) -> Path:
    """Write a study's header and one raw film, the most significant byte first."""
    letter = letter or FIRST[scanner]
    rows, columns = grey.shape
    (folder / f"{letter}-3030-1.ics").write_text(
        f"ics_version 1.0\nfilename {letter}-3030-1\nDIGITIZER {scanner} X\n"
        f"LEFT_CC LINES {rows} PIXELS_PER_LINE {columns} BITS_PER_PIXEL {bits} RESOLUTION 50 "
        "NON_OVERLAY\n"
    )
    path = folder / f"{letter}_3030_1.LEFT_CC.LJPEG.1"
    path.write_bytes(grey.astype(">u2").tobytes())
    return path


GREY = np.array([[0, 1, 500], [1000, 3000, 4095]], np.uint16)


@pytest.mark.parametrize(
    ("scanner", "letter", "density"),
    [
        ("HOWTEK", "A", lambda g: 3.789 - 0.00094568 * g),
        ("HOWTEK", "D", lambda g: 3.96604095240593 - 0.00099055807612 * g),
        ("LUMISYS", "B", lambda g: (g - 4096.99) / -1009.01),
        ("LUMISYS", "C", lambda g: (g - 4096.99) / -1009.01),
        ("DBA", "A", lambda g: (np.log10(np.maximum(g, 1)) - 4.80662) / -1.07553),
    ],
)
def test_optical_density_by_scanner(
    tmp_path: Path, scanner: str, letter: str, density: object
) -> None:
    image = read_raw(film(tmp_path, GREY, scanner, letter))
    assert image.dtype == np.float32
    assert image.shape == (2, 3)
    expected = (3.60 - density(GREY.astype(float))) / 3.55  # type: ignore[operator]
    np.testing.assert_allclose(image, np.clip(expected, 0, 1), atol=1e-6)
    assert (np.diff(image.ravel()) >= 0).all()  # dense tissue is bright


def test_the_other_order_of_bytes_is_turned_where_the_bits_tell(tmp_path: Path) -> None:
    right = read_raw(film(tmp_path, GREY))
    path = film(tmp_path, GREY)
    path.write_bytes(GREY.astype("<u2").tobytes())
    np.testing.assert_array_equal(read_raw(path), right)


def test_raw_films_that_are_not_what_the_header_says(tmp_path: Path) -> None:
    path = film(tmp_path, GREY)
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(DataError, match=r"11 bytes.*LINES 2.*PIXELS_PER_LINE 3.*need 12"):
        read_raw(path)
    with pytest.raises(DataError, match="more than BITS_PER_PIXEL 12"):
        read_raw(film(tmp_path, np.full((2, 3), 0x1110, np.uint16)))
    with pytest.raises(DataError, match=r"HOWTEK at WFU.*no published calibration"):
        read_raw(film(tmp_path, GREY, letter="B"))
    with pytest.raises(DataError, match=r"DIGITIZER.*unknown"):
        read_raw(film(tmp_path, GREY, "OTHER", "A"))
    path = film(tmp_path, GREY)
    with pytest.raises(DataError, match="field LEFT_MLO is missing"):
        read_raw(path.rename(tmp_path / "D_3030_1.LEFT_MLO.LJPEG.1"))
    with pytest.raises(DataError, match="rename"):
        read_raw(tmp_path / "film.raw")


@pytest.mark.parametrize(
    ("name", "raw"),
    [("B_3030_1.LEFT_CC.LJPEG.1", True), ("B_3030_1.LEFT_CC.LJPEG", False),
     ("B_3030_1.LEFT_CC.png", False), ("E_3030_1.LEFT_CC.LJPEG.1", False)],
)  # fmt: skip
def test_raw_films_are_told_by_name(name: str, raw: bool) -> None:
    assert is_raw(Path(name)) == raw


@pytest.mark.parametrize("ending", ["png", "tif", "tiff"])
def test_pictures_have_a_size_without_their_pixels(tmp_path: Path, ending: str) -> None:
    path = tmp_path / f"film.{ending}"
    cv2.imwrite(str(path), np.zeros((50, 40), np.uint16))
    assert picture_size(path) == (50, 40)


def png(width: int, height: int) -> bytes:
    """A PNG that claims a size and holds next to nothing."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(
            ">I", zlib.crc32(kind + data)
        )  # fmt: skip

    header = struct.pack(">IIBBBBB", width, height, 16, 0, 0, 0, 0)
    body = chunk(b"IDAT", zlib.compress(b"\0" * 9)) + chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + body


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "not a readable"),
        (b"oops" * 30, "not a readable"),
        (png(60_000, 60_000), "not a readable|no mammogram"),
        (png(9_000, 9_000), "too many"),
        (png(17_000, 10), "no mammogram"),
        (png(0, 10), "not a readable|no mammogram"),
        (png(40, 50)[:-12], "cut off"),
        (b"II*\0" + b"\xff" * 60, "not a readable"),
        (b"\xff\xd8\xff\xe0" + b"\0" * 60, "not a readable"),
    ],
)
def test_pictures_that_are_none(tmp_path: Path, content: bytes, words: str) -> None:
    path = tmp_path / "film.png"
    path.write_bytes(content)
    with pytest.raises(DataError, match=words) as caught:
        picture_size(path)
    assert str(path) in str(caught.value)


def test_without_the_guard_the_huge_picture_passes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "film.png"
    path.write_bytes(png(9_000, 9_000))
    monkeypatch.setattr(owner_files, "MOST_PIXELS", 10**12)
    assert ddsm_pixels.picture_size(path) == (9_000, 9_000)
