"""One mammogram in, its masses outlined and their shapes told: the newest ``study`` models at work.

With a box the mass in it is outlined. Without one a detector searches the whole image, and every
mass that it finds is framed, outlined and classified.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, overload

import numpy as np
from numpy.typing import NDArray

from mammostudy.data import dicom
from mammostudy.data.descriptors import describe
from mammostudy.detect_inference import (
    FoundBox,
    boxes_in,
    detection_record_for,
    found_boxes,
    operating_point,
)
from mammostudy.errors import DataError
from mammostudy.exported import Segmenter, segmenter_of
from mammostudy.imaging.framing import Box, check_box, crop_and_resize, frame_box, paste_back
from mammostudy.imaging.postprocessing import postprocess
from mammostudy.imaging.preprocessing import preprocess
from mammostudy.prediction_files import OUTPUTS, save_prediction
from mammostudy.predictions import NOT_CLINICAL, Findings, Prediction
from mammostudy.runs.record import Record
from mammostudy.runs.segmentation import chosen_steps
from mammostudy.runs.trained import trained_model
from mammostudy.shape_inference import NO_MASK, NO_MODEL, shape_record_for, shapes_of
from mammostudy.usable_records import usable_records

__all__ = [
    "NOT_CLINICAL",
    "OUTPUTS",
    "Findings",
    "Prediction",
    "newest_study_record",
    "parse_box",
    "predict",
    "save_prediction",
    "study_records",
]


def study_records() -> Iterator[Record]:
    """Yield completed ``study`` records whose weights are in the local store, newest first."""
    return usable_records("segmentation", lambda record: record.spec.variant == "study")


def newest_study_record(beside: Record | None = None) -> Record:
    """Return the newest completed ``study`` record with weights.

    Args:
        beside: a detection run: a segmenter of the same cohort comes before newer ones of others.

    Raises:
        DataError: there is none; the message says how to make one.
    """
    found = list(study_records())
    if beside is not None:
        found.sort(key=lambda one: describe(one.spec.cohort).views != beside.spec.cohort)
    if not found:
        msg = (
            "no completed `study` run with weights in the local store; make one with "
            "`mammostudy run losses --preset quick` (phantom) or "
            "`mammostudy run losses --preset quick --cohort cdd-cesm`"
        )
        raise DataError(msg)
    return found[0]


@overload
def predict(
    image: str | Path | NDArray[Any],
    box: tuple[int, int, int, int],
    *,
    record: Record | None = None,
    shape_record: Record | None = None,
) -> Prediction: ...
@overload
def predict(
    image: str | Path | NDArray[Any],
    box: None = None,
    *,
    record: Record | None = None,
    shape_record: Record | None = None,
    detection_record: Record | None = None,
) -> Findings: ...
def predict(
    image: str | Path | NDArray[Any],
    box: tuple[int, int, int, int] | None = None,
    *,
    record: Record | None = None,
    shape_record: Record | None = None,
    detection_record: Record | None = None,
) -> Prediction | Findings:
    """Outline the mass in a box, or the masses of a whole mammogram, and tell their shapes.

    Args:
        image: path of a DICOM, PNG, JPEG or TIFF mammogram, or float ``(h, w)`` in [0, 1].
        box: around the mass, half-open pixels ``(x_min, y_min, x_max, y_max)``. Without it a
            detector searches the image for masses.
        record: the run whose segmenter is used; default the newest completed ``study`` record
            (beside a detector: of its cohort, where there is one).
        shape_record: the run whose shape model is used; default the newest completed ``study``
            one, of the same cohort where there is one. Without any, the shape is left out, and
            the note says so.
        detection_record: the run whose detector searches; default the newest completed ``study``
            one. Boxes count from the score on that gave at most one false positive a view on its
            validation views; of boxes that overlap (IoU above 0.25) the best counts.

    Returns:
        With a box, the mask in the image's own grid, with box, area, model and shape. Without
        one, the :class:`~mammostudy.predictions.Findings`: such a prediction for each mass, best
        score first, or none at all.

    Raises:
        DataError: the image cannot be read, the box is outside the image, a box comes with a
            detector, or no trained model is at hand.
    """
    pixels, spacing = _pixels(image)
    if box is None:
        return _search(pixels, spacing, detection_record, record, shape_record)
    if detection_record is not None:
        msg = "a box and a detector: give the box, or let the detector find it"
        raise DataError(msg)
    known = check_box(_four_whole(box), (pixels.shape[0], pixels.shape[1]))
    record = record or newest_study_record()
    (found,) = _outlined(pixels, spacing, [FoundBox(known, 1.0)], record, shape_record)
    return replace(found, score=None)


def _search(
    pixels: NDArray[np.float32],
    spacing: float | None,
    detection_record: Record | None,
    record: Record | None,
    shape_record: Record | None,
) -> Findings:
    """Find the masses of a mammogram, and outline each."""
    detector = detection_record or detection_record_for()
    record = record or newest_study_record(detector)
    point = operating_point(detector)
    boxes, scores = boxes_in(pixels, trained_model(detector), detector.spec)
    found = found_boxes(boxes, scores, point.threshold, (pixels.shape[0], pixels.shape[1]))
    return Findings(
        tuple(_outlined(pixels, spacing, found, record, shape_record)),
        pixels,
        spacing,
        detector,
        point,
        float(scores.max()) if len(scores) else None,
        record,
        chosen_steps(record),
    )


def _outlined(
    pixels: NDArray[np.float32],
    spacing: float | None,
    boxes: Sequence[FoundBox],
    record: Record,
    shape_record: Record | None,
) -> list[Prediction]:
    """Segment the mass in each box and tell its shape; each model is read once."""
    if not boxes:
        return []
    steps = chosen_steps(record)
    segmenter = segmenter_of(record)
    masks = [_segment(pixels, one.box, record, segmenter, steps) for one in boxes]
    kindred = (record.spec.cohort, describe(record.spec.cohort).shapes)
    shape_record = shape_record or shape_record_for(kindred)
    whole = [mask for mask in masks if mask.any()]
    told = iter(shapes_of(whole, shape_record) if shape_record else [])
    predictions = []
    for (box, score), mask in zip(boxes, masks, strict=True):
        shape = next(told) if shape_record and mask.any() else None
        note = "" if shape else NO_MASK if shape_record else NO_MODEL
        predictions.append(
            Prediction(
                box,
                mask,
                pixels,
                record,
                steps,
                spacing,
                shape,
                note,
                score,
                segmenter.path,
                segmenter.note,
            )
        )
    return predictions


def _segment(
    image: NDArray[np.float32],
    box: Box,
    record: Record,
    segmenter: Segmenter,
    steps: tuple[str, ...],
) -> NDArray[np.bool_]:
    from mammostudy.runs.segmentation import THRESHOLD, as_tensor
    from mammostudy.training.segmentation import predict_probabilities

    spec = record.spec
    shape = (image.shape[0], image.shape[1])
    frame = spec.frame
    framed = frame_box(box, shape, strategy=frame.strategy, scale=frame.scale, aspect=frame.aspect)
    shown = preprocess(
        crop_and_resize(image, framed, frame.size), **spec.preprocessing.model_dump()
    )
    tensor = as_tensor(shown[None], spec.model.channels)
    mask = predict_probabilities(segmenter.model, tensor, seed=spec.seed)[0] >= THRESHOLD
    pasted: NDArray[np.bool_] = paste_back(postprocess(mask, steps), framed, shape)
    return pasted


def _pixels(image: str | Path | NDArray[Any]) -> tuple[NDArray[np.float32], float | None]:
    if not isinstance(image, (str, Path)):
        try:
            array = np.asarray(image, dtype=np.float32)
        except (TypeError, ValueError):
            array = np.empty(0, np.float32)
        if array.ndim != 2 or not array.size or not ((array >= 0) & (array <= 1)).all():
            msg = "image: an array must be (h, w) with finite values in [0, 1]"
            raise DataError(msg)
        return array, None
    path = Path(image)
    if not path.is_file():
        msg = f"{path}: no such image; check the path"
        raise DataError(msg)
    if dicom.is_dicom(path):
        read = dicom.read_dicom(path)
        return read.image, read.spacing_mm
    return dicom.read_image(path), None


def _four_whole(box: Any) -> Box:
    """Return a box as four ints.

    Raises:
        DataError: it is not four whole numbers.
    """
    try:
        x_min, y_min, x_max, y_max = (int(edge) for edge in box)
        whole = [float(edge) for edge in box] == [x_min, y_min, x_max, y_max]
    except (TypeError, ValueError, OverflowError):
        whole = False
    if not whole:
        msg = f"box {box!r}: give four whole numbers, x_min,y_min,x_max,y_max (pixels)"
        raise DataError(msg)
    return x_min, y_min, x_max, y_max


def parse_box(text: str) -> Box:
    """Read ``x_min,y_min,x_max,y_max``.

    Raises:
        DataError: the text is not four whole numbers.
    """
    try:
        x_min, y_min, x_max, y_max = (int(word) for word in text.split(","))
    except ValueError:
        msg = f"--box {text!r}: give four whole numbers, x_min,y_min,x_max,y_max"
        raise DataError(msg) from None
    return x_min, y_min, x_max, y_max
