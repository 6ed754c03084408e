"""Masks as people save them: hard and soft edges, JPEG, palettes, labels; and what is refused."""

import cv2
import numpy as np
import pandas as pd
import pytest
from PIL import Image
from writers import write_dicom, write_picture

from mammostudy.data import images
from mammostudy.data.row_files import SOFT, read_mask
from mammostudy.errors import DataError

Y, X = np.mgrid[:80, :120]
BODY = np.hypot((Y - 36) / 18, (X - 60) / 25) < 1
OTHER = np.hypot((Y - 60) / 8, (X - 20) / 9) < 1
BOTH = BODY + 2 * OTHER.astype(np.uint8)


def blurred(sigma, top=255, kind=np.uint8):
    ramp = cv2.GaussianBlur(BODY.astype(np.float64), (0, 0), sigma) * top
    return (ramp.round() if kind != np.float32 else ramp).astype(kind)


def reduced(values):
    """The body drawn larger and reduced by area: a grey value of few between."""
    fine = np.kron(BODY, np.ones((4, 4))) * 1.0
    fine = cv2.resize(np.roll(fine, 1, axis=(0, 1)), (120, 80), interpolation=cv2.INTER_AREA)
    return (np.round(fine * values) * (255 // values)).astype(np.uint8)


def read(folder, name, pixels, label=None):
    path = folder / name
    if name.endswith(".dcm"):
        write_dicom(path, pixels, 8)
    elif isinstance(pixels, Image.Image):
        pixels.save(path)
    else:
        write_picture(path, pixels)
    notes = []
    cells = {"case": "c", "height": 80, "width": 120, "mask": name, "mask_label": label}
    return read_mask(folder, pd.Series(cells, dtype=object), notes), notes


@pytest.mark.parametrize("name", ["m.png", "m.tif", "m.bmp", "m.dcm", "m.jpg"])
@pytest.mark.parametrize(("pixels", "soft"), [
    *[(blurred(sigma), True) for sigma in (0.6, 1.5, 3)],
    *[(reduced(values), True) for values in (3, 5, 17)], (BODY * np.uint8(255), False),
])  # fmt: skip
def test_soft_edges_are_cut_at_half(tmp_path, name, pixels, soft):
    found, notes = read(tmp_path, name, pixels)
    assert (found ^ BODY).sum() <= (0.04 if soft else 0.005) * BODY.sum()
    assert notes == [SOFT] * (soft or name == "m.jpg")


@pytest.mark.parametrize(("name", "pixels", "label"), [
    ("m.png", blurred(2), 255), ("m.jpg", BODY * np.uint8(255), 255), ("m.jpg", blurred(2), 250),
    ("m.png", blurred(2, 65535, np.uint16), None), ("m.tif", blurred(2, 1, np.float32), None),
    ("m.png", np.dstack([blurred(2)] * 2 + [BODY * np.uint8(0)]), None),
])  # fmt: skip
def test_soft_edges_of_other_depths_and_labels(tmp_path, name, pixels, label):
    found, notes = read(tmp_path, name, pixels, label)
    assert (found ^ BODY).sum() <= 0.02 * BODY.sum()
    assert notes == [SOFT]


def palette(*colours):
    picture = Image.fromarray(BOTH, "P")
    picture.putpalette([level for colour in colours for level in colour])
    return picture


LABELME = palette((0, 0, 0), (128, 0, 0), (0, 128, 0))
GREY = palette((0, 0, 0), (100, 100, 100), (200, 200, 200))


@pytest.mark.parametrize(("name", "pixels", "label", "expected"), [
    ("m.png", LABELME, 1, BODY), ("m.png", LABELME, 2, OTHER), ("m.png", LABELME, None, BOTH > 0),
    ("m.tif", LABELME, 2, OTHER), ("m.png", GREY, 200, OTHER),
    *[("m.png", BOTH * np.uint8(scale), scale * 2, OTHER) for scale in (1, 40, 127)],
    *[("m.png", BOTH * np.uint8(scale), scale, BODY) for scale in (1, 40, 127)],
    ("m.png", np.kron(np.arange(20).reshape(4, 5), np.ones((20, 24))).astype(np.uint8) * 12 + 20,
     20 + 12 * 7, (Y // 20 == 1) & (X // 24 == 2)),
    ("m.png", BOTH * np.uint16(1000), 2000, OTHER),
])  # fmt: skip
def test_labels_are_taken_as_they_stand(tmp_path, name, pixels, label, expected):
    found, notes = read(tmp_path, name, pixels, label)
    np.testing.assert_array_equal(found, expected)
    assert notes == []


@pytest.mark.parametrize(("name", "pixels", "label", "words"), [
    ("m.jpg", BOTH * np.uint8(127), 127, "mask_label 127"), ("m.png", blurred(2), 90, "mask_label"),
    ("m.png", np.zeros((7000, 7000), np.uint8), None, "pixels"),
])  # fmt: skip
def test_masks_that_are_refused(tmp_path, monkeypatch, name, pixels, label, words):
    if words == "pixels":
        monkeypatch.setattr(images.cv2, "imdecode", lambda *_: pytest.fail("it was decoded"))
    with pytest.raises(DataError, match=rf"m\.\w+.*{words}"):
        read(tmp_path, name, pixels, label)


def test_a_mask_cut_off_is_refused(tmp_path):
    read(tmp_path, "m.png", blurred(2))
    path = tmp_path / "m.png"
    path.write_bytes(path.read_bytes()[:-40])
    cells = {"case": "c", "height": 80, "width": 120, "mask": "m.png", "mask_label": None}
    with pytest.raises(DataError, match=r"m\.png: .*case c.*truncated"):
        read_mask(tmp_path, pd.Series(cells, dtype=object))
