"""Checkpoints: all that an interrupted run needs to go on, written in one move."""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

import torch

from mammostudy.data.cache import write_atomically


def save_checkpoint(path: Path, state: dict[str, Any]) -> None:
    """Write a checkpoint whole or not at all; a kill in between leaves the one before."""
    write_atomically(path, lambda partial: torch.save(state, partial))


def load_checkpoint(path: Path) -> dict[str, Any] | None:
    """Read a checkpoint, or return None where there is none that can be read as a table.

    Only tensors and plain values are read (``weights_only``), never code.
    """
    if not path.is_file():
        return None
    try:
        state = torch.load(path, weights_only=True)
    except (RuntimeError, EOFError, OSError, pickle.UnpicklingError, LookupError, ValueError):
        return None
    return state if isinstance(state, dict) else None
