"""From predicted masks to rows: a row a case, box and post-processing, in both grids."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from mammostudy.data.cohort import Cohort, box_of_row
from mammostudy.data.frames import Frame, FramedSet
from mammostudy.evaluation import overlap
from mammostudy.imaging.framing import Box, frame_box, paste_back
from mammostudy.imaging.postprocessing import PUBLISHED, orderings, postprocess

VERSION: Final = 1
Predictor = Callable[[Frame, Sequence[str]], tuple[FramedSet, NDArray[np.bool_]]]
COLUMNS: Final = (
    "part", "case", "patient", "site", "box", "postprocessing", "dice", "iou", "precision",
    "recall", "hd95", "assd", "dice_image", "iou_image", "truth_pixels", "predicted_pixels",
    "company_pixels", "diagonal",
)  # fmt: skip


def steps_name(steps: Sequence[str]) -> str:
    """Name an order of post-processing steps: ``none``, or the steps joined by ``+``."""
    return "+".join(steps) if steps else "none"


def steps_of(evaluated: str) -> list[tuple[str, ...]]:
    """Return the orders that an evaluation asks for (``published`` or ``every``)."""
    return orderings(PUBLISHED) if evaluated == "every" else [(), tuple(PUBLISHED)]


@dataclass(frozen=True)
class Window:
    """The part of an image in which framings are compared: the oracle loose frame at scale 2.

    Attributes:
        box: the window, inside the image.
        shape: of the whole image.
        truth: bool, of the window's size; every mass, or the target alone.
    """

    box: Box
    shape: tuple[int, int]
    truth: NDArray[np.bool_]

    @classmethod
    def of(cls, cohort: Cohort, case: str, truth: str) -> Window:
        """Cut the window of a case from its image's truth."""
        row = cohort.row(case)
        shape = (int(row["height"]), int(row["width"]))
        x_min, y_min, x_max, y_max = frame_box(box_of_row(row), shape, strategy="loose", scale=2.0)
        box = (max(x_min, 0), max(y_min, 0), min(x_max, shape[1]), min(y_max, shape[0]))
        whole = cohort.truth(str(row["image"])) if truth == "all" else cohort.mask(case)
        return cls(box, shape, whole[box[1] : box[3], box[0] : box[2]])

    def overlaps(self, mask: NDArray[np.bool_], frame: Box) -> tuple[float, float]:
        """Paste a frame's mask back and return Dice and IoU within the window."""
        x_min, y_min, x_max, y_max = self.box
        pasted = paste_back(mask, frame, self.shape)[y_min:y_max, x_min:x_max]
        pair = (pasted[None], self.truth[None])
        return float(overlap.dice(*pair)[0]), float(overlap.iou(*pair)[0])


def measure(masks: NDArray[np.bool_], framed: FramedSet, windows: list[Window]) -> pd.DataFrame:
    """Measure predicted masks in the frame's grid and, pasted back, in the image's.

    Args:
        masks: bool ``(n, s, s)``.
        framed: the frames they were predicted for, with the truth.
        windows: of the same cases.

    Returns:
        A row a case: metrics (distances in pixels of the frame), sizes, the frame's diagonal.
    """
    truth = framed.masks
    pasted = [
        window.overlaps(mask, tuple(int(v) for v in box))  # type: ignore[arg-type]
        for window, mask, box in zip(windows, masks, framed.boxes, strict=True)
    ]
    return pd.DataFrame(
        {
            "case": framed.cases,
            "dice": overlap.dice(masks, truth),
            "iou": overlap.iou(masks, truth),
            "precision": overlap.precision(masks, truth),
            "recall": overlap.recall(masks, truth),
            "hd95": overlap.hd95(masks, truth),
            "assd": overlap.assd(masks, truth),
            "dice_image": [dice for dice, _ in pasted],
            "iou_image": [iou for _, iou in pasted],
            "truth_pixels": truth.sum(axis=(1, 2)),
            "predicted_pixels": masks.sum(axis=(1, 2)),
            "company_pixels": framed.company,
            "diagonal": float(np.hypot(*truth.shape[1:])),
        }
    )


def evaluate(
    cohort: Cohort,
    parts: dict[str, tuple[str, ...]],
    frame: Frame,
    boxes: Sequence[str],
    postprocessing: str,
    predict: Predictor,
) -> tuple[pd.DataFrame, dict[str, NDArray[np.bool_]]]:
    """Predict and measure the cases of some parts.

    Args:
        cohort: where the cases are.
        parts: cases by part (``validation``, ``test``).
        frame: of the run.
        boxes: ``oracle``, ``jittered``.
        postprocessing: ``published`` or ``every``.
        predict: returns the framed cases and their masks, for a frame and cases.

    Returns:
        The rows (columns :data:`COLUMNS`), and the masks of oracle frames before
        post-processing, by case.
    """
    cases = [case for listed in parts.values() for case in listed]
    part_of = {case: part for part, listed in parts.items() for case in listed}
    windows = [Window.of(cohort, case, frame.truth) for case in cases]
    tables = []
    kept: dict[str, NDArray[np.bool_]] = {}
    for box in boxes:
        framed, masks = predict(frame.model_copy(update={"box": box}), cases)
        if box == boxes[0]:
            kept = dict(zip(cases, masks, strict=True))
        for steps in steps_of(postprocessing):
            table = measure(postprocess(masks, steps), framed, windows)
            tables.append(table.assign(box=box, postprocessing=steps_name(steps)))
    rows = pd.concat(tables, ignore_index=True)
    rows["part"] = rows["case"].map(part_of)
    for column in ("patient", "site"):
        rows[column] = rows["case"].map(cohort.masses[column])
    return rows[list(COLUMNS)], kept
