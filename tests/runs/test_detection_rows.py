"""Rows of a detection record: by hand, against the judge itself, and there and back."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from mammostudy.data.splits import VIEW_COLUMNS, ViewSet
from mammostudy.errors import DataError
from mammostudy.evaluation.boxes import match_detections
from mammostudy.runs.detection_rows import RULES, judged_rows, matches_of, rounded
from mammostudy.runs.record import write_record

Boxes = list[np.ndarray]
EDGES = ["x_min", "y_min", "x_max", "y_max"]


def views_of_boxes(boxes, height=80, width=100):
    """One view a list, of a patient a pair of views."""
    n = len(boxes)
    columns = {"patient": [f"P{i // 2}" for i in range(n)], "site": "one", "side": ["R", "L"] * n}
    sizes = {"height": height, "width": width, "image": [f"{i}.png" for i in range(n)]}
    columns["side"] = columns["side"][:n]
    index = pd.Index([f"v{i}" for i in range(n)], name="case")
    return ViewSet(
        pd.DataFrame(columns | sizes, index=index)[list(VIEW_COLUMNS)],
        tuple(np.array(each, np.float32).reshape(-1, 4) for each in boxes),
        tuple(tuple(f"v{i}-{k}" for k in range(len(each))) for i, each in enumerate(boxes)),
    )


def random_case(seed, views=30):
    """Views of 0 to 2 masses; boxes near them, doubled now and then, and false ones."""
    rng = np.random.default_rng(seed)
    true: list[list[list[float]]] = []
    predicted, scores = [], []
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
    content = dict.fromkeys(("recipe_key", "manifest_hash", "status", "converged"), "x")
    spec = {"kind": "detection", "cohort": "c"}
    return write_record(
        {**content, "spec": spec, "key": "k", "curves": [], "provenance": {}}, rows
    ).cases


@pytest.fixture(autouse=True)
def _store(tmp_path, monkeypatch):
    monkeypatch.setenv("MAMMOSTUDY_STORE", str(tmp_path))


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
    of_view = rows[rows["row"] == "view"].set_index("view")
    assert of_view["masses"].tolist() == [2, 0, 1, 0]
    assert of_view["patient"].tolist() == ["P0", "P0", "P1", "P1"]
    assert (of_view["height"].tolist(), of_view["width"].tolist()) == ([80] * 4, [100] * 4)
    mass = rows[rows["row"] == "mass"].reset_index(drop=True)
    assert mass["case"].tolist() == ["v0-0", "v0-1", "v2-0"]
    assert (mass["mass"].tolist(), mass["diameter"].tolist()) == ([0, 1, 0], [20, 10, 8])
    assert mass["share"].tolist() == pytest.approx([0.2236, 0.1118, 0.0894])
    assert rows.loc[rows["row"] != "box", EDGES].isna().all(axis=None)  # the owners' boxes
    box = rows[rows["row"] == "box"].reset_index(drop=True)
    assert box[["patient", "site", "side", "case", "diameter"]].isna().all(axis=None)
    assert box["nearest"].tolist() == [0, 0, 1, -1, -1]
    # 20x20 shifted by 2: 360 / 440; 16 of 20 rows: 0.8; 30 of 100
    assert box["iou"].tolist()[:3] == [0.818, 0.8, 0.3]
    assert box["iou"].isna().tolist() == [False] * 3 + [True] * 2
    assert box["centre_x_error"].tolist()[:3] == [0.1, 0, -0.2]
    assert box["centre_y_error"].tolist()[:3] == [0, -0.1, -0.25]
    assert box["centre_distance"].tolist()[:3] == [0.1, 0.1, pytest.approx(0.32, abs=1e-3)]
    assert box["width_log_ratio"].tolist()[:3] == [0, 0, -0.511]
    assert box["height_log_ratio"].tolist()[:3] == [0, -0.223, -0.693]
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
    parts = [
        judged_rows("test", views.take(views.names[part]), boxes[part], scores[part])
        for part in (slice(0, 11), slice(11, 30))
    ]  # as of two records whose views differ
    wanted = match_detections(*rounded(boxes, scores), views.boxes, *RULES[rule], repeats)
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
    rows = judged_rows("test", *random_case(5))
    with pytest.raises(DataError, match=r"view 'v0' stands in the rows twice"):
        matches_of(pd.concat([rows, rows], ignore_index=True))
    with pytest.raises(DataError, match="predicted_boxes"):
        judged_rows("test", views_of_boxes([[]]), [np.array([[5, 5, 5, 9.0]])], [np.array([0.5])])


def test_what_is_judged_is_what_is_kept():
    """A box on the border of a rule is judged after rounding, so that rows tell the truth."""
    views = views_of_boxes([[[0, 0, 10, 10]]])
    box = [np.array([[0, 0, 5.04, 9.96]])]  # IoU 0.50198 as given, exactly 0.5 as kept
    rows = read_again(judged_rows("test", views, box, [np.array([0.5])]))
    kept = rows.loc[rows["row"] == "box", EDGES].to_numpy(float)
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
