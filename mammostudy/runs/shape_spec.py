"""What a shape run is: a classifier of masks, one fold of its patients, and what it is asked."""

from __future__ import annotations

from typing import Any, Final, Literal

from pydantic import Field, model_validator

from mammostudy.data.cache import digest
from mammostudy.data.manifest import SHAPES
from mammostudy.runs.frozen import Frozen as _Frozen
from mammostudy.runs.spec import KeyedSpec, RunSpec, SplitSpec, refuse_leaky
from mammostudy.runs.versions import recipe_version

VERSION: Final = 1  # raised when the default of a field changes: keys leave defaults out
NETWORKS: Final = ("cnn", "resnet", "grey-cnn")
ON_MASKS: Final = ("cnn", "resnet")
ON_FEATURES: Final = ("svm", "random-forest", "gradient-boosting")
UNTRAINED: Final = ("majority", "chance")
TOOLS: Final = ("circle", "ellipse", "polygon")
SOURCES: Final = ("truth", "active-contour", "segmenter")
Source = Literal["truth", "active-contour", "segmenter"]
Weighting = Literal["none", "published", "inverse", "effective"]


class ShapeInput(_Frozen):
    """The masks that a classifier learns from (paper, section 6).

    Attributes:
        source: who drew them: ``truth`` (the cohort's outlines), ``active-contour`` (Chan-Vese
            in the loose frame; the paper made its training masks so) or ``segmenter``.
        placement: ``stretch`` each axis by itself (paper) or ``square`` (aspect kept).
        keep_scale: whether a large mass stays larger than a small one.
        tool: learn from outlines of any drawing tool, of ``polygon`` alone, or of the ``other``
            tools alone (circle and ellipse).
    """

    source: Source = "truth"
    placement: Literal["stretch", "square"] = "stretch"
    keep_scale: bool = False
    tool: Literal["any", "polygon", "other"] = "any"


class ShapeTraining(_Frozen):
    """RMSProp, the class weights and the budget of a network; the others have no use for it.

    Attributes:
        epochs: passes over the training masks.
        batch: masks in a step.
        learning_rate: of RMSProp.
        momentum: of RMSProp.
        smoothing: of RMSProp's mean square; the paper names none, 0.9 is its inventors' value.
        weighting: of the classes (see :mod:`mammostudy.training.shape_weights`).
        focal_gamma: 0 is the weighted cross-entropy.
        rotate: turn and mirror the masks at random.
    """

    epochs: int = Field(50, ge=1)
    batch: int = Field(16, ge=1)
    learning_rate: float = Field(1e-3, gt=0)
    momentum: float = Field(0.9, ge=0, lt=1)
    smoothing: float = Field(0.9, gt=0, lt=1)
    weighting: Weighting = "published"
    focal_gamma: float = Field(0.0, ge=0)
    rotate: bool = False


class ShapeEvaluation(_Frozen):
    """What is measured on validation and test masks.

    Attributes:
        sources: the masks it is tested on; the first gives the temperature.
        explain: keep embeddings, occlusion maps and the walk from round to irregular.
    """

    sources: tuple[Source, ...] = ("truth",)
    explain: bool = False


class ShapeSpec(KeyedSpec):
    """One classifier, trained on all folds of a cohort's masks but one.

    Attributes:
        kind: tells this spec from those of other runs.
        target: what is told apart: the ``shape``, or the drawing ``tool`` as a control.
        classes: names in the order of the outputs.
        classifier: ``cnn`` (paper), ``resnet``, ``grey-cnn`` (the pixels of the frame instead of
            the mask), a classical one on shape features, or one that does not look.
        segmenter: the runs whose masks are the source ``segmenter``; those of another cohort
            predict all masses, those of the same images only their own test cases.
    """

    kind: Literal["shape"] = "shape"
    variant: Literal["paper", "study", "alternative"] = "paper"
    target: Literal["shape", "tool"] = "shape"
    classes: tuple[str, ...] = SHAPES
    classifier: Literal[
        "cnn", "resnet", "grey-cnn", "svm", "random-forest", "gradient-boosting", "majority",
        "chance",
    ] = "cnn"  # fmt: skip
    split: SplitSpec = SplitSpec()
    input: ShapeInput = ShapeInput()
    training: ShapeTraining = ShapeTraining()
    evaluation: ShapeEvaluation = ShapeEvaluation()
    segmenter: tuple[RunSpec, ...] = ()
    seed: int = Field(0, ge=0)

    @model_validator(mode="after")
    def _agree(self) -> ShapeSpec:
        for run in self.segmenter:
            refuse_leaky(run.split, "segmenter.split")
        known = SHAPES if self.target == "shape" else TOOLS
        if len(self.classes) < 2 or len(set(self.classes)) < len(self.classes):
            msg = "classes: name two or more, each once"
            raise ValueError(msg)
        if unknown := [name for name in self.classes if name not in known]:
            msg = f"classes: {unknown[0]!r} is no {self.target}; use some of {', '.join(known)}"
            raise ValueError(msg)
        if not self.evaluation.sources:
            msg = "evaluation.sources is empty; name truth, active-contour or segmenter"
            raise ValueError(msg)
        asked = {self.input.source, *self.evaluation.sources}
        if "segmenter" in asked and not self.segmenter:
            msg = "segmenter: masks of a segmenter are asked for, but no run of one is named"
            raise ValueError(msg)
        if self.evaluation.explain and self.classifier not in ON_MASKS:
            msg = "evaluation.explain needs a network on masks (cnn or resnet)"
            raise ValueError(msg)
        return self

    @property
    def task(self) -> str | None:
        """What the cohort must be fit for; who drew the outlines is a control, and no task."""
        return "shape" if self.target == "shape" else None

    @property
    def is_network(self) -> bool:
        """Whether it is trained by gradient descent."""
        return self.classifier in NETWORKS

    @property
    def before(self) -> tuple[Any, ...]:
        """The segmenters whose masks it works on."""
        return self.segmenter

    def recipe_versions(self) -> dict[str, int]:
        """Return the recipe version of every component that makes this run's numbers."""
        modules = [*_EVERY_RUN, *_OF_CLASSIFIER.get(self.classifier, _ON_FEATURES)]
        versions = {name: recipe_version(name) for name in modules}
        for run in self.segmenter:
            versions |= run.recipe_versions()
        if self.segmenter:
            versions["mammostudy.data.sources.phantom"] = recipe_version(
                "mammostudy.data.sources.phantom"
            )
        return dict(sorted(versions.items()))

    def training_key(self, manifest_hash: str) -> str:
        """Hash of what the weights depend on, as the key but for the evaluation."""
        content = self.model_dump(
            mode="json", exclude={"evaluation", "variant"}, exclude_defaults=True
        )
        return digest(
            {"shape": content, "versions": self.recipe_versions(), "manifest": manifest_hash}
        )[:16]


_EVERY_RUN: Final = (
    "mammostudy.data.dicom",
    "mammostudy.data.splits",
    "mammostudy.evaluation.calibration",
    "mammostudy.imaging.contours",
    "mammostudy.imaging.framing",
    "mammostudy.imaging.preprocessing",
    "mammostudy.imaging.shape_masks",
    "mammostudy.runs.mask_sets",
    "mammostudy.runs.shape_spec",
    "mammostudy.runs.shapes",
)
_NETWORK: Final = ("mammostudy.training.shapes", "mammostudy.training.shape_weights")
_ON_FEATURES: Final = (
    "mammostudy.imaging.shape_features",
    "mammostudy.training.shape_features",
)
_OF_CLASSIFIER: Final = {
    "cnn": (*_NETWORK, "mammostudy.models.shape_cnn"),
    "grey-cnn": (*_NETWORK, "mammostudy.models.shape_cnn", "mammostudy.data.frames"),
    "resnet": (*_NETWORK, "mammostudy.models.shape_resnet"),
    "majority": (),
    "chance": (),
}
