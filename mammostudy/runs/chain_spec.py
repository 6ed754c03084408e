"""What a chain run is: a detector, a segmenter and classifiers of shape, one behind the other."""

from __future__ import annotations

from typing import Any, ClassVar, Final, Literal

from pydantic import Field, model_validator

from mammostudy.runs.detect_spec import DetectSpec
from mammostudy.runs.detection_rows import HEADLINE, RULES
from mammostudy.runs.shape_spec import ON_MASKS, ShapeSpec
from mammostudy.runs.spec import KeyedSpec, RunSpec, SplitSpec, demand, refuse_leaky


class ChainSpec(KeyedSpec):
    """From mammogram to shape without a hand: trained models at work on patients new to them all.

    Nothing is trained. The cohort is the detector's; the segmenter's may be another one of the same
    masses under the same case names. Of classifiers of the same patients, each mass is judged by
    the one whose test fold holds its patient; of other patients, by the first.
    """

    trained_as: ClassVar[str] = "chain"

    kind: Literal["chain"] = "chain"
    variant: Literal["paper", "study", "baseline"] = "study"
    detector: DetectSpec  # finds the boxes of the views of its test part
    segmenter: RunSpec  # marks the mass in the frame around a box
    shapes: tuple[ShapeSpec, ...] = ()  # tell the shape of a mask
    postprocessing: Literal["published", "chosen"] = "chosen"  # on the segmenter's validation part
    operating: float = Field(1.0, gt=0, allow_inf_nan=False)  # false positives a validation view
    rule: str = HEADLINE  # when a box finds a mass, of :data:`mammostudy.runs.detection_rows.RULES`

    @model_validator(mode="after")
    def _agree(self) -> ChainSpec:
        demand(
            self.cohort == self.detector.cohort,
            f"cohort {self.cohort!r} must be the detector's, {self.detector.cohort!r}",
        )
        demand(
            self.segmenter.split == self.detector.split,
            "segmenter.split is not detector.split: what one has learnt from would be tested by "
            "the other; give both the same folds, fold, seed and site",
        )
        demand(
            self.segmenter.frame.strategy != "full",
            "segmenter.frame.strategy full does not use a box; use loose or tight",
        )
        demand(self.rule in RULES, f"rule {self.rule!r} is unknown: use one of {', '.join(RULES)}")
        for shape in self.shapes:
            refuse_leaky(shape.split, "shapes.split")
            demand(
                shape.target == "shape" and shape.classifier in ON_MASKS,
                f"shapes: a network that tells shapes from masks is needed, {ON_MASKS}",
            )
            demand(
                not shape.input.keep_scale,
                "shapes: a classifier that keeps the scale needs all masks at once",
            )
        demand(
            len({(shape.cohort, shape.classes) for shape in self.shapes}) <= 1,
            "shapes: the classifiers differ in cohort or classes; give folds of one recipe",
        )
        return self

    @property
    def task(self) -> str:
        """What the cohort must be fit for; the stages say what theirs must be."""
        return self.detector.task

    @property
    def split(self) -> SplitSpec:
        """The split that detector and segmenter share."""
        return self.detector.split

    @property
    def before(self) -> tuple[Any, ...]:
        """The runs whose models stand in the chain."""
        return (self.detector, self.segmenter, *self.shapes)

    def components(self) -> set[str]:
        """Return the components that make this run's numbers, those of its stages too."""
        return set(_OF_CHAIN).union(*(run.components() for run in self.before))


_OF_CHAIN: Final = (
    "data.frames", "evaluation.calibration", "evaluation.froc_curves", "evaluation.overlap",
    "imaging.framing", "imaging.postprocessing", "imaging.shape_masks", "runs.chain",
    "runs.chain_rows", "runs.chain_spec", "runs.chain_stages", "runs.detection_rows",
    "runs.mask_sets",
)  # fmt: skip
