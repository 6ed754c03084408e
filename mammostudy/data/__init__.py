"""Cohorts: sources, manifests, splits and the way from a row to an array."""

from mammostudy._lazy import attach

__all__ = ["Cohort", "Sample", "load_cohort"]
__getattr__, __dir__ = attach(
    __name__, {"Cohort": ".cohort", "Sample": ".cohort", "load_cohort": ".load"}
)
