"""Splits by patient, and the check that nothing leaks across them.

A split by image exists for one page alone, which measures what a leak is worth: it must be asked
for by name (``unit="image"``) in the split and again in the check. Where the owners of a cohort
publish a split, its reader has a function ``official_part``: of CBIS-DDSM the published one, each
patient on one side; of INbreast, all for testing, as in the paper.
"""

from __future__ import annotations

import warnings
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from sklearn.model_selection import StratifiedGroupKFold

from mammostudy.data import integrity
from mammostudy.data.cache import cached_arrays
from mammostudy.data.cohort import Cohort, OutlineCohort
from mammostudy.data.descriptors import cohort_names, describe
from mammostudy.data.sources import reader_module
from mammostudy.errors import DataError, SpecError

Unit = Literal["patient", "image"]
Rule = Literal["folds", "official"]


@dataclass(frozen=True)
class Split:
    """Cases or views of the three parts; a patient stands in one, unless it was split by image."""

    train: tuple[str, ...]
    validation: tuple[str, ...]
    test: tuple[str, ...]

    def parts(self) -> dict[str, tuple[str, ...]]:
        """Return the parts by name."""
        return {"train": self.train, "validation": self.validation, "test": self.test}


def strata(masses: pd.DataFrame) -> NDArray[np.str_]:
    """Return what a split balances: the shape where every mass has one, else thirds of box area."""
    if masses["shape"].notna().all():
        return masses["shape"].to_numpy(str)
    area = (masses["x_max"] - masses["x_min"]) * (masses["y_max"] - masses["y_min"])
    return pd.qcut(area.astype(float).rank(method="first"), 3, labels=False).to_numpy().astype(str)


def _part(masses: pd.DataFrame, folds: int, fold: int, seed: int, unit: Unit) -> NDArray[np.bool_]:
    """Mark the cases of one fold (``StratifiedGroupKFold`` over units, shuffled by seed)."""
    chosen = np.zeros(len(masses), dtype=bool)
    with warnings.catch_warnings():  # a stratum smaller than the folds is a fact, not a fault
        warnings.simplefilter("ignore", UserWarning)
        splitter = StratifiedGroupKFold(n_splits=folds, shuffle=True, random_state=seed)
        chosen[list(splitter.split(masses, strata(masses), masses[unit]))[fold][1]] = True
    return chosen


def split_cases(
    masses: pd.DataFrame,
    *,
    folds: int = 5,
    fold: int = 0,
    seed: int = 0,
    train_site: str | None = None,
    validation_folds: int = 6,
    unit: Unit = "patient",
    rule: Rule = "folds",
) -> Split:
    """Split masses, manifest rows with a box, indexed by case, by patient.

    Args:
        masses: the rows.
        folds: number of folds, of which fold ``fold`` is the test part.
        fold: 0 to ``folds - 1``.
        seed: of the shuffling.
        train_site: train on this site only; the other sites join the test part whole, as the
            paper tests on INbreast (section 4). None: one pool.
        validation_folds: the validation part is one in this many of the remaining patients.
        unit: what stays together. ``image`` LEAKS: the images of a patient are dealt out one by
            one, as in studies that this one warns of.
        rule: ``official`` takes the part of each mass from the column ``part`` (:func:`parted`),
            and folds do not count.

    Raises:
        SpecError: the fold does not exist, the site is unknown, or patients are too few; or there
            is nobody to train on.
    """
    few = SpecError(
        f"split: {len(masses)} masses of {masses[unit].nunique()} {unit}s are too few for "
        f"{folds} folds; lower split.folds or add {unit}s"
    )
    try:
        if rule == "official":
            rest, test = (masses[masses["part"] == name] for name in ("train", "test"))
            _demand_training(rest, test)
        else:
            _check_choice(masses, folds, fold, train_site)
            at_home = (masses["site"] == train_site) | (train_site is None)
            home = masses[at_home]
            if home[unit].nunique() < max(folds, 3):
                raise few
            held_out = _part(home, folds, fold, seed, unit)
            rest, test = home[~held_out], pd.concat([home[held_out], masses[~at_home]])
        few_folds = min(validation_folds, rest[unit].nunique())
        validation = _part(rest, few_folds, 0, seed, unit)
    except ValueError:  # of scikit-learn: not as many units as folds
        raise few from None
    split = Split(tuple(rest.index[~validation]), tuple(rest.index[validation]), tuple(test.index))
    if not all(split.parts().values()):
        raise few
    return split


def _check_choice(masses: pd.DataFrame, folds: int, fold: int, train_site: str | None) -> None:
    if not 0 <= fold < folds:
        msg = f"split: fold {fold} of {folds} does not exist; fold counts from 0 to {folds - 1}"
        raise SpecError(msg)
    known = sorted(masses["site"].unique())
    if train_site is not None and train_site not in known:
        msg = f"split: train_site {train_site!r} is unknown; the cohort's sites are {known}"
        raise SpecError(msg)


def _demand_training(train: pd.DataFrame, test: pd.DataFrame) -> None:
    if train.empty:
        msg = (
            f"split.rule 'official': all {len(test)} masses of this cohort are for testing; train "
            "on another one that names it as evaluation.test_cohort, or use 'folds' and say so"
        )
        raise SpecError(msg)


def official_parts(cohort: Cohort) -> pd.Series:
    """Return ``train`` or ``test`` for each row of a cohort's manifest, indexed by case."""
    facts = describe(cohort.name)
    if not facts.owners_split:
        known = ", ".join(name for name in cohort_names() if describe(name).owners_split)
        msg = (
            f"split.rule 'official': cohort {cohort.name!r} comes without a split of its owners "
            f"(those of {known} have one); use 'folds'"
        )
        raise SpecError(msg)
    rows = cohort.manifest.set_index("case", drop=False)
    parts: pd.Series = reader_module(str(facts.reader)).official_part(rows)
    return parts


def parted(cohort: Cohort, rows: pd.DataFrame, rule: Rule) -> pd.DataFrame:
    """Return rows of a cohort, all or some, as :func:`split_cases` wants them by a rule.

    ``official`` adds the column ``part``, told from all rows of a patient; a cohort whose owners
    publish no split is refused.
    """
    if rule == "folds":
        return rows
    return rows.assign(part=official_parts(cohort).loc[rows.index])


def thumbnails(cohort: Cohort) -> dict[str, NDArray[np.float32]]:
    """Return a standardised thumbnail of every image, by its path."""
    rows = cohort.manifest.drop_duplicates("image").set_index("image", drop=False)

    def make() -> dict[str, NDArray[np.float32]]:
        pictures = [integrity.thumbnail(cohort.image(row)) for _, row in rows.iterrows()]
        return {"all": np.stack(pictures)}

    stacked = cached_arrays("thumbnails", {"manifest": cohort.manifest_hash}, make)["all"]
    return dict(zip(rows.index, stacked, strict=True))


def check_patients(
    table: pd.DataFrame, parts: Mapping[str, Sequence[str]], unit: Unit = "patient"
) -> None:
    """Raise DataError where a patient, or an image, stands in two parts of a table's rows."""
    units = {name: set(table.loc[list(cases), unit]) for name, cases in parts.items()}
    for (one, ones), (other, others) in combinations(units.items(), 2):
        if shared := sorted(ones & others):
            msg = (
                f"split: {unit} {', '.join(shared[:5])} stands in {one} and in {other}; "
                f"split by the column `{unit}`"
            )
            raise DataError(msg)


def check_images(cohort: Cohort, parts: Mapping[str, Collection[str]]) -> None:
    """Raise DataError where two parts of images (paths) share one or hold near-duplicates.

    Near-duplicates are images whose thumbnails correlate above :data:`integrity.CORRELATION`.
    """
    pictures = thumbnails(cohort)
    images = {name: sorted(set(paths)) for name, paths in parts.items() if len(paths)}
    for (one, ones), (other, others) in combinations(images.items(), 2):
        stacks = (np.stack([pictures[image] for image in paths]) for paths in (ones, others))
        alike = next(stacks) @ next(stacks).T
        row, column = np.unravel_index(int(alike.argmax()), alike.shape)
        if alike[row, column] > integrity.CORRELATION:
            msg = (
                f"split: {ones[row]} ({one}) and {others[column]} ({other}) are near-duplicates "
                f"(correlation {alike[row, column]:.4f}); give them one patient or drop one"
            )
            raise DataError(msg)


def check_leakage(cohort: Cohort, split: Split, *, unit: Unit = "patient") -> None:
    """Raise DataError where a patient or a near-duplicate image stands in two parts of a split.

    Of an :class:`~mammostudy.data.cohort.OutlineCohort` the patients alone are checked: it has no
    images to compare, and every image belongs to one patient. The unit ``image`` lets a patient
    stand in two parts, on purpose and by name; an image, or what looks like it, may not.
    """
    check_patients(cohort.masses, split.parts(), unit)
    if not isinstance(cohort, OutlineCohort):
        images = cohort.masses["image"]
        check_images(cohort, {name: images[list(c)] for name, c in split.parts().items()})
