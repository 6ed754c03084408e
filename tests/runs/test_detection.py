"""Detection runs from spec to record: views, boxes in their own pixels, guards, divergence."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from safetensors.torch import load_file

from mammostudy.data import splits as views_module
from mammostudy.data.cohort import Cohort
from mammostudy.data.load import load_cohort
from mammostudy.data.splits import split_views, views_of
from mammostudy.errors import DataError
from mammostudy.models.detectors import common
from mammostudy.paths import store_root
from mammostudy.runs import detection as module
from mammostudy.runs.detection import squares_of
from mammostudy.runs.detection_rows import EDGES
from mammostudy.runs.execute import ensure
from mammostudy.runs.kinds import DetectSpec
from mammostudy.runs.record import Record, weights_path
from mammostudy.training import detection as training

SPEC = DetectSpec.parse(
    {
        "cohort": "views",
        "variant": "study",
        "split": {"folds": 3, "validation_folds": 4},
        "detector": {"name": "ssd-light", "size": 64, "width": 8, "aspect": "letterbox"},
        "training": {"iterations": 4, "batch": 4, "validations": 2},
    }
)
PRIOR = SPEC.changed(
    variant="baseline", detector={"name": "fixed-prior"}, training={"iterations": 0}
)


class RanError(Exception):
    """Something ran that should not have."""


def refuse(*args: object, **fields: object) -> None:
    raise RanError


@pytest.fixture(scope="session")
def _searched(tmp_path_factory: pytest.TempPathFactory, write_views: Callable[..., Path]) -> Path:
    root = tmp_path_factory.mktemp("searched")
    write_views(root / "data")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MAMMOSTUDY_STORE", str(root / "store"))
        patch.setenv("MAMMOSTUDY_DATA", str(root / "data"))
        ensure([SPEC], workers=1, progress=False)
    return root


@pytest.fixture
def cohort(_searched: Path, own_folders: Path, monkeypatch: pytest.MonkeyPatch) -> Cohort:
    """Twelve patients, four without a mass; 25 views of 48 x 64 pixels; a store of its own."""
    shutil.copytree(_searched / "store", own_folders / "store")
    monkeypatch.setenv("MAMMOSTUDY_DATA", str(_searched / "data"))
    return load_cohort("views")


def one(spec: DetectSpec) -> Record:
    (record,) = ensure([spec], workers=1, progress=False)
    return record


def weights_of(record: Record) -> dict[str, torch.Tensor]:
    return load_file(weights_path(str(record.content["training_key"])))


def same_weights(first: dict[str, torch.Tensor], other: dict[str, torch.Tensor]) -> bool:
    return all(torch.equal(value, other[name]) for name, value in first.items())


def test_a_record_is_complete(cohort: Cohort) -> None:
    record = one(SPEC)
    assert (record.spec, record.status, record.converged) == (SPEC, "completed", False)
    assert record.curves["iteration"].tolist() == [1, 2, 3, 4]
    assert record.curves["validation_sensitivity"].dropna().between(0, 1).tolist() == [True] * 2
    split = split_views(cohort, **SPEC.split.model_dump())
    assert record.content["split"] == {name: list(v) for name, v in split.parts().items()}
    for part in ("validation", "test"):
        rows = record.part(part)
        assert tuple(rows.loc[rows["row"] == "view", "view"]) == split.parts()[part]
        taken = views_of(cohort).take(split.parts()[part])
        assert [case for cases in taken.cases for case in cases] == rows["case"].dropna().tolist()
    box = record.rows("box")
    assert len(box) > 0
    assert (box[["x_min", "y_min"]] >= 0).all(axis=None)
    assert (box["x_max"] <= 64).all()
    assert (box["y_max"] <= 48).all()  # the padding of the letterbox is no place for a mass
    assert (box["x_max"] - box["x_min"] >= 0.9).all()
    assert box["score"].between(0, 1).all()
    assert box.groupby("view").size().max() <= 20
    assert {path.name for path in record.folder.iterdir()} == {"record.json", "cases.csv"}
    boxes = np.concatenate(views_of(cohort).take(split.train).boxes)
    sides = np.sqrt((boxes[:, 2] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 1])) / 64
    found = np.array(record.content["box_sides"])
    assert ((found >= sides.min() - 1e-4) & (found <= sides.max() + 1e-4)).all()
    assert len(found)


@pytest.mark.parametrize("aspect", ["letterbox", "stretch"])
def test_squares_are_the_views_made_once(
    aspect: str, cohort: Cohort, monkeypatch: pytest.MonkeyPatch
) -> None:
    spec = SPEC.changed(detector__aspect=aspect)
    views = views_of(cohort).take(("P0_CC_1", "free", "P9_CC_1"))
    squares, places = squares_of(spec, cohort, views)
    assert (squares.shape, squares.dtype) == ((3, 1, 64, 64), torch.float32)
    rows = cohort.manifest.set_index("case", drop=False)
    for square, where, name in zip(squares, places, views.names, strict=True):
        image = torch.from_numpy(cohort.image(rows.loc[name]))
        wanted, place = common.place(image[None], 64, aspect)  # type: ignore[arg-type]
        assert where == place
        torch.testing.assert_close(square, wanted, atol=1e-5, rtol=0)
    boxes = torch.from_numpy(views.boxes[0])
    torch.testing.assert_close(places[0].to_image(places[0].to_square(boxes)), boxes)
    monkeypatch.setattr(module, "place", refuse)
    squares_of(spec, cohort, views.take(("free",)))
    with pytest.raises(RanError):  # control
        squares_of(spec.changed(detector__size=96), cohort, views)


def test_the_prior_box_by_hand(cohort: Cohort) -> None:
    record = one(PRIOR)
    assert (record.status, record.converged, record.content["box_sides"]) == ("completed", None, [])
    train = views_of(cohort).take(tuple(record.content["split"]["train"]))
    sides, boxes = record.rows("view").set_index("view")["side"], record.rows("box")
    assert (boxes["score"] == 0.5).all()
    assert len(boxes) == len(sides)  # one a view, those without a mass included
    for side in ("L", "R"):
        of = (train.table["side"] == side).to_numpy()
        mean = np.concatenate([b for b, mine in zip(train.boxes, of, strict=True) if mine]).mean(0)
        mine = boxes[boxes["view"].map(sides) == side]
        np.testing.assert_allclose(mine[list(EDGES)].to_numpy(float), [mean] * len(mine), atol=0.06)
    rows = cohort.manifest.copy()
    odd = record.content["split"]["test"][0]
    rows.loc[rows["image"] == views_of(cohort).table.loc[odd, "image"], "side"] = "unknown"
    found = module.run(PRIOR, replace(cohort, manifest=rows), False).rows
    box = found[(found["row"] == "box") & (found["view"] == odd)][list(EDGES)]
    mean = np.concatenate(train.boxes).mean(axis=0)  # of a side without a training mass
    np.testing.assert_allclose(box.astype(float).to_numpy()[0], mean, atol=0.06)


def test_same_spec_same_rows_other_seed_others(
    cohort: Cohort, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, usual = one(SPEC), training.fit_detector
    weights = weights_of(first)
    monkeypatch.setattr(module, "fit_detector", refuse)
    pd.testing.assert_frame_equal(one(SPEC.changed(variant="alternative")).cases, first.cases)
    monkeypatch.setattr(module, "fit_detector", usual)
    shutil.rmtree(store_root())
    torch.manual_seed(77)
    again = one(SPEC)
    pd.testing.assert_frame_equal(again.cases, first.cases)
    assert same_weights(weights, weights_of(again))
    assert not same_weights(weights, weights_of(one(SPEC.changed(seed=1))))


def test_a_detector_that_diverged_is_a_record_that_finds_nothing(cohort: Cohort) -> None:
    record = one(SPEC.changed(training__learning_rate=1e30, training__iterations=8))
    assert (record.status, record.converged) == ("diverged", False)
    assert record.rows("box").empty
    assert len(record.rows("mass")) > 0


@pytest.mark.parametrize("check", ["check_patients", "check_images"])
def test_a_leak_is_refused_before_training(
    check: str, cohort: Cohort, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A patient in two parts, or two images that are one."""
    monkeypatch.setattr(module, "network", refuse)

    def leak(*_: object, **__: object) -> None:
        raise DataError("a leak")

    monkeypatch.setattr(views_module, check, leak)
    with pytest.raises(DataError, match="a leak"):
        one(SPEC.changed(seed=1))
    monkeypatch.setattr(views_module, check, lambda *_, **__: None)
    with pytest.raises(RanError):  # the control
        one(SPEC.changed(seed=1))
