"""What a prediction holds: one mass in a given box, or the masses that a detector found."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from mammostudy.detect_inference import OperatingPoint
from mammostudy.imaging.framing import Box
from mammostudy.runs.record import Record
from mammostudy.shape_inference import Shape

NOT_CLINICAL: Final = "research only; not a medical device"
FIRST_VALUE, STEP = 255, 12
"""Grey value of the best mass in ``mask.png``, and by how much it falls from mass to mass: twenty
boxes are the most that a detector keeps."""


@dataclass(frozen=True)
class Prediction:
    """A segmented mass.

    Attributes:
        box: the given or found box, half-open pixels.
        mask: bool ``(h, w)``, in the image's own grid.
        image: float32 ``(h, w)`` in [0, 1], as the model was shown it before framing.
        record: the run whose model made it.
        postprocessing: steps applied, chosen on the record's validation part.
        spacing_mm: of the image's pixels, or None where unknown.
        shape: what the newest shape model says of the mask, or None.
        shape_note: why there is none.
        score: of the detector that found the box, in [0, 1]; None for a given box.
        segmented_by: what the segmenter ran on, ``torch`` or ``ONNX Runtime``.
        segmented_note: why it was torch.
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
        return {
            **self._of_mass(),
            "image_height": self.mask.shape[0],
            "image_width": self.mask.shape[1],
            **segmenter_summary(self.record, self.postprocessing),
            "segmented_by": self.segmented_by,
            "box_from": "user" if self.score is None else "detector",
            "shape": None if self.shape is None else self.shape.summary(),
            "shape_note": self.shape_note,
            "note": NOT_CLINICAL,
        }

    def mass_summary(self, value: int) -> dict[str, Any]:
        """Return what ``prediction.json`` holds of one found mass among others.

        Args:
            value: of the mass's pixels in ``mask.png``.
        """
        return {
            "score": self.score,
            **self._of_mass(),
            "mask_value": value,
            "segmented_by": self.segmented_by,
            "shape": None if self.shape is None else self.shape.summary(),
            "shape_note": self.shape_note,
        }

    def _of_mass(self) -> dict[str, Any]:
        return {"box": list(self.box), "area_px": self.area_px, "area_mm2": self.area_mm2}


@dataclass(frozen=True)
class Findings:
    """The masses found in a mammogram.

    Attributes:
        masses: best score first; none where no box reached the threshold.
        image: float32 ``(h, w)`` in [0, 1].
        spacing_mm: of the image's pixels, or None where unknown.
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
            "masses": [one.mass_summary(mask_value(at)) for at, one in enumerate(self.masses)],
            **self.operating_point.summary(),
            "best_score": self.best_score,
            "image_height": self.image.shape[0],
            "image_width": self.image.shape[1],
            "box_from": "detector",
            "detector": {
                "model": self.detector.key,
                "name": spec.detector.name,
                "variant": spec.variant,
                "trained_on": spec.cohort,
                "trained_iterations": spec.training.iterations,
                "converged": self.detector.converged,
            },
            "segmenter": segmenter_summary(self.segmenter, self.postprocessing),
            "note": NOT_CLINICAL,
        }

    def none_found(self) -> str:
        """Say in one sentence why :attr:`masses` is empty."""
        point = self.operating_point
        if not np.isfinite(point.threshold):
            return (
                f"no mass found: detector {self.detector.key} finds none of its validation masses "
                f"at {point.false_positives:g} false positive(s) a view either; train it longer"
            )
        best = "it drew no box" if self.best_score is None else f"best box {self.best_score:.3g}"
        return (
            f"no mass found: no box reached the score {point.threshold:.3g}, which gave "
            f"{point.false_positives:g} false positive(s) a view on validation ({best})"
        )


def segmenter_summary(record: Record, steps: tuple[str, ...]) -> dict[str, Any]:
    """Return what ``prediction.json`` holds of the model that drew the masks."""
    spec = record.spec
    return {
        "model": record.key,
        "variant": spec.variant,
        "trained_on": spec.cohort,
        "trained_iterations": spec.optimiser.iterations,
        "postprocessing": list(steps),
    }


def mask_value(at: int) -> int:
    """Return the grey value in ``mask.png`` of a mass, counted from 0 for the best."""
    return max(FIRST_VALUE - STEP * at, 1)
