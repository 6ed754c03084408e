"""Which shape runs pages ask for: one table of rows, each the paper's run with fields changed."""

from __future__ import annotations

from typing import Any, Final

from mammostudy.data.descriptors import TASKS, describe
from mammostudy.data.manifest import SHAPES
from mammostudy.figures.pictures import at_hand
from mammostudy.runs.kinds import BOTH, NETWORKS, SOURCES, TOOLS, ShapeSpec
from mammostudy.runs.spec import RunSpec
from mammostudy.study import recipes
from mammostudy.study.comparing import TRAINED_BY_PAGES

FOLDS: Final = TASKS["shape"].patients  # of each shape, one a fold at least
EPOCHS: Final = {"smoke": 1, "quick": 10, "reference": 50, "evidence": 50, "paper": 50}
PAPER: Final = "paper's CNN"
STUDY: Final = "study's CNN"
FOREST: Final = "random forest on features"
TOOL: Final = "tool"
AGAIN: Final = "again"  # second trainings of the paper's network, for the claims
GROUPS: Final = ("classifier", "changed", "source", "tool", "archive", "patients", AGAIN)
_STUDY: Final[dict[str, Any]] = {
    "input__placement": "square", "training__weighting": "inverse", "training__rotate": True,
    "training__learning_rate": 3e-4,
}  # fmt: skip
_GREY: Final = "CNN on the grey ROI"
_ON_BOXES: Final = ("logistic regression on ImageNet features", "logistic regression on the box")
_QUICK: Final = (PAPER, "SVM on features", FOREST, "gradient boosting on features", "majority")
_IN_SMOKE: Final = ("aspect kept", *(f"{source}, random forest" for source in SOURCES))
_OFFICIAL: Final[dict[str, Any]] = {"split__rule": "official"}
_TREES: Final[dict[str, Any]] = {"classifier": "random-forest"}
_BY_SOURCE: Final = {
    f"{source}, {kind}": {"input__source": source} | fields
    for kind, fields in (("random forest", _TREES), ("CNN", _STUDY))
    for source in (*SOURCES, BOTH[0], "both")
}
ROWS: Final[dict[str, dict[str, dict[str, Any]]]] = {
    "classifier": {
        PAPER: {},
        STUDY: {},
        "SVM on features": {"classifier": "svm"},
        FOREST: _TREES,
        "gradient boosting on features": {"classifier": "gradient-boosting"},
        "small ResNet": {"classifier": "resnet"},
        _GREY: {"classifier": "grey-cnn"},
        _ON_BOXES[0]: {"classifier": "grey-features", "input__placement": "square"},
        _ON_BOXES[1]: {"classifier": "box"},
        "majority": {"classifier": "majority"},
        "chance": {"classifier": "chance"},
    },
    "changed": {
        "no class weights": {"training__weighting": "none"},
        "inverse frequency": {"training__weighting": "inverse"},
        "effective number": {"training__weighting": "effective"},
        "focal, gamma 2": {"training__focal_gamma": 2.0},
        "aspect kept": {"input__placement": "square"},
        "scale kept": {"input__keep_scale": True},
        "rotations": {"training__rotate": True},
        "learning rate 3e-4": {"training__learning_rate": 3e-4},
    },
    "source": _BY_SOURCE,
    "tool": {
        "all tools": {},
        "polygon only": {"input__tool": "polygon"},
        "circle and ellipse only": {"input__tool": "other"},
        TOOL: {"target": "tool", "classes": TOOLS},
    },
    "archive": {PAPER: _OFFICIAL, STUDY: _OFFICIAL, FOREST: _OFFICIAL | _TREES},
    "patients": {
        f"{kind}, {share:.0%} of the patients": {"input__share": share} | fields
        for kind, fields in (("CNN", dict[str, Any]()), ("random forest", _TREES))
        for share in (0.125, 0.25, 0.5)
    },
    AGAIN: {PAPER: {}},
}
"""Group -> row -> what is changed of the paper's run, or of the study's."""
_VARIANTS: Final = {STUDY: "study"} | dict.fromkeys(
    (PAPER, "all tools", "polygon only", "circle and ellipse only"), "paper"
)


def classes_of(cohort: str) -> tuple[str, ...]:
    """Return the shapes that a page on a cohort tells apart; none where it has no two of them.

    Where the descriptor does not say, a shape counts from as many patients on as there are folds.
    """
    if known := describe(cohort).classes:
        return known
    if (loaded := at_hand(cohort)) is None:
        return SHAPES
    patients = loaded.masses.groupby("shape")["patient"].nunique()
    found = tuple(shape for shape in SHAPES if patients.get(shape, 0) >= FOLDS)
    return found if len(found) > 1 else ()


def outlines_only(cohort: str) -> bool:
    """Whether the masks of a page on a cohort are outlines as drawn, without pixels."""
    return not describe(describe(cohort).shapes).images


def segmenters(cohort: str, preset: str) -> tuple[RunSpec, ...]:
    """Return the runs whose masks a page on a cohort classifies; none: the masks as drawn.

    For phantoms it is a segmenter of other phantoms: the study's, in small presets the paper's on
    loose frames, which other pages train anyway; for boxes of films three folds of another cohort.
    Else every fold's segmenter marks the patients it has not seen; small presets train no such
    folds, and an official split has one, so that nobody would mark its training patients.
    """
    facts, small = describe(cohort), preset in TRAINED_BY_PAGES
    if facts.masks:
        evidence = recipes.replicates(str(facts.segmenter), "evidence", "study")
        return () if small else tuple(evidence[:3])
    if facts.segmenter and small:
        return tuple(recipes.headline(facts.segmenter, preset)[:1])
    if facts.segmenter:
        return (recipes.recipe(facts.segmenter, preset, "study"),)
    if small or facts.official or outlines_only(cohort):
        return ()
    first = recipes.recipe(cohort, preset, "study")
    return tuple(first.changed(split__fold=f, seed=f) for f in range(first.split.folds))


def shape_recipe(cohort: str, preset: str, variant: str = "paper", **changes: Any) -> ShapeSpec:
    """Return the shape run of a variant within a preset's budget, first fold.

    A variant is ``paper``, ``study`` (what this study recommends: the aspect kept, rotations,
    inverse class weights, a smaller step) or ``alternative``; ``input__source="truth"`` changes a
    nested field.
    """
    recipes.preset(preset)
    facts, runs = describe(cohort), segmenters(cohort, preset)
    source = facts.masks or ("segmenter" if runs else "truth")
    changes = {"input__source": source, "evaluation__sources": (source,)} | changes
    spec = ShapeSpec.parse(
        {
            "cohort": facts.shapes,
            "classes": classes_of(cohort),
            "split": {"folds": FOLDS},
            "training": {"epochs": EPOCHS[preset]},
            "segmenter": runs if "segmenter" in changes["evaluation__sources"] else (),
        }
    )
    return spec.changed(variant=variant, **(_STUDY if variant == "study" else {}) | changes)


def rows_of(cohort: str, preset: str, group: str) -> dict[str, list[ShapeSpec]]:
    """Return the runs of a group by row, one a fold with a seed of its own; none without shapes.

    The first fold of this study's network (in quick pages: of the paper's) explains itself.
    """
    named, outlines, facts = dict(ROWS[group]), outlines_only(cohort), describe(cohort)
    large = facts.official and preset not in TRAINED_BY_PAGES
    useful = {"tool": outlines, "source": bool(segmenters(cohort, preset))}
    useful |= dict.fromkeys(("archive", "patients", AGAIN), large)
    asked = useful.get(group, True) and (preset != "quick" or group == "classifier")
    if not classes_of(cohort) or not asked:
        return {}
    for row in (_GREY,) * outlines + _ON_BOXES * (not (facts.masks and large)):
        named.pop(row, None)
    if group == "source":
        learnt, tested = ((*BOTH, "both"), BOTH) if facts.masks else (SOURCES, SOURCES)
        named = {row: x for row, x in named.items() if x["input__source"] in learnt}
        named = {row: x | {"evaluation__sources": tested} for row, x in named.items()}
    if preset == "quick":
        named = {row: named[row] for row in _QUICK}
    if preset == "smoke" and group in ("changed", "source"):
        named = {row: named[row] for row in named if row in _IN_SMOKE}
    most = 1 if group == "archive" else 2 if preset == "smoke" else FOLDS
    later = FOLDS * (group == AGAIN)
    out = {}
    for row, changes in named.items():
        variant = _VARIANTS.get(row, "alternative")
        beside = variant == "alternative" and changes.get("classifier", "cnn") in NETWORKS
        folds = 1 if preset == "smoke" and beside and row != TOOL else most
        out[row] = [
            shape_recipe(cohort, preset, variant, split__fold=fold, seed=fold + later, **changes)
            for fold in range(folds)
        ]
    if explained := out.get(STUDY) or out.get(PAPER):
        explained[0] = explained[0].changed(evaluation__explain=True)
    return out
