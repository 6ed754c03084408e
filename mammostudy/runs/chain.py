"""A chain run from spec to record: boxes, masks and shapes of patients new to every stage."""

from __future__ import annotations

import math
import time
from dataclasses import dataclass
from typing import Any, Final, cast

import pandas as pd

from mammostudy.data.cohort import Cohort
from mammostudy.data.splits import Split
from mammostudy.errors import SpecError
from mammostudy.evaluation.froc_curves import froc_of
from mammostudy.runs.chain_rows import ChainRows
from mammostudy.runs.chain_spec import ChainSpec
from mammostudy.runs.chain_stages import Segmenter, Shapes, record_of
from mammostudy.runs.detection_rows import matches_of
from mammostudy.runs.record_content import record_content
from mammostudy.runs.store import (
    AnyRecord,
    ChainRecord,
    DetectionRecord,
    Record,
    ShapeRecord,
    write_chain_record,
)

VERSION: Final = 1  # recipe version


@dataclass(frozen=True)
class Stages:
    """The stages of a chain, each with its record.

    Attributes:
        detector: whose boxes are taken.
        segmenter: with its model.
        shapes: the classifiers.
        threshold: the score from which a box counts; infinity where none does.
    """

    detector: DetectionRecord
    segmenter: Segmenter
    shapes: Shapes
    threshold: float

    def summary(self) -> dict[str, Any]:
        """Return what ``record.json`` adds for a chain."""
        used: dict[str, list[AnyRecord]] = {
            "detector": [self.detector],
            "segmenter": [self.segmenter.record],
            "shapes": [*self.shapes.records],
        }
        return {
            "threshold": self.threshold if math.isfinite(self.threshold) else None,
            "postprocessing": list(self.segmenter.steps),
            "stages": {
                name: [
                    {"key": each.key, "status": each.status, "converged": each.converged}
                    for each in listed
                ]
                for name, listed in used.items()
            },
        }


def stages_of(spec: ChainSpec, cohort: Cohort) -> Stages:
    """Look up the stages of a chain, check that they belong together, and set the threshold.

    Raises:
        DataError: a stage has no record.
        SpecError: detector and segmenter have not learnt from the same patients.
    """
    detector = cast(DetectionRecord, record_of(spec.detector))
    segmenter = cast(Record, record_of(spec.segmenter))
    check_patients(cohort, detector, segmenter)
    validation = froc_of(matches_of(detector.part("validation"), spec.rule))
    return Stages(
        detector,
        Segmenter.of(segmenter, spec.postprocessing),
        Shapes([cast(ShapeRecord, record_of(run)) for run in spec.shapes], cohort),
        validation.threshold_at(spec.operating),
    )


def check_patients(cohort: Cohort, detector: DetectionRecord, segmenter: Record) -> None:
    """Raise where a patient with masses stands in other parts for the detector and the segmenter.

    Raises:
        SpecError: naming a patient, or a mass that only the segmenter knows.
    """
    of_case = cohort.manifest.set_index("case")["patient"].astype(str)
    with_mass = set(cohort.masses["patient"].astype(str))
    for part in ("train", "validation", "test"):
        views, cases = (sorted(each.content["split"][part]) for each in (detector, segmenter))
        if foreign := sorted(set(cases) - set(cohort.masses.index)):
            msg = f"cohort {cohort.name!r}: the segmenter's mass {foreign[0]} is not in it"
            raise SpecError(msg)
        seen = set(of_case.loc[views]) & with_mass
        if differ := sorted(seen ^ set(of_case.loc[cases])):
            msg = (
                f"cohort {cohort.name!r}: patient {differ[0]} stands in the {part} part of only "
                "one of detector and segmenter; their cohorts must hold the same masses"
            )
            raise SpecError(msg)


def run_chain(spec: ChainSpec, cohort: Cohort) -> ChainRecord:
    """Send the test views through the chain and write the record.

    Rows: see :mod:`mammostudy.runs.chain_rows`. ``record.json`` adds ``threshold`` (None where no
    box counts), ``postprocessing`` (the steps) and ``stages`` (key, status and convergence of each
    run in the chain). ``predictions.npz`` holds the masks of found masses in the frames of their
    detected boxes, and those frames.

    Raises:
        DataError: a stage has no record or no weights, or a file of the cohort cannot be used.
        SpecError: detector and segmenter have not learnt from the same patients.
    """
    started = time.monotonic()
    stages = stages_of(spec, cohort)
    detected = stages.detector.part("test")
    work = ChainRows(spec, cohort, detected, stages.threshold, stages.segmenter, stages.shapes)
    tables = [work.view_rows(), *work.mass_rows(), work.box_rows()]
    rows = pd.concat([table for table in tables if len(table)], ignore_index=True)
    rows.insert(0, "part", "test")
    split = stages.detector.content["split"]
    parts = Split(**{name: tuple(cases) for name, cases in split.items()})
    content = record_content(spec, cohort, parts, None, time.monotonic() - started, "")
    return write_chain_record(content | stages.summary(), rows, work.kept())
