"""A detection run from spec to record: views, detector, boxes, rows."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from mammostudy.data import dicom
from mammostudy.data.cache import cached_arrays
from mammostudy.data.cohort import Cohort
from mammostudy.data.splits import Split
from mammostudy.data.views import ViewSet, split_views, views_of
from mammostudy.errors import DataError
from mammostudy.paths import store_root
from mammostudy.runs.detect_spec import PRIOR, DetectSpec
from mammostudy.runs.detection_rows import Values, judged_rows, matches_of
from mammostudy.runs.record_content import record_content
from mammostudy.runs.store import DetectionRecord, weights_path, write_detection_record

if TYPE_CHECKING:
    from torch import Tensor

    from mammostudy.models.detectors.common import Detector, Placement
    from mammostudy.training.loop import Fitted

VERSION: Final = 1  # recipe version
METRIC: Final = "validation_sensitivity"
Found = tuple[list[Values], list[Values]]


def run_detection(spec: DetectSpec, cohort: Cohort, progress: bool | None) -> DetectionRecord:
    """Train a detector, or lay the prior box, find boxes in validation and test, and judge them.

    Rows: see :mod:`mammostudy.runs.detection_rows`. ``record.json`` adds ``box_sides``, the
    quantiles of the training masses' sides that anchors were made from.

    A detector that diverged finds nothing.

    Raises:
        DataError: the cohort's files cannot be used, no view for training has a mass, or a patient
            or a near-duplicate image stands in two parts.
    """
    started = time.monotonic()
    split = split_views(cohort, **spec.split.model_dump())
    views = views_of(cohort)
    train, parts = (
        views.take(split.train),
        {
            "validation": views.take(split.validation),
            "test": views.take(split.test),
        },
    )
    sides: tuple[float, ...] = ()
    fitted: Fitted | None = None
    if spec.is_baseline:
        found = {part: _prior_boxes(train, each) for part, each in parts.items()}
    else:
        sides = _box_sides(spec, train)
        model, fitted = _trained(spec, cohort, train, parts["validation"], sides, progress)
        found = {
            part: _nothing(each) if fitted.diverged else _detected(model, spec, cohort, each)
            for part, each in parts.items()
        }
    rows = pd.concat(
        [judged_rows(part, parts[part], *found[part]) for part in parts], ignore_index=True
    )
    cases = Split(**split.parts())
    content = record_content(spec, cohort, cases, fitted, time.monotonic() - started, METRIC)
    return write_detection_record(content | {"box_sides": list(sides)}, rows)


def _nothing(views: ViewSet) -> Found:
    return [np.zeros((0, 4)) for _ in views.boxes], [np.zeros(0) for _ in views.boxes]


def _prior_boxes(train: ViewSet, views: ViewSet) -> Found:
    """Lay the mean training box of its side on every view.

    A view of a side without a training mass gets the mean of all.
    """
    from mammostudy.evaluation.boxes import FixedPrior, fixed_prior

    by_side = fixed_prior(train.boxes, train.shapes, train.table["side"].astype(str).tolist())
    of_all = fixed_prior(train.boxes, train.shapes)
    prior = FixedPrior(of_all.boxes | by_side.boxes, of_all.masses | by_side.masses)
    sides = views.table["side"].astype(str)
    return prior.predict(views.shapes, sides.where(sides.isin(by_side.boxes), "all").tolist())


def _box_sides(spec: DetectSpec, train: ViewSet) -> tuple[float, ...]:
    """Measure the training masses for the anchors; nothing where none are made from them."""
    from mammostudy.models.detectors.common import box_side_quantiles

    if not spec.has_anchors or spec.detector.anchors == "default":
        return ()
    counts = [len(each) for each in train.boxes]
    sizes = np.repeat(np.asarray(train.shapes), counts, axis=0)
    return box_side_quantiles(np.concatenate(train.boxes), sizes, spec.detector.aspect)


def build(spec: DetectSpec, box_sides: Sequence[float]) -> Detector:
    """Make the detector of a spec with fresh weights from its seed."""
    import torch

    from mammostudy.models import build_detector

    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(spec.seed)
        return build_detector(spec.detector.name, **spec.fields(tuple(box_sides)))


def squares_of(spec: DetectSpec, cohort: Cohort, views: ViewSet) -> tuple[Tensor, list[Placement]]:
    """Bring views to the detector's square; made once, then read from the cache.

    Returns:
        float32 ``(n, 1, s, s)`` in [0, 1], and the placement of each view.
    """
    import torch

    from mammostudy.models.detectors.common import Placement, place

    size, aspect = spec.detector.size, spec.detector.aspect
    content: dict[str, object] = {
        "manifest": cohort.manifest_hash,
        "size": size,
        "aspect": aspect,
        "versions": [VERSION, dicom.VERSION, 1],
    }

    def make() -> dict[str, NDArray[Any]]:
        every = views_of(cohort)
        squares, places = [], []
        for _, row in every.table.iterrows():
            image = torch.from_numpy(cohort.image(_image_row(cohort, str(row["image"]))))
            square, where = place(image[None], size, aspect)
            squares.append((square * 65535).round().numpy().astype(np.uint16))
            places.append(list(vars(where).values()))
        names = np.array(every.names, dtype=np.str_)
        return {"squares": np.stack(squares), "places": np.array(places), "names": names}

    stored = cached_arrays("detection-squares", content, make)
    at = {name: i for i, name in enumerate(stored["names"].tolist())}
    rows = [at[name] for name in views.names]
    squares = torch.from_numpy(stored["squares"][rows].astype(np.float32) / 65535)
    return squares.clamp_(0, 1), [_placement(Placement, stored["places"][row]) for row in rows]


def _image_row(cohort: Cohort, image: str) -> pd.Series:
    return cohort.manifest[cohort.manifest["image"] == image].iloc[0]


def _placement(kind: type[Placement], values: NDArray[np.float64]) -> Placement:
    height, width, x_scale, y_scale, x_offset, y_offset = values.tolist()
    return kind(int(height), int(width), x_scale, y_scale, int(x_offset), int(y_offset))


def _targets(views: ViewSet, places: Sequence[Placement]) -> list[dict[str, Tensor]]:
    import torch

    return [
        {
            "boxes": where.to_square(torch.from_numpy(boxes)),
            "labels": torch.ones(len(boxes), dtype=torch.int64),
        }
        for boxes, where in zip(views.boxes, places, strict=True)
    ]


def _trained(
    spec: DetectSpec,
    cohort: Cohort,
    train: ViewSet,
    validation: ViewSet,
    sides: tuple[float, ...],
    progress: bool | None,
) -> tuple[Detector, Fitted]:
    """Train the detector of a spec, or read the weights where they were trained before."""
    from safetensors.torch import save_model

    from mammostudy.data.cache import write_atomically
    from mammostudy.evaluation.froc_curves import froc_of
    from mammostudy.runs.train import stored_fit
    from mammostudy.training.detection import DetectorBudget, fit_detector
    from mammostudy.training.loop import device, save_checkpoint

    key = spec.training_key(cohort.manifest_hash)
    model = build(spec, sides)
    weights, history = weights_path(key), weights_path(key).with_suffix(".history")
    if (past := stored_fit(model, weights, history)) is not None:
        return model.to(device()), past
    model.to(device())
    if not spec.training.mass_free:
        kept = [name for name, each in zip(train.names, train.boxes, strict=True) if len(each)]
        train = train.take(tuple(kept))
    if not any(len(each) for each in train.boxes):
        msg = f"cohort {cohort.name!r}, fold {spec.split.fold}: no training view has a mass"
        raise DataError(msg)

    def validate() -> dict[str, float]:
        rows = judged_rows("validation", validation, *_detected(model, spec, cohort, validation))
        return {METRIC: froc_of(matches_of(rows)).mean_sensitivity()}

    squares, places = squares_of(spec, cohort, train)
    checkpoint = store_root() / "checkpoints" / f"{key}.pt"
    settings = spec.training
    fitted = fit_detector(
        model,
        squares,
        _targets(train, places),
        DetectorBudget(
            settings.iterations,
            settings.batch,
            settings.validations,
            settings.learning_rate,
            settings.weight_decay,
        ),
        seed=spec.seed,
        validate=validate,
        checkpoint=checkpoint,
        augment=settings.augment,
        label=label_of(spec),
        progress=progress,
    )
    write_atomically(weights, lambda partial: save_model(model, str(partial)))
    save_checkpoint(history, vars(fitted))
    checkpoint.unlink(missing_ok=True)
    return model, fitted


def _detected(model: Detector, spec: DetectSpec, cohort: Cohort, views: ViewSet) -> Found:
    """Find boxes in views, in the views' own pixels."""
    return boxes_on_views(model, *squares_of(spec, cohort, views))


def boxes_on_views(model: Detector, squares: Tensor, places: Sequence[Placement]) -> Found:
    """Find boxes in views that were brought to the detector's square, in the views' own pixels.

    Args:
        model: the detector.
        squares: float32 ``(n, 1, s, s)`` in [0, 1].
        places: where each view lies in its square.

    Returns:
        (boxes, scores), one ``(k, 4)`` and ``(k,)`` a view, best first.
    """
    import torch

    from mammostudy.training.detection import predict_boxes

    found: Found = ([], [])
    for each, score, where in zip(*predict_boxes(model, squares), places, strict=True):
        mapped = where.to_image(torch.from_numpy(each)).numpy()
        kept = (mapped[:, 2:] - mapped[:, :2] >= 1).all(axis=1)  # what lies in the padding goes
        found[0].append(mapped[kept])
        found[1].append(score[kept])
    return found


def label_of(spec: DetectSpec) -> str:
    """Name a run for a person: cohort, detector, fold and seed."""
    name = spec.detector.name
    if name == PRIOR:
        return f"{spec.cohort} {name} fold {spec.split.fold}"
    return f"{spec.cohort} {name} {spec.detector.size} px fold {spec.split.fold} seed {spec.seed}"


__all__ = ["boxes_on_views", "build", "label_of", "run_detection", "squares_of"]
