"""Where a run computes: a CUDA device where there is one, else the processor."""

from __future__ import annotations

import os

import torch


def device() -> torch.device:
    """Return the device of training and prediction; ``MAMMOSTUDY_DEVICE`` overrides the choice."""
    named = os.environ.get("MAMMOSTUDY_DEVICE")
    return torch.device(named or ("cuda" if torch.cuda.is_available() else "cpu"))
