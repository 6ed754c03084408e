"""PNG, JPEG and TIFF files that the tests write."""

import os

import cv2
import numpy as np
import pytest
import tifffile
from writers import breast

from mammostudy.data import images
from mammostudy.data.dicom import read_dicom, read_mammogram
from mammostudy.errors import DataError

RAMP = np.arange(4096, dtype=np.uint16).reshape(64, 64)
SMALL = np.linspace(0, 255, 120).round().astype(np.uint8).reshape(10, 12)


@pytest.mark.parametrize(("name", "pixels", "expected"), [
    ("a.png", SMALL, SMALL / 255), ("a.tif", SMALL, SMALL / 255),
    ("a.png", np.dstack([SMALL] * 3), SMALL / 255),
    ("a.png", np.dstack([SMALL] * 3 + [0 * SMALL]), SMALL / 255),  # transparent
    ("a.png", RAMP, RAMP / 4095),  # 12 bits in 16 fill the range
    ("a.tif", RAMP * 16, RAMP * 16 / 65535),
    ("a.tif", (RAMP / 4095).astype(np.float32), RAMP / 4095),
])  # fmt: skip
def test_depths_and_colours(tmp_path, name, pixels, expected):
    assert cv2.imwrite(str(tmp_path / name), pixels)
    image = read_mammogram(tmp_path / name).image
    assert image.dtype == np.float32
    np.testing.assert_allclose(image, expected, atol=1e-6)


@pytest.mark.parametrize("bigtiff", [False, True])
@pytest.mark.parametrize("pixels", [SMALL, RAMP * 16])
def test_min_is_white_is_inverted(tmp_path, pixels, bigtiff):
    for kind in ("minisblack", "miniswhite"):
        tifffile.imwrite(tmp_path / kind, pixels, photometric=kind, bigtiff=bigtiff)
    black, white = (read_mammogram(tmp_path / kind) for kind in ("minisblack", "miniswhite"))
    np.testing.assert_allclose(white.image, 1 - black.image, atol=1e-6)
    noted = [any("min-is-white" in note for note in read.notes) for read in (black, white)]
    assert noted == [False, True]


@pytest.mark.parametrize("kind", [".png", ".jpg", ".tif"])
@pytest.mark.parametrize("share", [0.02, 0.9])
def test_truncated_files(tmp_path, monkeypatch, kind, share):
    noise = np.random.default_rng(0).integers(0, 255, (64, 64), np.uint8)
    content = cv2.imencode(kind, noise)[1].tobytes()
    path = tmp_path / f"cut{kind}"
    path.write_bytes(content + bytes(range(256)))  # what lies behind the end is no damage
    assert read_mammogram(path).image.shape == noise.shape
    path.write_bytes(content[: int(len(content) * share)])
    if kind != ".tif":  # older decoders fill in grey
        monkeypatch.setattr(images, "decode", lambda _: noise)
    with pytest.raises(DataError, match=r"cut\.\w+: .*(truncated|cut off)"):
        read_mammogram(path)


@pytest.mark.parametrize("kind", [".png", ".tif"])
def test_the_size_is_asked_before_decoding(tmp_path, monkeypatch, kind):
    path = tmp_path / f"bomb{kind}"
    cv2.imwrite(str(path), np.zeros((7000, 7000), np.uint8))
    monkeypatch.setattr(images, "decode", lambda _: pytest.fail("it was decoded"))
    with pytest.raises(DataError, match=r"bomb\.\w+: .*pixels"):
        read_mammogram(path)
    assert images.MAX_PIXELS > 5517 * 6897  # the largest films pass: 24 x 30 cm at 43.5 um


def test_what_is_no_image(tmp_path):
    (tmp_path / "notes.dcm").write_bytes(b"%PDF-1.7" + bytes(400))
    for read in (read_mammogram, read_dicom):
        with pytest.raises(DataError, match=r"notes\.dcm: .*DICOM"):
            read(tmp_path / "notes.dcm")
    cv2.imwritemulti(str(tmp_path / "a.tif"), [SMALL, SMALL])
    with pytest.raises(DataError, match=r"a\.tif: .*pages"):
        read_mammogram(tmp_path / "a.tif")
    os.mkfifo(tmp_path / "pipe")
    for name in ("nowhere.dcm", ".", "pipe", "x" * 5000):
        with pytest.raises(DataError, match=r"no such image file|cannot be read"):
            read_mammogram(tmp_path / name)


def test_a_negative_is_doubtful(tmp_path):
    film = breast() * np.uint8(180)
    for name, pixels, doubtful in (("a.png", film, False), ("b.png", 255 - film, True)):
        cv2.imwrite(str(tmp_path / name), pixels)
        assert read_mammogram(tmp_path / name).doubtful == doubtful
