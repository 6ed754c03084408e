"""Arrays in, arrays out: frames, pre-processing, post-processing, outlines and overlays."""

from mammostudy._lazy import attach

_NAMES = {
    "crop_and_resize": ".framing",
    "frame_box": ".framing",
    "paste_back": ".framing",
    "postprocess": ".postprocessing",
    "preprocess": ".preprocessing",
}
__all__ = list(_NAMES)
__getattr__, __dir__ = attach(__name__, _NAMES)
