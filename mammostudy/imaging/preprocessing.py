"""Pre-processing of a framed image: noise removal, histogram equalisation, value range.

Source: section "Workflow" of Singh et al. (2020): Gaussian of sigma 0.5, plain global histogram
equalisation, values in [0, 1]; each step can be switched off for the ablation.
"""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from skimage.exposure import equalize_hist

from mammostudy.errors import DataError, SpecError

VALUE_RANGES = ("unit", "signed")


def preprocess(
    image: NDArray[np.floating[Any]],
    *,
    denoise_sigma: float = 0.5,
    equalise: bool = True,
    value_range: str = "unit",
) -> NDArray[np.float32]:
    """Prepare a framed image, or a batch of them, for a network.

    Args:
        image: ``(h, w)`` or ``(n, h, w)``, values in [0, 1].
        denoise_sigma: of the Gaussian (OpenCV) in pixels of the frame; 0 switches it off.
        equalise: plain global histogram equalisation (scikit-image, 256 bins), image by image.
            An image of one value has no histogram to equalise and is left as it is.
        value_range: ``unit`` for [0, 1] or ``signed`` for [-1, 1].

    Returns:
        float32 of the same shape.

    Raises:
        SpecError: negative sigma or unknown value range.
        DataError: values outside [0, 1] or not finite, or an array that is no image.
    """
    if not denoise_sigma >= 0:
        msg = f"denoise_sigma {denoise_sigma} must be 0 (no denoising) or more"
        raise SpecError(msg)
    if value_range not in VALUE_RANGES:
        msg = f"value_range {value_range!r} is unknown: use one of {', '.join(VALUE_RANGES)}"
        raise SpecError(msg)
    if image.ndim not in (2, 3) or image.size == 0:
        msg = f"an array of shape {image.shape} holds no image: (h, w) or (n, h, w) needed"
        raise DataError(msg)
    low, high = float(image.min()), float(image.max())
    if not (low >= -1e-4 and high <= 1 + 1e-4):
        msg = f"image values reach from {low:g} to {high:g}: scale them to [0, 1] first"
        raise DataError(msg)
    stack = image.reshape(-1, *image.shape[-2:]).astype(np.float32)
    result = np.stack([_one(plane, denoise_sigma, equalise) for plane in stack])
    result = result.reshape(image.shape)
    return result if value_range == "unit" else 2 * result - 1


def is_flat(image: NDArray[np.floating[Any]]) -> bool:
    """Whether an image has one value, or lies so close that 256 bins of it are no numbers."""
    return bool(np.ptp(image) <= 257 * np.spacing(np.abs(image).max()))


def _one(plane: NDArray[np.float32], sigma: float, equalise: bool) -> NDArray[np.float32]:
    if sigma > 0:
        plane = np.asarray(cv2.GaussianBlur(plane, (0, 0), sigma), dtype=np.float32)
    if equalise and not is_flat(plane):
        plane = equalize_hist(plane).astype(np.float32)
    return np.clip(plane, 0, 1)
