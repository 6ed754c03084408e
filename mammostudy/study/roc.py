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
from mammostudy.evaluation.classification import (
    MeanRoc,
    Roc,
    auc_bootstrap_ci,
    auc_ci,
    auc_difference_ci,
    binary_roc,
    brier_score,
    calibration_errors_by_chance,
    delong_test,
    expected_calibration_error,
    mean_roc,
    micro_roc,
    reliability_table,
)
from mammostudy.evaluation.statistics import Values, bootstrap_ci, smallest_detectable
from mammostudy.runs.kinds import ShapeSpec
from mammostudy.study import published
from mammostudy.study.comparing import Runs, judge, unsettled
from mammostudy.study.shape_recipes import FOREST, PAPER, STUDY, rows_of
from mammostudy.study.shapes import shared

MACRO: Final = "macro"
MICRO: Final = "micro"
SHARES: Final = "training shares, no mask seen"
KINDS: Final = {"raw": "before", "p": "after"}
BINS: Final = (10, 5, 15, 20)
MARGIN: Final = 0.05
Curve = Roc | MeanRoc
Classes = Sequence[str]


def grid(cohort: str, preset: str) -> dict[tuple[str, str], list[ShapeSpec]]:
    """Return the runs of the page by group and row: both networks and the forest on features."""
    named = rows_of(cohort, preset, "classifier")
    return {("classifier", row): named[row] for row in (PAPER, STUDY, FOREST) if row in named}


def specs(cohort: str, preset: str) -> list[ShapeSpec]:
    """Return every run that the page shows."""
    return [spec for runs in grid(cohort, preset).values() for spec in runs]


def arrays(
    rows: pd.DataFrame, classes: Classes, kind: str = "raw"
) -> tuple[NDArray[np.int64], Values]:
    """Return class numbers ``(n,)`` and probabilities ``(n, k)``, ``raw`` or calibrated (``p``)."""
    labels = pd.Index(classes).get_indexer(pd.Index(rows["label"]))
    scores = rows[[f"{kind}_{name}" for name in classes]].to_numpy(dtype=np.float64)
    return labels.astype(np.int64), scores


def rocs(rows: pd.DataFrame, classes: Classes) -> dict[str, Curve]:
    """Return the curves of one classifier: of each class against the rest, then macro and micro.

    A class without a case has no curve, and without the curves of all classes there is no macro
    curve: a mean over fewer classes is another quantity. The micro curve exists always.
    """
    labels, scores = arrays(rows, classes)
    found: dict[str, Curve] = {}
    for number, name in enumerate(classes):
        hits = labels == number
        if hits.any() and not hits.all():
            found[name] = binary_roc(hits, scores[:, number])
    if len(found) == len(classes):
        found[MACRO] = mean_roc(list(found.values()))
    return found | {MICRO: micro_roc(labels, scores)}


def curves(rows: pd.DataFrame, classes: Classes, by: str = "row") -> pd.DataFrame:
    """Return the points of the curves of some groups: the group, curve, rates and area."""
    parts = [pd.DataFrame(columns=[by, "curve"])]
    for group, part in rows.groupby(by, sort=False):
        named: dict[str, Any] = {by: group}
        found = rocs(part, classes).items()
        parts += [pd.DataFrame(vars(each)).assign(curve=name, **named) for name, each in found]
    return pd.concat(parts[1:] or parts, ignore_index=True)


def mean_curves(rows: pd.DataFrame, classes: Classes) -> pd.DataFrame:
    """Return the mean over the folds of every curve of one classifier.

    A fold without a case of a class is left out of that class's mean and of the macro mean.

    Returns:
        Columns curve, both rates, low and high (one standard deviation), auc, auc_sd, and how many
        curves there were.
    """
    by_fold = [rocs(part, classes) for _, part in rows.groupby("fold")]
    parts = [pd.DataFrame(columns=["curve"])]
    for name in (*classes, MACRO, MICRO):
        if single := [found[name] for found in by_fold if name in found]:
            parts.append(pd.DataFrame(vars(mean_roc(single))).assign(curve=name))
    return pd.concat(parts[1:] or parts, ignore_index=True)


def fold_areas(rows: pd.DataFrame, classes: Classes) -> pd.DataFrame:
    """Return the AUC of every curve in every fold: row, curve, a column a fold, mean, SD, folds."""
    lines = [
        {"row": row, "curve": name, "fold": f"fold {int(str(fold)) + 1}", "auc": curve.auc}
        for (row, fold), part in rows.groupby(["row", "fold"], sort=False)
        for name, curve in rocs(part, classes).items()
    ]
    table = pd.DataFrame(lines, columns=["row", "curve", "fold", "auc"])
    wide = table.pivot_table(index=["row", "curve"], columns="fold", values="auc", sort=False)
    by = table.groupby(["row", "curve"], sort=False)["auc"]
    return wide.join(by.agg(mean="mean", SD="std", folds="count")).reset_index()


def areas(rows: pd.DataFrame, classes: Classes) -> pd.DataFrame:
    """Return the AUC of every curve with the interval over patients and DeLong's.

    Returns:
        A row a row, curve and metric (``over patients``, ``DeLong``) with the columns of
        :func:`mammostudy.study.comparing.summarise`; masses and patients are those of the class.
        DeLong's exists for one class against the rest only: the entries of the micro curve are not
        independent, and the macro area is a mean.
    """
    lines = []
    for row, part in rows.groupby("row", sort=False):
        loose = bool(unsettled(part, "row"))
        for name, curve in rocs(part, classes).items():
            own = part[part["label"] == name] if name in classes else part
            truth, scores = _separated(part, classes, name)
            patients = np.repeat(part["patient"].to_numpy(), len(truth) // len(part))
            ends = {"over patients": _ends(auc_bootstrap_ci, truth, scores, patients)}
            if name in classes:
                ends["DeLong"] = _ends(auc_ci, truth, scores)
            counts = len(own), own["patient"].nunique(), part["fold"].nunique()
            for metric, (low, high) in ends.items():
                said = (row, name, metric, curve.auc, low, high, np.nan, *counts)
                lines.append((*said, "no" if loose else "yes"))
    return pd.DataFrame(lines, columns=list(_AREAS))


_AREAS: Final = (
    "row", "curve", "metric", "mean", "low", "high", "seed_sd", "masses", "patients", "trainings",
    "converged",
)  # fmt: skip


def _separated(rows: pd.DataFrame, classes: Classes, curve: str) -> tuple[Any, Values]:
    """Return what a curve separates, and by which scores."""
    labels, scores = arrays(rows, classes)
    if curve == MACRO:
        return labels, scores
    if curve == MICRO:
        return (labels[:, None] == np.arange(len(classes))).ravel(), scores.ravel()
    number = list(classes).index(curve)
    return labels == number, scores[:, number]


def _ends(interval: Callable[..., tuple[float, float]], *given: Any) -> tuple[float, float]:
    """Return the ends of an interval; none where a class comes from one patient or mask."""
    try:
        return interval(*given)
    except DataError:
        return float("nan"), float("nan")


def compare_areas(rows: pd.DataFrame, classes: Classes) -> pd.DataFrame:
    """Set the AUC of the other classifiers against the paper's network, on the masks they share.

    Returns:
        Of :func:`mammostudy.study.comparing.judge`, intervals over patients: first the macro areas
        (p by the normal approximation from the interval), then each class (p by DeLong's test,
        which takes masks as independent), two families. A class of one patient is left out.
    """
    families: dict[bool, list[dict[str, Any]]] = {True: [], False: []}
    for other in rows["row"].unique():
        a, b = shared(rows, other, PAPER)
        for curve in (*classes, MACRO) if len(a) else ():
            try:
                line = _area_line(a, b, classes, curve)
            except DataError:
                continue
            families[curve == MACRO].append({"a": f"{curve}: {other}", "b": PAPER} | line)
    judged = bool(rows["judged"].all())
    tables = [judge(lines, MARGIN, judged=judged) for lines in families.values() if lines]
    return pd.concat(tables, ignore_index=True) if tables else judge([])


def _area_line(a: pd.DataFrame, b: pd.DataFrame, classes: Classes, curve: str) -> dict[str, Any]:
    truth, mine = _separated(a, classes, curve)
    _, theirs = _separated(b, classes, curve)
    gap, low, high = auc_difference_ci(truth, mine, theirs, a["patient"].to_numpy())
    error = (high - low) / (2 * float(stats.norm.ppf(0.975)))
    normal = 2 * float(stats.norm.sf(abs(gap) / error)) if error > 0 else 1.0
    return {
        **{"metric": "AUC", "difference": gap, "low": low, "high": high, "masses": len(a)},
        "p": normal if curve == MACRO else delong_test(truth, mine, theirs),
        "patients": a["patient"].nunique(),
        "trainings": a["fold"].nunique(),
        "smallest_detectable": smallest_detectable(error),
        "unsettled": ", ".join(unsettled(pd.concat([a, b]), "row")),
    }


def temperatures(runs: Runs) -> pd.DataFrame:
    """Return the temperature that each fold's validation masks gave: a row a row, a column a fold.

    An end of what was searched (0.01 or 100) says that no minimum was found.
    """
    return pd.DataFrame(
        {"row": row} | {f"fold {r.spec.split.fold + 1}": r.temperature for r in listed}
        for (_, row), listed in runs.found.items()
    )


def _forecasts(rows: pd.DataFrame, classes: Classes) -> Iterator[tuple[dict[str, Any], Any]]:
    """Give every classifier before and after scaling: its names; rows, labels, probabilities."""
    for row, part in rows.groupby("row", sort=False):
        for kind, scaling in KINDS.items():
            yield {"row": row, "scaling": scaling}, (part, *arrays(part, classes, kind))


def calibration(rows: pd.DataFrame, runs: Runs, classes: Classes) -> pd.DataFrame:
    """Return Brier score and calibration error of every classifier before and after scaling.

    The last row is the forecast that looks at no mask: the class shares of each fold's training
    masks, for the cases of the first classifier.

    Returns:
        Columns row, scaling, masses, patients, brier, low, high (bootstrap over patients), ``ECE``
        for each number of :data:`BINS`, and mean and 95th percentile of the ECE in the first
        number of bins of labels drawn from these very probabilities.
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
        chance = calibration_errors_by_chance(scores, BINS[0])
        lines.append(
            named
            | {"masses": len(labels), "patients": part["patient"].nunique()}
            | {"Brier": brier_score(scores, labels), "low": low, "high": high}
            | {f"ECE, {n} bins": expected_calibration_error(scores, labels, n) for n in BINS}
            | {"by chance": chance.mean(), "by chance, 95 %": np.percentile(chance, 95)}
        )
    return pd.DataFrame(lines)


def reliability(rows: pd.DataFrame, classes: Classes) -> pd.DataFrame:
    """Return confidence against accuracy in bins, by row and scaling."""
    parts = [
        reliability_table(scores, labels, BINS[0]).assign(**named)
        for named, (_, labels, scores) in _forecasts(rows, classes)
    ]
    return pd.concat(parts, ignore_index=True) if parts else pd.DataFrame(columns=["row"])


def published_points() -> pd.DataFrame:
    """Return the point of every class in the ROC plane that the published matrix gives.

    Returns:
        Columns curve, false_positive, true_positive, area (under the two straight lines from the
        corners to the point), then the row ``macro`` with the mean area.
    """
    matrix = published.confusion_matrix()
    hits = pd.Series(np.diag(matrix), index=matrix.index)
    wrong = (matrix.sum(axis=0) - hits) / (matrix.to_numpy().sum() - matrix.sum(axis=1))
    table = pd.DataFrame({"false_positive": wrong, "true_positive": hits / matrix.sum(axis=1)})
    table["area"] = (1 + table["true_positive"] - table["false_positive"]) / 2
    table.loc[MACRO] = [np.nan, np.nan, table["area"].mean()]
    return table.rename_axis("curve").reset_index()
