"""Figures of detection and the chain draw from toy tables, and show what they say."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pandas as pd

from mammostudy.evaluation import boxes
from mammostudy.figures import detection

MASS = [10.0, 10.0, 30.0, 30.0]


def detector(hits=3, false=2):
    """Four views of two patients with a mass each and two without; hits fall in score."""
    masses = [[MASS]] * 4 + [np.zeros((0, 4))] * 2
    wrong = [[50.0 + at, 50.0, 70.0 + at, 70.0] for at in range(false)]
    laid = [np.reshape([*([MASS] if at < hits else []), *wrong], (-1, 4)) for at in range(6)]
    scores = [[*([0.9 - 0.1 * at] if at < hits else []), *([0.3] * false)] for at in range(6)]
    views = pd.DataFrame({"view": [f"v{at}" for at in range(6)]})
    return SimpleNamespace(
        patients=np.array(["a", "a", "b", "b", "c", "c"]), views=views,
        free=np.arange(6) >= 4,
        rows=pd.DataFrame({"row": "mass", "share": [0.1, 0.2, 0.3, 0.4]}),
        matches=lambda rule="iou25", repeats="ignore", *, laid_=laid, laid=False: (
            boxes.match_detections(laid_, scores, masses, repeats=repeats)
        ),
    )  # fmt: skip


def test_curves_and_details_draw():
    group = {"SSD, light trunk": detector(), "fixed prior box": detector(0, 1)}
    figure = detection.froc({"all folds": group})
    figure.canvas.draw()
    assert [text.get_text() for text in figure.legends[0].get_texts()] == list(group)
    detection.froc({"one": group, "other": group}, band=False).canvas.draw()
    detection.detail(detector()).canvas.draw()
    detection.detail(detector(0, 0)).canvas.draw()


def test_views_are_chosen_by_rule():
    assert detection.chosen(detector()) == {
        "hit of the highest score": (0, 0, -1),
        "hit of the lowest score": (2, 6, -1),
        "largest mass missed": (3, -1, 3),
        "surest false positive beside a mass": (0, 1, -1),
        "surest false positive, mass-free view": (4, 11, -1),
        "drawn by seed 0": (5, -1, -1),
    }
    assert detection.examples(None, detector()) == {}


def test_boxes_are_drawn_at_their_place_on_the_shrunk_image():
    image = np.zeros((960, 480), np.float32)
    shown = detection.boxed(image, [("#ff0000", [100.0, 200.0, 300.0, 400.0], False, "")])
    assert shown.shape == (480, 480, 3)
    assert shown[100, 120 + 100].tolist() == [255, 0, 0]  # padded by 120 on either side
    assert not shown[150, 120 + 100].any()


def test_parts_of_an_error_stand_end_to_end_and_negative_ones_left_of_zero():
    values = {"a": (0.1, 0.2, 0.3), "b": (0.3, -0.1, 0.2)}
    names = list(detection.PARTS)
    table = pd.DataFrame(
        {"arm": arm, "metric": name, "mean": mean}
        for arm, parts in values.items()
        for name, mean in zip([*names, "sum"], [*parts, sum(parts)], strict=True)
    )
    assert detection.error_parts(table.iloc[:0]) is None
    figure = detection.error_parts(table)
    figure.canvas.draw()
    bars = [bar for container in figure.axes[0].containers for bar in container]
    ends = sorted((round(b.get_x(), 9), round(b.get_x() + b.get_width(), 9)) for b in bars)
    ends = sorted(tuple(sorted(end)) for end in ends)
    assert ends == [(-0.1, 0.0), (0.0, 0.1), (0.0, 0.3), (0.1, 0.3), (0.3, 0.5), (0.3, 0.6)]
