"""Outlines of masses: star-shaped curves of the four shapes, each by a published model.

Every outline is a radius ``r(angle)`` about a centre. That signature is how contours of masses
have long been described and measured (Rangayyan and Nguyen 2007), and the random radius is the
planar version of the Gaussian random sphere from which de Sisternes et al. (2015) grow the body
of a simulated mass.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

ANGLES = 360
_THETA = np.linspace(0.0, 2.0 * np.pi, ANGLES, endpoint=False)
HIGHEST = 40

Radius = NDArray[np.float64]


def draw_outline(shape: str, diameter: float, rng: np.random.Generator) -> NDArray[np.float64]:
    """Draw the outline of one mass about the origin.

    Args:
        shape: irregular, lobular, oval or round.
        diameter: of the disc of the same area, in pixels.
        rng: where the randomness comes from.

    Returns:
        float64 (360, 2) points x, y in pixels; the enclosed area is exactly that of the disc.
    """
    radius = _MODELS[shape](rng)
    points = np.column_stack([radius * np.cos(_THETA), radius * np.sin(_THETA)])
    points *= np.sqrt(np.pi / 4.0 * diameter**2 / enclosed_area(points))
    turn = rng.uniform(0.0, 2.0 * np.pi)
    rotation = np.array([[np.cos(turn), np.sin(turn)], [-np.sin(turn), np.cos(turn)]])
    return np.asarray(points @ rotation, dtype=np.float64)


def enclosed_area(points: NDArray[np.float64]) -> float:
    """Return the area inside a closed polygon (k, 2), in square pixels (shoelace formula)."""
    x, y = points[:, 0], points[:, 1]
    return float(abs(np.dot(x, np.roll(y, -1)) - np.dot(y, np.roll(x, -1))) / 2.0)


def gaussian_radius(
    rng: np.random.Generator, sigma: float, hurst: float, lowest: int = 2
) -> Radius:
    """Draw a log-normal radius whose harmonics fall as fractional noise does.

    ``r = exp(s)``, ``s`` a stationary Gaussian process on the circle with standard deviation
    ``sigma`` and amplitudes ``n ** -(hurst + 1/2)``: small ``hurst`` is rough.

    Args:
        rng: where the randomness comes from.
        sigma: standard deviation of the logarithm of the radius.
        hurst: Hurst exponent of the curve; its fractal dimension is ``2 - hurst``.
        lowest: first harmonic (2 leaves the centre in place).

    Returns:
        float64 (360,) positive radii.

    Source:
        Gaussian random sphere: Muinonen et al., J Quant Spectrosc Radiat Transf 55:577 (1996),
        doi 10.1016/0022-4073(96)00003-9, used for masses by de Sisternes et al.,
        Med Phys 42:1098 (2015), doi 10.1118/1.4905232. Fractal dimension of the contours of
        masses: Rangayyan and Nguyen, J Digit Imaging 20:223 (2007),
        doi 10.1007/s10278-006-0860-9.
    """
    order = np.arange(lowest, HIGHEST + 1)
    amplitude = order.astype(np.float64) ** -(hurst + 0.5)
    amplitude *= sigma / np.sqrt(np.sum(amplitude**2))
    cosines, sines = rng.standard_normal((2, order.size)) * amplitude
    angles = np.outer(order, _THETA)
    return np.asarray(np.exp(cosines @ np.cos(angles) + sines @ np.sin(angles)))


def ellipse_radius(aspect: float) -> Radius:
    """Return the radius of an ellipse with half axes 1 and ``aspect``: float64 (360,)."""
    return np.asarray(aspect / np.hypot(aspect * np.cos(_THETA), np.sin(_THETA)))


def lobes_radius(rng: np.random.Generator, lobes: int) -> Radius:
    """Draw the outer radius of a union of discs round the centre: cusps between rounded lobes.

    Returns:
        float64 (360,) positive radii.

    Source:
        Contours of masses as convex and concave segments: Rangayyan, Mudigonda and Desautels,
        Med Biol Eng Comput 38:487 (2000), doi 10.1007/BF02345742. Here a few convex arcs that
        meet in concave points.
    """
    directions = 2.0 * np.pi * (np.arange(lobes) + rng.uniform(-0.2, 0.2, lobes)) / lobes
    sizes = rng.uniform(0.48, 0.72, lobes)
    reach = rng.uniform(0.48, 0.80, lobes)
    gap = _THETA[None, :] - directions[:, None]
    inside = sizes[:, None] ** 2 - (reach[:, None] * np.sin(gap)) ** 2
    far = np.where(inside > 0, reach[:, None] * np.cos(gap) + np.sqrt(np.maximum(inside, 0)), 0.0)
    return np.asarray(np.maximum(far.max(axis=0), 0.56))


def spikes(rng: np.random.Generator, count: int, height: tuple[float, float]) -> Radius:
    """Draw narrow outward tapers to multiply a radius with: float64 (360,), at least 1.

    Source:
        Spiculated contours: de Sisternes et al. 2015. Narrowness of spicules (spiculation
        index): Rangayyan, Mudigonda and Desautels 2000.
    """
    factor = np.zeros(ANGLES)
    for centre in rng.uniform(0.0, 2.0 * np.pi, count):
        gap = np.angle(np.exp(1j * (_THETA - centre)))
        width = rng.uniform(0.09, 0.20)
        factor = np.maximum(factor, rng.uniform(*height) * np.exp(-np.abs(gap) / width))
    return np.asarray(1.0 + factor)


def _round(rng: np.random.Generator) -> Radius:
    return ellipse_radius(rng.uniform(0.90, 1.0)) * gaussian_radius(rng, 0.02, 1.0, lowest=3)


def _oval(rng: np.random.Generator) -> Radius:
    return ellipse_radius(rng.uniform(0.48, 0.70)) * gaussian_radius(rng, 0.03, 1.0, lowest=3)


def _lobular(rng: np.random.Generator) -> Radius:
    lobes = int(rng.integers(3, 6))
    stretch = ellipse_radius(rng.uniform(0.75, 1.0))
    return lobes_radius(rng, lobes) * stretch * gaussian_radius(rng, 0.03, 1.0)


def _irregular(rng: np.random.Generator) -> Radius:
    body = gaussian_radius(rng, rng.uniform(0.16, 0.25), rng.uniform(0.3, 0.6))
    return body * spikes(rng, int(rng.integers(4, 10)), (0.15, 0.55))


_MODELS: dict[str, Callable[[np.random.Generator], Radius]] = {
    "irregular": _irregular,
    "lobular": _lobular,
    "oval": _oval,
    "round": _round,
}
