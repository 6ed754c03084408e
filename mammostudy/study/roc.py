"""ROC curves of the shapes, and whether the probabilities behind them mean what they say.

The curves are of the classifiers' own probabilities (temperature 1), as a softmax gives them.
``rows`` are those of :func:`mammostudy.study.shapes.tested`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any, Final

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import stats

from mammostudy.errors import DataError
from mammostudy.evaluation import classification as scored
from mammostudy.evaluation.classification import Roc
from mammostudy.evaluation.statistics import Values, bootstrap_ci, smallest_detectable
from mammostudy.runs.kinds import ShapeSpec
from mammostudy.study.comparing import Runs, every_run, unsettled
from mammostudy.study.shape_recipes import FOREST, PAPER, STUDY, rows_of
from mammostudy.study.shapes import compare_shared

MACRO: Final = "macro"
MICRO: Final = "micro"
SHARES: Final = "training shares, no mask seen"
KINDS: Final = {"raw": "before", "p": "after"}
BINS: Final = (10, 15)
Classes = Sequence[str]


def grid(cohort: str, preset: str) -> dict[tuple[str, str], list[ShapeSpec]]:
    """Return the runs of the page by group and row: both networks and the forest on features."""
    named = rows_of(cohort, preset, "classifier")
    return {("classifier", row): named[row] for row in (PAPER, STUDY, FOREST) if row in named}


specs = every_run(grid)


def arrays(
    rows: pd.DataFrame, classes: Classes, kind: str = "raw"
) -> tuple[NDArray[np.int64], Values]:
    """Return class numbers ``(n,)`` and probabilities ``(n, k)``, ``raw`` or calibrated (``p``)."""
    labels = pd.Index(classes).get_indexer(pd.Index(rows["label"]))
    scores = rows[[f"{kind}_{name}" for name in classes]].to_numpy(dtype=np.float64)
    return labels.astype(np.int64), scores


def rocs(rows: pd.DataFrame, classes: Classes) -> dict[str, Roc]:
    """Return the curves of one classifier: of each class against the rest, then macro and micro.

    A class without a case has no curve, and without the curves of all classes there is no macro
    curve: a mean over fewer classes is another quantity. The micro curve, of all decisions (mask,
    class) together, exists always.
    """
    each = {name: _separated(rows, classes, name) for name in classes}
    found = {n: scored.binary_roc(*one) for n, one in each.items() if len(set(one[0])) > 1}
    if len(found) == len(classes):
        found[MACRO] = scored.mean_roc(list(found.values()))
    return found | {MICRO: scored.binary_roc(*_separated(rows, classes, MICRO))}


def curves(rows: pd.DataFrame, classes: Classes) -> pd.DataFrame:
    """Return the points of the curves of every classifier: row, curve, rates and area."""
    parts = [
        pd.DataFrame(vars(each)).assign(row=row, curve=name)
        for row, part in rows.groupby("row", sort=False)
        for name, each in rocs(part, classes).items()
    ]
    return pd.concat(parts, ignore_index=True)


def fold_areas(rows: pd.DataFrame, classes: Classes) -> pd.DataFrame:
    """Return the AUC of every curve in every fold: row, curve, a column a fold, mean, SD, folds."""
    lines = [
        {"row": row, "curve": name, "fold": f"fold {int(str(fold)) + 1}", "auc": curve.auc}
        for (row, fold), part in rows.groupby(["row", "fold"], sort=False)
        for name, curve in rocs(part, classes).items()
    ]
    table = pd.DataFrame(lines, columns=["row", "curve", "fold", "auc"])
    wide = table.pivot_table(index=["row", "curve"], columns="fold", values="auc", sort=False)
    more = {"mean": wide.mean(axis=1), "SD": wide.std(axis=1), "folds": wide.count(axis=1)}
    return wide.assign(**more).reset_index()


def areas(rows: pd.DataFrame, classes: Classes) -> pd.DataFrame:
    """Summarise the AUC of every curve, with the interval over patients and DeLong's.

    Masses and patients are those of the class. DeLong's interval exists for one class against the
    rest only: the entries of the micro curve are not independent, and the macro area is a mean.
    """
    lines = []
    for row, part in rows.groupby("row", sort=False):
        settled = "no" if unsettled(part, "row") else "yes"
        for name, curve in rocs(part, classes).items():
            own = part[part["label"] == name] if name in classes else part
            truth, scores = _separated(part, classes, name)
            patients = np.repeat(part["patient"].to_numpy(), len(truth) // len(part))
            ends = {"over patients": _ends(scored.auc_difference_ci, truth, scores, None, patients)}
            if name in classes:
                ends["DeLong"] = _ends(scored.auc_ci, truth, scores)
            counts = len(own), own["patient"].nunique(), part["fold"].nunique()
            for metric, (low, high) in ends.items():
                said = (row, name, metric, curve.auc, low, high, np.nan)
                lines.append((*said, *counts, settled))
    names = "row curve metric mean low high training_sd masses patients trainings converged"
    return pd.DataFrame(lines, columns=names.split())


def _separated(rows: pd.DataFrame, classes: Classes, curve: str) -> tuple[Any, Values]:
    """Return what a curve separates, and by which scores."""
    labels, scores = arrays(rows, classes)
    if curve == MACRO:
        return labels, scores
    if curve == MICRO:
        return (labels[:, None] == np.arange(len(classes))).ravel(), scores.ravel()
    number = list(classes).index(curve)
    return labels == number, scores[:, number]


def _ends(interval: Callable[..., tuple[float, ...]], *given: Any) -> tuple[float, float]:
    """Return the ends of an interval; none where a class comes from one patient or mask."""
    try:
        low, high = interval(*given)[-2:]
    except DataError:
        return float("nan"), float("nan")
    return low, high


def compare_areas(rows: pd.DataFrame, classes: Classes) -> pd.DataFrame:
    """Set the macro AUC of the others against the paper's network's, on the masks they share.

    P is the normal approximation from the interval over patients.
    """

    def test(a: pd.DataFrame, b: pd.DataFrame) -> dict[str, float]:
        (truth, mine), (_, theirs) = arrays(a, classes), arrays(b, classes)
        try:
            gap, low, high = scored.auc_difference_ci(truth, mine, theirs, a["patient"])
        except DataError:  # a class of one patient
            return {}
        error = (high - low) / (2 * float(stats.norm.ppf(0.975)))
        p = 2 * float(stats.norm.sf(abs(gap) / error)) if error > 0 else 1.0
        ends = {"difference": gap, "low": low, "high": high, "p": p}
        return ends | {"smallest_detectable": smallest_detectable(error)}

    pairs = [(other, PAPER) for other in rows["row"].unique()]
    return compare_shared(rows, pairs, "macro AUC", test)


def _forecasts(rows: pd.DataFrame, classes: Classes) -> Iterator[tuple[dict[str, Any], Any]]:
    """Give every classifier before and after scaling: its names; rows, labels, probabilities."""
    for row, part in rows.groupby("row", sort=False):
        for kind, scaling in KINDS.items():
            yield {"row": row, "scaling": scaling}, (part, *arrays(part, classes, kind))


def calibration(rows: pd.DataFrame, runs: Runs, classes: Classes) -> pd.DataFrame:
    """Return Brier score and calibration error of every classifier before and after scaling.

    The last row is the forecast that looks at no mask: the class shares of each fold's training
    masks, for the cases of the first classifier.

    ``by chance`` are mean and 95th percentile of the error, in the first number of bins, of labels
    drawn from these very probabilities.
    """
    every = list(_forecasts(rows, classes))
    for named, (part, labels, _) in every[:1]:
        trained = {
            record.spec.split.fold: [record.content["classes_trained"].get(n, 0) for n in classes]
            for record in runs.of("classifier", named["row"])
        }
        shares = np.array([np.divide(trained[fold], sum(trained[fold])) for fold in part["fold"]])
        every.append(({"row": SHARES, "scaling": "none"}, (part, labels, shares)))
    lines = []
    for named, (part, labels, scores) in every:
        errors = ((scores - np.eye(len(classes))[labels]) ** 2).sum(axis=1)
        low, high = bootstrap_ci(errors, part["patient"])
        chance = scored.calibration_errors_by_chance(scores, BINS[0])
        line = named | {"masses": len(labels), "patients": part["patient"].nunique()}
        line |= {"Brier": errors.mean(), "low": low, "high": high}
        line |= {
            f"ECE, {n} bins": scored.expected_calibration_error(scores, labels, n) for n in BINS
        }
        if named["scaling"] == "after":
            fitted = [record.temperature for record in runs.of("classifier", named["row"])]
            line["mean temperature"] = np.mean(fitted)
        line |= {"by chance": chance.mean(), "by chance, 95 %": np.percentile(chance, 95)}
        lines.append(line)
    return pd.DataFrame(lines)


def reliability(rows: pd.DataFrame, classes: Classes) -> pd.DataFrame:
    """Return confidence against accuracy in bins, by row and scaling."""
    parts = [
        scored.reliability_table(scores, labels, BINS[0]).assign(**named)
        for named, (_, labels, scores) in _forecasts(rows, classes)
    ]
    return pd.concat(parts or [pd.DataFrame(columns=["row"])], ignore_index=True)
