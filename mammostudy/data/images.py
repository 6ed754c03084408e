"""Picture files (PNG, JPEG, TIFF) as grey images, and what pixels tell of a mammogram.

A file says its size before it is decoded: what holds more than :data:`MAX_PIXELS` is refused then.
"""

from __future__ import annotations

import io
import re
import warnings
from contextlib import suppress
from pathlib import Path
from stat import S_ISREG
from typing import Any, Final

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from mammostudy.errors import DataError

MAX_PIXELS: Final = 48_000_000  # the largest films, scanned at 43.5 um, have 38 million
MAX_BYTES: Final = 1 << 28  # of a file
DEPTHS: Final = (10, 12, 14, 16)  # bits that scanners and detectors fill
JPEGS: Final = ("JPEG", "MPO")
COLOURED: Final = "a picture in colour; a mammogram is grey"
LABELLED: Final = "few pixels lie far above the rest, as a burnt-in label: the rest fills the range"
NEGATIVE: Final = "the TIFF is min-is-white: its grey values were inverted"
_COLOURS: Final = 4 / 255  # of the highest value, mean difference of the channels that is colour
_DARK: Final = 0.05  # grey of the background at most
_LABEL: Final = 0.1  # share of the pixels above 0 that a burnt-in label has at most
Noted = tuple[NDArray[np.float32], tuple[str, ...]]  # an image, and what was assumed of it
_MARKER: Final = re.compile(rb"\xff+([^\x00\xff\xd0-\xd7])")  # of a JPEG, but those inside of data


def bytes_of(path: Path, count: int = -1) -> bytes:
    """Read a file of at most :data:`MAX_BYTES`, or its first bytes."""
    try:
        state = path.stat()
        if S_ISREG(state.st_mode) and state.st_size <= MAX_BYTES:  # a pipe would never end
            with path.open("rb") as file:
                return file.read(count)
        fault = f"a folder, a pipe or above {MAX_BYTES >> 20} MiB; give one image or table"
    except OSError as error:
        fault = f"cannot be read ({error.strerror}); check that it is a readable file"
    raise DataError(f"{path}: {fault}")


def decode_picture(path: Path, content: bytes) -> Noted:
    """Decode the bytes of a PNG, JPEG or TIFF file to float32 (h, w) in [0, 1], and notes."""
    pixels, picture = decode_whole(path, content)
    if not np.isfinite(pixels).all():
        raise DataError(f"{path}: its pixels are no finite numbers; export it as 16-bit PNG")
    coloured = False
    if pixels.ndim == 3:  # blue first; an alpha channel is dropped
        pixels = np.ascontiguousarray(pixels[..., :3])
        spread = np.ptp(cv2.blur(pixels, (4, 4))[::4, ::4], axis=2)
        coloured = bool(spread.mean() > _COLOURS * pixels.max())
        pixels = cv2.cvtColor(pixels, cv2.COLOR_BGR2GRAY)
    negative = getattr(picture, "tag_v2", {}).get(262) == 0
    image, notes = unit(pixels, negative and pixels.dtype != np.uint8)  # OpenCV inverts 8 bits
    return image, (*notes, *(COLOURED,) * coloured, *(NEGATIVE,) * negative)


def decode_whole(path: Path, content: bytes) -> tuple[NDArray[Any], Image.Image]:
    """Decode a picture as it is, ``(h, w)`` or with channels, blue first; refuse one cut off."""
    picture = open_picture(path, content)
    kind = str(picture.format)
    if kind == "TIFF" and getattr(picture, "n_frames", 1) > 1:
        raise DataError(f"{path}: the TIFF holds several pages; export one image a file")
    whole, rare = _jpeg(content) if kind in JPEGS else (b"IEND\xaeB`\x82" in content, "")
    pixels = None
    if whole or kind not in ("PNG", *JPEGS):
        with suppress(cv2.error):
            pixels = cv2.imdecode(np.frombuffer(content, np.uint8), cv2.IMREAD_UNCHANGED)
    if pixels is None:
        fault = rare if whole and rare else f"the {kind} is truncated, or its pixels do not decode"
        raise DataError(f"{path}: {fault}; copy the file anew, or export it as 16-bit PNG")
    return pixels, picture


def _jpeg(content: bytes) -> tuple[bool, str]:
    """Tell whether the data of a JPEG reach their end, and its kind where that is a rare one."""
    at, rare = 2, ""
    while found := _MARKER.search(content, at):
        at, marker = found.end(), found[1][0]
        if marker == 0xD9:
            return True, rare
        frame = 0xC0 <= marker <= 0xCF and marker not in (0xC4, 0xC8, 0xCC)  # those are of tables
        if frame and (bits := content[at + 2 : at + 3]) and (marker > 0xC2 or bits != b"\x08"):
            lossless = "lossless " if marker & 3 == 3 else ""
            rare = f"a {lossless}JPEG of {bits[0]} bits, of a kind that is not read here"
        at += int.from_bytes(content[at : at + 2], "big")
    return False, rare


def open_picture(path: Path, content: bytes) -> Image.Image:
    """Read the header of a picture, and refuse what is too large or no picture; decode nothing."""
    try:
        with warnings.catch_warnings(action="ignore"):
            picture = Image.open(io.BytesIO(content), formats=("PNG", "JPEG", "TIFF", "BMP"))
        pixels = picture.width * picture.height
    except Image.DecompressionBombError:
        pixels = MAX_PIXELS + 1
    except Exception:  # whatever Pillow meets in a header
        rare = _jpeg(content)[1] if content.startswith(b"\xff\xd8") else ""
        fault = rare or "no image that is read here, or cut off"
        raise DataError(f"{path}: {fault}; give a DICOM, PNG, JPEG or TIFF file") from None
    if pixels > MAX_PIXELS:
        raise DataError(f"{path}: holds more than {MAX_PIXELS:,} pixels; export the image smaller")
    return picture


def unit(pixels: NDArray[Any], negative: bool = False) -> Noted:
    """Scale grey values, of a negative inverted, to float32 in [0, 1]; return notes, too.

    Whole numbers are divided by the full range of their depth: 8 bits, or the smallest of 10, 12,
    14 and 16 bits that holds them (16-bit files of converted mammograms hold fewer), but a label.
    """
    low, high = float(pixels.min()), float(pixels.max())
    if pixels.dtype == np.uint8:
        return np.asarray(pixels, np.float32) / np.float32(255), ()
    if pixels.dtype.kind in "iu" and low >= 0 and high < 1 << 16:
        levels, labelled = pixels.astype(np.uint16, copy=False), False
        for inverted in (True, False) if negative else (False,):
            counts = cv2.calcHist([levels], [0], None, [1 << 16], [0, 1 << 16]).ravel()
            values = np.flatnonzero(counts)
            highest = highest_but_label(values, counts[values])
            labelled |= bool(highest < values[-1])
            top = next(2**bits - 1 for bits in DEPTHS if highest < 2**bits)
            levels = top - np.minimum(levels, top) if inverted else levels
        image = levels.astype(np.float32) / np.float32(top)
        return np.minimum(image, 1, out=image), (LABELLED,) * labelled
    low, high = min(low, 0.0), max(high, 1.0)
    image = ((np.asarray(pixels, np.float64) - low) / (high - low)).astype(np.float32)
    return 1 - image if negative else image, ()


def highest_but_label(values: NDArray[Any], counts: NDArray[Any]) -> float:
    """Return the highest of values that occur so often, a burnt-in label left out.

    A label is a tenth at most of the pixels above the lowest value, many of them of one value, and
    far from the rest: the range is that of the other nine tenths, in powers of two.
    """
    over, top = values - values.min(), values.max()
    for bits in DEPTHS[:-1]:
        label, far = counts[over >= 2**bits].sum(), counts[over >= 2 ** (bits + 1)].sum()
        few = label <= _LABEL * counts[over > 0].sum() and label - far <= _LABEL * label
        if label and few and counts[values == top].sum() >= label / 4:
            return float(values[over < 2**bits].max())
    return float(top)


def same_aspect(shape: tuple[int, ...], other: tuple[int, ...]) -> bool:
    """Whether two sizes (h, w) differ by scale alone, within 1 %: a mask's and its image's."""
    return abs((shape[1] / shape[0]) / (other[1] / other[0]) - 1) <= 0.01


def chest_wall_seen(image: NDArray[np.float32]) -> str:
    """Return the edge, left or right, at which the pixels show the breast; else unknown.

    Black margins are left out; then the breast must fill the outer tenth of one side twice as far
    as that of the other. The background of ``image``, (h, w) in [0, 1], is dark.
    """
    thin = image[:: max(1, image.shape[0] // 512)]
    body = thin > max(_DARK, 0.2 * float(np.quantile(thin, 0.99)))
    profile = np.count_nonzero(body, axis=0) / len(body)
    if profile.max() < _DARK:
        return "unknown"
    columns = np.flatnonzero(profile > 0.1 * profile.max())
    profile = profile[columns[0] : columns[-1] + 1]
    strip = max(1, round(0.1 * len(profile)))
    left, right = float(profile[:strip].mean()), float(profile[-strip:].mean())
    low, high = sorted((left, right))
    if low > 0.7 or high < 2 * low:  # a crop of the inner breast, or no clear difference
        return "unknown"
    return "left" if left > right else "right"
