"""The split that the owners of a cohort publish, as a column ``part`` of its masses.

A source with such a split has a function ``official_part``: of CBIS-DDSM the published one, each
patient on one side (:data:`mammostudy.data.sources.cbis_tables.SPLIT_RULE`); of INbreast, all for
testing, as in the paper.
"""

from __future__ import annotations

from importlib import import_module
from typing import Final, Literal

import pandas as pd

from mammostudy.data.cohort import Cohort
from mammostudy.data.cohort_names import SOURCES
from mammostudy.errors import SpecError

Rule = Literal["folds", "official"]
COLUMN: Final = "part"
WITH_SPLIT: Final = ("cbis-ddsm", "inbreast")


def official_parts(cohort: Cohort) -> pd.Series:
    """Return ``train`` or ``test`` for each row of a cohort's manifest, indexed by case.

    Raises:
        SpecError: the owners of the cohort publish no split.
        DataError: a case is not one of those that the split names.
    """
    if cohort.name not in WITH_SPLIT:
        msg = (
            f"split.rule 'official': cohort {cohort.name!r} comes without a split of its owners "
            f"(those of {', '.join(WITH_SPLIT)} have one); use 'folds'"
        )
        raise SpecError(msg)
    source = import_module(f"mammostudy.data.sources.{SOURCES[cohort.name]}")
    rows = cohort.manifest.set_index("case", drop=False)
    parts: pd.Series = source.official_part(rows)
    return parts.rename(COLUMN)


def parted(cohort: Cohort, rows: pd.DataFrame, rule: Rule) -> pd.DataFrame:
    """Return rows of a cohort as :func:`mammostudy.data.splits.split_cases` wants them by a rule.

    Args:
        cohort: whose rows.
        rows: masses, indexed by case; all of them or some.
        rule: ``official`` adds the column ``part``, told from all rows of a patient; ``folds``
            returns the rows as they are.

    Raises:
        SpecError: the owners of the cohort publish no split.
    """
    if rule == "folds":
        return rows
    return rows.assign(**{COLUMN: official_parts(cohort).loc[rows.index]})
