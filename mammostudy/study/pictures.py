"""Cases to look at, chosen by rule, and their pictures where the images are at hand."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from mammostudy.data.cohort import Cohort
from mammostudy.data.frames import frame_sample
from mammostudy.data.load import load_cohort
from mammostudy.errors import MissingDataError
from mammostudy.imaging.overlays import agreement_overlay

NO_IMAGES: Final = (
    "The pictures that belong here need the cohort's images, which are not on this machine: set "
    "`MAMMOSTUDY_DATA` (or `make book DATA=...`) to the folder of cohorts and build again."
)


def at_hand(cohort: str) -> Cohort | None:
    """Return the cohort, or None where its data folder is not set or missing."""
    try:
        return load_cohort(cohort)
    except MissingDataError:
        return None


def picked(rows: pd.DataFrame, metric: str = "dice", seed: int = 0) -> dict[str, str]:
    """Pick the best, median and worst case of some test rows, and one drawn by seed.

    Case by rule; empty with fewer than four cases.
    """
    first = rows[(rows["replicate"] == 0) & (rows["fold"] == rows["fold"].min())]
    ordered = first.sort_values([metric, "case"], ignore_index=True)
    if len(ordered) < 4:
        return {}
    places = {"best": len(ordered) - 1, "median": len(ordered) // 2, "worst": 0}
    left = [at for at in range(len(ordered)) if at not in places.values()]
    places["drawn"] = int(np.random.default_rng(seed).choice(left))
    return {rule: str(ordered["case"][at]) for rule, at in places.items()}


def tested(records: Sequence[Any], case: str) -> Any | None:
    """Return the first record that tested a case, or None; predictions hold other cases too."""
    for record in records:
        rows = record.cases
        if case in set(rows.loc[rows["part"] == "test", "case"]):
            return record
    return None


def typical_case(masses: pd.DataFrame) -> str:
    """Return the mass whose box has the median area: a rule, so that no one picks the example."""
    area = (masses["x_max"] - masses["x_min"]) * (masses["y_max"] - masses["y_min"])
    return str(area.sort_values().index[len(area) // 2])


def framed(
    cohort: Cohort, record: Any, case: str, truth: str | None = None
) -> tuple[NDArray[np.float32], NDArray[np.bool_], tuple[int, int, int, int]]:
    """Return image, truth and box of a case's frame, as its run saw them.

    ``truth`` (``target`` or ``all``) replaces the run's own.
    """
    spec = record.spec
    frame = spec.frame.model_copy(update={"truth": truth}) if truth else spec.frame
    return frame_sample(cohort.sample(case), frame, spec.preprocessing)


def overlay(cohort: Cohort, record: Any, case: str) -> NDArray[np.uint8]:
    """Return a frame with prediction against truth in the paper's colours, uint8 ``(s, s, 3)``."""
    image, truth, _ = framed(cohort, record, case)
    return agreement_overlay(image, truth, record.predictions()[case], alpha=0.5)
