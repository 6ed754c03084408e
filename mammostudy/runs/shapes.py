"""A shape run from spec to record: masks, classifier, rows, and what explains it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, Final

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
from mammostudy.evaluation.classification import apply_temperature, fit_temperature
from mammostudy.imaging.shape_masks import place_mask, shape_between
from mammostudy.models.shapes import ShapeCNN, ShapeResNet
from mammostudy.runs.kinds import NETWORKS, ON_FEATURES, UNTRAINED, ShapeSpec
from mammostudy.runs.masks import SIDE, MaskSet, feature_table, labelled, mask_set, pixels_of
from mammostudy.runs.provenance import Result
from mammostudy.runs.segmentation import checked_split
from mammostudy.runs.trained import Training, train_or_read
from mammostudy.training import shapes as training
from mammostudy.training.classical import classical_probabilities, fit_classical
from mammostudy.training.loop import Fitted, device

POSITIONS: Final = np.linspace(0, 3, 25)
SEEDS: Final = (0, 1, 2, 3, 4)
Values = NDArray[np.float64]
_TOLD: Final = ("validation", "test")
Logits = Callable[[str, Sequence[str]], Values]  # of cases by a source's masks, none of them missed


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

    @cached_property
    def counts(self) -> NDArray[np.int64]:
        """The number of training cases of each class, ``(k,)``."""
        return np.bincount(self.numbers(self.training()), minlength=len(self.spec.classes))

    @property
    def shares(self) -> Values:
        """The share of each class among the training cases, ``(k,)``."""
        return np.asarray(self.counts / self.counts.sum(), dtype=np.float64)

    def training(self) -> list[str]:
        """Return the training cases: those with a mask of the source, of the drawing tool asked."""
        asked = self.spec.input
        there = self.masks(asked.source).seen()
        cases = [case for case in self.split.train if case in there]
        if asked.tool != "any":
            polygon = self.rows.loc[cases, "tool"] == "polygon"
            cases = list(polygon.index[polygon if asked.tool == "polygon" else ~polygon])
        if absent := set(self.spec.classes) - set(self.rows.loc[cases, "label"]):
            at = f"cohort {self.cohort.name!r}, fold {self.spec.split.fold}"
            said = f"no training mask ({asked.source}) of class {', '.join(sorted(absent))}"
            raise DataError(f"{at}: {said}; lower split.folds, or leave it out of `classes`")
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


def build_classifier(
    task: Task, progress: bool | None
) -> tuple[Logits, nn.Module | None, Training | None]:
    """Make and train the classifier of a task; what is no network has no training."""
    if task.spec.classifier in NETWORKS:
        return _trained(task, progress)
    if task.spec.classifier in ON_FEATURES:
        return _on_features(task), None, None
    known = np.log(task.shares)
    return lambda _, cases: np.tile(known, (len(cases), 1)), None, None


def _decided(task: Task, logits: Values) -> list[str]:
    """Return the class that each row of logits stands for, or one drawn from the shares."""
    spec, numbers = task.spec, logits.argmax(axis=1)
    if spec.classifier == "chance":
        rng = np.random.default_rng([spec.seed, spec.split.fold, len(logits)])
        numbers = rng.choice(len(spec.classes), size=len(logits), p=task.shares)
    return [spec.classes[k] for k in numbers]


def _on_features(task: Task) -> Logits:
    """Fit a classifier of scikit-learn on the features of the masks, never on the grid of 64."""
    spec, cases = task.spec, task.training()

    def features(source: str, cases: Sequence[str]) -> Values:
        return feature_table(spec, source, task.cohort).loc[list(cases)].to_numpy(np.float64)

    shown, patients = features(spec.input.source, cases), task.rows.loc[cases, "patient"]
    numbers = task.numbers(cases)
    model = fit_classical(spec.classifier, shown, numbers, patients.to_numpy(str), seed=spec.seed)

    def logits(source: str, cases: Sequence[str]) -> Values:
        shares = classical_probabilities(model, features(source, cases), len(spec.classes))
        return np.log(np.clip(shares, 1e-6, None))

    return logits


def network(spec: ShapeSpec, _: object = None) -> nn.Module:
    """Build the network of a spec from torch's present random state, on the device of runs."""
    made = ShapeResNet if spec.classifier == "resnet" else ShapeCNN
    return made(len(spec.classes)).to(device())


def _trained(task: Task, progress: bool | None) -> tuple[Logits, nn.Module, Training]:
    """Train a network by RMSProp on masks, or on the grey pixels of their frames."""
    spec, asked = task.spec, task.spec.training
    torch.manual_seed(spec.seed)
    model, cases = network(spec), task.training()

    def logits(source: str, cases: Sequence[str]) -> Values:
        return training.predict_logits(model, task.shown(source, cases))

    def fitted(checkpoint: Path) -> Fitted:
        rates = asked.learning_rate, asked.momentum, asked.smoothing
        return training.fit_shapes(
            model,
            task.shown(spec.input.source, cases),
            torch.from_numpy(task.numbers(cases)).to(device()),
            training.ShapeBudget(asked.epochs, asked.batch, *rates),
            weights=training.shape_class_weights(task.counts, asked.weighting),
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
    return logits, model, train_or_read(key, model, fitted)


def _validation(task: Task, logits_of: Logits) -> Callable[[], dict[str, float]]:
    """Return a function that scores the present weights on the validation masks."""
    source = task.spec.input.source
    there = task.masks(source).seen()
    cases = [case for case in task.split.validation if case in there]
    numbers = task.numbers(cases)

    def validate() -> dict[str, float]:
        if not cases or not np.isfinite(logits := logits_of(source, cases)).all():
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


def task_of(spec: ShapeSpec, cohort: Cohort) -> Task:
    """Split the labelled masses of a cohort by patient and check for leaks."""
    rows = labelled(cohort, spec)
    return Task(spec, cohort, rows, checked_split(cohort, rows, spec.split))


def run(spec: ShapeSpec, cohort: Cohort, progress: bool | None) -> Result:
    """Train or fit a classifier, and test it on every source asked for."""
    task = task_of(spec, cohort)
    logits, model, trained = build_classifier(task, progress)
    parts = [(source, part) for source in spec.evaluation.sources for part in _TOLD]
    rows = pd.concat([_rows(task, logits, *each) for each in parts], ignore_index=True)
    temperature, arrays = _temperature(rows, spec), {}
    if spec.evaluation.explain and model and trained and not trained.diverged:
        arrays = explanations(task, model, temperature)
    counts = dict(zip(spec.classes, task.counts.tolist(), strict=True))
    content = {"temperature": temperature, "classes_trained": counts}
    return Result(task.split, rows, trained, arrays=arrays, content=content)


def _rows(task: Task, told: Logits, source: str, part: str) -> pd.DataFrame:
    """Return the rows of one source and part.

    An empty mask is ``missed``: its prediction is ``none``, its logits those of the shares.
    """
    masks, known = task.masks(source), np.log(task.shares)
    drawn, seen = set(masks.cases), masks.seen()
    cases = [case for case in task.split.parts()[part] if case in drawn]
    missed = np.array([case not in seen for case in cases], dtype=np.bool_)
    logits = np.tile(known, (len(cases), 1))
    if not missed.all():
        logits[~missed] = told(source, [case for case in cases if case in seen])
    lost = ~np.isfinite(logits).all(axis=1)  # of a network that diverged
    logits[lost] = known
    rows = task.rows.loc[cases]
    table = pd.DataFrame(
        {
            "part": part,
            "case": cases,
            "patient": rows["patient"].to_numpy(str),
            "site": rows["site"].to_numpy(str),
            "source": source,
            "tool": rows["tool"].to_numpy(str) if "tool" in rows else "",
            "missed": missed,
            "label": rows["label"].to_numpy(str),
            "predicted": _decided(task, logits),
        }
    )
    table.loc[missed | lost, "predicted"] = "none"
    table[[f"logit_{name}" for name in task.spec.classes]] = logits
    return table


def _temperature(rows: pd.DataFrame, spec: ShapeSpec) -> float:
    """Fit the temperature on the validation masks of the first source; 1 without a mask."""
    first = rows[(rows["part"] == "validation") & (rows["source"] == spec.evaluation.sources[0])]
    seen = first[~first["missed"]]
    if spec.classifier in UNTRAINED or seen.empty:
        return 1.0
    numbers = np.array([spec.classes.index(name) for name in seen["label"]])
    logits = seen[[f"logit_{name}" for name in spec.classes]].to_numpy(np.float64)
    return fit_temperature(logits, numbers)


def explanations(task: Task, model: nn.Module, temperature: float) -> dict[str, NDArray[Any]]:
    """Embed the masks of the first source ``(n, d)``, and walk from shape to shape."""
    spec, source = task.spec, task.spec.evaluation.sources[0]
    seen = task.masks(source).seen()
    part_of = {c: part for part, cases in task.split.parts().items() for c in cases if c in seen}
    shown = list(part_of)

    def probabilities(masks: NDArray[np.bool_]) -> Values:
        tensor = torch.from_numpy(masks.astype(np.float32)).unsqueeze(1).to(device())
        return apply_temperature(training.predict_logits(model, tensor), temperature)

    def walk(seed: int) -> Values:
        steps = (shape_between(float(at), 256, seed=seed) for at in POSITIONS)
        return probabilities(np.stack([place_mask(m, SIDE, spec.input.placement) for m in steps]))

    return {
        "embedding": training.embed(model, task.shown(source, shown)).astype(np.float16),
        "embedding_cases": np.array(shown, dtype=np.str_),
        "embedding_labels": task.rows.loc[shown, "label"].to_numpy(np.str_),
        "embedding_parts": np.array(list(part_of.values()), dtype=np.str_),
        "between_positions": POSITIONS,
        "between_seeds": np.array(SEEDS),
        "between_probabilities": np.stack([walk(seed) for seed in SEEDS]).astype(np.float32),
    }
