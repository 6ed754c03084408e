"""Which shape runs a page asks for: the paper's classifier, this study's, and others beside."""

from __future__ import annotations

from typing import Any, Final

from mammostudy.data.load import load_cohort
from mammostudy.data.manifest import SHAPES
from mammostudy.errors import MissingDataError, SpecError
from mammostudy.runs.shape_spec import NETWORKS, SOURCES, TOOLS, ShapeSpec
from mammostudy.runs.spec import RunSpec
from mammostudy.study import words
from mammostudy.study.recipes import OFFICIAL, is_phantom, preset, recipe

FOLDS: Final = 5
OUTLINES: Final = {"cdd-cesm": "cdd-cesm-contours", "cdd-cesm-cm": "cdd-cesm-contours-cm"}
EPOCHS: Final = {"smoke": 1, "quick": 10, "reference": 50, "paper": 50}
PUBLISHED_EPOCHS: Final = 50
_FOLDS: Final = {"smoke": 2, "quick": FOLDS, "reference": FOLDS, "paper": FOLDS}
_FEWER: Final = {"smoke": 1, "quick": 1, "reference": FOLDS, "paper": FOLDS}
Named = dict[str, list[ShapeSpec]]

PAPER: Final = "paper"
STUDY: Final = "study"
_VARIANTS: Final[dict[str, dict[str, Any]]] = {
    PAPER: {},
    STUDY: {
        "input": {"placement": "square"},
        "training": {"weighting": "inverse", "rotate": True, "learning_rate": 3e-4},
    },
}
FOREST: Final = "random forest on features"
ALTERNATIVES: Final = {
    "SVM on features": "svm",
    FOREST: "random-forest",
    "gradient boosting on features": "gradient-boosting",
    "small ResNet": "resnet",
    "CNN on the grey ROI": "grey-cnn",
    "majority": "majority",
    "chance": "chance",
}
ABLATIONS: Final[dict[str, dict[str, Any]]] = {
    "no class weights": {"training__weighting": "none"},
    "inverse frequency": {"training__weighting": "inverse"},
    "effective number": {"training__weighting": "effective"},
    "focal, gamma 2": {"training__focal_gamma": 2.0},
    "aspect kept": {"input__placement": "square"},
    "scale kept": {"input__keep_scale": True},
    "rotations": {"training__rotate": True},
    "learning rate 3e-4": {"training__learning_rate": 3e-4},
}
TOOL_ROWS: Final = {
    "all tools": "any",
    "polygon only": "polygon",
    "circle and ellipse only": "other",
}
TOOL: Final = "tool"


def budget(preset_name: str) -> str:
    """Say how long the networks of a preset are trained, against the paper.

    Raises:
        SpecError: there is no preset of that name.
    """
    preset(preset_name)
    epochs, folds, fewer = EPOCHS[preset_name], _FOLDS[preset_name], _FEWER[preset_name]
    full = epochs == PUBLISHED_EPOCHS
    cut = "as published" if full else f"cut from the {PUBLISHED_EPOCHS} published"
    some = "" if fewer == folds else f"; other networks on {fewer} of them"
    return (
        f"Networks of shapes are trained for {words.count(epochs, 'epoch')} a fold, {cut}, on "
        f"{'all' if folds == FOLDS else f'{folds} of'} {FOLDS} folds{some}."
    )


def shape_cohort(cohort: str) -> str:
    """Return the cohort whose masks a page on a cohort classifies.

    Phantoms have crops of their own, of patients that no segmenter has seen; CDD-CESM has outlines
    of which most come without pixels. Any other cohort brings its own shapes.
    """
    if is_phantom(cohort):
        return "phantom-shapes"
    return OUTLINES.get(cohort, cohort)


def classes_of(cohort: str) -> tuple[str, ...]:
    """Return the shapes that a page on a cohort tells apart; none where it has no two of them.

    A shape counts from as many patients on as there are folds. CDD-CESM knows no lobular masses.
    """
    if cohort in OUTLINES:
        return tuple(shape for shape in SHAPES if shape != "lobular")
    if is_phantom(cohort):
        return SHAPES
    try:
        masses = load_cohort(cohort).masses
    except MissingDataError:
        return SHAPES
    patients = masses.groupby("shape")["patient"].nunique()
    found = tuple(shape for shape in SHAPES if patients.get(shape, 0) >= FOLDS)
    return found if len(found) > 1 else ()


def segmenters(cohort: str, preset_name: str) -> tuple[RunSpec, ...]:
    """Return the runs whose masks a page on a cohort classifies; none where pixels are missing.

    For phantoms it is the study's segmenter of the phantom mammograms, whose patients are others;
    for a cohort of its own masses, every fold's segmenter marks the patients it has not seen. An
    official split has one fold, so that nobody marks its training patients: none either.
    """
    if cohort in (*OUTLINES, *OFFICIAL):
        return ()
    if is_phantom(cohort):
        return (recipe("phantom", preset_name, "study"),)
    folds = range(recipe(cohort, preset_name, "study").split.folds)
    return tuple(
        recipe(cohort, preset_name, "study", split__fold=fold, seed=fold) for fold in folds
    )


def shape_recipe(cohort: str, preset_name: str, variant: str = PAPER, **changes: Any) -> ShapeSpec:
    """Return the shape run of a variant within a preset's budget, first fold.

    Args:
        cohort: the page's cohort.
        preset_name: ``smoke``, ``quick``, ``reference`` or ``paper``.
        variant: ``paper`` (what the paper says) or ``study`` (what this study recommends: the
            aspect kept, rotations, inverse class weights, a smaller step).
        changes: fields to change afterwards, ``input__source="truth"`` for nested ones.

    Raises:
        SpecError: an unknown preset, variant or field.
    """
    preset(preset_name)
    if variant not in _VARIANTS:
        msg = f"shape variant {variant!r} is unknown; use one of {', '.join(_VARIANTS)}"
        raise SpecError(msg)
    parts = _VARIANTS[variant]
    runs = segmenters(cohort, preset_name)
    source = "segmenter" if runs else "truth"
    spec = ShapeSpec.parse(
        {
            "cohort": shape_cohort(cohort),
            "variant": variant,
            "classes": classes_of(cohort),
            "split": {"rule": "official"} if cohort in OFFICIAL else {"folds": FOLDS},
            "input": {"source": source, **parts.get("input", {})},
            "training": {"epochs": EPOCHS[preset_name], **parts.get("training", {})},
            "evaluation": {"sources": (source,)},
            "segmenter": runs,
        }
    )
    return spec.changed(**changes)


def shape_folds(
    cohort: str, preset_name: str, variant: str = PAPER, *, folds: int | None = None, **changes: Any
) -> list[ShapeSpec]:
    """Return a variant's runs over the folds, each with a seed of its own; none without shapes.

    Args:
        cohort: the page's cohort.
        preset_name: of the page.
        variant: ``paper`` or ``study``.
        folds: how many of the five; default those of the preset (all but in ``smoke``).
        changes: as for :func:`shape_recipe`.
    """
    preset(preset_name)
    if not classes_of(cohort):
        return []
    asked = range(_FOLDS[preset_name] if folds is None else folds)
    return [
        shape_recipe(cohort, preset_name, variant, split__fold=fold, seed=fold, **changes)
        for fold in (asked[:1] if cohort in OFFICIAL else asked)
    ]


def headline(cohort: str, preset_name: str) -> Named:
    """Return the paper's classifier and this study's; the study's first fold explains itself."""
    study = shape_folds(cohort, preset_name, STUDY)
    study[:1] = [spec.changed(evaluation__explain=True) for spec in study[:1]]
    return {PAPER: shape_folds(cohort, preset_name), STUDY: study}


def alternatives(cohort: str, preset_name: str) -> Named:
    """Return what stands beside the paper's classifier in the accuracy table.

    Networks get fewer folds in small presets; the CNN on pixels is left out where there are none.
    """
    preset(preset_name)
    named = {}
    for row, classifier in ALTERNATIVES.items():
        folds = min(_FEWER[preset_name], _FOLDS[preset_name]) if classifier in NETWORKS else None
        runs = shape_folds(cohort, preset_name, folds=folds, classifier=classifier)
        if classifier == "grey-cnn" and cohort in OUTLINES:
            runs = []
        named[row] = [run.changed(variant="alternative") for run in runs]
    return named


def ablations(cohort: str, preset_name: str) -> Named:
    """Return the paper's classifier with one field changed each."""
    preset(preset_name)
    folds = _FEWER[preset_name]
    chosen = dict(list(ABLATIONS.items())[-4:-3]) if preset_name == "smoke" else ABLATIONS
    return {
        row: [
            run.changed(variant="alternative")
            for run in shape_folds(cohort, preset_name, folds=folds, **changes)
        ]
        for row, changes in chosen.items()
    }


def cross(cohort: str, preset_name: str) -> Named:
    """Return classifiers by the source of their training masks, each tested on every source.

    A random forest on features, all folds, is quick; the paper's CNN follows with fewer folds in
    small presets. Empty where only one source is at hand for all patients.
    """
    if cohort in (*OUTLINES, *OFFICIAL) or not classes_of(cohort):
        return {}
    named = {}
    for source in SOURCES:
        changes: dict[str, Any] = {
            "input__source": source,
            "evaluation__sources": SOURCES,
        }
        forest = shape_folds(cohort, preset_name, classifier="random-forest", **changes)
        named[f"{source}, random forest"] = [run.changed(variant="alternative") for run in forest]
    for source in SOURCES if preset_name != "smoke" else ():
        changes = {"input__source": source, "evaluation__sources": SOURCES}
        nets = shape_folds(cohort, preset_name, STUDY, folds=_FEWER[preset_name], **changes)
        named[f"{source}, CNN"] = [run.changed(variant="alternative") for run in nets]
    return named


def tools(cohort: str, preset_name: str) -> Named:
    """Return classifiers by the drawing tool they learn from, and the classifier of the tool."""
    if cohort not in OUTLINES:
        return {}
    named = {
        row: shape_folds(cohort, preset_name, input__tool=tool) for row, tool in TOOL_ROWS.items()
    }
    named[TOOL] = [
        run.changed(target="tool", classes=TOOLS, variant="alternative")
        for run in shape_folds(cohort, preset_name)
    ]
    return named
