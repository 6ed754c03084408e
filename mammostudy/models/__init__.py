"""Networks, and nothing else: no data, no training."""

from mammostudy._lazy import attach

_NAMES = {
    "Discriminator": ".discriminator",
    "Generator": ".generator",
    "ShapeCNN": ".shapes",
    "ShapeResNet": ".shapes",
    "build_detector": ".registry",
    "build_segmenter": ".registry",
    "detector_names": ".registry",
    "segmenter_names": ".registry",
}
__all__ = list(_NAMES)
__getattr__, __dir__ = attach(__name__, _NAMES)
