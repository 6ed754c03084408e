"""Networks, and nothing else: no data, no training."""

from lazy_loader import attach

__getattr__, __dir__, __all__ = attach(
    __name__,
    submod_attrs={
        "discriminator": ["Discriminator"],
        "generator": ["Generator"],
        "registry": ["build_detector", "build_segmenter", "detector_names", "segmenter_names"],
        "shapes": ["ShapeCNN", "ShapeResNet"],
    },
)
