"""Detectors compared on the same views: with the prior box, with the light SSD, and ablations."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import numpy as np
import pandas as pd

from mammostudy.errors import DataError
from mammostudy.evaluation.detection import average_precision_difference
from mammostudy.evaluation.froc_intervals import sensitivity_differences
from mammostudy.evaluation.statistics import holm
from mammostudy.study import detect_recipes, printed, words
from mammostudy.study.detection import ABLATED, Detectors, Groups, detectors, prior_of
from mammostudy.study.detection_judged import DRAWS, OPERATING, Judged, share

MEASURES: Final = {
    "at_one": "sensitivity at 1 false positive a view",
    "mean": "mean sensitivity",
    "ap50": "AP50",
}
BEATS, LOSES, OPEN = "beats it", "falls behind it", "cannot be told from it"
UNCHANGED: Final = "unchanged"


def difference(a: Judged, b: Judged) -> dict[str, Any]:
    """Subtract detector ``b`` from ``a`` on the same resamples of patients.

    Returns:
        ``at_one``, ``mean`` and ``ap50``, each with ``_low``, ``_high`` and ``_p``.

    Raises:
        DataError: they were tested on other views.
    """
    if list(a.views["view"]) != list(b.views["view"]):
        msg = f"{a.name} and {b.name} were tested on other views: compare them on the same folds"
        raise DataError(msg)
    table = sensitivity_differences(a.curve(), b.curve(), a.patients, draws=DRAWS)
    average = average_precision_difference(a.precision(), b.precision(), a.patients, draws=DRAWS)
    chosen = {
        "at_one": table[table["rate"] == OPERATING].iloc[0],
        "mean": table[table["rate"].isna()].iloc[0],
        "ap50": average.iloc[0],
    }
    out: dict[str, Any] = {}
    for name, row in chosen.items():
        out |= {name: float(row["difference"])}
        out |= {f"{name}_{end}": float(row[end]) for end in ("low", "high", "p")}
    return out


def against_prior(found: Groups, groups: Mapping[str, Detectors]) -> pd.DataFrame:
    """Set every detector against the prior box of its folds.

    Args:
        found: records of the page.
        groups: heading -> detectors, for example by budget; the same runs stand once, under the
            first heading.

    Returns:
        A row a detector: group, row, converged, patients, the fields of :func:`difference`, verdict
        (whether the interval of the sensitivity at 1 false positive a view lies above 0).
    """
    out = []
    seen: set[tuple[str, ...]] = set()
    for group, rows in groups.items():
        for name, each in rows.items():
            prior = prior_of(found, each.folds)
            keys = tuple(record.key for record in each.records)
            if name == detect_recipes.PRIOR_ROW or prior is None or keys in seen:
                continue
            seen.add(keys)
            said = {"group": group, "row": name, "converged": each.settled}
            test = difference(each, prior)
            counts = {"patients": len(set(each.patients)), "verdict": verdict(test)}
            out.append(said | test | counts)
    return pd.DataFrame(out)


def verdict(test: Mapping[str, Any]) -> str:
    """Say whether a detector beats the prior box at 1 false positive a view."""
    if test["at_one_low"] > 0:
        return BEATS
    return LOSES if test["at_one_high"] < 0 else OPEN


def differences(found: Detectors, against: str = detect_recipes.LIGHT) -> pd.DataFrame:
    """Subtract one detector from each other one of the same budget and fold.

    Returns:
        A row a detector: row, converged, patients, the fields of :func:`difference`, and of each
        measure ``_holm``, its p corrected over the rows.
    """
    if against not in found:
        return pd.DataFrame()
    base = found[against]
    out = [
        {"row": name, "converged": each.settled, "patients": len(set(each.patients))}
        | difference(each, base)
        for name, each in found.items()
        if name not in (against, detect_recipes.PRIOR_ROW)
    ]
    return _corrected(pd.DataFrame(out))


def _corrected(table: pd.DataFrame) -> pd.DataFrame:
    for name in MEASURES if len(table) else ():
        table[f"{name}_holm"] = holm(table[f"{name}_p"].to_numpy())
    return table


def printed_tests(table: pd.DataFrame, heading: str) -> pd.DataFrame:
    """Lay out :func:`differences` or :func:`against_prior`, differences with intervals and p."""
    out = []
    for row in table.to_dict("records"):
        cells: dict[str, Any] = {"budget": row["group"]} if "group" in row else {}
        cells[heading] = row["row"]
        for name, label in MEASURES.items():
            ends = (row[name], row[f"{name}_low"], row[f"{name}_high"])
            cells[label] = words.interval(*ends, digits=2)
            if f"{name}_holm" in row and name != "ap50":
                cells[f"p, Holm ({label})"] = printed.p_value(row[f"{name}_holm"])
        cells |= {"patients": row["patients"], "converged": row["converged"]}
        if "verdict" in row:
            cells["the prior box"] = row["verdict"]
        out.append(cells)
    return pd.DataFrame(out)


def changes(found: Groups) -> tuple[Detectors, pd.DataFrame]:
    """Compare the ablations with the same SSD unchanged, in the budget of equal time.

    Returns:
        The detectors, the unchanged one first, and :func:`differences` of the others from it. On a
        preset without that budget the unchanged one is the longer run.
    """
    light = detect_recipes.LIGHT
    budget = detect_recipes.EQUAL if light in found[detect_recipes.EQUAL] else detect_recipes.LONG
    base = detectors(found, budget).get(light)
    if base is None:
        return {}, pd.DataFrame()
    mine = {UNCHANGED: Judged(UNCHANGED, base.records), **detectors(found, ABLATED)}
    return mine, differences(mine, UNCHANGED)


def mass_free(found: Detectors) -> pd.DataFrame:
    """Count false positives apart on views without and with a mass, at the operating threshold.

    Returns:
        A row a detector: row, ``free`` and ``held`` (false positives a view without and with a
        mass) and ``clean`` (share of the views without a mass that get no box), each with its ends,
        ``views`` without a mass, ``accuracy`` (masses found there), ``difference`` of ``free`` from
        the first row's, with its ends (NaN in the first row).
    """
    out: list[dict[str, Any]] = []
    base: tuple[Judged, np.ndarray[Any, Any]] | None = None
    for name, each in found.items():
        counts, empty = each.false_positives(), (each.views["masses"] == 0).to_numpy()
        here = each.patients
        measured = {
            "free": share(counts[empty], here[empty]),
            "held": share(counts[~empty], here[~empty]),
            "clean": share(counts[empty] == 0, here[empty]),
            "accuracy": share(each.found(), each.mass_patients),
        }
        base = base or (each, counts)
        same = each is not base[0] and list(each.views["view"]) == list(base[0].views["view"])
        gap = counts[empty] - base[1][empty] if same else np.zeros(0)
        measured["difference"] = share(gap, here[empty] if same else here[:0])
        row: dict[str, Any] = {"row": name, "views": int(empty.sum()), "converged": each.settled}
        for key, (value, low, high) in measured.items():
            row |= {key: value, f"{key}_low": low, f"{key}_high": high}
        out.append(row)
    return pd.DataFrame(out)


def printed_mass_free(table: pd.DataFrame) -> pd.DataFrame:
    """Lay out :func:`mass_free`."""
    if table.empty or not table["views"].max():
        return pd.DataFrame()
    heads = {
        "free": "false positives a mass-free view",
        "held": "false positives a view with a mass",
        "clean": "mass-free views without any",
        "accuracy": "masses found",
    }
    out = []
    for row in table.to_dict("records"):
        cells = {
            head: printed.cell(row[key], row[f"{key}_low"], row[f"{key}_high"], 2)
            for key, head in heads.items()
        }
        ends = (row["difference"], row["difference_low"], row["difference_high"])
        gap = "–" if np.isnan(row["difference"]) else words.interval(*ends, digits=2)
        last = {"difference on mass-free views": gap, "mass-free views": row["views"]}
        out.append({"light SSD": row["row"], **cells, **last, "converged": row["converged"]})
    return pd.DataFrame(out)


def ranking(table: pd.DataFrame) -> list[str]:
    """Rank detectors by sensitivity at 1 false positive a view; only those that converged."""
    if table.empty:
        return []
    ready = table[table["converged"].isin(["yes"])]
    return [str(name) for name in ready.sort_values("at_one", ascending=False)["row"]]
