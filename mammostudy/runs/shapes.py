"""A shape run from spec to record: masks, classifier, rows, and what explains it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property, partial
from typing import Any, Final

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from mammostudy.data.cohort import Cohort
from mammostudy.errors import DataError
from mammostudy.evaluation.classification import apply_temperature, fit_temperature
from mammostudy.evaluation.splits import Split, checked_split
from mammostudy.models.beside_masks import grey_frames
from mammostudy.models.device import device
from mammostudy.models.shapes import ShapeCNN, ShapeResNet
from mammostudy.runs.kinds import BESIDE, NETWORKS, ON_FEATURES, UNTRAINED, ShapeSpec
from mammostudy.runs.masks import SIDE, Mask, feature_table, labelled, pixels_of, placed_masks
from mammostudy.runs.provenance import Result
from mammostudy.runs.segmentation import as_tensor
from mammostudy.runs.trained import Training, train_or_read
from mammostudy.training import shapes as training
from mammostudy.training.classical import classical_probabilities, fit_classical

POSITIONS: Final = np.linspace(0, 3, 25)
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

    @cached_property
    def masks(self) -> dict[str, dict[str, Mask]]:
        """The placed masks of every source asked for, by case."""
        sources = {*self.spec.learnt, *self.spec.evaluation.sources}
        return {source: placed_masks(self.spec, source, self.cohort) for source in sources}

    def seen(self, source: str, cases: Sequence[str]) -> list[str]:
        """Return those of some cases that a source knows and has not missed."""
        masks = self.masks[source]
        return [case for case in cases if case in masks and masks[case].any()]

    def numbers(self, cases: Sequence[str]) -> NDArray[np.int64]:
        """Return the class numbers of cases."""
        labels = self.rows.loc[list(cases), "label"]
        return pd.Categorical(labels, self.spec.classes).codes.astype(np.int64)

    @cached_property
    def counts(self) -> NDArray[np.int64]:
        """The number of training cases of each class, ``(k,)``."""
        return np.bincount(self.numbers(self.training), minlength=len(self.spec.classes))

    @property
    def shares(self) -> Values:
        """The share of each class among the training cases, ``(k,)``."""
        return np.asarray(self.counts / self.counts.sum(), dtype=np.float64)

    @cached_property
    def training(self) -> list[str]:
        """The training cases: with a mask of each source, of the tool and the patients asked."""
        asked, cases = self.spec.input, list(self.split.train)
        for source in self.spec.learnt:
            cases = self.seen(source, cases)
        patients = self.rows.loc[cases, "patient"]
        dealt = np.random.default_rng(self.spec.seed).permutation(sorted(set(patients)))
        kept = patients.isin(dealt[: round(asked.share * len(dealt))])  # the first of one order
        cases = list(patients.index[kept])
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
            framed = grey_frames(pixels_of(self.cohort), self.spec.input.placement, SIDE)
            return as_tensor(framed.take(cases).images, 1)
        return as_tensor(np.stack([self.masks[source][case] for case in cases]), 1)


def _on_tables(task: Task) -> Logits:
    """Fit a classifier of scikit-learn on what is measured of masks, never on the grid of 64."""
    spec, cases, times = task.spec, task.training, len(task.spec.learnt)

    def features(source: str, cases: Sequence[str]) -> Values:
        return feature_table(spec, source, task.cohort).loc[list(cases)].to_numpy(np.float64)

    shown = np.concatenate([features(source, cases) for source in spec.learnt])
    patients = np.tile(task.rows.loc[cases, "patient"].to_numpy(str), times)
    numbers = np.tile(task.numbers(cases), times)
    model = fit_classical(spec.classifier, shown, numbers, patients, seed=spec.seed)

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
    spec, asked, source = task.spec, task.spec.training, task.spec.learnt[0]
    torch.manual_seed(spec.seed)
    model, validation = network(spec), task.seen(source, task.split.validation)
    numbers = task.numbers(validation)

    def logits(source: str, cases: Sequence[str]) -> Values:
        return training.predict_logits(model, task.shown(source, cases))

    def validate() -> dict[str, float]:
        if not validation or not np.isfinite(found := logits(source, validation)).all():
            return {}
        right = found.argmax(axis=1) == numbers
        recalls = [right[numbers == k].mean() for k in np.unique(numbers)]
        found_of = {"accuracy": right.mean(), "macro_recall": np.mean(recalls)}
        return {f"validation_{name}": float(value) for name, value in found_of.items()}

    rates = asked.learning_rate, asked.momentum, asked.smoothing
    fit = partial(
        training.fit_shapes,
        model,
        torch.cat([task.shown(each, task.training) for each in spec.learnt]),
        torch.from_numpy(task.numbers(task.training)).to(device()).repeat(len(spec.learnt)),
        training.ShapeBudget(asked.epochs, asked.batch, *rates),
        weights=training.shape_class_weights(task.counts, asked.weighting),
        focal_gamma=asked.focal_gamma,
        rotate=asked.rotate,
        binary=spec.classifier != "grey-cnn",
        validate=validate,
    )
    return logits, model, train_or_read(spec, task.cohort, model, fit, progress)


def run(spec: ShapeSpec, cohort: Cohort, progress: bool | None) -> Result:
    """Train or fit a classifier, and test it on every source asked for."""
    labels = labelled(cohort, spec)
    split = checked_split(cohort, labels, **spec.split.model_dump())
    task = Task(spec, cohort, labels, split)
    networks, tables = (spec.classifier in kind for kind in (NETWORKS, (*ON_FEATURES, *BESIDE)))
    told, model, trained = _trained(task, progress) if networks else (None, None, None)
    told = _on_tables(task) if tables else told
    parts = [(source, part) for source in spec.evaluation.sources for part in _TOLD]
    rows = pd.concat([_rows(task, told, *each) for each in parts], ignore_index=True)
    temperature, arrays = _temperature(task, rows), dict[str, Any]()
    if spec.evaluation.explain and model and trained and not trained.diverged:
        walked = training.walk(model, spec.input.placement, POSITIONS)
        chances = np.array([apply_temperature(each, temperature) for each in walked], np.float32)
        arrays |= {"between_positions": POSITIONS, "between_probabilities": chances}
    counts = dict(zip(spec.classes, task.counts.tolist(), strict=True))
    content = {"temperature": temperature, "classes_trained": counts}
    return Result(task.split, rows, trained, arrays=arrays, content=content)


def _rows(task: Task, told: Logits | None, source: str, part: str) -> pd.DataFrame:
    """Return the rows of a source and part; a ``missed`` mask is ``none``, with the shares."""
    spec, masks, known = task.spec, task.masks[source], np.log(task.shares)
    cases = [case for case in task.split.parts()[part] if case in masks]
    missed = np.array([not masks[case].any() for case in cases], dtype=np.bool_)
    logits = np.tile(known, (len(cases), 1))
    if told and not missed.all():
        logits[~missed] = told(source, task.seen(source, cases))
    lost = ~np.isfinite(logits).all(axis=1)  # of a network that diverged
    logits[lost] = known
    numbers, rows = logits.argmax(axis=1), task.rows.loc[cases]
    if spec.classifier == "chance":
        rng = np.random.default_rng([spec.seed, spec.split.fold, len(logits)])
        numbers = rng.choice(len(spec.classes), size=len(logits), p=task.shares)
    names = [f"logit_{name}" for name in spec.classes]
    return pd.DataFrame(
        {
            "part": part,
            "case": cases,
            "patient": rows["patient"].to_numpy(str),
            "site": rows["site"].to_numpy(str),
            "source": source,
            "tool": rows["tool"].to_numpy(str) if "tool" in rows else "",
            "missed": missed,
            "label": rows["label"].to_numpy(str),
            "predicted": np.where(missed | lost, "none", np.array(spec.classes)[numbers]),
            **dict(zip(names, logits.T, strict=True)),
        }
    )


def _temperature(task: Task, rows: pd.DataFrame) -> float:
    """Fit the temperature on the validation masks of the first source; 1 without a mask."""
    first = rows[rows["source"] == task.spec.evaluation.sources[0]]
    seen = first[(first["part"] == "validation") & ~first["missed"]]
    if task.spec.classifier in UNTRAINED or seen.empty:
        return 1.0
    return fit_temperature(
        seen.filter(like="logit_").to_numpy(), task.numbers(seen["case"].tolist())
    )
