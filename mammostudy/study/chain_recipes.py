"""Which chains a page asks for: the paper's, this study's, and one end replaced by a baseline."""

from __future__ import annotations

from typing import Final

from mammostudy.runs.chain_spec import ChainSpec
from mammostudy.runs.shape_spec import ShapeSpec
from mammostudy.runs.spec import RunSpec
from mammostudy.study import detect_recipes, shape_recipes
from mammostudy.study.detect_recipes import detect_cohort
from mammostudy.study.recipes import baselines, is_phantom, recipe

PAPER: Final = "paper's chain"
STUDY: Final = "study's chain"
PRIOR: Final = "fixed prior box"
ELLIPSE: Final = "ellipse in the box"
BASELINE_SEGMENTER: Final = "ellipse"
ARMS: Final = (PAPER, STUDY, PRIOR, ELLIPSE)
OPERATING: Final = 1.0  # false positives a view on validation
Named = dict[str, list[ChainSpec]]


def shapes_of(cohort: str, preset_name: str, variant: str) -> tuple[ShapeSpec, ...]:
    """Return the classifiers that end a chain; none where the cohort has no two shapes.

    Phantom crops are of other patients than the mammograms: one classifier is enough. On other
    cohorts all folds are needed, so that each patient meets one that has not seen her.
    """
    folds = shape_recipes.headline(cohort, preset_name)[variant]
    return tuple(folds[:1] if is_phantom(cohort) else folds)


def chain(cohort: str, preset_name: str, arm: str, fold: int = 0) -> ChainSpec:
    """Return the chain of an arm on one fold.

    Args:
        cohort: the page's cohort.
        preset_name: ``smoke``, ``quick``, ``reference`` or ``paper``.
        arm: one of :data:`ARMS`.
        fold: of those that claims are judged on.
    """
    of_paper = arm == PAPER
    variant = "paper" if of_paper else "study"
    at = folds(cohort, preset_name).index(fold)
    detectors = detect_recipes.priors if arm == PRIOR else detect_recipes.headline
    segmenter: RunSpec = recipe(cohort, preset_name, variant, split__fold=fold, seed=fold)
    if of_paper:  # the headline runs of the other chapters
        segmenter = segmenter.changed(evaluation__postprocessing="every")
    if arm == ELLIPSE:
        segmenter = next(
            each for each in baselines(segmenter) if each.model.name == BASELINE_SEGMENTER
        )
    return ChainSpec.parse(
        {
            "cohort": detect_cohort(cohort),
            "variant": "baseline" if arm in (PRIOR, ELLIPSE) else variant,
            "detector": detectors(cohort, preset_name)[at].model_dump(),
            "segmenter": segmenter.model_dump(),
            "shapes": [each.model_dump() for each in shapes_of(cohort, preset_name, variant)],
            "postprocessing": "published" if of_paper else "chosen",
            "operating": OPERATING,
        }
    )


def folds(cohort: str, preset_name: str) -> list[int]:
    """Return the folds that the page's detectors are trained on."""
    return [run.split.fold for run in detect_recipes.headline(cohort, preset_name)]


def every(cohort: str, preset_name: str) -> Named:
    """Return the chains of every arm over the folds."""
    return {
        arm: [chain(cohort, preset_name, arm, fold) for fold in folds(cohort, preset_name)]
        for arm in ARMS
    }
