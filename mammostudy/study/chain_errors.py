"""Where the error of a chain comes from: parts that add up exactly, each with its interval.

For every mass the error at the end is followed back: what the segmenter loses even from the known
box, what a found mass loses by its imperfect box, and what a missed mass loses on top of that. The
shape adds what the classifier gets wrong from the true mask. Summed over the parts this is the
error, mass by mass; a part may be negative where a later stage happens to do better.
"""

from __future__ import annotations

from typing import Any, Final

import numpy as np
import pandas as pd

from mammostudy.evaluation.statistics import holm, paired_test
from mammostudy.study import printed, words
from mammostudy.study.chain import of, printed_score, score
from mammostudy.study.chain_recipes import ARMS, ELLIPSE, PAPER, PRIOR, STUDY

CLASSIFIER: Final = "shape told wrong from the true mask"
SEGMENTATION: Final = "segmentation from the known box"
BOX: Final = "imperfect box"
MISSED: Final = "missed"
DICE_PARTS: Final = (SEGMENTATION, BOX, MISSED)
SHAPE_PARTS: Final = (CLASSIFIER, SEGMENTATION, BOX, MISSED)
DICE: Final = "1 - Dice"
SHAPE: Final = "wrong shape"
AGAINST: Final = (PAPER, PRIOR, ELLIPSE)


def parts_of(masses: pd.DataFrame, arm: str, measure: str = DICE) -> pd.DataFrame:
    """Split the error of every mass of an arm into its parts.

    Args:
        masses: :func:`mammostudy.study.chain.rows`.
        arm: of them.
        measure: :data:`DICE`, or :data:`SHAPE` (0 right, 1 wrong; masses of a known shape that a
            classifier may judge).

    Returns:
        A row a mass: case, patient, a column a part, and ``error``, their sum.
    """
    by_source = {}
    for source in ("truth", "oracle", "detected"):
        mine = of(masses, arm, source)
        mine = (mine if measure == DICE else mine[mine["told"]]).set_index("case")
        good = mine["dice"] if measure == DICE else mine["right"]
        by_source[source] = mine.assign(wrong=1 - good.astype(np.float64))
    end = by_source["detected"]
    known = by_source["oracle"]["wrong"].reindex(end.index)
    truth = by_source["truth"]["wrong"].reindex(end.index)
    found = end["found"].astype(bool)
    table = pd.DataFrame({"patient": end["patient"]})
    if measure == SHAPE:
        table[CLASSIFIER] = truth
    table[SEGMENTATION] = known - truth  # from the true mask, Dice is 1
    table[BOX] = (end["wrong"] - known).where(found, 0.0)
    table[MISSED] = (end["wrong"] - known).where(~found, 0.0)
    return table.assign(error=end["wrong"]).reset_index()


def budget(masses: pd.DataFrame) -> pd.DataFrame:
    """Return the mean parts of the error of every arm, with intervals over patients.

    Returns:
        arm, measure, part (``error`` is the whole), mean, low, high, masses, patients.
    """
    out: list[dict[str, Any]] = []
    for arm in dict.fromkeys(masses["arm"]):
        for measure, names in ((DICE, DICE_PARTS), (SHAPE, SHAPE_PARTS)):
            table = parts_of(masses, arm, measure)
            if table.empty:
                continue
            counts = {"masses": len(table), "patients": table["patient"].nunique()}
            for part in (*names, "error"):
                mean, low, high = score(table, part)
                ends = {"mean": mean, "low": low, "high": high}
                out.append({"arm": arm, "measure": measure, "part": part, **ends, **counts})
    columns = ["arm", "measure", "part", "mean", "low", "high", "masses", "patients"]
    return pd.DataFrame(out, columns=columns)


def printed_budget(table: pd.DataFrame, measure: str) -> pd.DataFrame:
    """Lay out the budget of one measure: a row an arm, a column a part, the sum last."""
    mine = table[table["measure"] == measure]
    names = [*(DICE_PARTS if measure == DICE else SHAPE_PARTS), "error"]
    headings = {"error": f"sum: {measure}"}
    out = []
    for arm, part in mine.groupby("arm", sort=False):
        by_part = {str(row["part"]): row for _, row in part.iterrows()}
        cells = {headings.get(name, name): printed_score(by_part[name]) for name in names}
        out.append({"chain": arm, **cells, "masses": int(part["masses"].iloc[0])})
    columns = ["chain", *(headings.get(name, name) for name in names), "masses"]
    wide = pd.DataFrame(out, columns=columns)
    return printed.with_absent(wide, [(arm,) for arm in ARMS], ["chain"]) if out else wide


def comparisons(masses: pd.DataFrame) -> pd.DataFrame:
    """Test the study's chain against the others: Dice of all masses, paired over patients.

    Returns:
        A row a comparison: b, and the fields of
        :class:`~mammostudy.evaluation.statistics.PairedTest`, with ``p_holm``.
    """
    mine = of(masses, STUDY, "detected").set_index("case")
    out = []
    for name in AGAINST:
        other = of(masses, name, "detected").set_index("case")
        both = sorted(set(mine.index) & set(other.index))
        if both:
            a, b = (each.loc[both, "dice"].to_numpy(np.float64) for each in (mine, other))
            test = paired_test(a, b, mine.loc[both, "patient"].to_numpy(str))
            out.append({"b": name, "masses": len(both), **vars(test)})
    if not out:
        return pd.DataFrame(columns=["b", "masses"])
    table = pd.DataFrame(out)
    return table.assign(p_holm=holm(table["p_permutation"].to_numpy(np.float64)))


def printed_comparisons(table: pd.DataFrame) -> pd.DataFrame:
    """Lay out :func:`comparisons`."""
    out = [
        {
            "study's chain minus": row["b"],
            "difference of Dice [95 % interval]": words.interval(
                row["difference"], row["low"], row["high"]
            ),
            "p, Holm": printed.p_value(row["p_holm"]),
            "patients": row["patients"],
            "smallest detectable": f"{row['smallest_detectable']:.3f}",
        }
        for _, row in table.iterrows()
    ]
    return pd.DataFrame(out, columns=list(out[0]) if out else ["study's chain minus"])
