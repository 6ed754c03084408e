"""Presets say how much is spent, variants say what is done: together they make a run's spec."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final, NamedTuple

from mammostudy.data.descriptors import describe
from mammostudy.errors import SpecError
from mammostudy.runs.kinds import LITE0, PRIOR, PYRAMIDS, SSDS, DetectSpec, kind_of
from mammostudy.runs.record import S
from mammostudy.runs.spec import BASELINES, RunSpec


class Preset(NamedTuple):
    """How much a run may cost: of the generator its frame in pixels, filters and stride-2 levels.

    Claims are judged on ``folds``, and rest on ``seeds`` trainings of each where those are
    ``crossed``, else of the first. Where it is ``faded`` the learning rate falls to zero, and the
    average of the weights predicts.
    """

    size: int
    width: int
    levels: int
    iterations: int
    folds: tuple[int, ...] = (0,)
    seeds: int = 1
    crossed: bool = False
    faded: bool = False


PRESETS: Final = {
    "smoke": Preset(size=64, width=4, levels=6, iterations=6),
    "quick": Preset(size=64, width=16, levels=6, iterations=200),
    "reference": Preset(128, width=16, levels=7, iterations=300, folds=(0, 1, 2), seeds=3),
    "evidence": Preset(
        128, 16, 7, iterations=1200, folds=(0, 1, 2), seeds=3, crossed=True, faded=True
    ),
    "paper": Preset(256, 32, levels=8, iterations=2950, folds=(0, 1, 2), seeds=3, crossed=True),
}
"""The 150 epochs of the paper are 2,950 iterations of the 157 masses that a fold trains on here."""
FADED: Final = {"schedule": "cosine", "averaging": 0.99}
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
    """Return a preset by name."""
    found: Preset = _known(PRESETS, name, "preset")
    return found


def _known(table: Mapping[str, Any], name: str, kind: str) -> Any:
    if name not in table:
        msg = f"{kind} {name!r} is unknown; use one of {', '.join(table)}"
        raise SpecError(msg)
    return table[name]


def recipe(cohort: str, preset_name: str, variant: str = "paper", **changes: Any) -> RunSpec:
    """Return the spec of a variant within a preset's budget, with fields changed afterwards.

    A variant is ``paper`` (what the paper says), ``released`` (what its released code does) or
    ``study`` (what this study recommends); ``frame__scale=3.0`` changes a nested field.
    """
    spent, facts = preset(preset_name), describe(cohort)
    parts = _known(_VARIANTS, variant, "variant")
    spec = RunSpec.model_validate(
        {
            "cohort": cohort,
            "variant": variant,
            "split": facts.split,
            "frame": {"size": spent.size, "truth": facts.truth},
            "preprocessing": parts.get("preprocessing", {}),
            "model": {"width": spent.width, "levels": spent.levels, **parts.get("model", {})},
            "loss": parts.get("loss", {}),
            "optimiser": {
                "iterations": spent.iterations,
                **(FADED if spent.faded else {}),
                **parts.get("optimiser", {}),
            },
        }
    )
    return spec.changed(**changes)


def folds_for(cohort: str, preset_name: str) -> tuple[int, ...]:
    """Return the folds that a preset runs; the official split of a cohort has one."""
    return (0,) if describe(cohort).official else preset(preset_name).folds


def baselines(spec: RunSpec) -> list[RunSpec]:
    """Return the baselines that need no training, on the frames and the split of a spec."""
    shared = {"cohort", "split", "frame", "preprocessing", "evaluation"}
    plain = spec.model_dump(include=shared) | {"variant": "baseline"}
    plain["optimiser"] = {"iterations": 0}
    return [RunSpec.model_validate(plain | {"model": {"name": name}}) for name in BASELINES]


def replicates(
    cohort: str, preset_name: str, variant: str = "paper", **changes: Any
) -> list[RunSpec]:
    """Return a variant's runs: the folds of a preset once, then again for each further seed."""
    folds, spent = folds_for(cohort, preset_name), preset(preset_name)
    return [
        recipe(cohort, preset_name, variant, split__fold=f, seed=f + k * len(folds), **changes)
        for k in range(spent.seeds)
        for f in (folds if spent.crossed or k == 0 else folds[:1])
    ]


def folds_of(
    cohort: str, preset_name: str, variant: str = "paper", **changes: Any
) -> list[RunSpec]:
    """Return :func:`replicates`, but the folds once where seeds are not crossed with them."""
    runs = replicates(cohort, preset_name, variant, **changes)
    return runs if preset(preset_name).crossed else runs[: len(folds_for(cohort, preset_name))]


def fades(spec: Any) -> bool:
    """Whether a training ends with a learning rate of zero: its own curve tells no convergence."""
    if kind_of(spec) == "detection":
        return not spec.is_baseline
    return kind_of(spec) == "segmentation" and spec.optimiser.schedule != "constant"


def longer(spec: S) -> S:
    """Return the training twice as long, which tells whether this one had converged."""
    part = "training" if kind_of(spec) == "detection" else "optimiser"
    return spec.changed(**{f"{part}__iterations": 2 * getattr(spec, part).iterations})


def doubled(grid: Mapping[Any, Sequence[RunSpec]]) -> dict[Any, list[RunSpec]]:
    """Return :func:`longer` runs of the first fold, of groups that have several seeds of it."""
    out = {}
    for group, runs in grid.items():
        first = [run for run in runs if run.split.fold == runs[0].split.fold]
        if len(first) > 1 and fades(first[0]):
            out[group] = [longer(run) for run in first]
    return out


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


SSD300, LIGHT, LITE = "SSD300, VGG16", "SSD, light trunk", "SSDlite, MobileNetV3"
FASTER, RETINA, FCOS = "Faster R-CNN", "RetinaNet", "FCOS"
SSD300_NORM, PRIOR_ROW = "SSD300, batch norm", "fixed prior box"
RETINA_LITE, FCOS_LITE = "RetinaNet, pretrained trunk", "FCOS, pretrained trunk"
DETECTORS: Final[dict[str, dict[str, Any]]] = {
    SSD300: {
        "name": "ssd300-vgg16", "size": 300, "aspect": "stretch", "anchors": "default",
        "negatives_on_empty": False,
    },
    LIGHT: {"name": "ssd-light"},
    LITE: {"name": "ssdlite-mobilenetv3"},
    FASTER: {"name": "faster-rcnn"},
    RETINA: {"name": "retinanet"},
    FCOS: {"name": "fcos"},
    SSD300_NORM: {"name": "ssd300-vgg16", "size": 300, "batch_norm": True},
    RETINA_LITE: {"name": "retinanet", "trunk": LITE0, "weights": "packaged"},
    FCOS_LITE: {"name": "fcos", "trunk": LITE0, "weights": "packaged"},
}  # fmt: skip
BUDGETS = EQUAL, LONG, LONGER = "equal CPU time", "as long as affordable", "twice as long"
DETECTOR_STEPS: Final[dict[str, dict[str, dict[str, int]]]] = {
    "smoke": {EQUAL: {LIGHT: 3, LITE: 3}, LONG: {LIGHT: 4}},
    "quick": {LONG: {LIGHT: 400}},
    "reference": {
        EQUAL: {SSD300: 22, LIGHT: 750, LITE: 340, FASTER: 33, RETINA: 71, FCOS: 71},
        LONG: {
            SSD300: 90, LIGHT: 1800, LITE: 700, FASTER: 110, RETINA: 220, FCOS: 220,
            SSD300_NORM: 800,
        },
        LONGER: {LIGHT: 3600},
    },
    "paper": {LONG: dict.fromkeys([*DETECTORS][:7], 20_000)},
    "seeds": {
        LONG: {LIGHT: 4000, LITE: 2400, FCOS_LITE: 2400, RETINA_LITE: 2300},
        LONGER: {LIGHT: 8000, LITE: 4800, FCOS_LITE: 4800, RETINA_LITE: 4600},
        EQUAL: {LIGHT: 4000, SSD300: 200, SSD300_NORM: 400, FASTER: 150},
    },
}  # fmt: skip
"""Steps by preset, budget and row. Equal time is 150 s of one core, by the seconds of a step that
``benchmarks/detector_speed.py`` measures.

``seeds`` is of cohorts that their owners split: one fold, and of what is ranked several trainings,
by the average of the weights, each within an hour of one core at 384 pixels (0.6 s a step of the
light SSD, 1.3 s of SSDlite and FCOS, 1.4 s of RetinaNet); equal time is the light SSD's there."""
DETECTOR_STEPS["evidence"] = DETECTOR_STEPS["reference"]
DETECTOR_SEEDS: Final = {LONG: 5, LONGER: 3}
STRETCHED: Final = "stretched instead of letterboxed"
DETECTOR_ABLATIONS: Final[dict[str, dict[str, Any]]] = {
    "library's loss: nothing learnt from mass-free views": {"detector__negatives_on_empty": False},
    "library's default boxes": {"detector__anchors": "default"},
    "no mass-free views in training": {"training__mass_free": False},
    "no augmentation": {"training__augment": False},
    STRETCHED: {"detector__aspect": "stretch"},
}
"""The light SSD with one field changed each."""


def is_seeded(cohort: str, preset_name: str) -> bool:
    """Whether detectors are trained with several seeds on the one split of a cohort's owners."""
    return describe(cohort).official and preset_name in ("reference", "evidence")


def detector_steps(cohort: str, preset_name: str) -> dict[str, dict[str, int]]:
    """Return the steps of detectors by budget and row."""
    return DETECTOR_STEPS["seeds" if is_seeded(cohort, preset_name) else preset_name]


def detector_ablations(cohort: str, preset_name: str) -> dict[str, dict[str, Any]]:
    """Return the fields of the ablations that a page runs."""
    seeded, square = is_seeded(cohort, preset_name), describe(cohort).square
    most = 0 if seeded else {"smoke": 1, "quick": 0}.get(preset_name)
    rows = [row for row in DETECTOR_ABLATIONS if row != STRETCHED or not square][:most]
    return {row: DETECTOR_ABLATIONS[row] for row in rows}


def detect_seeds(
    cohort: str, preset_name: str, row: str, steps: int, budget: str = LONG
) -> list[DetectSpec]:
    """Return a detector's trainings on the first fold: one, or several where they are seeded."""
    seeded = is_seeded(cohort, preset_name)
    seeds = range(DETECTOR_SEEDS.get(budget, 1) if seeded else 1)
    return [detect_recipe(cohort, preset_name, row, steps, seed=seed) for seed in seeds]


def detect_recipe(
    cohort: str, preset_name: str, row: str = LIGHT, steps: int | None = None, **changes: Any
) -> DetectSpec:
    """Return the run of a detector within a preset's budget, first fold.

    Only the preset ``paper`` starts from ImageNet weights, where a detector has a published trunk.
    Pretrained trunks come with a package. The light SSD is this study's own, SSD300 the paper's:
    stretched, with the library's default boxes and loss. The others, and SSD300 with batch norm,
    are letterboxed, with default boxes of the sizes of training masses.
    """
    split = recipe(cohort, preset_name).split.model_dump()
    spec: dict[str, Any] = {"cohort": describe(cohort).views, "split": split}
    if row == PRIOR_ROW:
        spec |= {"variant": "baseline", "detector": {"name": PRIOR}, "training": {"iterations": 0}}
        return DetectSpec.parse(spec).changed(**changes)
    size = {"smoke": 96, "paper": 512}.get(preset_name, describe(cohort).side)
    detector = {"size": size, "aspect": "letterbox"} | DETECTORS[row]
    if row == LIGHT:
        detector["width"] = {"smoke": 8, "quick": 16}.get(preset_name, 32)
    packaged = "weights" in detector
    if row != LIGHT and preset_name == "paper":
        detector.setdefault("weights", "imagenet")
    elif detector["name"] in PYRAMIDS:
        detector.setdefault("trunk", "resnet18")
    training: dict[str, Any] = {
        "iterations": steps or detector_steps(cohort, preset_name)[LONG][row],
        "learning_rate": 1e-3 if detector["name"] in SSDS else 5e-4 if packaged else 2e-4,
        "averaging": FADED["averaging"] if is_seeded(cohort, preset_name) else 0.0,
        "validations": 2 if preset_name == "smoke" else 10,
    }
    if row == SSD300_NORM and preset_name != "paper":  # more steps of fewer views, all with a mass
        training |= {"batch": 2, "learning_rate": 2e-4, "mass_free": False}
    variant = {LIGHT: "study", SSD300: "paper"}.get(row, "alternative")
    spec |= {"variant": variant, "detector": detector, "training": training}
    return DetectSpec.parse(spec).changed(**changes)


def detect_folds(
    cohort: str, preset_name: str, row: str = LIGHT, **changes: Any
) -> list[DetectSpec]:
    """Return a detector, as long as affordable, over the folds; the light SSD is the chain's."""
    folds = (0,) if describe(cohort).phantom else folds_for(cohort, preset_name)
    return [
        detect_recipe(cohort, preset_name, row, split__fold=fold, seed=fold, **changes)
        for fold in folds
    ]
