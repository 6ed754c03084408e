"""Breast tissue: power-law texture, the outline of the breast, the pectoral muscle."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray
from scipy import fft

BETA = 3.0
Field = NDArray[np.float32]


@dataclass(frozen=True)
class Breast:
    """The geometry of one view, chest wall at the left edge (x = 0).

    Attributes:
        depth: float32 (h, w), pixels to the skin line; 0 outside the breast.
        nipple: x, y of the nipple in pixels.
        pectoral: float32 (h, w) in [0, 1], the pectoral muscle (all 0 in CC).
    """

    depth: Field
    nipple: tuple[float, float]
    pectoral: Field


def power_law_fields(
    shape: tuple[int, int], rng: np.random.Generator, beta: float = BETA
) -> tuple[Field, Field]:
    """Draw two independent Gaussian fields whose power spectrum falls as ``1 / f ** beta``.

    Args:
        shape: (h, w) in pixels.
        rng: where the randomness comes from.
        beta: power-law exponent; mammograms have about 3.

    Returns:
        Two float32 (h, w) fields of mean 0 and standard deviation 1, periodic at the borders.

    Source:
        Burgess, Jacobson, Judy, Human observer detection experiments with mammograms and
        power-law noise, Med Phys 28:419 (2001), doi 10.1118/1.1355308.
    """
    f_y = fft.fftfreq(shape[0]).astype(np.float32)[:, None]
    f_x = fft.fftfreq(shape[1]).astype(np.float32)[None, :]
    square = f_y**2 + f_x**2
    square[0, 0] = 1.0
    amplitude = square ** np.float32(-beta / 4.0)
    amplitude[0, 0] = 0.0
    noise = rng.standard_normal((*shape, 2), dtype=np.float32).view(np.complex64)[..., 0]
    fields = fft.ifft2(noise * amplitude)
    first, second = np.ascontiguousarray(fields.real), np.ascontiguousarray(fields.imag)
    return first / first.std(), second / second.std()


def draw_breast(view: str, shape: tuple[int, int], rng: np.random.Generator) -> Breast:
    """Draw outline, nipple and muscle of a CC or MLO view.

    Args:
        view: CC or MLO.
        shape: (h, w) in pixels.
        rng: where the randomness comes from.
    """
    height, width = shape
    reach = rng.uniform(0.66, 0.86) * width
    rows = (np.arange(height) + 0.5) / height
    if view == "CC":
        middle, half = rng.uniform(0.47, 0.53), rng.uniform(0.38, 0.46)
        power = rng.uniform(1.9, 2.4)
        across = np.clip(1.0 - np.abs((rows - middle) / half) ** power, 0.0, None)
        edge = reach * across ** (1.0 / rng.uniform(1.8, 2.2))
    else:
        middle, bottom = rng.uniform(0.56, 0.66), rng.uniform(0.92, 0.99)
        axilla = rng.uniform(0.34, 0.48)
        above = axilla + (1.0 - axilla) * np.sin(np.pi / 2 * np.clip(rows / middle, 0, 1)) ** 1.6
        below = np.clip(1.0 - (np.clip(rows - middle, 0, None) / (bottom - middle)) ** 2.2, 0, None)
        edge = reach * np.where(rows < middle, above, below**0.5)
    inside = (np.arange(width)[None, :] + 0.5 < edge[:, None]).astype(np.uint8)
    depth = np.asarray(cv2.distanceTransform(inside, cv2.DIST_L2, 5), dtype=np.float32)
    muscle = draw_pectoral(shape, rng) if view == "MLO" else np.zeros(shape, np.float32)
    return Breast(depth=depth, nipple=(reach, middle * height), pectoral=muscle)


def draw_pectoral(shape: tuple[int, int], rng: np.random.Generator) -> Field:
    """Draw the pectoral muscle: a slightly bowed triangle in the upper chest-wall corner.

    Returns:
        float32 (h, w) in [0, 1], blurred at its edge, fading downwards.
    """
    height, width = shape
    top, length = rng.uniform(0.26, 0.40) * width, rng.uniform(0.48, 0.66) * height
    bow = rng.uniform(-0.05, 0.12) * width
    rows = np.clip(np.arange(height) / length, 0.0, 1.0)
    edge = top * (1.0 - rows) + bow * np.sin(np.pi * rows)
    edge[np.arange(height) >= length] = -1.0
    muscle = (np.arange(width)[None, :] < edge[:, None]).astype(np.float32)
    muscle = np.asarray(cv2.GaussianBlur(muscle, (0, 0), rng.uniform(2.5, 5.0)), np.float32)
    return np.asarray(muscle * (1.0 - 0.35 * rows[:, None]), dtype=np.float32)


def draw_parenchyma(
    breast: Breast, density: float, rng: np.random.Generator
) -> tuple[Field, Field]:
    """Draw the glandular tissue of a view.

    A gland behind the nipple, broken up by a power-law field, textured by a second one and
    crossed by thin strands along the level lines of a third (ducts and ligaments).

    Args:
        breast: the geometry.
        density: 0 (fatty) to 1 (extremely dense).
        rng: where the randomness comes from.

    Returns:
        Attenuation above that of fat, float32 (h, w), about 0 to 1; and where the gland lies,
        float32 (h, w) in [0, 1].
    """
    shape = (breast.depth.shape[0], breast.depth.shape[1])
    clumps, texture = power_law_fields(shape, rng)
    quarter = (shape[0] // 4, shape[1] // 4)
    fine, coarse = power_law_fields(quarter, rng, beta=2.6)
    size = (shape[1], shape[0])
    strands = cv2.resize(fine, size, interpolation=cv2.INTER_CUBIC)
    shade = cv2.resize(coarse, size, interpolation=cv2.INTER_CUBIC)
    x = np.arange(shape[1], dtype=np.float32)[None, :] / breast.nipple[0] - 0.52
    y = (np.arange(shape[0], dtype=np.float32)[:, None] - breast.nipple[1]) / shape[0]
    behind = np.exp(-((x / 0.42) ** 2) - (y / 0.24) ** 2) * np.clip(breast.depth / 70.0, 0, 1)
    drive = 2.6 * behind + 0.9 * clumps + 2.0 * (density - 0.5) - 1.35
    gland = (1.0 / (1.0 + np.exp(-drive / 0.42))).astype(np.float32)
    lines = np.exp(-((strands / 0.10) ** 2)) * (0.35 + 0.65 * gland)
    tissue = gland * (0.52 + 0.16 * texture + 0.10 * shade) + 0.05 * texture + 0.10 * lines
    return tissue.astype(np.float32), np.asarray(gland * (behind > 0.05), dtype=np.float32)
