"""Weights and models: trained once under the key of a training, read wherever they are needed."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mammostudy.data.cache import write_atomically
from mammostudy.errors import DataError
from mammostudy.paths import store_root
from mammostudy.runs.kinds import module_of
from mammostudy.runs.record import Record, weights_path

if TYPE_CHECKING:
    from torch import nn

    from mammostudy.training.loop import Fitted


@dataclass(frozen=True)
class Training:
    """What a training left beside its weights."""

    curves: list[dict[str, float]]  # a row an iteration logged
    seconds: float  # by the clock, those before a kill included
    diverged: dict[str, float] | None  # the parts of the loss where it was not finite
    cpu_seconds: float | None = None  # of all its threads; unknown of a training that resumed


def train_or_read(key: str, model: nn.Module, fit: Callable[[Path], Fitted]) -> Training:
    """Train a model in place by ``fit`` (path of a checkpoint), or read the weights kept before."""
    from safetensors.torch import save_model

    from mammostudy.training.loop import load_checkpoint, save_checkpoint

    weights, checkpoint = weights_path(key), store_root() / "checkpoints" / f"{key}.pt"
    history = weights.with_suffix(".history")
    past = load_checkpoint(history) or {}
    if {"curves", "seconds", "diverged"} <= set(past) and _read(model, weights):
        return Training(**past)
    resumed, started = checkpoint.is_file(), time.process_time()
    fitted = fit(checkpoint)
    spent = None if resumed else round(time.process_time() - started, 1)
    training = Training(fitted.curves, fitted.seconds, fitted.diverged, spent)
    write_atomically(weights, lambda partial: save_model(model, str(partial)))
    save_checkpoint(history, asdict(training))
    checkpoint.unlink(missing_ok=True)
    return training


def _read(model: nn.Module, weights: Path) -> bool:
    """Read stored weights into a model; False where there are none, or damaged ones."""
    from safetensors import SafetensorError
    from safetensors.torch import load_model

    try:
        load_model(model, weights)
    except (OSError, SafetensorError):  # found out before the model is touched
        return False
    except RuntimeError:
        mend = "move or delete the file, then it trains anew"
        raise DataError(f"{weights}: weights of another network; {mend}") from None
    return True


def trained_model(record: Record) -> Any:
    """Return the trained network of a record, on the device that runs compute on."""
    import torch

    from mammostudy.training.loop import device

    path = weights_path(str(record.content["training_key"]))
    with torch.random.fork_rng(devices=[]):
        model = module_of(record.kind).network(record.spec, record.content)
    if not _read(model, path):
        raise DataError(
            f"{path}: the weights of {record.kind} run {record.key} are missing or damaged; delete "
            "the file, then `mammostudy doctor` names another model or the command that makes one"
        )
    return model.to(device())
