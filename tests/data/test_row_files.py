"""Paths stay inside the cohort's folder; masks are PNG, TIFF or DICOM of the image's aspect."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pandas as pd
import pytest
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.filewriter import dcmwrite
from pydicom.uid import ExplicitVRLittleEndian

from mammostudy.data import row_files
from mammostudy.data.cohort import Cohort
from mammostudy.data.load import load_cohort
from mammostudy.data.row_files import EmptyMaskError, PathError, SizeError, inside, read_mask
from mammostudy.errors import DataError

pytestmark = pytest.mark.usefixtures("own_store")
OUTWARD = ["../secret.png", "a/../../secret.png", "/etc/passwd", "", "a\0b", "x" * 5000]


def row(**cells: object) -> pd.Series:
    shared = {"case": "c", "height": 40, "width": 60, "mask": "m.png", "mask_label": None,
              "outline": None}  # fmt: skip
    return pd.Series(shared | cells, dtype=object)


def write_dicom_mask(path: Path, pixels: np.ndarray) -> None:
    data = Dataset()
    data.SOPClassUID, data.SOPInstanceUID = "1.2.840.10008.5.1.4.1.1.7", "1.2.3.4"
    data.Modality = "MG"
    data.Rows, data.Columns = pixels.shape
    data.SamplesPerPixel, data.PhotometricInterpretation = 1, "MONOCHROME2"
    data.BitsAllocated, data.BitsStored, data.HighBit, data.PixelRepresentation = 8, 8, 7, 0
    data.PixelData = pixels.astype(np.uint8).tobytes()
    data.file_meta = FileMetaDataset()
    data.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    data.file_meta.MediaStorageSOPClassUID = data.SOPClassUID
    data.file_meta.MediaStorageSOPInstanceUID = data.SOPInstanceUID
    dcmwrite(path, data, enforce_file_format=True)


@pytest.mark.parametrize("name", OUTWARD)
def test_paths_that_lead_out(name: str, tmp_path: Path) -> None:
    root = tmp_path / "cohort"
    root.mkdir()
    with pytest.raises(DataError, match="leads out of the cohort's folder") as caught:
        inside(root, name, "mask of case c")
    assert "\n" not in str(caught.value)
    assert "mask of case c" in str(caught.value)


def test_links_may_stay_inside_and_may_not_lead_out(tmp_path: Path) -> None:
    root = tmp_path / "cohort"
    root.mkdir()
    (root / "real.png").write_bytes(b"x")
    (tmp_path / "secret.png").write_bytes(b"x")
    (root / "near.png").symlink_to("real.png")
    (root / "far.png").symlink_to(tmp_path / "secret.png")
    (root / "up").symlink_to(tmp_path)
    (root / "circle").symlink_to(root / "circle")
    assert inside(root, "near.png") == root / "near.png"
    for name in ("far.png", "up/secret.png"):
        with pytest.raises(PathError, match="symbolic links"):
            inside(root, name)
    with pytest.raises(DataError):
        read_mask(root, row(mask="circle"))
    linked = tmp_path / "linked"
    linked.symlink_to(root)  # the folder itself may be a link
    assert inside(linked, "real.png").is_file()


@pytest.mark.parametrize("column", ["image", "mask"])
def test_a_link_in_a_cohort_is_one_error_and_the_guard_is_what_stops_it(
    column: str,
    tmp_path: Path,
    write_cohort: Callable[..., Path],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    folder = write_cohort(tmp_path)
    cohort = load_cohort("tiny", tmp_path)
    path = folder / str(cohort.row("P1_CC_1")[column])
    secret = tmp_path / "secret"
    path.rename(secret)
    path.symlink_to(secret)
    for use in (cohort.sample, lambda _: load_cohort("tiny", tmp_path).sample("P1_CC_1")):
        with pytest.raises(DataError, match="leads out of the cohort's folder"):
            use("P1_CC_1")
    if column == "mask":
        with pytest.raises(DataError, match="leads out"):
            _ = Cohort("tiny", folder, cohort.manifest).manifest_hash
    monkeypatch.setattr(row_files, "inside", lambda root, name, what="": root / name)
    cohort.sample("P1_CC_1")  # control: without the guard the secret is read


def test_an_absurd_header_of_a_picture_is_refused_at_once(tmp_path: Path) -> None:
    def chunk(kind: bytes, data: bytes) -> bytes:
        body = kind + data
        return struct.pack(">I", len(data)) + body + struct.pack(">I", zlib.crc32(body))

    head = struct.pack(">IIBBBBB", 30_000, 30_000, 8, 0, 0, 0, 0)
    parts = [
        chunk(b"IHDR", head),
        chunk(b"IDAT", zlib.compress(bytes(30_000))),
        chunk(b"IEND", b""),
    ]
    (tmp_path / "m.png").write_bytes(b"\x89PNG\r\n\x1a\n" + b"".join(parts))
    with pytest.raises(DataError, match="unreadable"):
        read_mask(tmp_path, row())


def test_an_absurd_size_of_a_row_is_refused_at_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    drawn = {"mask": None, "outline": "[[1, 1], [5, 1], [5, 5]]"}
    with pytest.raises(SizeError, match="case c: height and width say 60000x60000 pixels"):
        read_mask(tmp_path, row(**drawn, height=60_000, width=60_000))
    wide = row(**drawn, height=40, width=2000)
    read_mask(tmp_path, wide)
    monkeypatch.setattr(row_files, "MAX_PIXELS", 79_999)
    with pytest.raises(SizeError):
        read_mask(tmp_path, wide)


@pytest.mark.parametrize("scale", [1, 2, 3])
def test_a_mask_of_another_scale_is_resized(scale: int, tmp_path: Path) -> None:
    truth = np.zeros((40, 60), np.uint8)
    truth[10:20, 30:45] = 7
    cv2.imwrite(str(tmp_path / "m.png"), np.kron(truth, np.ones((scale, scale), np.uint8)))
    for label in (7, None):
        np.testing.assert_array_equal(read_mask(tmp_path, row(mask_label=label)), truth > 0)


@pytest.mark.parametrize(("size", "kept"), [((404, 600), True), ((408, 600), False),
                                            ((60, 40), False)])  # fmt: skip
def test_the_aspect_may_differ_by_one_percent(
    size: tuple[int, int], kept: bool, tmp_path: Path
) -> None:
    cv2.imwrite(str(tmp_path / "m.png"), np.full(size, 255, np.uint8))
    if kept:
        assert read_mask(tmp_path, row()).shape == (40, 60)
    else:
        with pytest.raises(SizeError, match="one grid"):
            read_mask(tmp_path, row())


def test_dicom_masks(tmp_path: Path) -> None:
    truth = np.zeros((80, 120), np.uint8)
    truth[20:40, 60:90] = 255
    write_dicom_mask(tmp_path / "m.dcm", truth)
    mask = read_mask(tmp_path, row(mask="m.dcm"))
    np.testing.assert_array_equal(mask, truth[::2, ::2] > 0)
    with pytest.raises(DataError, match="mask_label of case c: labels are read from PNG"):
        read_mask(tmp_path, row(mask="m.dcm", mask_label=1))
    write_dicom_mask(tmp_path / "e.dcm", np.zeros((40, 60)))
    with pytest.raises(EmptyMaskError, match="is empty"):
        read_mask(tmp_path, row(mask="e.dcm"))
    whole = (tmp_path / "m.dcm").read_bytes()
    (tmp_path / "cut.dcm").write_bytes(whole[:-1000])
    with pytest.raises(DataError, match=r"cut\.dcm"):
        read_mask(tmp_path, row(mask="cut.dcm"))
