"""Picture files (PNG, JPEG, TIFF) as grey images, and what pixels tell of a mammogram.

A file says its size before it is decoded: what holds more than :data:`MAX_PIXELS` is refused then.
"""

from __future__ import annotations

import io
import warnings
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from mammostudy.errors import DataError

MAX_PIXELS: Final = 48_000_000  # the largest films, scanned at 43.5 um, have 38 million
MAX_BYTES: Final = 1 << 28  # of a file
DEPTHS: Final = (8, 10, 12, 14, 16)  # bits that scanners and detectors fill
_DARK: Final = 0.05  # grey of the background at most


def bytes_of(path: Path, count: int = -1) -> bytes:
    """Read a file of at most :data:`MAX_BYTES`, or its first bytes."""
    fault = f"no such file, or one above {MAX_BYTES >> 20} MiB; check the path, or export it"
    try:
        if path.is_dir():
            fault = "a folder; give one image file in it"
        if path.is_file() and path.stat().st_size <= MAX_BYTES:  # a pipe would never end
            with path.open("rb") as file:
                return file.read(count)
    except OSError as error:
        fault = f"cannot be read ({error.strerror}); check that it is a readable file"
    raise DataError(f"{path}: {fault}")


def decode_picture(path: Path, content: bytes) -> tuple[NDArray[np.float32], tuple[str, ...]]:
    """Decode the bytes of a PNG, JPEG or TIFF file to float32 (h, w) in [0, 1], and notes.

    Integers are divided by the full range of their depth; 16-bit files that hold fewer bits, as
    converted mammograms do, by that of the smallest of 10, 12, 14 and 16 bits that fits.
    """
    with open_picture(path, content) as picture:
        kind, pages = str(picture.format), getattr(picture, "n_frames", 1)
        dark_is_high = getattr(picture, "tag_v2", {}).get(262) == 0
    whole = {  # no other data of a JPEG's scans hold the bytes of its end
        "PNG": b"IEND\xaeB`\x82" in content,
        "JPEG": content.rfind(b"\xff\xd9") > content.rfind(b"\xff\xda"),
    }
    if kind == "TIFF" and pages > 1:
        raise DataError(f"{path}: the TIFF holds several pages; export one image a file")
    pixels = decode(content) if whole.get(kind, True) else None
    if pixels is None or not np.isfinite(pixels).all():
        fault = f"the {kind} is truncated, or its pixels do not decode to finite numbers"
        raise DataError(f"{path}: {fault}; copy the file anew, or export it as 16-bit PNG")
    if pixels.ndim == 3:  # blue first; an alpha channel is dropped
        pixels = cv2.cvtColor(np.ascontiguousarray(pixels[..., :3]), cv2.COLOR_BGR2GRAY)
    image = _unit(pixels)
    if not dark_is_high:
        return image, ()
    if pixels.dtype != np.uint8:  # OpenCV inverts those of 8 bits
        image = 1 - image
    return image, ("the TIFF is min-is-white: its grey values were inverted",)


def open_picture(path: Path, content: bytes) -> Image.Image:
    """Read the header of a picture, and refuse what is too large or no picture; decode nothing."""
    try:
        with warnings.catch_warnings(action="ignore"):
            picture = Image.open(io.BytesIO(content), formats=("PNG", "JPEG", "TIFF"))
        pixels = picture.width * picture.height
    except Image.DecompressionBombError:
        pixels = MAX_PIXELS + 1
    except Exception:  # whatever Pillow meets in a header
        fault = "not an image that is read here, or cut off; give a DICOM, PNG, JPEG or TIFF file"
        raise DataError(f"{path}: {fault}") from None
    if pixels > MAX_PIXELS:
        raise DataError(f"{path}: holds more than {MAX_PIXELS:,} pixels; export the image smaller")
    return picture


def decode(content: bytes) -> NDArray[Any] | None:
    """Decode a picture as it is, (h, w) or (h, w, channels), blue first; None where it fails."""
    with suppress(cv2.error):
        return cv2.imdecode(np.frombuffer(content, np.uint8), cv2.IMREAD_UNCHANGED)
    return None


def _unit(pixels: NDArray[Any]) -> NDArray[np.float32]:
    if pixels.dtype in (np.uint8, np.uint16):
        depth = 8 if pixels.dtype == np.uint8 else max(10, depth_of(int(pixels.max())))
        return np.asarray(pixels, dtype=np.float32) / np.float32(2**depth - 1)
    values = np.asarray(pixels, dtype=np.float64)
    low, high = min(float(values.min()), 0.0), max(float(values.max()), 1.0)
    return ((values - low) / (high - low)).astype(np.float32)


def same_aspect(shape: tuple[int, ...], other: tuple[int, ...]) -> bool:
    """Whether two sizes (h, w) differ by scale alone, within 1 %: a mask's and its image's."""
    return abs((shape[1] / shape[0]) / (other[1] / other[0]) - 1) <= 0.01


def depth_of(highest: int) -> int:
    """Return the smallest of :data:`DEPTHS` whose range holds a value."""
    return next(bits for bits in DEPTHS if highest < 2**bits)


def chest_wall_seen(image: NDArray[np.float32]) -> str:
    """Return the edge, left or right, at which the pixels show the breast; else unknown.

    Black margins are left out; then the breast must fill the outer tenth of one side twice as far
    as that of the other. The background of ``image``, (h, w) in [0, 1], is dark.
    """
    thin = image[:: max(1, image.shape[0] // 512)]
    body = thin > max(_DARK, 0.2 * float(np.quantile(thin, 0.99)))
    profile = body.mean(axis=0)
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


def background_is_bright(image: NDArray[np.float32]) -> bool:
    """Whether an image looks inverted: more than half of its border is white.

    Of a mammogram's four edges at least two show the background.
    """
    edges = (image[0], image[-1], image[:, 0], image[:, -1])
    return float((np.concatenate(edges) > 0.9).mean()) > 0.5
