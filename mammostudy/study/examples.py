"""Example pictures of a cohort, picked by rule: nobody chooses what a page shows."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from mammostudy.data.cohort import Cohort
from mammostudy.data.frames import Frame, frame_sample
from mammostudy.imaging.overlays import outline_overlay
from mammostudy.study import fingerprint as prints
from mammostudy.study.fingerprint import at_hand


def steps_of(cohort: str, case: str | None = None, size: int = 256) -> dict[str, NDArray[Any]]:
    """Return each pre-processing step on one loose frame; empty without the data.

    Args:
        cohort: its name.
        case: the mass; default the one of median area.
        size: of the resized frame.

    Returns:
        float32 ``(size, size)`` by step: framed, denoised, equalised, as published.
    """
    loaded = at_hand(cohort)
    if loaded is None:
        return {}
    sample = loaded.sample(case or typical_case(loaded.masses))
    frame = Frame(size=size)
    return {name: frame_sample(sample, frame, step)[0] for name, step in prints.STEPS.items()}


def typical_case(masses: pd.DataFrame) -> str:
    """Return the mass whose box has the median area: a rule, so that no one picks the example."""
    area = (masses["x_max"] - masses["x_min"]) * (masses["y_max"] - masses["y_min"])
    return str(area.sort_values().index[len(area) // 2])


def mammograms(cohort: str) -> dict[str, NDArray[np.uint8]]:
    """Return a mammogram of each site and view, the mass of median box outlined, by title.

    Returns:
        uint8 ``(h, w, 3)``; at most four, empty without the data.
    """
    loaded = at_hand(cohort)
    if loaded is None:
        return {}
    out = {}
    for (site, view), masses in list(loaded.masses.groupby(["site", "view"]))[:4]:
        sample = loaded.sample(typical_case(masses))
        out[f"{site}, {view}"] = outline_overlay(sample.image, sample.mask, thickness=2)
    return out


def shapes(cohort: str, size: int = 192) -> dict[str, NDArray[np.uint8]]:
    """Return a mass of each known shape in its loose square frame, outlined, by shape.

    The mass of median box stands for its shape; empty without the data.
    """
    loaded = at_hand(cohort)
    if loaded is None:
        return {}
    return {
        str(shape): _outlined(loaded, typical_case(masses), size)
        for shape, masses in loaded.masses.groupby("shape")
    }


def _outlined(cohort: Cohort, case: str, size: int) -> NDArray[np.uint8]:
    frame = Frame(size=size, aspect="square", truth="target")
    steps = prints.STEPS["framed and resized"]
    image, mask, _ = frame_sample(cohort.sample(case), frame, steps)
    return outline_overlay(image, mask)
