"""Rows of a detection record: by hand, against the judge itself, and there and back."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from mammostudy.data.views import COLUMNS, ViewSet
from mammostudy.errors import DataError, SpecError
from mammostudy.evaluation.boxes import Matches, match_detections, size_thirds
from mammostudy.evaluation.detection import precision_of
from mammostudy.evaluation.froc_curves import RATES, froc_of
from mammostudy.runs.detection_rows import (
    COCO,
    HEADLINE,
    RULES,
    judged_rows,
    matches_of,
    rounded,
)
from mammostudy.runs.store import write_detection_record

Boxes = list[np.ndarray]
BY_HAND = [[[10, 10, 30, 30], [60, 40, 70, 50]], [], [[0, 0, 8, 8]], []]


def views_of_boxes(boxes: list[list[list[float]]], height: int = 80, width: int = 100) -> ViewSet:
    """One view a list, of a patient a pair of views."""
    table = pd.DataFrame(
        {
            "patient": [f"P{i // 2}" for i in range(len(boxes))],
            "site": "one",
            "side": ["L" if i % 2 else "R" for i in range(len(boxes))],
            "height": height,
            "width": width,
            "image": [f"{i}.png" for i in range(len(boxes))],
        },
        index=pd.Index([f"v{i}" for i in range(len(boxes))], name="case"),
    )
    return ViewSet(
        table[list(COLUMNS)],
        tuple(np.array(each, np.float32).reshape(-1, 4) for each in boxes),
        tuple(tuple(f"v{i}-{k}" for k in range(len(each))) for i, each in enumerate(boxes)),
    )


def random_case(seed: int, views: int = 30) -> tuple[ViewSet, Boxes, Boxes]:
    """Views of 0 to 2 masses; boxes near them, doubled now and then, and false ones."""
    rng = np.random.default_rng(seed)
    true: list[list[list[float]]] = []
    predicted, scores = [], []
    for _ in range(views):
        masses = [
            [x, y, x + w, y + h]
            for x, y, w, h in rng.integers([0, 0, 8, 8], [60, 50, 30, 30], (rng.integers(0, 3), 4))
        ]
        near = [np.array(m) + rng.normal(0, 2, 4).clip(-3.5, 3.5) for m in masses for _ in range(2)]
        false = [[x, y, x + 12, y + 9] for x, y in rng.uniform(0, 60, (rng.integers(0, 4), 2))]
        each = np.array([*near, *false], float).reshape(-1, 4)
        true.append([[float(v) for v in m] for m in masses])
        predicted.append(each)
        scores.append(rng.uniform(0.01, 1, len(each)))
    return views_of_boxes(true), predicted, scores


def read_again(rows: pd.DataFrame, folder: Path) -> pd.DataFrame:
    """Through ``cases.csv``, as a record keeps them."""
    content = dict.fromkeys(("recipe_key", "manifest_hash", "status", "converged"), "x")
    content |= {"spec": {"kind": "detection", "cohort": "c"}, "key": "k"}
    content |= {"curves": [], "provenance": {}}
    return write_detection_record(json.loads(json.dumps(content)), rows, folder).cases


def test_rows_by_hand() -> None:
    views = views_of_boxes(BY_HAND)
    boxes = [
        np.array([[12, 10, 32, 30], [10, 10, 30, 26], [60, 40, 66, 45], [80, 60, 90, 70.0]]),
        np.array([[1, 1, 5, 5.0]]),
        np.zeros((0, 4)),
        np.zeros((0, 4)),
    ]
    scores = [np.array([0.9, 0.8, 0.7, 0.6]), np.array([0.123456789]), np.zeros(0), np.zeros(0)]
    rows = judged_rows("test", views, boxes, scores)
    assert set(rows["part"]) == {"test"}
    assert rows["row"].tolist() == ["view", "mass", "mass", *["box"] * 4, "view", "box",
                                    "view", "mass", "view"]  # fmt: skip
    assert rows["view"].tolist() == ["v0"] * 7 + ["v1"] * 2 + ["v2"] * 2 + ["v3"]
    of_view = rows[rows["row"] == "view"].set_index("view")
    assert of_view["masses"].tolist() == [2, 0, 1, 0]
    assert of_view["patient"].tolist() == ["P0", "P0", "P1", "P1"]
    assert (of_view["height"].tolist(), of_view["width"].tolist()) == ([80] * 4, [100] * 4)
    mass = rows[rows["row"] == "mass"].reset_index(drop=True)
    assert mass["case"].tolist() == ["v0-0", "v0-1", "v2-0"]
    assert mass["mass"].tolist() == [0, 1, 0]
    assert mass["diameter"].tolist() == [20, 10, 8]
    assert mass["share"].tolist() == pytest.approx([0.2236, 0.1118, 0.0894])
    assert mass["side"].tolist() == ["R", "R", "R"]
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
    assert box["iou25"].tolist() == [0, -2, 1, -1, -1]  # the second is a repeat on the first mass
    assert box["iou50"].tolist() == [0, -2, -1, -1, -1]
    assert box["iou80"].tolist() == [0, -2, -1, -1, -1]
    assert box["iou85"].tolist() == [-1] * 5
    assert box["centre"].tolist() == [0, -2, 1, -1, -1]


def test_the_owners_boxes_are_not_kept() -> None:
    views, boxes, scores = random_case(0)
    rows = judged_rows("test", views, boxes, scores)
    assert (
        rows.loc[rows["row"] != "box", ["x_min", "y_min", "x_max", "y_max"]].isna().all(axis=None)
    )


def test_rules_are_told_once() -> None:
    assert RULES[HEADLINE] == ("iou", 0.25)
    assert [RULES[name][1] for name in COCO] == [round(0.5 + 0.05 * k, 2) for k in range(10)]
    assert list(RULES) == ["iou10", "iou25", "centre", *COCO]


def judged(
    rule: str, views: ViewSet, boxes: Boxes, scores: Boxes, repeats: str = "ignore"
) -> Matches:
    """The judge on the boxes themselves."""
    return match_detections(*rounded(boxes, scores), views.boxes, *RULES[rule], repeats)


@pytest.mark.parametrize("rule", list(RULES))
@pytest.mark.parametrize("repeats", ["ignore", "false_positive"])
def test_matches_come_back_through_the_file(rule: str, repeats: str, tmp_path: Path) -> None:
    views, boxes, scores = random_case(1)
    rows = read_again(judged_rows("test", views, boxes, scores), tmp_path)
    found, wanted = matches_of(rows, rule, repeats), judged(rule, views, boxes, scores, repeats)
    for name in ("images", "rule", "threshold", "repeats"):
        assert getattr(found, name) == getattr(wanted, name)
    for name in ("boxes", "scores", "image", "outcome", "mass", "true_image", "found_by"):
        np.testing.assert_array_equal(getattr(found, name), getattr(wanted, name), name)
        assert getattr(found, name).dtype == getattr(wanted, name).dtype
    sides = np.sqrt(np.prod(wanted.true_boxes[:, 2:] - wanted.true_boxes[:, :2], axis=1))
    np.testing.assert_allclose(found.true_boxes[:, 2], sides, atol=0.051)
    curve, usual = froc_of(found), froc_of(wanted)
    assert [curve.sensitivity_at(rate) for rate in RATES] == [
        usual.sensitivity_at(rate) for rate in RATES
    ]
    assert (found.outcome == 2).any() or RULES[rule][1] > 0.8  # repeats to tell apart


def test_average_precision_of_rows_is_that_of_the_boxes(tmp_path: Path) -> None:
    views, boxes, scores = random_case(2)
    rows = read_again(judged_rows("test", views, boxes, scores), tmp_path)
    found = precision_of([matches_of(rows, rule, "false_positive") for rule in COCO])
    usual = precision_of([judged(rule, views, boxes, scores, "false_positive") for rule in COCO])
    assert 0 < found.value < 1
    assert found.value == usual.value
    assert found.by_threshold.tolist() == usual.by_threshold.tolist()
    kind = precision_of([matches_of(rows, "iou50", "false_positive")])
    assert kind.value == usual.by_threshold[0]
    with pytest.raises(DataError, match="repeats='false_positive'"):
        precision_of([matches_of(rows, "iou50")])


def test_errors_are_those_of_the_boxes() -> None:
    views, boxes, scores = random_case(3)
    box = judged_rows("test", views, boxes, scores).query("row == 'box'").reset_index(drop=True)
    matches = judged("iou25", views, boxes, scores)
    for mass, by in enumerate(matches.found_by):
        own = mass - int((matches.true_image < matches.true_image[mass]).sum())
        if by < 0 or int(box["nearest"][by]) != own:
            continue  # a box may find one mass and lie nearer to another
        (x0, y0, x1, y1), (a0, b0, a1, b1) = matches.boxes[by], matches.true_boxes[mass]
        wide, high = a1 - a0, b1 - b0
        shift = (x0 + x1 - a0 - a1) / 2, (y0 + y1 - b0 - b1) / 2
        wanted = {
            "centre_x_error": shift[0] / wide,
            "centre_y_error": shift[1] / high,
            "centre_distance": np.hypot(*shift) / np.sqrt(wide * high),
            "width_log_ratio": np.log((x1 - x0) / wide),
            "height_log_ratio": np.log((y1 - y0) / high),
        }
        for name, value in wanted.items():
            assert box[name][by] == pytest.approx(value, abs=6e-4)


def test_several_records_whose_views_differ(tmp_path: Path) -> None:
    views, boxes, scores = random_case(4)
    whole = judged_rows("test", views, boxes, scores)
    parts = [
        judged_rows("test", views.take(views.names[part]), boxes[part], scores[part])
        for part in (slice(0, 11), slice(11, 30))
    ]
    together = read_again(pd.concat(parts, ignore_index=True), tmp_path)
    for name in ("scores", "image", "outcome", "mass", "true_image", "found_by"):
        np.testing.assert_array_equal(
            getattr(matches_of(together), name), getattr(matches_of(whole), name)
        )


def test_a_view_that_stands_twice_is_refused() -> None:
    """Two folds that test the same site: its views would be counted once, its boxes twice."""
    views, boxes, scores = random_case(5)
    rows = judged_rows("test", views, boxes, scores)
    with pytest.raises(DataError, match=r"view 'v0' stands in the rows twice"):
        matches_of(pd.concat([rows, rows], ignore_index=True))
    matches_of(rows)  # control


def test_an_unknown_rule_is_refused_with_the_known_ones() -> None:
    rows = judged_rows("test", *random_case(6))
    with pytest.raises(SpecError, match="rule 'iou33' is unknown: use one of iou10, iou25, centre"):
        matches_of(rows, "iou33")


def test_a_detector_that_finds_nothing(tmp_path: Path) -> None:
    views = views_of_boxes(BY_HAND)
    nothing = [np.zeros((0, 4))] * 4, [np.zeros(0)] * 4
    rows = judged_rows("validation", views, *nothing)
    for table in (rows, read_again(rows, tmp_path)):
        for rule in RULES:
            matches = matches_of(table, rule)
            assert (len(matches.boxes), len(matches.true_boxes), matches.images) == (0, 3, 4)
            assert froc_of(matches).mean_sensitivity() == 0


def test_views_without_a_mass_alone() -> None:
    views = views_of_boxes([[], []])
    rows = judged_rows("test", views, [np.array([[1, 1, 5, 5.0]]), np.zeros((0, 4))],
                       [np.array([0.5]), np.zeros(0)])  # fmt: skip
    matches = matches_of(rows)
    assert (matches.images, len(matches.true_boxes), matches.outcome.tolist()) == (2, 0, [0])


def test_boxes_without_an_area_are_refused() -> None:
    with pytest.raises(DataError, match="predicted_boxes"):
        judged_rows("test", views_of_boxes([[]]), [np.array([[5, 5, 5, 9.0]])], [np.array([0.5])])


def test_what_is_judged_is_what_is_kept(tmp_path: Path) -> None:
    """A box on the border of a rule is judged after rounding, so that rows tell the truth."""
    views = views_of_boxes([[[0, 0, 10, 10]]])
    box = [np.array([[0, 0, 5.04, 9.96]])]  # IoU 0.50198 as given, exactly 0.5 as kept
    rows = read_again(judged_rows("test", views, box, [np.array([0.5])]), tmp_path)
    kept = rows.loc[rows["row"] == "box", ["x_min", "y_min", "x_max", "y_max"]].to_numpy(float)
    assert kept.tolist() == [[0, 0, 5, 10]]
    again = match_detections([kept], [[0.5]], views.boxes, *RULES["iou50"])
    assert matches_of(rows, "iou50").outcome.tolist() == again.outcome.tolist() == [1]


def test_rows_of_a_large_mammogram_keep_a_tenth_of_a_pixel(tmp_path: Path) -> None:
    views = views_of_boxes([[[3000, 2000, 3401, 2403]]], height=4600, width=5928)
    box = np.array([[3000.04, 2000.26, 3402.31, 2399.9]])
    rows = read_again(judged_rows("test", views, [box], [np.array([0.5])]), tmp_path)
    assert matches_of(rows).boxes.tolist() == [[3000, 2000.3, 3402.3, 2399.9]]


def test_thirds_of_the_sizes_are_those_of_the_cohort() -> None:
    views, boxes, scores = random_case(7)
    rows = judged_rows("test", views, boxes, scores)
    sides = np.concatenate(views.boxes)
    diameters = np.sqrt((sides[:, 2] - sides[:, 0]) * (sides[:, 3] - sides[:, 1]))
    kept = rows.loc[rows["row"] == "mass", "diameter"]
    assert size_thirds(kept) == pytest.approx(size_thirds(diameters), abs=0.06)
