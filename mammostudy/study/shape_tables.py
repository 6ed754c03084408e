"""From shape records to tables: rows of all folds, scores with intervals over patients, matrices.

A case whose mask was missed is predicted ``none``: it counts as wrong in every score.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final, cast

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from mammostudy.errors import DataError
from mammostudy.evaluation.classification import apply_temperature
from mammostudy.evaluation.statistics import PairedTest, paired_test
from mammostudy.runs.record import Record
from mammostudy.runs.shape_spec import ShapeSpec
from mammostudy.study import tables

MISSED: Final = "none"
SCORES: Final = ("accuracy", "macro_recall", "macro_f1", "kappa")
DRAWS: Final = 5_000
_COLUMNS: Final = (
    "part", "case", "patient", "site", "source", "tool", "missed", "label", "predicted", "fold",
    "right",
)  # fmt: skip
Named = Mapping[str, Sequence[ShapeSpec]]
Found = dict[str, list[Record]]
Values = NDArray[np.float64]


def shape_records(named: Named, preset: str) -> Found:
    """Return the records of named shape runs (see :func:`mammostudy.study.tables.records_of`).

    Args:
        named: runs by the name a table gives them.
        preset: of the page; small ones train what is missing.

    Raises:
        DataError: a run of a small preset is missing and its cohort is not at hand.
    """
    return tables.records_of(cast(tables.Named, named), preset)


def pooled(
    records: Sequence[Record],
    *,
    source: str | None = None,
    part: str = "test",
    tool: str | None = None,
) -> pd.DataFrame:
    """Stack the rows of the folds of one classifier.

    Args:
        records: a record a fold, of one recipe.
        source: the masks it was asked about; None takes the first source of each record's spec.
        part: ``test`` or ``validation``.
        tool: ``polygon``, or ``other`` for all other drawing tools; None takes every row.

    Returns:
        The columns of :attr:`~mammostudy.runs.record.Record.cases` and ``fold``,
        ``p_<class>`` (calibrated), ``raw_<class>`` (temperature 1), ``right`` (bool).
    """
    stacked = [_rows(record, source, part, tool) for record in records]
    if not stacked:
        return pd.DataFrame(columns=list(_COLUMNS))
    return pd.concat(stacked, ignore_index=True)


def _rows(record: Record, source: str | None, part: str, tool: str | None) -> pd.DataFrame:
    """Return the rows of one record with their probabilities."""
    asked = source or record.spec.evaluation.sources[0]
    cases = record.cases
    rows = cases[(cases["part"] == part) & (cases["source"] == asked)].reset_index(drop=True)
    rows = rows.assign(tool=rows["tool"].fillna("").astype(str), missed=rows["missed"].astype(bool))
    if tool is not None:
        polygon = rows["tool"] == "polygon"
        rows = rows[polygon if tool == "polygon" else ~polygon].reset_index(drop=True)
    rows = rows.assign(fold=record.spec.split.fold, right=rows["label"] == rows["predicted"])
    logits = record.logits(rows)
    for prefix, temperature in (("p", record.temperature or 1.0), ("raw", 1.0)):
        found = apply_temperature(logits, temperature)
        for at, name in enumerate(record.spec.classes):
            rows[f"{prefix}_{name}"] = found[:, at]
    return rows


def confusion(rows: pd.DataFrame, classes: Sequence[str]) -> pd.DataFrame:
    """Count truth (rows) against prediction (columns).

    Args:
        rows: of :func:`pooled`.
        classes: names, in order; a class that occurs nowhere keeps its row and column.

    Returns:
        Counts; a further column ``none`` only where a mask was missed.
    """
    counts = pd.crosstab(rows["label"], rows["predicted"])
    columns = [*classes, *([MISSED] if (rows["predicted"] == MISSED).any() else [])]
    full = counts.reindex(index=list(classes), columns=columns, fill_value=0).astype(int)
    return full.rename_axis(index="truth", columns="predicted")


def scores(
    rows: pd.DataFrame, classes: Sequence[str], *, draws: int = DRAWS, seed: int = 0
) -> dict[str, Any]:
    """Score a classifier on pooled rows, with 95 % bootstrap intervals over patients.

    A patient's cases enter a resample together. Macro scores are means over the classes that a
    resample holds.

    Args:
        rows: of :func:`pooled`.
        classes: names of the classes.
        draws: resamples.
        seed: of the resampling.

    Returns:
        ``accuracy``, ``macro_recall``, ``macro_f1`` and ``kappa``, each also with ``_low`` and
        ``_high``, and ``cases``, ``patients``, ``missed`` (masks) and ``folds``. Without rows the
        scores are NaN; with one patient the intervals are.
    """
    counts = {
        "cases": len(rows),
        "patients": rows["patient"].nunique(),
        "missed": int(rows["missed"].sum()),
        "folds": rows["fold"].nunique(),
    }
    ends = [f"{name}{end}" for name in SCORES for end in ("", "_low", "_high")]
    if rows.empty:
        return dict.fromkeys(ends, float("nan")) | counts
    matrices = _by_patient(rows, classes)
    found = _scores(matrices.sum(axis=0)[None])
    drawn = _scores(_resampled(matrices, draws, seed))
    out: dict[str, Any] = {}
    for name in SCORES:
        low, high = _interval(drawn[name], len(matrices))
        out |= {name: float(found[name][0]), f"{name}_low": low, f"{name}_high": high}
    return out | counts


def recalls(
    rows: pd.DataFrame, classes: Sequence[str], *, draws: int = DRAWS, seed: int = 0
) -> pd.DataFrame:
    """Recall of each class with its 95 % bootstrap interval over the patients.

    Returns:
        A row a class: class, masks, patients, correct, recall, low, high; NaN for a class without
        a mask, and an interval of NaN for a class of one patient.
    """
    out = []
    drawn = None
    if len(rows):
        drawn = _class_recalls(_resampled(_by_patient(rows, classes), draws, seed))
    for at, name in enumerate(classes):
        mine = rows[rows["label"] == name]
        patients, correct = mine["patient"].nunique(), int(mine["right"].sum())
        low, high = (np.nan, np.nan) if drawn is None else _interval(drawn[:, at], patients)
        recall = correct / len(mine) if len(mine) else np.nan
        out.append((name, len(mine), patients, correct, recall, low, high))
    names = ["class", "masks", "patients", "correct", "recall", "low", "high"]
    return pd.DataFrame(out, columns=names)


def shared(a: pd.DataFrame, b: pd.DataFrame) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return the rows of two classifiers on the cases they share, in one order.

    Raises:
        DataError: a classifier has a case twice (pool one recipe and one source only).
    """
    for rows in (a, b):
        if rows["case"].duplicated().any():
            case = rows.loc[rows["case"].duplicated(), "case"].iloc[0]
            msg = f"case {case}: more than one row; pool the folds of one recipe and one source"
            raise DataError(msg)
    first, second = a.set_index("case"), b.set_index("case")
    both = sorted(set(first.index) & set(second.index))
    return first.loc[both].reset_index(), second.loc[both].reset_index()


def accuracy_test(a: pd.DataFrame, b: pd.DataFrame) -> PairedTest | None:
    """Test right against wrong on shared cases, patient by patient; None without a shared case."""
    first, second = shared(a, b)
    if first.empty:
        return None
    right, other = (rows["right"].to_numpy(dtype=np.float64) for rows in (first, second))
    return paired_test(right, other, first["patient"])


def macro_difference(
    a: pd.DataFrame, b: pd.DataFrame, classes: Sequence[str], *, draws: int = DRAWS, seed: int = 0
) -> tuple[float, float, float]:
    """Macro recall of ``a`` minus that of ``b`` on shared cases, with a 95 % interval.

    The same patients are drawn for both.

    Returns:
        (difference, low, high); NaN without a shared case.
    """
    first, second = shared(a, b)
    if first.empty:
        return np.nan, np.nan, np.nan
    one, other = _by_patient(first, classes), _by_patient(second, classes)
    difference = _macro(one.sum(axis=0)[None]) - _macro(other.sum(axis=0)[None])
    drawn = _macro(_resampled(one, draws, seed)) - _macro(_resampled(other, draws, seed))
    return float(difference[0]), *_interval(drawn, len(one))


def _by_patient(rows: pd.DataFrame, classes: Sequence[str]) -> Values:
    """Return each patient's confusion counts, ``(patients, k, k + 1)``, the last column missed."""
    k = len(classes)
    unknown = set(rows["label"]) - set(classes) | set(rows["predicted"]) - {*classes, MISSED}
    if unknown:
        msg = f"class {sorted(map(str, unknown))[0]!r} is none of {', '.join(classes)}"
        raise DataError(msg)
    number = {name: at for at, name in enumerate((*classes, MISSED))}
    codes, patients = pd.factorize(rows["patient"], sort=True)
    counts = np.zeros((len(patients), k, k + 1))
    places = (codes, rows["label"].map(number), rows["predicted"].map(number))
    np.add.at(counts, places, 1)
    return counts


def _resampled(matrices: Values, draws: int, seed: int) -> Values:
    """Return the summed counts of resamples of patients, ``(draws, k, k + 1)``."""
    n = len(matrices)
    weights = np.random.default_rng(seed).multinomial(n, np.full(n, 1 / n), size=draws)
    flat = weights.astype(np.float64) @ matrices.reshape(n, -1)
    return np.asarray(flat.reshape(draws, *matrices.shape[1:]), dtype=np.float64)


def _class_recalls(matrices: Values) -> Values:
    """Return the recall of each class, ``(m, k)``; NaN for a class that a matrix does not hold."""
    k = matrices.shape[1]
    cases = matrices.sum(axis=2)
    hits = matrices[:, range(k), range(k)]
    shares = np.divide(hits, cases, out=np.full_like(hits, np.nan), where=cases > 0)
    return np.asarray(shares, dtype=np.float64)


def _macro(matrices: Values) -> Values:
    return np.asarray(np.nanmean(_class_recalls(matrices), axis=1), dtype=np.float64)


def _scores(matrices: Values) -> dict[str, Values]:
    """Return the scores of confusion matrices ``(m, k, k + 1)``, each ``(m,)``."""
    k = matrices.shape[1]
    total = matrices.sum(axis=(1, 2))
    hits, truth = matrices[:, range(k), range(k)], matrices.sum(axis=2)
    guessed = matrices.sum(axis=1)[:, :k]
    accuracy = hits.sum(axis=1) / total
    f1 = np.divide(
        2 * hits, truth + guessed, out=np.full_like(hits, np.nan), where=truth > 0
    )  # a class without a case in the resample is left out
    chance = (truth * guessed).sum(axis=1) / total**2
    kappa = np.divide(
        accuracy - chance, 1 - chance, out=np.full_like(chance, np.nan), where=chance < 1
    )
    macro_f1 = np.asarray(np.nanmean(f1, axis=1), dtype=np.float64)
    return dict(zip(SCORES, (accuracy, _macro(matrices), macro_f1, kappa), strict=True))


def _interval(drawn: Values, patients: int) -> tuple[float, float]:
    """Return the ends of the percentile interval; NaN where a single patient stands behind it."""
    if patients < 2 or np.isnan(drawn).all():
        return float("nan"), float("nan")
    low, high = np.nanpercentile(drawn, [2.5, 97.5])
    return float(low), float(high)
