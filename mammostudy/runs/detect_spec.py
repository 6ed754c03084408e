"""What a detection run is: a detector, one fold of the views of a cohort, and its budget."""

from __future__ import annotations

from importlib.util import find_spec
from typing import Any, Final, Literal

from pydantic import Field, model_validator

from mammostudy.data.cache import digest
from mammostudy.runs.frozen import Frozen as _Frozen
from mammostudy.runs.spec import KeyedSpec, SplitSpec, refuse_leaky
from mammostudy.runs.versions import recipe_version

VERSION: Final = 1  # raised when the default of a field changes: keys leave defaults out
PRIOR: Final = "fixed-prior"
SSDS: Final = ("ssd-light", "ssd300-vgg16", "ssdlite-mobilenetv3")
PYRAMIDS: Final = ("faster-rcnn", "fcos", "retinanet")
WITHOUT_ANCHORS: Final = ("fcos", "rt-detr")
WITHOUT_WEIGHTS: Final = ("rt-detr", "ssd-light", PRIOR)
DETECTORS: Final = (*PYRAMIDS, "rt-detr", *SSDS)
LIBRARIES: Final = {"rt-detr": ("transformers", "detr")}  # package, and the extra that brings it


class Detecting(_Frozen):
    """The detector, and how it sees an image.

    Attributes:
        name: one of :func:`mammostudy.models.detector_names`, or ``fixed-prior``, which is the mean
            box of the training masses on each side.
        size: side of the square that an image is brought to, pixels.
        aspect: ``stretch`` (SSD as published) or ``letterbox``.
        anchors: ``default`` sizes of the library, or of the training masses of the ``cohort``.
        negatives_on_empty: of an SSD: views without a mass teach it something.
        width: filters of ``ssd-light``'s trunk.
        trunk: of Faster R-CNN, RetinaNet and FCOS.
        weights: of the trunk: ``none`` (from scratch) or ``imagenet`` (downloaded).
        batch_norm: in the trunk of ``ssd300-vgg16``, which was published without.
    """

    name: str = "ssd300-vgg16"
    size: int = Field(320, ge=64, le=1333)
    aspect: Literal["stretch", "letterbox"] = "stretch"
    anchors: Literal["default", "cohort"] = "cohort"
    negatives_on_empty: bool = True
    width: int = Field(32, ge=8, multiple_of=2)
    trunk: Literal["resnet50", "resnet18"] = "resnet50"
    weights: Literal["none", "imagenet"] = "none"
    batch_norm: bool = False


class DetectorTraining(_Frozen):
    """AdamW with one cycle of the learning rate, and the budget of a run.

    Attributes:
        iterations: steps of training; 0 for the prior box alone.
        batch: views in a step.
        learning_rate: the highest of the cycle.
        weight_decay: of AdamW.
        validations: how often the validation views are predicted.
        augment: flips, shifts, zoom and light (one recipe for all detectors).
        mass_free: learn from views without a mass, too.
    """

    iterations: int = Field(1000, ge=0)
    batch: int = Field(4, ge=2)
    learning_rate: float = Field(1e-3, gt=0)
    weight_decay: float = Field(1e-4, ge=0)
    validations: int = Field(10, ge=1)
    augment: bool = True
    mass_free: bool = True


class DetectSpec(KeyedSpec):
    """One detector, trained on the views of all folds of a cohort but one.

    Attributes:
        kind: tells this spec from those of other runs.
        variant: ``paper`` (SSD300 as published), ``study`` (what this study recommends on a small
            budget), ``alternative``, or ``baseline``.
        split: by patient, as of segmentation runs.
        detector: what is trained.
        training: how.
        seed: of weights, batches and augmentation.
    """

    kind: Literal["detection"] = "detection"
    variant: Literal["paper", "study", "alternative", "baseline"] = "paper"
    split: SplitSpec = SplitSpec()
    detector: Detecting = Detecting()
    training: DetectorTraining = DetectorTraining()
    seed: int = Field(0, ge=0)

    @model_validator(mode="after")
    def _agree(self) -> DetectSpec:
        refuse_leaky(self.split, "split")
        name = self.detector.name
        if name != PRIOR and name not in DETECTORS:
            msg = f"detector.name {name!r} is unknown: use one of {', '.join((*DETECTORS, PRIOR))}"
            raise ValueError(msg)
        if self.is_baseline != (self.training.iterations == 0):
            msg = "training.iterations must be 0 for fixed-prior, and above 0 for a detector"
            raise ValueError(msg)
        if name not in SSDS and not self.detector.negatives_on_empty:
            msg = f"detector.negatives_on_empty is a field of the SSDs, not of {name}"
            raise ValueError(msg)
        if name != "ssd-light" and self.detector.width != Detecting().width:
            msg = f"detector.width is a field of ssd-light, not of {name}"
            raise ValueError(msg)
        if name not in PYRAMIDS and self.detector.trunk != Detecting().trunk:
            msg = f"detector.trunk is a field of {', '.join(PYRAMIDS)}, not of {name}"
            raise ValueError(msg)
        if not self.has_anchors and self.detector.anchors != Detecting().anchors:
            msg = f"detector.anchors: {name} starts from no boxes of given sizes"
            raise ValueError(msg)
        if name in WITHOUT_WEIGHTS and self.detector.weights != Detecting().weights:
            msg = f"detector.weights: the trunk of {name} has no published weights"
            raise ValueError(msg)
        if name != "ssd300-vgg16" and self.detector.batch_norm:
            msg = f"detector.batch_norm is a field of ssd300-vgg16, not of {name}"
            raise ValueError(msg)
        return self

    @property
    def task(self) -> str:
        """What the cohort must be fit for."""
        return "detection"

    @property
    def is_baseline(self) -> bool:
        """Whether nothing is trained."""
        return self.detector.name == PRIOR

    @property
    def has_anchors(self) -> bool:
        """Whether the detector starts from boxes of given sizes."""
        return not self.is_baseline and self.detector.name not in WITHOUT_ANCHORS

    @property
    def cannot_run(self) -> str:
        """Why this machine cannot train the detector: an optional library is not installed."""
        package, extra = LIBRARIES.get(self.detector.name, ("", ""))
        if not package or find_spec(package) is not None:
            return ""
        name = self.detector.name
        return f"{name} needs the package {package}: pip install 'mammostudy[{extra}]'"

    def recipe_versions(self) -> dict[str, int]:
        """Return the recipe version of every component that makes this run's numbers."""
        modules = [*_EVERY_RUN, *(_BASELINE if self.is_baseline else _TRAINED)]
        modules += _OF_DETECTOR.get(self.detector.name, ())
        return {name: recipe_version(name) for name in sorted(modules)}

    def training_key(self, manifest_hash: str) -> str:
        """Hash of what the weights depend on, as the key but for the variant."""
        content = self.model_dump(mode="json", exclude={"variant"}, exclude_defaults=True)
        return digest(
            {"detector": content, "versions": self.recipe_versions(), "manifest": manifest_hash}
        )[:16]

    def fields(self, box_sides: tuple[float, ...] = ()) -> dict[str, Any]:
        """Return the fields for :func:`mammostudy.models.build_detector`.

        Args:
            box_sides: quantiles of the training masses' sides, where the anchors ask for them.
        """
        fields: dict[str, Any] = {
            "size": self.detector.size,
            "aspect": self.detector.aspect,
            "detections": DETECTIONS,
        }
        if self.has_anchors:
            fields["anchors"] = self.detector.anchors
            fields["box_sides"] = box_sides if self.detector.anchors == "cohort" else ()
        if self.detector.name in SSDS:
            fields["negatives_on_empty"] = self.detector.negatives_on_empty
        if self.detector.name == "ssd-light":
            fields["width"] = self.detector.width
        elif self.detector.name != "rt-detr":
            fields["weights"] = self.detector.weights
        if self.detector.name == "ssd300-vgg16":
            fields["batch_norm"] = self.detector.batch_norm
        if self.detector.name in PYRAMIDS:
            fields["trunk"] = self.detector.trunk
        return fields


DETECTIONS: Final = 20  # boxes kept an image: FROC is read up to 8 false positives
_EVERY_RUN: Final = (
    "mammostudy.data.dicom",
    "mammostudy.data.splits",
    "mammostudy.data.views",
    "mammostudy.evaluation.matching",
    "mammostudy.runs.detect",
    "mammostudy.runs.detect_spec",
    "mammostudy.runs.detection_rows",
)
_BASELINE: Final = ("mammostudy.evaluation.priors",)
_TRAINED: Final = (
    "mammostudy.evaluation.froc_curves",
    "mammostudy.models.detectors.anchors",
    "mammostudy.models.detectors.common",
    "mammostudy.training.detection",
    "mammostudy.training.detection_augmentation",
)
_SSD: Final = ("mammostudy.models.detectors.ssd",)
_PYRAMIDS: Final = ("mammostudy.models.detectors.pyramids",)
_OF_DETECTOR: Final[dict[str, tuple[str, ...]]] = {
    "faster-rcnn": _PYRAMIDS,
    "fcos": _PYRAMIDS,
    "retinanet": _PYRAMIDS,
    "rt-detr": ("mammostudy.models.detectors.rt_detr",),
    "ssd-light": (*_SSD, "mammostudy.models.detectors.ssd_light"),
    "ssd300-vgg16": _SSD,
    "ssdlite-mobilenetv3": _SSD,
}
