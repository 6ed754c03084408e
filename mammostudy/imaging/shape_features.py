"""Numbers that describe the shape of one mask, for classifiers without a network.

Of several parts the largest is measured and its holes are filled; an empty mask is refused. No
feature changes with place; apart from the pixel grid none with size or a quarter turn or mirroring.
``area_ratio`` alone changes with other turns: its box is upright.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import binary_fill_holes, gaussian_filter1d
from skimage.measure import regionprops

from mammostudy.imaging.contours import outline_of
from mammostudy.imaging.shape_masks import largest_part

Values = NDArray[np.float64]
POINTS = 256  # at equal distances along the outline, for what is measured along it
SMOOTHING = 1.0  # Gaussian sigma in pixels along the outline: takes away the pixel grid's steps
HARMONICS = (-6, -5, -4, -3, -2, -1, 2, 3, 4, 5, 6, 7)
_HU_DEGREES = np.array([1, 2, 2, 2, 4, 3, 4])
FEATURES = (
    *("area_ratio", "eccentricity", "solidity", "compactness"),
    *("radial_mean", "radial_sd", "radial_area_ratio", "radial_roughness"),
    *(f"fourier_{harmonic}" for harmonic in HARMONICS),
    *(f"hu_{number}" for number in range(1, 8)),
)


def shape_features(mask: NDArray[np.bool_]) -> Values:
    """Measure the shape of a mask: float64 ``(27,)``, finite, in the order of :data:`FEATURES`.

    - area_ratio: area over that of the upright box (disc pi/4, square 1).
    - eccentricity: of the ellipse with the same second moments (disc 0).
    - solidity: area over that of the convex hull.
    - compactness: ``4 pi area / perimeter^2`` of pixels and smoothed outline (disc 1, square pi/4).
    - radial_*: of the distances from the centroid to the outline over the largest: mean, standard
      deviation, the part outside the mean circle over the mean, and the mean step between points.
    - fourier_k: ``|c_k / c_1|`` of the complex outline run through anticlockwise; an ellipse has
      mainly k = -1, n lobes k = 1 - n and n + 1.
    - hu_i: Hu's moments, each to the power 1 / its degree so that none is lost to its size, with
      sign; hu_7 without sign, since mirroring turns it.

    Source: Rangayyan et al. 1997 and Kilday et al. 1993 (compactness, radial length); Zahn and
        Roskies 1972 (Fourier descriptors); Hu 1962; regions through ``skimage.measure``.
    """
    filled = np.asarray(binary_fill_holes(largest_part(mask)), dtype=np.bool_)
    region: Any = regionprops(np.pad(filled, 1).astype(np.uint8))[0]
    contour = _even_outline(filled)
    waves = np.abs(np.fft.fft(contour))
    fourier = waves[list(HARMONICS)] / waves[1]
    perimeter = float(np.abs(contour - np.roll(contour, 1)).sum())
    area = float(region.area)
    solidity = min(area / float(region.area_convex), 1)
    compactness = 4 * np.pi * area / perimeter**2
    solid = [float(region.extent), float(region.eccentricity), solidity, compactness]
    hu = np.asarray(region.moments_hu, dtype=np.float64)
    rooted = np.sign(hu) * np.abs(hu) ** (1 / _HU_DEGREES)
    rooted[6] = abs(rooted[6])
    return np.concatenate([solid, _radial(contour, region.centroid), fourier, rooted])


def features_of(masks: Sequence[NDArray[np.bool_]] | NDArray[np.bool_]) -> Values:
    """Measure several masks, bool planes of any sizes: float64 ``(n, 27)``."""
    return np.array([shape_features(mask) for mask in masks]).reshape(-1, len(FEATURES))


def _even_outline(filled: NDArray[np.bool_]) -> NDArray[np.complex128]:
    """The smoothed outline, anticlockwise, at equal distances: complex ``(POINTS,)``, x + i y."""
    outline = max(outline_of(filled), key=len)
    z = outline[:, 0] + 1j * outline[:, 1]
    if np.sum(np.imag(np.conj(z[:-1]) * z[1:])) < 0:
        z = z[::-1]
    length = float(np.abs(np.diff(z)).sum())
    z = _resample(z, max(4 * round(length), POINTS))[:-1]
    sigma = min(SMOOTHING, length / 40) * len(z) / length  # less on outlines of a few pixels
    real, imaginary = (gaussian_filter1d(part, sigma, mode="wrap") for part in (z.real, z.imag))
    smooth = real + 1j * imaginary
    return _resample(np.append(smooth, smooth[0]), POINTS)[:-1]


def _resample(closed: NDArray[np.complex128], steps: int) -> NDArray[np.complex128]:
    """A closed line in equal steps; its first point stands last again."""
    along = np.concatenate([[0.0], np.cumsum(np.abs(np.diff(closed)))])
    at = np.linspace(0.0, along[-1], steps + 1)
    return np.interp(at, along, closed.real) + 1j * np.interp(at, along, closed.imag)


def _radial(contour: NDArray[np.complex128], centroid: tuple[float, float]) -> Values:
    row, column = centroid
    distance = np.abs(contour - (column - 1) - 1j * (row - 1))  # the region was padded by one
    distance = distance / distance.max()
    mean = distance.mean()
    outside = np.maximum(distance - mean, 0).mean() / mean
    return np.array([mean, distance.std(), outside, np.abs(distance - np.roll(distance, 1)).mean()])
