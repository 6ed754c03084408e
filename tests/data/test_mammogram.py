"""Pictures that are no mammogram are told, and the pictures of the study are not among them."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
from pydicom import dcmread

from mammostudy.data import dicom
from mammostudy.data.mammogram import why_no_mammogram
from mammostudy.data.sources.phantom import write_phantom


def read(path: Path) -> np.ndarray:
    return np.round(dicom.read_image(path) * 65535).astype(np.uint16)


def test_a_mask_is_no_mammogram(tmp_path: Path) -> None:
    path = tmp_path / "a.png"
    cv2.imwrite(str(path), np.kron(np.arange(15, dtype=np.uint8), np.ones((30, 3), np.uint8)))
    assert "15 grey level(s)" in str(why_no_mammogram(path, read(path)))
    cv2.imwrite(str(path), np.kron(np.arange(16, dtype=np.uint8), np.ones((30, 3), np.uint8)))
    assert why_no_mammogram(path, read(path)) is None


@pytest.mark.parametrize(("suffix", "kind"), [("png", np.uint8), ("jpg", np.uint8),
                                              ("png", np.uint16)])  # fmt: skip
def test_colour(suffix: str, kind: type, tmp_path: Path) -> None:
    path = tmp_path / f"a.{suffix}"
    top = np.iinfo(kind).max
    grey = np.linspace(0, top, 80 * 60).reshape(60, 80).astype(kind)
    cv2.imwrite(str(path), np.dstack([grey, grey, grey]))
    assert why_no_mammogram(path, read(path)) is None
    cv2.imwrite(str(path), np.dstack([grey, grey // 2, grey]))
    assert "in colour" in str(why_no_mammogram(path, read(path)))


def test_the_modality_of_a_dicom_file(tmp_path: Path) -> None:
    write_phantom(tmp_path / "p", patients=4)
    path = next((tmp_path / "p" / "images").iterdir())
    assert why_no_mammogram(path, read(path)) is None
    header = dcmread(path)
    for modality, kept in (("CT", False), ("US", False), ("CR", True), ("", True)):
        header.Modality = modality
        header.save_as(path)
        reason = why_no_mammogram(path, read(path))
        assert reason is None if kept else f"Modality is '{modality}'" in str(reason)
