"""Which runs tell what the adversary is worth, and what lies between the released code and ours."""

from __future__ import annotations

from typing import Any, Final

from mammostudy.runs.spec import RunSpec
from mammostudy.study.recipes import folds_for, headline, recipe, replicates

Named = dict[str, list[RunSpec]]

PAPER_WEIGHT: Final = 150.0
WEIGHTS: Final = (1.0, 10.0, PAPER_WEIGHT, 1000.0)
"""The values of lambda, the weight of the overlap loss beside an adversary of weight 1."""
PLAIN: Final = "no adversary"
_PRESETS: Final = ("quick", "reference", "paper")
_LADDER_PRESETS: Final = ("reference", "paper")


def weight_name(weight: float) -> str:
    """Name the row of a value of lambda."""
    return f"lambda {weight:g}"


def weights(cohort: str, preset_name: str) -> Named:
    """Return the runs by lambda on loose frames, and the generator without adversary.

    First fold, with every seed of the preset; those of the paper's lambda and without adversary
    are the runs of the chapter on losses. Empty where the preset has no room.
    """
    if preset_name not in _PRESETS:
        return {}
    first = folds_for(cohort, preset_name)[0]

    def of_first(specs: list[RunSpec]) -> list[RunSpec]:
        return [spec for spec in specs if spec.split.fold == first]

    paper = of_first(headline(cohort, preset_name))
    seeds = [spec.seed for spec in paper]

    out = {
        weight_name(weight): [
            recipe(cohort, preset_name, split__fold=first, seed=seed, loss__overlap_weight=weight)
            for seed in seeds
        ]
        for weight in WEIGHTS
        if weight != PAPER_WEIGHT
    }
    out[weight_name(PAPER_WEIGHT)] = paper
    out[PLAIN] = of_first(replicates(cohort, preset_name, loss__adversarial_weight=0.0))
    return {name: out[name] for name in (*map(weight_name, WEIGHTS), PLAIN)}


_TO_PAPER: Final[tuple[tuple[str, dict[str, Any]], ...]] = (
    ("Dice of probabilities and 0/1 masks", {"loss__overlap": "dice"}),
    ("0/1 masks before the discriminator", {"loss__signed_masks": False}),
    ("a batch norm of its own for each layer", {"model__shared_batch_norm": False}),
    ("one channel in and out", {"model__channels": 1}),
    ("pixels in [0, 1]", {"preprocessing__value_range": "unit"}),
    ("histogram equalised", {"preprocessing__equalise": True}),
)
_TO_STUDY: Final[tuple[tuple[str, dict[str, Any]], ...]] = (
    ("no dropout at prediction", {"model__dropout_at_prediction": False}),
    ("no adversary", {"loss__adversarial_weight": 0.0}),
    ("Dice plus cross-entropy", {"loss__overlap": "dice_bce", "loss__overlap_weight": 1.0}),
)
RELEASED: Final = "as released"
PAPER: Final = "noise removed: as the paper says"
STUDY: Final = "flips and quarter turns: as this study recommends"


def ladder(cohort: str, preset_name: str) -> Named:
    """Return the rungs from ``released`` over ``paper`` to ``study``, each one field on.

    First fold, one seed. The rung that completes the paper's recipe is the paper's own run, the
    last one the study's. Empty where the preset has no room.
    """
    if preset_name not in _LADDER_PRESETS:
        return {}
    spec = recipe(cohort, preset_name, "released")
    out = {RELEASED: [spec]}
    for name, change in _TO_PAPER:
        spec = spec.changed(**change, variant="alternative")
        out[name] = [spec]
    out[PAPER] = [headline(cohort, preset_name)[0]]
    spec = recipe(cohort, preset_name)
    for name, change in _TO_STUDY:
        spec = spec.changed(**change, variant="alternative")
        out[name] = [spec]
    return out | {STUDY: [recipe(cohort, preset_name, "study")]}


def every(cohort: str, preset_name: str) -> list[RunSpec]:
    """Return every run of the chapter on the adversary, each once."""
    named = [weights(cohort, preset_name), ladder(cohort, preset_name)]
    return list(dict.fromkeys(spec for part in named for specs in part.values() for spec in specs))
