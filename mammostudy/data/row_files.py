"""The files behind one row of a manifest: its image and its mask."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import MutableSequence
from functools import lru_cache
from pathlib import Path
from typing import Any, Final

import cv2
import numpy as np
import pandas as pd
from numpy.typing import NDArray

from mammostudy.data.dicom import Mammogram, read_dicom, read_mammogram
from mammostudy.data.dicom_file import starts_as_dicom
from mammostudy.data.images import JPEGS, bytes_of, decode_whole, same_aspect
from mammostudy.data.private import hiding, named
from mammostudy.data.sources.ddsm import is_raw, read_raw
from mammostudy.errors import DataError
from mammostudy.imaging.contours import fill_outline

SOFT: Final = "a mask has soft edges or is a JPEG: it is cut at half of its highest value"
_MOST_LABELS: Final = 32  # values of one file that are labels of masses
_resolved = lru_cache(maxsize=8)(os.path.realpath)  # of folders
_SMALL: Final = 64  # whole numbers below are labels, and no ramp of greys


class FileError(DataError):
    """A file or an outline that cannot serve its row; ``check`` names the check that it fails."""

    def __init__(self, message: str, check: str = "unreadable") -> None:
        super().__init__(message)
        self.check = check


def inside(root: Path, name: str, what: str = "path") -> Path:
    """Return the place of a file that a manifest names; refuse what leads out of the folder."""
    if (path := _inside(root, name)) is None:
        raise FileError(f"{root}: {what}: {name[:200]!r} leads out of the cohort's folder", "path")
    return path


@lru_cache(maxsize=8)  # a file may hold the masses of many rows
def _inside(root: Path, name: str) -> Path | None:
    try:
        path = root / named(root, name)[0]
        path.exists()  # a name too long for the disk fails here
        within = os.path.realpath(path).startswith(os.path.join(_resolved(root), ""))
    except (OSError, ValueError, RuntimeError):  # too long, a zero byte, links in a circle
        return None
    return path if within else None


def read_pixels(root: Path, row: pd.Series) -> tuple[NDArray[np.uint16], Mammogram]:
    """Decode the image of a row: uint16 ``(h, w)`` of the full range, and what its file says."""
    with hiding(root, str(row["image"])):
        path = inside(root, str(row["image"]), f"image of case {row['case']}")
        content = bytes_of(path)
        if hashlib.sha256(content).hexdigest() != row["image_sha256"]:
            raise FileError(f"{path}: the file changed since the manifest was written; build anew")
        read = Mammogram(read_raw(path)) if is_raw(path) else read_mammogram(path, content)
        return np.round(read.image * 65535).astype(np.uint16), read


def check_size(path: Path, row: pd.Series, shape: tuple[int, ...]) -> None:
    """Refuse a file whose pixels are not of the size that its row says."""
    if shape != (row["height"], row["width"]):
        said = f"case {row['case']} say {row['width']}x{row['height']}"
        fault = f"is {shape[1]}x{shape[0]} pixels, but the manifest's width and height of {said}"
        raise FileError(f"{path}: {fault}; image and mask need one grid", "size")


def read_mask(
    root: Path, row: pd.Series, notes: MutableSequence[str] | None = None
) -> NDArray[np.bool_]:
    """Read the mask of a row's mass, bool ``(h, w)``, from its file or its outline; note what."""
    shape = (int(row["height"]), int(row["width"]))
    label, place = row["mask_label"], "outline"
    if pd.isna(row["mask"]) and pd.isna(row["outline"]):
        fault = f"case {row['case']} has a box alone, no mask or outline; use what needs neither"
        raise FileError(f"{root}: {fault}", "empty")
    if pd.isna(row["mask"]):
        mask = fill_outline(np.asarray(json.loads(row["outline"]), np.float64), shape)
    else:
        place = f"mask {root}/{row['mask']}" + f", mask_label {label}" * pd.notna(label)
        with hiding(root, str(row["mask"])):
            pixels, soft = _mask_pixels(root, row, shape)
            least = pixels.max() / 2 if soft else 0
            if soft and not pd.isna(label) and label <= least:
                raise FileError(f"{place}: soft edges leave no labels; save it as PNG without them")
        if soft and notes is not None:
            notes.append(SOFT)
        mask = np.asarray(pixels > least if soft or pd.isna(label) else pixels == int(label))
    if not mask.any():
        fault = f"case {row['case']}: {place} is empty; draw it or drop the row"
        raise FileError(f"{root}: {fault}", "empty")
    return mask


def _mask_pixels(root: Path, row: pd.Series, shape: tuple[int, int]) -> tuple[NDArray[Any], bool]:
    """Return the values of a mask, resized to the image's grid, and whether they are no labels."""
    path = inside(root, str(row["mask"]), f"mask of case {row['case']}")
    try:
        found = path.stat() if path.is_file() else None
        state = found and (found.st_mtime_ns, found.st_size, found.st_ino)
        pixels, soft = _decoded(path, state)
    except (DataError, OSError, SyntaxError) as error:
        fault = str(error).removeprefix(f"{path}: ")
        raise FileError(f"{path}: the mask of case {row['case']}: {fault}") from None
    if pixels.shape != shape:
        if not same_aspect(pixels.shape, shape):
            check_size(path, row, pixels.shape)
        pixels = cv2.resize(pixels, shape[::-1], interpolation=cv2.INTER_NEAREST_EXACT)
    return pixels, soft


@lru_cache(maxsize=4)  # a file may hold the masses of many rows
def _decoded(path: Path, state: object) -> tuple[NDArray[Any], bool]:
    """Return the values (h, w) of a mask's file, and whether they are no labels."""
    content = bytes_of(path)
    if starts_as_dicom(content):
        pixels: NDArray[Any] = read_dicom(path, content).image
        soft = _is_soft(pixels)
        return (pixels if soft else (pixels > 0).astype(np.uint8)), soft
    pixels, picture = decode_whole(path, content)
    colours = picture.getpalette() if picture.mode == "P" else None
    if colours and np.ptp(np.reshape(colours, (-1, 3)), axis=1).any():
        pixels = np.asarray(picture)  # colours stand for labels, as labelme writes them
    if pixels.ndim == 3:
        pixels = pixels[..., :3].max(axis=2)  # alpha is no mask
    return pixels, picture.format in JPEGS or _is_soft(pixels)


def _is_soft(pixels: NDArray[Any]) -> bool:
    """Whether a mask's values are ramps of edges, not labels: many, or few that fill no block."""
    between = (pixels > 0) & (pixels < pixels.max())
    if not between.any() or (pixels.max() < _SMALL and pixels.dtype.kind in "iu"):
        return False
    block, plane = np.ones((3, 3), np.uint8), pixels.astype(np.float32)
    filled = between & (cv2.erode(plane, block) == cv2.dilate(plane, block))
    some = pixels[between]  # of many pixels a hundred thousand are enough
    few = len(np.unique(some[:: 1 + some.size // 100_000])) < _MOST_LABELS
    return not few or float(filled.sum()) < 0.1 * float(between.sum())
