"""Views of a cohort: whole mammograms, those without a mass too, in which a detector searches."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from mammostudy.data.cohort import Cohort
from mammostudy.data.manifest import BOX

VIEW_COLUMNS: Final = ("patient", "site", "side", "height", "width", "image")


@dataclass(frozen=True)
class ViewSet:
    """Views of a cohort, in the manifest's order."""

    table: pd.DataFrame  # VIEW_COLUMNS, indexed by the view's name: the case of its first row
    boxes: tuple[NDArray[np.float32], ...]  # (k, 4) of its masses, half-open pixels; k may be 0
    cases: tuple[tuple[str, ...], ...]  # of the masses of each view

    def __len__(self) -> int:
        return len(self.table)

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the views."""
        return tuple(self.table.index)

    @property
    def shapes(self) -> list[tuple[int, int]]:
        """(height, width) of each view, pixels."""
        return list(self.table[["height", "width"]].astype(int).itertuples(index=False, name=None))

    def take(self, names: tuple[str, ...]) -> ViewSet:
        """Return some views, in the order asked for."""
        place = {name: row for row, name in enumerate(self.names)}
        rows = [place[name] for name in names]
        boxes, cases = [self.boxes[row] for row in rows], [self.cases[row] for row in rows]
        return ViewSet(self.table.iloc[rows], tuple(boxes), tuple(cases))


def views_of(cohort: Cohort) -> ViewSet:
    """Return every view of a cohort, those without a mass included."""
    first = cohort.manifest.drop_duplicates("image").set_index("case", drop=False)
    masses = dict(iter(cohort.masses.groupby("image", sort=False)))
    parts = [masses.get(image, cohort.masses.iloc[:0]) for image in first["image"]]
    return ViewSet(
        first[list(VIEW_COLUMNS)],
        tuple(part[list(BOX)].to_numpy(dtype=np.float32).reshape(-1, 4) for part in parts),
        tuple(tuple(part["case"].astype(str)) for part in parts),
    )
