"""Subtype by shape in two tables that were not made here: the paper's, and one of CMMD.

What the tables say is put into words by :mod:`mammostudy.study.subtype_tables_reading`; the CMMD
counts come from :mod:`mammostudy.study.cmmd_shapes`. Nothing is trained. To make the committed
counts again from the data set's CSV below ``MAMMOSTUDY_DATA``::

    python -m mammostudy.study.subtype_tables
"""

from __future__ import annotations

import sys
from typing import Final

import numpy as np
import pandas as pd

from mammostudy.data.sources.phantom import SUBTYPE_BY_SHAPE
from mammostudy.errors import StudyError
from mammostudy.evaluation.association import Misclassified, chi_square_power
from mammostudy.study import cmmd_shapes, published
from mammostudy.study import subtype_statistics as statistics
from mammostudy.study.cmmd_shapes import cmmd_table
from mammostudy.study.subtype_statistics import Association, ShareDifference

__all__ = ["cmmd_table", "tables"]

PUBLISHED: Final = "published"
CMMD: Final = "CMMD, second-hand"
PUBLISHED_3: Final = f"{PUBLISHED}, three classes"
CMMD_3: Final = f"{CMMD}, three classes"

_MERGED: Final = {"oval": "round or oval", "round": "round or oval"}


def tables() -> dict[str, pd.DataFrame]:
    """Return both tables, subtype by shape, whole counts."""
    return {
        PUBLISHED: published.subtype_table(),
        CMMD: cmmd_shapes.table_of(cmmd_shapes.read_aggregate()),
    }


def three_classes(named: dict[str, pd.DataFrame]) -> dict[str, pd.DataFrame]:
    """Return both tables in the classes that they share (:func:`common`), under new names."""
    return {f"{name}, three classes": common(table) for name, table in named.items()}


def associations(named: dict[str, pd.DataFrame]) -> dict[str, Association]:
    """Return the association in each table that has one, as it is and in shared classes."""
    both = named | three_classes(named)
    found = {name: statistics.associate(table) for name, table in both.items()}
    return {name: each for name, each in found.items() if each}


def fractions() -> pd.DataFrame:
    """Recompute the paper's shares of each subtype from its own table.

    Returns:
        Columns subtype, shapes, masses and of (as printed), count and total (from the table),
        share, low, high (Wilson), agree.
    """
    table, out = published.subtype_table(), []
    for printed in published.subtype_fractions().to_dict("records"):
        found = statistics.fraction(table, printed["subtype"], printed["shapes"])
        agree = (found["count"], found["total"]) == (printed["masses"], printed["of"])
        numbers = found[["count", "total", "share", "low", "high"]].to_dict()
        out.append(printed | numbers | {"agree": agree})
    return pd.DataFrame(out)


def same_as_generator() -> bool:
    """Whether the phantom's generator holds the numbers of the published table."""
    return bool(np.array_equal(published.subtype_table().to_numpy(), SUBTYPE_BY_SHAPE))


def common(table: pd.DataFrame) -> pd.DataFrame:
    """Bring a table to the classes that both have: irregular, lobular, round or oval.

    Oval and round are added up; polygonal, which the paper does not have, is left out.
    """
    merged = table.rename(columns=_MERGED).T.groupby(level=0, sort=False).sum().T
    return merged[["irregular", "lobular", "round or oval"]].rename_axis(columns="shape")


def error_model(merged: bool = False) -> pd.DataFrame:
    """Return the published confusion matrix, counts; ``merged``: with oval and round as one."""
    matrix = published.confusion_matrix()
    return common(common(matrix).T).T if merged else matrix


def blurred(named: dict[str, pd.DataFrame]) -> dict[str, Misclassified]:
    """Pass each table through the published confusion matrix.

    The CMMD table has other classes: it is brought to the three that both have first, and so is
    the published one, as a third row.
    """
    merged = {name: (table, error_model(True)) for name, table in three_classes(named).items()}
    models = {PUBLISHED: (named[PUBLISHED], error_model())} | merged
    found = {name: statistics.blurred(*pair) for name, pair in models.items()}
    return {name: each for name, each in found.items() if each}


def luminal(named: dict[str, pd.DataFrame]) -> dict[str, ShareDifference]:
    """Compare luminal with other subtypes: share irregular or lobular.

    The CMMD table is counted twice: polygonal as neither, and polygonal with them.
    """
    wide = (*statistics.TYPICAL, "polygonal")
    counted = {name: statistics.luminal_share(table) for name, table in named.items()}
    counted[f"{CMMD}, or polygonal"] = statistics.luminal_share(named[CMMD], wide)
    return {
        name: statistics.share_difference(*groups) for name, groups in counted.items() if groups
    }


def power_curves(found: dict[str, Association]) -> pd.DataFrame:
    """Power of the chi-square test over V at the size of each table: table, v, power."""
    sizes = {name: (found[name].shape, found[name].cases) for name in _plain(found)}
    return statistics.power_curves(sizes)


def power_marks(found: dict[str, Association]) -> pd.DataFrame:
    """Mark each table on its curve: table, v (corrected), power at it, detectable (80 %)."""
    out = []
    for name in _plain(found):
        each = found[name]
        power = chi_square_power(each.corrected, each.shape, each.cases)
        out.append((name, each.corrected, power, each.detectable))
    return pd.DataFrame(out, columns=["table", "v", "power", "detectable"])


def power_for_published(found: dict[str, Association]) -> float:
    """Power of the CMMD table for the published association, in the classes that they share."""
    mine = found[CMMD_3]
    return chi_square_power(found[PUBLISHED_3].corrected, mine.shape, mine.cases)


def _plain(found: dict[str, Association]) -> list[str]:
    return [name for name in (PUBLISHED, CMMD) if name in found]


def main() -> int:
    """Write the committed counts of CMMD from the CSV; one line on what went wrong, if anything."""
    try:
        print(cmmd_shapes.write_aggregate())
    except StudyError as error:
        print(error, file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
