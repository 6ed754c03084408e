"""Arrays in, arrays out: frames, pre-processing, post-processing, outlines and overlays."""

from mammostudy._lazy import attach

_NAMES = {
    "agreement_overlay": ".overlays",
    "box_of": ".contours",
    "chan_vese_mask": ".contours",
    "crop_and_resize": ".framing",
    "fill_outline": ".contours",
    "frame_box": ".framing",
    "inscribed_ellipse": ".contours",
    "jitter_box": ".framing",
    "orderings": ".postprocessing",
    "otsu_mask": ".contours",
    "outline_of": ".contours",
    "outline_overlay": ".overlays",
    "paste_back": ".framing",
    "postprocess": ".postprocessing",
    "preprocess": ".preprocessing",
}
__all__ = list(_NAMES)
__getattr__, __dir__ = attach(__name__, _NAMES)
