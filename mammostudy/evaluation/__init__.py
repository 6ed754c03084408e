"""Arrays in, numbers out: overlap, boxes, classes, tables, statistics over patients."""

from mammostudy._lazy import attach

_NAMES = {
    "assd": ".overlap",
    "bootstrap_ci": ".statistics",
    "boundary_iou": ".overlap",
    "cramers_v": ".association",
    "delong_test": ".classification",
    "delong_variance": ".classification",
    "dice": ".overlap",
    "disagreement": ".uncertainty",
    "effect_size": ".statistics",
    "expected_calibration_error": ".classification",
    "froc": ".froc_curves",
    "hd95": ".overlap",
    "holm": ".statistics",
    "iou": ".overlap",
    "paired_test": ".statistics",
    "precision": ".overlap",
    "rank_correlation": ".uncertainty",
    "recall": ".overlap",
    "risk_coverage": ".uncertainty",
    "variance_parts": ".statistics",
}
__all__ = list(_NAMES)
__getattr__, __dir__ = attach(__name__, _NAMES)
