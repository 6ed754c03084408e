"""A chain run from spec to record: boxes, masks and shapes of patients new to every stage."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Final

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray

from mammostudy.data.cohort import Cohort
from mammostudy.data.frames import FramedSet
from mammostudy.data.load import load_cohort
from mammostudy.data.splits import Split
from mammostudy.errors import SpecError
from mammostudy.evaluation.classification import apply_temperature
from mammostudy.evaluation.froc_curves import froc_of
from mammostudy.imaging.postprocessing import PUBLISHED, postprocess
from mammostudy.runs.chain_rows import ChainRows
from mammostudy.runs.detection_rows import matches_of, whole_numbers
from mammostudy.runs.kinds import ChainSpec, DetectSpec, ShapeSpec
from mammostudy.runs.masks import Mask, labelled, placed_mask
from mammostudy.runs.provenance import Result
from mammostudy.runs.record import Record, record_of
from mammostudy.runs.segmentation import baseline_masks, chosen_steps, predict_framed
from mammostudy.runs.spec import RunSpec
from mammostudy.runs.trained import trained_model
from mammostudy.training.loop import device
from mammostudy.training.shapes import predict_logits

NO_SHAPE: Final = "none"
Shares = NDArray[np.float64]


def run(spec: ChainSpec, cohort: Cohort, progress: bool | None) -> Result:
    """Send the test views through the chain.

    Rows: see :mod:`mammostudy.runs.chain_rows`. ``record.json`` adds ``threshold`` (None where no
    box counts), ``postprocessing`` (the steps) and ``stages`` (key, status and convergence of each
    run in the chain). The predictions are the masks of found masses in the frames of their
    detected boxes, and those frames.

    Raises:
        DataError: a stage has no record or no weights, or a file of the cohort cannot be used.
        SpecError: detector and segmenter have not learnt from the same patients.
    """
    detector, segmenter = record_of(spec.detector), record_of(spec.segmenter)
    shapes = [record_of(run) for run in spec.shapes]
    check_patients(cohort, detector, segmenter)
    validation = froc_of(matches_of(detector.part("validation"), spec.rule))
    threshold = validation.threshold_at(spec.operating)
    steps = tuple(PUBLISHED) if spec.postprocessing == "published" else chosen_steps(segmenter)
    tested = detector.part("test")
    tested = tested[(tested["row"] != "box") | (tested["score"] >= threshold)]
    work = ChainRows(spec.segmenter, cohort, tested, spec.rule, Segmenter(segmenter, steps))
    tables = [work.view_rows(), *work.mass_rows(Shapes.of(shapes, cohort)), work.box_rows()]
    rows = pd.concat([table for table in tables if len(table)], ignore_index=True)
    rows.insert(0, "part", "test")
    content = {
        "threshold": threshold if math.isfinite(threshold) else None,
        "postprocessing": list(steps),
        "stages": {
            "detector": [_told(detector)],
            "segmenter": [_told(segmenter)],
            "shapes": [_told(each) for each in shapes],
        },
    }
    parts = {name: tuple(cases) for name, cases in detector.content["split"].items()}
    return Result(Split(**parts), whole_numbers(rows), None, work.kept(), content=content)


def _told(record: Record) -> dict[str, Any]:
    return {"key": record.key, "status": record.status, "converged": record.converged}


def check_patients(
    cohort: Cohort, detector: Record[DetectSpec], segmenter: Record[RunSpec]
) -> None:
    """Raise where a patient with masses stands in other parts for the detector and the segmenter.

    Raises:
        SpecError: naming a patient, or a mass that only the segmenter knows.
    """
    of_case = cohort.manifest.set_index("case")["patient"].astype(str)
    with_mass = set(cohort.masses["patient"].astype(str))
    for part in ("train", "validation", "test"):
        views, cases = (sorted(each.content["split"][part]) for each in (detector, segmenter))
        if foreign := sorted(set(cases) - set(cohort.masses.index)):
            raise SpecError(f"{cohort.name}: the segmenter's mass {foreign[0]} is not in it")
        seen = set(of_case.loc[views]) & with_mass
        if differ := sorted(seen ^ set(of_case.loc[cases])):
            raise SpecError(
                f"{cohort.name}: patient {differ[0]} stands in the {part} part of only one of "
                "detector and segmenter; their cohorts must hold the same masses"
            )


@dataclass(frozen=True)
class Segmenter:
    """The segmenter of a chain: its run, and the steps of post-processing."""

    record: Record[RunSpec]
    steps: tuple[str, ...]

    @cached_property
    def _model(self) -> Any:
        return trained_model(self.record)

    def masks(self, framed: FramedSet) -> Mask:
        """Mark the mass in frames, bool ``(n, s, s)``, post-processed."""
        spec = self.record.spec
        if not framed.cases:
            return framed.masks
        if spec.is_baseline:
            return postprocess(baseline_masks(spec.model.name, framed), self.steps)
        return postprocess(predict_framed(self._model, framed, spec).masks, self.steps)

    def known(self, framed: FramedSet) -> Mask:
        """Return the masks of oracle frames as the record keeps them, post-processed."""
        stored = self.record.predictions()
        return postprocess(np.stack([stored[case] for case in framed.cases]), self.steps)


@dataclass(frozen=True)
class Shapes:
    """The classifiers of a chain, and which of them may judge whom.

    Attributes:
        records: their runs; none tells nothing.
        labels: shape of the masses whose shape is known, by case.
        judges: number of the classifier by patient; None where all have learnt from the patient.
    """

    records: Sequence[Record[ShapeSpec]]
    labels: dict[str, str] = field(default_factory=dict)
    judges: dict[str, int | None] = field(default_factory=dict)

    @classmethod
    def of(cls, records: Sequence[Record[ShapeSpec]], cohort: Cohort) -> Shapes:
        """Note who has learnt from whom, and the labels."""
        if not records:
            return cls(records)
        spec, judges = records[0].spec, dict[str, int | None]()
        owner = load_cohort(spec.cohort)
        shared = set(owner.masses["patient"]) & set(cohort.manifest["patient"])
        for number, record in enumerate(records if shared else ()):
            for part, cases in record.content["split"].items():
                for patient in set(owner.masses.loc[cases, "patient"]):
                    if part == "test":
                        judges[patient] = number
                    else:
                        judges.setdefault(patient, None)
        labels = labelled(owner if shared else cohort, spec)["label"]
        return cls(records, {str(case): str(label) for case, label in labels.items()}, judges)

    def tell(
        self, masks: Sequence[Mask], patients: Sequence[str]
    ) -> tuple[list[str | None], Shares]:
        """Tell the shapes of masks, each of its own size; an empty one has no shape.

        Returns:
            The class of each (``none`` without a mask, or where the classifier diverged; None
            where every classifier at hand has learnt from the patient), and the calibrated
            probability of that class (NaN without one).
        """
        names: list[str | None] = [None] * len(masks)
        shares = np.full(len(masks), np.nan)
        judges = [self.judges.get(patient, 0) for patient in patients]
        for number, record in enumerate(self.records):
            chosen = [at for at, judge in enumerate(judges) if judge == number]
            told = _told_by(record, [masks[at] for at in chosen]) if chosen else []
            for at, (name, share) in zip(chosen, told, strict=True):
                names[at], shares[at] = name, share
        return names, shares


def _told_by(record: Record[ShapeSpec], masks: Sequence[Mask]) -> list[tuple[str, float]]:
    """Return the class that a classifier tells from each mask, and its probability."""
    spec = record.spec
    grid = np.stack([placed_mask(mask, spec.input.placement) for mask in masks])
    tensor = torch.from_numpy(grid.astype(np.float32)).unsqueeze(1).to(device())
    logits = predict_logits(trained_model(record), tensor)
    sound = np.asarray(np.isfinite(logits).all(axis=1) & grid.any(axis=(1, 2)))
    shares = apply_temperature(np.where(sound[:, None], logits, 0.0), record.temperature)
    return [
        (spec.classes[int(row.argmax())], float(row.max())) if good else (NO_SHAPE, np.nan)
        for row, good in zip(shares, sound, strict=True)
    ]
