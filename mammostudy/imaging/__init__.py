"""Arrays in, arrays out: frames, pre-processing, post-processing, outlines and overlays."""

from lazy_loader import attach

__getattr__, __dir__, __all__ = attach(
    __name__,
    submod_attrs={
        "framing": ["crop_and_resize", "frame_box", "paste_back"],
        "postprocessing": ["postprocess"],
        "preprocessing": ["preprocess"],
    },
)
