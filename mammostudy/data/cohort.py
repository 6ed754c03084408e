"""A cohort: a validated manifest, and the arrays behind its rows, read when asked for."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from mammostudy.data import manifest, row_files
from mammostudy.data.cache import cached_arrays
from mammostudy.errors import DataError
from mammostudy.imaging.framing import Box


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
    """A manifest and the folder its paths start from; arrays are read lazily.

    What is asked of a file that cannot be used (missing, unreadable, changed since the manifest was
    written, outside the folder, of another size than the manifest says, a mask without a pixel)
    raises DataError with the file's name.
    """

    name: str
    root: Path  # folder of the images and masks
    manifest: pd.DataFrame  # validated (mammostudy.data.manifest)
    dropped: dict[str, int] = field(default_factory=dict)  # left out of the manifest, by reason

    @cached_property
    def manifest_hash(self) -> str:
        """Hash of the manifest's content, of the images' hashes in it, and of the mask files."""
        content = manifest.content_hash(self.manifest)
        if self.truth_hash is None:
            return content
        return hashlib.sha256(f"{content}{self.truth_hash}".encode()).hexdigest()[:16]

    @cached_property
    def truth_hash(self) -> str | None:
        """Hash of the mask files' content; None where every truth is an outline of the manifest.

        The manifest names masks by path alone, so arrays made of them are kept under both hashes.
        """
        names = sorted(set(self.masses["mask"].dropna()))
        total = hashlib.sha256()
        for name in names:
            path = row_files.inside(self.root, str(name), "mask")
            total.update(path.read_bytes() if path.is_file() else b"missing")
        return total.hexdigest()[:16] if names else None

    @cached_property
    def masses(self) -> pd.DataFrame:
        """The rows with a box, indexed by case."""
        rows = self.manifest[self.manifest["x_min"].notna()]
        return rows.set_index("case", drop=False)

    @cached_property
    def _cases_of_image(self) -> dict[str, list[str]]:
        grouped = self.masses.groupby("image")["case"].apply(list)
        return {str(image): list(cases) for image, cases in grouped.items()}

    def __len__(self) -> int:
        return len(self.masses)

    def __iter__(self) -> Iterator[Sample]:
        return (self.sample(case) for case in self.masses.index)

    def row(self, case: str) -> pd.Series:
        """Return the manifest's row of a mass."""
        return self.masses.loc[[case]].iloc[0]

    def image(self, row: pd.Series) -> NDArray[np.float32]:
        """Read a row's mammogram, float32 ``(h, w)`` in [0, 1], from the cache where possible."""
        row_files.inside(self.root, str(row["image"]), f"image of case {row['case']}")
        stored = cached_arrays(
            "images",
            {"sha256": row["image_sha256"]},
            lambda: {"image": row_files.read_pixels(self.root, row)[0]},
        )
        pixels = stored["image"]
        row_files.check_size(self.root / str(row["image"]), row, pixels.shape)
        return (pixels / np.float32(65535)).astype(np.float32)

    def mask(self, case: str) -> NDArray[np.bool_]:
        """Return the mask of one mass, bool ``(h, w)``."""
        return row_files.read_mask(self.root, self.row(case))

    def truth(self, image: str) -> NDArray[np.bool_]:
        """Return the union of all masses of an image, bool ``(h, w)``."""
        masks = [self.mask(case) for case in self._cases_of_image[image]]
        union: NDArray[np.bool_] = np.logical_or.reduce(masks)
        return union

    def sample(self, case: str) -> Sample:
        """Read one mass with its mammogram."""
        self._check_known(case)
        row, mask = self.row(case), self.mask(case)
        image = str(row["image"])
        alone = len(self._cases_of_image[image]) == 1
        return Sample(
            case=case,
            patient=str(row["patient"]),
            image=self.image(row),
            mask=mask,
            truth_all=mask if alone else self.truth(image),
            box=box_of_row(row),
            row=row,
        )

    def _check_known(self, case: str) -> None:
        if case not in self.masses.index:
            msg = f"{self.name}: no case {case!r}; the manifest's column `case` lists them"
            raise DataError(msg)


def box_of_row(row: pd.Series) -> Box:
    """Return a manifest row's box as four ints."""
    x_min, y_min, x_max, y_max = (int(row[name]) for name in manifest.BOX)
    return x_min, y_min, x_max, y_max
