"""Weights and models: trained once under the key of a training, read wherever they are needed."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_model, save_model
from torch import nn

from mammostudy.data.cohort import Cohort
from mammostudy.errors import DataError
from mammostudy.paths import store_root, write_atomically
from mammostudy.processes import held
from mammostudy.runs.kinds import module_of
from mammostudy.runs.record import Record, checksum, local_records, set_aside, weights_path
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
    known = past.pop("sha256", None)
    if {"curves", "seconds", "diverged"} <= set(past):
        if not (fault := _read(model, weights, known)):
            return Training(**past)
        logging.getLogger(__name__).warning("%s; it is trained anew", fault)
    resumed, started = checkpoint.is_file(), time.process_time()
    fitted = fit(seed=spec.seed, checkpoint=checkpoint, label=spec.label, progress=progress)
    spent = None if resumed else round(time.process_time() - started, 1)
    training = Training(**vars(fitted), cpu_seconds=spent)
    with held():  # a long training is not lost at its very end
        write_atomically(weights, lambda partial: save_model(model, str(partial)))
        save_checkpoint(history, asdict(training) | {"sha256": checksum(weights)})
    checkpoint.unlink(missing_ok=True)
    return training


def _read(model: nn.Module, weights: Path, known: str | None) -> str:
    """Read stored weights, of a known checksum, into a model; say why where that cannot be."""
    try:
        if known not in (None, checksum(weights)):
            raise ValueError("not the file that was written")
        load_model(model, weights)
    except OSError as error:
        return f"{weights}: weights that cannot be read ({error.strerror})"
    except (ValueError, SafetensorError) as error:  # found out before the model is touched
        return f"{weights}: damaged weights ({error}), moved to {set_aside(weights)}"
    except RuntimeError:
        mend = "move or delete the file, then it trains anew"
        raise DataError(f"{weights}: weights of another network; {mend}") from None
    return ""


def trained_model(record: Record) -> Any:
    """Return the trained network of a record, on the device that runs compute on."""
    path = weights_path(str(record.content["training_key"]))
    with torch.random.fork_rng(devices=[]):
        model = module_of(record.kind).network(record.spec, record.content)
    if (kept := record.folder / "weights.safetensors").is_file():  # as float16
        load_model(model, kept)
        return model.to(device())
    known = (load_checkpoint(path.with_suffix(".history")) or {}).get("sha256")
    there = path.is_file()
    if fault := _read(model, path, known):
        if there and record.folder in local_records().glob("*/*"):  # or it is not made again
            set_aside(record.folder)
        mend = "`mammostudy doctor` names another model or the command that makes one"
        raise DataError(f"{fault}; they are of {record.kind} run {record.key}: {mend}")
    return model.to(device())
