"""Draw one view of one patient: tissue, masses, then the detector of the site."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from mammostudy.data.phantoms.outlines import draw_outline
from mammostudy.data.phantoms.patients import Mass
from mammostudy.data.phantoms.tissue import Breast, draw_breast, draw_parenchyma, power_law_fields

SIZE = (768, 640)
Array = NDArray[np.float32]


@dataclass(frozen=True)
class Site:
    """How the mammograms of a hospital look.

    Attributes:
        gamma: exponent of the display curve.
        contrast: slope of the display curve.
        noise: standard deviation of the grain, in units of the display range.
        blur: of the detector, pixels.
    """

    gamma: float
    contrast: float
    noise: float
    blur: float


SITES = {
    "north": Site(gamma=1.0, contrast=1.0, noise=0.012, blur=0.6),
    "south": Site(gamma=1.35, contrast=0.85, noise=0.024, blur=1.0),
}


def draw_view(
    view: str, side: str, site: str, density: float, masses: tuple[Mass, ...],
    rng: np.random.Generator,
) -> tuple[Array, NDArray[np.uint8]]:  # fmt: skip
    """Draw a whole mammogram with its truth.

    Args:
        view: CC or MLO.
        side: L (chest wall at the left) or R (at the right).
        site: north or south.
        density: 0 fatty to 1 extremely dense.
        masses: none, one, or the mass of the study and a second one near it.
        rng: where the randomness comes from.

    Returns:
        float32 (768, 640) in [0, 1], and uint8 labels of the same size: 0 background, 1 the mass
        of the study, 2 the second one.
    """
    breast = draw_breast(view, SIZE, rng)
    tissue, gland = draw_parenchyma(breast, density, rng)
    labels = np.zeros(SIZE, np.uint8)
    outlines = place_outlines(masses, breast, gland, rng)
    for label, (mass, outline) in enumerate(zip(masses, outlines, strict=True), start=1):
        body = fill(outline, SIZE)
        tissue = add_mass(tissue, body, outline, mass, rng)
        labels[(body > 0) & (labels == 0)] = label
    image = expose(tissue, breast, SITES[site], rng)
    if side == "R":
        image, labels = image[:, ::-1], labels[:, ::-1]
    return np.ascontiguousarray(image), np.ascontiguousarray(labels)


def fill(outline: NDArray[np.float64], shape: tuple[int, int]) -> NDArray[np.uint8]:
    """Fill a polygon (k, 2), to a sixteenth of a pixel: uint8 (h, w) of 0 and 1."""
    body = np.zeros(shape, np.uint8)
    cv2.fillPoly(body, [np.round(outline * 16).astype(np.int32)], 1, shift=4)
    return body


def place_outlines(
    masses: tuple[Mass, ...], breast: Breast, gland: Array, rng: np.random.Generator
) -> list[NDArray[np.float64]]:
    """Draw the outlines of a view and put them in the breast.

    The first mass lies wholly inside the breast, mostly in the gland. The second is centred on
    the border of the first one's loose frame (its box doubled), so that the frame cuts it.

    Returns:
        A list of float64 (k, 2) polygons in image pixels.
    """
    outlines: list[NDArray[np.float64]] = []
    for mass in masses:
        outline = draw_outline(mass.shape, mass.diameter, rng)
        if outlines:
            centre = _beside(outlines[0], outline, breast, rng)
        else:
            room = float(np.abs(outline).max()) * (2.3 if len(masses) > 1 else 1.15)
            centre = _inside(room, breast, gland, rng)
        outlines.append(outline + centre)
    return outlines


def _inside(
    room: float, breast: Breast, gland: Array, rng: np.random.Generator
) -> NDArray[np.float64]:
    """Choose a centre with ``room`` pixels round it, likelier where there is gland."""
    step = 8
    depth = breast.depth[::step, ::step].astype(np.float64)
    x = np.arange(depth.shape[1]) * step
    y = np.arange(depth.shape[0]) * step
    wall = np.minimum(np.minimum(y, SIZE[0] - 1 - y)[:, None], x[None, :])
    clearance = np.minimum(depth, wall)
    chance = (0.08 + gland[::step, ::step]) * (1.0 - 0.95 * breast.pectoral[::step, ::step])
    chance = np.where(clearance > min(room, 0.98 * float(clearance.max())), chance, 0.0)
    picked = int(rng.choice(chance.size, p=(chance / chance.sum()).ravel()))
    row, column = divmod(picked, depth.shape[1])
    return np.array([column * step, row * step], dtype=np.float64) + rng.uniform(-2, 2, 2)


def _beside(
    first: NDArray[np.float64], second: NDArray[np.float64], breast: Breast,
    rng: np.random.Generator,
) -> NDArray[np.float64]:  # fmt: skip
    """Choose a centre on the border of the first mass's loose frame, inside the breast."""
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


def add_mass(
    tissue: Array, body: NDArray[np.uint8], outline: NDArray[np.float64], mass: Mass,
    rng: np.random.Generator,
) -> Array:  # fmt: skip
    """Lay a mass into the tissue: a textured dome that displaces part of what it covers.

    The gland above and below stays visible through it (the projection adds up), its border is
    blurred by the margin, and irregular masses send thin strands beyond their outline.

    Source:
        A central body with grown strands, projected: de Sisternes et al. 2015. Border profile and
        blur as parameters of simulated masses: Saunders et al. 2006.
    """
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
    texture[rows, columns] += (
        0.22 * own[rows.start - y : rows.stop - y, columns.start - x : columns.stop - x]
    )
    result = tissue * (1.0 - 0.62 * dome) + mass.contrast * dome * texture
    if mass.shape == "irregular":
        result = result + 0.30 * mass.contrast * _strands(outline, radius, tissue.shape, rng)
    return np.asarray(result, dtype=np.float32)


def _strands(
    outline: NDArray[np.float64], radius: float, shape: tuple[int, ...], rng: np.random.Generator
) -> Array:
    """Draw thin radiating strands that fade away from the outline: float32 (h, w) in [0, 1]."""
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


def expose(tissue: Array, breast: Breast, site: Site, rng: np.random.Generator) -> Array:
    """Turn attenuation into the display values of a site: float32 (h, w) in [0, 1].

    The compressed breast thins out towards the skin; the muscle adds to the tissue; blur, grain
    and display curve are the site's.
    """
    thin = np.clip(breast.depth / 85.0, 0.0, 1.0)
    thickness = np.sqrt(1.0 - (1.0 - thin) ** 2)
    inside = breast.depth > 0
    skin = np.exp(-(((breast.depth - 4.0) / 3.0) ** 2)) * inside
    value = (
        thickness
        * (0.20 + 0.62 * tissue + 0.30 * breast.pectoral * (1.0 - 0.5 * np.clip(tissue, 0.0, 1.0)))
        + 0.05 * skin
    )
    value = cv2.GaussianBlur(value.astype(np.float32), (0, 0), site.blur)
    grain = rng.standard_normal(value.shape, dtype=np.float32)
    grain *= site.noise * (0.35 + 0.65 * inside)
    value = np.clip(value, 0.0, None) ** site.gamma * site.contrast + grain + 0.02
    return np.asarray(np.clip(value, 0.0, 1.0), dtype=np.float32)
