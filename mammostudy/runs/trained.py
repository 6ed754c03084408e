"""Weights and models: trained once under the key of a training, read wherever they are needed."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from operator import attrgetter
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_model, save_model
from torch import nn

from mammostudy.data.cache import write_atomically
from mammostudy.data.cohort import Cohort
from mammostudy.errors import DataError
from mammostudy.paths import store_root
from mammostudy.runs.kinds import module_of
from mammostudy.runs.record import Record, weights_path
from mammostudy.training.loop import Fitted, device, load_checkpoint, save_checkpoint


@dataclass(frozen=True)
class Training(Fitted):
    """What a training left beside its weights; its seconds are those before a kill, too."""

    cpu_seconds: float | None = None  # of all its threads; unknown of a training that resumed


def train_or_read(
    spec: Any, cohort: Cohort, model: nn.Module, fit: Callable[..., Fitted], progress: bool | None
) -> Training:
    """Train a spec's model in place by ``fit(**course)``, or read the weights kept before."""
    key = spec.training_key(cohort.manifest_hash)
    weights, checkpoint = weights_path(key), store_root() / "checkpoints" / f"{key}.pt"
    history = weights.with_suffix(".history")
    past = load_checkpoint(history) or {}
    if {"curves", "seconds", "diverged"} <= set(past) and _read(model, weights):
        return Training(**past)
    resumed, started = checkpoint.is_file(), time.process_time()
    name = attrgetter(spec.named)(spec)
    label = f"{spec.cohort} {spec.variant} {name} fold {spec.split.fold} seed {spec.seed}"
    label += " LEAKY" if spec.split.leaky else ""
    fitted = fit(seed=spec.seed, checkpoint=checkpoint, label=label, progress=progress)
    spent = None if resumed else round(time.process_time() - started, 1)
    training = Training(**vars(fitted), cpu_seconds=spent)
    write_atomically(weights, lambda partial: save_model(model, str(partial)))
    save_checkpoint(history, asdict(training))
    checkpoint.unlink(missing_ok=True)
    return training


def _read(model: nn.Module, weights: Path) -> bool:
    """Read stored weights into a model; False where there are none, or damaged ones."""
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
    path = weights_path(str(record.content["training_key"]))
    with torch.random.fork_rng(devices=[]):
        model = module_of(record.kind).network(record.spec, record.content)
    if not _read(model, path):
        raise DataError(
            f"{path}: the weights of {record.kind} run {record.key} are missing or damaged; delete "
            "the file, then `mammostudy doctor` names another model or the command that makes one"
        )
    return model.to(device())
