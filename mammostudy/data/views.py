"""The mammograms of a cohort as a detector sees them: every view, with all its masses or none."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from mammostudy.data import splits
from mammostudy.data.cohort import Cohort
from mammostudy.data.manifest import BOX
from mammostudy.data.splits import Split, check_images, check_patients
from mammostudy.errors import DataError, SpecError

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
        """Return some views, in the order asked for; refuse one that is not in the set."""
        place = {name: i for i, name in enumerate(self.table.index)}
        if unknown := [name for name in names if name not in place]:
            msg = f"view {unknown[0]!r} is not in the set of {len(self)} views"
            raise DataError(msg)
        rows = [place[name] for name in names]
        boxes, cases = [self.boxes[row] for row in rows], [self.cases[row] for row in rows]
        return ViewSet(self.table.iloc[rows], tuple(boxes), tuple(cases))


def views_of(cohort: Cohort) -> ViewSet:
    """Return every view of a cohort, those without a mass included."""
    first = cohort.manifest.drop_duplicates("image").set_index("case", drop=False)
    masses = {str(image): part for image, part in cohort.masses.groupby("image", sort=False)}
    parts = [masses.get(str(image), cohort.masses.iloc[:0]) for image in first["image"]]
    return ViewSet(
        first[list(COLUMNS)],
        tuple(part[list(BOX)].to_numpy(dtype=np.float32).reshape(-1, 4) for part in parts),
        tuple(tuple(part["case"].astype(str)) for part in parts),
    )


def split_views(
    cohort: Cohort,
    *,
    folds: int,
    fold: int,
    seed: int,
    train_site: str | None,
    validation_folds: int,
    unit: splits.Unit = "patient",
    rule: splits.Rule = "folds",
) -> Split:
    """Split views by patient, and check that nothing leaks.

    Patients with masses stand where :func:`~mammostudy.data.splits.split_cases` puts them, so that
    a detector and a segmenter of one fold have learnt from the same patients. Those without any
    are dealt out to the folds in a seeded order by the same shares, or stand where the owners say.

    Raises:
        DataError: a patient or a near-duplicate image stands in two parts.
        SpecError: as ``split_cases``, or another unit than ``patient``.
    """
    if unit != "patient":
        msg = f"split.unit {unit!r}: views are split by patient alone; use 'patient'"
        raise SpecError(msg)
    masses = splits.parted(cohort, cohort.masses, rule)
    split = splits.split_cases(
        masses,
        folds=folds,
        fold=fold,
        seed=seed,
        train_site=train_site,
        validation_folds=validation_folds,
        rule=rule,
    )
    part_of = {
        str(patient): name
        for name, cases in split.parts().items()
        for patient in masses.loc[list(cases), "patient"]
    }
    table = views_of(cohort).table
    others = table[~table["patient"].isin(set(part_of))]
    if rule == "official":
        away, folds = splits.official_parts(cohort)[others.index] == "test", 0
    else:
        away = others["site"] != train_site if train_site else pd.Series(False, others.index)
    part_of |= dict.fromkeys(others.loc[away, "patient"].astype(str), "test")
    home = sorted(set(others.loc[~away, "patient"].astype(str)))
    part_of |= _dealt(home, seed, folds, fold, validation_folds)
    part = table["patient"].astype(str).map(part_of)
    found = Split(*(tuple(table.index[part == name]) for name in ("train", "validation", "test")))
    check_views(cohort, found)
    return found


def _dealt(
    patients: list[str], seed: int, folds: int, fold: int, validation_folds: int
) -> dict[str, str]:
    """Deal patients out to the parts in a seeded order; of no folds none is tested."""
    dealt = np.random.default_rng(seed).permutation(np.array(patients, dtype=object))
    tested = [bool(folds) and at % folds == fold for at in range(len(dealt))]
    part_of = {str(name): "test" for name, is_test in zip(dealt, tested, strict=True) if is_test}
    rest = [str(name) for name in dealt if str(name) not in part_of]
    return part_of | {
        name: "train" if at % validation_folds else "validation" for at, name in enumerate(rest)
    }


def check_views(cohort: Cohort, split: Split) -> None:
    """Raise DataError where a patient or a near-duplicate image stands in two parts."""
    table = views_of(cohort).table
    check_patients(table, split.parts())
    parts = {name: table.loc[list(views), "image"] for name, views in split.parts().items()}
    check_images(cohort, parts)
