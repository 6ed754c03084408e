"""Tables on subtype by shape laid out for the eye, and the plain ones that figures take."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, Final

import pandas as pd

from mammostudy.evaluation.association import Misclassified
from mammostudy.study import printed, words
from mammostudy.study.subtype_statistics import SPARSE, Association, ShareDifference

_MISCLASSIFIED: Final = ("before", "after", "expected", "low", "high")


def counts_page(table: pd.DataFrame) -> pd.DataFrame:
    """Return a table of counts with totals, the subtypes as a column."""
    full = table.assign(total=table.sum(axis=1))
    full.loc["total"] = full.sum()
    return full.astype(int).rename_axis(columns=None).rename_axis("subtype").reset_index()


def shares_page(shares: pd.DataFrame) -> pd.DataFrame:
    """Lay shares out, a row a subtype: its cases and each shape's share with Wilson's interval."""
    if shares.empty:
        return pd.DataFrame(columns=["subtype", "cases"])
    out = []
    for name, part in shares.groupby("row", sort=False):
        row: dict[str, Any] = {"subtype": name, "cases": int(part["total"].iloc[0])}
        for each in part.to_dict("records"):
            row[f"{each['column']}, %"] = percent(each["share"], each["low"], each["high"])
        out.append(row)
    return pd.DataFrame(out)


def percent(share: float, low: float, high: float) -> str:
    """Print a share with its interval in whole percent: ``78 [70, 84]``."""
    return f"{100 * share:.0f} [{100 * low:.0f}, {100 * high:.0f}]"


def association_page(found: Mapping[str, Association]) -> pd.DataFrame:
    """Lay out the association in each table, a row a table."""
    out = []
    for name, each in found.items():
        out.append(
            {
                "table": name,
                "cases": each.cases,
                "chi-square (degrees)": f"{each.statistic:.1f} ({each.degrees})",
                "p": printed.p_value(each.p),
                "p, Fisher (random tables)": printed.p_value(each.p_fisher),
                "expected below 5": f"{100 * each.sparse:.0f} % of cells",
                "Cramer's V": printed.cell(each.v, each.v_low, each.v_high),
                "V, bias corrected": printed.cell(
                    each.corrected, each.corrected_low, each.corrected_high
                ),
                "V by chance alone": f"{chance_v(each):.3f}",
                "smallest V seen with 80 % power": detectable(each),
            }
        )
    return pd.DataFrame(out)


def detectable(each: Association) -> str:
    """Print the smallest detectable V; some tables are too small for any."""
    return f"{each.detectable:.3f}" if math.isfinite(each.detectable) else "none: too few cases"


def chance_v(each: Association) -> float:
    """Return about what plain V is where nothing is associated: ``sqrt(df / (n (min - 1)))``."""
    return min(1.0, math.sqrt(each.degrees / (each.cases * (min(each.shape) - 1))))


def sparse_note(found: Mapping[str, Association]) -> str:
    """Say which tables are too sparse for the chi-square test."""
    names = [name for name, each in found.items() if each.sparse > SPARSE]
    if not names:
        return (
            "No table has more than a fifth of its cells below an expected count of 5: the "
            "chi-square test may be read, and Fisher's test stands beside it."
        )
    return (
        f"Sparse (more than a fifth of the cells below an expected count of 5): "
        f"{words.listed(names)}; read Fisher's test there, not the chi-square test."
    )


def strengths(found: Mapping[str, Association]) -> pd.DataFrame:
    """Return V with its interval for a figure: name, value, low, high, other, chance."""
    rows = [
        (name, each.v, each.v_low, each.v_high, each.corrected, chance_v(each))
        for name, each in found.items()
    ]
    return pd.DataFrame(rows, columns=["name", "value", "low", "high", "other", "chance"])


def blurred_frame(found: Mapping[str, Misclassified]) -> pd.DataFrame:
    """Return what errors leave of V for a figure: table, before, after, expected, low, high."""
    rows = [
        (name, *(getattr(each, part) for part in _MISCLASSIFIED)) for name, each in found.items()
    ]
    return pd.DataFrame(rows, columns=["table", *_MISCLASSIFIED])


def blurred_page(found: Mapping[str, Misclassified]) -> pd.DataFrame:
    """Lay :func:`blurred_frame` out for the eye."""
    rows = [
        {
            "table": name,
            "V before": f"{each.before:.3f}",
            "V after, without chance": f"{each.after:.3f}",
            "mean V of simulated classifications [middle 95 %]": printed.cell(
                each.expected, each.low, each.high
            ),
            "V kept": f"{100 * each.after / each.before:.0f} %" if each.before else "–",
        }
        for name, each in found.items()
    ]
    return pd.DataFrame(rows)


def differences_frame(found: Mapping[str, ShareDifference]) -> pd.DataFrame:
    """Return differences of shares for a figure."""
    columns = ["difference", "low", "high", "smallest_detectable"]
    rows = [(name, *(getattr(each, part) for part in columns)) for name, each in found.items()]
    return pd.DataFrame(rows, columns=["name", *columns])


def differences_page(found: Mapping[str, ShareDifference]) -> pd.DataFrame:
    """Lay differences of shares out for the eye, in %."""
    rows = []
    for name, each in found.items():
        (a, n), (b, m) = each.counts
        rows.append(
            {
                "table": name,
                "luminal": f"{a}/{n} = {100 * a / n:.0f} %",
                "other subtypes": f"{b}/{m} = {100 * b / m:.0f} %",
                "difference, points [95 % interval]": words.interval(
                    each.difference, each.low, each.high, scale=100, digits=0
                ),
                "p": printed.p_value(each.p_permutation),
                "smallest detectable, points": f"{100 * each.smallest_detectable:.0f}",
            }
        )
    return pd.DataFrame(rows)
