"""One mask in, the probabilities of its shape out: the newest ``study`` shape model at work."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from mammostudy.evaluation.classification import apply_temperature
from mammostudy.imaging.contours import box_of
from mammostudy.imaging.shape_masks import place_mask
from mammostudy.runs.masks import SIDE
from mammostudy.runs.record import Record
from mammostudy.runs.trained import trained_model
from mammostudy.usable_records import usable_records

NO_MODEL: Final = (
    "no shape model with weights in the local store; make one with "
    "`mammostudy run shapes --preset quick`"
)
NO_MASK: Final = "the mask is empty: it has no shape"


@dataclass(frozen=True)
class Shape:
    """What a shape model says of a mask.

    Attributes:
        probabilities: of each class, calibrated on the model's validation masks.
        record: the run whose model it is.
    """

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


def shape_records() -> Iterator[Record]:
    """Yield completed ``study`` shape records with weights in the local store, newest first."""

    def fits(record: Record) -> bool:
        spec = record.spec
        return (spec.variant, spec.classifier, spec.target) == ("study", "cnn", "shape")

    return usable_records("shape", fits)


def shape_record_for(cohorts: tuple[str, ...] = ()) -> Record | None:
    """Return the newest shape model of one of some cohorts, else the newest; None without any."""
    found = list(shape_records())
    kindred = [record for record in found if record.spec.cohort in cohorts]
    return next(iter([*kindred, *found]), None)


def shape_of(mask: NDArray[np.bool_], record: Record) -> Shape:
    """Tell the shape of a mask.

    Args:
        mask: bool ``(h, w)`` in the image's own grid; its largest part counts.
        record: the run whose model is used.

    Raises:
        DataError: the mask is empty, or the model's weights are missing or damaged.
    """
    return shapes_of([mask], record)[0]


def shapes_of(masks: Sequence[NDArray[np.bool_]], record: Record) -> list[Shape]:
    """Tell the shapes of masks; the model is read once.

    Args:
        masks: bool ``(h, w)`` each, in their image's own grid; the largest part counts.
        record: the run whose model is used.

    Raises:
        DataError: a mask is empty, or the model's weights are missing or damaged.
    """
    import torch

    from mammostudy.training.loop import device
    from mammostudy.training.shapes import predict_logits

    spec = record.spec
    placed = [place_mask(_cut(mask), SIDE, spec.input.placement) for mask in masks]
    if not placed:
        return []
    tensor = torch.from_numpy(np.stack(placed).astype(np.float32))[:, None].to(device())
    shares = apply_temperature(predict_logits(trained_model(record), tensor), record.temperature)
    return [Shape(dict(zip(spec.classes, row, strict=True)), record) for row in shares.tolist()]


def _cut(mask: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Cut a mask to its box: the parts of a whole mammogram take long to tell."""
    if not mask.any():
        return mask
    x_min, y_min, x_max, y_max = box_of(mask)
    return mask[y_min:y_max, x_min:x_max]
