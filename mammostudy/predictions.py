"""What a prediction holds, one mass in a box or the masses that a detector found; and its files."""

from __future__ import annotations

import hashlib
import json
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import cv2
import numpy as np
from numpy.typing import NDArray

from mammostudy.errors import DataError
from mammostudy.imaging.framing import Box
from mammostudy.imaging.overlays import findings_overlay
from mammostudy.runs.detection_rows import HEADLINE
from mammostudy.runs.record import Record

NOT_CLINICAL: Final = "research only; not a medical device"
OUTPUTS: Final = ("mask.png", "overlay.png", "prediction.json")
FIRST_VALUE, STEP = 255, 12
"""Grey value of the best mass in ``mask.png``, and by how much it falls from mass to mass: twenty
boxes are the most that a detector keeps."""


def mask_value(at: int) -> int:
    """Return the grey value in ``mask.png`` of a mass, counted from 0 for the best."""
    return max(FIRST_VALUE - STEP * at, 1)


@dataclass(frozen=True)
class Shape:
    """Probability of each shape of a mask, calibrated on validation masks, and the model's run."""

    probabilities: dict[str, float]
    record: Record

    def summary(self) -> dict[str, Any]:
        """Return what ``prediction.json`` holds of it."""
        spec = self.record.spec
        return {
            "probabilities": {name: round(p, 4) for name, p in self.probabilities.items()},
            "model": self.record.key,
            "trained_on": spec.cohort,
            "trained_on_masks": spec.input.source,
            "trained_epochs": spec.training.epochs,
            "temperature": self.record.temperature,
        }


@dataclass(frozen=True)
class OperatingPoint:
    """From which score on a detector's boxes count (infinity: none does), judged on validation.

    There it gave at most so many false positives a view, and found that share of the masses, by
    that rule (:mod:`mammostudy.runs.detection_rows`).
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


@dataclass(frozen=True)
class Prediction:
    """A segmented mass.

    Attributes:
        box: the given or found box, half-open pixels.
        mask: bool ``(h, w)``, in the image's own grid.
        image: float32 ``(h, w)`` in [0, 1], before framing.
        record: the run whose model made it, with the ``postprocessing`` chosen on its validation.
        spacing_mm: of the image's pixels, or None where unknown.
        shape: what the shape model says of the mask, or None.
        shape_note: why there is none.
        score: of the detector that found the box, in [0, 1]; None for a given box.
        segmented_by: what the segmenter ran on, ``torch`` or ``ONNX Runtime``.
        segmented_note: why it was torch.
        notes: what a reader of the image should know (:mod:`mammostudy.data.dicom`).
        doubtful: whether a note doubts that it is a mammogram, or that it is shown rightly.
    """

    box: Box
    mask: NDArray[np.bool_]
    image: NDArray[np.float32]
    record: Record
    postprocessing: tuple[str, ...]
    spacing_mm: float | None
    shape: Shape | None = None
    shape_note: str = ""
    score: float | None = None
    segmented_by: str = "torch"
    segmented_note: str = ""
    notes: tuple[str, ...] = ()
    doubtful: bool = False

    @property
    def shape_probabilities(self) -> dict[str, float] | None:
        """Calibrated probability of each shape, or None."""
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
        return {
            **self.of_mass(),
            **_of_image(self),
            **_of_segmenter(self.record, self.postprocessing),
            "box_from": "user" if self.score is None else "detector",
        }

    def of_mass(self) -> dict[str, Any]:
        """Return what ``prediction.json`` holds of this mass alone."""
        return {
            "box": list(self.box),
            "area_px": self.area_px,
            "area_mm2": self.area_mm2,
            "segmented_by": self.segmented_by,
            "shape": None if self.shape is None else self.shape.summary(),
            "shape_note": self.shape_note,
        }


@dataclass(frozen=True)
class Findings:
    """The masses found in a mammogram.

    Attributes:
        masses: best score first; none where no box reached the threshold.
        image, spacing_mm, notes, doubtful: as of :class:`Prediction`.
        detector: the run whose detector searched.
        operating_point: from which score on a box counts.
        best_score: of any box; below the threshold where nothing was found. None without a box.
        segmenter: the run whose model drew the masks.
        postprocessing: steps applied to them.
    """

    masses: tuple[Prediction, ...]
    image: NDArray[np.float32]
    spacing_mm: float | None
    detector: Record
    operating_point: OperatingPoint
    best_score: float | None
    segmenter: Record
    postprocessing: tuple[str, ...]
    notes: tuple[str, ...] = ()
    doubtful: bool = False

    def __len__(self) -> int:
        return len(self.masses)

    @property
    def mask(self) -> NDArray[np.bool_]:
        """Pixels of any mass, bool ``(h, w)``."""
        return self.values > 0

    @property
    def values(self) -> NDArray[np.uint8]:
        """What ``mask.png`` holds: 0, and 255, 243, ... for the masses from the best one down.

        Where two masses share a pixel the better one has it.
        """
        plane = np.zeros(self.image.shape, np.uint8)
        for at in reversed(range(len(self.masses))):
            plane[self.masses[at].mask] = mask_value(at)
        return plane

    def summary(self) -> dict[str, Any]:
        """Return what ``prediction.json`` holds; nothing of it names a person or a file."""
        spec = self.detector.spec
        return {
            "masses": [
                {"score": one.score, "mask_value": mask_value(at), **one.of_mass()}
                for at, one in enumerate(self.masses)
            ],
            **self.operating_point.summary(),
            "best_score": self.best_score,
            **_of_image(self),
            "box_from": "detector",
            "detector": {
                "model": self.detector.key,
                "name": spec.detector.name,
                "variant": spec.variant,
                "trained_on": spec.cohort,
                "trained_iterations": spec.training.iterations,
                "converged": self.detector.converged,
            },
            "segmenter": _of_segmenter(self.segmenter, self.postprocessing),
        }

    def none_found(self) -> str:
        """Say in one sentence why :attr:`masses` is empty."""
        point, best = self.operating_point, self.best_score
        if not np.isfinite(point.threshold):
            return f"no mass found: detector {self.detector.key} is no good yet; train it longer"
        drawn = "it drew no box" if best is None else f"best box {best:.3g}"
        return (
            f"no mass found: no box reached the score {point.threshold:.3g}, which gave "
            f"{point.false_positives:g} false positive(s) a view on validation ({drawn})"
        )


def _of_image(found: Prediction | Findings) -> dict[str, Any]:
    return {
        "image_height": found.image.shape[0],
        "image_width": found.image.shape[1],
        "image_notes": list(found.notes),
        "doubtful": found.doubtful,
        "note": NOT_CLINICAL,
    }


def _of_segmenter(record: Record, steps: tuple[str, ...]) -> dict[str, Any]:
    spec = record.spec
    return {
        "model": record.key,
        "variant": spec.variant,
        "trained_on": spec.cohort,
        "trained_iterations": spec.optimiser.iterations,
        "postprocessing": list(steps),
    }


def save_prediction(
    prediction: Prediction | Findings, folder: Path, source: Path | None = None
) -> list[Path]:
    """Write ``mask.png`` (the image's grid), ``overlay.png`` and ``prediction.json``: all or none.

    Pixels of a mass are 255 in the mask; of several found masses the best has 255, the others the
    ``mask_value`` that the JSON gives. The source's name stands nowhere; its content is told by
    hash.

    Raises:
        DataError: the folder, which is made where it is missing, cannot be written.
    """
    several = isinstance(prediction, Findings)
    masses = prediction.masses if isinstance(prediction, Findings) else (prediction,)
    mask = (
        prediction.values if isinstance(prediction, Findings) else prediction.mask * np.uint8(255)
    )
    labels = [f"{at}: {one.score:.2f}" if several else "" for at, one in enumerate(masses, 1)]
    drawn = findings_overlay(
        prediction.image, [one.box for one in masses], [one.mask for one in masses], labels
    )
    overlay = cv2.cvtColor(drawn, cv2.COLOR_RGB2BGR, dst=drawn)
    summary = prediction.summary()
    if source is not None:
        summary["image_sha256"] = hashlib.sha256(source.read_bytes()).hexdigest()
    pictures = [cv2.imencode(".png", plane)[1].tobytes() for plane in (mask, overlay)]
    contents = [*pictures, (json.dumps(summary, indent=1) + "\n").encode()]
    try:
        return _write_all(folder, dict(zip(OUTPUTS, contents, strict=True)))
    except OSError as error:
        msg = f"{folder}: cannot be written ({error.strerror}); choose another --out"
        raise DataError(msg) from None


def _write_all(folder: Path, contents: dict[str, bytes]) -> list[Path]:
    """Write files into a folder, all of them or none; a folder made for them goes as well."""
    new = not folder.exists()
    folder.mkdir(parents=True, exist_ok=True)
    try:
        with tempfile.TemporaryDirectory(dir=folder, prefix=".partial-") as place:
            for name, content in contents.items():
                Path(place, name).write_bytes(content)
            return [Path(place, name).replace(folder / name) for name in contents]
    finally:
        if new and not any(folder.iterdir()):
            folder.rmdir()
