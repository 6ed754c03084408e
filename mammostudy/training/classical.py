"""Classical classifiers of the shape features: the alternatives to a network."""

from __future__ import annotations

from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from sklearn.base import ClassifierMixin
from sklearn.calibration import CalibratedClassifierCV
from sklearn.ensemble import HistGradientBoostingClassifier, RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV, StratifiedGroupKFold
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC
from sklearn.utils.class_weight import compute_sample_weight

from mammostudy.errors import DataError

PENALTIES: Final = (0.1, 1.0, 10.0, 100.0)  # the SVM's C is chosen among these
RIDGE: Final = 0.01  # the logistic regression's C: features can be more than cases
FOLDS: Final = 5
Features = NDArray[np.float64]
Labels = NDArray[np.int64]
Splits = list[tuple[Labels, Labels]]


def fit_classical(
    name: str, features: Features, labels: Labels, groups: NDArray[Any], *, seed: int
) -> ClassifierMixin:
    """Train a classifier on shape features, every class with the same weight.

    The SVM's C is chosen by balanced accuracy over folds of patients, its probabilities are Platt's
    sigmoid of the same held-out folds. Features are finite ``(n, f)``, labels class numbers from 0,
    groups the patient of each row: no patient is on both sides of an inner fold.
    """
    if len(np.unique(labels)) < 2:
        msg = f"labels are all {labels[0]}: a classifier needs two classes or more"
        raise DataError(msg)
    if name == "svm":
        return _svm(features, labels, groups, seed)
    balanced: dict[str, Any] = {"class_weight": "balanced", "random_state": seed}
    if name in ("box", "grey-features"):
        model: Any = LogisticRegression(C=RIDGE, max_iter=2_000, **balanced)
    elif name == "random-forest":
        model = RandomForestClassifier(500, n_jobs=1, **balanced)
    else:
        model = HistGradientBoostingClassifier(**balanced)
    return make_pipeline(StandardScaler(), model).fit(features, labels)


def classical_probabilities(model: Any, features: Features, classes: int) -> Features:
    """Probability of every class, ``(n, classes)``; a DataError where training had not all."""
    trained = np.asarray(model.classes_).tolist()
    if trained != list(range(classes)):
        msg = (
            f"the classifier was trained on classes {trained}, not on all of 0 to {classes - 1}: "
            "stratify the split, or leave the class out of the spec"
        )
        raise DataError(msg)
    return np.asarray(model.predict_proba(features), dtype=np.float64)


def _svm(features: Features, labels: Labels, groups: NDArray[Any], seed: int) -> ClassifierMixin:
    splits = _patient_folds(features, labels, groups, seed)
    pipeline = make_pipeline(StandardScaler(), SVC(class_weight="balanced"))
    how: dict[str, Any] = {"scoring": "balanced_accuracy", "refit": False, "n_jobs": 1}
    search = GridSearchCV(pipeline, {"svc__C": PENALTIES}, cv=splits, **how).fit(features, labels)
    chosen = SVC(C=search.best_params_["svc__C"])
    calibrated = CalibratedClassifierCV(chosen, cv=splits, ensemble=False, n_jobs=1)
    weights = compute_sample_weight("balanced", labels)  # of the SVC and of the sigmoid
    return make_pipeline(StandardScaler(), calibrated).fit(
        features, labels, calibratedclassifiercv__sample_weight=weights
    )


def _patient_folds(features: Features, labels: Labels, groups: NDArray[Any], seed: int) -> Splits:
    """Up to five folds of patients, each of whose training sides holds every class."""
    present = np.unique(labels)
    patients = {int(c): len(np.unique(groups[labels == c])) for c in present}
    for folds in range(min(FOLDS, *patients.values()), 1, -1):
        splitter = StratifiedGroupKFold(folds, shuffle=True, random_state=seed)
        splits: Splits = list(splitter.split(features, labels, groups))
        sides = [side for split in splits for side in split]
        if all(map(len, sides)) and all(
            np.array_equal(np.unique(labels[train]), present) for train, _ in splits
        ):
            return splits
    rarest = min(patients, key=lambda c: patients[c])
    msg = (
        f"labels: class {rarest} comes from {patients[rarest]} patient(s), too few to choose the "
        "SVM's C between patients: use another classifier or leave the class out"
    )
    raise DataError(msg)
