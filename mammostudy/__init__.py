"""A reproducible study of breast-mass segmentation and shape in mammograms (Singh et al. 2020)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lazy_loader import attach

if TYPE_CHECKING:
    from mammostudy.data.load import load_cohort as load_cohort
    from mammostudy.inference import predict as predict

__version__ = "0.1.0"
__getattr__, __dir__, __all__ = attach(
    __name__, submod_attrs={"data.load": ["load_cohort"], "inference": ["predict"]}
)
