"""Subtype by shape in two tables that were not made here: the paper's, and one of CMMD.

The second is second-hand: its shapes were read off file names of a repository that sorted
TOMPEI-CMMD masses into folders, and joined with CMMD's clinical table by patient and side: a lead,
not ground truth. Only counts of breasts, each once, are committed
(``results/cmmd-shape-second-hand/table.json``); a test counts them again from the file.
"""

from __future__ import annotations

import json
from typing import Any, Final

import pandas as pd

from mammostudy.evaluation.association import chi_square_power
from mammostudy.paths import results_root
from mammostudy.study import published, subtypes

PUBLISHED: Final = "published"
CMMD: Final = "CMMD, second-hand"
THREE: Final = ", three classes"
_MERGED: Final = {"oval": "round or oval", "round": "round or oval"}


def committed() -> dict[str, Any]:
    """Read the committed counts of CMMD, and how many they leave out and why."""
    path = results_root() / "cmmd-shape-second-hand" / "table.json"
    content: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return content


def tables() -> dict[str, pd.DataFrame]:
    """Return both tables, subtype by shape, whole counts."""
    content = committed()
    theirs = pd.DataFrame(content["counts"], content["subtypes"], content["shapes"])
    theirs = theirs.rename_axis(index="subtype", columns="shape")
    return {PUBLISHED: published.subtype_table(), CMMD: theirs}


def with_common(named: dict[str, pd.DataFrame]) -> dict[str, pd.DataFrame]:
    """Return both tables, and both in the classes that they share.

    Oval and round are added up; polygonal, which the paper does not have, is left out.
    """
    both = dict(named)
    for name, table in named.items():
        merged = table.rename(columns=_MERGED).T.groupby(level=0, sort=False).sum().T
        both[f"{name}{THREE}"] = merged[["irregular", "lobular", "round or oval"]]
    return both


def luminal(named: dict[str, pd.DataFrame]) -> pd.DataFrame:
    """Compare luminal with other cases; CMMD's polygonal counts once as neither, once with them."""
    along = named[CMMD].rename(columns={"polygonal": "lobular"}).T.groupby(level=0).sum().T
    return subtypes.luminal(named | {f"{CMMD}, or polygonal": along})


def power_for_published(found: pd.DataFrame) -> float:
    """Power of the CMMD table for the published association, in the classes that they share."""
    rows = {line["table"]: line for line in found.to_dict("records")}
    mine, v = rows[f"{CMMD}{THREE}"], rows[f"{PUBLISHED}{THREE}"]["corrected"]
    return chi_square_power(v, mine["shape"], mine["cases"])
