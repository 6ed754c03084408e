"""A shape run from spec to record: masks, classifier, rows, and what explains it."""

from __future__ import annotations

from typing import Any, Final

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray
from torch import nn

from mammostudy.data.cohort import Cohort
from mammostudy.evaluation.classification import apply_temperature, fit_temperature
from mammostudy.evaluation.uncertainty import occlusion_map
from mammostudy.imaging.shape_masks import place_mask, shape_between
from mammostudy.runs.classifiers import (
    Classifier,
    Task,
    Values,
    build_classifier,
    build_network,
    decide,
)
from mammostudy.runs.kinds import UNTRAINED, ShapeSpec
from mammostudy.runs.masks import SIDE, labelled
from mammostudy.runs.provenance import Result
from mammostudy.runs.record import Record
from mammostudy.runs.segmentation import checked_split
from mammostudy.training.loop import device
from mammostudy.training.shapes import embed, predict_logits

NO_CLASS: Final = "none"
POSITIONS: Final = np.linspace(0, 3, 25)
SEEDS: Final = (0, 1, 2, 3, 4)


def network(record: Record[ShapeSpec]) -> nn.Module:
    """Build the network of a record."""
    return build_network(record.spec)


def task_of(spec: ShapeSpec, cohort: Cohort) -> Task:
    """Split the labelled masses of a cohort by patient and check for leaks.

    Raises:
        DataError: no labelled mass, or a patient or near-duplicate image in two parts.
    """
    rows = labelled(cohort, spec)
    return Task(spec, cohort, rows, checked_split(cohort, rows, spec.split))


def run(spec: ShapeSpec, cohort: Cohort, progress: bool | None) -> Result:
    """Train or fit a classifier, and test it on every source asked for.

    Rows: part, case, patient, site, source, tool, missed, label, predicted, and ``logit_<class>``.
    A case whose mask is empty is ``missed``: its prediction is ``none``, which is wrong
    everywhere, and its logits are those of the training shares, as nothing else is known of it.
    So is a case of which a network that diverged says nothing.

    Raises:
        DataError: the cohort's files cannot be used, or a class has no training mask.
    """
    task = task_of(spec, cohort)
    classifier = build_classifier(task, progress)
    tables = [_rows(task, classifier, source) for source in spec.evaluation.sources]
    rows = pd.concat(tables, ignore_index=True)
    temperature = _temperature(rows, spec)
    counts = np.bincount(task.numbers(task.training()), minlength=len(spec.classes)).tolist()
    trained = dict(zip(spec.classes, counts, strict=True))
    training, arrays = classifier.training, {}
    if spec.evaluation.explain and training and not training.diverged and classifier.network:
        arrays = explanations(task, classifier.network, rows, temperature)
    content = {"temperature": temperature, "classes_trained": trained}
    return Result(task.split, rows, training, arrays=arrays, content=content)


def _rows(task: Task, classifier: Classifier, source: str) -> pd.DataFrame:
    """Return the rows of one source."""
    masks, tables, known = task.masks(source), [], np.log(task.shares())
    drawn, seen = set(masks.cases), masks.seen()
    for part in ("validation", "test"):
        cases = [case for case in task.split.parts()[part] if case in drawn]
        missed = np.array([case not in seen for case in cases], dtype=np.bool_)
        logits = np.tile(known, (len(cases), 1))
        logits[~missed] = classifier.logits(source, [case for case in cases if case in seen])
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
                "predicted": decide(task, logits),
            }
        )
        table.loc[missed | lost, "predicted"] = NO_CLASS
        for k, name in enumerate(task.spec.classes):
            table[f"logit_{name}"] = logits[:, k]
        tables.append(table)
    return pd.concat(tables, ignore_index=True)


def _logits(rows: pd.DataFrame, spec: ShapeSpec) -> Values:
    return rows[[f"logit_{name}" for name in spec.classes]].to_numpy(np.float64)


def _temperature(rows: pd.DataFrame, spec: ShapeSpec) -> float:
    """Fit the temperature on the validation masks of the first source; 1 without a mask."""
    first = rows[(rows["part"] == "validation") & (rows["source"] == spec.evaluation.sources[0])]
    seen = first[~first["missed"]]
    if spec.classifier in UNTRAINED or seen.empty:
        return 1.0
    numbers = np.array([spec.classes.index(name) for name in seen["label"]])
    return fit_temperature(_logits(seen, spec), numbers)


def explanations(
    task: Task, model: nn.Module, rows: pd.DataFrame, temperature: float
) -> dict[str, NDArray[Any]]:
    """Explain a trained network on the masks of the first source.

    Returns:
        ``embedding`` float16 ``(n, d)`` of all masks, ``embedding_cases``, with their
        ``embedding_labels`` and ``embedding_parts`` (train, validation, test);
        ``between_probabilities`` float32 ``(seeds, positions, k)`` along ``between_positions`` (see
        :func:`mammostudy.imaging.shape_masks.shape_between`) for ``between_seeds``; and
        ``occlusion_maps`` float16 ``(j, 64, 64)`` of ``occlusion_cases``: of each class the
        surest right and the surest wrong test case.
    """
    spec, source = task.spec, task.spec.evaluation.sources[0]
    masks = task.masks(source)
    seen = masks.seen()
    test = rows[(rows["part"] == "test") & (rows["source"] == source) & ~rows["missed"]]
    part_of = {c: part for part, cases in task.split.parts().items() for c in cases if c in seen}
    chosen, shown = _surest(test, spec), list(part_of)

    def probabilities(masks: NDArray[np.bool_]) -> Values:
        tensor = torch.from_numpy(masks.astype(np.float32)).unsqueeze(1).to(device())
        return apply_temperature(predict_logits(model, tensor), temperature)

    def walk(seed: int) -> Values:
        steps = (shape_between(float(at), 256, seed=seed) for at in POSITIONS)
        return probabilities(np.stack([place_mask(m, SIDE, spec.input.placement) for m in steps]))

    asked = zip(masks.at(chosen), task.numbers(chosen).tolist(), strict=True)
    maps = [occlusion_map(masks.masks[at], number, probabilities) for at, number in asked]
    return {
        "embedding": embed(model, task.shown(source, shown)).astype(np.float16),
        "embedding_cases": np.array(shown, dtype=np.str_),
        "embedding_labels": task.rows.loc[shown, "label"].to_numpy(np.str_),
        "embedding_parts": np.array(list(part_of.values()), dtype=np.str_),
        "between_positions": POSITIONS,
        "between_seeds": np.array(SEEDS),
        "between_probabilities": np.stack([walk(seed) for seed in SEEDS]).astype(np.float32),
        "occlusion_cases": np.array(chosen, dtype=np.str_),
        "occlusion_maps": np.array(maps, dtype=np.float16).reshape(-1, SIDE, SIDE),
    }


def _surest(test: pd.DataFrame, spec: ShapeSpec) -> list[str]:
    """Of each class the surest right and the surest wrong case, in the classes' order."""
    ranked = np.sort(_logits(test, spec), axis=1)
    margin = pd.Series(ranked[:, -1] - ranked[:, -2], index=test.index)
    chosen = []
    for name in spec.classes:
        for right in (True, False):
            group = test[(test["label"] == name) & ((test["predicted"] == name) == right)]
            if len(group):
                surest = int(margin[group.index].to_numpy().argmax())
                chosen.append(str(group["case"].iloc[surest]))
    return chosen
