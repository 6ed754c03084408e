"""A cohort of outlines without images: material for classifiers of shape."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from types import MappingProxyType
from typing import Final, NoReturn

import cv2
import numpy as np
from numpy.typing import NDArray

from mammostudy.data.cohort import Cohort
from mammostudy.errors import DataError
from mammostudy.imaging.contours import inscribed_ellipse
from mammostudy.imaging.framing import Box

MARGIN: Final = 2  # px round the outline's box in its mask
COLUMNS: Final = (
    "case", "patient", "site", "image", "view", "side", "modality", "x_min", "y_min", "x_max",
    "y_max", "shape", "pathology", "subtype", "tool",
)  # fmt: skip
"""The manifest's columns that can be known without an image, and the drawing tool."""


@dataclass(frozen=True)
class Geometry:
    """An outline as it was drawn, in pixels of the original image."""

    tool: str  # polygon, ellipse or circle
    points: tuple[tuple[float, float], ...]  # corners (x, y); else the centre and the two radii

    @property
    def degenerate(self) -> bool:
        """Whether it encloses nothing: no area, or a radius below one pixel."""
        if self.tool != "polygon":
            return min(self.points[1]) < 1
        x, y = np.round(np.asarray(self.points, np.float64)).T
        return bool(np.dot(x, np.roll(y, -1)) == np.dot(y, np.roll(x, -1)))

    @property
    def box(self) -> Box:
        """The smallest box of whole pixels around it, half-open; it may leave the image."""
        if self.tool == "polygon":
            corners = np.round(np.asarray(self.points, np.float64))
            low, high = corners.min(axis=0), corners.max(axis=0)
        else:
            centre, radii = np.asarray(self.points, np.float64)
            low, high = np.round(centre - radii), np.round(centre + radii)
        return int(low[0]), int(low[1]), int(high[0]) + 1, int(high[1]) + 1

    def mask(self) -> NDArray[np.bool_]:
        """Fill the outline in its own box with :data:`MARGIN` pixels round it, bool ``(h, w)``.

        Corners of polygons are rounded to whole pixels; those under the line are inside (OpenCV).
        """
        x_min, y_min, x_max, y_max = self.box
        shape = y_max - y_min + 2 * MARGIN, x_max - x_min + 2 * MARGIN
        if self.tool != "polygon":
            inner = (MARGIN, MARGIN, shape[1] - MARGIN, shape[0] - MARGIN)
            return inscribed_ellipse(inner, shape)
        corners = np.round(np.asarray(self.points, np.float64)) - (x_min - MARGIN, y_min - MARGIN)
        body = np.zeros(shape, np.uint8)
        cv2.fillPoly(body, [corners.astype(np.int32)], 1)
        return np.asarray(body > 0, dtype=np.bool_)


@dataclass(frozen=True)
class OutlineCohort(Cohort):
    """Outlines of masses whose images are not at hand.

    ``manifest`` has the columns :data:`COLUMNS` and a row an outline; boxes are half-open, in
    pixels of the original image, whose size is unknown. ``image`` is a name and no path;
    ``outlines`` is what was drawn, by case.
    """

    outlines: Mapping[str, Geometry] = field(default_factory=lambda: MappingProxyType({}))

    @cached_property
    def manifest_hash(self) -> str:
        """Hash of the table, of every outline, and of the way they are filled."""
        table = self.manifest.sort_values("case")[list(COLUMNS)].to_csv(index=False)
        drawn = [(case, self.outlines[case].tool, self.outlines[case].points)
                 for case in sorted(self.outlines)]  # fmt: skip
        filled = f"1{MARGIN}"  # the 1 is raised when the same outline gives another mask
        content = f"{filled}{table}{json.dumps(drawn)}"
        return hashlib.sha256(content.encode()).hexdigest()[:16]

    @cached_property
    def truth_hash(self) -> str | None:
        """None: there are no mask files, and :attr:`manifest_hash` covers the outlines."""
        return None

    def mask(self, case: str) -> NDArray[np.bool_]:
        """Return one mass at the original scale, in a grid of its own (:meth:`Geometry.mask`)."""
        self._check_known(case)
        return self.outlines[case].mask()

    def _refuse(self, *_: object) -> NoReturn:
        """Raise DataError: there are no images, and outlines of one image share no grid."""
        msg = (
            f"{self.name}: has outlines only, no images; use its `masses` and `mask(case)`, or "
            f"a cohort with images"
        )
        raise DataError(msg)

    image = truth = sample = _refuse  # type: ignore[assignment]
