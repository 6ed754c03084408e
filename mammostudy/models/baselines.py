"""Masks that need no network: drawn from the box alone, or from its grey values alone.

The scaled ellipse and the mean mask are fitted to training masses, for known and for jittered boxes
by themselves. They are the strongest of what looks at no pixel, and so the ones to beat.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray
from skimage.segmentation import inverse_gaussian_gradient
from skimage.segmentation import morphological_geodesic_active_contour as geodesic_contour

from mammostudy.imaging.contours import chan_vese_mask, inscribed_ellipse, nearest_part, otsu_mask
from mammostudy.imaging.framing import Box, crop_and_resize, paste_back

Masks = NDArray[np.bool_]
Boxes = NDArray[np.float32]
FACTORS: Final = tuple(round(0.70 + 0.01 * step, 2) for step in range(51))  # of both axes
LEVELS: Final = tuple(round(0.20 + 0.02 * step, 2) for step in range(31))  # of the mean mask
GRID, REACH = 64, 1.5
"""Pixels and sides of a box, of the window around it in which masks are averaged."""
CHOSEN: Final = (1.0, 3, 20)
"""Of :func:`geodesic_mask`: ``tools/choose_contours.py`` says how and among what."""


class Shown(NamedTuple):
    """Masks ``(n, s, s)`` of training masses and their boxes ``(n, 4)``."""

    masks: Masks
    boxes: Boxes


def baseline_masks(
    name: str, images: NDArray[np.float32], boxes: Boxes, shown: Shown | None = None
) -> Masks:
    """The masks ``(n, s, s)`` of a baseline, of frames and the boxes given in them ``(n, 4)``."""
    side = images.shape[1]
    if name == "all-mass":
        return np.ones(images.shape, dtype=bool)
    if name == "ellipse":
        return _ellipses(boxes, side)
    if name == "scaled-ellipse" and shown is not None:
        factor = _best(FACTORS, lambda f: _ellipses(shown.boxes, side, f), shown.masks)
        return _ellipses(boxes, side, factor)
    if name == "mean-mask" and shown is not None:
        share = _mean_mask(shown)
        level = _best(LEVELS, lambda at: _pasted(share >= at, shown.boxes, side), shown.masks)
        return _pasted(share >= level, boxes, side)
    if name == "otsu":
        return np.stack([otsu_mask(image) for image in images])
    if name == "geodesic":
        each = zip(images, _whole(boxes), strict=True)
        return np.stack([geodesic_mask(image, box, *CHOSEN) for image, box in each])
    if name != "chan-vese":
        raise ValueError(f"{name}: no baseline, or one that needs training masses")
    shares = np.clip((boxes[:, 2:] - boxes[:, :2]).mean(axis=1) / side, 0.05, 1.0)
    started = zip(images, shares.tolist(), strict=True)
    return np.stack([chan_vese_mask(image, box_fraction=share) for image, share in started])


def geodesic_mask(
    image: NDArray[np.float32], box: Box, sigma: float, smoothing: int, steps: int
) -> Masks:
    """Morphological geodesic contour, from the ellipse in a box; the part nearest the centre.

    Edges are of the image blurred by ``sigma`` pixels. Source: Caselles et al. 1997; Marquez-Neila
    et al. 2014, through scikit-image.
    """
    edges = inverse_gaussian_gradient(image.astype(np.float64), sigma=sigma)
    start = inscribed_ellipse(box, (image.shape[0], image.shape[1])).astype(np.int8)
    level = geodesic_contour(edges, steps, init_level_set=start, smoothing=smoothing)
    return nearest_part(np.asarray(level > 0, dtype=np.bool_))


def _best(choices: tuple[float, ...], draw: Callable[[float], Masks], truth: Masks) -> float:
    """The choice whose masks have the best mean Dice, the first of equal ones."""
    means = []
    for mask in map(draw, choices):
        both, sides = (each.sum(axis=(1, 2)) for each in (mask & truth, mask * 1 + truth))
        means.append((2 * both / sides).mean())  # a training mass is never empty
    return choices[int(np.argmax(means))]


def _whole(boxes: Boxes) -> list[Box]:
    """Boxes in whole pixels of the frame, at least one pixel a side."""
    edges = ([round(float(edge)) for edge in box] for box in boxes)
    return [(x, y, max(right, x + 1), max(low, y + 1)) for x, y, right, low in edges]


def _ellipses(boxes: Boxes, side: int, factor: float = 1.0) -> Masks:
    return np.stack([inscribed_ellipse(box, (side, side), factor) for box in _whole(boxes)])


def _windows(boxes: Boxes) -> list[Box]:
    """Boxes grown about their centres, in which masks are averaged."""
    whole = np.array(_whole(boxes), dtype=np.float64)
    reach = np.tile((REACH - 1) / 2 * (whole[:, 2:] - whole[:, :2]), 2) * [-1, -1, 1, 1]
    return [(x, y, right, low) for x, y, right, low in np.rint(whole + reach).astype(int).tolist()]


def _mean_mask(shown: Shown) -> NDArray[np.float64]:
    """How many training masks cover each place of their grown boxes, ``(64, 64)``."""
    each = zip(shown.masks.astype(np.float32), _windows(shown.boxes), strict=True)
    cut = np.stack([crop_and_resize(mask, window, GRID) for mask, window in each])
    return np.asarray(cut.mean(axis=0), dtype=np.float64)


def _pasted(mask: Masks, boxes: Boxes, side: int) -> Masks:
    return np.stack([paste_back(mask, window, (side, side)) for window in _windows(boxes)])
