"""What a detection run is: a detector, one fold of the views of a cohort, and its budget."""

from __future__ import annotations

from typing import Any, ClassVar, Final, Literal

from pydantic import Field, model_validator

from mammostudy.models.registry import DETECTORS
from mammostudy.runs.spec import Frozen, KeyedSpec, SplitSpec, demand, refuse_leaky

PRIOR: Final = "fixed-prior"
SSDS: Final = ("ssd-light", "ssd300-vgg16", "ssdlite-mobilenetv3")
PYRAMIDS: Final = ("faster-rcnn", "fcos", "retinanet")
DETECTIONS: Final = 20  # boxes kept an image: FROC is read up to 8 false positives


class Detecting(Frozen):
    """The detector, and how it sees an image.

    It is one of :func:`mammostudy.models.detector_names`, or ``fixed-prior``: the mean box of the
    training masses on each side.
    """

    name: str = "ssd300-vgg16"
    size: int = Field(320, ge=64, le=1333)  # of the square that an image is brought to, pixels
    aspect: Literal["stretch", "letterbox"] = "stretch"  # SSD as published stretches
    anchors: Literal["default", "cohort"] = "cohort"  # sizes of the library, or training masses
    negatives_on_empty: bool = True  # of an SSD: views without a mass teach it something
    width: int = Field(32, ge=8, multiple_of=2)  # filters of ``ssd-light``'s trunk
    trunk: Literal["resnet50", "resnet18"] = "resnet50"
    weights: Literal["none", "imagenet"] = "none"  # of the trunk; imagenet is downloaded
    batch_norm: bool = False  # in the trunk of ``ssd300-vgg16``, which was published without


class DetectorTraining(Frozen):
    """AdamW with one cycle of the learning rate, and the budget of a run."""

    iterations: int = Field(1000, ge=0)  # 0 for the prior box alone
    batch: int = Field(4, ge=2)  # views
    learning_rate: float = Field(1e-3, gt=0)  # the highest of the cycle
    weight_decay: float = Field(1e-4, ge=0)
    validations: int = Field(10, ge=1)  # how often the validation views are predicted
    augment: bool = True  # flips, shifts, zoom and light (one recipe for all detectors)
    mass_free: bool = True  # learn from views without a mass, too


class DetectSpec(KeyedSpec):
    """One detector, trained on the views of all folds of a cohort but one."""

    trained_as: ClassVar[str] = "detector"

    kind: Literal["detection"] = "detection"
    variant: Literal["paper", "study", "alternative", "baseline"] = "paper"
    split: SplitSpec = SplitSpec()
    detector: Detecting = Detecting()
    training: DetectorTraining = DetectorTraining()
    seed: int = Field(0, ge=0)  # of weights, batches and augmentation

    @model_validator(mode="after")
    def _agree(self) -> DetectSpec:
        refuse_leaky(self.split, "split")
        name, known = self.detector.name, (*DETECTORS, PRIOR)
        demand(name in known, f"detector.name {name!r} is unknown: use one of {', '.join(known)}")
        demand(
            self.is_baseline == (self.training.iterations == 0),
            "training.iterations must be 0 for fixed-prior, and above 0 for a detector",
        )
        for field, known_as in Detecting.model_fields.items():
            unchanged = getattr(self.detector, field) == known_as.default
            demand(
                unchanged or field in {"name", "size", "aspect", *self._own_fields},
                f"detector.{field} is no field of {name}",
            )
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
        return "anchors" in self._own_fields

    @property
    def _own_fields(self) -> tuple[str, ...]:
        return () if self.is_baseline else DETECTORS[self.detector.name].fields

    def components(self) -> set[str]:
        """Return the components that make the boxes, and the weights where there are any."""
        if self.is_baseline:
            return {*_OF_EVERY_RUN, "evaluation.priors"}
        return {*_OF_EVERY_RUN, *_OF_TRAINING, *DETECTORS[self.detector.name].versions}

    def fields(self, box_sides: tuple[float, ...] = ()) -> dict[str, Any]:
        """Return the fields for :func:`mammostudy.models.build_detector`.

        Args:
            box_sides: quantiles of the training masses' sides, where the anchors ask for them.
        """
        asked = self.detector
        names = ("size", "aspect", *self._own_fields)
        fields: dict[str, Any] = {name: getattr(asked, name) for name in names}
        if self.has_anchors:
            fields["box_sides"] = box_sides if asked.anchors == "cohort" else ()
        return fields | {"detections": DETECTIONS}


_OF_EVERY_RUN: Final = (
    "data.dicom", "data.splits", "data.views", "evaluation.matching", "runs.detect",
    "runs.detect_spec", "runs.detection_rows",
)  # fmt: skip
_OF_TRAINING: Final = (
    "evaluation.froc_curves", "models.detectors.anchors", "models.detectors.common",
    "training.detection", "training.detection_augmentation",
)  # fmt: skip
