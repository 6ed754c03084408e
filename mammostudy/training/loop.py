"""The one training loop: steps, curves, validations, progress, and checkpoints to go on from."""

from __future__ import annotations

import math
import pickle
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, NotRequired, TypedDict, Unpack

import torch
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn
from tqdm.auto import tqdm

from mammostudy.data.cache import write_atomically
from mammostudy.errors import DataError
from mammostudy.models.device import device as device

CHECKPOINT_SECONDS: Final = 30.0
Losses = dict[str, float]
Curve = dict[str, float]
Parts = Mapping[str, Any]  # networks, optimisers, schedules: what has a state to keep
_KEPT: Final = {"run", "iteration", "seconds", "curves", "parts", "random"}


class NonFiniteLossError(Exception):
    """A loss that is not a number or infinite; its parts, by name, say which."""

    def __init__(self, parts: Losses) -> None:
        super().__init__(", ".join(f"{name} {value:g}" for name, value in parts.items()))
        self.parts = parts


@dataclass(frozen=True)
class Fitted:
    """What training left: curves (a row a step logged), and the parts of a bad loss."""

    curves: list[Curve]
    seconds: float
    diverged: Losses | None


class Course(TypedDict):
    """What every training is told beside what it learns from."""

    checkpoint: Path  # where the state is kept every half minute, and read from at the start
    label: NotRequired[str]  # before the progress bar
    progress: NotRequired[bool | None]  # show the bar; None: on a terminal only


def run_steps(
    step: Callable[[int], Losses],
    parts: Parts,
    total: int,
    *,
    head: Callable[[int, float], Curve],
    validate: Callable[[], Curve],
    validations: int,
    rows: int,
    **course: Unpack[Course],
) -> Fitted:
    """Take ``total`` steps, resuming from a checkpoint where there is one.

    ``head`` begins a row of the curves from (steps done, seconds spent); what ``validate`` returns
    joins it, after the last step always. ``validations`` and ``rows`` are rough numbers.
    """
    checkpoint, progress = course["checkpoint"], course.get("progress")
    done, before, curves = _resumed(checkpoint, parts)
    started = saved = time.monotonic()
    diverged, hidden = None, None if progress is None else not progress
    every, log_every = (max(1, total // max(1, times)) for times in (validations, rows))
    label = course.get("label", "training")
    with tqdm(total=total, initial=done, desc=label, disable=hidden, leave=False) as bar:
        while done < total:
            try:
                losses = step(done)
            except NonFiniteLossError as error:
                diverged = error.parts
                break
            done += 1
            bar.update()
            bar.set_postfix({name: f"{value:.3f}" for name, value in losses.items()}, refresh=False)
            validated = done == total or done % every == 0
            if validated or done % log_every == 0:
                row = head(done, before + time.monotonic() - started) | losses
                curves.append(row | (validate() if validated else {}))
            if time.monotonic() - saved > CHECKPOINT_SECONDS and done < total:
                _keep(checkpoint, parts, done, before + time.monotonic() - started, curves)
                saved = time.monotonic()
    return Fitted(curves, before + time.monotonic() - started, diverged)


def _keep(path: Path, parts: Parts, done: int, seconds: float, curves: list[Curve]) -> None:
    state = {"run": path.stem, "iteration": done, "seconds": seconds, "curves": curves}
    state["parts"] = {name: part.state_dict() for name, part in parts.items()}
    state["random"] = torch.get_rng_state()
    if torch.cuda.is_available():  # where dropout draws then
        state["random_cuda"] = torch.cuda.get_rng_state_all()
    save_checkpoint(path, state)


def _resumed(path: Path, parts: Parts) -> tuple[int, float, list[Curve]]:
    """Take over an interrupted run's state: steps done, seconds spent, curves."""
    state = load_checkpoint(path)
    if state is None:
        return 0, 0.0, []
    mend = "move or delete the file, then the run starts anew"
    if not set(state) >= _KEPT or state["run"] != path.stem or set(state["parts"]) != set(parts):
        msg = f"{path}: the checkpoint of another run, or of another version of this one; {mend}"
        raise DataError(msg)
    try:
        for name, part in parts.items():
            part.load_state_dict(state["parts"][name])
    except (RuntimeError, LookupError, ValueError, TypeError, AttributeError):
        msg = f"{path}: the checkpoint does not fit the networks of this run; {mend}"
        raise DataError(msg) from None
    torch.set_rng_state(state["random"])
    for number, drawn in enumerate(state.get("random_cuda", [])[: torch.cuda.device_count()]):
        torch.cuda.set_rng_state(drawn, number)
    return state["iteration"], state["seconds"], state["curves"]


def save_checkpoint(path: Path, state: dict[str, Any]) -> None:
    """Write a checkpoint whole or not at all; a kill in between leaves the one before."""
    write_atomically(path, lambda partial: torch.save(state, partial))


def load_checkpoint(path: Path) -> dict[str, Any] | None:
    """Read a checkpoint, never code, to the processor; None where none can be read as a table."""
    if not path.is_file():
        return None
    try:
        state = torch.load(path, weights_only=True, map_location="cpu")
    except (RuntimeError, EOFError, OSError, pickle.UnpicklingError, LookupError, ValueError):
        return None
    return state if isinstance(state, dict) else None


def batch_of(n: int, iteration: int, batch: int, seed: int) -> Tensor:
    """The indices of one iteration's batch: of an order drawn from seed and epoch alone."""
    epoch, position = divmod(iteration, math.ceil(n / batch))
    generator = torch.Generator().manual_seed(seed * 1_000_003 + epoch)
    return torch.randperm(n, generator=generator)[position * batch : (position + 1) * batch]


def weight_average(network: nn.Module, decay: float) -> AveragedModel:
    """A moving average of a network's weights, that its ``update_parameters`` moves.

    After step t it is ``d * average + (1 - d) * weights``, ``d = min(decay, (1 + t) / (10 + t))``,
    so that a short run is not held back by where it started (TensorFlow's warm-up).
    """

    def average(averages: Any, weights: Any, before: Any) -> None:
        step = int(before) + 1
        update: Any = get_ema_multi_avg_fn(min(decay, (1 + step) / (10 + step)))  # type: ignore[no-untyped-call]
        update(averages, weights, before)

    return AveragedModel(network, multi_avg_fn=average, use_buffers=True)


def finite(parts: Mapping[str, Tensor]) -> Losses:
    """Read the parts of a loss; stop where one is not finite, before any weight moves."""
    values = {name: float(part.detach()) for name, part in parts.items()}
    if not all(math.isfinite(value) for value in values.values()):
        raise NonFiniteLossError(values)
    return values


def descend(optimiser: torch.optim.Optimizer, loss: Tensor, parts: Mapping[str, Tensor]) -> Losses:
    """Take one step, unless a part of the loss is not finite; return the parts."""
    values = finite(parts)
    optimiser.zero_grad(set_to_none=True)
    loss.backward()  # type: ignore[no-untyped-call]
    optimiser.step()
    return values
