"""What is shown of a prediction, a mass in a box or those that a detector found; its files."""

from __future__ import annotations

import hashlib
import json
import os
import tempfile
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import cv2
import numpy as np
from numpy.typing import NDArray

from mammostudy.errors import DataError
from mammostudy.evaluation.matched_rows import HEADLINE
from mammostudy.imaging.framing import Box
from mammostudy.imaging.overlays import findings_overlay
from mammostudy.runs.record import Record

NOT_CLINICAL: Final = "research only; not a medical device"
OUTPUTS: Final = ("mask.png", "overlay.png", "prediction.json")


def mask_value(at: int) -> int:
    """Return the grey value in ``mask.png`` of a mass, 0 the best; detectors keep twenty boxes."""
    return max(255 - 12 * at, 1)


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
    """From which score on a detector's boxes count, and what that gave on validation views."""

    threshold: float  # infinity: no box counts
    false_positives: float  # at most so many a view
    sensitivity: float  # the share of the masses that was found

    def summary(self) -> dict[str, Any]:
        """Return what ``prediction.json`` holds of it; a threshold of infinity is null."""
        return {
            "threshold": self.threshold if np.isfinite(self.threshold) else None,
            "false_positives_a_view": self.false_positives,
            "validation_sensitivity": round(self.sensitivity, 4),
            "rule": HEADLINE,  # by which a box fits a mass
        }


@dataclass(frozen=True, kw_only=True)
class Segmented:
    """The image in which one mass or several were outlined, and what outlined them."""

    image: NDArray[np.float32]  # (h, w) in [0, 1], before framing
    spacing_mm: float | None  # of the image's pixels, where known
    notes: tuple[str, ...]  # what a reader of the image should know (mammostudy.data.dicom)
    doubtful: bool  # whether it is a mammogram, or shown rightly
    record: Record  # the run whose model drew the masks
    postprocessing: tuple[str, ...]  # steps applied to them, chosen on the run's validation masses

    def of_image(self) -> dict[str, Any]:
        """Return what ``prediction.json`` holds of the image."""
        return {
            "image_height": self.image.shape[0],
            "image_width": self.image.shape[1],
            "image_notes": list(self.notes),
            "doubtful": self.doubtful,
            "note": NOT_CLINICAL,
        }

    def of_segmenter(self) -> dict[str, Any]:
        """Return what ``prediction.json`` holds of the segmenter."""
        return {
            "model": self.record.key,
            "variant": self.record.spec.variant,
            "trained_on": self.record.spec.cohort,
            "trained_iterations": self.record.spec.optimiser.iterations,
            "postprocessing": list(self.postprocessing),
        }


@dataclass(frozen=True, kw_only=True)
class Prediction(Segmented):
    """A segmented mass, and what its image and its models say of themselves."""

    box: Box  # given or found; half-open pixels
    mask: NDArray[np.bool_]  # (h, w), in the image's own grid
    shape: Shape | None = None  # what the shape model says of the mask
    shape_note: str = ""  # why it says nothing
    score: float | None = None  # of the detector, in [0, 1]; None for a given box

    @property
    def masses(self) -> tuple[Prediction, ...]:
        """The one mass, as :class:`Findings` hold several."""
        return (self,)

    @property
    def values(self) -> NDArray[np.uint8]:
        """What ``mask.png`` holds: 255 inside the mass."""
        return self.mask * np.uint8(255)

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
            **self.of_image(),
            **self.of_segmenter(),
            "box_from": "user" if self.score is None else "detector",
        }

    def of_mass(self) -> dict[str, Any]:
        """Return what ``prediction.json`` holds of this mass alone."""
        return {
            "box": list(self.box),
            "area_px": self.area_px,
            "area_mm2": self.area_mm2,
            "shape": None if self.shape is None else self.shape.summary(),
            "shape_note": self.shape_note,
        }


@dataclass(frozen=True, kw_only=True)
class Findings(Segmented):
    """The masses found in a mammogram, and what found them."""

    masses: tuple[Prediction, ...]  # best score first; none where no box reached the threshold
    detector: Record  # the run whose detector searched
    operating_point: OperatingPoint  # from which score on a box counts
    best_score: float | None  # of any box; None where the detector drew none

    @property
    def mask(self) -> NDArray[np.bool_]:
        """Pixels of any mass, bool ``(h, w)``."""
        return self.values > 0

    @property
    def values(self) -> NDArray[np.uint8]:
        """What ``mask.png`` holds: 255, 243, ... for the masses from the best one down."""
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
            **self.of_image(),
            "box_from": "detector",
            "detector": {
                "model": self.detector.key,
                "name": spec.detector.name,
                "variant": spec.variant,
                "trained_on": spec.cohort,
                "trained_iterations": spec.training.iterations,
                "converged": self.detector.converged,
            },
            "segmenter": self.of_segmenter(),
        }

    def none_found(self) -> str:
        """Say in one sentence why :attr:`masses` is empty."""
        threshold, best = self.operating_point.threshold, self.best_score
        if not np.isfinite(threshold):
            return f"no mass found: detector {self.detector.key} is no good yet; train it longer"
        drawn = "it drew none" if best is None else f"the best one {best:.3g}"
        return f"no mass found: no box reached the score {threshold:.3g} ({drawn})"


def told(found: Prediction | Findings) -> Iterator[str]:
    """Yield what a terminal says of a prediction, a line a mass."""
    for number, one in enumerate(found.masses, start=1):
        ranked = sorted((one.shape_probabilities or {}).items(), key=lambda pair: -pair[1])
        shape = ", ".join(f"{name} {share:.2f}" for name, share in ranked)
        if one.score is not None:
            edges = ",".join(map(str, one.box))
            yield f"mass {number}: score {one.score:.2f}, box {edges}, shape {shape or 'not told'}"
        elif shape:
            yield f"shape: {shape}"
    if isinstance(found, Findings) and not found.masses:
        yield found.none_found()


def doubts(found: Prediction | Findings) -> Iterable[str]:
    """Return what a reader must know of a prediction, once each."""
    summary, masses = found.summary(), found.masses
    by = summary.get("segmenter", summary)
    told = [f"{summary['note']}; segmenter {by['model']} was trained on {by['trained_on']}"]
    told += [f"shape not told: {one.shape_note}" for one in masses if one.shape is None]
    told += [f"note: {note}" for note in found.notes]
    if found.doubtful:
        told.append("doubtful: is this a mammogram, and shown the right way? see the notes")
    return dict.fromkeys(told)


def refuse_to_replace(folder: Path, source: Path | None = None, overwrite: bool = False) -> None:
    """Refuse a folder that holds a file of the name of one of :data:`OUTPUTS`: it may be another's.

    What only looks like one (a broken link, a folder) is in the way as well; the source always is.
    """
    there = [name for name in OUTPUTS if os.path.lexists(folder / name)]
    if source is not None and source.resolve() in [(folder / name).resolve() for name in there]:
        raise DataError(f"{folder}: holds the image itself; choose another --out")
    if there and not overwrite:
        mend = "choose another --out, or add --overwrite to replace"
        raise DataError(f"{folder}: holds {', '.join(there)} already; {mend}")


def save_prediction(
    prediction: Prediction | Findings,
    folder: Path,
    source: Path | None = None,
    overwrite: bool = False,
) -> list[Path]:
    """Write ``mask.png`` (``values``), ``overlay.png`` and ``prediction.json``: all or none.

    The source's name stands nowhere; its content is told by hash.
    """
    refuse_to_replace(folder, source, overwrite)
    masses = prediction.masses
    numbered = enumerate(masses, start=1)
    labels = ["" if one.score is None else f"{at}: {one.score:.2f}" for at, one in numbered]
    boxes, masks = [one.box for one in masses], [one.mask for one in masses]
    drawn = findings_overlay(prediction.image, boxes, masks, labels)
    planes = prediction.values, cv2.cvtColor(drawn, cv2.COLOR_RGB2BGR, dst=drawn)
    pictures = [cv2.imencode(".png", plane)[1].tobytes() for plane in planes]
    summary = prediction.summary()
    if source is not None:
        summary["image_sha256"] = hashlib.sha256(source.read_bytes()).hexdigest()
    contents = [*pictures, (json.dumps(summary, indent=1) + "\n").encode()]
    new = not folder.exists()
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=folder, prefix=".partial-") as place:
            for name, content in zip(OUTPUTS, contents, strict=True):
                Path(place, name).write_bytes(content)
            return [Path(place, name).replace(folder / name) for name in OUTPUTS]
    except OSError as error:
        told = f"{folder}: cannot be written ({error.strerror}); choose another --out"
        raise DataError(told) from None
    finally:
        if new and folder.is_dir() and not any(folder.iterdir()):
            folder.rmdir()  # it was made for them
