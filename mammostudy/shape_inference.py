"""One mask in, the probabilities of its shape out: the newest ``study`` shape model at work."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from mammostudy.errors import DataError, StudyError
from mammostudy.evaluation.calibration import apply_temperature
from mammostudy.imaging.shape_masks import place_mask
from mammostudy.paths import results_root
from mammostudy.runs.mask_sets import SIDE
from mammostudy.runs.store import ShapeRecord, local_records, read_record, weights_path

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
    record: ShapeRecord

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


def shape_records() -> Iterator[ShapeRecord]:
    """Yield completed ``study`` shape records with weights in the local store, newest first.

    Records that cannot be read are passed over; ``mammostudy doctor`` counts them.
    """
    found = []
    for root in (results_root(), local_records()):
        for path in root.glob("*/[!.]*/record.json"):
            try:
                record = read_record(path.parent)
                if not isinstance(record, ShapeRecord) or record.status != "completed":
                    continue
                spec = record.spec
                fits = spec.variant == "study" and spec.classifier == "cnn"
                there = weights_path(str(record.content["training_key"])).is_file()
                finished = str(record.provenance["finished"])
            except (StudyError, KeyError):
                continue
            if fits and there and spec.target == "shape":
                found.append((finished, record))
    return (record for _, record in sorted(found, key=lambda pair: pair[0], reverse=True))


def shape_record_for(cohorts: tuple[str, ...] = ()) -> ShapeRecord | None:
    """Return the newest shape model of one of some cohorts, else the newest; None without any."""
    found = list(shape_records())
    kindred = [record for record in found if record.spec.cohort in cohorts]
    return next(iter([*kindred, *found]), None)


def shape_of(mask: NDArray[np.bool_], record: ShapeRecord) -> Shape:
    """Tell the shape of a mask.

    Args:
        mask: bool ``(h, w)`` in the image's own grid; its largest part counts.
        record: the run whose model is used.

    Raises:
        DataError: the mask is empty, or the model's weights are missing or damaged.
    """
    import torch

    from mammostudy.training.devices import device
    from mammostudy.training.shapes import predict_logits

    spec = record.spec
    placed = place_mask(mask, SIDE, spec.input.placement)
    tensor = torch.from_numpy(placed.astype(np.float32))[None, None].to(device())
    logits = predict_logits(_model_of(record), tensor)
    shares = apply_temperature(logits, record.temperature)[0]
    return Shape(dict(zip(spec.classes, shares.tolist(), strict=True)), record)


def _model_of(record: ShapeRecord) -> Any:
    import torch
    from safetensors import SafetensorError
    from safetensors.torch import load_model

    from mammostudy.runs.shape_classifiers import build_network

    with torch.random.fork_rng(devices=[]):
        model = build_network(record.spec)
    path = weights_path(str(record.content["training_key"]))
    try:
        load_model(model, path)
    except (OSError, RuntimeError, SafetensorError):
        msg = (
            f"{path}: the weights of shape run {record.key} are missing or damaged; delete the "
            "file: another model is taken then, or `mammostudy run shapes --preset quick --fresh` "
            "makes one anew"
        )
        raise DataError(msg) from None
    return model
