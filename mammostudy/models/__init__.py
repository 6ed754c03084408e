"""Networks, and nothing else: no data, no training."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mammostudy._lazy import attach

if TYPE_CHECKING:
    from mammostudy.models.discriminator import Discriminator as Discriminator
    from mammostudy.models.generator import Generator as Generator
    from mammostudy.models.registry import build_detector as build_detector
    from mammostudy.models.registry import build_segmenter as build_segmenter
    from mammostudy.models.registry import detector_names as detector_names
    from mammostudy.models.registry import segmenter_names as segmenter_names
    from mammostudy.models.shapes import ShapeCNN as ShapeCNN
    from mammostudy.models.shapes import ShapeResNet as ShapeResNet

__getattr__, __dir__ = attach(
    __name__,
    {
        "Discriminator": ".discriminator",
        "Generator": ".generator",
        "ShapeCNN": ".shapes",
        "ShapeResNet": ".shapes",
        "build_detector": ".registry",
        "build_segmenter": ".registry",
        "detector_names": ".registry",
        "segmenter_names": ".registry",
    },
)
