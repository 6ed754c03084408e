"""What a detector did on the test views of its folds: found masses, false positives, intervals.

A threshold of the score is chosen on the validation views of each fold, where it gives one false
positive a view by the rule of the page, and used on that fold's test views. Curves need none: they
go through all thresholds, over the folds' scores as they are.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Final

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from mammostudy.evaluation.boxes import Matches
from mammostudy.evaluation.detection import BoxPrecision, average_precision_ci, precision_of
from mammostudy.evaluation.froc_curves import Froc, false_positives_by_image, froc_of
from mammostudy.evaluation.froc_intervals import sensitivity_table
from mammostudy.evaluation.statistics import bootstrap_ci
from mammostudy.runs.detection_rows import COCO, HEADLINE, matches_of
from mammostudy.runs.record import Record

OPERATING: Final = 1.0
"""False positives a view, on validation, at which a detector is used."""
DRAWS: Final = 2_000
AP50_RULE: Final = COCO[0]
Names = NDArray[np.str_]
Flags = NDArray[np.bool_]
Values = NDArray[np.float64]


@dataclass(frozen=True)
class Judged:
    """One detector on the test views of its folds.

    Attributes:
        name: its row.
        records: a record a fold.
        outdone: keys of records that a longer training of the same detector, or they themselves
            as the longer one, show to have had more to learn
            (:mod:`mammostudy.study.detect_convergence`).
    """

    name: str
    records: tuple[Record, ...]
    outdone: frozenset[str] = frozenset()
    _kept: dict[tuple[str, str], Matches] = field(default_factory=dict, compare=False, repr=False)

    @cached_property
    def rows(self) -> pd.DataFrame:
        """The test rows of all folds, with ``fold``; views differ between folds."""
        parts = [r.part("test").assign(fold=r.spec.split.fold) for r in self.records]
        return pd.concat(parts, ignore_index=True)

    @cached_property
    def views(self) -> pd.DataFrame:
        """The rows of views, in the order in which matches count them."""
        return self.rows[self.rows["row"] == "view"].reset_index(drop=True)

    @property
    def patients(self) -> Names:
        """The patient of each view."""
        return self.views["patient"].to_numpy(str)

    @property
    def folds(self) -> tuple[int, ...]:
        """Numbers of the folds that were tested."""
        return tuple(record.spec.split.fold for record in self.records)

    @property
    def settled(self) -> str:
        """Whether it converged: ``yes``, ``no``, ``1 of 3``, ``no training`` or ``diverged``."""
        if any(record.status == "diverged" for record in self.records):
            return "diverged"
        flags = [
            record.converged and record.key not in self.outdone
            for record in self.records
            if record.converged is not None
        ]
        if not flags:
            return "no training"
        if all(flags) or not any(flags):
            return "yes" if all(flags) else "no"
        return f"{sum(flags)} of {len(flags)}"

    @property
    def minutes(self) -> float:
        """Core-minutes of training: seconds times threads, the mean over the folds."""
        spent = [
            record.provenance["training_seconds"]
            * int(record.provenance.get("machine", {}).get("threads", 1))
            for record in self.records
        ]
        return float(np.mean(spent)) / 60

    def matches(self, rule: str = HEADLINE, repeats: str = "ignore") -> Matches:
        """Return the matches of all test views."""
        if (rule, repeats) not in self._kept:
            self._kept[rule, repeats] = matches_of(self.rows, rule, repeats)
        return self._kept[rule, repeats]

    def curve(self, rule: str = HEADLINE) -> Froc:
        """Return the FROC curve of all test views."""
        return froc_of(self.matches(rule))

    def precision(self, rules: Sequence[str] = (AP50_RULE,)) -> BoxPrecision:
        """Return the average precision over rules by IoU; repeats are false positives."""
        return precision_of([self.matches(rule, "false_positive") for rule in rules])

    @cached_property
    def thresholds(self) -> dict[int, float]:
        """Fold -> the score with one false positive a view on its validation views."""
        return {
            record.spec.split.fold: froc_of(matches_of(record.part("validation"))).threshold_at(
                OPERATING
            )
            for record in self.records
        }

    @cached_property
    def threshold_of_view(self) -> Values:
        """The threshold that holds for each view."""
        return np.array([self.thresholds[int(fold)] for fold in self.views["fold"]], np.float64)

    def found(self, rule: str = HEADLINE) -> Flags:
        """Whether each mass is found at the operating threshold."""
        matches = self.matches(rule)
        needed = self.threshold_of_view[matches.true_image]
        return np.asarray((matches.found_by >= 0) & (matches.found_score >= needed))

    def false_positives(self, rule: str = HEADLINE) -> NDArray[np.int64]:
        """False positives of each view at the operating threshold."""
        matches = self.matches(rule)
        out = np.zeros(matches.images, np.int64)
        for fold, threshold in self.thresholds.items():
            mine = (self.views["fold"] == fold).to_numpy()
            out[mine] = false_positives_by_image(matches, threshold)[mine]
        return out

    @cached_property
    def mass_patients(self) -> Names:
        """The patient of each mass."""
        return self.patients[self.matches().true_image]


def judged(
    name: str, records: Sequence[Record], outdone: frozenset[str] = frozenset()
) -> Judged | None:
    """Return a detector's rows; None without a record."""
    return Judged(name, tuple(records), outdone) if records else None


def share(flags: NDArray[Any], patients: Names) -> tuple[float, float, float]:
    """Return a mean over cases with its 95 % interval over patients; NaN without a case."""
    if not len(flags):
        return np.nan, np.nan, np.nan
    values = np.asarray(flags, dtype=np.float64)
    low, high = bootstrap_ci(values, patients, draws=DRAWS)
    return float(values.mean()), low, high


def scores(detector: Judged, rule: str = HEADLINE) -> dict[str, Any]:
    """Score a detector on its test views, with 95 % intervals over patients.

    Returns:
        ``at_one`` (sensitivity at 1 false positive a view of the test curve), ``mean`` (over the
        seven rates), ``ap50``, ``map``, ``accuracy`` (masses found at the threshold chosen on
        validation), ``false`` (false positives a view there), each also with ``_low`` and
        ``_high``; ``masses``, ``views``, ``patients``, ``folds``, ``minutes``, ``converged``.
    """
    table = sensitivity_table(detector.curve(rule), detector.patients, draws=DRAWS)
    at_one = table[table["rate"] == OPERATING].iloc[0]
    mean = table[table["rate"].isna()].iloc[0]
    out: dict[str, Any] = {"row": detector.name}
    ends = {
        "at_one": tuple(at_one[["sensitivity", "low", "high"]]),
        "mean": tuple(mean[["sensitivity", "low", "high"]]),
        "ap50": _average(detector, (AP50_RULE,)),
        "map": _average(detector, COCO),
        "accuracy": share(detector.found(rule), detector.mass_patients),
        "false": share(detector.false_positives(rule), detector.patients),
    }
    for name, (value, low, high) in ends.items():
        out |= {name: float(value), f"{name}_low": float(low), f"{name}_high": float(high)}
    return out | {
        "masses": len(detector.mass_patients),
        "views": len(detector.views),
        "patients": len(set(detector.patients)),
        "folds": len(detector.folds),
        "minutes": detector.minutes,
        "converged": detector.settled,
    }


def _average(detector: Judged, rules: Sequence[str]) -> tuple[float, float, float]:
    precision = detector.precision(rules)
    return precision.value, *average_precision_ci(precision, detector.patients, draws=DRAWS)
