"""The further kinds of run, of detectors, of shapes and of chains, and the table of all kinds."""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from types import ModuleType
from typing import Any, ClassVar, Final, Literal, NamedTuple

from pydantic import Field

from mammostudy.data.manifest import SHAPES
from mammostudy.evaluation.matched_rows import HEADLINE, RULES
from mammostudy.models.registry import DETECTORS, SEGMENTERS
from mammostudy.runs.spec import Frozen, KeyedSpec, Rules, RunSpec, SplitSpec, rules_of_network
from mammostudy.runs.versions import PARTS, components_of

PRIOR: Final = "fixed-prior"
SSDS: Final = ("ssd-light", "ssd300-vgg16", "ssdlite-mobilenetv3")
PYRAMIDS: Final = ("faster-rcnn", "fcos", "retinanet")
LITE0: Final = "efficientnet-lite0"
DETECTIONS: Final = 20  # boxes kept an image: FROC is read up to 8 false positives
NETWORKS: Final = ("cnn", "resnet", "grey-cnn")
ON_MASKS: Final = ("cnn", "resnet")
ON_FEATURES: Final = ("svm", "random-forest", "gradient-boosting")
BESIDE: Final = ("grey-features", "box")
UNTRAINED: Final = ("majority", "chance")
TOOLS: Final = ("circle", "ellipse", "polygon")
SOURCES: Final = ("truth", "active-contour", "segmenter")
BOTH: Final = ("contour", "segmenter")
Source = Literal["truth", "active-contour", "contour", "segmenter"]


class Detecting(Frozen):
    """The detector, or ``fixed-prior`` (the mean training box of each side); how it sees."""

    name: str = "ssd300-vgg16"
    size: int = Field(320, ge=64, le=1333)  # of the square that an image is brought to, pixels
    aspect: Literal["stretch", "letterbox"] = "stretch"  # SSD as published stretches
    anchors: Literal["default", "cohort"] = "cohort"  # sizes of the library, or training masses
    negatives_on_empty: bool = True  # of an SSD: views without a mass teach it something
    width: int = Field(32, ge=8, multiple_of=2)  # filters of ``ssd-light``'s trunk
    trunk: Literal["resnet50", "resnet18", "efficientnet-lite0"] = "resnet50"
    weights: Literal["none", "imagenet", "packaged"] = "none"  # of the trunk; or downloaded
    batch_norm: bool = False  # in the trunk of ``ssd300-vgg16``, which was published without

    @property
    def own(self) -> tuple[str, ...]:
        """The fields that the detector takes, beside those that all take."""
        return DETECTORS[self.name].fields if self.name in DETECTORS else ()

    def _rules(self) -> Rules:
        owned = {"size", "aspect", *self.own}
        yield from rules_of_network(self, self.name, (*DETECTORS, PRIOR), owned)
        lite = self.trunk == LITE0 and self.name != "faster-rcnn"
        yield lite == (self.weights == "packaged"), f"weights packaged go with trunk {LITE0} alone"


class DetectorTraining(Frozen):
    """AdamW with one cycle of the learning rate, and the budget of a run."""

    iterations: int = Field(1000, ge=0)  # 0 for the prior box alone
    batch: int = Field(4, ge=2)  # views
    learning_rate: float = Field(1e-3, gt=0)  # the highest of the cycle
    weight_decay: float = Field(1e-4, ge=0)
    validations: int = Field(10, ge=1)  # how often the validation views are predicted
    augment: bool = True  # flips, shifts, zoom and light (one recipe for all detectors)
    mass_free: bool = True  # learn from views without a mass, too
    averaging: float = Field(0.0, ge=0, lt=1)  # decay of the average of the weights that predicts


class DetectSpec(KeyedSpec):
    """One detector, trained on the views of all folds of a cohort but one.

    Other cohorts are split as the study splits them: it may learn ``beside`` from the training part
    of one, and be tested on the test part of ``test_cohort`` in place of its own.
    """

    needs: ClassVar[str] = "detection"
    trained_as: ClassVar[str] = "detector"
    named: ClassVar[str] = "detector.name"
    untrained: ClassVar[set[str]] = {"variant", "test_cohort"}

    kind: Literal["detection"] = "detection"
    variant: Literal["paper", "study", "alternative", "baseline"] = "paper"
    split: SplitSpec = SplitSpec()
    detector: Detecting = Detecting()
    training: DetectorTraining = DetectorTraining()
    seed: int = Field(0, ge=0)  # of weights, batches and augmentation
    beside: str = ""
    test_cohort: str = ""

    def _rules(self) -> Rules:
        yield from self.split.by_patient("split")
        yield self.cohort not in (self.beside, self.test_cohort), "beside, test_cohort: others"
        trained = self.training.iterations > 0
        yield trained != self.is_baseline, "training.iterations: 0 for fixed-prior, else above 0"

    @property
    def is_baseline(self) -> bool:
        """Whether nothing is trained."""
        return self.detector.name == PRIOR

    def components(self) -> set[str]:
        """Return what makes the boxes, and the weights where there are any."""
        if self.is_baseline:
            return components_of("detection", "prior")
        network = DETECTORS[self.detector.name].versions
        asked = {"averaged": self.training.averaging, "frozen": self.detector.trunk == LITE0}
        return components_of("detection", "detector", *filter(asked.get, asked)).union(network)

    def fields(self, box_sides: tuple[float, ...] = ()) -> dict[str, Any]:
        """Return the fields that the detector is built with; sides are of training masses."""
        asked = self.detector
        found = {name: getattr(asked, name) for name in ("size", "aspect", *asked.own)}
        if "anchors" in found:
            found["box_sides"] = box_sides if asked.anchors == "cohort" else ()
        return found | {"detections": DETECTIONS}


class ShapeInput(Frozen):
    """The masks that a classifier learns from (paper, section 6)."""

    source: Source | Literal["both"] = "truth"  # both: every mass by contour and by segmenter
    placement: Literal["stretch", "square"] = "stretch"  # each axis by itself (paper)
    keep_scale: bool = False  # a large mass stays larger than a small one
    tool: Literal["any", "polygon", "other"] = "any"  # other: circle and ellipse
    share: float = Field(1.0, gt=0, le=1)  # of the training patients


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

    sources: tuple[Source, ...] = Field(("truth",), min_length=1)
    explain: bool = False  # keep the walk from round to irregular


class ShapeSpec(KeyedSpec):
    """One classifier, trained on all folds of a cohort's masks but one.

    The runs of ``segmenter`` give the masks of that source: those of another cohort predict all
    masses, those of the same images only their own test cases.
    """

    needs: ClassVar[str] = "shape"
    trained_as: ClassVar[str] = "shape"
    named: ClassVar[str] = "classifier"

    kind: Literal["shape"] = "shape"
    variant: Literal["paper", "study", "alternative"] = "paper"
    target: Literal["shape", "tool"] = "shape"  # the drawing tool is a control
    classes: tuple[str, ...] = SHAPES  # in the order of the outputs
    classifier: Literal[
        "cnn", "resnet", "grey-cnn", "svm", "random-forest", "gradient-boosting", "grey-features",
        "box", "majority", "chance",
    ] = "cnn"  # the grey ones see pixels, the box its own sides, the others masks  # fmt: skip
    split: SplitSpec = SplitSpec()
    input: ShapeInput = ShapeInput()
    training: ShapeTraining = ShapeTraining()
    evaluation: ShapeEvaluation = ShapeEvaluation()
    segmenter: tuple[RunSpec, ...] = ()
    seed: int = Field(0, ge=0)

    def _rules(self) -> Rules:
        for run in self.segmenter:
            yield from run.split.by_patient("segmenter.split")
        known, asked = SHAPES if self.target == "shape" else TOOLS, self.evaluation
        distinct = len(set(self.classes)) == len(self.classes) >= 2
        yield distinct, "classes: name two or more, each once"
        yield set(self.classes) <= set(known), f"classes: use some of {', '.join(known)}"
        drawn = self.segmenter or "segmenter" not in (*self.learnt, *asked.sources)
        yield drawn, "segmenter: no run is named that draws the masks"
        yield self.classifier in ON_MASKS or not asked.explain, "evaluation.explain: cnn or resnet"

    @property
    def learnt(self) -> tuple[str, ...]:
        """The sources of the masks that it learns from."""
        return BOTH if self.input.source == "both" else (self.input.source,)

    @property
    def before(self) -> tuple[Any, ...]:
        """The segmenters whose masks it works on."""
        return self.segmenter

    def components(self) -> set[str]:
        """Return what makes this run's numbers, those of its segmenters too."""
        asked: dict[str, Any] = {"features": self.classifier in ON_FEATURES}
        asked |= {self.classifier: self.classifier in PARTS, "segmented": self.segmenter}
        asked |= {"geodesic": "contour" in (*self.learnt, *self.evaluation.sources)}
        own = components_of("shapes", *filter(asked.get, asked))
        return own.union(*(run.components() for run in self.segmenter))


class ChainSpec(KeyedSpec):
    """From mammogram to shape without a hand: trained models at work on patients new to them all.

    The cohort is the detector's; the segmenter's may be another one of the same masses under the
    same case names. Of classifiers of the same patients, each mass is judged by the one whose test
    fold holds its patient; of other patients, by the first.
    """

    needs: ClassVar[str] = "detection"
    trained_as: ClassVar[str] = "chain"
    named: ClassVar[str] = "kind"
    untrained: ClassVar[set[str]] = {"variant"}

    kind: Literal["chain"] = "chain"
    variant: Literal["paper", "study", "baseline"] = "study"
    detector: DetectSpec  # finds the boxes of the views of its test part
    segmenter: RunSpec  # marks the mass in the frame around a box
    shapes: tuple[ShapeSpec, ...] = ()  # tell the shape of a mask
    postprocessing: Literal["published", "chosen"] = "chosen"  # on the segmenter's validation part
    operating: float = Field(1.0, gt=0, allow_inf_nan=False)  # false positives a validation view
    rule: str = HEADLINE  # of :data:`mammostudy.evaluation.matched_rows.RULES`: a box finds a mass

    def _rules(self) -> Rules:
        """Yield what must hold between the stages: above all, that none tests what one learnt."""
        for shape in self.shapes:
            yield from shape.split.by_patient("shapes.split")
            told = shape.target == "shape" and shape.classifier in ON_MASKS
            yield told, f"shapes: networks that tell shapes from masks, {ON_MASKS}"
            scaled = shape.input.keep_scale
            yield not scaled, "shapes: a classifier that keeps the scale needs all masks at once"
        recipes = {(shape.cohort, shape.classes) for shape in self.shapes}
        yield len(recipes) < 2, "shapes: give folds of one recipe, of one cohort and its classes"
        yield self.cohort == self.detector.cohort, "cohort must be the detector's"
        same = self.segmenter.split == self.detector.split
        yield same, "segmenter.split is not detector.split: give both the same"
        framed = self.segmenter.frame.strategy != "full"
        yield framed, "segmenter.frame.strategy full does not use a box; use loose or tight"
        yield self.rule in RULES, f"rule {self.rule!r} is unknown: use one of {', '.join(RULES)}"

    @property
    def split(self) -> SplitSpec:
        """The split that detector and segmenter share."""
        return self.detector.split

    @property
    def before(self) -> tuple[Any, ...]:
        """The runs whose models stand in the chain."""
        return (self.detector, self.segmenter, *self.shapes)

    def components(self) -> set[str]:
        """Return what makes this run's numbers, those of its stages too."""
        return components_of("chain").union(*(run.components() for run in self.before))


Spec = RunSpec | DetectSpec | ShapeSpec | ChainSpec


class Kind(NamedTuple):
    """One kind of run: ``run`` and ``network`` (fresh, of a record) are in its module."""

    spec: type[KeyedSpec]
    module: str
    metric: str  # column of the curves that convergence is told by; more is better
    cost: Callable[[Any], tuple[int, int]]  # ranks runs by their time


def _segmentation_cost(spec: RunSpec) -> tuple[int, int]:
    step = 1 if spec.is_baseline else SEGMENTERS[spec.model.name].cost
    return (2 if step > 1 else 1, step * spec.optimiser.iterations * spec.frame.size**2)


def _detection_cost(spec: DetectSpec) -> tuple[int, int]:
    step = 1 if spec.is_baseline else DETECTORS[spec.detector.name].cost
    return (2, step * spec.training.iterations * spec.detector.size**2)


KINDS: Final[dict[str, Kind]] = {
    "segmentation": Kind(RunSpec, "segmentation", "validation_dice", _segmentation_cost),
    "detection": Kind(DetectSpec, "detection", "validation_sensitivity", _detection_cost),
    "shape": Kind(ShapeSpec, "shapes", "validation_macro_recall", lambda _: (0, 0)),
    "chain": Kind(ChainSpec, "chain", "", lambda _: (0, 0)),
}


def module_of(kind: str) -> ModuleType:
    """Return the module of a kind of run, which imports torch."""
    return import_module(f"mammostudy.runs.{KINDS[kind].module}")


def kind_of(spec: object) -> str:
    """Return the kind of run of a spec, or of one as a record holds it."""
    fields = spec if isinstance(spec, dict) else vars(spec)
    return str(fields.get("kind", "segmentation"))
