"""Cohorts: sources, manifests, splits and the way from a row to an array."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mammostudy._lazy import attach

if TYPE_CHECKING:
    from mammostudy.data.cohort import Cohort, Sample, load_cohort

__all__ = ["Cohort", "Sample", "load_cohort"]
__getattr__, __dir__ = attach(
    __name__, {"Cohort": ".cohort", "Sample": ".cohort", "load_cohort": ".cohort"}
)
