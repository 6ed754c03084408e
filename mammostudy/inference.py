"""One mammogram in, its masses boxed, outlined and their shapes told: ``study`` models at work."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from numpy.typing import NDArray

from mammostudy.data.descriptors import describe
from mammostudy.data.dicom import Mammogram, read_array, read_mammogram
from mammostudy.errors import DataError
from mammostudy.evaluation.matched_rows import matches_of
from mammostudy.figures.predictions import Findings, OperatingPoint, Prediction, Shape
from mammostudy.imaging.contours import box_of
from mammostudy.imaging.framing import Box, check_box, paste_back, whole_box
from mammostudy.imaging.postprocessing import postprocess
from mammostudy.runs.chain import boxed, frame_boxes
from mammostudy.runs.choice import model_for, models, usable_records
from mammostudy.runs.detection_rows import Values, rounded
from mammostudy.runs.kinds import DetectSpec
from mammostudy.runs.masks import SIDE
from mammostudy.runs.record import Record
from mammostudy.runs.segmentation import THRESHOLD, chosen_steps, one_draw
from mammostudy.runs.trained import trained_model

if TYPE_CHECKING:
    from mammostudy.models.detectors.common import Detector

RATE: Final = 1.0  # false positives a view on validation at which a detector works
SAME_MASS: Final = 0.25  # a box of a larger IoU with a better one shows the same mass
NO_SHAPE_MODEL: Final = "no trained shape model; `mammostudy run shapes --preset quick` makes one"
SPACING_GIVEN: Final = "the spacing was given by hand"
NO_MASK: Final = "the mask is empty: it has no shape"


def predict(
    image: str | Path | NDArray[Any],
    box: tuple[int, int, int, int] | None = None,
    *,
    record: Record | None = None,
    shape_record: Record | None = None,
    detection_record: Record | None = None,
    spacing_mm: float | None = None,
) -> Prediction | Findings:
    """Outline the mass in a box, or the masses of a whole mammogram, and tell their shapes.

    Args:
        image: path of a DICOM, PNG, JPEG or TIFF mammogram, or an array ``(h, w)``: floats in
            [0, 1], uint8, or whole numbers of 10 to 16 bits, read as those of a PNG are.
        box: around the mass, half-open pixels ``(x_min, y_min, x_max, y_max)``. Without it a
            detector searches the image for masses.
        record: the run whose segmenter is used; default the best, of the detector's cohort first.
        shape_record: the run whose shape model is used; default the best, of that cohort first.
            Without any the shape is left out.
        detection_record: the run whose detector searches; default the best one. Boxes count from
            its :func:`operating_point` on; of those with an IoU above 0.25 the best counts.
        spacing_mm: millimetres a pixel, 0.005 to 2; it goes before what the file says.

    Returns:
        With a box, the mask in the image's own grid, with area, model and shape. Without one, such
        a prediction for each mass, best score first, or none at all.

    Raises:
        DataError: the image cannot be read, the box is not inside it, or no model is at hand.
    """
    read = _read(image)
    if spacing_mm is not None:
        if not 0.005 <= spacing_mm <= 2:
            raise DataError(f"spacing {spacing_mm:g}: give millimetres a pixel, 0.005 to 2")
        read = replace(read, spacing_mm=spacing_mm, notes=(*read.notes, SPACING_GIVEN))
    if box is None:
        return _search(read, detection_record, record, shape_record)
    if detection_record is not None:
        raise DataError("a box and a detector: give the box, or let the detector find it")
    height, width = read.image.shape
    known = check_box(_four_whole(box), (height, width))
    seen = _seen(read, record or model_for("segmentation"))
    return _outlined([(known, None)], seen, shape_record)[0]


def _seen(read: Mammogram, record: Record) -> dict[str, Any]:
    """Return the fields that one mass and several share."""
    seen = {name: getattr(read, name) for name in ("image", "spacing_mm", "notes", "doubtful")}
    return seen | {"record": record, "postprocessing": chosen_steps(record)}


def _search(
    read: Mammogram,
    detection_record: Record | None,
    record: Record | None,
    shape_record: Record | None,
) -> Findings:
    """Find the masses of a mammogram, and outline each."""
    try:
        detector = detection_record or model_for("detection")
    except DataError as error:
        raise DataError(f"no box given (--box x_min,y_min,x_max,y_max), and {error}") from None
    if record is None:
        cohorts = {each.spec.cohort for each in models("segmentation")}
        kindred = [name for name in cohorts if describe(name).views == detector.spec.cohort]
        record = model_for("segmentation", kindred)
    seen, point = _seen(read, record), operating_point(detector)
    boxes, scores = boxes_in(read.image, trained_model(detector), detector.spec)
    found = found_boxes(boxes, scores, point.threshold, read.image.shape)
    return Findings(
        masses=tuple(_outlined(found, seen, shape_record)),
        detector=detector,
        operating_point=point,
        best_score=float(scores.max()) if len(scores) else None,
        **seen,
    )


def operating_point(record: Record) -> OperatingPoint:
    """Choose a detector's threshold on its validation views, at :data:`RATE` false positives."""
    from mammostudy.evaluation.froc_curves import froc_of

    froc = froc_of(matches_of(record.part("validation")))
    return OperatingPoint(froc.threshold_at(RATE), RATE, froc.sensitivity_at(RATE))


def boxes_in(
    image: NDArray[np.float32], model: Detector, spec: DetectSpec
) -> tuple[Values, Values]:
    """Find boxes ``(k, 4)`` in pixels and their scores, as the record's views were searched."""
    import torch

    from mammostudy.models.detectors.common import place
    from mammostudy.runs.detection import boxes_on_views

    plane = torch.from_numpy(np.ascontiguousarray(image))[None]
    square, where = place(plane, spec.detector.size, spec.detector.aspect)
    kept = ((square * 65535).round() / 65535).clamp(0, 1)  # as the squares of runs are kept
    (boxes,), (scores,) = rounded(*boxes_on_views(model, kept[None], [where]))
    return boxes, scores


def found_boxes(
    boxes: Values, scores: Values, threshold: float, image_shape: tuple[int, ...]
) -> list[tuple[Box, float]]:
    """Return the boxes of at least a score inside the image, best first, each mass once."""
    import torch
    from torchvision.ops import nms

    boxes, scores = boxes[scores >= threshold], scores[scores >= threshold]
    exact = [torch.as_tensor(each, dtype=torch.float64) for each in (boxes, scores)]
    best = nms(*exact, SAME_MASS).tolist()
    size = (image_shape[0], image_shape[1])
    return [(whole_box(boxes[at], size), float(scores[at])) for at in best]


def _outlined(
    boxes: Sequence[tuple[Box, float | None]], seen: dict[str, Any], shape_record: Record | None
) -> list[Prediction]:
    """Segment the mass in each box and tell its shape; each model is read once."""
    if not boxes:
        return []
    record: Record = seen["record"]
    model = trained_model(record)
    masks = [_segment(box, model, seen) for box, _ in boxes]
    kindred = (record.spec.cohort, describe(record.spec.cohort).shapes)
    shape_record = shape_record or next(iter(models("shape", kindred)), None)
    whole = [mask for mask in masks if mask.any()]
    told = iter(shapes_of(whole, shape_record) if shape_record and whole else [])
    found = []
    for (box, score), mask in zip(boxes, masks, strict=True):
        shape = next(told) if shape_record and mask.any() else None
        note = "" if shape else NO_MASK if shape_record else NO_SHAPE_MODEL
        found.append(
            Prediction(box=box, mask=mask, shape=shape, shape_note=note, score=score, **seen)
        )
    return found


def _segment(box: Box, model: Any, seen: dict[str, Any]) -> NDArray[np.bool_]:
    """Outline the mass in a box as the record's run did, bool ``(h, w)``."""
    image, spec = seen["image"], seen["record"].spec
    framed = frame_boxes(boxed(image, [box]), spec)
    mask = postprocess(one_draw(model, framed, spec)[0] >= THRESHOLD, seen["postprocessing"])
    x_min, y_min, x_max, y_max = framed.boxes[0].tolist()
    return np.asarray(paste_back(mask, (x_min, y_min, x_max, y_max), image.shape), dtype=np.bool_)


def shapes_of(masks: Sequence[NDArray[np.bool_]], record: Record) -> list[Shape]:
    """Tell the shapes of masks, none of them empty; the largest part of each counts."""
    import torch

    from mammostudy.evaluation.classification import apply_temperature
    from mammostudy.imaging.shape_masks import place_mask
    from mammostudy.training.loop import device
    from mammostudy.training.shapes import predict_logits

    spec, placed = record.spec, []
    for mask in masks:
        x_min, y_min, x_max, y_max = box_of(mask)  # the parts of a whole mammogram take long
        placed.append(place_mask(mask[y_min:y_max, x_min:x_max], SIDE, spec.input.placement))
    tensor = torch.from_numpy(np.stack(placed).astype(np.float32))[:, None].to(device())
    shares = apply_temperature(predict_logits(trained_model(record), tensor), record.temperature)
    return [Shape(dict(zip(spec.classes, row, strict=True)), record) for row in shares.tolist()]


def _read(image: str | Path | NDArray[Any]) -> Mammogram:
    if isinstance(image, (str, Path)):
        return read_mammogram(image)
    return read_array(np.asarray(image))


def _four_whole(box: Any) -> Box:
    """Return a box as four ints; refuse one that is not four whole numbers."""
    with suppress(TypeError, ValueError, OverflowError):
        x_min, y_min, x_max, y_max = (int(edge) for edge in box)
        if [float(edge) for edge in box] == [x_min, y_min, x_max, y_max]:
            return x_min, y_min, x_max, y_max
    raise DataError(f"box {box!r}: give four whole numbers, x_min,y_min,x_max,y_max (pixels)")


def detector_of_key(key: str) -> Record:
    """Return a completed detection run of any variant by the first characters of its key."""
    known = usable_records("detection")
    if found := [each for each in known if key and each.key.startswith(key)]:
        return found[0]
    listed = ", ".join(each.key for each in known) or "none; `mammostudy run detection` makes one"
    raise DataError(f"detector {key!r}: no run of that key is completed here; there are: {listed}")
