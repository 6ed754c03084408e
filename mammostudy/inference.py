"""One mammogram in, one mass segmented and its shape told: the newest ``study`` models at work."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from mammostudy.data import dicom
from mammostudy.errors import DataError, StudyError
from mammostudy.imaging.framing import Box, check_box, crop_and_resize, frame_box, paste_back
from mammostudy.imaging.overlays import outline_overlay
from mammostudy.imaging.postprocessing import postprocess
from mammostudy.imaging.preprocessing import preprocess
from mammostudy.paths import results_root
from mammostudy.runs.store import (
    Record,
    ShapeRecord,
    local_records,
    read_record,
    weights_path,
)
from mammostudy.runs.trained import chosen_steps, trained_model
from mammostudy.shape_inference import NO_MASK, NO_MODEL, Shape, shape_of, shape_record_for
from mammostudy.study.shape_recipes import shape_cohort

OUTPUTS = ("mask.png", "overlay.png", "prediction.json")
NOT_CLINICAL = "research only; not a medical device"


@dataclass(frozen=True)
class Prediction:
    """A segmented mass.

    Attributes:
        box: the given box, half-open pixels.
        mask: bool ``(h, w)``, in the image's own grid.
        image: float32 ``(h, w)`` in [0, 1], as the model was shown it before framing.
        record: the run whose model made it.
        postprocessing: steps applied, chosen on the record's validation part.
        spacing_mm: of the image's pixels, or None where unknown.
        shape: what the newest shape model says of the mask, or None.
        shape_note: why there is none.
    """

    box: Box
    mask: NDArray[np.bool_]
    image: NDArray[np.float32]
    record: Record
    postprocessing: tuple[str, ...]
    spacing_mm: float | None
    shape: Shape | None = None
    shape_note: str = ""

    @property
    def shape_probabilities(self) -> dict[str, float] | None:
        """Calibrated probability of each shape, or None (then :attr:`shape_note` says why)."""
        return None if self.shape is None else self.shape.probabilities

    @property
    def area_px(self) -> int:
        """Pixels of the mask."""
        return int(self.mask.sum())

    @property
    def area_mm2(self) -> float | None:
        """Area in square millimetres, or None where the spacing is unknown."""
        return None if self.spacing_mm is None else self.area_px * self.spacing_mm**2

    def summary(self) -> dict[str, Any]:
        """Return what ``prediction.json`` holds; nothing of it names a person or a file."""
        spec = self.record.spec
        return {
            "box": list(self.box),
            "area_px": self.area_px,
            "area_mm2": self.area_mm2,
            "image_height": self.mask.shape[0],
            "image_width": self.mask.shape[1],
            "model": self.record.key,
            "variant": spec.variant,
            "trained_on": spec.cohort,
            "trained_iterations": spec.optimiser.iterations,
            "postprocessing": list(self.postprocessing),
            "box_from": "user",
            "shape": None if self.shape is None else self.shape.summary(),
            "shape_note": self.shape_note,
            "note": NOT_CLINICAL,
        }


def study_records() -> Iterator[Record]:
    """Yield completed ``study`` records whose weights are in the local store, newest first.

    Records that cannot be read are passed over; ``mammostudy doctor`` counts them.
    """
    found = []
    for root in (results_root(), local_records()):
        for path in root.glob("*/[!.]*/record.json"):
            try:
                record = read_record(path.parent)
                if not isinstance(record, Record):
                    continue
                usable = record.spec.variant == "study" and record.status == "completed"
                weights = weights_path(str(record.content["training_key"]))
                finished = str(record.provenance["finished"])
            except (StudyError, KeyError):
                continue
            if usable and weights.is_file():
                found.append((finished, record))
    return (record for _, record in sorted(found, key=lambda pair: pair[0], reverse=True))


def newest_study_record() -> Record:
    """Return the newest completed ``study`` record with weights.

    Raises:
        DataError: there is none; the message says how to make one.
    """
    record = next(study_records(), None)
    if record is None:
        msg = (
            "no completed `study` run with weights in the local store; make one with "
            "`mammostudy run losses --preset quick` (phantom) or "
            "`mammostudy run losses --preset quick --cohort cdd-cesm`"
        )
        raise DataError(msg)
    return record


def predict(
    image: str | Path | NDArray[Any],
    box: tuple[int, int, int, int] | None = None,
    *,
    record: Record | None = None,
    shape_record: ShapeRecord | None = None,
) -> Prediction:
    """Segment the mass in a box and tell its shape.

    Args:
        image: path of a DICOM, PNG, JPEG or TIFF mammogram, or float ``(h, w)`` in [0, 1].
        box: around the mass, half-open pixels ``(x_min, y_min, x_max, y_max)``.
        record: the run whose model is used; default the newest completed ``study`` record.
        shape_record: the run whose shape model is used; default the newest completed ``study``
            one, of the same cohort where there is one. Without any, the shape is left out, and
            the note says so.

    Returns:
        The mask in the image's own grid, with box, area, model and shape.

    Raises:
        DataError: the image cannot be read, the box is missing or outside the image, or no
            trained model is at hand.
    """
    pixels, spacing = _pixels(image)
    if box is None:
        msg = (
            "no box given: this edition has no detector; say where the mass is with "
            "--box x_min,y_min,x_max,y_max (pixels, half-open)"
        )
        raise DataError(msg)
    known = check_box(_four_whole(box), (pixels.shape[0], pixels.shape[1]))
    record = record or newest_study_record()
    steps = chosen_steps(record)
    mask = _segment(pixels, known, record, steps)
    kindred = (record.spec.cohort, shape_cohort(record.spec.cohort))
    shape_record = shape_record or shape_record_for(kindred)
    shape, note = _shape(mask, shape_record)
    return Prediction(known, mask, pixels, record, steps, spacing, shape, note)


def _shape(mask: NDArray[np.bool_], record: ShapeRecord | None) -> tuple[Shape | None, str]:
    """Tell the shape of a mask, or why that is not possible."""
    if record is None:
        return None, NO_MODEL
    if not mask.any():
        return None, NO_MASK
    return shape_of(mask, record), ""


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


def _segment(
    image: NDArray[np.float32], box: Box, record: Record, steps: tuple[str, ...]
) -> NDArray[np.bool_]:
    from mammostudy.runs.segmenters import THRESHOLD, as_tensor
    from mammostudy.training.prediction import predict_probabilities

    spec = record.spec
    shape = (image.shape[0], image.shape[1])
    frame = spec.frame
    framed = frame_box(box, shape, strategy=frame.strategy, scale=frame.scale, aspect=frame.aspect)
    shown = preprocess(
        crop_and_resize(image, framed, frame.size), **spec.preprocessing.model_dump()
    )
    tensor = as_tensor(shown[None], spec.model.channels)
    mask = predict_probabilities(trained_model(record), tensor, seed=spec.seed)[0] >= THRESHOLD
    pasted: NDArray[np.bool_] = paste_back(postprocess(mask, steps), framed, shape)
    return pasted


def save_prediction(prediction: Prediction, folder: Path, source: Path | None = None) -> list[Path]:
    """Write ``mask.png`` (0 and 255, the image's grid), ``overlay.png`` and ``prediction.json``.

    File names and content carry nothing of the source's name; its content is named by hash.

    Raises:
        DataError: the folder cannot be written.
    """
    summary = prediction.summary()
    if source is not None:
        summary["image_sha256"] = hashlib.sha256(source.read_bytes()).hexdigest()
    x_min, y_min, x_max, y_max = prediction.box
    overlay = outline_overlay(prediction.image, prediction.mask)
    bgr = cv2.cvtColor(overlay, cv2.COLOR_RGB2BGR)
    cv2.rectangle(bgr, (x_min, y_min), (x_max - 1, y_max - 1), (255, 255, 255), 1)
    mask = prediction.mask.astype(np.uint8) * 255
    text = json.dumps(summary, indent=1) + "\n"
    contents = [cv2.imencode(".png", plane)[1].tobytes() for plane in (mask, bgr)]
    try:
        return _write_all(folder, dict(zip(OUTPUTS, [*contents, text.encode()], strict=True)))
    except OSError as error:
        msg = f"{folder}: cannot be written ({error.strerror}); choose another --out"
        raise DataError(msg) from None


def _write_all(folder: Path, contents: dict[str, bytes]) -> list[Path]:
    """Write files into a folder, all of them or none; a folder made for them goes as well."""
    new = not folder.exists()
    folder.mkdir(parents=True, exist_ok=True)
    partials = {name: folder / f".partial-{os.getpid()}-{name}" for name in contents}
    try:
        for name, content in contents.items():
            partials[name].write_bytes(content)
        return [partials[name].replace(folder / name) for name in contents]
    finally:
        for partial in partials.values():
            partial.unlink(missing_ok=True)
        if new and not any(folder.iterdir()):
            folder.rmdir()


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
