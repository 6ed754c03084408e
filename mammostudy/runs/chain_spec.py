"""What a chain run is: a detector, a segmenter and classifiers of shape, one behind the other."""

from __future__ import annotations

from typing import Any, Final, Literal

from pydantic import Field, model_validator

from mammostudy.data.cache import digest
from mammostudy.runs.detect_spec import DetectSpec
from mammostudy.runs.detection_rows import HEADLINE, RULES
from mammostudy.runs.shape_spec import ON_MASKS, ShapeSpec
from mammostudy.runs.spec import KeyedSpec, RunSpec, SplitSpec, refuse_leaky
from mammostudy.runs.versions import recipe_version

VERSION: Final = 1  # raised when the default of a field changes: keys leave defaults out


class ChainSpec(KeyedSpec):
    """From mammogram to shape without a hand: trained models at work on patients new to them all.

    Nothing is trained. The cohort is the detector's; the segmenter's may be another one of the same
    masses under the same case names.

    Attributes:
        kind: tells this spec from those of other runs.
        variant: ``paper`` (what the paper chains), ``study`` (what this study recommends) or
            ``baseline`` (a stage replaced by one that needs no training).
        detector: finds the boxes of the views of its test part.
        segmenter: marks the mass in the frame around a box; its split is the detector's.
        shapes: tell the shape of a mask. Of classifiers of the same patients, each mass is judged
            by the one whose test fold holds its patient; of other patients, by the first.
        postprocessing: of the masks: ``published``, or ``chosen`` on the segmenter's validation
            part (the published steps, or none).
        operating: false positives a view on the validation part, at which the detector's threshold
            is set.
        rule: when a box finds a mass, a column of :data:`mammostudy.runs.detection_rows.RULES`.
    """

    kind: Literal["chain"] = "chain"
    variant: Literal["paper", "study", "baseline"] = "study"
    detector: DetectSpec
    segmenter: RunSpec
    shapes: tuple[ShapeSpec, ...] = ()
    postprocessing: Literal["published", "chosen"] = "chosen"
    operating: float = Field(1.0, gt=0, allow_inf_nan=False)
    rule: str = HEADLINE

    @model_validator(mode="after")
    def _agree(self) -> ChainSpec:
        if self.cohort != self.detector.cohort:
            msg = f"cohort {self.cohort!r} must be the detector's, {self.detector.cohort!r}"
            raise ValueError(msg)
        if self.segmenter.split != self.detector.split:
            msg = (
                "segmenter.split is not detector.split: what one has learnt from would be tested "
                "by the other; give both the same folds, fold, seed and site"
            )
            raise ValueError(msg)
        if self.segmenter.frame.strategy == "full":
            msg = "segmenter.frame.strategy full does not use a box; use loose or tight"
            raise ValueError(msg)
        if self.rule not in RULES:
            msg = f"rule {self.rule!r} is unknown: use one of {', '.join(RULES)}"
            raise ValueError(msg)
        self._check_shapes()
        return self

    def _check_shapes(self) -> None:
        for shape in self.shapes:
            refuse_leaky(shape.split, "shapes.split")
            if shape.target != "shape" or shape.classifier not in ON_MASKS:
                msg = f"shapes: a network that tells shapes from masks is needed, {ON_MASKS}"
                raise ValueError(msg)
            if shape.input.keep_scale:
                msg = "shapes: a classifier that keeps the scale needs all masks at once"
                raise ValueError(msg)
        if len({(shape.cohort, shape.classes) for shape in self.shapes}) > 1:
            msg = "shapes: the classifiers differ in cohort or classes; give folds of one recipe"
            raise ValueError(msg)

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

    def recipe_versions(self) -> dict[str, int]:
        """Return the recipe version of every component that makes this run's numbers."""
        versions = {name: recipe_version(name) for name in _MODULES}
        for run in self.before:
            versions |= run.recipe_versions()
        return dict(sorted(versions.items()))

    def training_key(self, manifest_hash: str) -> str:
        """Hash of what the run depends on, as the key but for the variant; nothing is trained."""
        content = self.model_dump(mode="json", exclude={"variant"}, exclude_defaults=True)
        return digest(
            {"chain": content, "versions": self.recipe_versions(), "manifest": manifest_hash}
        )[:16]


_MODULES: Final = (
    "mammostudy.data.frames",
    "mammostudy.evaluation.calibration",
    "mammostudy.evaluation.froc_curves",
    "mammostudy.evaluation.overlap",
    "mammostudy.imaging.framing",
    "mammostudy.imaging.postprocessing",
    "mammostudy.imaging.shape_masks",
    "mammostudy.runs.chain",
    "mammostudy.runs.chain_rows",
    "mammostudy.runs.chain_spec",
    "mammostudy.runs.chain_stages",
    "mammostudy.runs.detection_rows",
    "mammostudy.runs.mask_sets",
)
