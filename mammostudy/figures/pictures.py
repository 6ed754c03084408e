"""Cases to look at, chosen by rule, and what their runs saw of them."""

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
    """Pick the best, median and worst test case and one by seed; none of fewer than four."""
    first = rows[(rows["replicate"] == 0) & (rows["fold"] == rows["fold"].min())]
    ordered = first.sort_values([metric, "case"], ignore_index=True)
    if len(ordered) < 4:
        return {}
    places = {"best": len(ordered) - 1, "median": len(ordered) // 2, "worst": 0}
    left = [at for at in range(len(ordered)) if at not in places.values()]
    places["drawn"] = int(np.random.default_rng(seed).choice(left))
    return {rule: str(ordered["case"][at]) for rule, at in places.items()}


def typical_case(masses: pd.DataFrame) -> str:
    """Return the mass whose box has the median area: a rule, so that no one picks the example."""
    area = (masses["x_max"] - masses["x_min"]) * (masses["y_max"] - masses["y_min"])
    return str(area.sort_values().index[len(area) // 2])


def framed(
    cohort: Cohort, record: Any, case: str, truth: str | None = None
) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
    """Return image and truth of a case's frame, as its run saw them or with another ``truth``."""
    spec = record.spec
    frame = spec.frame.model_copy(update={"truth": truth}) if truth else spec.frame
    return frame_sample(cohort.sample(case), frame, spec.preprocessing)[:2]


def seen(cohort: Cohort | None, records: Sequence[Any], case: str) -> tuple[Any, ...] | None:
    """Return the first record that tested a case, its image, truth and predicted mask, or None."""
    for record in records:
        rows = record.cases  # predictions hold other cases too
        if cohort is not None and case in set(rows.loc[rows["part"] == "test", "case"]):
            return record, *framed(cohort, record, case), record.predictions()[case]
    return None
