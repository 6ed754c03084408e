"""Subtype by shape in two tables that were not made here: the paper's, and one of CMMD.

The second is second-hand: its shapes were read off file names of a repository that sorted
TOMPEI-CMMD masses into folders, and joined with CMMD's clinical table by patient and side: a lead,
not ground truth. Only counts of breasts, each once, are committed
(``results/cmmd-shape-second-hand/table.json``); a test counts them again from the file.
"""

from __future__ import annotations

import json
from typing import Any, Final

import numpy as np
import pandas as pd

from mammostudy.errors import DataError
from mammostudy.evaluation.association import chi_square_power, group_share
from mammostudy.paths import results_root
from mammostudy.study import published, subtypes

PUBLISHED: Final = "published"
CMMD: Final = "CMMD, second-hand"
THREE: Final = ", three classes"
_MERGED: Final = {"oval": "round or oval", "round": "round or oval"}


def committed() -> dict[str, Any]:
    """Read the committed counts of CMMD, and how many lesions and breasts they leave out and why.

    Raises:
        DataError: they are missing, or do not sum to ``counted``.
    """
    path = results_root() / "cmmd-shape-second-hand" / "table.json"
    try:
        content: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        whole = int(np.sum(content["counts"])) == content["counted"]
    except (OSError, ValueError, KeyError) as error:
        msg = f"{path}: missing or damaged; restore the committed file"
        raise DataError(msg) from error
    if not whole:
        msg = f"{path}: its counts do not sum to `counted`; restore the committed file"
        raise DataError(msg)
    return content


def tables() -> dict[str, pd.DataFrame]:
    """Return both tables, subtype by shape, whole counts."""
    content = committed()
    theirs = pd.DataFrame(content["counts"], content["subtypes"], content["shapes"])
    theirs = theirs.rename_axis(index="subtype", columns="shape")
    return {PUBLISHED: published.subtype_table(), CMMD: theirs}


def common(table: pd.DataFrame) -> pd.DataFrame:
    """Bring a table to the classes that both have: irregular, lobular, round or oval.

    Oval and round are added up; polygonal, which the paper does not have, is left out.
    """
    merged = table.rename(columns=_MERGED).T.groupby(level=0, sort=False).sum().T
    return merged[["irregular", "lobular", "round or oval"]].rename_axis(columns="shape")


def with_common(named: dict[str, pd.DataFrame]) -> dict[str, pd.DataFrame]:
    """Return both tables, and both in the classes that they share."""
    return named | {f"{name}{THREE}": common(table) for name, table in named.items()}


def fractions() -> pd.DataFrame:
    """Recompute the paper's shares of each subtype from its own table.

    Returns:
        Columns subtype, shapes, masses and of (as printed), count and total (from the table),
        share, low, high (Wilson).
    """
    table, parts = published.subtype_table(), []
    for line in published.subtype_fractions().to_dict("records"):
        found = group_share(table, [line["subtype"]], line["shapes"]).iloc[0]
        numbers = found[["count", "total", "share", "low", "high"]].to_dict()
        parts.append(line | {"shapes": " or ".join(line["shapes"])} | numbers)
    return pd.DataFrame(parts)


def blurred(named: dict[str, pd.DataFrame]) -> pd.DataFrame:
    """Pass the published table, and both in shared classes, through the published errors."""
    matrix = published.confusion_matrix()
    merged = common(common(matrix).T).T
    shared = {name: (table, merged) for name, table in with_common(named).items() if THREE in name}
    return subtypes.blurred({PUBLISHED: (named[PUBLISHED], matrix)} | shared)


def luminal(named: dict[str, pd.DataFrame]) -> pd.DataFrame:
    """Compare luminal with other cases; CMMD's polygonal counts once as neither, once with them."""
    along = named[CMMD].rename(columns={"polygonal": "lobular"}).T.groupby(level=0).sum().T
    return subtypes.luminal(named | {f"{CMMD}, or polygonal": along})


def power_curves(found: pd.DataFrame) -> pd.DataFrame:
    """Power of the chi-square test over V at the size of each table: table, v, power."""
    lines = [
        (row["table"], float(v), chi_square_power(float(v), row["shape"], row["cases"]))
        for row in found.to_dict("records")
        for v in np.linspace(0, 0.5, 101)
    ]
    return pd.DataFrame(lines, columns=["table", "v", "power"])


def power_for_published(found: pd.DataFrame) -> float:
    """Power of the CMMD table for the published association, in the classes that they share."""
    rows = {line["table"]: line for line in found.to_dict("records")}
    mine, v = rows[f"{CMMD}{THREE}"], rows[f"{PUBLISHED}{THREE}"]["corrected"]
    return chi_square_power(v, mine["shape"], mine["cases"])
