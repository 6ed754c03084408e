"""The device on which networks compute."""

from __future__ import annotations

import os

import torch

from mammostudy.errors import SpecError


def device() -> torch.device:
    """Return the device that ``MAMMOSTUDY_DEVICE`` names, by default the quickest one there is."""
    named = os.environ.get("MAMMOSTUDY_DEVICE") or "auto"
    if named == "auto":
        named = "mps" if torch.backends.mps.is_available() else "cpu"
        named = "cuda" if torch.cuda.is_available() else named
    try:
        found = torch.device(named)
        torch.empty(0, device=found)  # what is not there shows itself now
    except (RuntimeError, AssertionError) as error:
        why = str(error).strip().split("\n")[0] or "unknown"
        raise SpecError(f"MAMMOSTUDY_DEVICE={named}: {why[:200]}; use auto or cpu") from None
    if found.type not in ("cuda", "mps", "cpu"):
        raise SpecError(f"MAMMOSTUDY_DEVICE={named}: not supported; use auto, cuda, mps or cpu")
    return found
