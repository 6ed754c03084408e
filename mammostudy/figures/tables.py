"""How pages print: a number with its interval, a table, a sentence a comparison."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

import numpy as np
import pandas as pd
from pandas.io.formats.style import Styler

from mammostudy.evaluation.association import MISSED
from mammostudy.figures import primitives

MISSING: Final = "–"
NOT_RUN: Final = "not run"


def number(value: float, digits: int = 3, sign: str = "") -> str:
    """Print a number, or the sign for a missing one."""
    return f"{value:{sign}.{digits}f}" if math.isfinite(value) else MISSING


def cell(row: Mapping[str, Any] | pd.Series, digits: int = 3, sign: str = "") -> str:
    """Print a mean or difference with its interval, ``0.842 [0.810, 0.871]``."""
    value = row["mean"] if "mean" in row else row["difference"]
    if not np.isfinite([row["low"], row["high"]]).all():
        return f"{number(value, digits, sign)} [too few: no interval]"
    ends = f"{row['low']:{sign}.{digits}f}, {row['high']:{sign}.{digits}f}"
    return f"{number(value, digits, sign)} [{ends}]"


def p_value(p: float) -> str:
    """Print a p value: three decimals, or that it is smaller."""
    if not math.isfinite(p):
        return MISSING
    return "< 0.001" if p < 0.001 else f"{p:.3f}"


def show(
    table: pd.DataFrame,
    headings: Mapping[str, str] | None = None,
    expected: Iterable[object] = (),
    digits: Mapping[str, int] | None = None,
    precision: int = 3,
) -> Styler | None:
    """Lay out a table for a page, the same way everywhere; None for a table without rows."""
    if table.empty:
        out = table
    elif "difference" in table and "p_holm" in table:
        out = _comparisons(table)
    elif {"metric", "mean", "low", "high", "training_sd"} <= set(table.columns):
        out = _summaries(table, headings or {}, digits or {})
    else:
        out = table.rename(columns=dict(headings or {}))
    wanted = [each if isinstance(each, tuple) else (each,) for each in expected]
    if wanted and len(out):
        names = list(out.columns[: len(wanted[0])])
        groups = pd.DataFrame(wanted, columns=names)
        out = groups.astype(object).merge(out.astype(object), how="left", on=names)
        out = out.where(out.notna(), NOT_RUN)
    return primitives.page_table(out, precision) if len(out) else None


def _comparisons(table: pd.DataFrame) -> pd.DataFrame:
    ends = zip(table["lowest"], table["highest"], strict=True)
    out = {
        "comparison": [f"{a} - {b}" for a, b in zip(table["a"], table["b"], strict=True)],
        "of": table["metric"] if table["metric"].nunique() > 1 else MISSING,
        "difference [95 %]": [cell(line, sign="+") for _, line in table.iterrows()],
        "p": table["p"].map(p_value),
        "p, Holm": table["p_holm"].map(p_value),
        "masses": table["masses"],
        "patients": table["patients"],
        "smallest detectable": table["smallest_detectable"].map(number),
        "pairs of trainings": table["trainings"],
        "their differences": [f"{number(a, sign='+')} to {number(b, sign='+')}" for a, b in ends],
        "effect": table["effect"].map(lambda value: number(value, 2, "+")),
        "not converged": table["unsettled"].replace("", MISSING),
        "verdict": table["verdict"],
    }
    shown = pd.DataFrame(out).reset_index(drop=True)
    known = [
        name for name in shown if not shown[name].isin([MISSING, f"{MISSING} to {MISSING}"]).all()
    ]
    shown = shown[known].dropna(axis=1, how="all")
    return shown.drop(columns="verdict") if (table["verdict"] == "not judged").all() else shown


def _summaries(
    table: pd.DataFrame, headings: Mapping[str, str], digits: Mapping[str, int]
) -> pd.DataFrame:
    by = list(table.columns[: list(table.columns).index("metric")])
    lines = []
    for group, part in table.groupby(by, sort=False, dropna=False):
        first = part.iloc[0]
        cells = {
            headings.get(str(row["metric"]), str(row["metric"])): cell(
                row, digits.get(str(row["metric"]), 3)
            )
            for _, row in part.iterrows()
        }
        counts = {
            "masses": first["masses"],
            "patients": first["patients"],
            "trainings": first["trainings"],
            "SD between trainings": number(first["training_sd"]),
            "converged": first["converged"],
        }
        names = {headings.get(key, key): value for key, value in zip(by, group, strict=True)}
        lines.append(names | cells | {headings.get(key, key): n for key, n in counts.items()})
    shown = pd.DataFrame(lines)
    return shown.loc[:, [not (shown[name] == MISSING).all() for name in shown]]


def conclude(tests: pd.DataFrame, unit: str = "Dice") -> str:
    """Say what each comparison found, one sentence a comparison, as a Markdown list."""
    sentences = []
    for _, line in tests.iterrows():
        sentence = f"- {line['a']} less {line['b']}: {cell(line, sign='+')} {unit}"
        if line["verdict"] != "not judged":
            sentence += f": **{line['verdict']}**"
        if line["unsettled"]:
            sentence += f" (not converged: {line['unsettled']})"
        sentences.append(f"{sentence}.")
    return "\n".join(sentences)


def thirds(values: pd.Series) -> pd.Series:
    """Name the third of each value and its ends; equal values stand in one."""
    third = pd.qcut(values, 3, labels=False, duplicates="drop")
    ends = values.groupby(third).agg(["min", "max"])
    names = {n: f"third {n + 1:.0f}: {low:.3g} to {high:.3g}" for n, low, high in ends.itertuples()}
    return third.map(names).fillna("unknown")


def confusion(rows: pd.DataFrame, classes: Sequence[str]) -> pd.DataFrame:
    """Count truth (rows) against prediction; a last column ``none`` only where one was missed."""
    counts = pd.crosstab(rows["label"], rows["predicted"])
    columns = [*classes, *([MISSED] if (rows["predicted"] == MISSED).any() else [])]
    full = counts.reindex(index=list(classes), columns=columns, fill_value=0).astype(int)
    return full.rename_axis(index="truth", columns="predicted")
