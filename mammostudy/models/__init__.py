"""Networks, and nothing else: no data, no training."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mammostudy._lazy import attach

if TYPE_CHECKING:
    from mammostudy.models.common import initialise_weights
    from mammostudy.models.detectors.registry import (
        build_detector,
        detector_names,
        detector_version,
    )
    from mammostudy.models.discriminator import Discriminator
    from mammostudy.models.generator import Generator
    from mammostudy.models.segmenters.registry import (
        build_segmenter,
        segmenter_names,
        segmenter_version,
    )
    from mammostudy.models.shape_cnn import ShapeCNN
    from mammostudy.models.shape_resnet import ShapeResNet

__all__ = [
    "Discriminator",
    "Generator",
    "ShapeCNN",
    "ShapeResNet",
    "build_detector",
    "build_segmenter",
    "detector_names",
    "detector_version",
    "initialise_weights",
    "segmenter_names",
    "segmenter_version",
]
__getattr__, __dir__ = attach(
    __name__,
    {
        "Discriminator": ".discriminator",
        "Generator": ".generator",
        "ShapeCNN": ".shape_cnn",
        "ShapeResNet": ".shape_resnet",
        "build_detector": ".detectors.registry",
        "build_segmenter": ".segmenters.registry",
        "detector_names": ".detectors.registry",
        "detector_version": ".detectors.registry",
        "initialise_weights": ".common",
        "segmenter_names": ".segmenters.registry",
        "segmenter_version": ".segmenters.registry",
    },
)
