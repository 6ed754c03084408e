"""Phantom mammograms: outlines, tissue, and whole views with masses in them.

Everything is drawn in a fixed order of random draws and float operations: the same seed gives the
same pixels. Works that are named by authors and year are cited in ``data_manifests/phantom.yaml``.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray
from scipy import fft

SIZE: Final = (768, 640)  # (h, w) of a view
_THETA: Final = np.linspace(0.0, 2.0 * np.pi, 360, endpoint=False)
Points = NDArray[np.float64]  # (k, 2) of x and y in pixels; of a radius (360,) by angle
Field = NDArray[np.float32]  # (h, w)
Random = np.random.Generator


@dataclass(frozen=True)
class Mass:
    """What CC and MLO of one mass share; each view draws its own outline of this shape."""

    shape: str  # irregular, lobular, oval or round
    diameter: float  # of the disc of the same area, pixels
    margin: float  # blur of the border, a share of the radius: 0.02 sharp to 0.3 ill-defined
    contrast: float  # attenuation at its thickest (parenchyma has about 0.5)


class Breast(NamedTuple):
    """The geometry of one view, chest wall at the left edge (x = 0)."""

    depth: Field  # (h, w), pixels to the skin line; 0 outside the breast
    nipple: tuple[float, float]  # x, y in pixels
    pectoral: Field  # (h, w) in [0, 1], the pectoral muscle (all 0 in CC)


SITES: Final = {"north": (1.0, 1.0, 0.012, 0.6), "south": (1.35, 0.85, 0.024, 1.0)}
"""Exponent and slope of the display curve, standard deviation of the grain, blur in pixels."""


def draw_outline(shape: str, diameter: float, rng: Random) -> Points:
    """Draw a star-shaped outline about the origin, of the area of the disc of that diameter."""
    radius = _radius(shape, rng)
    x, y = radius * np.cos(_THETA), radius * np.sin(_THETA)
    area = float(abs(np.dot(x, np.roll(y, -1)) - np.dot(y, np.roll(x, -1))) / 2.0)  # shoelace
    points = np.column_stack([x, y]) * np.sqrt(np.pi / 4.0 * diameter**2 / area)
    turn = rng.uniform(0.0, 2.0 * np.pi)
    rotation = np.array([[np.cos(turn), np.sin(turn)], [-np.sin(turn), np.cos(turn)]])
    return np.asarray(points @ rotation, dtype=np.float64)


def _radius(shape: str, rng: Random) -> Points:
    if shape in ("round", "oval"):
        low, high, sigma = (0.90, 1.0, 0.02) if shape == "round" else (0.48, 0.70, 0.03)
        return ellipse_radius(rng.uniform(low, high)) * gaussian_radius(rng, sigma, 1.0, lowest=3)
    if shape == "lobular":
        lobes = int(rng.integers(3, 6))
        stretch = ellipse_radius(rng.uniform(0.75, 1.0))
        return lobes_radius(rng, lobes) * stretch * gaussian_radius(rng, 0.03, 1.0)
    body = gaussian_radius(rng, rng.uniform(0.16, 0.25), rng.uniform(0.3, 0.6))
    spikes = np.zeros(_THETA.shape)  # narrow outward tapers (de Sisternes et al. 2015)
    for centre in rng.uniform(0.0, 2.0 * np.pi, int(rng.integers(4, 10))):
        gap = np.angle(np.exp(1j * (_THETA - centre)))
        width = rng.uniform(0.09, 0.20)
        spikes = np.maximum(spikes, rng.uniform(0.15, 0.55) * np.exp(-np.abs(gap) / width))
    return np.asarray(body * (1.0 + spikes))


def gaussian_radius(rng: Random, sigma: float, hurst: float, lowest: int = 2) -> Points:
    """Draw a log-normal radius whose harmonics fall as fractional noise does.

    Standard deviation ``sigma``, amplitudes ``n ** -(hurst + 1/2)`` from harmonic ``lowest`` to 40
    (2 leaves the centre in place), fractal dimension ``2 - hurst`` (Muinonen et al. 1996, doi
    10.1016/0022-4073(96)00003-9; de Sisternes et al. 2015; Rangayyan and Nguyen 2007).
    """
    order = np.arange(lowest, 41)
    amplitude = order.astype(np.float64) ** -(hurst + 0.5)
    amplitude *= sigma / np.sqrt(np.sum(amplitude**2))
    cosines, sines = rng.standard_normal((2, order.size)) * amplitude
    angles = np.outer(order, _THETA)
    return np.asarray(np.exp(cosines @ np.cos(angles) + sines @ np.sin(angles)))


def ellipse_radius(aspect: float) -> Points:
    """Return the radius of an ellipse with half axes 1 and ``aspect``."""
    return np.asarray(aspect / np.hypot(aspect * np.cos(_THETA), np.sin(_THETA)))


def lobes_radius(rng: Random, lobes: int) -> Points:
    """Draw a union of discs, cusps between rounded lobes (Rangayyan et al. 2000)."""
    directions = 2.0 * np.pi * (np.arange(lobes) + rng.uniform(-0.2, 0.2, lobes)) / lobes
    sizes = rng.uniform(0.48, 0.72, lobes)
    reach = rng.uniform(0.48, 0.80, lobes)
    gap = _THETA[None, :] - directions[:, None]
    inside = sizes[:, None] ** 2 - (reach[:, None] * np.sin(gap)) ** 2
    far = np.where(inside > 0, reach[:, None] * np.cos(gap) + np.sqrt(np.maximum(inside, 0)), 0.0)
    return np.asarray(np.maximum(far.max(axis=0), 0.56))


def power_law_fields(shape: tuple[int, int], rng: Random, beta: float = 3.0) -> tuple[Field, Field]:
    """Draw two independent Gaussian fields whose power spectrum falls as ``1 / f ** beta``.

    Mean 0, standard deviation 1; of mammograms beta is about 3 (Burgess, Jacobson and Judy 2001).
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


def draw_breast(view: str, shape: tuple[int, int], rng: Random) -> Breast:
    """Draw the skin line of a CC or MLO view of ``shape`` (h, w), and the muscle of an MLO."""
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
    if view == "CC":
        return Breast(depth, (reach, middle * height), np.zeros(shape, np.float32))
    # the muscle is a slightly bowed triangle in the upper corner that fades downwards
    top, length = rng.uniform(0.26, 0.40) * width, rng.uniform(0.48, 0.66) * height
    bow = rng.uniform(-0.05, 0.12) * width
    rows = np.clip(np.arange(height) / length, 0.0, 1.0)
    edge = top * (1.0 - rows) + bow * np.sin(np.pi * rows)
    edge[np.arange(height) >= length] = -1.0
    sharp = (np.arange(width)[None, :] < edge[:, None]).astype(np.float32)
    muscle = cv2.GaussianBlur(sharp, (0, 0), rng.uniform(2.5, 5.0))
    faded = np.asarray(muscle * (1.0 - 0.35 * rows[:, None]), dtype=np.float32)
    return Breast(depth, (reach, middle * height), faded)


def draw_parenchyma(breast: Breast, density: float, rng: Random) -> tuple[Field, Field]:
    """Draw glandular tissue: its attenuation above that of fat, and where the gland is, [0, 1]."""
    # a gland behind the nipple, broken up by a power-law field, textured by a second one and
    # crossed by thin strands along the level lines of a third (ducts and ligaments)
    shape = (breast.depth.shape[0], breast.depth.shape[1])
    clumps, texture = power_law_fields(shape, rng)
    fine, coarse = power_law_fields((shape[0] // 4, shape[1] // 4), rng, beta=2.6)
    strands = cv2.resize(fine, shape[::-1], interpolation=cv2.INTER_CUBIC)
    shade = cv2.resize(coarse, shape[::-1], interpolation=cv2.INTER_CUBIC)
    x = np.arange(shape[1], dtype=np.float32)[None, :] / breast.nipple[0] - 0.52
    y = (np.arange(shape[0], dtype=np.float32)[:, None] - breast.nipple[1]) / shape[0]
    behind = np.exp(-((x / 0.42) ** 2) - (y / 0.24) ** 2) * np.clip(breast.depth / 70.0, 0, 1)
    drive = 2.6 * behind + 0.9 * clumps + 2.0 * (density - 0.5) - 1.35
    gland = (1.0 / (1.0 + np.exp(-drive / 0.42))).astype(np.float32)
    lines = np.exp(-((strands / 0.10) ** 2)) * (0.35 + 0.65 * gland)
    tissue = gland * (0.52 + 0.16 * texture + 0.10 * shade) + 0.05 * texture + 0.10 * lines
    return tissue.astype(np.float32), np.asarray(gland * (behind > 0.05), dtype=np.float32)


def draw_view(
    view: str, side: str, site: str, density: float, masses: tuple[Mass, ...], rng: Random
) -> tuple[Field, NDArray[np.uint8]]:
    """Draw a mammogram in [0, 1] with its labels: the number of the mass, or 0."""
    breast = draw_breast(view, SIZE, rng)
    tissue, gland = draw_parenchyma(breast, density, rng)
    labels = np.zeros(SIZE, np.uint8)
    outlines: list[Points] = []
    for mass in masses:
        outline = draw_outline(mass.shape, mass.diameter, rng)
        if outlines:
            centre = _beside(outlines[0], outline, breast, rng)
        else:
            room = float(np.abs(outline).max()) * (2.3 if len(masses) > 1 else 1.15)
            centre = _inside(room, breast, gland, rng)
        outlines.append(outline + centre)
    for label, (mass, outline) in enumerate(zip(masses, outlines, strict=True), start=1):
        body = np.zeros(SIZE, np.uint8)
        cv2.fillPoly(body, [np.round(outline * 16).astype(np.int32)], 1, shift=4)
        tissue = _add_mass(tissue, body, outline, mass, rng)
        labels[(body > 0) & (labels == 0)] = label
    image = _expose(tissue, breast, site, rng)
    if side == "R":
        image, labels = image[:, ::-1], labels[:, ::-1]
    return np.ascontiguousarray(image), np.ascontiguousarray(labels)


def _inside(room: float, breast: Breast, gland: Field, rng: Random) -> Points:
    """Choose a centre with ``room`` pixels round it, likelier where there is gland."""
    step = 8
    depth = breast.depth[::step, ::step].astype(np.float64)
    y, x = np.arange(0, SIZE[0], step), np.arange(0, SIZE[1], step)
    wall = np.minimum(np.minimum(y, SIZE[0] - 1 - y)[:, None], x[None, :])
    clearance = np.minimum(depth, wall)
    chance = (0.08 + gland[::step, ::step]) * (1.0 - 0.95 * breast.pectoral[::step, ::step])
    chance = np.where(clearance > min(room, 0.98 * float(clearance.max())), chance, 0.0)
    picked = int(rng.choice(chance.size, p=(chance / chance.sum()).ravel()))
    row, column = divmod(picked, depth.shape[1])
    return np.array([column * step, row * step], dtype=np.float64) + rng.uniform(-2, 2, 2)


def _beside(first: Points, second: Points, breast: Breast, rng: Random) -> Points:
    """Choose a centre on the border of the first mass's loose frame, so that the frame cuts it."""
    low, high = first.min(axis=0), first.max(axis=0)
    reach = float(np.abs(second).max()) + 2.0
    height, width = breast.depth.shape
    best, best_room = (low + high) / 2.0, -np.inf
    for turn in rng.uniform(0.0, 2.0 * np.pi, 24):
        way = np.array([np.cos(turn), np.sin(turn)])
        way /= np.max(np.abs(way) / (high - low))
        centre = (low + high) / 2.0 + way * rng.uniform(0.92, 1.06)
        x, y = np.clip(np.round(centre).astype(int), 0, (width - 1, height - 1))
        room = min(float(breast.depth[y, x]), centre[0], centre[1], height - 1 - centre[1])
        if room > best_room:
            best, best_room = centre, room
        if room > reach:
            break
    return np.asarray(best, dtype=np.float64)


def _add_mass(
    tissue: Field, body: NDArray[np.uint8], outline: Points, mass: Mass, rng: Random
) -> Field:
    """Lay a mass into the tissue: a textured dome that displaces part of what it covers."""
    # a central body with grown strands: de Sisternes et al. 2015; its border: Saunders et al. 2006
    radius = mass.diameter / 2.0
    depth = cv2.distanceTransform(body, cv2.DIST_L2, 5)
    rise = np.clip(depth / (0.55 * radius), 0.0, 1.0)
    dome = 0.45 * body + 0.55 * np.sqrt(1.0 - (1.0 - rise) ** 2)
    dome = cv2.GaussianBlur(dome.astype(np.float32), (0, 0), max(0.8, mass.margin * radius))
    own, _ = power_law_fields((256, 256), rng, beta=2.4)
    texture = np.ones(tissue.shape, np.float32)
    x, y = np.round(outline.mean(axis=0)).astype(int) - 128
    rows = slice(max(y, 0), min(y + 256, tissue.shape[0]))
    columns = slice(max(x, 0), min(x + 256, tissue.shape[1]))
    cut = own[rows.start - y : rows.stop - y, columns.start - x : columns.stop - x]
    texture[rows, columns] += 0.22 * cut
    result = tissue * (1.0 - 0.62 * dome) + mass.contrast * dome * texture
    if mass.shape == "irregular":
        result = result + 0.30 * mass.contrast * _strands(outline, radius, tissue.shape, rng)
    return np.asarray(result, dtype=np.float32)


def _strands(outline: Points, radius: float, shape: tuple[int, ...], rng: Random) -> Field:
    """Draw thin radiating strands that fade away from the outline, in [0, 1]."""
    canvas = np.zeros(shape, np.float32)
    centre = outline.mean(axis=0)
    for index in rng.integers(0, len(outline), int(rng.integers(8, 20))):
        start = outline[index]
        way = start - centre
        way = way / max(float(np.hypot(*way)), 1.0)
        bend = rng.normal(0.0, 0.25)
        for part in np.linspace(0.0, 1.0, 7)[1:]:
            turned = way + bend * part * np.array([-way[1], way[0]])
            end = start + turned * radius * rng.uniform(0.10, 0.18)
            ends = [np.round(point * 16).astype(int).tolist() for point in (start, end)]
            cv2.line(canvas, ends[0], ends[1], 1.0 - 0.8 * float(part), 2, cv2.LINE_AA, 4)
            start = end
    return np.asarray(cv2.GaussianBlur(canvas, (0, 0), 1.0), dtype=np.float32)


def _expose(tissue: Field, breast: Breast, site: str, rng: Random) -> Field:
    """Turn attenuation into the display values of a site, in [0, 1]."""
    gamma, contrast, noise, blur = SITES[site]
    thin = np.clip(breast.depth / 85.0, 0.0, 1.0)
    thickness = np.sqrt(1.0 - (1.0 - thin) ** 2)
    inside = breast.depth > 0
    skin = np.exp(-(((breast.depth - 4.0) / 3.0) ** 2)) * inside
    muscle = 0.30 * breast.pectoral * (1.0 - 0.5 * np.clip(tissue, 0.0, 1.0))
    value = thickness * (0.20 + 0.62 * tissue + muscle) + 0.05 * skin
    value = cv2.GaussianBlur(value.astype(np.float32), (0, 0), blur)
    grain = rng.standard_normal(value.shape, dtype=np.float32)
    grain *= noise * (0.35 + 0.65 * inside)
    value = np.clip(value, 0.0, None) ** gamma * contrast + grain + 0.02
    return np.asarray(np.clip(value, 0.0, 1.0), dtype=np.float32)
