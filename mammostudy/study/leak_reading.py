"""What the page on leaks prints, and what its tables mean, in sentences."""

from __future__ import annotations

import math
from typing import Any, Final

import pandas as pd

from mammostudy.study import leak, words
from mammostudy.study.leak_tables import ACCURACY, SUBSETS

_ALL, _EXPOSED, _NEW = SUBSETS
_NOTHING: Final = "No run of this page is on record yet, so it has nothing to say."


def gains_page(gains: pd.DataFrame) -> pd.DataFrame:
    """Lay out the comparisons: scores under both kinds of fold, and the gain, in points."""
    rows = gains.to_dict("records")
    return pd.DataFrame(
        {
            "what": [f"{row['row']}, {row['metric']}" for row in rows],
            "tested on": [row["subset"] for row in rows],
            "masses": [row["masses"] for row in rows],
            "patients": [row["patients"] for row in rows],
            "folds by patient": [f"{row['patient folds']:.3f}" for row in rows],
            "folds by image": [f"{row['image folds']:.3f}" for row in rows],
            "what the leak adds, points": [_points(row) for row in rows],
            "p (permutation)": [words.p_value(row["p_permutation"]) for row in rows],
            "could have been seen": [_seen(row) for row in rows],
        }
    )


def trainings_page(pairs: pd.DataFrame) -> pd.DataFrame:
    """Lay out the gain of each pair of trainings, in points."""
    rows = pairs.to_dict("records")
    return pd.DataFrame(
        {
            "training": [row["training"] for row in rows],
            "folds by image less folds by patient, points": [_points(row) for row in rows],
            "p (permutation)": [words.p_value(row["p_permutation"]) for row in rows],
            "patients": [row["patients"] for row in rows],
        }
    )


def trainings(pairs: pd.DataFrame) -> str:
    """Say whether pairs of trainings agree on the sign; nothing with fewer than two."""
    if len(pairs) < 2:
        return ""
    said = words.listed(f"{100 * value:+.2f}" for value in pairs["difference"])
    if (pairs["difference"] > 0).all() or (pairs["difference"] < 0).all():
        return f"The pairs of trainings say {said} points, of one sign."
    return (
        f"The pairs of trainings say {said} points: they disagree on the sign, so the chance of "
        "training is larger than whatever the leak is worth, and the mean of the pairs says "
        "nothing of it."
    )


def chance_page(chance: pd.DataFrame) -> pd.DataFrame:
    """Lay out the comparison of two trainings under the same folds, in points."""
    rows = chance.to_dict("records")
    return pd.DataFrame(
        {
            "folds": [row["folds"] for row in rows],
            "second training less first, points": [_points(row) for row in rows],
            "p (permutation)": [words.p_value(row["p_permutation"]) for row in rows],
            "patients": [row["patients"] for row in rows],
        }
    )


def _points(row: dict[Any, Any]) -> str:
    return words.interval(row["difference"], row["low"], row["high"], scale=100, digits=2)


def _seen(row: dict[Any, Any]) -> str:
    least = row["smallest_detectable"]
    return f"{100 * least:.2f}" if math.isfinite(least) else "nothing"


def exposure(cases: pd.DataFrame) -> str:
    """Say how many masses are tested on a model that knows their patient."""
    if cases.empty:
        return ""
    known = cases[cases["exposed"]]
    share = 100 * len(known) / len(cases)
    return (
        f"Under folds by image, {len(known)} of {words.count(len(cases), 'mass')} ({share:.0f} %) "
        f"are tested with a model that has learnt from their patient "
        f"({words.count(known['patient'].nunique(), 'patient')} of "
        f"{cases['patient'].nunique()}); under folds by patient, none."
    )


def meaning(gains: pd.DataFrame, chance: pd.DataFrame, pairs: pd.DataFrame) -> str:
    """Say what the leak is worth for each row, beside what chance and no training give.

    Args:
        gains: rows of :func:`mammostudy.study.leak_tables.gains`, stacked.
        chance: :func:`mammostudy.study.leak_tables.chance_of_training`.
        pairs: :func:`mammostudy.study.leak_tables.gains_by_training`, of the segmenter.
    """
    if gains.empty:
        return _NOTHING
    sentences = []
    for row in gains["row"].unique():
        sentences += _of(gains[gains["row"] == row], str(row))
    for row in chance.to_dict("records"):
        sentences.append(
            f"A second training under folds {row['folds']} differs from the first by "
            f"{_points(row)} points: a gain of that size needs no leak."
        )
    return words.paragraph([*sentences, trainings(pairs)])


def _of(gains: pd.DataFrame, row: str) -> list[str]:
    by_subset = {str(r["subset"]): r for r in gains.to_dict("records")}
    whole = by_subset[_ALL]
    name = f"{whole['metric']} of the {row}"
    if row == leak.NULL:
        same = "as it must: nothing is trained" if whole["difference"] == 0 else "which must not be"
        return [f"The {name} differs by {100 * whole['difference']:.2f} points, {same}."]
    said = [f"Folds by image change the {name} by {_points(whole)} points, {_verdict(whole)}."]
    if _EXPOSED in by_subset and _NEW in by_subset:
        said.append(
            f"For patients that were trained on it is {_points(by_subset[_EXPOSED])}, for patients "
            f"new to the model {_points(by_subset[_NEW])}: a leak can act on the former alone."
        )
    return said


def _verdict(row: dict[Any, Any]) -> str:
    if row["low"] > 0:
        return "and the interval lies above 0: here the leak flatters"
    if row["high"] < 0:
        return (
            "and the interval lies below 0: no gain, and a loss that no leak explains but other "
            "folds and other trainings do"
        )
    return (
        f"and the interval holds 0: no gain was seen, and one below {_seen(row)} points could "
        f"not have been with {words.count(row['patients'], 'patient')}"
    )


def intervals(table: pd.DataFrame, metric: str) -> str:
    """Say how much too narrow an interval is that takes masses for independent."""
    if len(table) < 2:
        return ""
    honest, naive = table["width"].iloc[0], table["width"].iloc[1]
    if naive >= honest:
        return f"The interval of the {metric} over masses is not narrower than that over patients."
    return (
        f"Taking masses for independent cases makes the interval of the {metric} "
        f"{100 * (1 - naive / honest):.0f} % narrower than drawing patients: the same mistake, "
        "made after the model is trained."
    )


def shapes_note(cohort: str) -> str:
    """Say why the page has no classifier of shapes; nothing where it has one."""
    if leak.classifiers(cohort, "smoke"):
        return ""
    return (
        "A classifier of shapes is not among the rows of this cohort: phantom crops have one image "
        "a patient, so that nothing can leak, and masks drawn by a segmenter would mix in what the "
        "segmenter has seen."
    )


__all__ = [
    "ACCURACY",
    "chance_page",
    "exposure",
    "gains_page",
    "intervals",
    "meaning",
    "shapes_note",
    "trainings",
    "trainings_page",
]
