"""The modules that make the numbers of a segmentation run: their versions are part of its key."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from mammostudy.runs.spec import RunSpec

_EVERY_RUN: Final = (
    "mammostudy.data.dicom",
    "mammostudy.data.frames",
    "mammostudy.data.splits",
    "mammostudy.imaging.framing",
    "mammostudy.imaging.preprocessing",
    "mammostudy.runs.segmenters",
    "mammostudy.runs.spec",
)
EVALUATION_MODULES: Final = (
    *_EVERY_RUN,
    "mammostudy.evaluation.overlap",
    "mammostudy.evaluation.surface",
    "mammostudy.imaging.postprocessing",
    "mammostudy.runs.evaluate",
)
BOUNDARY_MODULES: Final = ("mammostudy.evaluation.boundaries",)
SAMPLING_MODULES: Final = ("mammostudy.evaluation.uncertainty",)
BASELINE_MODULES: Final = ("mammostudy.imaging.contours",)
_TRAINING_MODULES: Final = (
    *_EVERY_RUN,
    "mammostudy.models.common",
    "mammostudy.training.fit",
    "mammostudy.training.losses",
    "mammostudy.training.prediction",
    "mammostudy.training.segmentation",
)
_SEGMENTERS: Final = "mammostudy.models.segmenters"
_ENCODER_UNETS: Final = (f"{_SEGMENTERS}.encoder_unets", f"{_SEGMENTERS}.unet")
_FCN: Final = (f"{_SEGMENTERS}.fcn", f"{_SEGMENTERS}.trunks")
_MODEL_MODULES: Final = {
    "cgan": ("mammostudy.models.generator",),
    "cgan-resnet101": _ENCODER_UNETS,
    "crfcnn": (*_FCN, f"{_SEGMENTERS}.crfcnn", f"{_SEGMENTERS}.mean_field"),
    "fcn": _FCN,
    "fcn-resnet101": (f"{_SEGMENTERS}.fcn_resnet101", f"{_SEGMENTERS}.trunks"),
    "segnet": (f"{_SEGMENTERS}.segnet", f"{_SEGMENTERS}.trunks"),
    "slsdeep": (f"{_SEGMENTERS}.slsdeep", f"{_SEGMENTERS}.trunks"),
    "unet": (f"{_SEGMENTERS}.unet",),
    "unet-lite0": _ENCODER_UNETS,
    "unet-plain": (f"{_SEGMENTERS}.plain_unet",),
    "unet-vgg16": _ENCODER_UNETS,
}


def training_modules(spec: RunSpec) -> list[str]:
    """Return the modules that the weights of a trained segmenter depend on."""
    modules = [*_TRAINING_MODULES, *_MODEL_MODULES.get(spec.model.name, ())]
    if spec.trains_channels_last:
        modules += ["mammostudy.models.channels_last", "mammostudy.models.winograd"]
    if spec.loss.adversarial_weight > 0:
        modules.append("mammostudy.models.discriminator")
    if spec.optimiser.averaging > 0:
        modules.append("mammostudy.training.averaging")
    return modules


def evaluation_modules(spec: RunSpec) -> list[str]:
    """Return the modules that the rows of a run depend on, beside its weights."""
    modules = [*EVALUATION_MODULES]
    if spec.evaluation.boundary:
        modules += BOUNDARY_MODULES
    if spec.evaluation.samples:
        modules += SAMPLING_MODULES
    return modules
