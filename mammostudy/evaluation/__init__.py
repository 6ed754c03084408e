"""Arrays in, numbers out: overlap, surface distance and the statistics over patients."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mammostudy._lazy import attach

if TYPE_CHECKING:
    from mammostudy.evaluation.overlap import dice, iou, precision, recall
    from mammostudy.evaluation.statistics import PairedTest, bootstrap_ci, holm, paired_test
    from mammostudy.evaluation.surface import assd, hd95

__all__ = [
    "PairedTest",
    "assd",
    "bootstrap_ci",
    "dice",
    "hd95",
    "holm",
    "iou",
    "paired_test",
    "precision",
    "recall",
]
__getattr__, __dir__ = attach(
    __name__,
    {
        "PairedTest": ".statistics",
        "assd": ".surface",
        "bootstrap_ci": ".statistics",
        "dice": ".overlap",
        "hd95": ".surface",
        "holm": ".statistics",
        "iou": ".overlap",
        "paired_test": ".statistics",
        "precision": ".overlap",
        "recall": ".overlap",
    },
)
