"""Splits of masses and views by patient.

A split by image exists for one page alone, which measures what a leak is worth: it must be asked
for by name (``unit="image"``) in the split and again in the check.
"""

from __future__ import annotations

import warnings
from collections.abc import Collection, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from itertools import combinations
from typing import Any, Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from sklearn.model_selection import StratifiedGroupKFold

from mammostudy.data.cache import Arrays, cached_arrays
from mammostudy.data.cohort import Cohort, OutlineCohort
from mammostudy.data.descriptors import describe
from mammostudy.data.integrity import alike, thumbnail
from mammostudy.data.load import load_cohort
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
    if not 1 < folds <= masses[unit].nunique():
        raise _too_few(masses, folds, unit)
    splitter = StratifiedGroupKFold(n_splits=folds, shuffle=True, random_state=seed)
    with warnings.catch_warnings(), suppress(ValueError):  # where all strata are too small for it
        warnings.simplefilter("ignore", UserWarning)  # one that is smaller than the folds may be
        parts = [part for _, part in splitter.split(masses, strata(masses), masses[unit])]
        if all(map(len, parts)):
            return np.isin(np.arange(len(masses)), parts[fold])
    dealt = np.random.default_rng(seed).permutation(masses[unit].unique())  # so few: in turn
    return masses[unit].isin(dealt[fold::folds]).to_numpy()


def _too_few(masses: pd.DataFrame, folds: int, unit: Unit) -> SpecError:
    return SpecError(
        f"split: {len(masses)} masses of {masses[unit].nunique()} {unit}s are too few for "
        f"{folds} folds; lower split.folds or add {unit}s"
    )


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

    With ``train_site`` the other sites join the test part whole, as the paper tests on INbreast
    (section 4). One in ``validation_folds`` of the remaining patients validates. The unit ``image``
    LEAKS. ``official`` takes the parts from the column ``part`` (:func:`parted`).
    """
    if rule == "official":
        rest, test = (masses[masses["part"] == name] for name in ("train", "test"))
    else:
        if not 0 <= fold < folds:
            raise SpecError(f"split: no fold {fold} of {folds}; it counts from 0 to {folds - 1}")
        known = sorted(masses["site"].unique())
        if train_site is not None and train_site not in known:
            raise SpecError(f"split: train_site {train_site!r} is unknown; the sites are {known}")
        at_home = (masses["site"] == train_site) | (train_site is None)
        home = masses[at_home]
        tested = _part(home, folds, fold, seed, unit)
        rest, test = home[~tested], pd.concat([home[tested], masses[~at_home]])
    validation = _part(rest, min(validation_folds, max(2, rest[unit].nunique())), 0, seed, unit)
    split = Split(tuple(rest.index[~validation]), tuple(rest.index[validation]), tuple(test.index))
    if not all(split.parts().values()):
        raise _too_few(masses, folds, unit)
    return split


def parted(cohort: Cohort, rows: pd.DataFrame, rule: Rule) -> pd.DataFrame:
    """Return rows of a cohort as they may be split; by ``official`` with their owners' part.

    Patients whom the cohort's descriptor holds out stand in no fold, and ``official`` tests them.
    """
    out = rows["patient"].isin(describe(cohort.name).held_out)
    if rule == "folds":
        return rows[~out]
    parts = cohort.manifest.set_index("case").get("part", pd.Series(dtype=object))
    if lacks := {"train", "test"} - set(parts):
        said = f"no row of {cohort.name} has {min(lacks)} in the manifest's column `part`"
        raise SpecError(f"split.rule 'official': {said}; fill it and build anew, or use 'folds'")
    return rows.assign(part=parts[rows.index].mask(out, "test"))


def split_views(cohort: Cohort, **fields: Any) -> Split:
    """Split views by patient, those with masses as :func:`split_cases` does; check for leaks.

    Patients without a mass are dealt out by the seed, or stand where their owners say.
    """
    rule, site = fields.get("rule", "folds"), fields["train_site"]
    masses, table = parted(cohort, cohort.masses, rule), cohort.views
    parts = split_cases(masses, **fields).parts()
    part_of = {
        patient: name for name, cases in parts.items() for patient in masses["patient"][list(cases)]
    }
    others = parted(cohort, table[~table["patient"].isin(part_of)], rule)
    away = (others["site"] != site) & (site is not None)
    if official := rule == "official":
        others = others[others["part"].isin(parts)]
        away = others["part"] == "test"
    home = np.array(sorted(set(others["patient"][~away])), dtype=object)
    dealt = np.random.default_rng(fields["seed"]).permutation(home)
    tested = (np.arange(len(dealt)) % fields["folds"] == fields["fold"]) & (not official)
    part_of |= dict.fromkeys([*others["patient"][away], *dealt[tested]], "test")
    part_of |= dict.fromkeys(dealt[~tested], "train")
    part_of |= dict.fromkeys(dealt[~tested][:: fields["validation_folds"]], "validation")
    part = table["patient"].map(part_of)
    found = Split(*(tuple(table.index[part == name]) for name in parts))
    check_leakage(cohort, found, table=table)
    return found


def checked_split(cohort: Cohort, masses: pd.DataFrame, **fields: Any) -> Split:
    """Split masses of a cohort, and check for leaks (of patients, unless it is by image)."""
    found = split_cases(parted(cohort, masses, fields["rule"]), **fields)
    check_leakage(cohort, found, unit=fields["unit"])
    return found


def views_elsewhere(name: str, part: str) -> tuple[Cohort, pd.DataFrame]:
    """Return another cohort, and its views of one part as the study splits it."""
    cohort = load_cohort(name)
    usual = {"folds": 3, "fold": 0, "seed": 0, "validation_folds": 6}
    parts = split_views(cohort, train_site=None, **usual | describe(name).split).parts()
    return cohort, cohort.views.loc[list(parts[part])]


def check_patients(
    table: pd.DataFrame, parts: Mapping[str, Sequence[str]], unit: str = "patient"
) -> None:
    """Raise DataError where a patient, or an image, stands in two parts of a table's rows."""
    units = {name: set(table.loc[list(cases), unit]) for name, cases in parts.items()}
    for (one, ones), (other, others) in combinations(units.items(), 2):
        if shared := sorted(ones & others):
            fault = f"{unit} {', '.join(shared[:5])} stands in {one} and in {other}"
            raise DataError(f"split: {fault}; split by the column `{unit}`")


def check_images(cohort: Cohort, parts: Mapping[str, Collection[str]]) -> None:
    """Raise DataError where two parts of images (paths) share one or hold near-duplicates."""
    rows = cohort.manifest.drop_duplicates("image").set_index("image", drop=False)

    def make() -> Arrays:
        thumbnails = [thumbnail(cohort.image(row)) for _, row in rows.iterrows()]
        return {"all": np.stack(thumbnails)}

    stacked = cached_arrays("thumbnails", {"manifest": cohort.manifest_hash}, make)["all"]
    pictures = dict(zip(rows.index, stacked, strict=True))
    placed = sorted({(path, part) for part, paths in parts.items() for path in paths})
    for other, earlier, correlations in alike([pictures[path] for path, _ in placed]):
        twin, there = placed[other]
        for (path, part), correlation in zip(
            [placed[i] for i in earlier], correlations, strict=True
        ):
            if part != there:
                pair = f"{path} ({part}) and {twin} ({there}) are near-duplicates"
                mend = "give them one patient or drop one"
                raise DataError(f"split: {pair} ({correlation:.4f}); {mend}")


def check_leakage(
    cohort: Cohort, split: Split, *, unit: str = "patient", table: pd.DataFrame | None = None
) -> None:
    """Raise DataError where a unit or a near-duplicate image stands in two parts of a split.

    The split is of the cohort's masses, or of another table's rows.
    """
    rows = cohort.masses if table is None else table
    check_patients(rows, split.parts(), unit)
    if not isinstance(cohort, OutlineCohort):  # it has no images to compare
        images = {name: rows["image"][list(cases)] for name, cases in split.parts().items()}
        check_images(cohort, images)
