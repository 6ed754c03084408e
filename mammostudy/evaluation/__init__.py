"""Arrays in, numbers out: overlap, boxes, classes, tables, statistics over patients."""

from mammostudy._lazy import attach

_NAMES = {
    "assd": ".overlap",
    "bootstrap_ci": ".statistics",
    "boundary_iou": ".overlap",
    "cramers_v": ".association",
    "delong_test": ".roc",
    "delong_variance": ".roc",
    "dice": ".overlap",
    "disagreement": ".uncertainty",
    "effect_size": ".effects",
    "equivalence": ".effects",
    "expected_calibration_error": ".calibration",
    "froc": ".froc_curves",
    "hd95": ".overlap",
    "holm": ".statistics",
    "iou": ".overlap",
    "paired_test": ".statistics",
    "precision": ".overlap",
    "rank_correlation": ".uncertainty",
    "recall": ".overlap",
    "risk_coverage": ".uncertainty",
    "variance_parts": ".effects",
}
__all__ = list(_NAMES)
__getattr__, __dir__ = attach(__name__, _NAMES)
