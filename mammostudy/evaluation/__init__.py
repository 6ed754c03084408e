"""Arrays in, numbers out: overlap, surfaces, boxes, classes, tables, statistics over patients."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mammostudy._lazy import attach

if TYPE_CHECKING:
    from mammostudy.evaluation.association import cramers_v
    from mammostudy.evaluation.boundaries import boundary_iou
    from mammostudy.evaluation.boxes import pairwise_centre_inside, pairwise_iou
    from mammostudy.evaluation.calibration import expected_calibration_error
    from mammostudy.evaluation.delong import delong_test, delong_variance
    from mammostudy.evaluation.detection import (
        detection_accuracy,
        error_summary,
        mass_table,
        score_calibration_error,
        score_reliability,
    )
    from mammostudy.evaluation.effects import effect_size, equivalence
    from mammostudy.evaluation.froc_curves import Froc, false_positives_by_image, froc, froc_of
    from mammostudy.evaluation.froc_intervals import (
        froc_band,
        sensitivity_differences,
        sensitivity_table,
    )
    from mammostudy.evaluation.mass_sizes import sensitivity_by_size, size_classes, size_thirds
    from mammostudy.evaluation.matching import Matches, match_detections, prediction_table
    from mammostudy.evaluation.overlap import dice, iou, precision, recall
    from mammostudy.evaluation.precision_curves import (
        BoxPrecision,
        PrecisionRecall,
        average_precision,
        average_precision_ci,
        average_precision_difference,
        precision_of,
        precision_recall,
    )
    from mammostudy.evaluation.priors import FixedPrior, fixed_prior
    from mammostudy.evaluation.selection import rank_correlation, risk_coverage
    from mammostudy.evaluation.statistics import PairedTest, bootstrap_ci, holm, paired_test
    from mammostudy.evaluation.surface import assd, hd95
    from mammostudy.evaluation.uncertainty import disagreement, spread_score
    from mammostudy.evaluation.variance import variance_parts

__all__ = [
    "BoxPrecision",
    "FixedPrior",
    "Froc",
    "Matches",
    "PairedTest",
    "PrecisionRecall",
    "assd",
    "average_precision",
    "average_precision_ci",
    "average_precision_difference",
    "bootstrap_ci",
    "boundary_iou",
    "cramers_v",
    "delong_test",
    "delong_variance",
    "detection_accuracy",
    "dice",
    "disagreement",
    "effect_size",
    "equivalence",
    "error_summary",
    "expected_calibration_error",
    "false_positives_by_image",
    "fixed_prior",
    "froc",
    "froc_band",
    "froc_of",
    "hd95",
    "holm",
    "iou",
    "mass_table",
    "match_detections",
    "paired_test",
    "pairwise_centre_inside",
    "pairwise_iou",
    "precision",
    "precision_of",
    "precision_recall",
    "prediction_table",
    "rank_correlation",
    "recall",
    "risk_coverage",
    "score_calibration_error",
    "score_reliability",
    "sensitivity_by_size",
    "sensitivity_differences",
    "sensitivity_table",
    "size_classes",
    "size_thirds",
    "spread_score",
    "variance_parts",
]
__getattr__, __dir__ = attach(
    __name__,
    {
        "BoxPrecision": ".precision_curves",
        "FixedPrior": ".priors",
        "Froc": ".froc_curves",
        "Matches": ".matching",
        "PairedTest": ".statistics",
        "PrecisionRecall": ".precision_curves",
        "assd": ".surface",
        "average_precision": ".precision_curves",
        "average_precision_ci": ".precision_curves",
        "average_precision_difference": ".precision_curves",
        "bootstrap_ci": ".statistics",
        "boundary_iou": ".boundaries",
        "cramers_v": ".association",
        "delong_test": ".delong",
        "delong_variance": ".delong",
        "detection_accuracy": ".detection",
        "dice": ".overlap",
        "disagreement": ".uncertainty",
        "effect_size": ".effects",
        "equivalence": ".effects",
        "error_summary": ".detection",
        "expected_calibration_error": ".calibration",
        "false_positives_by_image": ".froc_curves",
        "fixed_prior": ".priors",
        "froc": ".froc_curves",
        "froc_band": ".froc_intervals",
        "froc_of": ".froc_curves",
        "hd95": ".surface",
        "holm": ".statistics",
        "iou": ".overlap",
        "mass_table": ".detection",
        "match_detections": ".matching",
        "paired_test": ".statistics",
        "pairwise_centre_inside": ".boxes",
        "pairwise_iou": ".boxes",
        "precision": ".overlap",
        "precision_of": ".precision_curves",
        "precision_recall": ".precision_curves",
        "prediction_table": ".matching",
        "rank_correlation": ".selection",
        "recall": ".overlap",
        "risk_coverage": ".selection",
        "score_calibration_error": ".detection",
        "score_reliability": ".detection",
        "sensitivity_by_size": ".mass_sizes",
        "sensitivity_differences": ".froc_intervals",
        "sensitivity_table": ".froc_intervals",
        "size_classes": ".mass_sizes",
        "size_thirds": ".mass_sizes",
        "spread_score": ".uncertainty",
        "variance_parts": ".variance",
    },
)
