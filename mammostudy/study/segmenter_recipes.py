"""Which segmentation runs the chapter on models asks for, and what each of them may cost."""

from __future__ import annotations

from typing import Any, Final

from mammostudy.errors import SpecError
from mammostudy.runs.spec import RunSpec
from mammostudy.study.recipes import baselines, preset, recipe

Named = dict[str, list[RunSpec]]

FCN: Final = "FCN"
FCN_RESNET: Final = "FCN-ResNet101"
UNET: Final = "UNet"
UNET_VGG: Final = "UNet-VGG16"
SEGNET: Final = "SegNet"
SEGNET_VGG: Final = "SegNet-VGG16"
CRF: Final = "CRFCNN"
SLS: Final = "SLSDeep"
RESNET_L1: Final = "cGAN-ResNet101"
RESNET_DICE: Final = "cGAN-ResNet101 (Dice)"
PROPOSED: Final = "proposed cGAN"
UNET_RESNET: Final = "UNet-ResNet18 (not in the paper)"
BEST: Final = "best found here (not in the paper)"
MODELS: Final[dict[str, dict[str, Any]]] = {
    FCN: {"model": {"name": "fcn", "dense": 512}},
    FCN_RESNET: {"model": {"name": "fcn-resnet101"}},
    UNET: {"model": {"name": "unet-plain"}},
    UNET_VGG: {"model": {"name": "unet-vgg16"}},
    SEGNET: {"model": {"name": "segnet"}},
    SEGNET_VGG: {"model": {"name": "segnet"}},
    CRF: {"model": {"name": "crfcnn", "dense": 512}},
    SLS: {"model": {"name": "slsdeep"}, "loss": {"overlap": "nll_epe"}},
    RESNET_L1: {
        "model": {"name": "cgan-resnet101"},
        "loss": {"overlap": "l1", "overlap_weight": 150.0, "adversarial_weight": 1.0},
    },
    RESNET_DICE: {
        "model": {"name": "cgan-resnet101"},
        "loss": {"overlap": "dice", "overlap_weight": 150.0, "adversarial_weight": 1.0},
    },
    UNET_RESNET: {"model": {"name": "unet"}},
}  # fmt: skip
"""The alternatives. Where nothing else is said they have no adversary and learn by Dice plus
cross-entropy: the paper does not report their losses, most of their authors trained them by
cross-entropy, and by Dice alone those without batch norm learn to mark nothing."""
PUBLISHED_ROWS: Final = (
    FCN, FCN_RESNET, UNET, UNET_VGG, SEGNET, SEGNET_VGG, CRF, SLS, RESNET_L1, RESNET_DICE, PROPOSED,
)  # fmt: skip
"""The rows of the paper's table."""
ROWS: Final = (*PUBLISHED_ROWS, UNET_RESNET, BEST)
PRETRAINED: Final = (FCN_RESNET, UNET_VGG, SEGNET_VGG, RESNET_L1, RESNET_DICE)
"""What the paper started from ImageNet weights, which have to be downloaded: so does the preset
``paper``; the others start from scratch."""
SAME_FROM_SCRATCH: Final = {
    SEGNET_VGG: (
        "SegNet's encoder is VGG16's: without ImageNet weights this row would be SegNet again; the "
        "preset `paper` downloads them"
    ),
}
"""Rows of the paper's table that only downloaded weights tell from another, and why."""
SIZES: Final = {"full": 128, "loose": 64, "tight": 64}
"""Side of the resized frame in ``quick`` and ``reference``, pixels."""
_ITERATIONS: Final = {"smoke": 6, "quick": 100, "reference": 100, "paper": 4200}
_LIGHT: Final = (PROPOSED, UNET, UNET_RESNET, BEST)
_LOOSE: Final = {
    "smoke": (PROPOSED, UNET),
    "quick": _LIGHT,
    "reference": ROWS,
    "paper": ROWS,
}
_OTHER_FRAMES: Final = {
    "smoke": (),
    "quick": (PROPOSED,),
    "reference": (PROPOSED, UNET_RESNET, BEST),
    "paper": ROWS,
}
_FOLDED: Final = (PROPOSED, UNET_RESNET, BEST)
"""What is light enough for all folds of ``reference``, on loose frames."""
_BEST: Final[dict[str, Any]] = {
    "variant": "best",
    "model": {"name": "unet-lite0", "weights": "packaged"},
    "loss": {"overlap": "dice_bce", "overlap_weight": 1.0, "adversarial_weight": 0.0},
    "optimiser": {"learning_rate": 5e-4, "beta1": 0.9, "augment": True, "averaging": 0.95},
    "evaluation": {"flips": True},
}
ABLATIONS: Final[dict[str, dict[str, Any]]] = {
    "encoder from scratch": {"model__weights": "none"},
    "Dice loss alone": {"loss__overlap": "dice"},
    "no flips and turns in training": {"optimiser__augment": False},
    "last weights instead of their average": {"optimiser__averaging": 0.0},
    "one prediction instead of four mirrored": {"evaluation__flips": False},
    "frames of 128 pixels": {"frame__size": 128},
}
"""The best recipe with one field changed each."""
_ABLATED: Final = {
    "smoke": (),
    "quick": (),
    "reference": tuple(ABLATIONS),
    "paper": tuple(name for name in ABLATIONS if "128" not in name),
}


def size_of(preset_name: str, framing: str) -> int:
    """Return the side of the resized frame, pixels."""
    return {"smoke": 64, "paper": 256}.get(preset_name, SIZES[framing])


def model_recipe(
    cohort: str, preset_name: str, row: str, framing: str = "loose", fold: int = 0
) -> RunSpec:
    """Return the run of a model in a framing.

    All models see the same frames and take the same number of steps of the paper's optimiser, from
    scratch; ``best`` has an optimiser of its own.

    Args:
        cohort: the page's cohort.
        preset_name: ``smoke``, ``quick``, ``reference`` or ``paper``.
        row: one of :data:`ROWS`.
        framing: ``full``, ``loose`` or ``tight``.
        fold: of those that claims are judged on; also the seed.

    Raises:
        SpecError: an unknown row.
    """
    if row not in (PROPOSED, BEST, *MODELS):
        msg = f"model {row!r} is unknown: use one of {', '.join((PROPOSED, *MODELS, BEST))}"
        raise SpecError(msg)
    content = recipe(cohort, preset_name, split__fold=fold, seed=fold).model_dump()
    size = size_of(preset_name, framing)
    content["frame"] |= {"strategy": framing, "size": size}
    content["optimiser"] |= {"iterations": _ITERATIONS[preset_name], "validations": 10}
    content["evaluation"] |= {"boundary": True}
    if row == PROPOSED:
        levels = {64: 6, 128: 7, 256: 8}[size]
        content["model"] |= {"levels": levels}
        return RunSpec.parse(content)
    content |= {"variant": "alternative", "model": {}}
    content["loss"] |= {"overlap": "dice_bce", "overlap_weight": 1.0, "adversarial_weight": 0.0}
    for name, part in (_BEST if row == BEST else MODELS[row]).items():
        content[name] = content[name] | part if isinstance(part, dict) else part
    if row == UNET:
        content["model"] |= {"width": 4 if preset_name == "smoke" else 16}
        if preset_name == "paper":
            content["model"] |= {"width": 64}
    if row in PRETRAINED and preset_name == "paper":
        content["model"] |= {"weights": "imagenet"}
    return RunSpec.parse(content)


def models(cohort: str, preset_name: str) -> Named:
    """Return the runs of every model on loose frames, the light ones over all folds.

    A row that the preset has no room for is absent.
    """
    spent = preset(preset_name)
    out: Named = {}
    for row in _LOOSE[preset_name]:
        if row in SAME_FROM_SCRATCH and preset_name != "paper":
            continue
        folds = spent.folds if row in _FOLDED or preset_name == "paper" else spent.folds[:1]
        out[row] = [model_recipe(cohort, preset_name, row, fold=fold) for fold in folds]
    return out


def other_frames(cohort: str, preset_name: str) -> dict[tuple[str, str], list[RunSpec]]:
    """Return the runs on full and tight frames by framing and row, first fold."""
    return {
        (framing, row): [model_recipe(cohort, preset_name, row, framing)]
        for framing in ("full", "tight")
        for row in _OTHER_FRAMES[preset_name]
    }


def ablations(cohort: str, preset_name: str) -> Named:
    """Return the best recipe with one field changed each, first fold."""
    best = model_recipe(cohort, preset_name, BEST)
    return {name: [best.changed(**ABLATIONS[name])] for name in _ABLATED[preset_name]}


def plain_baselines(cohort: str, preset_name: str) -> dict[tuple[str, str], list[RunSpec]]:
    """Return the baselines without training by framing and name, over the folds.

    Where a preset trains nothing on full and tight frames, it has no baselines there either.
    """
    out: dict[tuple[str, str], list[RunSpec]] = {}
    folds = preset(preset_name).folds
    framings = ("full", "loose", "tight") if _OTHER_FRAMES[preset_name] else ("loose",)
    for framing in framings:
        for fold in folds if framing == "loose" else folds[:1]:
            model = model_recipe(cohort, preset_name, PROPOSED, framing, fold)
            for spec in baselines(model):
                out.setdefault((framing, spec.model.name), []).append(spec)
    return out


def every(cohort: str, preset_name: str) -> list[RunSpec]:
    """Return every run of the chapter on models, each once."""
    named = [
        *models(cohort, preset_name).values(),
        *other_frames(cohort, preset_name).values(),
        *ablations(cohort, preset_name).values(),
        *plain_baselines(cohort, preset_name).values(),
    ]
    return list(dict.fromkeys(spec for specs in named for spec in specs))
