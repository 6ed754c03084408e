"""What follows from the published shape numbers: recalls, class weights, stretched masks."""

from __future__ import annotations

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from mammostudy.evaluation.overlap import dice
from mammostudy.imaging.contours import inscribed_ellipse
from mammostudy.imaging.framing import crop_and_resize, frame_box
from mammostudy.study import published

Mask = NDArray[np.bool_]


def row_shares() -> pd.DataFrame:
    """The published confusion matrix with each row divided by its total; its diagonal is recall."""
    matrix = published.confusion_matrix()
    return matrix.div(matrix.sum(axis=1), axis=0)


def class_recalls() -> pd.DataFrame:
    """Recall of each shape from the published confusion matrix: shape, masses, correct, recall."""
    matrix = published.confusion_matrix()
    correct = pd.Series(np.diag(matrix), index=matrix.index)
    masses = matrix.sum(axis=1)
    table = pd.DataFrame({"masses": masses, "correct": correct, "recall": correct / masses})
    return table.rename_axis("shape").reset_index()


def accuracy_and_macro_recall() -> tuple[float, float]:
    """Accuracy (weighted by class size) and mean of the class recalls, both in %."""
    table = class_recalls()
    accuracy = table["correct"].sum() / table["masses"].sum()
    return 100 * float(accuracy), 100 * float(table["recall"].mean())


def class_weights() -> pd.DataFrame:
    """The published loss weights ``1 - n/N`` against those that would balance the classes.

    Returns:
        Columns shape, masses, weight (published), balanced (``N / (4 n)``), pull (masses x
        weight as a share of the sum: what the class weighs in the loss).
    """
    table = published.shape_counts()[["shape", "masses"]]
    total = table["masses"].sum()
    table["weight"] = 1 - table["masses"] / total
    table["balanced"] = total / (len(table) * table["masses"])
    pull = table["masses"] * table["weight"]
    table["pull"] = pull / pull.sum()
    return table


def stretched_masks(size: int = 64) -> dict[tuple[str, str], Mask]:
    """A round and an axis-aligned oval mass as the shape CNN would see them.

    Args:
        size: side of the resized mask in pixels (64 as published).

    Returns:
        Masks bool ``(size, size)`` by (shape, aspect): shapes round and oval, aspects image (the
        loose frame of both in one image scale), stretch and square.
    """
    shape = (480, 480)
    boxes = {"round": (190, 190, 290, 290), "oval": (160, 200, 320, 280)}
    masks: dict[tuple[str, str], Mask] = {}
    for name, box in boxes.items():
        mass = inscribed_ellipse(box, shape)
        masks[name, "image"] = crop_and_resize(mass, (80, 80, 400, 400), size)
        for aspect in ("stretch", "square"):
            frame = frame_box(box, shape, strategy="loose", scale=2.0, aspect=aspect)
            masks[name, aspect] = crop_and_resize(mass, frame, size)
    return masks


def stretched_agreement(size: int = 64) -> pd.DataFrame:
    """Dice between the round and the oval mass of :func:`stretched_masks`: aspect, dice."""
    masks = stretched_masks(size)
    rows = [
        (aspect, float(dice(masks["round", aspect][None], masks["oval", aspect][None])[0]))
        for aspect in ("stretch", "square")
    ]
    return pd.DataFrame(rows, columns=["aspect", "dice"])
