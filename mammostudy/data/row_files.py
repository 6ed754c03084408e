"""The files behind one row of a manifest: its image and its mask."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import cv2
import numpy as np
import pandas as pd
from numpy.typing import NDArray

from mammostudy.data import dicom
from mammostudy.errors import DataError
from mammostudy.imaging.contours import fill_outline


def decode(path: Path, row: pd.Series) -> NDArray[np.uint16]:
    """Decode the image of a row, uint16 ``(h, w)`` of the full range.

    Raises:
        DataError: the file is missing, unreadable, or not the one the manifest was made of.
    """
    if not path.is_file():
        msg = f"{path}: image of case {row['case']} is missing; restore it or drop the row"
        raise DataError(msg)
    if hashlib.sha256(path.read_bytes()).hexdigest() != row["image_sha256"]:
        msg = f"{path}: the file changed since the manifest was written; build the manifest again"
        raise DataError(msg)
    return np.round(dicom.read_image(path) * 65535).astype(np.uint16)


def read_mask(root: Path, row: pd.Series) -> NDArray[np.bool_]:
    """Read the mask of a row's mass, bool ``(h, w)``, from its file or its outline.

    Raises:
        DataError: the file is missing or of another size, or the mask is empty.
    """
    shape = (int(row["height"]), int(row["width"]))
    mask = _outlined(row, shape) if pd.isna(row["mask"]) else _drawn(root, row)
    _check_filled(root, row, mask)
    return mask


def _outlined(row: pd.Series, shape: tuple[int, int]) -> NDArray[np.bool_]:
    points = json.loads(row["outline"])
    return fill_outline(np.asarray(points, np.float64), shape)


def check_size(path: Path, row: pd.Series, shape: tuple[int, ...]) -> None:
    """Raise DataError where a file's pixels are not of the size that its row says."""
    if shape != (row["height"], row["width"]):
        msg = (
            f"{path}: is {shape[1]}x{shape[0]} pixels, but the manifest's width and height of "
            f"case {row['case']} say {row['width']}x{row['height']}; image and mask need one grid"
        )
        raise DataError(msg)


def _check_filled(root: Path, row: pd.Series, mask: NDArray[np.bool_]) -> None:
    if not mask.any():
        place = "outline" if pd.isna(row["mask"]) else f"mask {root / str(row['mask'])}"
        label = "" if pd.isna(row["mask_label"]) else f", mask_label {row['mask_label']}"
        msg = (
            f"{root}: case {row['case']}: {place}{label} is empty; give its pixels or drop the row"
        )
        raise DataError(msg)


def _drawn(root: Path, row: pd.Series) -> NDArray[np.bool_]:
    path = root / str(row["mask"])
    try:
        content = np.frombuffer(path.read_bytes(), np.uint8)
        pixels = cv2.imdecode(content, cv2.IMREAD_UNCHANGED)
    except (OSError, cv2.error):
        pixels = None
    if pixels is None:
        msg = (
            f"{path}: the mask of case {row['case']} is missing or unreadable; restore it or drop "
            f"the row"
        )
        raise DataError(msg)
    if pixels.ndim == 3:
        pixels = pixels[..., :3].max(axis=2)  # an opaque alpha channel is no mask
    check_size(path, row, pixels.shape)
    label = row["mask_label"]
    return np.asarray(pixels > 0 if pd.isna(label) else pixels == int(label), dtype=np.bool_)
