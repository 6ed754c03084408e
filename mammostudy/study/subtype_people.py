"""Patients with a molecular subtype and a shape, each once.

A patient's predicted shape is the most probable one of the mean of the (calibrated) probabilities
of her masses; her true shape the one most of her masses have. Patients without a subtype, with two
subtypes, with as many masses of one true shape as of another, or none of whose masses was found are
left out, and counted.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import pandas as pd

from mammostudy.data.load import load_cohort
from mammostudy.data.manifest import SUBTYPES
from mammostudy.errors import MissingDataError
from mammostudy.study import shape_recipes

NO_SUBTYPE: Final = "tested, without a subtype"
TWO_SUBTYPES: Final = "two subtypes"
TIED: Final = "true shapes in equal numbers"
NOT_FOUND: Final = "no mask of any of her masses"


@dataclass(frozen=True)
class People:
    """Patients with a subtype and a shape, each once.

    Attributes:
        table: columns patient, subtype, truth, predicted (missing where no mask was found), masses.
        left_out: patients left out, by reason.
        folds: folds that tested them.
    """

    table: pd.DataFrame
    left_out: dict[str, int]
    folds: int

    @property
    def seen(self) -> pd.DataFrame:
        """The patients with a predicted shape."""
        return self.table[self.table["predicted"].notna()]


def subtypes_of(cohort: str) -> pd.Series:
    """Return the subtype of each mass that has one, by case.

    Args:
        cohort: the page's cohort; its shapes may come from another one.

    Returns:
        Empty where the cohort knows no subtypes, or its manifest is not at hand.
    """
    try:
        masses = load_cohort(shape_recipes.shape_cohort(cohort)).masses
    except MissingDataError:
        return pd.Series(dtype=object, name="subtype")
    if "subtype" not in masses:
        return pd.Series(dtype=object, name="subtype")
    return masses["subtype"].dropna().astype(str)


def people(rows: pd.DataFrame, subtypes: pd.Series, classes: Sequence[str]) -> People:
    """Reduce the test rows of a classifier to patients.

    Args:
        rows: :func:`mammostudy.study.shape_tables.pooled`, of one source of masks.
        subtypes: subtype by case.
        classes: names of the shapes.
    """
    typed = rows.assign(subtype=rows["case"].map(subtypes))
    out: list[dict[str, object]] = []
    reasons: list[str] = []
    for patient, mine in typed.groupby("patient", sort=True):
        subtype, truth = mine["subtype"].dropna().unique(), mine["label"].mode()
        if not len(subtype):
            reasons.append(NO_SUBTYPE)
        elif len(subtype) > 1:
            reasons.append(TWO_SUBTYPES)
        elif len(truth) > 1:
            reasons.append(TIED)
        else:
            predicted = _predicted(mine, classes)
            out.append(
                {
                    "patient": patient,
                    "subtype": subtype[0],
                    "truth": truth.iloc[0],
                    "predicted": predicted,
                    "masses": len(mine),
                }
            )
            reasons += [] if predicted else [NOT_FOUND]
    columns = ["patient", "subtype", "truth", "predicted", "masses"]
    left_out = {reason: reasons.count(reason) for reason in dict.fromkeys(reasons)}
    return People(pd.DataFrame(out, columns=columns), left_out, int(rows["fold"].nunique()))


def _predicted(mine: pd.DataFrame, classes: Sequence[str]) -> str | None:
    """Return the most probable shape of a patient's masses; None where none was found."""
    found = mine[~mine["missed"]]
    if found.empty:
        return None
    means = found[[f"p_{name}" for name in classes]].mean()
    return str(classes[int(np.argmax(means))])


def counts(table: pd.DataFrame, column: str, classes: Sequence[str]) -> pd.DataFrame:
    """Count patients by subtype (rows) and a shape (columns); empty lines keep their place.

    Args:
        table: of :class:`People`.
        column: ``truth`` or ``predicted``.
        classes: names of the shapes.
    """
    rows = [*SUBTYPES, *sorted(set(table["subtype"]) - set(SUBTYPES))]
    cross = pd.crosstab(table["subtype"], table[column])
    cross = cross.reindex(index=rows, columns=list(classes), fill_value=0).astype(int)
    return cross.rename_axis(index="subtype", columns="shape")


def confusion(each: People, classes: Sequence[str]) -> pd.DataFrame:
    """Count patients by true (rows) and predicted shape (columns)."""
    cross = pd.crosstab(each.seen["truth"], each.seen["predicted"])
    return cross.reindex(index=list(classes), columns=list(classes), fill_value=0).astype(int)
