"""Segmenters behind one signature: framed images in, values in [-1, 1] out."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mammostudy._lazy import attach

if TYPE_CHECKING:
    from mammostudy.models.segmenters.registry import (
        build_segmenter,
        segmenter_names,
        segmenter_version,
    )

__all__ = ["build_segmenter", "segmenter_names", "segmenter_version"]
__getattr__, __dir__ = attach(__name__, dict.fromkeys(__all__, ".registry"))
