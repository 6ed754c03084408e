"""What a run is: a frozen, validated description, and the key it is kept under."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any, Final, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from mammostudy.data.cache import digest
from mammostudy.data.frames import Frame, Preprocessing
from mammostudy.errors import SpecError
from mammostudy.runs.provenance import recipe_version

VERSION: Final = 1  # raised when the default of a field changes: keys leave defaults out
BASELINES: Final = ("all-mass", "ellipse", "otsu", "chan-vese")
Overlap = Literal["dice", "l1", "released_dice", "dice_bce"]


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class KeyedSpec(_Frozen, ABC):
    """What every kind of run shares: a cohort, and a key made of fields and recipe versions."""

    cohort: str

    @abstractmethod
    def recipe_versions(self) -> dict[str, int]:
        """Return the recipe version of every component that makes this run's numbers."""

    @property
    def before(self) -> tuple[Any, ...]:
        """The runs that must have been made before this one, whose results it works on."""
        return ()

    def recipe_key(self) -> str:
        """Hash of the spec and its recipe versions, without the data."""
        content = self.model_dump(mode="json", exclude_defaults=True)
        return digest({"spec": content, "versions": self.recipe_versions()})

    def key(self, manifest_hash: str) -> str:
        """Return the run's key: hash of spec, recipe versions and manifest content."""
        return digest({"recipe": self.recipe_key(), "manifest": manifest_hash})[:16]

    def changed(self, **fields: Any) -> Self:
        """Return a validated copy with some fields changed, ``frame__scale=3.0`` for nested ones.

        Raises:
            SpecError: a field is unknown or ill-typed.
        """
        content = self.model_dump()
        for name, value in fields.items():
            *rooms, last = name.split("__")
            place = content
            for room in rooms:
                inner = place.get(room)
                place = inner if isinstance(inner, dict) else {}
            if last not in place:
                msg = f"run spec: no field {name!r}; {'.'.join(rooms) or 'it'} has {sorted(place)}"
                raise SpecError(msg)
            place[last] = value
        return self.parse(content)

    @classmethod
    def parse(cls, content: dict[str, Any]) -> Self:
        """Validate a spec read from outside.

        Raises:
            SpecError: one line a fault, each naming its field.
        """
        try:
            return cls.model_validate(content)
        except ValidationError as error:
            faults = "; ".join(
                f"{'.'.join(map(str, fault['loc'])) or 'spec'}: "
                f"{fault['msg'].removeprefix('Value error, ')}"
                for fault in error.errors()
            )
            msg = f"run spec: {faults}"
            raise SpecError(msg) from None


class SplitSpec(_Frozen):
    """Which patients train and which test (see :func:`mammostudy.data.splits.split_cases`).

    Attributes:
        folds: how many.
        fold: that is tested.
        seed: of the shuffling.
        train_site: train on this site only.
        validation_folds: the validation part is one in this many of the rest.
        unit: ``image`` deals out the images of a patient one by one. It LEAKS, and serves the one
            page that measures a leak; its records say so, and no other run may build on them.
    """

    folds: int = Field(5, ge=2)
    fold: int = Field(0, ge=0)
    seed: int = 0
    train_site: str | None = None
    validation_folds: int = Field(6, ge=2)
    unit: Literal["patient", "image"] = "patient"

    @property
    def leaky(self) -> bool:
        """Whether a patient may stand in two parts."""
        return self.unit != "patient"


def refuse_leaky(split: SplitSpec, field: str) -> None:
    """Refuse a split by image where none may be.

    Raises:
        ValueError: naming the field; pydantic makes it an error of the spec.
    """
    if split.leaky:
        msg = (
            f"{field}.unit {split.unit!r} lets a patient stand in training and test; only runs of "
            "segmenters and of shapes by themselves may, to measure a leak: use 'patient'"
        )
        raise ValueError(msg)


class Model(_Frozen):
    """The segmenter: a name of the registry, or one of the baselines that need no training.

    Attributes:
        name: ``cgan`` (the paper's generator), ``unet``, or a baseline.
        channels: 1, or the 3 of the released code.
        width: filters of the first layer.
        levels: stride-2 levels; the frame's side must be divisible by ``2 ** levels``.
        shared_batch_norm: one batch norm for all layers of equal width (released code).
        dropout_at_prediction: the paper's z.
    """

    name: str = "cgan"
    channels: Literal[1, 3] = 1
    width: int = Field(32, ge=2)
    levels: int = Field(8, ge=3)
    shared_batch_norm: bool = False
    dropout_at_prediction: bool = True


class Loss(_Frozen):
    """``adversarial_weight * adversarial + overlap_weight * overlap`` (paper, section 2).

    Attributes:
        overlap: ``dice``, ``l1``, ``released_dice`` or ``dice_bce``.
        overlap_weight: the paper's lambda.
        adversarial_weight: 0 trains without a discriminator.
        signed_masks: masks in [-1, 1] before the discriminator (released code).
    """

    overlap: Overlap = "dice"
    overlap_weight: float = Field(150.0, gt=0)
    adversarial_weight: float = Field(1.0, ge=0)
    signed_masks: bool = False


class Optimiser(_Frozen):
    """Adam and the budget of a run; ``iterations`` of 0 is for baselines only."""

    learning_rate: float = Field(2e-4, gt=0)
    beta1: float = Field(0.5, ge=0, lt=1)
    beta2: float = Field(0.999, ge=0, lt=1)
    batch: int = Field(8, ge=1)
    iterations: int = Field(4200, ge=0)
    validations: int = Field(20, ge=1)
    augment: bool = False


class Evaluation(_Frozen):
    """What is measured on validation and test cases.

    Attributes:
        boxes: the boxes that frames are laid around.
        postprocessing: ``published`` (none and the paper's order) or ``every`` subset and order.
    """

    boxes: tuple[Literal["oracle", "jittered"], ...] = ("oracle", "jittered")
    postprocessing: Literal["published", "every"] = "published"


class RunSpec(KeyedSpec):
    """One run of the study: what is trained, on whom, and what is measured."""

    variant: Literal["paper", "released", "study", "baseline"] = "paper"
    split: SplitSpec = SplitSpec()
    frame: Frame = Frame()
    preprocessing: Preprocessing = Preprocessing()
    model: Model = Model()
    loss: Loss = Loss()
    optimiser: Optimiser = Optimiser()
    evaluation: Evaluation = Evaluation()
    seed: int = Field(0, ge=0)

    @model_validator(mode="after")
    def _agree(self) -> RunSpec:
        if self.is_baseline != (self.optimiser.iterations == 0):
            msg = "optimiser.iterations must be 0 for a baseline, and above 0 for a trained model"
            raise ValueError(msg)
        if self.frame.box != "oracle":
            msg = "frame.box: training frames are oracle frames; list boxes in evaluation.boxes"
            raise ValueError(msg)
        if not self.evaluation.boxes:
            msg = "evaluation.boxes is empty; name oracle, jittered or both"
            raise ValueError(msg)
        if self.model.name == "cgan" and self.frame.size % 2**self.model.levels:
            msg = (
                f"frame.size {self.frame.size} is not divisible by 2 ** model.levels "
                f"({2**self.model.levels}); use 8 levels for 256, 7 for 128, 6 for 64 pixels"
            )
            raise ValueError(msg)
        return self

    @property
    def is_baseline(self) -> bool:
        """Whether the model is one that needs no training."""
        return self.model.name in BASELINES

    def recipe_versions(self) -> dict[str, int]:
        """Return the recipe version of every component that makes this run's numbers."""
        modules = [*_EVALUATION_MODULES]
        modules += _BASELINE_MODULES if self.is_baseline else _training_modules(self)
        return {name: recipe_version(name) for name in sorted(set(modules))}

    def training_key(self, manifest_hash: str) -> str:
        """Hash of what the weights depend on; runs that differ in evaluation alone share it."""
        content = self.model_dump(
            mode="json", exclude={"evaluation", "variant"}, exclude_defaults=True
        )
        versions = {name: recipe_version(name) for name in _training_modules(self)}
        return digest({"spec": content, "versions": versions, "manifest": manifest_hash})[:16]


_EVERY_RUN: Final = (
    "mammostudy.data.dicom",
    "mammostudy.data.frames",
    "mammostudy.data.splits",
    "mammostudy.imaging.framing",
    "mammostudy.imaging.preprocessing",
    "mammostudy.runs.segmenters",
    "mammostudy.runs.spec",
)
_EVALUATION_MODULES: Final = (
    *_EVERY_RUN,
    "mammostudy.evaluation.overlap",
    "mammostudy.evaluation.surface",
    "mammostudy.imaging.postprocessing",
    "mammostudy.runs.evaluate",
)
_BASELINE_MODULES: Final = ("mammostudy.imaging.contours",)
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


def _training_modules(spec: RunSpec) -> list[str]:
    modules = [*_TRAINING_MODULES, *_MODEL_MODULES.get(spec.model.name, ())]
    if spec.loss.adversarial_weight > 0:
        modules.append("mammostudy.models.discriminator")
    return modules


def parse_spec(content: dict[str, Any]) -> RunSpec:
    """Validate a spec read from outside.

    Raises:
        SpecError: one line a fault, each naming its field.
    """
    return RunSpec.parse(content)
