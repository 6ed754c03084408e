"""A shape run from spec to record: masks, classifier, rows, and what explains it."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from mammostudy.data.cohort import Cohort
from mammostudy.data.splits import Split, check_leakage, parted, split_cases
from mammostudy.errors import DataError
from mammostudy.evaluation.calibration import fit_temperature
from mammostudy.runs.mask_sets import MaskSet, labelled, mask_set
from mammostudy.runs.record_content import record_content
from mammostudy.runs.shape_classifiers import Classifier, build_classifier
from mammostudy.runs.shape_spec import ShapeSpec
from mammostudy.runs.store import ShapeRecord, write_shape_record

if TYPE_CHECKING:
    from mammostudy.training.loop import Fitted

VERSION: Final = 1  # recipe version
NO_CLASS: Final = "none"
Values = NDArray[np.float64]


@dataclass(frozen=True)
class Task:
    """What a run works on.

    Attributes:
        spec: of the run.
        cohort: its cohort.
        rows: the labelled masses, indexed by case, with ``label``.
        split: cases of the three parts.
    """

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

    def numbers(self, cases: list[str]) -> NDArray[np.int64]:
        """Return the class numbers of cases."""
        place = {name: k for k, name in enumerate(self.spec.classes)}
        return np.array([place[label] for label in self.rows.loc[cases, "label"]], dtype=np.int64)

    def shares(self) -> Values:
        """Return the share of each class among the training cases, float64 ``(k,)``."""
        counts = np.bincount(self.numbers(self.training()), minlength=len(self.spec.classes))
        return np.asarray(counts / counts.sum(), dtype=np.float64)

    def training(self) -> list[str]:
        """Return the training cases: those with a mask of the source, of the drawing tool asked.

        Raises:
            DataError: a class is without a training mask.
        """
        masks = self.masks(self.spec.input.source)
        there = {masks.cases[i] for i in np.flatnonzero(~masks.missed)}
        cases = [case for case in self.split.train if case in there]
        if self.spec.input.tool != "any":
            polygon = self.rows.loc[cases, "tool"] == "polygon"
            wanted = polygon if self.spec.input.tool == "polygon" else ~polygon
            cases = list(wanted.index[wanted])
        missing = set(self.spec.classes) - set(self.rows.loc[cases, "label"])
        if missing:
            msg = (
                f"cohort {self.cohort.name!r}, fold {self.spec.split.fold}: no training mask "
                f"({self.spec.input.source}) of class {', '.join(sorted(missing))}; lower "
                "split.folds, add masses, or leave the class out of `classes`"
            )
            raise DataError(msg)
        return cases


def task_of(spec: ShapeSpec, cohort: Cohort) -> Task:
    """Split the labelled masses of a cohort by patient and check for leaks.

    Raises:
        DataError: no labelled mass, or a patient or near-duplicate image in two parts.
    """
    rows = labelled(cohort, spec)
    split = split_cases(parted(cohort, rows, spec.split.rule), **spec.split.model_dump())
    check_leakage(cohort, split, unit=spec.split.unit)
    return Task(spec, cohort, rows, split)


def run_shape(spec: ShapeSpec, cohort: Cohort, progress: bool | None) -> ShapeRecord:
    """Train or fit a classifier, test it on every source asked for, and write the record.

    Rows: part, case, patient, site, source, tool, missed, label, predicted, and ``logit_<class>``.
    A case whose mask is empty is ``missed``: its prediction is ``none``, which is wrong
    everywhere, and its logits are those of the training shares, as nothing else is known of it.
    So is a case of which a network that diverged says nothing.

    ``arrays.npz`` of an explaining run: see :mod:`mammostudy.runs.shape_explanations`.

    Raises:
        DataError: the cohort's files cannot be used, or a class has no training mask.
    """
    started = time.monotonic()
    task = task_of(spec, cohort)
    classifier = build_classifier(task, progress)
    rows = pd.concat(
        [_rows(task, classifier, source) for source in spec.evaluation.sources], ignore_index=True
    )
    temperature = _temperature(rows, spec)
    content = _content(task, classifier.fitted, temperature, time.monotonic() - started)
    arrays = None
    if spec.evaluation.explain and content["status"] == "completed":
        from mammostudy.runs.shape_explanations import explanations

        arrays = explanations(task, classifier, rows, temperature)
    return write_shape_record(content, rows, arrays)


def _rows(task: Task, classifier: Classifier, source: str) -> pd.DataFrame:
    """Return the rows of one source."""
    spec = task.spec
    masks = task.masks(source)
    missed = dict(zip(masks.cases, masks.missed.tolist(), strict=True))
    parts = {"validation": task.split.validation, "test": task.split.test}
    tables = []
    for part, listed in parts.items():
        cases = [case for case in listed if case in missed]
        seen = [case for case in cases if not missed[case]]
        logits = np.tile(np.log(task.shares()), (len(cases), 1))
        logits[[not missed[case] for case in cases]] = classifier.logits(source, seen)
        lost = ~np.isfinite(logits).all(axis=1)  # of a network that diverged
        logits[lost] = np.log(task.shares())
        rows = task.rows.loc[cases]
        table = pd.DataFrame(
            {
                "part": part,
                "case": cases,
                "patient": rows["patient"].to_numpy(str),
                "site": rows["site"].to_numpy(str),
                "source": source,
                "tool": rows["tool"].to_numpy(str) if "tool" in rows else "",
                "missed": np.array([missed[case] for case in cases], dtype=np.bool_),
                "label": rows["label"].to_numpy(str),
                "predicted": classifier.decide(logits),
            }
        )
        table.loc[table["missed"] | lost, "predicted"] = NO_CLASS
        for k, name in enumerate(spec.classes):
            table[f"logit_{name}"] = logits[:, k]
        tables.append(table)
    return pd.concat(tables, ignore_index=True)


def _temperature(rows: pd.DataFrame, spec: ShapeSpec) -> float:
    """Fit the temperature on the validation masks of the first source; 1 without a mask."""
    first = rows[(rows["part"] == "validation") & (rows["source"] == spec.evaluation.sources[0])]
    seen = first[~first["missed"]]
    if spec.classifier in {"majority", "chance"} or seen.empty:
        return 1.0
    place = {name: k for k, name in enumerate(spec.classes)}
    logits = seen[[f"logit_{name}" for name in spec.classes]].to_numpy(np.float64)
    return fit_temperature(logits, seen["label"].map(place).to_numpy())


def _content(
    task: Task, fitted: Fitted | None, temperature: float, seconds: float
) -> dict[str, Any]:
    """Return what ``record.json`` holds."""
    counts = task.rows.loc[task.training(), "label"].value_counts()
    metric = "validation_macro_recall"
    return {
        **record_content(task.spec, task.cohort, task.split, fitted, seconds, metric),
        "temperature": temperature,
        "classes_trained": {name: int(counts.get(name, 0)) for name in task.spec.classes},
    }
