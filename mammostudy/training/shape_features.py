"""Classical classifiers of the shape features: the alternatives to a network."""

from __future__ import annotations

from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from sklearn.base import ClassifierMixin
from sklearn.calibration import CalibratedClassifierCV
from sklearn.ensemble import HistGradientBoostingClassifier, RandomForestClassifier
from sklearn.model_selection import GridSearchCV, StratifiedGroupKFold
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC
from sklearn.utils.class_weight import compute_sample_weight

from mammostudy.errors import DataError, SpecError
from mammostudy.evaluation.calibration import class_labels

VERSION: Final = 1
"""Recipe version: raised by hand when a trained classifier's numbers change."""
CLASSICAL: Final = ("svm", "random-forest", "gradient-boosting")
PENALTIES: Final = (0.1, 1.0, 10.0, 100.0)
"""The SVM's C is chosen among these."""
FOLDS: Final = 5
Features = NDArray[np.float64]
Splits = list[tuple[NDArray[np.int64], NDArray[np.int64]]]


def fit_classical(
    name: str,
    features: Features,
    labels: NDArray[np.int64],
    groups: NDArray[Any],
    *,
    seed: int,
) -> ClassifierMixin:
    """Train a classifier on shape features, every class with the same weight.

    - svm: standardised features, Gaussian kernel; C by balanced accuracy over folds of patients;
      probabilities by Platt's sigmoid, one class against the rest, from the decision values of
      the same held-out folds.
    - random-forest: 500 trees.
    - gradient-boosting: histogram trees, scikit-learn's default size and number.

    Args:
        name: one of :data:`CLASSICAL`.
        features: ``(n, f)``, finite.
        labels: class numbers from 0, ``(n,)``.
        groups: the patient of each row, ``(n,)``: no patient is on both sides of an inner fold.
        seed: of the folds and the forest.

    Returns:
        A fitted classifier with ``predict_proba``.

    Raises:
        SpecError: an unknown name.
        DataError: no row, lengths that differ, values that are not finite, fewer than two
            classes, or (svm) a class whose patients cannot be split.

    Source: scikit-learn; Platt 1999 (sigmoid).
    """
    rows, numbers = _check(features, labels, groups)
    if name == "svm":
        return _svm(rows, numbers, groups, seed)
    if name == "random-forest":
        model = RandomForestClassifier(500, class_weight="balanced", random_state=seed, n_jobs=1)
    elif name == "gradient-boosting":
        model = HistGradientBoostingClassifier(class_weight="balanced", random_state=seed)
    else:
        msg = f"classifier {name!r} is unknown; use one of {', '.join(CLASSICAL)}"
        raise SpecError(msg)
    return make_pipeline(StandardScaler(), model).fit(rows, numbers)


def classical_probabilities(model: Any, features: Features, classes: int) -> Features:
    """Probability of every class.

    Args:
        model: from :func:`fit_classical`.
        features: ``(n, f)``, finite; one row or more.
        classes: how many there are.

    Returns:
        float64 ``(n, classes)``; the columns are the labels 0 to ``classes - 1``.

    Raises:
        DataError: a class was not among the training labels, or values that are not finite.
    """
    trained = np.asarray(model.classes_).tolist()
    if trained != list(range(classes)):
        msg = (
            f"the classifier was trained on classes {trained}, not on all of 0 to {classes - 1}: "
            "stratify the split, or leave the class out of the spec"
        )
        raise DataError(msg)
    return np.asarray(model.predict_proba(_finite(features)), dtype=np.float64)


def _svm(
    rows: Features, numbers: NDArray[np.int64], groups: NDArray[Any], seed: int
) -> ClassifierMixin:
    splits = _patient_folds(rows, numbers, groups, seed)
    pipeline = make_pipeline(StandardScaler(), SVC(class_weight="balanced"))
    search = GridSearchCV(
        pipeline,
        {"svc__C": PENALTIES},
        scoring="balanced_accuracy",
        cv=splits,
        refit=False,
        n_jobs=1,
    ).fit(rows, numbers)
    chosen = SVC(C=search.best_params_["svc__C"])
    calibrated = CalibratedClassifierCV(chosen, cv=splits, ensemble=False, n_jobs=1)
    weights = compute_sample_weight("balanced", numbers)  # of the SVC and of the sigmoid
    return make_pipeline(StandardScaler(), calibrated).fit(
        rows, numbers, calibratedclassifiercv__sample_weight=weights
    )


def _patient_folds(
    rows: Features, numbers: NDArray[np.int64], groups: NDArray[Any], seed: int
) -> Splits:
    """Up to five folds of patients, each of whose training sides holds every class."""
    present = np.unique(numbers)
    patients = {int(c): len(np.unique(groups[numbers == c])) for c in present}
    for folds in range(min(FOLDS, *patients.values()), 1, -1):
        splitter = StratifiedGroupKFold(folds, shuffle=True, random_state=seed)
        splits: Splits = list(splitter.split(rows, numbers, groups))
        sides = [side for split in splits for side in split]
        if all(map(len, sides)) and all(
            np.array_equal(np.unique(numbers[train]), present) for train, _ in splits
        ):
            return splits
    rarest = min(patients, key=lambda c: patients[c])
    msg = (
        f"labels: class {rarest} comes from {patients[rarest]} patient(s), too few to choose the "
        "SVM's C between patients: use another classifier or leave the class out"
    )
    raise DataError(msg)


def _check(
    features: Features, labels: NDArray[np.int64], groups: NDArray[Any]
) -> tuple[Features, NDArray[np.int64]]:
    rows = _finite(features)
    if not len(rows) == len(labels) == len(groups):
        msg = f"{len(rows)} features, {len(labels)} labels, {len(groups)} groups: one each needed"
        raise DataError(msg)
    numbers = class_labels(labels, int(np.max(labels, initial=0)) + 1)
    if len(np.unique(numbers)) < 2:
        msg = f"labels are all {numbers[0]}: a classifier needs two classes or more"
        raise DataError(msg)
    return rows, numbers


def _finite(features: Features) -> Features:
    rows = np.asarray(features, dtype=np.float64)
    if rows.ndim != 2 or not rows.size:
        msg = f"features of shape {rows.shape}: (masks, features) with one mask or more needed"
        raise DataError(msg)
    if not np.isfinite(rows).all():
        at = int(np.flatnonzero(~np.isfinite(rows).all(axis=1))[0])
        msg = f"features[{at}] are not all finite: leave that mask out or count it as missed"
        raise DataError(msg)
    return rows
