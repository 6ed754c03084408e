"""Cohorts: a validated manifest and the arrays behind its rows, or outlines without images."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Final, NoReturn

import cv2
import numpy as np
import pandas as pd
from numpy.typing import NDArray

from mammostudy.data import manifest, row_files
from mammostudy.data.cache import cached_arrays
from mammostudy.data.descriptors import TASKS, describe
from mammostudy.errors import DataError
from mammostudy.imaging.contours import inscribed_ellipse
from mammostudy.imaging.framing import Box

MARGIN: Final = 2  # px round an outline's box in its mask
OUTLINE_COLUMNS: Final = (
    "case", "patient", "site", "image", "view", "side", "modality", "x_min", "y_min", "x_max",
    "y_max", "shape", "pathology", "subtype", "tool",
)  # fmt: skip
"""The manifest's columns that can be known without an image, and the drawing tool."""


@dataclass(frozen=True)
class Sample:
    """One mass with its mammogram."""

    case: str  # the row's name
    patient: str  # pseudonym
    image: NDArray[np.float32]  # (h, w) in [0, 1]
    mask: NDArray[np.bool_]  # (h, w), this mass
    truth_all: NDArray[np.bool_]  # (h, w), every mass of the image
    box: Box  # half-open pixels (x_min, y_min, x_max, y_max)
    row: pd.Series  # of the manifest


@dataclass(frozen=True)
class Cohort:
    """A manifest and the folder its paths start from; arrays are read lazily, or a DataError."""

    name: str
    root: Path  # folder of the images and masks
    manifest: pd.DataFrame  # validated (mammostudy.data.manifest)
    dropped: dict[str, int] = field(default_factory=dict)  # left out of the manifest, by reason

    @cached_property
    def manifest_hash(self) -> str:
        """Hash of the manifest's content, of the images' hashes in it, and of the mask files."""
        optional = [name for name in manifest.OPTIONAL if name in self.manifest]
        known = [*manifest.COLUMNS, *optional]
        text = self.manifest.sort_values("case")[known].to_csv(index=False)
        content, masks = hashlib.sha256(text.encode()).hexdigest()[:16], hashlib.sha256()
        names = sorted(set(self.masses["mask"].dropna()))
        for name in names:  # the manifest has their paths alone
            path = row_files.inside(self.root, str(name), "mask")
            masks.update(path.read_bytes() if path.is_file() else b"missing")
        both = f"{content}{masks.hexdigest()[:16]}"
        return hashlib.sha256(both.encode()).hexdigest()[:16] if names else content

    @cached_property
    def masses(self) -> pd.DataFrame:
        """The rows with a box, indexed by case."""
        rows = self.manifest[self.manifest["x_min"].notna()]
        return rows.set_index("case", drop=False)

    @cached_property
    def views(self) -> pd.DataFrame:
        """A row an image, in order, with or without a mass: what a detector searches.

        Its name is the case of the image's first row, what it says of the image is that row's; of
        its masses ``boxes`` holds float32 ``(k, 4)``, half-open pixels, ``cases`` the names, and
        ``shapes`` what is known of theirs; ``projection`` is the manifest's ``view``.
        """
        first = self.manifest.drop_duplicates("image").set_index("case", drop=False)
        masses = dict(iter(self.masses.groupby("image", sort=False)))
        parts = [masses.get(image, self.masses.iloc[:0]) for image in first["image"]]
        boxes = [part[list(manifest.BOX)].to_numpy(np.float32).reshape(-1, 4) for part in parts]
        cases = [tuple(part["case"].astype(str)) for part in parts]
        known = ["patient", "site", "side", "height", "width", "image", "view", "density"]
        views = first[first.columns.intersection(known)].rename(columns={"view": "projection"})
        shapes = [tuple(part["shape"]) for part in parts]
        held = {"boxes": boxes, "cases": cases, "shapes": shapes}
        return views.assign(**{k: pd.Series(v, first.index, dtype=object) for k, v in held.items()})

    def __len__(self) -> int:
        return len(self.masses)

    def __iter__(self) -> Iterator[Sample]:
        return (self.sample(case) for case in self.masses.index)

    def row(self, case: str) -> pd.Series:
        """Return the manifest's row of a mass."""
        if case not in self.masses.index:
            raise DataError(f"{self.name}: no case {case!r}; its manifest lists them in `case`")
        return pd.Series(self._rows.loc[case])

    @cached_property
    def _rows(self) -> pd.DataFrame:
        return self.masses.astype(object)  # one kind of column: a row is quick to take

    def image(self, row: pd.Series) -> NDArray[np.float32]:
        """Read a row's mammogram, float32 ``(h, w)`` in [0, 1], from the cache where possible."""
        row_files.inside(self.root, str(row["image"]), f"image of case {row['case']}")
        hashed = {"sha256": row["image_sha256"]}
        stored = cached_arrays(
            "images", hashed, lambda: {"image": row_files.read_pixels(self.root, row)[0]}
        )
        pixels = stored["image"]
        row_files.check_size(self.root / str(row["image"]), row, pixels.shape)
        return (pixels / np.float32(65535)).astype(np.float32)

    def mask(self, case: str) -> NDArray[np.bool_]:
        """Return the mask of one mass, bool ``(h, w)``."""
        return row_files.read_mask(self.root, self.row(case))

    def truth(self, image: str) -> NDArray[np.bool_]:
        """Return the union of all masses of an image, bool ``(h, w)``."""
        cases = self.masses.index[self.masses["image"] == image]
        return np.asarray(np.logical_or.reduce([self.mask(case) for case in cases]))

    def sample(self, case: str) -> Sample:
        """Read one mass with its mammogram; its masks are empty where its row has a box alone."""
        row = self.row(case)
        bare, size = row[["mask", "outline"]].isna().all(), (int(row["height"]), int(row["width"]))
        mask = np.zeros(size, np.bool_) if bare else self.mask(case)
        alone = bare or (self.masses["image"] == row["image"]).sum() == 1
        truth = mask if alone else self.truth(str(row["image"]))
        return Sample(case, str(row["patient"]), self.image(row), mask, truth, box_of_row(row), row)


def box_of_row(row: pd.Series) -> Box:
    """Return a manifest row's box as four ints."""
    x_min, y_min, x_max, y_max = (int(row[name]) for name in manifest.BOX)
    return x_min, y_min, x_max, y_max


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
        return bool(cv2.contourArea(self._corners.astype(np.float32)) == 0)

    @property
    def _corners(self) -> NDArray[np.float64]:
        """Corners in whole pixels: of the polygon, or the first and the last of the box."""
        points = np.asarray(self.points, np.float64)
        if self.tool != "polygon":
            points = np.stack([points[0] - points[1], points[0] + points[1]])
        return np.round(points)

    @property
    def box(self) -> Box:
        """The smallest box of whole pixels around it, half-open; it may leave the image."""
        low, high = self._corners.min(axis=0), self._corners.max(axis=0)
        return int(low[0]), int(low[1]), int(high[0]) + 1, int(high[1]) + 1

    def mask(self) -> NDArray[np.bool_]:
        """Fill it in its own box and :data:`MARGIN`, bool ``(h, w)``; pixels under the line too."""
        x_min, y_min, x_max, y_max = self.box
        shape = y_max - y_min + 2 * MARGIN, x_max - x_min + 2 * MARGIN
        if self.tool != "polygon":
            return inscribed_ellipse((MARGIN, MARGIN, *np.subtract(shape[::-1], MARGIN)), shape)
        corners = self._corners - (x_min - MARGIN, y_min - MARGIN)
        return np.asarray(cv2.fillPoly(np.zeros(shape), [corners.astype(np.int32)], 1) > 0)


@dataclass(frozen=True)
class OutlineCohort(Cohort):
    """Outlines of masses, boxes in pixels of the images, which are not here but for their names."""

    outlines: Mapping[str, Geometry] = field(default_factory=dict)  # what was drawn, by case

    @cached_property
    def manifest_hash(self) -> str:
        """Hash of the table, of every outline, and of the way they are filled."""
        table = self.manifest.sort_values("case")[list(OUTLINE_COLUMNS)].to_csv(index=False)
        drawn = [(case, one.tool, one.points) for case, one in sorted(self.outlines.items())]
        content = f"1{MARGIN}{table}{json.dumps(drawn)}"  # 1: how outlines are filled
        return hashlib.sha256(content.encode()).hexdigest()[:16]

    def mask(self, case: str) -> NDArray[np.bool_]:
        """Return one mass at the original scale, in a grid of its own (:meth:`Geometry.mask`)."""
        return self.outlines[str(self.row(case)["case"])].mask()

    def _refuse(self, *_: object) -> NoReturn:
        """Raise DataError: there are no images, and outlines of one image share no grid."""
        raise DataError(f"{self.name}: has outlines only, no images; use `masses` and `mask(case)`")

    image = truth = sample = _refuse  # type: ignore[assignment]


def lacking(cohort: Cohort, task: str, *, study: bool = True) -> list[str]:
    """Return what a cohort lacks for a task, in words: whole rows and, for the study, patients."""
    least = TASKS[task]
    columns = describe(cohort.name).needs.get(task, least.columns)
    if isinstance(cohort, OutlineCohort):  # its outlines are no column, and its images no files
        if "image" in columns:
            return ["image (it has outlines only)"]
        columns = tuple(name for name in columns if name != "mask|outline")
    of_masses = "x_min" in columns or "mask|outline" in columns
    rows = cohort.masses if of_masses and len(cohort) else cohort.manifest
    parts = [(name.replace("|", " or "), name.split("|")) for name in columns]
    filled = pd.DataFrame({n: rows.reindex(columns=p).notna().any(axis=1) for n, p in parts})
    bare = int((~filled.get("mask or outline", pd.Series(True))).sum())
    if 0 < bare < len(rows):  # what an image shows of masses must be drawn whole
        return [f"mask or outline ({bare} of {len(rows)} masses have a box alone)"]
    whole, names = rows[filled.all(axis=1)], [name for name, _ in parts]
    if whole.empty:
        return [n for n in names if not filled[n].any()] or [f"a row with {', '.join(names)}"]
    if one := [n for n in ("shape", "subtype") if n in columns and whole[n].nunique() < 2]:
        return [f"{name} (one value only; two or more are needed)" for name in one]
    counts = whole.groupby(least.kinds or (lambda _: "all"))["patient"].nunique()
    if not study or (counts >= least.patients).sum() > bool(least.kinds):
        return []
    return [f"{least} (there are: {', '.join(f'{n} {k}' for n, k in counts.items())})"]


def require(cohort: Cohort, task: str, *, study: bool = False) -> None:
    """Raise DataError, with cohort, task and columns, where :func:`lacking` names something."""
    if lacks := lacking(cohort, task, study=study):
        fits = [other for other in TASKS if not lacking(cohort, other, study=study)]
        fit = ", ".join(fits) or "no task"
        fault = f"cannot be used for {task}: it lacks {'; '.join(lacks)}"
        mend = f"fill the columns of its manifest or choose another cohort (fit for: {fit})"
        raise DataError(f"{cohort.name}: {fault}; {mend}")
