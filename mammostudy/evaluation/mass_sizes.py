"""Small, medium and large masses apart: does a detector find the small ones?"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from mammostudy.errors import DataError
from mammostudy.evaluation.boxes import Values, box_diameters
from mammostudy.evaluation.froc_curves import RATES, froc_of
from mammostudy.evaluation.froc_intervals import sensitivity_table
from mammostudy.evaluation.ladders import patient_codes
from mammostudy.evaluation.matching import Matches, some_mass
from mammostudy.evaluation.statistics import Patients

VERSION = 1
"""Recipe version: raised by hand when the numbers that leave this module change."""

SIZES = ("small", "medium", "large")


def size_thirds(diameters: ArrayLike) -> tuple[float, float]:
    """The two diameters that part masses into thirds.

    Take them from one set (the training masses, or a whole cohort) and use them for every detector.

    Args:
        diameters: of masses, any unit, ``(m,)``.

    Returns:
        (small up to, medium up to), in the same unit.

    Raises:
        DataError: no diameter, or one that is not finite and above 0.
    """
    values = _checked(diameters)
    low, high = np.quantile(values, [1 / 3, 2 / 3])
    return float(low), float(high)


def size_classes(diameters: ArrayLike, edges: tuple[float, float]) -> NDArray[np.int64]:
    """Number of the size of each mass: 0 small, 1 medium, 2 large.

    Args:
        diameters: of masses, ``(m,)``.
        edges: (small up to, medium up to), inclusive, in the same unit.

    Returns:
        int64 ``(m,)``, indices into ``SIZES``.

    Raises:
        DataError: a diameter that is not finite and above 0, or edges that do not rise.
    """
    low, high = edges
    if not 0 < low <= high < np.inf:
        msg = f"edges = {edges}: give two finite diameters above 0, the smaller first"
        raise DataError(msg)
    return np.searchsorted([low, high], _checked(diameters), side="left").astype(np.int64)


def _checked(diameters: ArrayLike) -> Values:
    values = np.asarray(diameters, dtype=np.float64)
    if values.ndim != 1 or not values.size or not (np.isfinite(values) & (values > 0)).all():
        msg = (
            f"diameters of shape {values.shape}: one finite number above 0 a mass needed; "
            "is a pixel spacing missing?"
        )
        raise DataError(msg)
    return values


def sensitivity_by_size(
    matches: Matches,
    patients: Patients,
    edges: tuple[float, float] | None = None,
    diameters: ArrayLike | None = None,
    rates: Sequence[float] = RATES,
    draws: int = 2_000,
    level: float = 0.95,
    seed: int = 0,
) -> pd.DataFrame:
    """Sensitivity of small, medium and large masses at equal false positives an image.

    A false positive belongs to no mass and counts for every size; a hit on a mass of another size
    counts as nothing.

    Args:
        matches: as judged.
        patients: the patient of each image, ``(images,)``.
        edges: (small up to, medium up to); the thirds of these masses if left out.
        diameters: of the masses, for example in mm, ``(m,)``; the square root of width times
            height in pixels if left out.
        rates: false positives an image.
        draws: number of resamples.
        level: coverage, between 0 and 1.
        seed: of the resampling.

    Returns:
        One row a size and rate, and one a size for the mean over rates (rate NaN): size, masses,
        above, up_to (ends of the size), rate, reached, sensitivity, low, high. A size without a
        mass has one row of NaN; one whose masses come from a single patient has no interval.

    Raises:
        DataError: no mass in any image, another number of diameters than masses, or as
            :func:`~mammostudy.evaluation.froc_intervals.sensitivity_table`.
    """
    some_mass(matches)
    across = box_diameters(matches.true_boxes) if diameters is None else _checked(diameters)
    if len(across) != len(matches.true_boxes):
        msg = f"{len(across)} diameters for {len(matches.true_boxes)} masses: give one a mass"
        raise DataError(msg)
    low, high = size_thirds(across) if edges is None else edges
    sizes = size_classes(across, (low, high))
    codes = patient_codes(patients, matches.images)
    ends = [(0.0, low), (low, high), (high, np.inf)]
    parts = []
    for number, (above, up_to) in enumerate(ends):
        chosen = sizes == number
        part = _one_size(matches.only(chosen), codes, patients, rates, draws, level, seed)
        part.insert(0, "size", SIZES[number])
        part.insert(1, "masses", int(chosen.sum()))
        part.insert(2, "above", above)
        part.insert(3, "up_to", up_to)
        parts.append(part)
    return pd.concat(parts, ignore_index=True)


def _one_size(
    matches: Matches,
    codes: NDArray[np.intp],
    patients: Patients,
    rates: Sequence[float],
    draws: int,
    level: float,
    seed: int,
) -> pd.DataFrame:
    holders = np.unique(codes[matches.true_image])
    if len(holders) > 1:
        return sensitivity_table(froc_of(matches), patients, rates, draws, level, seed)
    if not len(holders):
        row: dict[str, object] = {"rate": np.nan, "reached": False, "sensitivity": np.nan}
        return pd.DataFrame([row | {"low": np.nan, "high": np.nan}])
    curve = froc_of(matches)
    found = np.atleast_1d(curve.sensitivity_at(tuple(rates)))
    reached = curve.false_positives_per_image[-1] >= np.asarray(rates)
    return pd.DataFrame(
        {
            "rate": np.append(rates, np.nan),
            "reached": np.append(reached, reached.all()),
            "sensitivity": np.append(found, found.mean()),
            "low": np.nan,
            "high": np.nan,
        }
    )
