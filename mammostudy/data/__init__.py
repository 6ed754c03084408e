"""Cohorts: sources, manifests, splits and the way from a row to an array."""

from lazy_loader import attach

__getattr__, __dir__, __all__ = attach(
    __name__, submod_attrs={"cohort": ["Cohort", "Sample"], "load": ["load_cohort"]}
)
