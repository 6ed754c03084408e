"""Detection runs: views, boxes in their own pixels, and rows by hand, there and back."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import torch

from mammostudy.data.load import load_cohort
from mammostudy.errors import DataError
from mammostudy.evaluation.boxes import match_detections
from mammostudy.evaluation.matched_rows import EDGES, RULES, matches_of
from mammostudy.evaluation.splits import split_views
from mammostudy.models.detectors import common
from mammostudy.runs import detection as module
from mammostudy.runs.detection import squares_of
from mammostudy.runs.detection_rows import judged_rows, rounded
from mammostudy.runs.record import write_record
from mammostudy.runs.spec import SplitSpec


def test_rows_are_of_all_views_and_boxes_in_their_own_pixels(searched, one):
    cohort, spec = searched.cohort, searched.spec
    record = one(spec)
    assert record.curves["validation_sensitivity"].notna().tolist() == [False, True] * 2
    split = split_views(cohort, **spec.split.model_dump())
    assert record.content["split"] == {name: list(v) for name, v in split.parts().items()}
    for part in ("validation", "test"):
        rows = record.part(part)
        assert tuple(rows.loc[rows["row"] == "view", "view"]) == split.parts()[part]
        taken = cohort.views.loc[list(split.parts()[part])]
        assert [case for cases in taken["cases"] for case in cases] == rows[
            "case"
        ].dropna().tolist()
    box = record.cases.query("row == 'box'")
    assert (box[["x_min", "y_min"]] >= 0).all(axis=None)
    assert (box[["x_max", "y_max"]] <= (64, 48)).all(axis=None)  # no mass in the padding
    assert (box["x_max"] - box["x_min"] >= 0.9).all()
    assert box["score"].between(0, 1).all()
    assert 0 < box.groupby("view").size().max() <= 20
    boxes = np.concatenate(cohort.views.loc[list(split.train), "boxes"].tolist())
    sides = np.sqrt((boxes[:, 2] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 1])) / 64
    found = np.array(record.content["box_sides"])
    assert sides.min() - 1e-4 <= found.min() <= found.max() <= sides.max() + 1e-4


def test_boxes_alone_train_on_the_owners_part_and_rows_tell_projection_density_shape(
    searched, own_folders, write_views, one, monkeypatch
):
    monkeypatch.setenv("MAMMOSTUDY_DATA", str(own_folders / "data"))
    path = write_views(own_folders / "data", "boxed") / "manifest.csv"
    table = pd.read_csv(path, dtype=str).assign(mask=None, mask_label=None, outline=None)
    number = table["patient"].str[1:].astype(int)
    part = number.map({0: "test", 1: "test", 8: "test", 2: "other"}).fillna("train")
    density = (1 + number % 4).astype(str)
    table.assign(part=part, density=density).to_csv(path, index=False)
    split = {"split": {"rule": "official", "validation_folds": 3}}
    record = one(searched.spec.changed(cohort="boxed", **split))
    test = record.part("test")
    assert set(test["patient"].dropna()) == {"P0", "P1", "P8"}
    assert "P2" not in set(record.cases["patient"])
    view = test[test["row"] == "view"]
    assert view["projection"].tolist() == [case.split("_")[1] for case in view["view"]]
    assert dict(zip(view["patient"], view["density"], strict=True)) == {"P0": 1, "P1": 2, "P8": 1}
    mass = test[test["row"] == "mass"]
    assert dict(zip(mass["patient"], mass["shape"], strict=True)) == {
        "P0": "irregular",
        "P1": "round",
    }
    owners = [name for name in ("height", *EDGES) if mass[name].notna().any()]
    assert owners == []


def test_another_cohort_is_learnt_from_or_tested(
    searched, own_folders, write_views, one, monkeypatch
):
    monkeypatch.setenv("MAMMOSTUDY_DATA", str(own_folders / "data"))
    write_views(own_folders / "data")
    path = write_views(own_folders / "data", "away") / "manifest.csv"
    table = pd.read_csv(path, dtype=str)
    table.assign(patient="Q" + table["patient"].str[1:]).to_csv(path, index=False)
    home, away = load_cohort("views"), load_cohort("away")
    theirs = split_views(away, **SplitSpec(folds=3).model_dump())
    record = one(searched.spec.changed(beside="away"))
    assert set(record.part("test")["patient"].dropna()) <= set(home.views["patient"])
    assert record.content["beside_manifest_hash"] == away.manifest_hash
    alone = one(searched.spec)
    assert record.curves["loss"].tolist() != alone.curves["loss"].tolist()
    moved = one(searched.spec.changed(test_cohort="away"))
    assert moved.content["training_key"] == alone.content["training_key"]
    assert tuple(moved.part("test").query("row == 'view'")["view"]) == theirs.test
    assert moved.part("validation").equals(alone.part("validation"))
    write_views(own_folders / "data", "twin")
    with pytest.raises(DataError, match="test_cohort twin"):
        one(searched.spec.changed(split__fold=1, test_cohort="twin"))


@pytest.mark.parametrize("aspect", ["letterbox", "stretch"])
def test_squares_are_the_views_made_once(aspect, searched, refuse, monkeypatch):
    cohort, spec = searched.cohort, searched.spec.changed(detector__aspect=aspect)
    views = cohort.views.loc[["P0_CC_1", "free", "P9_CC_1"]]
    squares, places = squares_of(spec, cohort, views)
    assert (squares.shape, squares.dtype) == ((3, 1, 64, 64), torch.float32)
    rows = cohort.manifest.set_index("case", drop=False)
    for square, where, name in zip(squares, places, views.index, strict=True):
        image = torch.from_numpy(cohort.image(rows.loc[name]))
        wanted, place = common.place(image[None], 64, aspect)
        assert where == place
        torch.testing.assert_close(square, wanted, atol=1e-5, rtol=0)
    monkeypatch.setattr(module, "place", refuse)
    squares_of(spec, cohort, views.loc[["free"]])
    with pytest.raises(RuntimeError, match="ran"):  # control
        squares_of(spec.changed(detector__size=96), cohort, views)


def test_the_prior_box_by_hand(searched, one):
    plain = {"detector": {"name": "fixed-prior"}, "training": {"iterations": 0}}
    cohort, prior = searched.cohort, searched.spec.changed(variant="baseline", **plain)
    record = one(prior)
    assert (record.status, record.converged, record.content["box_sides"]) == ("completed", None, [])
    train = cohort.views.loc[record.content["split"]["train"]]
    sides, boxes = (
        record.cases.query("row == 'view'").set_index("view")["side"],
        record.cases.query("row == 'box'"),
    )
    assert (boxes["score"] == 0.5).all()
    assert len(boxes) == len(sides)  # one a view, those without a mass included
    for side in ("L", "R"):
        of = train["side"] == side
        mean = np.concatenate(train.loc[of, "boxes"].tolist()).mean(0)
        mine = boxes[boxes["view"].map(sides) == side]
        np.testing.assert_allclose(mine[list(EDGES)].to_numpy(float), [mean] * len(mine), atol=0.06)
    rows = cohort.manifest.copy()
    odd = record.content["split"]["test"][0]
    rows.loc[rows["image"] == cohort.views.loc[odd, "image"], "side"] = "unknown"
    found = module.run(prior, replace(cohort, manifest=rows), False).rows
    box = found[(found["row"] == "box") & (found["view"] == odd)][list(EDGES)]
    mean = np.concatenate(train["boxes"].tolist()).mean(axis=0)  # of a side without a training mass
    np.testing.assert_allclose(box.astype(float).to_numpy()[0], mean, atol=0.06)


def views_of_boxes(boxes, height=80, width=100):
    """One view a list, of a patient a pair of views."""
    n = range(len(boxes))
    table = {"patient": [f"P{i // 2}" for i in n], "side": ["RL"[i % 2] for i in n]}
    table |= {"site": "one", "height": height, "width": width, "image": [f"{i}.png" for i in n]}
    cases = [tuple(f"v{i}-{k}" for k in range(len(each))) for i, each in enumerate(boxes)]
    held = {"boxes": [np.array(each, np.float32).reshape(-1, 4) for each in boxes], "cases": cases}
    held["shapes"] = [("round",) * len(each) for each in boxes]
    table |= {name: pd.Series(each, n, dtype=object) for name, each in held.items()}
    return pd.DataFrame(table, n).set_axis([f"v{i}" for i in n])


def random_case(seed, views=30):
    """Views of 0 to 2 masses; boxes near them, doubled now and then, and false ones."""
    rng = np.random.default_rng(seed)
    true, predicted, scores = [], [], []
    for _ in range(views):
        drawn = rng.integers([0, 0, 8, 8], [60, 50, 30, 30], (rng.integers(0, 3), 4))
        masses = [[x, y, x + w, y + h] for x, y, w, h in drawn]
        near = [np.array(m) + rng.normal(0, 2, 4).clip(-3.5, 3.5) for m in masses for _ in range(2)]
        false = [[x, y, x + 12, y + 9] for x, y in rng.uniform(0, 60, (rng.integers(0, 4), 2))]
        each = np.array([*near, *false], float).reshape(-1, 4)
        true.append([[float(v) for v in m] for m in masses])
        predicted.append(each)
        scores.append(rng.uniform(0.01, 1, len(each)))
    return views_of_boxes(true), predicted, scores


def read_again(rows):
    """Through ``cases.csv``, as a record keeps them."""
    fields = ["key", "recipe_key", "manifest_hash", "status", "converged", "curves", "provenance"]
    spec = {"kind": "detection", "cohort": "c"}
    return write_record(dict.fromkeys(fields, "x") | {"spec": spec}, rows).cases


def test_rows_by_hand():
    views = views_of_boxes([[[10, 10, 30, 30], [60, 40, 70, 50]], [], [[0, 0, 8, 8]], []])
    boxes = [
        np.array([[12, 10, 32, 30], [10, 10, 30, 26], [60, 40, 66, 45], [80, 60, 90, 70.0]]),
        np.array([[1, 1, 5, 5.0]]), np.zeros((0, 4)), np.zeros((0, 4)),
    ]  # fmt: skip
    scores = [np.array([0.9, 0.8, 0.7, 0.6]), np.array([0.123456789]), np.zeros(0), np.zeros(0)]
    rows = judged_rows("test", views, boxes, scores)
    kinds = ["view", "mass", "mass", *["box"] * 4, "view", "box", "view", "mass", "view"]
    assert rows["row"].tolist() == kinds
    assert rows["view"].tolist() == ["v0"] * 7 + ["v1"] * 2 + ["v2"] * 2 + ["v3"]
    of_view = rows.loc[rows["row"] == "view", ["masses", "patient", "height", "width"]]
    wanted = zip([2, 0, 1, 0], ["P0", "P0", "P1", "P1"], [80] * 4, [100] * 4, strict=True)
    assert of_view.to_numpy().tolist() == list(map(list, wanted))
    mass = rows[rows["row"] == "mass"].reset_index(drop=True)
    assert mass["case"].tolist() == ["v0-0", "v0-1", "v2-0"]
    assert (mass["mass"].tolist(), mass["diameter"].tolist()) == ([0, 1, 0], [20, 10, 8])
    assert mass["share"].tolist() == pytest.approx([0.2236, 0.1118, 0.0894])
    assert rows.loc[rows["row"] != "box", list(EDGES)].isna().all(axis=None)  # the owners' boxes
    box = rows[rows["row"] == "box"].reset_index(drop=True)
    assert box[["patient", "site", "side", "case", "diameter"]].isna().all(axis=None)
    assert box["score"].tolist()[4] == 0.12346
    for rule in ("iou25", "centre"):
        assert box[rule].tolist() == [0, -2, 1, -1, -1]  # the second is a repeat
    assert box["iou50"].tolist() == box["iou80"].tolist() == [0, -2, -1, -1, -1]
    assert box["iou85"].tolist() == [-1] * 5


@pytest.mark.parametrize("rule", ["iou10", "iou25", "centre", "iou50", "iou75"])
@pytest.mark.parametrize("repeats", ["ignore", "false_positive"])
def test_matches_come_back_through_the_file(rule, repeats):
    views, boxes, scores = random_case(1)
    whole = judged_rows("test", views, boxes, scores)
    parts = [  # as of two records whose views differ
        judged_rows("test", views.iloc[part], boxes[part], scores[part])
        for part in (slice(0, 11), slice(11, 30))
    ]
    wanted = match_detections(
        *rounded(boxes, scores), views["boxes"].tolist(), *RULES[rule], repeats
    )
    sides = np.sqrt(np.prod(wanted.true_boxes[:, 2:] - wanted.true_boxes[:, :2], axis=1))
    for rows in (whole, read_again(whole), pd.concat(parts)):
        found = matches_of(rows, rule, repeats)
        for name in ("images", "rule", "threshold", "repeats"):
            assert getattr(found, name) == getattr(wanted, name)
        for name in ("boxes", "scores", "image", "outcome", "mass", "true_image", "found_by"):
            np.testing.assert_array_equal(getattr(found, name), getattr(wanted, name), name)
        np.testing.assert_allclose(found.true_boxes[:, 2], sides, atol=0.051)
    assert (found.outcome == 2).any()  # repeats to tell apart


def test_what_cannot_be_judged_is_refused():
    with pytest.raises(DataError, match="predicted_boxes"):
        judged_rows("test", views_of_boxes([[]]), [np.array([[5, 5, 5, 9.0]])], [np.array([0.5])])


def test_what_is_judged_is_what_is_kept():
    """A box on the border of a rule is judged after rounding, so that rows tell the truth."""
    views = views_of_boxes([[[0, 0, 10, 10]]])
    box = [np.array([[0, 0, 5.04, 9.96]])]  # IoU 0.50198 as given, exactly 0.5 as kept
    rows = read_again(judged_rows("test", views, box, [np.array([0.5])]))
    kept = rows.loc[rows["row"] == "box", list(EDGES)].to_numpy(float)
    assert kept.tolist() == [[0, 0, 5, 10]]
    assert matches_of(rows, "iou50").outcome.tolist() == [1]
    large = views_of_boxes([[[3000, 2000, 3401, 2403]]], height=4600, width=5928)
    exact = np.array([[3000.04, 2000.26, 3402.31, 2399.9]])
    rows = read_again(judged_rows("test", large, [exact], [np.array([0.5])]))
    assert matches_of(rows).boxes.tolist() == [[3000, 2000.3, 3402.3, 2399.9]]


def test_views_where_nothing_is_found_or_nothing_is_to_be_found():
    views = views_of_boxes([[[10, 10, 30, 30], [60, 40, 70, 50]], []])
    rows = judged_rows("validation", views, [np.zeros((0, 4))] * 2, [np.zeros(0)] * 2)
    for table in (rows, read_again(rows)):
        matches = matches_of(table)
        assert (len(matches.boxes), len(matches.true_boxes), matches.images) == (0, 2, 2)
    free = [np.array([[1, 1, 5, 5.0]]), np.zeros((0, 4))], [np.array([0.5]), np.zeros(0)]
    matches = matches_of(judged_rows("test", views_of_boxes([[], []]), *free))
    assert (matches.images, len(matches.true_boxes), matches.outcome.tolist()) == (2, 0, [0])
