"""Rows of an evaluation, by hand on square masses."""

from __future__ import annotations

import math
from pathlib import Path

import cv2
import numpy as np
import pandas as pd
import pytest
from numpy.typing import NDArray

from mammostudy.data import manifest
from mammostudy.data.cohort import Cohort
from mammostudy.data.frames import Frame, FramedSet, Preprocessing, frame_cohort
from mammostudy.imaging.framing import Box
from mammostudy.imaging.postprocessing import PUBLISHED
from mammostudy.runs import evaluate as module
from mammostudy.runs.evaluate import COLUMNS, Window, evaluate, measure, steps_name, steps_of

PLAIN = Preprocessing(denoise_sigma=0, equalise=False)


def squares(root: Path, boxes: dict[str, Box], shape: tuple[int, int] = (100, 100)) -> Cohort:
    """One image with a square mass a box."""
    labels = np.zeros(shape, np.uint8)
    rows = []
    for label, (case, box) in enumerate(boxes.items(), start=1):
        labels[box[1] : box[3], box[0] : box[2]] = label
        rows.append(
            {
                "case": case, "patient": "p", "site": "one", "image": "image.png",
                "height": shape[0], "width": shape[1], "view": "CC", "side": "L",
                "modality": "DM", **dict(zip(manifest.BOX, box, strict=True)),
                "mask": "masks.png", "mask_label": label, "outline": None, "spacing_mm": None,
                "shape": None, "pathology": "unknown", "subtype": None,
            }
        )  # fmt: skip
    cv2.imwrite(str(root / "masks.png"), labels)
    cv2.imwrite(str(root / "image.png"), 100 * (labels > 0).astype(np.uint8) + 50)
    import hashlib

    digest = hashlib.sha256((root / "image.png").read_bytes()).hexdigest()
    table = pd.DataFrame(rows).assign(image_sha256=digest)
    return Cohort("squares", root, manifest.validate(table))


ALONE: dict[str, Box] = {"a1": (40, 40, 60, 60)}
PAIR: dict[str, Box] = {"a1": (40, 40, 60, 60), "a2": (62, 62, 70, 70)}


def framed(cohort: Cohort, frame: Frame) -> FramedSet:
    return frame_cohort(cohort, frame, PLAIN)


def test_the_window_is_the_loose_frame_within_the_image(tmp_path: Path) -> None:
    window = Window.of(squares(tmp_path, ALONE), "a1", "all")
    assert window.box == (30, 30, 70, 70)
    assert window.shape == (100, 100)
    assert window.truth.shape == (40, 40)
    assert window.truth.sum() == 400
    corner = Window.of(squares(tmp_path, {"a1": (0, 2, 10, 12)}, (50, 80)), "a1", "all")
    assert corner.box == (0, 0, 15, 17)  # of (-5, -3, 15, 17)
    assert corner.truth.sum() == 100


def test_the_windows_truth_is_every_mass_or_the_target(tmp_path: Path) -> None:
    cohort = squares(tmp_path, PAIR)
    assert Window.of(cohort, "a1", "all").truth.sum() == 400 + 64
    assert Window.of(cohort, "a1", "target").truth.sum() == 400


def test_a_tight_frames_mask_is_pasted_back(tmp_path: Path) -> None:
    cohort = squares(tmp_path, PAIR)
    whole = np.ones((20, 20), bool)
    left = whole.copy()
    left[:, 10:] = False
    alone, both = Window.of(cohort, "a1", "target"), Window.of(cohort, "a1", "all")
    assert alone.overlaps(whole, (40, 40, 60, 60)) == (1.0, 1.0)
    assert alone.overlaps(left, (40, 40, 60, 60)) == pytest.approx((2 / 3, 1 / 2))
    # The tight frame cannot reach the second mass: it costs in the window.
    assert both.overlaps(whole, (40, 40, 60, 60)) == pytest.approx((800 / 864, 400 / 464))
    # What is marked outside the window does not count: half of a frame that starts at x = 60.
    shifted = alone.overlaps(whole, (60, 40, 80, 60))
    assert shifted == (0.0, 0.0)


def test_a_frame_of_another_size_is_resized_on_the_way_back(tmp_path: Path) -> None:
    window = Window.of(squares(tmp_path, ALONE), "a1", "all")
    middle = np.zeros((80, 80), bool)
    middle[20:60, 20:60] = True  # the loose frame at twice its size
    assert window.overlaps(middle, (30, 30, 70, 70)) == (1.0, 1.0)


def test_a_missed_mass_gets_the_worst_values(tmp_path: Path) -> None:
    cohort = squares(tmp_path, ALONE)
    frames = framed(cohort, Frame(size=40))
    (row,) = measure(np.zeros((1, 40, 40), bool), frames, [Window.of(cohort, "a1", "all")]).to_dict(
        "records"
    )
    worst = ["dice", "iou", "precision", "recall", "dice_image", "iou_image", "predicted_pixels"]
    assert [row[name] for name in worst] == [0] * 7
    diagonal = math.hypot(40, 40)
    assert row["hd95"] == row["assd"] == row["diagonal"] == pytest.approx(diagonal)
    assert row["truth_pixels"] == 400


def test_both_grids_agree_where_the_frame_is_not_resized(tmp_path: Path) -> None:
    cohort = squares(tmp_path, PAIR)
    frames = framed(cohort, Frame(size=40)).take(["a1"])
    rng = np.random.default_rng(0)
    masks = rng.random((1, 40, 40)) > 0.5
    table = measure(masks, frames, [Window.of(cohort, "a1", "all")])
    assert table["dice_image"].tolist() == table["dice"].tolist()
    assert table["iou_image"].tolist() == table["iou"].tolist()
    assert table["company_pixels"].tolist() == [64]
    assert table["truth_pixels"].tolist() == [464]


def _ones(cohort: Cohort) -> module.Predictor:
    def predict(frame: Frame, cases: object) -> tuple[FramedSet, NDArray[np.bool_]]:
        frames = framed(cohort, frame).take(cases)  # type: ignore[arg-type]
        return frames, np.ones(frames.masks.shape, bool)

    return predict


def test_rows_and_masks_of_an_evaluation(tmp_path: Path) -> None:
    cohort = squares(tmp_path, PAIR)
    parts = {"validation": ("a2",), "test": ("a1",)}
    boxes = ("oracle", "jittered")
    rows, kept = evaluate(cohort, parts, Frame(size=32), boxes, "published", _ones(cohort))
    assert tuple(rows.columns) == COLUMNS
    assert len(rows) == 2 * 2 * 2
    assert not rows.duplicated(["case", "box", "postprocessing"]).any()
    assert dict(zip(rows["case"], rows["part"], strict=True)) == {"a2": "validation", "a1": "test"}
    assert set(rows["postprocessing"]) == {"none", "close3+erode2+dilate3"}
    assert set(rows["patient"]) == {"p"}
    assert set(rows["site"]) == {"one"}
    assert list(kept) == ["a2", "a1"]
    assert all(mask.all() for mask in kept.values())
    oracle = rows[(rows["case"] == "a1") & (rows["box"] == "oracle")]
    jittered = rows[(rows["case"] == "a1") & (rows["box"] == "jittered")]
    # In the window, a jittered frame that is painted whole marks more or less than the oracle's.
    assert oracle["truth_pixels"].iloc[0] != jittered["truth_pixels"].iloc[0]
    again, _ = evaluate(cohort, parts, Frame(size=32), boxes, "published", _ones(cohort))
    pd.testing.assert_frame_equal(rows, again)


def test_every_order_has_its_rows(tmp_path: Path) -> None:
    cohort = squares(tmp_path, ALONE)
    parts: dict[str, tuple[str, ...]] = {"validation": (), "test": ("a1",)}
    rows, _ = evaluate(cohort, parts, Frame(size=32), ("oracle",), "every", _ones(cohort))
    assert len(rows) == len(steps_of("every")) == 16
    assert steps_of("published") == [(), PUBLISHED]
    assert (steps_name(()), steps_name(PUBLISHED)) == ("none", "close3+erode2+dilate3")


def test_golden_rows(tmp_path: Path) -> None:
    cohort = squares(tmp_path, {"a1": (40, 35, 60, 61), "a2": (62, 62, 70, 70)})
    frames = framed(cohort, Frame(size=32))
    y, x = np.mgrid[:32, :32]
    masks = np.stack([(x - 14) ** 2 + (y - 17) ** 2 < 60, (x - 20) ** 2 + (y - 10) ** 2 < 90])
    windows = [Window.of(cohort, case, "all") for case in ("a1", "a2")]
    table = measure(masks, frames, windows).drop(columns="case")
    found = {name: [float(v) for v in values] for name, values in table.items()}
    assert set(found) == set(GOLDEN)
    for name, values in found.items():
        assert values == pytest.approx(GOLDEN[name], abs=1e-5), (
            f"{name} moved: raise VERSION of runs/evaluate.py (or of the metric that moved)"
        )


GOLDEN = {
    "dice": [0.7261146, 0.4814159],
    "iou": [0.57, 0.3170163],
    "precision": [0.9243243, 0.477193],
    "recall": [0.5979021, 0.4857143],
    "hd95": [12.06634, 12.08305],
    "assd": [3.091897, 5.111131],
    "dice_image": [0.7302905, 0.4827586],
    "iou_image": [0.5751634, 0.3181818],
    "truth_pixels": [286.0, 280.0],
    "predicted_pixels": [185.0, 285.0],
    "company_pixels": [30.0, 24.0],
    "diagonal": [45.25483, 45.25483],
}
