"""Detection runs from spec to record: views, boxes in their own pixels, the prior by hand."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from mammostudy.data.splits import split_views, views_of
from mammostudy.models.detectors import common
from mammostudy.runs import detection as module
from mammostudy.runs.detection import squares_of
from mammostudy.runs.detection_rows import EDGES


def test_rows_are_of_all_views_and_boxes_in_their_own_pixels(searched, one):
    cohort, spec = searched.cohort, searched.spec
    record = one(spec)
    assert record.curves["iteration"].tolist() == [1, 2, 3, 4]
    assert record.curves["validation_sensitivity"].notna().sum() == 2
    split = split_views(cohort, **spec.split.model_dump())
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
def test_squares_are_the_views_made_once(aspect, searched, refuse, monkeypatch):
    cohort, spec = searched.cohort, searched.spec.changed(detector__aspect=aspect)
    views = views_of(cohort).take(("P0_CC_1", "free", "P9_CC_1"))
    squares, places = squares_of(spec, cohort, views)
    assert (squares.shape, squares.dtype) == ((3, 1, 64, 64), torch.float32)
    rows = cohort.manifest.set_index("case", drop=False)
    for square, where, name in zip(squares, places, views.names, strict=True):
        image = torch.from_numpy(cohort.image(rows.loc[name]))
        wanted, place = common.place(image[None], 64, aspect)
        assert where == place
        torch.testing.assert_close(square, wanted, atol=1e-5, rtol=0)
    boxes = torch.from_numpy(views.boxes[0])
    torch.testing.assert_close(places[0].to_image(places[0].to_square(boxes)), boxes)
    monkeypatch.setattr(module, "place", refuse)
    squares_of(spec, cohort, views.take(("free",)))
    with pytest.raises(RuntimeError, match="ran"):  # control
        squares_of(spec.changed(detector__size=96), cohort, views)


def test_the_prior_box_by_hand(searched, one):
    plain = {"detector": {"name": "fixed-prior"}, "training": {"iterations": 0}}
    cohort, prior = searched.cohort, searched.spec.changed(variant="baseline", **plain)
    record = one(prior)
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
    found = module.run(prior, replace(cohort, manifest=rows), False).rows
    box = found[(found["row"] == "box") & (found["view"] == odd)][list(EDGES)]
    mean = np.concatenate(train.boxes).mean(axis=0)  # of a side without a training mass
    np.testing.assert_allclose(box.astype(float).to_numpy()[0], mean, atol=0.06)
