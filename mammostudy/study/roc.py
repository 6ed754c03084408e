"""ROC curves of the shapes: one against the rest, macro, micro, and over folds.

The curves are of the classifiers' own probabilities (temperature 1), as a softmax gives them.
The rows are compared by :mod:`mammostudy.study.roc_comparison`; whether the probabilities mean what
they say is the matter of :mod:`mammostudy.study.roc_calibration`; what the tables say is put into
words by :mod:`mammostudy.study.roc_reading`.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from typing import Final

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from mammostudy.errors import DataError
from mammostudy.evaluation.classification import (
    MeanRoc,
    Roc,
    auc_bootstrap_ci,
    auc_ci,
    binary_roc,
    mean_roc,
    micro_roc,
)
from mammostudy.runs.record import Record
from mammostudy.runs.shape_spec import ShapeSpec
from mammostudy.study import published, shape_arithmetic, shape_recipes, shape_tables

PAPER: Final = "paper"
STUDY: Final = "study"
FOREST: Final = "random forest on features"
MACRO: Final = "macro"
MICRO: Final = "micro"
_NONE: Final = (float("nan"), float("nan"))
Values = NDArray[np.float64]
Tables = Mapping[str, pd.DataFrame]


def named(cohort: str, preset: str) -> dict[str, list[ShapeSpec]]:
    """Return the runs of the chapter by the name their row bears."""
    forest = shape_recipes.alternatives(cohort, preset)[FOREST]
    return {**shape_recipes.headline(cohort, preset), FOREST: forest}


def specs(cohort: str, preset: str) -> list[ShapeSpec]:
    """Return every run that the chapter shows."""
    return list(dict.fromkeys(itertools.chain(*named(cohort, preset).values())))


def classes_of(cohort: str) -> tuple[str, ...]:
    """Return the shapes that the page tells apart; none where its cohort has no two of them."""
    return shape_recipes.classes_of(cohort)


def records(cohort: str, preset: str) -> dict[str, list[Record]]:
    """Return the records of the chapter by row name."""
    return shape_tables.shape_records(named(cohort, preset), preset)


def absent(found: Mapping[str, Sequence[Record]], cohort: str, preset: str) -> list[str]:
    """Return the names of rows with a run that has no record."""
    asked = named(cohort, preset)
    return [name for name, listed in asked.items() if len(found.get(name, ())) < len(listed)]


def rows(found: Mapping[str, Sequence[Record]]) -> dict[str, pd.DataFrame]:
    """Return the test rows of all folds by row name, a row without a record left out."""
    tables = {name: shape_tables.pooled(listed) for name, listed in found.items()}
    return {name: table for name, table in tables.items() if len(table)}


def arrays(
    table: pd.DataFrame, classes: Sequence[str], kind: str = "raw"
) -> tuple[NDArray[np.int64], Values]:
    """Return class numbers ``(n,)`` and probabilities ``(n, k)`` of pooled rows.

    Args:
        table: of :func:`rows`.
        classes: names in the order of the columns.
        kind: ``raw`` (temperature 1) or ``p`` (calibrated).
    """
    labels = pd.Index(classes).get_indexer(pd.Index(table["label"]))
    scores = table[[f"{kind}_{name}" for name in classes]].to_numpy(dtype=np.float64)
    return labels.astype(np.int64), scores


def rocs(
    table: pd.DataFrame, classes: Sequence[str], kind: str = "raw"
) -> dict[str, Roc | MeanRoc]:
    """Return the curves of some rows: of each class, then macro and micro.

    A class without a case has no curve, and without the curves of all classes there is no macro
    curve: a mean over fewer classes is another quantity. The micro curve exists always.
    """
    labels, scores = arrays(table, classes, kind)
    found: dict[str, Roc | MeanRoc] = {}
    for number, name in enumerate(classes):
        hits = labels == number
        if hits.any() and not hits.all():
            found[name] = binary_roc(hits, scores[:, number])
    if len(found) == len(classes):
        found[MACRO] = mean_roc(list(found.values()))
    found[MICRO] = micro_roc(labels, scores)
    return found


def pooled_curves(tables: Tables, classes: Sequence[str]) -> pd.DataFrame:
    """Return the points of the curves of all folds' cases together.

    Returns:
        Columns model, curve (a class, ``macro`` or ``micro``), false_positive, true_positive.
    """
    parts = [
        _points(curve).assign(model=model, curve=name)
        for model, table in tables.items()
        for name, curve in rocs(table, classes).items()
    ]
    columns = ["model", "curve", "false_positive", "true_positive"]
    return pd.concat(parts, ignore_index=True)[columns] if parts else pd.DataFrame(columns=columns)


def _points(curve: Roc | MeanRoc) -> pd.DataFrame:
    rates = {"false_positive": curve.false_positive, "true_positive": curve.true_positive}
    return pd.DataFrame(rates)


def macro_areas(tables: Tables, classes: Sequence[str], kind: str = "raw") -> dict[str, float]:
    """Return the pooled macro AUC by row name (``kind`` as :func:`arrays`)."""
    found = {model: rocs(table, classes, kind) for model, table in tables.items()}
    return {model: curves[MACRO].auc for model, curves in found.items() if MACRO in curves}


def auc_table(tables: Tables, classes: Sequence[str]) -> pd.DataFrame:
    """Return the AUC of every pooled curve with DeLong's and the patients' interval.

    Returns:
        Columns model, curve, cases (of the class, else all), patients (of these cases), auc,
        delong_low, delong_high (one class against the rest only: the entries of the micro curve
        are not independent, the macro area is a mean), low, high (bootstrap over patients; both
        missing where a class comes from one patient).
    """
    out = []
    for model, table in tables.items():
        for name, curve in rocs(table, classes).items():
            own = table[table["label"] == name] if name in classes else table
            delong = _delong(table, classes, name) if name in classes else _NONE
            low, high = _bootstrap(table, classes, name)
            counts = (len(own), own["patient"].nunique())
            out.append((model, name, *counts, curve.auc, *delong, low, high))
    return pd.DataFrame(out, columns=list(_AUC))


_AUC: Final = (
    *("model", "curve", "cases", "patients", "auc"),
    *("delong_low", "delong_high", "low", "high"),
)


def _delong(table: pd.DataFrame, classes: Sequence[str], name: str) -> tuple[float, float]:
    """DeLong's interval; none where a class has a single case."""
    labels, scores = arrays(table, classes)
    number = list(classes).index(name)
    try:
        return auc_ci(labels == number, scores[:, number])
    except DataError:
        return _NONE


def _bootstrap(table: pd.DataFrame, classes: Sequence[str], name: str) -> tuple[float, float]:
    """Interval over patients; none where a class comes from a single one."""
    labels, scores = arrays(table, classes)
    patients = table["patient"].to_numpy()
    try:
        if name == MACRO:
            return auc_bootstrap_ci(labels, scores, patients)
        if name == MICRO:
            hits = labels[:, None] == np.arange(len(classes))
            each = np.repeat(patients, len(classes))
            return auc_bootstrap_ci(hits.ravel(), scores.ravel(), each)
        number = list(classes).index(name)
        return auc_bootstrap_ci(labels == number, scores[:, number], patients)
    except DataError:
        return _NONE


def fold_curves(tables: Tables, classes: Sequence[str]) -> pd.DataFrame:
    """Return the curves of every fold by itself.

    Returns:
        Columns model, curve, fold, false_positive, true_positive.
    """
    parts = [
        _points(curve).assign(model=model, curve=name, fold=fold)
        for model, table in tables.items()
        for fold, part in table.groupby("fold")
        for name, curve in rocs(part, classes).items()
    ]
    columns = ["model", "curve", "fold", "false_positive", "true_positive"]
    return pd.concat(parts, ignore_index=True)[columns] if parts else pd.DataFrame(columns=columns)


def mean_curves(tables: Tables, classes: Sequence[str]) -> pd.DataFrame:
    """Return the mean over folds of every curve with a band of one standard deviation.

    A fold without a case of a class is left out of that class's mean and of the macro mean.

    Returns:
        Columns model, curve, false_positive, true_positive, low, high, auc, auc_sd, folds.
    """
    parts = []
    for model, table in tables.items():
        by_fold = [rocs(part, classes) for _, part in table.groupby("fold")]
        for name in (*classes, MACRO, MICRO):
            if curves := [found[name] for found in by_fold if name in found]:
                mean = mean_roc(curves)
                band = _points(mean).assign(low=mean.low, high=mean.high, model=model, curve=name)
                numbers = {"auc": mean.auc, "auc_sd": mean.auc_sd, "folds": mean.curves}
                parts.append(band.assign(**numbers))
    columns = ["model", "curve", "false_positive", "true_positive", "low", "high"]
    columns += ["auc", "auc_sd", "folds"]
    return pd.concat(parts, ignore_index=True)[columns] if parts else pd.DataFrame(columns=columns)


def fold_areas(tables: Tables, classes: Sequence[str]) -> pd.DataFrame:
    """Return the AUC of every curve in every fold: model, curve, fold, auc (missing: no curve)."""
    out = []
    for model, table in tables.items():
        for fold, part in table.groupby("fold"):
            found = rocs(part, classes)
            for name in (*classes, MACRO, MICRO):
                area = found[name].auc if name in found else float("nan")
                out.append((model, name, fold, area))
    return pd.DataFrame(out, columns=["model", "curve", "fold", "auc"])


def fold_summary(areas: pd.DataFrame) -> pd.DataFrame:
    """Summarise :func:`fold_areas`: model, curve, mean, sd (n - 1), lowest, highest, folds."""
    by = areas.groupby(["model", "curve"], sort=False)["auc"]
    table = by.agg(mean="mean", sd="std", lowest="min", highest="max", folds="count")
    return table.reset_index()


def published_facts() -> pd.DataFrame:
    """Return what the paper says about its ROC curve, and what it does not: what, value, source."""
    facts = published.FACTS
    masses = int(published.shape_counts()["masses"].sum())
    test, folds = int(facts["shape test masses"].value), int(facts["shape folds"].value)
    area = facts["shape AUC"]
    listed = [
        ("area under the mean ROC curve of the folds", f"{area.value:.2f}", area.source),
        ("class, or average of classes, of that curve", "not reported", "–"),
        ("interval, curve or area of any single fold", "not reported", "–"),
        ("folds", str(folds), "P"),
        ("test masses of the curve", str(test), "P"),
        (f"their share of all {masses:,} masses", f"{100 * test / masses:.0f} %", "D"),
        ("masses that a fold would hold", f"{masses / folds:.0f}", "D"),
    ]
    return pd.DataFrame(listed, columns=["what", "value", "source"])


def published_points() -> pd.DataFrame:
    """Return the point of every class in the ROC plane that the published matrix gives.

    It is the decision for the largest output, which is no threshold on the output of one class:
    the point says where a curve may be expected, not where it passes.

    Returns:
        Columns curve, false_positive, true_positive, area (under the two straight lines from the
        corners to the point), then the row ``macro`` with the mean area.
    """
    matrix = published.confusion_matrix()
    recall = shape_arithmetic.class_recalls().set_index("shape")["recall"]
    hits = pd.Series(np.diag(matrix), index=matrix.index)
    wrong = (matrix.sum(axis=0) - hits) / (int(matrix.to_numpy().sum()) - matrix.sum(axis=1))
    table = pd.DataFrame({"false_positive": wrong, "true_positive": recall})
    table["area"] = (1 + table["true_positive"] - table["false_positive"]) / 2
    table.loc[MACRO] = [np.nan, np.nan, table["area"].mean()]
    return table.rename_axis("curve").reset_index()
