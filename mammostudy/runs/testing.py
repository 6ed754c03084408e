"""Whom a segmentation run is tested on, and the rows of what it predicts for them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from mammostudy.data.cohort import Cohort
from mammostudy.data.frames import Frame, FramedSet, frame_cohort
from mammostudy.data.load import load_cohort
from mammostudy.data.splits import Split
from mammostudy.data.tasks import require
from mammostudy.errors import DataError
from mammostudy.evaluation.overlap import boundary_iou
from mammostudy.runs.evaluate import evaluate
from mammostudy.runs.sampling import Prediction
from mammostudy.runs.spec import RunSpec

Cases = tuple[Cohort, tuple[str, ...]]


def test_cohort(spec: RunSpec, cohort: Cohort, split: Split) -> dict[str, Cases]:
    """Return the test part: of the run's cohort, or of the one that its evaluation names.

    Of another cohort all masses are taken whose patients the run has not met: two cohorts may
    hold the same patients (two kinds of image of one examination).

    Args:
        spec: of the run.
        cohort: its cohort.
        split: of that cohort.

    Returns:
        ``test`` -> cohort and cases.

    Raises:
        DataError: the other cohort is not at hand or lacks what the task needs, or every patient of
            it has been met.
    """
    if not spec.evaluation.test_cohort:
        return {"test": (cohort, split.test)}
    other = load_cohort(spec.evaluation.test_cohort)
    require(other, spec.task)
    met = set(cohort.masses.loc[[*split.train, *split.validation], "patient"])
    new = other.masses[~other.masses["patient"].isin(met)]
    if new.empty:
        msg = (
            f"evaluation.test_cohort {other.name}: the run has trained on or validated with every "
            "patient of it; name a cohort of other patients"
        )
        raise DataError(msg)
    return {"test": (other, tuple(new.index))}


test_cohort.__test__ = False  # type: ignore[attr-defined]  # its name is no test's


def evaluate_spec(
    spec: RunSpec, parts: dict[str, Cases], predictor: Callable[[FramedSet], Prediction]
) -> tuple[pd.DataFrame, dict[str, NDArray[np.bool_]]]:
    """Predict and measure the parts of a run.

    Args:
        spec: of the run.
        parts: cohort and cases by part.
        predictor: predicts framed cases.

    Returns:
        The rows of :mod:`mammostudy.runs.evaluate`, with ``boundary_iou`` and the scores of
        sampled predictions where the spec asks for them; and the masks of oracle frames before
        post-processing, by case.
    """
    tables = []
    masks: dict[str, NDArray[np.bool_]] = {}
    for part, (cohort, cases) in parts.items():
        extras: list[pd.DataFrame] = []

        def framed_masks(
            frame: Frame,
            wanted: Sequence[str],
            cohort: Cohort = cohort,
            extras: list[pd.DataFrame] = extras,
        ) -> tuple[FramedSet, NDArray[np.bool_]]:
            framed = frame_cohort(cohort, frame, spec.preprocessing).take(wanted)
            found = predictor(framed)
            extras.append(_extras(spec, framed, found, frame.box))
            return framed, found.masks

        settings = spec.evaluation
        rows, kept = evaluate(
            cohort, {part: cases}, spec.frame, settings.boxes, settings.postprocessing, framed_masks
        )
        tables.append(_beside(rows, pd.concat(extras)))
        masks |= kept
    return pd.concat(tables, ignore_index=True), masks


def _beside(rows: pd.DataFrame, extras: pd.DataFrame) -> pd.DataFrame:
    """Set what was measured before post-processing beside the rows that it was measured on."""
    merged = rows.merge(extras, how="left", on=["case", "box"])
    merged.loc[merged["postprocessing"] != "none", extras.columns.difference(rows.columns)] = np.nan
    return merged


def _extras(spec: RunSpec, framed: FramedSet, found: Prediction, box: str) -> pd.DataFrame:
    """What is measured beside the rows, before post-processing: columns case, box, and others."""
    columns: dict[str, Any] = {"case": framed.cases, "box": box}
    if spec.evaluation.boundary:
        columns["boundary_iou"] = boundary_iou(found.masks, framed.masks)
    columns |= {str(name): values.to_numpy() for name, values in found.scores.items()}
    return pd.DataFrame(columns)
