"""Weights and models: trained once under the key of a training, read wherever they are needed."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mammostudy.errors import DataError
from mammostudy.paths import store_root
from mammostudy.runs.kinds import KINDS, function_of
from mammostudy.runs.record import Record, weights_path

if TYPE_CHECKING:
    from torch import nn

    from mammostudy.training.loop import Fitted


@dataclass(frozen=True)
class Training:
    """What a training left beside its weights.

    Attributes:
        curves: a row an iteration logged.
        seconds: by the clock, those before a kill included.
        diverged: the parts of the loss where it was not finite.
        cpu_seconds: of all its threads; None where it is unknown, as of a training that resumed.
    """

    curves: list[dict[str, float]]
    seconds: float
    diverged: dict[str, float] | None
    cpu_seconds: float | None = None


def train_or_read(key: str, model: nn.Module, fit: Callable[[Path], Fitted]) -> Training:
    """Train a model, or read the weights where they were trained before.

    Args:
        key: of the training.
        model: with fresh weights; it holds the trained ones afterwards.
        fit: trains it, and keeps its state at the path of a checkpoint.

    Raises:
        DataError: the stored weights, or the checkpoint, are of another network.
    """
    from safetensors.torch import save_model

    from mammostudy.data.cache import write_atomically
    from mammostudy.training.loop import save_checkpoint

    weights, checkpoint = weights_path(key), store_root() / "checkpoints" / f"{key}.pt"
    if (past := _stored(model, weights)) is not None:
        return past
    resumed, started = checkpoint.is_file(), time.process_time()
    fitted = fit(checkpoint)
    spent = None if resumed else round(time.process_time() - started, 1)
    training = Training(fitted.curves, fitted.seconds, fitted.diverged, spent)
    write_atomically(weights, lambda partial: save_model(model, str(partial)))
    save_checkpoint(weights.with_suffix(".history"), asdict(training))
    checkpoint.unlink(missing_ok=True)
    return training


def _stored(model: nn.Module, weights: Path) -> Training | None:
    """Read the weights and curves of a finished training into a model; None where not whole."""
    from safetensors import SafetensorError
    from safetensors.torch import load_model

    from mammostudy.training.loop import load_checkpoint

    past = load_checkpoint(weights.with_suffix(".history"))
    if past is None or not {"curves", "seconds", "diverged"} <= set(past) or not weights.is_file():
        return None
    try:
        load_model(model, weights)
    except SafetensorError:  # damaged: found out before the model is touched
        return None
    except RuntimeError:
        raise DataError(
            f"{weights}: weights of another network; move or delete the file, then it trains anew"
        ) from None
    return Training(**past)


def trained_model(record: Record) -> Any:
    """Return the trained network of a record, on the device that runs compute on.

    Raises:
        DataError: its weights are not in the local store, or damaged.
    """
    import torch
    from safetensors import SafetensorError
    from safetensors.torch import load_model

    from mammostudy.training.loop import device

    with torch.random.fork_rng(devices=[]):
        model = function_of(KINDS[record.kind].builder)(record)
    path = weights_path(str(record.content["training_key"]))
    try:
        load_model(model, path)
    except (OSError, RuntimeError, SafetensorError):
        raise DataError(
            f"{path}: the weights of {record.kind} run {record.key} are missing or damaged; delete "
            "the file, then `mammostudy doctor` names another model or the command that makes one"
        ) from None
    return model.to(device())
