"""Boxes judged by every rule, as the rows of records keep them, back to matches."""

from __future__ import annotations

from typing import Final

import numpy as np
import pandas as pd

from mammostudy.evaluation.boxes import FALSE, HIT, REPEAT, Matches

COCO: Final = tuple(f"iou{step}" for step in range(50, 100, 5))
RULES: Final[dict[str, tuple[str, float]]] = {
    "iou10": ("iou", 0.1),
    "iou25": ("iou", 0.25),
    "centre": ("centre", 0.5),
    **{name: ("iou", int(name[3:]) / 100) for name in COCO},
}
"""Column -> (rule, threshold) of :func:`mammostudy.evaluation.match_detections`."""
HEADLINE: Final = "iou25"
EDGES: Final = ("x_min", "y_min", "x_max", "y_max")
NOTHING, AGAIN = -1, -2


def matches_of(rows: pd.DataFrame, rule: str = HEADLINE, repeats: str = "ignore") -> Matches:
    """Rebuild the matches of views; boxes of masses are squares of their diameter at the origin."""
    views = rows.loc[rows["row"] == "view", "view"]
    rows = rows.assign(image=rows["view"].map({name: i for i, name in enumerate(views)}))
    masses = rows[rows["row"] == "mass"].sort_values(["image", "mass"], kind="stable")
    boxes = rows[rows["row"] == "box"]
    image, found = (boxes[name].to_numpy(np.int64) for name in ("image", rule))
    true_image, side = masses["image"].to_numpy(np.int64), masses["diameter"].to_numpy(np.float64)
    starts = np.searchsorted(true_image, np.arange(len(views)))
    kind, threshold = RULES[rule]
    return Matches(
        images=len(views),
        boxes=boxes[list(EDGES)].to_numpy(np.float64),
        scores=boxes["score"].to_numpy(np.float64),
        image=image,
        outcome=np.select([found >= 0, found == AGAIN], [HIT, REPEAT], FALSE).astype(np.int64),
        mass=np.where(found >= 0, found + starts[image], NOTHING).astype(np.int64),
        true_boxes=np.column_stack([np.zeros((len(side), 2)), side, side]),
        true_image=true_image,
        rule=kind,
        threshold=threshold,
        repeats=repeats,
    )
