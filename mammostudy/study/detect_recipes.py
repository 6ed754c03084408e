"""Which detection runs a page asks for, and how much each detector may cost."""

from __future__ import annotations

from typing import Any, Final

from mammostudy.data.descriptors import describe
from mammostudy.errors import SpecError
from mammostudy.runs.detect_spec import PRIOR, PYRAMIDS, SSDS, DetectSpec
from mammostudy.study.recipes import folds_for, is_phantom, preset, recipe

Named = dict[str, list[DetectSpec]]

SSD300: Final = "SSD300, VGG16"
LIGHT: Final = "SSD, light trunk"
LITE: Final = "SSDlite, MobileNetV3"
FASTER: Final = "Faster R-CNN"
RETINA: Final = "RetinaNet"
FCOS: Final = "FCOS"
SSD300_NORM: Final = "SSD300, batch norm"
PRIOR_ROW: Final = "fixed prior box"
DETECTORS: Final = {
    SSD300: "ssd300-vgg16",
    LIGHT: "ssd-light",
    LITE: "ssdlite-mobilenetv3",
    FASTER: "faster-rcnn",
    RETINA: "retinanet",
    FCOS: "fcos",
}
VARIED: Final = {SSD300_NORM: "ssd300-vgg16"}
"""A detector with settings of this study: without a budget of equal time."""
ROWS: Final = DETECTORS | VARIED
EQUAL: Final = "equal CPU time"
LONG: Final = "as long as affordable"
LONGER: Final = "twice as long"
STEP_SECONDS: Final = {
    SSD300: 6.75, LIGHT: 0.20, LITE: 0.44, FASTER: 4.6, RETINA: 2.1, FCOS: 2.1,
}  # fmt: skip
"""Seconds of one core for a step of four views at 256 px (SSD300: 300), ``ssd-light`` of width 32,
R-CNN, RetinaNet and FCOS on ResNet-18 (``benchmarks/detector_speed.py --study`` measures them).
They only say how many steps of each detector cost the same; what a run took stands in its
record."""
NARROW_STEP: Final = 0.10  # ssd-light of width 16
EQUAL_SECONDS: Final = {"quick": 60, "reference": 150}
_LONG: Final[dict[str, dict[str, int]]] = {
    "smoke": {LIGHT: 4},
    "quick": {LIGHT: 1500},
    "reference": {
        LIGHT: 1800, LITE: 700, FASTER: 110, RETINA: 220, FCOS: 220, SSD300: 90,
        SSD300_NORM: 800,
    },
    "paper": dict.fromkeys(ROWS, 20_000),
}  # fmt: skip
_LONGER: Final[dict[str, dict[str, int]]] = {"reference": {LIGHT: 3600}}
"""Steps of a second training, on the first fold, that shows whether more would have helped."""
_NORM_TRAINING: Final = {
    "batch": 2, "learning_rate": 2e-4, "validations": 10, "mass_free": False,
}  # fmt: skip
"""Of SSD300 with batch norm where time is short: more steps of fewer views, each with a mass."""
_EQUAL: Final = {
    "smoke": (LIGHT, LITE),
    "quick": (LIGHT, LITE),
    "reference": tuple(DETECTORS),
    "paper": (),
}
VGG_SIDE: Final = 300  # of SSD300, pixels
_SIZE: Final = {"smoke": 96, "quick": 256, "reference": 256, "paper": 512}
_WIDTH: Final = {"smoke": 8, "quick": 16, "reference": 32, "paper": 32}
DEFAULT_ANCHORS: Final = "library's default boxes"
NO_NEGATIVES: Final = "library's loss: nothing learnt from mass-free views"
NO_FREE: Final = "no mass-free views in training"
NO_AUGMENT: Final = "no augmentation"
STRETCH: Final = "stretched instead of letterboxed"
ABLATIONS: Final[dict[str, dict[str, Any]]] = {
    DEFAULT_ANCHORS: {"detector__anchors": "default"},
    NO_NEGATIVES: {"detector__negatives_on_empty": False},
    NO_FREE: {"training__mass_free": False},
    NO_AUGMENT: {"training__augment": False},
    STRETCH: {"detector__aspect": "stretch"},
}
_ABLATED: Final = {
    "smoke": (NO_NEGATIVES,),
    "quick": (DEFAULT_ANCHORS, NO_NEGATIVES, STRETCH),
    "reference": tuple(ABLATIONS),
    "paper": tuple(ABLATIONS),
}


def detect_cohort(cohort: str) -> str:
    """Return the cohort whose views a page on a cohort searches for masses.

    CDD-CESM has a cohort of views of its own, with those that hold no mass; any other cohort lists
    them in its manifest.
    """
    return describe(cohort).views


def has_equal_sides(cohort: str) -> bool:
    """Whether all images of a cohort are squares, so that stretch and letterbox are the same."""
    return describe(cohort).square


def equal_steps(row: str, preset_name: str) -> int:
    """Return how many steps of a detector fit into the CPU time that each gets.

    Args:
        row: a key of :data:`ROWS`.
        preset_name: one of those with a budget of equal time; ``smoke`` takes three steps of each.

    Raises:
        SpecError: an unknown detector, or a preset without such a budget.
    """
    _known(row)
    if preset_name == "smoke":
        return 3
    if preset_name not in EQUAL_SECONDS:
        names = ", ".join(("smoke", *EQUAL_SECONDS))
        msg = f"preset {preset_name!r} has no budget of equal time: use one of {names}"
        raise SpecError(msg)
    narrow = row == LIGHT and _WIDTH[preset_name] < _WIDTH["reference"]
    seconds = NARROW_STEP if narrow else STEP_SECONDS[SSD300 if row in VARIED else row]
    steps = EQUAL_SECONDS[preset_name] / seconds
    return max(2, round(steps / 10) * 10 if steps >= 100 else round(steps))


def _known(row: str) -> None:
    if row not in ROWS:
        msg = f"detector {row!r} is unknown: use one of {', '.join((*ROWS, PRIOR_ROW))}"
        raise SpecError(msg)


def detect_recipe(
    cohort: str, preset_name: str, row: str = LIGHT, iterations: int | None = None, **changes: Any
) -> DetectSpec:
    """Return the run of a detector within a preset's budget, first fold.

    All start from scratch, with sizes of default boxes from the training masses, letterboxed; the
    light SSD is this study's own (variant ``study``), SSD300 the paper's (variant ``paper``: as
    published, stretched, with the library's default boxes and loss). Beside it stands the same
    network with batch norm, treated as the other detectors are.

    Args:
        cohort: the page's cohort.
        preset_name: ``smoke``, ``quick``, ``reference`` or ``paper``.
        row: a key of :data:`ROWS`, or :data:`PRIOR_ROW`.
        iterations: steps; default those of :data:`LONG`, and for a detector that has none there
            those of :data:`EQUAL`.
        changes: fields to change afterwards, ``detector__anchors="default"`` for nested ones.

    Raises:
        SpecError: an unknown preset, detector or field.
    """
    preset(preset_name)
    split = recipe(cohort, preset_name).split.model_dump()
    shared = {"cohort": detect_cohort(cohort), "split": split}
    if row == PRIOR_ROW:
        spec = DetectSpec.parse(
            shared
            | {"variant": "baseline", "detector": {"name": PRIOR}, "training": {"iterations": 0}}
        )
        return spec.changed(**changes)
    _known(row)
    steps = _LONG[preset_name].get(row) if iterations is None else iterations
    steps = equal_steps(row, preset_name) if steps is None else steps
    variants = {LIGHT: "study", SSD300: "paper"}
    spec = DetectSpec.parse(
        shared
        | {
            "variant": variants.get(row, "alternative"),
            "detector": _detector(row, preset_name),
            "training": {"iterations": steps} | _training(row, preset_name),
        }
    )
    return spec.changed(**changes)


def _detector(row: str, preset_name: str) -> dict[str, Any]:
    """Return the detector of a row and how it sees an image."""
    name = ROWS[row]
    detector: dict[str, Any] = {"name": name, "aspect": "letterbox", "size": _SIZE[preset_name]}
    if name == DETECTORS[SSD300]:
        detector["size"] = VGG_SIDE
    if row == SSD300:
        detector |= {"aspect": "stretch", "anchors": "default", "negatives_on_empty": False}
    if row == SSD300_NORM:
        detector["batch_norm"] = True
    if row == LIGHT:
        detector["width"] = _WIDTH[preset_name]
    if name in PYRAMIDS and preset_name != "paper":
        detector["trunk"] = "resnet18"
    return detector


def _training(row: str, preset_name: str) -> dict[str, Any]:
    """Return how fast a row learns, and how often it is validated."""
    if row == SSD300_NORM and preset_name != "paper":
        return dict(_NORM_TRAINING)
    return {
        "learning_rate": 1e-3 if ROWS[row] in SSDS else 2e-4,
        "validations": 2 if preset_name == "smoke" else 10,
    }


def detect_folds(cohort: str, preset_name: str, row: str = LIGHT, **changes: Any) -> Named:
    """Return the runs of a detector over the folds that claims are judged on, by its row.

    Args:
        cohort: the page's cohort.
        preset_name: of the page.
        row: a key of :data:`ROWS`, or :data:`PRIOR_ROW`.
        changes: as for :func:`detect_recipe`.
    """
    folds = (0,) if is_phantom(cohort) else folds_for(cohort, preset_name)
    runs = [
        detect_recipe(cohort, preset_name, row, split__fold=fold, seed=fold, **changes)
        for fold in folds
    ]
    return {row: runs}


def headline(cohort: str, preset_name: str) -> list[DetectSpec]:
    """Return the light SSD, trained as long as affordable, over the folds: the chain's detector."""
    return detect_folds(cohort, preset_name)[LIGHT]


def priors(cohort: str, preset_name: str) -> list[DetectSpec]:
    """Return the fixed prior box over the folds."""
    return detect_folds(cohort, preset_name, PRIOR_ROW)[PRIOR_ROW]


def comparison(cohort: str, preset_name: str) -> dict[str, Named]:
    """Return the detectors side by side on the first fold, in two budgets of training.

    Returns:
        :data:`EQUAL` and :data:`LONG` -> detector -> its run. A detector that a budget has no room
        for is left out.
    """
    preset(preset_name)
    equal = {
        row: [detect_recipe(cohort, preset_name, row, equal_steps(row, preset_name))]
        for row in _EQUAL[preset_name]
    }
    long = {
        row: [detect_recipe(cohort, preset_name, row)] for row in ROWS if row in _LONG[preset_name]
    }
    return {EQUAL: equal, LONG: long}


def longer(cohort: str, preset_name: str) -> Named:
    """Return second trainings of some detectors, twice as long as :data:`LONG`, first fold.

    They show whether more training would have helped. Nothing else rests on them: the detector of
    the chain stays the one of :func:`headline`.
    """
    preset(preset_name)
    budget = _LONGER.get(preset_name, {})
    return {row: [detect_recipe(cohort, preset_name, row, steps)] for row, steps in budget.items()}


def ablations(cohort: str, preset_name: str) -> Named:
    """Return the light SSD in the budget of equal time with one field changed each."""
    steps = equal_steps(LIGHT, preset_name) if preset_name != "paper" else None
    rows = [row for row in _ABLATED[preset_name] if row != STRETCH or not has_equal_sides(cohort)]
    return {
        row: [detect_recipe(cohort, preset_name, LIGHT, steps, **ABLATIONS[row])] for row in rows
    }


def every(cohort: str, preset_name: str) -> list[DetectSpec]:
    """Return every run of the chapter, each once."""
    named = [*comparison(cohort, preset_name).values(), longer(cohort, preset_name)]
    named.append(ablations(cohort, preset_name))
    listed = [spec for each in named for runs in each.values() for spec in runs]
    both = [*headline(cohort, preset_name), *priors(cohort, preset_name), *listed]
    return list(dict.fromkeys(both))
