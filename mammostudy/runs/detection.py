"""A detection run from spec to record: views, detector, boxes, rows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import astuple
from functools import partial
from typing import Any, Final

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from mammostudy.data.cache import Arrays, cached_arrays
from mammostudy.data.cohort import Cohort
from mammostudy.errors import DataError
from mammostudy.evaluation.boxes import fixed_prior, prior_boxes
from mammostudy.evaluation.froc_curves import froc_of
from mammostudy.evaluation.splits import split_views
from mammostudy.models.detectors.common import Detector, Placement, box_side_quantiles, place
from mammostudy.models.registry import build_detector
from mammostudy.runs.detection_rows import Values, judged_rows, matches_of
from mammostudy.runs.kinds import DetectSpec
from mammostudy.runs.provenance import Result
from mammostudy.runs.trained import Training, train_or_read
from mammostudy.runs.versions import versions_of
from mammostudy.training.detection import DetectorBudget, fit_detector, predict_boxes
from mammostudy.training.loop import device

Views = pd.DataFrame  # rows of Cohort.views
Found = tuple[list[Values], list[Values]]  # boxes (k, 4) and scores (k,) a view, best first
_OF_SQUARES: Final = ("runs.detect", "data.dicom", "models.detectors.common")


def run(spec: DetectSpec, cohort: Cohort, progress: bool | None) -> Result:
    """Train a detector, or lay the prior box, find boxes in validation and test, and judge them."""
    split = split_views(cohort, **spec.split.model_dump())
    parts = {name: cohort.views.loc[list(names)] for name, names in split.parts().items()}
    train = parts.pop("train")
    with_mass = train[train["boxes"].map(len) > 0]
    if with_mass.empty:
        at = f"cohort {cohort.name!r}, fold {spec.split.fold}"
        raise DataError(f"{at}: no training view has a mass; lower split.folds, or add masses")
    sides = _box_sides(spec, train)
    training: Training | None = None
    if not spec.is_baseline:
        model = network(spec, {"box_sides": sides}).to(device())
        shown = train if spec.training.mass_free else with_mass
        training = _trained(spec, cohort, model, [shown, parts["validation"]], progress)

    def found(views: Views) -> Found:
        if training is None:
            of_train = train["boxes"].tolist(), train[["height", "width"]], train["side"].tolist()
            prior, shapes = fixed_prior(*of_train), views[["height", "width"]]
            return prior_boxes(prior, shapes, views["side"].tolist())
        if training.diverged:
            return [np.zeros((0, 4))] * len(views), [np.zeros(0)] * len(views)
        return boxes_on_views(model, *squares_of(spec, cohort, views))

    tables = [judged_rows(part, views, *found(views)) for part, views in parts.items()]
    rows = pd.concat(tables, ignore_index=True)  # where a count has gaps it has no decimal point
    rows = rows.convert_dtypes(convert_string=False, convert_boolean=False, convert_floating=False)
    return Result(split, rows, training, content={"box_sides": list(sides)})


def _box_sides(spec: DetectSpec, train: Views) -> tuple[float, ...]:
    """Measure the training masses for the anchors; nothing where none are made from them."""
    if "anchors" not in spec.detector.own or spec.detector.anchors == "default":
        return ()
    sizes = np.repeat(train[["height", "width"]].to_numpy(), train["boxes"].map(len), axis=0)
    return box_side_quantiles(np.concatenate(train["boxes"].tolist()), sizes, spec.detector.aspect)


def network(spec: DetectSpec, content: Mapping[str, Any]) -> Detector:
    """Make the detector of a spec and of ``box_sides`` with fresh weights from its seed."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(spec.seed)
        return build_detector(spec.detector.name, **spec.fields(tuple(content["box_sides"])))


def squares_of(spec: DetectSpec, cohort: Cohort, views: Views) -> tuple[Tensor, list[Placement]]:
    """Bring views to the detector's square, float32 ``(n, 1, s, s)`` in [0, 1], and place each."""
    size, aspect = spec.detector.size, spec.detector.aspect

    def make() -> Arrays:
        first = cohort.manifest.drop_duplicates("image")
        squares, places = [], []
        for _, row in first.iterrows():
            square, where = place(torch.from_numpy(cohort.image(row))[None], size, aspect)
            squares.append((square * 65535).round().numpy().astype(np.uint16))
            places.append(astuple(where))
        names = first["case"].to_numpy(np.str_)
        return {"squares": np.stack(squares), "places": np.array(places), "names": names}

    content = {"manifest": cohort.manifest_hash, "size": size, "aspect": aspect}
    content["versions"] = versions_of(_OF_SQUARES)
    stored = cached_arrays("detection-squares", content, make)
    at = {name: i for i, name in enumerate(stored["names"].tolist())}
    rows = [at[name] for name in views.index]
    squares = torch.from_numpy(stored["squares"][rows].astype(np.float32) / 65535)
    return squares.clamp_(0, 1), [Placement(*each) for each in stored["places"][rows].tolist()]


def _trained(
    spec: DetectSpec, cohort: Cohort, model: Detector, views: list[Views], progress: bool | None
) -> Training:
    train, validation = views

    def validate() -> dict[str, float]:
        found = boxes_on_views(model, *squares_of(spec, cohort, validation))
        rows = judged_rows("validation", validation, *found)
        return {"validation_sensitivity": froc_of(matches_of(rows)).mean_sensitivity()}

    squares, places = squares_of(spec, cohort, train)
    known = zip(train["boxes"], places, strict=True)
    boxes = [where.to_square(torch.from_numpy(each)) for each, where in known]
    fit = partial(
        fit_detector,
        model,
        squares,
        [{"boxes": box, "labels": torch.ones(len(box)).long()} for box in boxes],
        DetectorBudget(**spec.training.model_dump(exclude={"augment", "mass_free"})),
        validate=validate,
        augment=spec.training.augment,
    )
    return train_or_read(spec, cohort, model, fit, progress)


def boxes_on_views(model: Detector, squares: Tensor, places: Sequence[Placement]) -> Found:
    """Find boxes in views on the detector's square (:func:`squares_of`), in the views' pixels."""
    found: Found = ([], [])
    for each, score, where in zip(*predict_boxes(model, squares), places, strict=True):
        mapped = where.to_image(torch.from_numpy(each)).numpy()
        kept = (mapped[:, 2:] - mapped[:, :2] >= 1).all(axis=1)  # what lies in the padding goes
        found[0].append(mapped[kept])
        found[1].append(score[kept])
    return found
