"""One mammogram in, the boxes of its masses out: the newest ``study`` detector at work."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from mammostudy.errors import DataError
from mammostudy.evaluation.boxes import pairwise_iou
from mammostudy.imaging.framing import Box
from mammostudy.runs.chain import whole_box
from mammostudy.runs.detection_rows import HEADLINE, Values, matches_of, rounded
from mammostudy.runs.kinds import DetectSpec
from mammostudy.runs.record import Record
from mammostudy.study.recipes import PRESETS, detect_recipe
from mammostudy.usable_records import usable_records

if TYPE_CHECKING:
    from mammostudy.models.detectors.common import Detector

RATE: Final = 1.0
"""False positives a view on validation at which a detector works."""
SAME_MASS: Final = 0.25
"""A box whose IoU with a better one is above this shows the same mass, and is dropped."""
NO_DETECTOR: Final = (
    "no box given, and no completed `study` detector with weights in the local store: make one "
    "with `mammostudy run detection --preset quick` (phantom) or `mammostudy run detection "
    "--preset quick --cohort cdd-cesm`, or say where the mass is with --box "
    "x_min,y_min,x_max,y_max (pixels, half-open)"
)


class FoundBox(NamedTuple):
    """A box in pixels of the image, half-open, and the detector's score in [0, 1]."""

    box: Box
    score: float


@dataclass(frozen=True)
class OperatingPoint:
    """From which score on a detector's boxes count, and what that was worth on validation.

    Attributes:
        threshold: boxes of this score and above count; infinity where none ever does.
        false_positives: a view, at most, on the validation views.
        sensitivity: share of the validation masses found.
        rule: by which a box finds a mass (:mod:`mammostudy.runs.detection_rows`).
    """

    threshold: float
    false_positives: float
    sensitivity: float
    rule: str = HEADLINE

    def summary(self) -> dict[str, Any]:
        """Return what ``prediction.json`` holds of it; a threshold of infinity is null."""
        return {
            "threshold": self.threshold if np.isfinite(self.threshold) else None,
            "false_positives_a_view": self.false_positives,
            "validation_sensitivity": round(self.sensitivity, 4),
            "rule": self.rule,
        }


def detection_records() -> Iterator[Record]:
    """Yield completed ``study`` detection records with weights in the local store.

    Those of a preset's full budget come first, newest first; then the others, such as ablations
    and runs of a smaller budget.
    """
    found = list(usable_records("detection", lambda record: record.spec.variant == "study"))
    recommended = [detect_recipe("phantom", name) for name in PRESETS]

    def is_other(record: Record) -> bool:
        return not any(_same_training(record.spec, spec) for spec in recommended)

    return iter(sorted(found, key=is_other))  # stable: the newest stay first


def _same_training(one: DetectSpec, other: DetectSpec) -> bool:
    return one.detector == other.detector and one.training == other.training


def detection_record_for(key: str | None = None) -> Record:
    """Return the record of a key, or the first of :func:`detection_records`.

    Args:
        key: of a completed detection run of any variant; its first characters are enough.

    Raises:
        DataError: there is none; the message says how to make one.
    """
    if key is None:
        newest = next(detection_records(), None)
        if newest is None:
            raise DataError(NO_DETECTOR)
        return newest
    named = usable_records("detection", lambda record: record.key.startswith(key))
    found = next(named, None) if key else None
    if found is None:
        known = [record.key for record in usable_records("detection", lambda _: True)]
        listed = ", ".join(known) or "none: `mammostudy run detection --preset quick` makes one"
        msg = f"detector {key!r}: no completed run of that key with weights in the store ({listed})"
        raise DataError(msg)
    return found


def operating_point(record: Record, rate: float = RATE) -> OperatingPoint:
    """Choose a detector's threshold on its validation views.

    Args:
        record: of the run.
        rate: false positives a view, at most.

    Raises:
        DataError: the record's rows are damaged, or its validation views show no mass.
    """
    from mammostudy.evaluation.froc_curves import froc_of

    froc = froc_of(matches_of(record.part("validation")))
    return OperatingPoint(froc.threshold_at(rate), rate, froc.sensitivity_at(rate))


def boxes_in(
    image: NDArray[np.float32], model: Detector, spec: DetectSpec
) -> tuple[Values, Values]:
    """Find boxes in a mammogram, as the views of the detector's record were searched.

    Args:
        image: float32 ``(h, w)`` in [0, 1].
        model: the trained detector.
        spec: of its run.

    Returns:
        (boxes, scores): ``(k, 4)`` in pixels of the image and ``(k,)``, best first.
    """
    import torch

    from mammostudy.models.detectors.common import place
    from mammostudy.runs.detection import boxes_on_views

    plane = torch.from_numpy(np.ascontiguousarray(image))[None]
    square, where = place(plane, spec.detector.size, spec.detector.aspect)
    kept = ((square * 65535).round() / 65535).clamp(0, 1)  # as the squares of runs are kept
    (boxes,), (scores,) = rounded(*boxes_on_views(model, kept[None], [where]))
    return boxes, scores


def found_boxes(
    boxes: Values, scores: Values, threshold: float, image_shape: tuple[int, int]
) -> list[FoundBox]:
    """Return the boxes that count, each mass once.

    Of boxes that overlap by more than :data:`SAME_MASS` the best stays. Edges are rounded to
    pixels.

    Args:
        boxes: ``(k, 4)`` in pixels of the image.
        scores: ``(k,)``.
        threshold: lower scores do not count.
        image_shape: height and width in pixels.

    Returns:
        Boxes inside the image, best first; none where no score reaches the threshold.
    """
    order = [at for at in np.argsort(-scores, kind="stable") if scores[at] >= threshold]
    best: list[int] = []
    for at in order:
        if not best or pairwise_iou(boxes[[at]], boxes[best]).max() <= SAME_MASS:
            best.append(int(at))
    return [FoundBox(whole_box(boxes[at], image_shape), float(scores[at])) for at in best]
