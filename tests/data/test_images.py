"""PNG, JPEG and TIFF files that the tests write."""

import os

import cv2
import numpy as np
import pytest
import tifffile
from writers import breast, write_dicom

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
    ("a.tif", (RAMP / 4095).astype(np.float32), RAMP / 4095), ("a.bmp", SMALL, SMALL / 255),
    ("a.tif", RAMP.astype(np.int16), RAMP / 4095),
])  # fmt: skip
def test_depths_and_colours(tmp_path, name, pixels, expected):
    assert cv2.imwrite(str(tmp_path / name), pixels)
    image = read_mammogram(tmp_path / name).image
    assert image.dtype == np.float32
    np.testing.assert_allclose(image, expected, atol=1e-6)


def film(bits, label):
    """A breast of so many bits in 16 with a burnt-in label of the highest value."""
    y, x = np.mgrid[:240, :200]
    tissue = 0.55 + 0.25 * np.sin(x / 9) * np.cos(y / 7)
    pixels = np.where(np.hypot((y - 120) / 100, x / 120) < 1, tissue * (2**bits - 1), 3)
    pixels = pixels.astype(np.uint16)
    if label in ("text", "smooth"):
        drawn = np.zeros(pixels.shape, np.uint8)
        cv2.putText(drawn, "RCC", (110, 30), 0, 1, 255, 2, cv2.LINE_AA)
        drawn = drawn if label == "smooth" else (drawn > 127) * np.uint8(255)
        pixels = np.maximum(pixels, drawn.astype(np.uint16) * 257)
    elif label == "box":
        pixels[10:30, 130:180] = 65535
    elif label == "pixel":
        pixels[3, 190] = 65535
    return pixels


@pytest.mark.parametrize("label", ["text", "smooth", "box", "pixel"])
@pytest.mark.parametrize("bits", [10, 12, 14])
@pytest.mark.parametrize("suffix", [".png", ".tif", ".dcm"])
def test_a_burnt_in_label_leaves_the_breast_as_it_is(tmp_path, suffix, bits, label):
    plain, marked = film(bits, ""), film(bits, label)
    found = []
    for name, pixels in (("plain", plain), ("marked", marked)):
        path = (tmp_path / name).with_suffix(suffix)
        if suffix == ".dcm":
            write_dicom(path, pixels, 16)
        else:
            cv2.imwrite(str(path), pixels)
        found.append(read_mammogram(path))
    same = plain == marked
    if suffix == ".dcm" and label == "smooth":  # the range's end is that of the label's edges
        assert found[1].image[same].max() > 0.5
    else:
        np.testing.assert_allclose(found[1].image[same], found[0].image[same], atol=1e-6)
    assert (found[1].image.max(), found[0].notes) == (1, ())
    assert found[1].notes == (images.LABELLED,)


@pytest.mark.parametrize("pixels", [
    RAMP * 16, film(16, ""), film(16, "box"), np.arange(1 << 16, dtype=np.uint16).reshape(256, 256),
    np.random.default_rng(0).exponential(2000, (300, 300)).clip(0, 65535).astype(np.uint16),
    np.kron([[0, 65535]], np.ones((50, 50))).astype(np.uint16),
])  # fmt: skip
def test_bright_pixels_that_are_no_label(pixels):
    image, notes = images.unit(pixels)
    depth = next(bits for bits in images.DEPTHS if pixels.max() < 2**bits)
    np.testing.assert_array_equal(image, pixels.astype(np.float32) / np.float32(2**depth - 1))
    assert notes == ()


@pytest.mark.parametrize("bigtiff", [False, True])
@pytest.mark.parametrize("pixels", [SMALL, RAMP * 16])
def test_min_is_white_is_inverted(tmp_path, pixels, bigtiff):
    for kind in ("minisblack", "miniswhite"):
        tifffile.imwrite(tmp_path / kind, pixels, photometric=kind, bigtiff=bigtiff)
    black, white = (read_mammogram(tmp_path / kind) for kind in ("minisblack", "miniswhite"))
    np.testing.assert_allclose(white.image, 1 - black.image, atol=1e-6)
    noted = [any("min-is-white" in note for note in read.notes) for read in (black, white)]
    assert noted == [False, True]


@pytest.mark.parametrize("bits", [10, 12, 14])
@pytest.mark.parametrize(("label", "inverted_in", "notes"), [
    ("", "its depth", (images.NEGATIVE,)), ("", "16 bits", (images.NEGATIVE,)),
    ("box", "16 bits", (images.LABELLED, images.NEGATIVE)),
    ("text", "16 bits", (images.LABELLED, images.NEGATIVE)),
    ("black box", "its depth", (images.LABELLED, images.NEGATIVE)),
])  # fmt: skip
def test_a_negative_with_a_label_is_that_of_its_film(tmp_path, bits, label, inverted_in, notes):
    drawn = film(bits, label)
    stored = (2**bits if inverted_in == "its depth" else 1 << 16) - 1 - drawn
    if label == "black box":
        stored[10:30, 130:180] = 65535
        drawn[10:30, 130:180] = 0
    cv2.imwrite(str(tmp_path / "a.png"), drawn)
    tifffile.imwrite(tmp_path / "a.tif", stored.astype(np.uint16), photometric="miniswhite")
    read = read_mammogram(tmp_path / "a.tif")
    np.testing.assert_allclose(read.image, read_mammogram(tmp_path / "a.png").image, atol=1e-6)
    assert read.notes == notes


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
        monkeypatch.setattr(images.cv2, "imdecode", lambda *_: noise)
    with pytest.raises(DataError, match=r"cut\.\w+: .*(truncated|cut off)"):
        read_mammogram(path)


def test_a_jpeg_ends_where_its_data_do(tmp_path):
    content = cv2.imencode(".jpg", SMALL)[1].tobytes()
    comment = b"\xff\xfe\x00\x06\xff\xd9\xff\xda"  # as a thumbnail in a header has them
    (tmp_path / "a.jpg").write_bytes(content[:2] + comment + content[2:] + b"\xff\xda" * 1024)
    np.testing.assert_array_equal(read_mammogram(tmp_path / "a.jpg").image, cv2.imdecode(
        np.frombuffer(content, np.uint8), 0) / np.float32(255))  # fmt: skip
    (tmp_path / "a.jpg").write_bytes(content[:2] + comment + content[2:-40])
    with pytest.raises(DataError, match=r"a\.jpg: .*truncated"):
        read_mammogram(tmp_path / "a.jpg")


@pytest.mark.parametrize(("marker", "bits", "words"), [
    (0xC3, 8, "lossless"), (0xC3, 16, "lossless"), (0xC7, 12, "lossless"), (0xC1, 12, "12 bits"),
])  # fmt: skip
def test_a_sound_jpeg_of_a_rare_kind_is_not_called_damaged(
    tmp_path, monkeypatch, marker, bits, words
):
    content = bytearray(cv2.imencode(".jpg", SMALL)[1].tobytes())
    at = content.index(b"\xff\xc0")
    content[at + 1], content[at + 4] = marker, bits
    (tmp_path / "a.jpg").write_bytes(content)
    monkeypatch.setattr(images.cv2, "imdecode", lambda *_: None)
    with pytest.raises(DataError, match=rf"a\.jpg: .*{words}") as caught:
        read_mammogram(tmp_path / "a.jpg")
    assert not any(word in str(caught.value) for word in ("damaged", "truncated", "no image"))


@pytest.mark.parametrize("kind", [".png", ".tif"])
def test_the_size_is_asked_before_decoding(tmp_path, monkeypatch, kind):
    path = tmp_path / f"bomb{kind}"
    cv2.imwrite(str(path), np.zeros((7000, 7000), np.uint8))
    monkeypatch.setattr(images.cv2, "imdecode", lambda *_: pytest.fail("it was decoded"))
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
        with pytest.raises(DataError, match=r"no such|cannot be read|a folder"):
            read_mammogram(tmp_path / name)


def test_a_negative_is_doubtful(tmp_path):
    film = breast() * np.uint8(180)
    for name, pixels, doubtful in (("a.png", film, False), ("b.png", 255 - film, True)):
        cv2.imwrite(str(tmp_path / name), pixels)
        assert read_mammogram(tmp_path / name).doubtful == doubtful
