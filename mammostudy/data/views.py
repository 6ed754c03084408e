"""The mammograms of a cohort as a detector sees them: every view, with all its masses or none."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from mammostudy.data import splits
from mammostudy.data.cohort import Cohort
from mammostudy.data.manifest import BOX
from mammostudy.data.splits import Split

COLUMNS: Final = ("patient", "site", "side", "height", "width", "image")


@dataclass(frozen=True)
class ViewSet:
    """Views of a cohort, in the manifest's order."""

    table: pd.DataFrame  # COLUMNS, indexed by the view's name: the case of its first row
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
        sizes = self.table[["height", "width"]].to_numpy(dtype=np.int64).tolist()
        return [(height, width) for height, width in sizes]

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
        first[list(COLUMNS)],
        tuple(part[list(BOX)].to_numpy(dtype=np.float32).reshape(-1, 4) for part in parts),
        tuple(tuple(part["case"].astype(str)) for part in parts),
    )


def split_views(cohort: Cohort, **fields: Any) -> Split:
    """Split views by patient (``fields`` of ``split_cases``), and check that nothing leaks.

    Patients with masses stand where :func:`~mammostudy.data.splits.split_cases` puts them, so that
    a detector and a segmenter of one fold have learnt from the same patients. Those without any
    are dealt out to the folds in a seeded order by the same shares, or stand where the owners say.
    """
    rule, site = fields.get("rule", "folds"), fields["train_site"]
    masses = splits.parted(cohort, cohort.masses, rule)
    parts = splits.split_cases(masses, **fields).parts()
    part_of = {
        patient: name for name, cases in parts.items() for patient in masses["patient"][list(cases)]
    }
    table = views_of(cohort).table
    others = table[~table["patient"].isin(part_of)]
    official = rule == "official"
    if official:
        away = splits.official_parts(cohort)[others.index] == "test"
    else:
        away = (others["site"] != site) & (site is not None)
    home = np.array(sorted(set(others["patient"][~away])), dtype=object)
    dealt = np.random.default_rng(fields["seed"]).permutation(home)
    tested = (np.arange(len(dealt)) % fields["folds"] == fields["fold"]) & (not official)
    part_of |= dict.fromkeys([*others["patient"][away], *dealt[tested]], "test")
    part_of |= dict.fromkeys(dealt[~tested], "train")
    part_of |= dict.fromkeys(dealt[~tested][:: fields["validation_folds"]], "validation")
    part = table["patient"].map(part_of)
    found = Split(*(tuple(table.index[part == name]) for name in parts))
    splits.check_patients(table, found.parts())
    splits.check_images(cohort, {name: table["image"][[*v]] for name, v in found.parts().items()})
    return found
