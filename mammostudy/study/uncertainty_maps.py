"""Maps of sampled masks, of masses picked by rule: the most, the median and the least certain."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from mammostudy.data.frames import frame_cohort
from mammostudy.evaluation.uncertainty import deviation_map, mean_map
from mammostudy.runs.record import Record, weights_path
from mammostudy.runs.segmentation import sampled_probabilities
from mammostudy.runs.trained import trained_model
from mammostudy.study import words
from mammostudy.study.fingerprint import at_hand
from mammostudy.study.uncertainty import MEAN

PICKED: Final = ("most certain", "median", "least certain")


@dataclass(frozen=True)
class Drawn:
    """One mass, its dropout drawn several times.

    Attributes:
        title: why it was picked.
        image: float32 ``(s, s)``, as the model sees it.
        truth: bool ``(s, s)``.
        mean: float64 ``(s, s)``, mean probability of mass.
        spread: float64 ``(s, s)``, standard deviation between draws.
        dice: of the mean mask on record.
        score: spread on record.
    """

    title: str
    image: NDArray[np.float32]
    truth: NDArray[np.bool_]
    mean: NDArray[np.float64]
    spread: NDArray[np.float64]
    dice: float
    score: float


def first_record(found: dict[str, list[Record]]) -> Record | None:
    """Return the sampled record whose masses are shown: the first fold's."""
    return next(iter(found.get(MEAN, [])), None)


def picked(record: Record) -> pd.DataFrame:
    """Pick test masses of a sampled record by their spread: the first, the middle, the last.

    Returns:
        Three rows of the record with ``title``; ties stand in the order of their names.
    """
    cases = record.cases
    test = cases[
        (cases["part"] == "test") & (cases["box"] == "oracle") & (cases["postprocessing"] == "none")
    ]
    ranked = test.sort_values(["spread", "case"])
    places = [0, len(ranked) // 2, len(ranked) - 1]
    return ranked.iloc[places].assign(title=list(PICKED))


def missing(found: dict[str, list[Record]], cohort: str) -> str:
    """Say what is not here that maps need; nothing where all is."""
    record = first_record(found)
    if record is None:
        return "No sampled run is on record, so there are no maps to show."
    if at_hand(cohort) is None:
        return words.no_images(cohort)
    if not weights_path(str(record.content["training_key"])).is_file():
        return (
            "The maps that belong here need the weights of the run, which are kept only on the "
            "machine that trained it: this record was made elsewhere, and holds masks and scores."
        )
    return ""


def drawn(found: dict[str, list[Record]], cohort: str) -> list[Drawn]:
    """Draw the picked masses again, as often as the run did; other draws of the same dropout.

    Returns:
        One a pick; empty where :func:`missing` says what is not here.
    """
    record = first_record(found)
    loaded = None if record is None else at_hand(cohort)
    if record is None or loaded is None or missing(found, cohort):
        return []
    rows, spec = picked(record), record.spec
    framed = frame_cohort(loaded, spec.frame, spec.preprocessing).take(list(rows["case"]))
    samples = sampled_probabilities(trained_model(record), framed, spec)
    mean, spread = mean_map(samples), deviation_map(samples)
    return [
        Drawn(
            title=row["title"],
            image=framed.images[at],
            truth=framed.masks[at],
            mean=mean[at],
            spread=spread[at],
            dice=float(row["dice"]),
            score=float(row["spread"]),
        )
        for at, row in enumerate(rows.to_dict("records"))
    ]
