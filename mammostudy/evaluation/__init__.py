"""Arrays in, numbers out: overlap, surfaces, classes, tables and statistics over patients."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mammostudy._lazy import attach

if TYPE_CHECKING:
    from mammostudy.evaluation.association import cramers_v
    from mammostudy.evaluation.calibration import expected_calibration_error
    from mammostudy.evaluation.delong import delong_test, delong_variance
    from mammostudy.evaluation.overlap import dice, iou, precision, recall
    from mammostudy.evaluation.statistics import PairedTest, bootstrap_ci, holm, paired_test
    from mammostudy.evaluation.surface import assd, hd95

__all__ = [
    "PairedTest",
    "assd",
    "bootstrap_ci",
    "cramers_v",
    "delong_test",
    "delong_variance",
    "dice",
    "expected_calibration_error",
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
        "cramers_v": ".association",
        "delong_test": ".delong",
        "delong_variance": ".delong",
        "dice": ".overlap",
        "expected_calibration_error": ".calibration",
        "hd95": ".surface",
        "holm": ".statistics",
        "iou": ".overlap",
        "paired_test": ".statistics",
        "precision": ".overlap",
        "recall": ".overlap",
    },
)
