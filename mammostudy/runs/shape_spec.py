"""What a shape run is: a classifier of masks, one fold of its patients, and what it is asked."""

from __future__ import annotations

from typing import Any, ClassVar, Final, Literal

from pydantic import Field, model_validator

from mammostudy.data.manifest import SHAPES
from mammostudy.runs.spec import Frozen, KeyedSpec, RunSpec, SplitSpec, demand, refuse_leaky

NETWORKS: Final = ("cnn", "resnet", "grey-cnn")
ON_MASKS: Final = ("cnn", "resnet")
ON_FEATURES: Final = ("svm", "random-forest", "gradient-boosting")
UNTRAINED: Final = ("majority", "chance")
TOOLS: Final = ("circle", "ellipse", "polygon")
SOURCES: Final = ("truth", "active-contour", "segmenter")
Source = Literal["truth", "active-contour", "segmenter"]


class ShapeInput(Frozen):
    """The masks that a classifier learns from (paper, section 6).

    They are the cohort's outlines (``truth``), Chan-Vese's in the loose frame (the paper made its
    training masks so), or a segmenter's. Outlines can be limited to one drawing tool.
    """

    source: Source = "truth"
    placement: Literal["stretch", "square"] = "stretch"  # each axis by itself (paper)
    keep_scale: bool = False  # a large mass stays larger than a small one
    tool: Literal["any", "polygon", "other"] = "any"  # other: circle and ellipse


class ShapeTraining(Frozen):
    """RMSProp, the class weights and the budget of a network; the others have no use for it."""

    epochs: int = Field(50, ge=1)
    batch: int = Field(16, ge=1)
    learning_rate: float = Field(1e-3, gt=0)
    momentum: float = Field(0.9, ge=0, lt=1)
    smoothing: float = Field(0.9, gt=0, lt=1)  # of the mean square; the paper names none
    weighting: Literal["none", "published", "inverse", "effective"] = "published"  # of the classes
    focal_gamma: float = Field(0.0, ge=0)  # 0 is the weighted cross-entropy
    rotate: bool = False  # turn and mirror the masks at random


class ShapeEvaluation(Frozen):
    """What is measured on validation and test masks; the first source gives the temperature."""

    sources: tuple[Source, ...] = ("truth",)
    explain: bool = False  # keep embeddings, occlusion maps, the walk from round to irregular


class ShapeSpec(KeyedSpec):
    """One classifier, trained on all folds of a cohort's masks but one.

    It tells shapes apart, or drawing tools as a control. ``grey-cnn`` sees the pixels of the frame
    instead of the mask. The runs of ``segmenter`` give the masks of that source: those of another
    cohort predict all masses, those of the same images only their own test cases.
    """

    trained_as: ClassVar[str] = "shape"
    untrained: ClassVar[frozenset[str]] = frozenset({"evaluation", "variant"})

    kind: Literal["shape"] = "shape"
    variant: Literal["paper", "study", "alternative"] = "paper"
    target: Literal["shape", "tool"] = "shape"
    classes: tuple[str, ...] = SHAPES  # in the order of the outputs
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
        distinct = len(set(self.classes)) == len(self.classes) >= 2
        demand(distinct, "classes: name two or more, each once")
        known = SHAPES if self.target == "shape" else TOOLS
        unknown = next((name for name in self.classes if name not in known), None)
        demand(
            unknown is None,
            f"classes: {unknown!r} is no {self.target}; use some of {', '.join(known)}",
        )
        demand(
            bool(self.evaluation.sources),
            "evaluation.sources is empty; name truth, active-contour or segmenter",
        )
        asked = {self.input.source, *self.evaluation.sources}
        demand(
            bool(self.segmenter) or "segmenter" not in asked,
            "segmenter: masks of a segmenter are asked for, but no run of one is named",
        )
        demand(
            not self.evaluation.explain or self.classifier in ON_MASKS,
            "evaluation.explain needs a network on masks (cnn or resnet)",
        )
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

    def components(self) -> set[str]:
        """Return the components that make this run's numbers, those of its segmenters too."""
        of_masks = {"data.sources.phantom"} if self.segmenter else set()
        own = {*_OF_EVERY_RUN, *_OF_CLASSIFIER[self.classifier]}
        return own.union(of_masks, *(run.components() for run in self.segmenter))


_OF_EVERY_RUN: Final = (
    "data.dicom", "data.splits", "evaluation.calibration", "imaging.contours", "imaging.framing",
    "imaging.preprocessing", "imaging.shape_masks", "runs.mask_sets", "runs.shape_spec",
    "runs.shapes",
)  # fmt: skip
_NETWORK: Final = ("training.shapes", "training.shape_weights")
_ON_FEATURES: Final = ("imaging.shape_features", "training.shape_features")
_OF_CLASSIFIER: Final[dict[str, tuple[str, ...]]] = {
    "cnn": (*_NETWORK, "models.shape_cnn"),
    "grey-cnn": (*_NETWORK, "models.shape_cnn", "data.frames"),
    "resnet": (*_NETWORK, "models.shape_resnet"),
    **dict.fromkeys(ON_FEATURES, _ON_FEATURES),
    **dict.fromkeys(UNTRAINED, ()),
}
