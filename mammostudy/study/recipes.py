"""Presets say how much is spent, variants say what is done: together they make a run's spec."""

from __future__ import annotations

from typing import Any, Final

from pydantic import BaseModel, ConfigDict

from mammostudy.data.descriptors import describe
from mammostudy.errors import SpecError
from mammostudy.runs.spec import BASELINES, Model, Optimiser, RunSpec

OFFICIAL: Final = ("cbis-ddsm",)


class Preset(BaseModel):
    """How much a run may cost.

    Attributes:
        size: side of the resized frame in pixels.
        width: filters of the generator's first layer.
        levels: its stride-2 levels.
        iterations: of training, whatever the cohort's size.
        folds: folds that the claims are judged on.
        seeds: seeds of the runs that claims rest on.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    size: int
    width: int
    levels: int
    iterations: int
    folds: tuple[int, ...]
    seeds: tuple[int, ...]


PRESETS: Final = {
    "smoke": Preset(size=64, width=4, levels=6, iterations=6, folds=(0,), seeds=(0,)),
    "quick": Preset(size=64, width=16, levels=6, iterations=200, folds=(0,), seeds=(0,)),
    "reference": Preset(
        size=128, width=16, levels=7, iterations=300, folds=(0, 1, 2), seeds=(0, 1, 2)
    ),
    "paper": Preset(
        size=256, width=32, levels=8, iterations=4200, folds=(0, 1, 2), seeds=(0, 1, 2)
    ),
}

_VARIANTS: Final[dict[str, dict[str, Any]]] = {
    "paper": {},
    "released": {
        "preprocessing": {"denoise_sigma": 0.0, "equalise": False, "value_range": "signed"},
        "model": {"channels": 3, "shared_batch_norm": True},
        "loss": {"overlap": "released_dice", "signed_masks": True},
    },
    "study": {
        "model": {"dropout_at_prediction": False},
        "loss": {"overlap": "dice_bce", "overlap_weight": 1.0, "adversarial_weight": 0.0},
        "optimiser": {"augment": True},
    },
}


def preset(name: str) -> Preset:
    """Return a preset by name.

    Raises:
        SpecError: there is none of that name; the message lists them.
    """
    if name not in PRESETS:
        msg = f"preset {name!r} is unknown; use one of {', '.join(PRESETS)}"
        raise SpecError(msg)
    return PRESETS[name]


def cohort_title(cohort: str) -> str:
    """Return how a page names a cohort."""
    return describe(cohort).title


def is_phantom(cohort: str) -> bool:
    """Whether a cohort is simulated."""
    return describe(cohort).phantom


def recipe(cohort: str, preset_name: str, variant: str = "paper", **changes: Any) -> RunSpec:
    """Return the spec of a variant within a preset's budget.

    Args:
        cohort: the cohort's name.
        preset_name: ``smoke``, ``quick``, ``reference`` or ``paper``.
        variant: ``paper`` (what the paper says), ``released`` (what its released code does) or
            ``study`` (what this study recommends).
        changes: fields to change afterwards, ``frame__scale=3.0`` for nested ones.

    Raises:
        SpecError: an unknown preset, variant or field.
    """
    spent = preset(preset_name)
    if variant not in _VARIANTS:
        msg = f"variant {variant!r} is unknown; use one of {', '.join(_VARIANTS)}"
        raise SpecError(msg)
    parts, facts = _VARIANTS[variant], describe(cohort)
    spec = RunSpec.model_validate(
        {
            "cohort": cohort,
            "variant": variant,
            "split": facts.split,
            "frame": {"size": spent.size, "truth": facts.truth},
            "preprocessing": parts.get("preprocessing", {}),
            "model": {"width": spent.width, "levels": spent.levels, **parts.get("model", {})},
            "loss": parts.get("loss", {}),
            "optimiser": {"iterations": spent.iterations, **parts.get("optimiser", {})},
        }
    )
    return spec.changed(**changes)


def folds_for(cohort: str, preset_name: str) -> tuple[int, ...]:
    """Return the folds that a preset runs; the official split of a cohort has one."""
    return (0,) if describe(cohort).official else preset(preset_name).folds


def baselines(spec: RunSpec) -> list[RunSpec]:
    """Return the baselines that need no training, on the frames and the split of a spec."""
    plain = RunSpec(
        cohort=spec.cohort,
        variant="baseline",
        split=spec.split,
        frame=spec.frame,
        preprocessing=spec.preprocessing,
        evaluation=spec.evaluation,
        model=Model(name="ellipse"),
        optimiser=Optimiser(iterations=0),
    )
    return [plain.changed(model__name=name) for name in BASELINES]


def folds_of(
    cohort: str, preset_name: str, variant: str = "paper", **changes: Any
) -> list[RunSpec]:
    """Return a variant's runs over the folds of a preset, each fold with a seed of its own."""
    return [
        recipe(cohort, preset_name, variant, split__fold=fold, seed=fold, **changes)
        for fold in folds_for(cohort, preset_name)
    ]


def replicates(
    cohort: str, preset_name: str, variant: str = "paper", **changes: Any
) -> list[RunSpec]:
    """Return :func:`folds_of`, and the first fold again with the preset's further seeds."""
    spent, folds = preset(preset_name), folds_for(cohort, preset_name)
    first = folds[0]
    again = [
        recipe(
            cohort,
            preset_name,
            variant,
            split__fold=first,
            seed=first + seed * len(folds),
            **changes,
        )
        for seed in spent.seeds
        if seed > 0
    ]
    return folds_of(cohort, preset_name, variant, **changes) + again


def headline(cohort: str, preset_name: str) -> list[RunSpec]:
    """Return the paper's model on loose frames, with every post-processing order measured."""
    return replicates(cohort, preset_name, evaluation__postprocessing="every")


def baselines_of(specs: list[RunSpec]) -> dict[str, list[RunSpec]]:
    """Return the baselines of some runs by name, each run once."""
    out: dict[str, list[RunSpec]] = {}
    for spec in specs:
        for baseline in baselines(spec):
            out.setdefault(baseline.model.name, []).append(baseline)
    return out
