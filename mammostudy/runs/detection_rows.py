"""The rows of a detection record: views, masses, and every box judged by every rule.

The boxes of the masses themselves are not kept: they are the owners' data. What is kept of a box
is which mass it fits by which rule. That is enough for every curve.

A row is a ``view``, a ``mass`` or a ``box`` (column ``row``):

- all: part, view; all but boxes: patient, site, side, projection (CC, MLO, ...), density if known;
- view: height, width (pixels), masses (how many);
- mass: case, shape if known, mass (its number in the view, from 0), diameter (square root of width
  times height of its box, pixels) and share (that of the view's own square root of area);
- box: score; x_min, y_min, x_max, y_max (pixels of the view); and a column a rule of
  :data:`mammostudy.evaluation.matched_rows.RULES`:
  the number of the mass that it finds, -1 false, -2 a repeat on a mass found already.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from mammostudy.evaluation import boxes as judging
from mammostudy.evaluation.boxes import HIT, REPEAT
from mammostudy.evaluation.matched_rows import AGAIN, EDGES, NOTHING, RULES

Values = NDArray[np.float64]


def rounded(boxes: Sequence[Values], scores: Sequence[Values]) -> tuple[list[Values], list[Values]]:
    """Round boxes to 0.1 pixel and scores to 5 digits, so that rows tell what was judged."""
    kept = [np.array([float(f"{one:.5g}") for one in each]).reshape(-1) for each in scores]
    return [np.round(each.reshape(-1, 4), 1) for each in boxes], kept


def judged_rows(
    part: str, views: pd.DataFrame, boxes: Sequence[Values], scores: Sequence[Values]
) -> pd.DataFrame:
    """Judge the boxes of one part, ``(k, 4)`` and scores ``(k,)`` a view, by every rule."""
    boxes, scores = rounded(boxes, scores)
    tables = _views(views), _masses(views), _boxes(views, boxes, scores)
    rows = pd.concat(tables).sort_index(kind="stable")
    of_view = views.iloc[rows.index]
    rows = rows.reset_index(drop=True)
    of_box = (rows["row"] == "box").to_numpy()
    for name in views.columns.intersection(["patient", "site", "side", "projection", "density"]):
        rows[name] = of_view[name].where(~of_box, None).to_numpy(object)
    return rows.assign(part=part, view=of_view.index.to_numpy(str))


def _views(views: pd.DataFrame) -> pd.DataFrame:
    sizes = views[["height", "width"]].reset_index(drop=True).astype(np.int64)
    sizes.insert(0, "row", "view")
    return sizes.assign(masses=views["boxes"].map(len).tolist())


def _masses(views: pd.DataFrame) -> pd.DataFrame:
    counts = views["boxes"].map(len)
    number = np.repeat(np.arange(len(views)), counts)
    diameter = judging.box_diameters(np.concatenate(views["boxes"].tolist()).astype(np.float64))
    whole = np.sqrt((views["height"] * views["width"]).to_numpy(np.int64))
    columns = {
        "row": "mass",
        "case": [case for cases in views["cases"] for case in cases],
        "shape": [shape for shapes in views["shapes"] for shape in shapes],
        "mass": np.concatenate([np.arange(count) for count in counts]),
        "diameter": np.round(diameter, 1),
        "share": np.round(diameter / whole[number], 4),
    }
    return pd.DataFrame(columns, number)


def _boxes(views: pd.DataFrame, boxes: Sequence[Values], scores: Sequence[Values]) -> pd.DataFrame:
    number = np.repeat(np.arange(len(views)), [len(each) for each in boxes])
    table = pd.DataFrame({"row": "box", "score": np.concatenate(scores)}, number)
    table[list(EDGES)] = np.concatenate(boxes)
    starts = np.cumsum([0, *views["boxes"].map(len)])
    for name, (rule, threshold) in RULES.items():
        matches = judging.match_detections(boxes, scores, views["boxes"].tolist(), rule, threshold)
        found = matches.mass - starts[matches.image]
        hit, again = matches.outcome == HIT, matches.outcome == REPEAT
        table[name] = np.select([hit, again], [found, AGAIN], NOTHING)
    return table
