"""How two ways of sorting the same cases go together: tables of counts, as subtype by shape.

Tests of association take each case as independent; :func:`cramers_v_ci` can draw patients instead.
A table with an empty row or column has no expected counts: leaving it out is the caller's to say.

Of a classifier the two ways are truth and prediction: its scores have intervals over patients, all
masks of a patient going together. A patient's matrix has a last column for masks of which nothing
was left to classify: they count as wrong.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Final

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike
from scipy import optimize, stats

from mammostudy.errors import DataError
from mammostudy.evaluation import statistics
from mammostudy.evaluation.statistics import Times, Values

Table = ArrayLike | pd.DataFrame
MISSED: Final = "none"
_DRAWS: Final = 5_000


def fisher_monte_carlo(table: Table, draws: int = 9_999, seed: int = 0) -> float:
    """Two-sided p of Fisher's test: exact for 2 x 2, else by random tables of the same margins."""
    counts = np.asarray(table, dtype=np.int64)
    if counts.shape == (2, 2):
        return float(stats.fisher_exact(counts).pvalue)
    method = stats.MonteCarloMethod(n_resamples=draws, rng=np.random.default_rng(seed))
    p = np.asarray(stats.fisher_exact(counts, method=method).pvalue)
    return float(p.item())  # of few cases SciPy gives the number as an array of one


def cramers_v(table: Table, corrected: bool = False) -> float:
    """Cramer's V: 0 without association, 1 where one side decides the other.

    Args:
        table: counts ``(r, c)``; expected counts need not be whole.
        corrected: Bergsma's correction (2013) of the bias: the plain V of independent cases is
            about ``sqrt((r - 1) (c - 1) / (n min(r - 1, c - 1)))``, not 0.

    Returns:
        V in [0, 1].

    Raises:
        DataError: fewer than two rows or columns, a count that is negative or missing, or an
            empty row or column.

    Source: Cramer 1946; as ``scipy.stats.contingency.association`` where not corrected.
    """
    counts = np.asarray(table, dtype=np.float64)
    whole = counts.ndim == 2 and min(counts.shape) > 1 and (counts >= 0).all()
    if not (whole and counts.any(axis=1).all() and counts.any(axis=0).all()):
        msg = f"table {counts.tolist()}: two rows and columns or more needed, none of them empty, "
        msg += "and counts that are neither negative nor missing"
        raise DataError(msg)
    return float(v_of_tables(counts[None], corrected)[0])


def v_of_tables(tables: Values, corrected: bool = False) -> Values:
    """Cramer's V of tables ``(b, r, c)`` without their empty lines; 0 where nothing is left."""
    rows, columns = tables.sum(axis=2), tables.sum(axis=1)
    total = np.maximum(rows.sum(axis=1), 1e-300)
    product = rows[:, :, None] * columns[:, None, :]
    shares = np.divide(tables**2, product, out=np.zeros(tables.shape), where=product > 0)
    phi2 = np.maximum(shares.sum(axis=(1, 2)) - 1, 0)
    r, c = (rows > 0).sum(axis=1).astype(np.float64), (columns > 0).sum(axis=1).astype(np.float64)
    if corrected:
        left = np.maximum(total - 1, 1e-300)
        phi2 = np.maximum(phi2 - (r - 1) * (c - 1) / left, 0)
        r, c = r - (r - 1) ** 2 / left, c - (c - 1) ** 2 / left
    room = np.minimum(r, c) - 1
    squared = np.divide(phi2, room, out=np.zeros_like(phi2), where=room > 1e-12)
    return np.asarray(np.sqrt(np.clip(squared, 0, 1)), dtype=np.float64)


def cramers_v_ci(table: Table, *, corrected: bool = False) -> tuple[float, float]:
    """95 % bootstrap interval of Cramer's V over the cases of a table of whole counts.

    V cannot be negative and resampling adds chance association: the interval never reaches 0 and
    sits high for small n. It says how large V may be; whether there is any is the test's answer.
    """
    counts = np.asarray(table, dtype=np.int64)
    cell = np.arange(counts.size).repeat(counts.ravel())
    by_text = np.argsort(np.arange(len(cell)).astype(str))  # the order that is on record
    cases = np.eye(counts.size)[cell[by_text]].reshape(-1, *counts.shape)

    def v(times: Times) -> Values:
        return v_of_tables(np.tensordot(times.astype(np.float64), cases, axes=1), corrected)

    return statistics.limits(statistics.resample(v, len(cases), 2_000, 0, multinomial=True))


def chi_square_power(v: float, shape: tuple[int, int], cases: int, alpha: float = 0.05) -> float:
    """Chance that the chi-square test finds a V (Cohen 1988, ``w = V sqrt(min(r, c) - 1)``)."""
    degrees = (shape[0] - 1) * (shape[1] - 1)
    noncentrality = cases * v**2 * (min(shape) - 1)
    return float(stats.ncx2.sf(stats.chi2.ppf(1 - alpha, degrees), degrees, noncentrality))


def smallest_detectable_v(shape: tuple[int, int], cases: int, power: float = 0.80) -> float:
    """The smallest V that the chi-square test finds with this power at 5 %; infinity for none."""
    if chi_square_power(1.0, shape, cases) < power:
        return math.inf
    return float(optimize.brentq(lambda v: chi_square_power(v, shape, cases) - power, 0.0, 1.0))


def errors_left(table: pd.DataFrame, confusions: Mapping[str, pd.DataFrame]) -> pd.DataFrame:
    """V of a table of counts, and the test's power, where a classifier tells its columns.

    Its errors are those of a confusion matrix (truth, told), whatever the row; others are left out.
    """
    names, cases, lines = list(table.columns), int(table.to_numpy().sum()), []
    told = {"nobody errs": pd.DataFrame(np.eye(len(names)), names, names), **confusions}
    for name, matrix in told.items():
        if set(matrix.index) == set(names):
            shares = matrix.loc[names, names].div(matrix.sum(axis=1)[names], axis=0)
            v = float(v_of_tables((table.to_numpy() @ shares.to_numpy())[None])[0])
            lines.append((name, v, chi_square_power(v, table.shape, cases)))
    return pd.DataFrame(lines, columns=["shapes told by", "V", "power"])


def between_views(rows: pd.DataFrame, masses: pd.DataFrame) -> pd.DataFrame:
    """How often both views of a mass are called one shape, and labelled so, by ``row``.

    Only breasts with exactly one mass in each of CC and MLO tell that both show the same one.
    """
    breast = ["patient", "side"]
    alone = masses.groupby(breast).filter(lambda one: sorted(one["view"]) == ["CC", "MLO"])
    shown = rows.merge(alone[["side"]], left_on="case", right_index=True)
    both = shown.groupby(["row", *breast], sort=False)[["case", "label", "predicted"]].nunique()
    same = both[both["case"] == 2][["label", "predicted"]] == 1
    return same.groupby("row", sort=False).mean().assign(breasts=same.groupby("row").size())


def null_redraws(columns: ArrayLike, margin: ArrayLike) -> pd.DataFrame:
    """Draw the rows of a table's cases anew without regard to their column: ``v`` and its ``p``.

    The number of cases of each column ``(c,)`` stays; the rows are drawn by their shares ``(r,)``.
    Lines that a redraw leaves empty are left out of its test; where too little is left, p is 1.
    """
    cases, weights = np.asarray(columns, dtype=np.int64), np.asarray(margin, dtype=np.float64)
    rng = np.random.default_rng(0)
    rows = [rng.multinomial(n, weights / weights.sum(), 1_000) for n in cases]
    drawn = np.stack(rows, axis=2).astype(np.float64)
    v = v_of_tables(drawn)
    r, c = ((drawn.sum(axis=axis) > 0).sum(axis=1) for axis in (2, 1))
    degrees, statistic = (r - 1) * (c - 1), v**2 * cases.sum() * (np.minimum(r, c) - 1)
    p = np.where(degrees > 0, stats.chi2.sf(statistic, np.maximum(degrees, 1)), 1.0)
    return pd.DataFrame({"v": v, "p": p})


def share_difference(first: tuple[int, int], second: tuple[int, int]) -> dict[str, float]:
    """Compare a share between two groups of independent cases, (hits, cases) each.

    The interval is of a bootstrap over all cases; p is the chance of all ways of dealing the hits
    among the cases whose difference is at least as large.
    """
    (a, n), (b, m) = first, second
    total, pooled = n + m, (a + b) / (n + m)
    chances = np.array([a, n - a, b, m - b]) / total
    drawn = np.random.default_rng(0).multinomial(total, chances, 10_000)
    sizes = drawn[:, :2].sum(axis=1), drawn[:, 2:].sum(axis=1)
    whole = (sizes[0] > 0) & (sizes[1] > 0)
    low, high = statistics.limits(
        drawn[whole, 0] / sizes[0][whole] - drawn[whole, 2] / sizes[1][whole]
    )
    hits = np.arange(max(0, a + b - m), min(n, a + b) + 1)
    as_large = np.abs(hits / n - (a + b - hits) / m) >= abs(a / n - b / m) - 1e-12
    p = min(1.0, float(stats.hypergeom.pmf(hits, total, a + b, n)[as_large].sum()))
    error = math.sqrt(pooled * (1 - pooled) * (1 / n + 1 / m))
    ends = {"difference": a / n - b / m, "low": low, "high": high}
    return ends | {"p": p, "smallest_detectable": statistics.smallest_detectable(error)}


def patient_confusions(rows: pd.DataFrame, classes: Sequence[str]) -> Values:
    """Count truth against prediction in each patient, ordered by name: ``(patients, k, k + 1)``.

    Rows are masks: patient, label, predicted (a class, or ``none`` where missed: last column).
    """
    names = (*classes, MISSED)
    if unknown := (set(rows["label"]) - set(classes)) | (set(rows["predicted"]) - set(names)):
        msg = f"class {sorted(map(str, unknown))[0]!r} is none of {', '.join(classes)}"
        raise DataError(msg)
    number = {name: at for at, name in enumerate(names)}
    codes, patients = pd.factorize(rows["patient"], sort=True)
    counts = np.zeros((len(patients), len(classes), len(names)))
    np.add.at(counts, (codes, rows["label"].map(number), rows["predicted"].map(number)), 1)
    return counts


def confusion_intervals(counts: Values) -> dict[str, tuple[float, float, float]]:
    """Score confusion matrices of patients: (value, low, high), 95 % intervals over patients.

    Accuracy, macro recall, macro F1 and kappa, then ``recall k`` of each class by its number; macro
    scores are means over the classes that a resample holds. Missing: the recall of a class without
    a mask, and the ends where a single patient stands behind a score.
    """
    value, drawn = _scores(counts.sum(axis=0)[None]), _scores(_resampled(counts))
    behind = dict.fromkeys(value, len(counts))
    behind |= {f"recall {k}": int(n) for k, n in enumerate(counts.any(axis=2).sum(axis=0))}
    return {name: (float(value[name][0]), *_interval(drawn[name], behind[name])) for name in value}


def macro_recall_test(a: Values, b: Values) -> dict[str, float]:
    """Compare the macro recalls of two classifiers of the same masks, ``a`` minus ``b``.

    The same patients are drawn for both; p is of swapping whole patients' predictions at random.
    """
    gap = _macro(a.sum(axis=0)[None]) - _macro(b.sum(axis=0)[None])
    drawn = _macro(_resampled(a)) - _macro(_resampled(b))
    low, high = _interval(drawn, len(a))
    swap = np.random.default_rng(0).integers(0, 2, (_DRAWS, len(a))).astype(np.float64)
    first = np.tensordot(swap, a, 1) + np.tensordot(1 - swap, b, 1)
    chance = _macro(first) - _macro((a + b).sum(axis=0) - first)
    as_large = int((np.abs(chance) >= abs(gap[0]) - 1e-12).sum())
    ends = {"difference": float(gap[0]), "low": low, "high": high}
    detectable = statistics.smallest_detectable(float(drawn.std()))
    return ends | {"p": (1 + as_large) / (1 + _DRAWS), "smallest_detectable": detectable}


def _resampled(counts: Values) -> Values:
    """The summed counts of resamples of patients, ``(draws, k, k + 1)``."""

    def summed(times: Times) -> Values:
        return np.tensordot(times.astype(np.float64), counts, axes=1)

    return statistics.resample(summed, len(counts), _DRAWS, 0, multinomial=True)


def _recalls(matrices: Values) -> Values:
    """The recall of each class, ``(m, k)``; missing for a class that is not there."""
    return statistics.quotients(np.diagonal(matrices, axis1=1, axis2=2), matrices.sum(axis=2))


def _macro(matrices: Values) -> Values:
    return np.asarray(np.nanmean(_recalls(matrices), axis=1), dtype=np.float64)


def _scores(matrices: Values) -> dict[str, Values]:
    """The scores of confusion matrices ``(m, k, k + 1)``, each ``(m,)``."""
    k, total = matrices.shape[1], matrices.sum(axis=(1, 2))
    hits, truth = np.diagonal(matrices, axis1=1, axis2=2), matrices.sum(axis=2)
    guessed, recalls = matrices.sum(axis=1)[:, :k], _recalls(matrices)
    f1 = np.where(truth > 0, statistics.quotients(2 * hits, truth + guessed), np.nan)
    accuracy, chance = hits.sum(axis=1) / total, (truth * guessed).sum(axis=1) / total**2
    found = {
        "accuracy": accuracy,
        "macro recall": np.nanmean(recalls, axis=1),
        "macro F1": np.nanmean(f1, axis=1),
        "kappa": statistics.quotients(accuracy - chance, 1 - chance),
    }
    return found | {f"recall {at}": recalls[:, at] for at in range(k)}


def _interval(drawn: Values, patients: int) -> tuple[float, float]:
    """The ends of the percentile interval; missing where a single patient stands behind."""
    if patients < 2 or np.isnan(drawn).all():
        return float("nan"), float("nan")
    low, high = np.nanpercentile(drawn, [2.5, 97.5])
    return float(low), float(high)
