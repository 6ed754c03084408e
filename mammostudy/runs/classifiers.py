"""The classifiers of shape runs: networks, classical ones on features, and those that guess."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray
from scipy.special import log_softmax
from torch import Tensor, nn

from mammostudy.data.cohort import Cohort
from mammostudy.data.frames import Frame, Preprocessing, frame_cohort
from mammostudy.data.splits import Split
from mammostudy.errors import DataError
from mammostudy.models.shapes import ShapeCNN, ShapeResNet
from mammostudy.runs.kinds import ON_FEATURES, ShapeSpec
from mammostudy.runs.masks import SIDE, MaskSet, feature_table, mask_set, pixels_of
from mammostudy.runs.trained import Training, train_or_read
from mammostudy.training.classical import classical_probabilities, fit_classical
from mammostudy.training.loop import Fitted, device
from mammostudy.training.shapes import ShapeBudget, fit_shapes, predict_logits, shape_class_weights

Values = NDArray[np.float64]
Logits = Callable[[str, Sequence[str]], Values]  # of cases by a source's masks, none of them missed
FLOOR: Final = 1e-6  # of a probability


@dataclass(frozen=True)
class Task:
    """What a shape run works on: masses with a ``label``, indexed by case, in three parts."""

    spec: ShapeSpec
    cohort: Cohort
    rows: pd.DataFrame
    split: Split
    _sets: dict[str, MaskSet] = field(default_factory=dict, repr=False, compare=False)

    def masks(self, source: str) -> MaskSet:
        """Return the placed masks of a source, made once a task."""
        if source not in self._sets:
            self._sets[source] = mask_set(self.spec, source, self.cohort)
        return self._sets[source]

    def numbers(self, cases: Sequence[str]) -> NDArray[np.int64]:
        """Return the class numbers of cases."""
        labels = self.rows.loc[list(cases), "label"]
        return np.array([self.spec.classes.index(label) for label in labels], dtype=np.int64)

    def shares(self) -> Values:
        """Return the share of each class among the training cases, float64 ``(k,)``."""
        counts = np.bincount(self.numbers(self.training()), minlength=len(self.spec.classes))
        return np.asarray(counts / counts.sum(), dtype=np.float64)

    def training(self) -> list[str]:
        """Return the training cases: those with a mask of the source, of the drawing tool asked.

        Raises:
            DataError: a class is without a training mask.
        """
        asked = self.spec.input
        there = self.masks(asked.source).seen()
        cases = [case for case in self.split.train if case in there]
        if asked.tool != "any":
            polygon = self.rows.loc[cases, "tool"] == "polygon"
            cases = list(polygon.index[polygon if asked.tool == "polygon" else ~polygon])
        if absent := set(self.spec.classes) - set(self.rows.loc[cases, "label"]):
            raise DataError(
                f"cohort {self.cohort.name!r}, fold {self.spec.split.fold}: no training mask "
                f"({asked.source}) of class {', '.join(sorted(absent))}; lower split.folds, add "
                "masses, or leave the class out of `classes`"
            )
        return cases

    def shown(self, source: str, cases: Sequence[str]) -> Tensor:
        """Return what a network is shown of cases, float32 ``(n, 1, 64, 64)``."""
        if self.spec.classifier == "grey-cnn":
            frame = Frame(aspect=self.spec.input.placement, size=SIDE, truth="target")
            framed = frame_cohort(pixels_of(self.cohort), frame, Preprocessing())
            planes = framed.take(cases).images
        else:
            masks = self.masks(source)
            planes = masks.masks[masks.at(cases)].astype(np.float32)
        return torch.from_numpy(np.ascontiguousarray(planes, np.float32))[:, None].to(device())


@dataclass(frozen=True)
class Classifier:
    """What a shape run needs of a classifier; those that are no network have no training."""

    logits: Logits
    network: nn.Module | None = None
    training: Training | None = None


def build_classifier(task: Task, progress: bool | None) -> Classifier:
    """Make and train the classifier of a task.

    Raises:
        DataError: a class has no training mask.
    """
    if task.spec.is_network:
        return _trained(task, progress)
    if task.spec.classifier in ON_FEATURES:
        return Classifier(_on_features(task))
    known = np.log(task.shares())
    return Classifier(lambda _, cases: np.tile(known, (len(cases), 1)))


def decide(task: Task, logits: Values) -> list[str]:
    """Return the class that each row of logits stands for, or one drawn from the shares."""
    spec, numbers = task.spec, logits.argmax(axis=1)
    if spec.classifier == "chance":
        rng = np.random.default_rng([spec.seed, spec.split.fold, len(logits)])
        numbers = rng.choice(len(spec.classes), size=len(logits), p=task.shares())
    return [spec.classes[k] for k in numbers]


def _on_features(task: Task) -> Logits:
    """Fit a classifier of scikit-learn on the features of the masks, never on the grid of 64."""
    spec, cases = task.spec, task.training()

    def features(source: str, cases: Sequence[str]) -> Values:
        names, table = feature_table(spec, source, task.cohort)
        place = {case: i for i, case in enumerate(names)}
        return np.asarray(table[[place[case] for case in cases]], dtype=np.float64)

    shown, patients = features(spec.input.source, cases), task.rows.loc[cases, "patient"]
    numbers = task.numbers(cases)
    model = fit_classical(spec.classifier, shown, numbers, patients.to_numpy(str), seed=spec.seed)

    def logits(source: str, cases: Sequence[str]) -> Values:
        if not cases:
            return np.zeros((0, len(spec.classes)))
        shares = classical_probabilities(model, features(source, cases), len(spec.classes))
        return np.log(np.clip(shares, FLOOR, None))

    return logits


def build_network(spec: ShapeSpec) -> nn.Module:
    """Build the network of a spec from torch's present random state, on the device of runs."""
    made = ShapeResNet if spec.classifier == "resnet" else ShapeCNN
    return made(len(spec.classes)).to(device())


def _trained(task: Task, progress: bool | None) -> Classifier:
    """Train a network by RMSProp on masks, or on the grey pixels of their frames."""
    spec, asked = task.spec, task.spec.training
    torch.manual_seed(spec.seed)
    model, cases = build_network(spec), task.training()
    numbers = task.numbers(cases)
    counts = np.bincount(numbers, minlength=len(spec.classes))

    def logits(source: str, cases: Sequence[str]) -> Values:
        if not cases:
            return np.zeros((0, len(spec.classes)))
        return predict_logits(model, task.shown(source, cases))

    def fitted(checkpoint: Path) -> Fitted:
        rates = asked.learning_rate, asked.momentum, asked.smoothing
        return fit_shapes(
            model,
            task.shown(spec.input.source, cases),
            torch.from_numpy(numbers).to(device()),
            ShapeBudget(asked.epochs, asked.batch, *rates),
            weights=shape_class_weights(counts, asked.weighting),
            focal_gamma=asked.focal_gamma,
            rotate=asked.rotate,
            binary=spec.classifier != "grey-cnn",
            seed=spec.seed,
            validate=_validation(task, logits),
            checkpoint=checkpoint,
            label=f"{spec.cohort} {spec.variant} {spec.classifier} fold {spec.split.fold}",
            progress=progress,
        )

    key = spec.training_key(task.cohort.manifest_hash)
    return Classifier(logits, model, train_or_read(key, model, fitted))


def _validation(task: Task, logits_of: Logits) -> Callable[[], dict[str, float]]:
    """Return a function that scores the present weights on the validation masks."""
    source = task.spec.input.source
    there = task.masks(source).seen()
    cases = [case for case in task.split.validation if case in there]
    numbers = task.numbers(cases)

    def validate() -> dict[str, float]:
        logits = logits_of(source, cases)
        if not len(logits) or not np.isfinite(logits).all():
            return {}
        right = logits.argmax(axis=1) == numbers
        surprise = -log_softmax(logits, axis=1)[np.arange(len(numbers)), numbers]
        recalls = [right[numbers == k].mean() for k in np.unique(numbers)]
        return {
            "validation_loss": float(surprise.mean()),
            "validation_accuracy": float(right.mean()),
            "validation_macro_recall": float(np.mean(recalls)),
        }

    return validate
