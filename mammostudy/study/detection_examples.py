"""Views of the test folds for the montage: found, missed and false, chosen by rule."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from mammostudy.data.views import views_of
from mammostudy.evaluation.boxes import FALSE, HIT, OUTCOMES
from mammostudy.imaging.framing import Box
from mammostudy.study.detection_judged import Judged
from mammostudy.study.fingerprint import at_hand

SEED: Final = 0
LONGEST: Final = 640  # pixels of a picture's longer side
Edges = tuple[float, float, float, float]


@dataclass(frozen=True)
class Found:
    """A box that a detector laid at its operating threshold.

    Attributes:
        edges: x_min, y_min, x_max, y_max, pixels of the picture.
        score: of the box.
        outcome: ``hit``, ``repeat`` or ``false``.
    """

    edges: Edges
    score: float
    outcome: str


@dataclass(frozen=True)
class Picture:
    """A view with its masses and what a detector found in it.

    Attributes:
        title: the rule that chose it.
        image: float32 ``(h, w)`` in [0, 1], shrunk.
        masses: boxes of the masses, pixels of the picture.
        found: boxes at the operating threshold.
        focus: number of the box or mass that the rule chose, or None for the whole view.
        of_mass: ``focus`` counts masses, not boxes.
    """

    title: str
    image: NDArray[np.float32]
    masses: tuple[Edges, ...]
    found: tuple[Found, ...]
    focus: int | None
    of_mass: bool


def chosen(detector: Judged) -> pd.DataFrame:
    """Choose views by rule, at the operating threshold of each fold.

    Rules: the hit with the highest score and the one with the lowest; the largest mass missed; the
    false positive with the highest score on a view with a mass and on one without; and one view
    drawn by a seed. A rule that nothing fits is left out.

    Returns:
        Columns rule, view, box (row among the boxes, -1 for none), mass (row among the masses, -1).
    """
    matches, needed = detector.matches(), detector.threshold_of_view
    shown = matches.scores >= needed[matches.image]
    free = (detector.views["masses"] == 0).to_numpy()[matches.image]
    hits, false = shown & (matches.outcome == HIT), shown & (matches.outcome == FALSE)
    rows = detector.rows
    share = rows.loc[rows["row"] == "mass", "share"].to_numpy(np.float64)
    missed = np.where(detector.found(), -np.inf, share)
    picks = [
        ("hit of the highest score", _first(hits, matches.scores), -1),
        ("hit of the lowest score", _first(hits, -matches.scores), -1),
        ("largest mass missed", -1, _first(np.isfinite(missed), missed)),
        ("surest false positive beside a mass", _first(false & ~free, matches.scores), -1),
        ("surest false positive, mass-free view", _first(false & free, matches.scores), -1),
    ]
    names = detector.views["view"].to_numpy(str)
    out = []
    for rule, box, mass in picks:
        if box >= 0 or mass >= 0:
            image = matches.image[box] if box >= 0 else matches.true_image[mass]
            out.append({"rule": rule, "view": names[image], "box": box, "mass": mass})
    drawn = str(names[np.random.default_rng(SEED).integers(len(names))])
    out.append({"rule": f"drawn by seed {SEED}", "view": drawn, "box": -1, "mass": -1})
    return pd.DataFrame(out)


def _first(among: NDArray[np.bool_], by: NDArray[np.float64]) -> int:
    """Return the number of the highest value among some; the first of equals, -1 for none."""
    return int(np.where(among, by, -np.inf).argmax()) if among.any() else -1


def pictures(detector: Judged, picks: pd.DataFrame) -> list[Picture]:
    """Return the chosen views with their boxes; empty where the images are not at hand."""
    cohort = at_hand(detector.records[0].spec.cohort)
    if cohort is None:
        return []
    views = views_of(cohort)
    if not set(picks["view"]) <= set(views.names):
        return []  # of a cohort of another size
    place = {name: at for at, name in enumerate(views.names)}
    out = []
    for pick in picks.to_dict("records"):
        at = place[str(pick["view"])]
        image_row = cohort.manifest[cohort.manifest["image"] == views.table.iloc[at]["image"]]
        image = cohort.image(image_row.iloc[0])
        small, scale = _shrunk(image)
        found, numbers = _boxes(detector, str(pick["view"]), scale)
        masses = tuple(_scaled(box, scale) for box in views.boxes[at])
        of_mass = int(pick["mass"]) >= 0
        focus = _focus(detector, pick["mass"]) if of_mass else numbers.get(int(pick["box"]))
        out.append(Picture(str(pick["rule"]), small, masses, found, focus, of_mass))
    return out


def _focus(detector: Judged, mass: int) -> int:
    rows = detector.rows
    return int(rows.loc[rows["row"] == "mass", "mass"].to_numpy()[int(mass)])


def _boxes(detector: Judged, view: str, scale: float) -> tuple[tuple[Found, ...], dict[int, int]]:
    """Return a view's boxes at its threshold, and the place among them of each number."""
    matches = detector.matches()
    names = detector.views["view"].to_numpy(str)
    image = int(np.flatnonzero(names == view)[0])
    needed = detector.threshold_of_view[image]
    numbers = np.flatnonzero((matches.image == image) & (matches.scores >= needed))
    boxes = tuple(
        Found(
            _scaled(matches.boxes[number], scale),
            float(matches.scores[number]),
            OUTCOMES[matches.outcome[number]],
        )
        for number in numbers
    )
    return boxes, {int(number): at for at, number in enumerate(numbers)}


def _shrunk(image: NDArray[np.float32]) -> tuple[NDArray[np.float32], float]:
    """Shrink an image by the mean over areas."""
    import cv2

    scale = min(1.0, LONGEST / max(image.shape))
    height, width = (max(1, round(side * scale)) for side in image.shape)
    small = cv2.resize(image, (width, height), interpolation=cv2.INTER_AREA)
    return np.asarray(small, dtype=np.float32), scale


def _scaled(box: NDArray[np.floating] | Box, scale: float) -> Edges:
    x_min, y_min, x_max, y_max = (float(edge) * scale for edge in box)
    return x_min, y_min, x_max, y_max
