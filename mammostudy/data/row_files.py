"""The files behind one row of a manifest: its image and its mask."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any, Final

import cv2
import numpy as np
import pandas as pd
from numpy.typing import NDArray

from mammostudy.data.dicom import Mammogram, is_dicom, read_image, read_mammogram
from mammostudy.data.images import MAX_PIXELS, bytes_of
from mammostudy.data.private import hiding, real_name
from mammostudy.data.sources.ddsm_files import is_raw, read_raw
from mammostudy.errors import DataError
from mammostudy.imaging.contours import fill_outline

SAME_ASPECT: Final = 0.01
"""Largest relative difference of two aspects up to which a mask is its image's."""


class SizeError(DataError):
    """A file whose pixels are not of the size, or a mask not of the aspect, that its row says."""

    check = "size"


class EmptyMaskError(DataError):
    """A mask without a pixel."""

    check = "empty"


class PathError(DataError):
    """A path that leads out of the cohort's folder, or is none."""

    check = "path"


def inside(root: Path, name: str, what: str = "path") -> Path:
    """Return the place of a manifest's file, which must lie inside the cohort's folder.

    A name that is absolute, climbs out with ``..`` or leads out by a symbolic link raises
    PathError; of a private cohort it is the hidden one (:mod:`mammostudy.data.private`).
    """
    try:
        real = real_name(root, name)
        path = root / real
        lawful = bool(real) and not Path(real).is_absolute() and ".." not in Path(real).parts
        if lawful and path.resolve().is_relative_to(root.resolve()):
            path.exists()  # a name too long for the disk fails here
            return path
    except (OSError, ValueError, RuntimeError):  # too long, a zero byte, links in a circle
        pass
    msg = (
        f"{root}: {what}: {name[:200]!r} leads out of the cohort's folder or is no path; give a "
        "path inside it, without `..` and without symbolic links that lead out"
    )
    raise PathError(msg)


def read_pixels(root: Path, row: pd.Series) -> tuple[NDArray[np.uint16], Mammogram]:
    """Decode the image of a row: uint16 ``(h, w)`` of the full range, and what its file says."""
    with hiding(root, str(row["image"])):
        path = inside(root, str(row["image"]), f"image of case {row['case']}")
        if hashlib.sha256(bytes_of(path)).hexdigest() != row["image_sha256"]:
            msg = f"{path}: the file changed since the manifest was written; build it again"
            raise DataError(msg)
        read = Mammogram(read_raw(path)) if is_raw(path) else read_mammogram(path)
        return np.round(read.image * 65535).astype(np.uint16), read


def check_size(path: Path, row: pd.Series, shape: tuple[int, ...]) -> None:
    """Raise SizeError where a file's pixels are not of the size that its row says."""
    if shape != (row["height"], row["width"]):
        msg = (
            f"{path}: is {shape[1]}x{shape[0]} pixels, but the manifest's width and height of "
            f"case {row['case']} say {row['width']}x{row['height']}; image and mask need one grid"
        )
        raise SizeError(msg)


def read_mask(root: Path, row: pd.Series) -> NDArray[np.bool_]:
    """Read the mask of a row's mass, bool ``(h, w)``, from its file or its outline.

    A file is PNG, TIFF or DICOM. One that differs from its image by scale alone (same aspect
    within :data:`SAME_ASPECT`) is resized to it, nearest neighbour.
    """
    shape = (int(row["height"]), int(row["width"]))
    if shape[0] * shape[1] > MAX_PIXELS:
        msg = (
            f"{root}: case {row['case']}: height and width say {shape[1]}x{shape[0]} pixels, which "
            "no mammogram has; correct them"
        )
        raise SizeError(msg)
    if pd.isna(row["mask"]):
        mask = fill_outline(np.asarray(json.loads(row["outline"]), np.float64), shape)
    else:
        with hiding(root, str(row["mask"])):
            mask = _drawn(root, row, shape)
    _check_filled(root, row, mask)
    return mask


def _check_filled(root: Path, row: pd.Series, mask: NDArray[np.bool_]) -> None:
    if not mask.any():
        place = "outline" if pd.isna(row["mask"]) else f"mask {root / str(row['mask'])}"
        label = "" if pd.isna(row["mask_label"]) else f", mask_label {row['mask_label']}"
        msg = f"{root}: case {row['case']}: {place}{label} is empty; draw it or drop the row"
        raise EmptyMaskError(msg)


def _drawn(root: Path, row: pd.Series, shape: tuple[int, int]) -> NDArray[np.bool_]:
    path = inside(root, str(row["mask"]), f"mask of case {row['case']}")
    pixels = _mask_pixels(path, row)
    if pixels.shape != shape:
        height, width = pixels.shape
        if abs((width / height) / (shape[1] / shape[0]) - 1) <= SAME_ASPECT:
            pixels = cv2.resize(pixels, shape[::-1], interpolation=cv2.INTER_NEAREST_EXACT)
        else:
            check_size(path, row, pixels.shape)
    label = row["mask_label"]
    return np.asarray(pixels > 0 if pd.isna(label) else pixels == int(label), dtype=np.bool_)


def _mask_pixels(path: Path, row: pd.Series) -> NDArray[Any]:
    """Return the values of a mask file ``(h, w)``; of DICOM 0 and 1, without labels."""
    content = bytes_of(path)
    if is_dicom(path):
        if not pd.isna(row["mask_label"]):
            msg = (
                f"{path}: mask_label of case {row['case']}: labels are read from PNG and TIFF, of "
                "a DICOM mask every pixel above 0 is the mass; leave mask_label empty"
            )
            raise DataError(msg)
        return np.asarray(read_image(path) > 0, dtype=np.uint8)
    try:
        pixels = cv2.imdecode(np.frombuffer(content, np.uint8), cv2.IMREAD_UNCHANGED)
    except cv2.error:
        pixels = None
    if pixels is None:
        msg = f"{path}: the mask of case {row['case']} is unreadable; restore it or drop the row"
        raise DataError(msg)
    return pixels[..., :3].max(axis=2) if pixels.ndim == 3 else pixels  # alpha is no mask
