"""Mass detectors behind one signature: grey images in, losses or boxes out."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mammostudy._lazy import attach

if TYPE_CHECKING:
    from mammostudy.models.detectors.anchors import box_side_quantiles
    from mammostudy.models.detectors.common import Detector
    from mammostudy.models.detectors.registry import (
        build_detector,
        detector_names,
        detector_version,
    )

__all__ = ["Detector", "box_side_quantiles", "build_detector", "detector_names", "detector_version"]
__getattr__, __dir__ = attach(
    __name__,
    {
        "Detector": ".common",
        "box_side_quantiles": ".anchors",
        "build_detector": ".registry",
        "detector_names": ".registry",
        "detector_version": ".registry",
    },
)
