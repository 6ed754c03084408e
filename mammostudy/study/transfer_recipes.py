"""Which runs tell how far a segmenter carries, and whether it knows when it is wrong."""

from __future__ import annotations

from typing import Final

from mammostudy.runs.spec import RunSpec
from mammostudy.study.recipes import baselines, folds_of, recipe

Named = dict[str, list[RunSpec]]
Pair = tuple[str, str]

SAMPLES: Final = {"smoke": 3, "quick": 16, "reference": 16, "paper": 32}
"""Draws of the dropout that is left on at prediction."""
COHORTS: Final = ("cdd-cesm", "cdd-cesm-cm", "phantom")
TESTED: Final = ("cdd-cesm", "cdd-cesm-cm")
_PRESETS: Final = ("reference", "paper")


def sampled(cohort: str, preset_name: str) -> list[RunSpec]:
    """Return the paper's model on loose frames, its dropout drawn several times, over the folds."""
    return folds_of(cohort, preset_name, evaluation__samples=SAMPLES[preset_name])


def crossed(preset_name: str) -> dict[Pair, RunSpec]:
    """Return the paper's model by the cohort that it learnt from and the one it is tested on.

    First fold; truth is the target mass everywhere. Empty where the preset has no room.

    Returns:
        (trained on, tested on) -> run; phantoms are learnt from, never tested on.
    """
    if preset_name not in _PRESETS:
        return {}
    return {
        (home, away): recipe(
            home,
            preset_name,
            frame__truth="target",
            evaluation__test_cohort="" if home == away else away,
        )
        for home in COHORTS
        for away in TESTED
    }


def crossed_ellipses(preset_name: str) -> dict[Pair, RunSpec]:
    """Return the ellipse inscribed in the known box on the same test masses, by the same pairs."""
    return {
        pair: next(each for each in baselines(spec) if each.model.name == "ellipse")
        for pair, spec in crossed(preset_name).items()
    }


def every(preset_name: str) -> list[RunSpec]:
    """Return every run between cohorts, each once."""
    runs = [*crossed(preset_name).values(), *crossed_ellipses(preset_name).values()]
    return list(dict.fromkeys(runs))
