"""A reproducible study of breast-mass segmentation and shape in mammograms (Singh et al. 2020)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mammostudy._lazy import attach

if TYPE_CHECKING:
    from mammostudy.data.load import load_cohort
    from mammostudy.inference import predict

__version__ = "0.1.0"
__all__ = ["__version__", "load_cohort", "predict"]
__getattr__, __dir__ = attach(__name__, {"load_cohort": ".data.load", "predict": ".inference"})
