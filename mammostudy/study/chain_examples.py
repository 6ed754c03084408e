"""What the pictures of the chain page show: masses picked by rule, on their way to a shape."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import cv2
import numpy as np
import pandas as pd
from numpy.typing import NDArray

from mammostudy.data.cohort import Cohort, box_of_row
from mammostudy.errors import DataError
from mammostudy.imaging.framing import Box, crop_and_resize, frame_box, paste_back
from mammostudy.imaging.overlays import agreement_overlay
from mammostudy.imaging.shape_masks import place_mask
from mammostudy.runs.detection_rows import EDGES
from mammostudy.runs.record import Record, find_record, manifest_hash
from mammostudy.study.chain import of, rows
from mammostudy.study.chain_recipes import STUDY
from mammostudy.study.detect_recipes import detect_cohort
from mammostudy.study.fingerprint import at_hand

LONGEST: Final = 640  # px of the longer side of a mammogram as shown
SIDE: Final = 256  # px of a frame as shown
GRID: Final = 64
KNOWN, HIT, OTHER = "known", "finds it", "other"
Mask = NDArray[np.bool_]


@dataclass(frozen=True)
class Example:
    """One mass and what every stage made of it.

    Attributes:
        rule: how it was picked.
        row: of the record.
        mammogram: float32, the longer side :data:`LONGEST` pixels.
        boxes: drawn on it, in its pixels: (kind, box).
        frame: float32 ``(s, s)``, what is framed (of a missed mass: round the known box).
        overlay: uint8 ``(s, s, 3)``: how the mask agrees with the true one.
        placed: bool ``(64, 64)`` as the classifier sees it; None without a mask.
    """

    rule: str
    row: pd.Series
    mammogram: NDArray[np.float32]
    boxes: list[tuple[str, tuple[float, float, float, float]]]
    frame: NDArray[np.float32]
    overlay: NDArray[np.uint8]
    placed: Mask | None


def picked(masses: pd.DataFrame, arm: str = STUDY) -> pd.DataFrame:
    """Pick the best, the median and the worst found mass by Dice, and the largest missed one.

    Returns:
        Rows of ``masses`` with a column ``rule``; fewer where there are not as many.
    """
    mine = of(masses, arm, "detected")
    found = mine[mine["found"]].sort_values(["dice", "case"], ascending=[False, True])
    missed = mine[~mine["found"]].sort_values(["truth_pixels", "case"], ascending=[False, True])
    places = {"best found": 0, "median found": len(found) // 2, "worst found": len(found) - 1}
    chosen = [found.iloc[[at]].assign(rule=rule) for rule, at in places.items() if len(found)]
    chosen += [missed.head(1).assign(rule="largest missed")]
    return pd.concat(chosen).drop_duplicates("case")


def examples(cohort: str, found: dict[str, list[Record]], arm: str = STUDY) -> list[Example]:
    """Return the pictures of :func:`picked`; none without the data."""
    loaded = at_hand(detect_cohort(cohort))
    records = {record.spec.split.fold: record for record in found.get(arm, [])}
    if loaded is None or not records:
        return []
    chosen = picked(rows({arm: list(records.values())}, "mass"), arm)
    return [_example(loaded, records[int(row["fold"])], row) for _, row in chosen.iterrows()]


def _example(cohort: Cohort, record: Record, row: pd.Series) -> Example:
    case = str(row["case"])
    sample = cohort.sample(case)
    height, width = sample.image.shape
    scale = LONGEST / max(height, width)
    size = (round(width * scale), round(height * scale))
    spec = record.spec
    if row["found"]:
        kept, edges = record.predictions()[case]
        x_min, y_min, x_max, y_max = (int(edge) for edge in edges)
        window: Box = (x_min, y_min, x_max, y_max)
        mask = paste_back(kept, window, (height, width))
    else:
        frame = spec.segmenter.frame
        window = frame_box(
            box_of_row(sample.row),
            (height, width),
            strategy=frame.strategy,
            scale=frame.scale,
            aspect=frame.aspect,
        )
        mask = np.zeros((height, width), np.bool_)
    image = crop_and_resize(sample.image, window, SIDE)
    planes = [crop_and_resize(plane, window, SIDE) for plane in (sample.mask, mask)]
    small = cv2.resize(sample.image, size, interpolation=cv2.INTER_AREA)
    return Example(
        rule=str(row["rule"]),
        row=row,
        mammogram=np.asarray(small, np.float32),
        boxes=_boxes(record, row, box_of_row(sample.row), scale),
        frame=image,
        overlay=agreement_overlay(np.clip(image, 0, 1), *planes, alpha=0.45),
        placed=_placed(mask, spec.shapes[0].input.placement if spec.shapes else "square"),
    )


def _placed(mask: Mask, placement: str) -> Mask | None:
    try:
        return place_mask(mask, GRID, placement)
    except DataError:  # no mask, or one that vanishes
        return None


def _boxes(
    record: Record, row: pd.Series, known: Box, scale: float
) -> list[tuple[str, tuple[float, float, float, float]]]:
    """Return the known box and the detected ones of a view, in the picture's pixels."""
    spec = record.spec.detector
    detector = find_record(spec, manifest_hash(spec.cohort))
    out: list[tuple[str, tuple[float, float, float, float]]] = []
    if detector is not None:
        test = detector.part("test")
        boxes = test[(test["row"] == "box") & (test["view"] == row["view"])]
        for _, box in boxes[boxes["score"] >= record.threshold].iterrows():
            mine = bool(row["found"]) and np.isclose(box["score"], row["score"], rtol=1e-4)
            out.append((HIT if mine else OTHER, _scaled(box[list(EDGES)].tolist(), scale)))
    return [*out, (KNOWN, _scaled(list(known), scale))]


def _scaled(edges: list[float], scale: float) -> tuple[float, float, float, float]:
    x_min, y_min, x_max, y_max = (float(edge) * scale for edge in edges)
    return x_min, y_min, x_max, y_max
