"""PNG, JPEG and TIFF files that the tests write."""

from __future__ import annotations

import os
import struct
from pathlib import Path

import cv2
import numpy as np
import pytest
import tifffile

from mammostudy.data import images
from mammostudy.data.dicom import read_dicom, read_image, read_mammogram
from mammostudy.errors import DataError


@pytest.mark.parametrize("suffix", [".png", ".tif"])
@pytest.mark.parametrize(("dtype", "top"), [(np.uint8, 255), (np.uint16, 65535)])
def test_grey_and_colour(tmp_path: Path, suffix: str, dtype: type, top: int) -> None:
    pixels = np.linspace(0, top, 120).round().astype(dtype).reshape(10, 12)
    path = tmp_path / f"a{suffix}"
    assert cv2.imwrite(str(path), pixels)
    image = read_image(path)
    assert image.dtype == np.float32
    np.testing.assert_allclose(image, pixels / top, atol=1e-6)
    cv2.imwrite(str(path), np.dstack([pixels] * 3))
    np.testing.assert_allclose(read_image(path), image, atol=2 / 255)


def test_twelve_bits_in_sixteen_fill_the_range(tmp_path: Path) -> None:
    ramp = np.arange(4096, dtype=np.uint16).reshape(64, 64)
    cv2.imwrite(str(tmp_path / "a.png"), ramp)
    np.testing.assert_allclose(read_image(tmp_path / "a.png"), ramp / 4095, atol=1e-6)


def test_float_tiff_and_alpha(tmp_path: Path) -> None:
    values = np.linspace(0, 1, 64, dtype=np.float32).reshape(8, 8)
    cv2.imwrite(str(tmp_path / "a.tif"), values)
    np.testing.assert_allclose(read_image(tmp_path / "a.tif"), values, atol=1e-6)
    grey = np.full((8, 8), 51, np.uint8)
    cv2.imwrite(str(tmp_path / "a.png"), np.dstack([grey, grey, grey, np.zeros_like(grey)]))
    np.testing.assert_allclose(read_image(tmp_path / "a.png"), 0.2, atol=1e-6)


@pytest.mark.parametrize("bigtiff", [False, True])
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_min_is_white_is_inverted_in_every_depth(
    tmp_path: Path, dtype: type, bigtiff: bool
) -> None:
    pixels = np.linspace(0, np.iinfo(dtype).max, 64).round().astype(dtype).reshape(8, 8)
    for kind in ("minisblack", "miniswhite"):
        tifffile.imwrite(tmp_path / kind, pixels, photometric=kind, bigtiff=bigtiff)
    black, white = (read_mammogram(tmp_path / kind) for kind in ("minisblack", "miniswhite"))
    np.testing.assert_allclose(white.image, 1 - black.image, atol=1e-6)
    assert any("min-is-white" in note for note in white.notes)
    assert not any("min-is-white" in note for note in black.notes)


def encoded(suffix: str) -> bytes:
    noise = np.random.default_rng(0).integers(0, 255, (64, 64), np.uint8)
    return cv2.imencode(suffix, noise)[1].tobytes()


@pytest.mark.parametrize("kind", [".png", ".jpg", ".tif"])
@pytest.mark.parametrize("share", [0.02, 0.9])
def test_truncated_files(tmp_path: Path, kind: str, share: float) -> None:
    content = encoded(kind)
    path = tmp_path / f"cut{kind}"
    path.write_bytes(content[: int(len(content) * share)])
    with pytest.raises(DataError, match=r"cut\.\w+: .*(truncated|cut off|do not decode)"):
        read_image(path)


def test_a_cut_picture_needs_the_check_of_its_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "cut.jpg"
    path.write_bytes(encoded(".jpg")[:-200])
    grey = np.zeros((64, 64), np.uint8)
    monkeypatch.setattr(images, "decode", lambda content: grey)  # older decoders fill in grey
    with pytest.raises(DataError, match="truncated"):
        read_image(path)
    path.write_bytes(encoded(".jpg"))
    assert (read_image(path) == 0).all()  # control: only the end of the data was missing


@pytest.mark.parametrize("kind", [".png", ".jpg", ".tif"])
def test_the_size_is_asked_before_decoding(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    path = tmp_path / f"bomb{kind}"
    if kind == ".png":
        cv2.imwrite(str(path), np.zeros((7000, 7000), np.uint8))
    elif kind == ".tif":
        tifffile.imwrite(path, np.zeros((7000, 7000), np.uint8), compression="zlib")
    else:
        content = encoded(kind)
        frame = content.index(b"\xff\xc0") + 5
        path.write_bytes(
            content[:frame] + struct.pack(">HH", 12_000, 12_000) + content[frame + 4 :]
        )
    monkeypatch.setattr(images, "decode", lambda content: pytest.fail("it was decoded"))
    with pytest.raises(DataError, match=r"bomb\.\w+: holds more than 48,000,000 pixels"):
        read_image(path)
    assert images.MAX_PIXELS > 5517 * 6897  # the largest films pass: 24 x 30 cm at 43.5 um


def test_what_is_no_image(tmp_path: Path) -> None:
    (tmp_path / "notes.dcm").write_bytes(b"%PDF-1.7" + bytes(400))
    with pytest.raises(DataError, match="DICOM, PNG, JPEG"):
        read_image(tmp_path / "notes.dcm")
    with pytest.raises(DataError, match="DICM"):
        read_dicom(tmp_path / "notes.dcm")
    os.mkfifo(tmp_path / "pipe")
    for name in ("nowhere.dcm", ".", "pipe", "x" * 5000):
        with pytest.raises(DataError, match=r"no such image file|cannot be read"):
            read_image(tmp_path / name)


def test_a_tiff_of_several_pages(tmp_path: Path) -> None:
    page = np.zeros((8, 8), np.uint8)
    cv2.imwritemulti(str(tmp_path / "a.tif"), [page, page])
    with pytest.raises(DataError, match="several pages"):
        read_image(tmp_path / "a.tif")


def test_a_negative_is_doubtful(tmp_path: Path) -> None:
    y, x = np.mgrid[:120, :100]
    film = np.where(np.hypot((y - 60) / 55, x / 70) < 1, 180, 0).astype(np.uint8)
    for name, pixels, doubtful in (("a.png", film, False), ("b.png", 255 - film, True)):
        cv2.imwrite(str(tmp_path / name), pixels)
        read = read_mammogram(tmp_path / name)
        assert read.doubtful == doubtful
        assert any("background is bright" in note for note in read.notes) == doubtful
