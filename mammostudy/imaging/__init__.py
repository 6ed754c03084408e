"""Arrays in, arrays out: frames, pre-processing, post-processing, outlines and overlays."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mammostudy._lazy import attach

if TYPE_CHECKING:
    from mammostudy.imaging.contours import (
        box_of,
        chan_vese_mask,
        fill_outline,
        inscribed_ellipse,
        otsu_mask,
        outline_of,
    )
    from mammostudy.imaging.framing import (
        Box,
        crop_and_resize,
        frame_box,
        jitter_box,
        paste_back,
    )
    from mammostudy.imaging.overlays import agreement_overlay, outline_overlay
    from mammostudy.imaging.postprocessing import orderings, postprocess
    from mammostudy.imaging.preprocessing import preprocess

__all__ = [
    "Box",
    "agreement_overlay",
    "box_of",
    "chan_vese_mask",
    "crop_and_resize",
    "fill_outline",
    "frame_box",
    "inscribed_ellipse",
    "jitter_box",
    "orderings",
    "otsu_mask",
    "outline_of",
    "outline_overlay",
    "paste_back",
    "postprocess",
    "preprocess",
]
__getattr__, __dir__ = attach(
    __name__,
    {
        "Box": ".framing",
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
    },
)
