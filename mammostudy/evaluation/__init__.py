"""Arrays in, numbers out: overlap, boxes, classes, tables, statistics over patients."""

from lazy_loader import attach

__getattr__, __dir__, __all__ = attach(
    __name__,
    submod_attrs={
        "association": ["cramers_v"],
        "classification": ["delong_test", "delong_variance", "expected_calibration_error"],
        "froc_curves": ["froc"],
        "overlap": ["assd", "boundary_iou", "dice", "hd95", "iou", "precision", "recall"],
        "statistics": ["bootstrap_ci", "crossed_test", "effect_size", "holm", "paired_test"],
        "uncertainty": ["disagreement", "rank_correlation", "risk_coverage"],
    },
)
