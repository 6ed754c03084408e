"""From predicted masks to rows: a row a case, box and post-processing, in both grids."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Final, NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from mammostudy.data.cohort import Cohort, box_of_row
from mammostudy.data.frames import FramedSet, frame_cohort
from mammostudy.evaluation import overlap
from mammostudy.imaging.framing import Box, frame_box, paste_back
from mammostudy.imaging.postprocessing import PUBLISHED, orderings, postprocess
from mammostudy.runs.spec import RunSpec

Masks = NDArray[np.bool_]
COLUMNS: Final = (
    "part", "case", "patient", "site", "box", "postprocessing", "dice", "iou", "precision",
    "recall", "hd95", "assd", "dice_image", "iou_image", "truth_pixels", "predicted_pixels",
    "company_pixels", "diagonal",
)  # fmt: skip


@dataclass(frozen=True)
class Prediction:
    """Masks of framed cases, bool ``(n, s, s)``, and their uncertainty where it was sampled."""

    masks: Masks
    scores: dict[str, NDArray[np.float64]] = field(default_factory=dict)


class Window(NamedTuple):
    """Where framings are compared: the oracle loose frame at scale 2, cut to the image.

    ``truth``, of the box's size, is of every mass, or of the target alone.
    """

    box: Box
    image: tuple[int, int]
    truth: Masks


def window_of(cohort: Cohort, case: str, truth: str) -> Window:
    """Cut the window of a case from its image's truth, ``all`` or ``target``."""
    row = cohort.row(case)
    height, width = int(row["height"]), int(row["width"])
    frame = frame_box(box_of_row(row), (height, width), strategy="loose", scale=2.0)
    x_min, y_min, x_max, y_max = frame
    box = max(x_min, 0), max(y_min, 0), min(x_max, width), min(y_max, height)
    whole = cohort.truth(str(row["image"])) if truth == "all" else cohort.mask(case)
    return Window(box, (height, width), whole[box[1] : box[3], box[0] : box[2]])


def pasted(mask: Masks, frame: NDArray[np.int64], shape: tuple[int, int]) -> Masks:
    """Paste a frame's mask into the image's grid."""
    x_min, y_min, x_max, y_max = (int(edge) for edge in frame)
    back: Masks = paste_back(mask, (x_min, y_min, x_max, y_max), shape)
    return back


def _in_image(mask: Masks, frame: NDArray[np.int64], window: Window) -> tuple[float, float]:
    """Paste a frame's mask back and return Dice and IoU within the window."""
    x_min, y_min, x_max, y_max = window.box
    cut = pasted(mask, frame, window.image)[None, y_min:y_max, x_min:x_max]
    truth = window.truth[None]
    return float(overlap.dice(cut, truth)[0]), float(overlap.iou(cut, truth)[0])


def measure(masks: Masks, framed: FramedSet, windows: Sequence[Window]) -> pd.DataFrame:
    """Measure predicted masks ``(n, s, s)`` in the frame's grid and, pasted back, in the image's.

    Returns:
        A row a case: metrics (distances in pixels of the frame), sizes, the frame's diagonal.
    """
    truth = framed.masks
    whole = [_in_image(*each) for each in zip(masks, framed.boxes, windows, strict=True)]
    return pd.DataFrame(
        {
            "case": framed.cases,
            "dice": overlap.dice(masks, truth),
            "iou": overlap.iou(masks, truth),
            "precision": overlap.precision(masks, truth),
            "recall": overlap.recall(masks, truth),
            "hd95": overlap.hd95(masks, truth),
            "assd": overlap.assd(masks, truth),
            "dice_image": [dice for dice, _ in whole],
            "iou_image": [iou for _, iou in whole],
            "truth_pixels": truth.sum(axis=(1, 2)),
            "predicted_pixels": masks.sum(axis=(1, 2)),
            "company_pixels": framed.company,
            "diagonal": float(np.hypot(*truth.shape[1:])),
        }
    )


def evaluate(
    spec: RunSpec, cohort: Cohort, cases: Sequence[str], predict: Callable[[FramedSet], Prediction]
) -> tuple[pd.DataFrame, dict[str, Masks]]:
    """Predict and measure the cases of one part.

    Returns:
        Rows of :data:`COLUMNS` but ``part``, then ``boundary_iou`` and the scores of sampled
        predictions where the spec asks for them, which tell of masks before post-processing; and
        those masks of the first kind of box, by case.
    """
    asked = spec.evaluation
    windows = [window_of(cohort, case, spec.frame.truth) for case in cases]
    orders = orderings(PUBLISHED) if asked.postprocessing == "every" else [(), PUBLISHED]
    tables: list[pd.DataFrame] = []
    kept: dict[str, Masks] = {}
    for box in asked.boxes:
        frame = spec.frame.model_copy(update={"box": box})
        framed = frame_cohort(cohort, frame, spec.preprocessing).take(cases)
        found = predict(framed)
        kept = kept or dict(zip(cases, found.masks, strict=True))
        beside = dict(found.scores)
        if asked.boundary:
            beside = {"boundary_iou": overlap.boundary_iou(found.masks, framed.masks)} | beside
        for steps in orders:
            table = measure(postprocess(found.masks, steps), framed, windows)
            name = "+".join(steps) or "none"
            tables.append(table.assign(box=box, postprocessing=name, **({} if steps else beside)))
    rows = pd.concat(tables, ignore_index=True)
    for column in ("patient", "site"):
        rows[column] = rows["case"].map(cohort.masses[column])
    return rows, kept
