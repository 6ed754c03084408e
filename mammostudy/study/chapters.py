"""The chapters of the book that stand on runs, in the order in which they are read."""

from __future__ import annotations

from typing import Final

CHAPTERS: Final = (
    "data",
    "detection",
    "cropping",
    "segmenters",
    "losses",
    "uncertainty",
    "transfer",
    "postprocessing",
    "failures",
    "shapes",
    "roc",
    "subtypes",
    "chain",
    "leak",
    "claims",
)
