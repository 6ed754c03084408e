"""A detection run from spec to record: views, detector, boxes, rows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import astuple, replace
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
from mammostudy.evaluation.matched_rows import matches_of
from mammostudy.evaluation.splits import split_views, views_elsewhere
from mammostudy.models.detectors.common import Detector, Placement, box_side_quantiles, place
from mammostudy.models.registry import build_detector
from mammostudy.runs.detection_rows import Values, judged_rows
from mammostudy.runs.kinds import DetectSpec
from mammostudy.runs.provenance import Result
from mammostudy.runs.trained import Training, train_or_read
from mammostudy.runs.versions import versions_of
from mammostudy.training.detection import Target, fit_detector, predict_boxes
from mammostudy.training.loop import device

Views = pd.DataFrame  # rows of Cohort.views
Part = tuple[Cohort, Views]
Found = tuple[list[Values], list[Values]]  # boxes (k, 4) and scores (k,) a view, best first
_OF_SQUARES: Final = ("runs.detect", "data.dicom", "models.detectors.common")


def run(spec: DetectSpec, cohort: Cohort, progress: bool | None) -> Result:
    """Train a detector, or lay the prior box, find boxes in validation and test, and judge them."""
    split, tested = split_views(cohort, **spec.split.model_dump()), cohort
    train, validation = (cohort.views.loc[list(part)] for part in (split.train, split.validation))
    shown, hashes = [(cohort, train)], dict[str, str]()
    test = cohort.views.loc[list(split.test)]
    if spec.beside:
        shown.append(views_elsewhere(spec.beside, "train"))
        hashes["beside_manifest_hash"] = shown[1][0].manifest_hash
    if spec.test_cohort:
        tested, test = views_elsewhere(spec.test_cohort, "test")
        hashes["test_manifest_hash"] = tested.manifest_hash
    met = pd.concat([views["patient"] for _, views in [*shown, (cohort, validation)]])
    if not set(met).isdisjoint(test["patient"]):
        raise DataError(f"test_cohort {tested.name}: patients that train; name one of others")
    sides = _box_sides(spec, train)
    training: Training | None = None
    if not spec.is_baseline:
        model = network(spec, {"box_sides": sides}).to(device())
        training = _trained(spec, model, shown, (cohort, validation), progress)

    def found(cohort: Cohort, views: Views) -> Found:
        if training is None:
            of_train = train["boxes"].tolist(), train[["height", "width"]], train["side"].tolist()
            prior, shapes = fixed_prior(*of_train), views[["height", "width"]]
            return prior_boxes(prior, shapes, views["side"].tolist())
        if training.diverged:
            return [np.zeros((0, 4))] * len(views), [np.zeros(0)] * len(views)
        return boxes_on_views(model, *squares_of(spec, cohort, views))

    tables = [
        judged_rows("validation", validation, *found(cohort, validation)),
        judged_rows("test", test, *found(tested, test)),
    ]
    rows = pd.concat(tables, ignore_index=True)  # where a count has gaps it has no decimal point
    rows = rows.convert_dtypes(convert_string=False, convert_boolean=False, convert_floating=False)
    split = replace(split, test=tuple(test.index))
    return Result(split, rows, training, content={"box_sides": list(sides), **hashes})


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


def _learnt(spec: DetectSpec, cohort: Cohort, views: Views) -> tuple[Tensor, list[Target]]:
    """Return views as a detector learns from them: squares, and the boxes on each."""
    if not spec.training.mass_free:
        views = views[views["boxes"].map(len) > 0]
    squares, places = squares_of(spec, cohort, views)
    known = zip(views["boxes"], places, strict=True)
    boxes = [where.to_square(torch.from_numpy(each)) for each, where in known]
    return squares, [{"boxes": box, "labels": torch.ones(len(box)).long()} for box in boxes]


def _trained(
    spec: DetectSpec, model: Detector, shown: list[Part], validation: Part, progress: bool | None
) -> Training:
    def validate() -> dict[str, float]:
        found = boxes_on_views(model, *squares_of(spec, *validation))
        rows = judged_rows("validation", validation[1], *found)
        return {"validation_sensitivity": froc_of(matches_of(rows)).mean_sensitivity()}

    squares, targets = zip(*(_learnt(spec, *part) for part in shown), strict=True)
    fit = partial(
        fit_detector,
        model,
        torch.cat(squares),
        [target for part in targets for target in part],
        spec.training,
        validate=validate,
        augment=spec.training.augment,
    )
    return train_or_read(spec, shown[0][0], model, fit, progress)


def boxes_on_views(model: Detector, squares: Tensor, places: Sequence[Placement]) -> Found:
    """Find boxes in views on the detector's square (:func:`squares_of`), in the views' pixels."""
    found: Found = ([], [])
    for each, score, where in zip(*predict_boxes(model, squares), places, strict=True):
        mapped = where.to_image(torch.from_numpy(each)).numpy()
        kept = (mapped[:, 2:] - mapped[:, :2] >= 1).all(axis=1)  # what lies in the padding goes
        found[0].append(mapped[kept])
        found[1].append(score[kept])
    return found
