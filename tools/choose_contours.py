"""Choose how active contours are drawn, on masks; say how they do where there are boxes alone.

    python tools/choose_contours.py                  # the settings, on CDD-CESM
    python tools/choose_contours.py cbis-ddsm-800    # the sources of masks, on films

The first writes ``results/cohort-counts/contours.csv``: the mean Dice of each setting over every
second training mass of CDD-CESM's first fold, loose frames of 128 pixels, after 20 steps and after
twice as many. A setting is at rest where the two differ by less than half a point: one that is
not draws what its number of steps says. It has moved where its Dice with the ellipse in the box
is below 0.95: one that has not draws the box. The best of those at rest that have moved is
``CHOSEN`` in ``mammostudy/models/baselines.py``, and a test holds the two together.

The second prints quartiles of the IoU of a mask's box with the true box, over the masses with a
shape of the validation part of the archive's split, and writes them to
``results/cohort-counts/<cohort>-contours.csv``. A source that this machine has no runs of is left
out.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from functools import partial
from itertools import product
from typing import Any

import numpy as np
import pandas as pd
from skimage.segmentation import morphological_chan_vese

from mammostudy.data.frames import FramedSet, Preprocessing, frame_cohort
from mammostudy.data.load import load_cohort
from mammostudy.errors import DataError
from mammostudy.evaluation.boxes import pairwise_iou
from mammostudy.evaluation.overlap import dice
from mammostudy.evaluation.splits import parted, split_cases
from mammostudy.imaging.contours import box_of, inscribed_ellipse, nearest_part
from mammostudy.models.baselines import baseline_masks, geodesic_mask
from mammostudy.paths import results_root
from mammostudy.runs.masks import CONTOUR_FRAME, framed_masks, labelled
from mammostudy.study import shape_recipes
from mammostudy.study.recipes import recipe
from mammostudy.study.shape_recipes import shape_recipe

FOLDER = results_root() / "cohort-counts"
STEPS = 20  # and twice as many
AT_REST = 0.005
MOVED = 0.05  # 1 - Dice


def chan_vese(image: Any, box: Any, smoothing: int, weight: float, steps: int) -> Any:
    """Draw Chan-Vese from an ellipse of 0.7 of the box; what is inside weighs as given."""
    start = inscribed_ellipse(box, image.shape, 0.7).astype(np.int8)
    fields = {"init_level_set": start, "smoothing": smoothing, "lambda2": weight}
    return nearest_part(morphological_chan_vese(image.astype(float), steps, **fields) > 0)


def settings() -> Iterator[tuple[str, tuple[float, int], Any]]:
    """Yield what is tried: its name, its two numbers, and how it draws after some steps."""
    for sigma, smoothing in product((1.0, 2.0, 4.0), (1, 3)):
        draw = partial(geodesic_mask, sigma=sigma, smoothing=smoothing)
        yield "geodesic", (sigma, smoothing), draw
    for weight, smoothing in product((1.0, 2.0), (1, 3)):
        draw = partial(chan_vese, smoothing=smoothing, weight=weight)
        yield "Chan-Vese", (weight, smoothing), draw


def choose() -> pd.DataFrame:
    """Measure every setting on training masks, the best at rest first."""
    cohort = load_cohort("cdd-cesm")
    train = split_cases(cohort.masses, **recipe("cdd-cesm", "evidence").split.model_dump())
    framed = frame_cohort(cohort, CONTOUR_FRAME, Preprocessing()).take(train.train[::2])
    boxes = [tuple(map(round, box)) for box in framed.given.tolist()]
    ellipse = baseline_masks("ellipse", framed.images, framed.given)
    floor = float(dice(ellipse, framed.masks).mean())
    lines = []
    for kind, (number, smoothing), draw in settings():
        drawn = []
        for count in (STEPS, 2 * STEPS):
            each = zip(framed.images, boxes, strict=True)
            drawn.append(np.stack([draw(image, box, steps=count) for image, box in each]))
        scores = [float(dice(masks, framed.masks).mean()) for masks in drawn]
        moved = 1 - float(dice(drawn[0], ellipse).mean())
        fit = abs(scores[1] - scores[0]) < AT_REST and moved >= MOVED
        line = (kind, number, smoothing, STEPS, *(round(x, 4) for x in (*scores, moved)), fit)
        print(*line, flush=True)
        lines.append((*line, len(boxes), round(floor, 4)))
    names = "contour,number,smoothing,steps,dice,dice of twice,moved,fit,masses,dice of the ellipse"
    table = pd.DataFrame(lines, columns=names.split(","))
    return table.sort_values(["fit", "dice"], ascending=False, kind="stable")


def box_iou(framed: FramedSet, masks: Any) -> list[float]:
    """Return the IoU of the boxes of masks with the true ones, 0 of an empty mask."""
    boxes = [box_of(mask) if mask.any() else (0, 0, 0, 0) for mask in masks]
    pairs = zip(boxes, framed.given, strict=True)
    return [float(pairwise_iou([mine], [true])[0, 0]) for mine, true in pairs]


def boxes_of(name: str) -> pd.DataFrame:
    """Measure the boxes of each source of masks on the validation part of a cohort of boxes."""
    cohort, runs = load_cohort(name), shape_recipes.segmenters(name, "evidence")
    rows = parted(cohort, labelled(cohort, shape_recipe(name, "evidence")), "official")
    cases, drawn = split_cases(rows, rule="official").validation, {}
    for source in ("active-contour", "contour", "segmenter"):
        try:
            drawn[source] = box_iou(*next(framed_masks(cohort, cases, source, runs)))
        except DataError as error:
            print(f"{source}: {error}")
    table = pd.DataFrame(drawn).describe().T[["count", "25%", "50%", "75%", "mean"]].round(3)
    return table.rename_axis("source").reset_index()


def main() -> None:
    """Write the table that is asked for, and print it."""
    FOLDER.mkdir(parents=True, exist_ok=True)
    named = sys.argv[1:]
    table = boxes_of(named[0]) if named else choose()
    path = FOLDER / (f"{named[0]}-contours.csv" if named else "contours.csv")
    table.to_csv(path, index=False)
    print(table.to_string(index=False), path, sep="\n")


if __name__ == "__main__":
    main()
