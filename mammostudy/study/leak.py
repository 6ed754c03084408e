"""What a leak is worth: the same model under folds by patient and under folds by image.

Folds by image deal out the views of a patient one by one, so that a model is tested on patients it
has learnt from. These are the only runs of the study that do so, and their specs, records and
labels say it. Every mass is tested once under each kind of fold, so the comparison is paired.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from mammostudy.runs.shape_spec import ShapeSpec
from mammostudy.runs.spec import RunSpec
from mammostudy.study import recipes, shape_recipes
from mammostudy.study.tables import TRAINED_BY_PAGES

UNITS: Final = ("patient", "image")
MODEL: Final = "cGAN"
NULL: Final = "ellipse"
SHAPES: Final = shape_recipes.FOREST
SEEDS: Final = 2
_SMALL: Final[dict[str, Any]] = {
    "split__folds": 2,
    "split__train_site": None,
    "frame__size": 64,
    "model__levels": 6,
    "evaluation__boxes": ("oracle",),
}
Named = dict[str, list[RunSpec]]


def _by_patient(cohort: str, preset: str) -> list[RunSpec]:
    """Return the paper's model on loose frames, all folds by patient, first seeds first.

    Small presets take two folds of small frames: every mass must be tested, at little cost.
    """
    if preset in TRAINED_BY_PAGES:
        spec = recipes.recipe(cohort, preset, **_SMALL)
        return [spec.changed(split__fold=fold, seed=fold) for fold in range(spec.split.folds)]
    main = recipes.headline(cohort, preset)
    folds = main[0].split.folds
    again = [
        recipes.recipe(cohort, preset, split__fold=fold, seed=fold + seed * folds)
        for seed in range(1, SEEDS)
        for fold in range(folds)
    ]
    known = {(spec.split, spec.seed): spec for spec in main}  # their masks are on record already
    return main[:folds] + [known.get((spec.split, spec.seed), spec) for spec in again]


def by_image(spec: RunSpec) -> RunSpec:
    """Return the same run under folds by image: LEAKY, for this page alone."""
    return spec.changed(
        split__unit="image",
        evaluation__boxes=("oracle",),
        evaluation__postprocessing="published",
    )


def segmenters(cohort: str, preset: str) -> Named:
    """Return the model's runs by unit of the folds."""
    honest = _by_patient(cohort, preset)
    return {"patient": honest, "image": [by_image(spec) for spec in honest]}


def nulls(cohort: str, preset: str) -> Named:
    """Return the ellipse in the known box by unit: nothing is trained, so nothing can leak."""
    folds = recipes.recipe(cohort, preset, **_small(preset)).split.folds
    return {
        unit: [run for spec in runs[:folds] for run in recipes.baselines(_plain(spec))[1:2]]
        for unit, runs in segmenters(cohort, preset).items()
    }


def _small(preset: str) -> Mapping[str, Any]:
    return _SMALL if preset in TRAINED_BY_PAGES else {}


def _plain(spec: RunSpec) -> RunSpec:
    return spec.changed(evaluation__postprocessing="published")


def classifiers(cohort: str, preset: str) -> dict[str, list[ShapeSpec]]:
    """Return the forest on shape features by unit of the folds.

    Empty but for cohorts of outlines: a phantom crop is the only one of its patient, and masks of
    segmenters would bring in what the segmenter has seen.
    """
    if not shape_recipes.outlines_only(cohort):
        return {}
    honest = shape_recipes.rows_of(cohort, preset, "classifier")[SHAPES]
    return {"patient": honest, "image": [run.changed(split__unit="image") for run in honest]}


def specs(cohort: str, preset: str) -> list[RunSpec | ShapeSpec]:
    """Return every run that the chapter shows."""
    grids: Sequence[Mapping[str, Sequence[RunSpec | ShapeSpec]]] = (
        segmenters(cohort, preset),
        nulls(cohort, preset),
        classifiers(cohort, preset),
    )
    return list(dict.fromkeys(run for grid in grids for runs in grid.values() for run in runs))
