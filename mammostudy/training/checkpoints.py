"""Checkpoints: all that an interrupted run needs to go on, written in one move."""

from __future__ import annotations

import pickle
from collections.abc import Callable, Set
from pathlib import Path
from typing import Any, Final

import torch

from mammostudy.data.cache import write_atomically
from mammostudy.errors import DataError

RUN: Final = "run"
"""The field of a checkpoint that says whose it is: the name of its file without the ending."""
_MEND: Final = "move or delete the file, then the run starts anew"


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


def resume_from(
    path: Path, needed: Set[str], take_over: Callable[[dict[str, Any]], None]
) -> dict[str, Any] | None:
    """Read a checkpoint and let a trainer take it over, or return None where there is none to use.

    Args:
        path: of the checkpoint.
        needed: fields without which it is no checkpoint of this kind: then None, as for a damaged
            one, and the run starts anew.
        take_over: loads what was trained.

    Returns:
        The checkpoint.

    Raises:
        DataError: it was written for another run, or does not fit this one's networks: nothing is
            trained on it, and it is left where it is.
    """
    state = load_checkpoint(path)
    if state is None or not needed <= set(state):
        return None
    if state.get(RUN, path.stem) != path.stem:
        msg = f"{path}: the checkpoint of run {state[RUN]}, not of this one; {_MEND}"
        raise DataError(msg)
    try:
        take_over(state)
    except (RuntimeError, LookupError, ValueError, TypeError, AttributeError):
        msg = f"{path}: the checkpoint does not fit the networks of this run; {_MEND}"
        raise DataError(msg) from None
    return state
