"""Figures of the page on subtype tables: those of :mod:`mammostudy.figures.subtypes`."""

from __future__ import annotations

from mammostudy.figures.subtypes import (
    blurred,
    differences,
    mosaics,
    power,
    residuals,
    shares,
    strengths,
)

__all__ = ["blurred", "differences", "mosaics", "power", "residuals", "shares", "strengths"]
