"""Whether the shape probabilities mean what they say, before and after temperature scaling."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from mammostudy.evaluation.classification import (
    COOLEST,
    HOTTEST,
    brier_score,
    expected_calibration_error,
    reliability_table,
)
from mammostudy.evaluation.statistics import bootstrap_ci
from mammostudy.runs.record import Record
from mammostudy.study.roc import Tables, arrays

BINS: Final = 10
BIN_COUNTS: Final = (5, 10, 15, 20)
KINDS: Final = {"raw": "before", "p": "after"}
SHARES: Final = "training shares"
_SIMULATED: Final = 300
Values = NDArray[np.float64]


def temperatures(found: Mapping[str, Sequence[Record]]) -> pd.DataFrame:
    """Return the temperature that each fold's validation masks gave.

    Returns:
        Columns model, fold, masks (of validation, with which it was fitted), temperature.
    """
    out = []
    for model, listed in found.items():
        for record in listed:
            cases, first = record.cases, record.spec.evaluation.sources[0]
            fitted = (cases["part"] == "validation") & (cases["source"] == first)
            fold = record.spec.split.fold
            out.append((model, fold, int(fitted.sum()), record.temperature))
    return pd.DataFrame(out, columns=["model", "fold", "masks", "temperature"])


def at_an_end(temperature: float) -> bool:
    """Whether a temperature is an end of what was searched: then no minimum was found."""
    return not COOLEST * 1.01 < temperature < HOTTEST / 1.01


def calibration_table(
    tables: Tables, found: Mapping[str, Sequence[Record]], classes: Sequence[str]
) -> pd.DataFrame:
    """Return Brier score and calibration error of every row before and after scaling.

    The last row is the forecast that looks at no mask: the class shares of each fold's training
    masks, for the cases of the first row.

    Returns:
        Columns model, scaling (``before``, ``after``; ``none`` for the shares), cases, patients,
        brier, low, high (bootstrap over patients), ece (in :data:`BINS` bins), by_chance (mean
        calibration error of labels drawn from these very probabilities), by_chance_high (its
        95th percentile).
    """
    out = []
    for model, table in tables.items():
        for kind, scaling in KINDS.items():
            labels, scores = arrays(table, classes, kind)
            out.append((model, scaling, *_scored(labels, scores, table["patient"])))
    for model in list(tables)[:1]:
        labels, _ = arrays(tables[model], classes)
        shares = training_shares(tables[model], found[model], classes)
        out.append((SHARES, "none", *_scored(labels, shares, tables[model]["patient"])))
    return pd.DataFrame(out, columns=list(_COLUMNS))


_COLUMNS: Final = (
    *("model", "scaling", "cases", "patients", "brier", "low", "high"),
    *("ece", "by_chance", "by_chance_high"),
)


def _scored(labels: NDArray[np.int64], scores: Values, patients: pd.Series) -> tuple[object, ...]:
    """Return what stands in a row of :func:`calibration_table` after its names."""
    errors = ((scores - np.eye(scores.shape[1])[labels]) ** 2).sum(axis=1)
    single = patients.nunique() < 2
    low, high = (float("nan"),) * 2 if single else bootstrap_ci(errors, patients)
    chance = errors_by_chance(scores)
    return (
        *(len(labels), patients.nunique(), brier_score(scores, labels), low, high),
        expected_calibration_error(scores, labels, BINS),
        *(float(chance.mean()), float(np.percentile(chance, 95))),
    )


def errors_by_chance(scores: Values, draws: int = _SIMULATED, seed: int = 0) -> Values:
    """Calibration errors of labels drawn from the probabilities themselves.

    That is what a perfectly calibrated forecast of so many cases scores by chance; cases are
    drawn as independent.

    Args:
        scores: probabilities ``(n, k)``.
        draws: how many sets of labels.
        seed: of the drawing.

    Returns:
        float64 ``(draws,)``.

    Source: consistency resampling, Broecker and Smith 2007.
    """
    rng = np.random.default_rng(seed)
    edges = np.cumsum(scores, axis=1)
    edges[:, -1] = 1.0
    found = np.empty(draws)
    for draw in range(draws):
        labels = (rng.random((len(scores), 1)) > edges).sum(axis=1)
        found[draw] = expected_calibration_error(scores, labels, BINS)
    return found


def training_shares(
    table: pd.DataFrame, listed: Sequence[Record], classes: Sequence[str]
) -> Values:
    """Return, for each row, the class shares of the masks its fold was trained on, ``(n, k)``."""
    shares = {}
    for record in listed:
        counts = record.content["classes_trained"]
        numbers = np.array([counts.get(name, 0) for name in classes], dtype=np.float64)
        shares[record.spec.split.fold] = numbers / numbers.sum()
    return np.stack([shares[fold] for fold in table["fold"]])


def reliability(tables: Tables, classes: Sequence[str], bins: int = BINS) -> pd.DataFrame:
    """Return confidence against accuracy before and after scaling.

    Returns:
        Columns model, scaling, and those of
        :func:`~mammostudy.evaluation.calibration.reliability_table` (whose intervals are Wilson's
        over cases).
    """
    parts = []
    for model, table in tables.items():
        for kind, scaling in KINDS.items():
            labels, scores = arrays(table, classes, kind)
            part = reliability_table(scores, labels, bins)
            parts.append(part.assign(model=model, scaling=scaling))
    columns = ["model", "scaling", "low", "high", "cases", "confidence", "accuracy"]
    return pd.concat(parts, ignore_index=True) if parts else pd.DataFrame(columns=columns)


def errors_by_bins(tables: Tables, classes: Sequence[str]) -> pd.DataFrame:
    """Return the calibration error for several numbers of bins: model, scaling, then the bins."""
    out = []
    for model, table in tables.items():
        for kind, scaling in KINDS.items():
            labels, scores = arrays(table, classes, kind)
            found = [expected_calibration_error(scores, labels, bins) for bins in BIN_COUNTS]
            out.append((model, scaling, *found))
    return pd.DataFrame(out, columns=["model", "scaling", *(f"{b} bins" for b in BIN_COUNTS)])
