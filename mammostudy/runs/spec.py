"""What a run is: a frozen, validated description, and the key it is kept under."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any, Final, Literal, Self

from pydantic import Field, ValidationError, model_validator

from mammostudy.data.cache import digest
from mammostudy.data.frames import Frame, Preprocessing
from mammostudy.errors import SpecError
from mammostudy.runs.frozen import Frozen
from mammostudy.runs.run_modules import BASELINE_MODULES, evaluation_modules, training_modules
from mammostudy.runs.segmenting import (
    BASELINES,
    Evaluation,
    Loss,
    Model,
    Optimiser,
    missing_package,
)
from mammostudy.runs.versions import recipe_version

__all__ = [
    "BASELINES",
    "Evaluation",
    "KeyedSpec",
    "Loss",
    "Model",
    "Optimiser",
    "RunSpec",
    "SplitSpec",
    "parse_spec",
]

VERSION: Final = 1  # raised when the default of a field changes: keys leave defaults out
QUICK_WIDTH: Final = 32  # narrower networks gain little, and keep the numbers of their records


class KeyedSpec(Frozen, ABC):
    """What every kind of run shares: a cohort, and a key made of fields and recipe versions."""

    cohort: str

    @abstractmethod
    def recipe_versions(self) -> dict[str, int]:
        """Return the recipe version of every component that makes this run's numbers."""

    @property
    @abstractmethod
    def task(self) -> str | None:
        """What the cohort must be fit for, a name of :data:`mammostudy.data.tasks.TASKS`."""

    @property
    def before(self) -> tuple[Any, ...]:
        """The runs that must have been made before this one, whose results it works on."""
        return ()

    @property
    def cannot_run(self) -> str:
        """Why this machine cannot make the run, with the mend; empty where it can."""
        return next((reason for run in self.before if (reason := run.cannot_run)), "")

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


class SplitSpec(Frozen):
    """Which patients train and which test (see :func:`mammostudy.data.splits.split_cases`).

    Attributes:
        folds: how many.
        fold: that is tested.
        seed: of the shuffling.
        train_site: train on this site only.
        validation_folds: the validation part is one in this many of the rest.
        unit: ``image`` deals out the images of a patient one by one. It LEAKS, and serves the one
            page that measures a leak; its records say so, and no other run may build on them.
        rule: ``official`` tests on the part that the cohort's owners publish for it
            (:mod:`mammostudy.data.official_splits`); it has one fold.
    """

    folds: int = Field(5, ge=2)
    fold: int = Field(0, ge=0)
    seed: int = 0
    train_site: str | None = None
    validation_folds: int = Field(6, ge=2)
    unit: Literal["patient", "image"] = "patient"
    rule: Literal["folds", "official"] = "folds"

    @model_validator(mode="after")
    def _agree(self) -> SplitSpec:
        if self.rule == "official" and (self.fold or self.train_site or self.leaky):
            msg = (
                "rule 'official' is one split by patient: leave fold at 0, train_site empty and "
                "unit at 'patient'"
            )
            raise ValueError(msg)
        return self

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


class RunSpec(KeyedSpec):
    """One run of the study: what is trained, on whom, and what is measured."""

    variant: Literal["paper", "released", "study", "best", "alternative", "baseline"] = "paper"
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
        if self.evaluation.samples == 1 or (self.evaluation.samples and not self._has_dropout):
            msg = (
                "evaluation.samples: give 2 draws or more, of a cgan whose "
                "model.dropout_at_prediction is true; nothing else draws"
            )
            raise ValueError(msg)
        if self.evaluation.test_cohort == self.cohort:
            msg = "evaluation.test_cohort is the run's own cohort; leave it empty"
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
    def task(self) -> str:
        """What the cohort must be fit for."""
        return "segmentation"

    @property
    def cannot_run(self) -> str:
        """Why this machine cannot make the run: weights whose package is not installed."""
        packaged = self.model.weights == "packaged"
        return missing_package() if packaged else super().cannot_run

    @property
    def _has_dropout(self) -> bool:
        return self.model.name == "cgan" and self.model.dropout_at_prediction

    @property
    def is_baseline(self) -> bool:
        """Whether the model is one that needs no training."""
        return self.model.name in BASELINES

    @property
    def trains_channels_last(self) -> bool:
        """Whether a processor trains it in :mod:`mammostudy.models.channels_last`."""
        return self.model.name == "cgan" and self.model.width >= QUICK_WIDTH

    def recipe_versions(self) -> dict[str, int]:
        """Return the recipe version of every component that makes this run's numbers."""
        modules = evaluation_modules(self)
        modules += BASELINE_MODULES if self.is_baseline else training_modules(self)
        return {name: recipe_version(name) for name in sorted(set(modules))}

    def training_key(self, manifest_hash: str) -> str:
        """Hash of what the weights depend on; runs that differ in evaluation alone share it."""
        content = self.model_dump(
            mode="json", exclude={"evaluation", "variant"}, exclude_defaults=True
        )
        versions = {name: recipe_version(name) for name in training_modules(self)}
        return digest({"spec": content, "versions": versions, "manifest": manifest_hash})[:16]


def parse_spec(content: dict[str, Any]) -> RunSpec:
    """Validate a spec read from outside.

    Raises:
        SpecError: one line a fault, each naming its field.
    """
    return RunSpec.parse(content)
