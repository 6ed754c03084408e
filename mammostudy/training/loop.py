"""The one training loop: steps, curves, validations, progress, and checkpoints to go on from."""

from __future__ import annotations

import hashlib
import io
import logging
import math
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, NotRequired, TypedDict, Unpack

import torch
from torch import Tensor
from tqdm.auto import tqdm

from mammostudy.errors import DataError
from mammostudy.models.device import device as device
from mammostudy.paths import write_atomically
from mammostudy.processes import held

SEAL: Final = b"sha256:"  # before the checksum at the end of a checkpoint
CHECKPOINT_SECONDS: Final = 30.0
Losses = dict[str, float]
Curve = dict[str, float]
Parts = Mapping[str, Any]  # networks, optimisers, schedules: what has a state to keep


class NonFiniteLossError(Exception):
    """A loss that is not a number or infinite; its argument, the parts by name, says which."""


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
    done, before, curves, losses = _resumed(checkpoint, parts)  # losses of a step not yet told
    saved = time.monotonic()
    started = saved - before
    diverged, hidden = None, None if progress is None else not progress
    every, log_every = (max(1, total // max(1, times)) for times in (validations, rows))
    label = course.get("label", "training")

    def keep() -> None:
        with held():
            spent = time.monotonic() - started
            _keep(checkpoint, parts, done, seconds=spent, curves=curves, losses=losses)

    with tqdm(total=total, initial=done, desc=label, disable=hidden, leave=False) as bar:
        try:
            while done < total or losses:
                if not losses:
                    with held():
                        losses = step(done)
                        done += 1
                    bar.update()
                    shown = {name: f"{value:.3f}" for name, value in losses.items()}
                    bar.set_postfix(shown, refresh=False)
                validated = done == total or done % every == 0
                if validated or done % log_every == 0:
                    row = head(done, time.monotonic() - started) | losses
                    curves.append(row | (validate() if validated else {}))
                losses = {}
                if time.monotonic() - saved > CHECKPOINT_SECONDS and done < total:
                    keep()
                    saved = time.monotonic()
        except NonFiniteLossError as error:
            diverged = error.args[0]
        except (KeyboardInterrupt, SystemExit):
            keep()
            raise
    return Fitted(curves, time.monotonic() - started, diverged)


def _keep(path: Path, parts: Parts, done: int, **others: Any) -> None:
    state = {"run": path.stem, "iteration": done, **others}
    state["parts"] = {name: part.state_dict() for name, part in parts.items()}
    state["random"] = torch.get_rng_state()
    if torch.cuda.is_available():  # where dropout draws then
        state["random_cuda"] = torch.cuda.get_rng_state_all()
    save_checkpoint(path, state)


def _resumed(path: Path, parts: Parts) -> tuple[int, float, list[Curve], Losses]:
    """Take over an interrupted run's state: steps done, seconds spent, curves, untold losses."""
    state = load_checkpoint(path)
    if state is None:
        return 0, 0.0, [], {}
    try:
        past = state["iteration"], state["seconds"], state["curves"], state.get("losses", {})
        if state["run"] != path.stem or set(state["parts"]) != set(parts):
            raise ValueError
        for name, part in parts.items():
            part.load_state_dict(state["parts"][name])
        torch.set_rng_state(state["random"])
    except (RuntimeError, LookupError, ValueError, TypeError, AttributeError):
        told = "the checkpoint of another run, or of another version of this one"
        mend = "move or delete the file, then the run starts anew"
        raise DataError(f"{path}: {told}; {mend}") from None
    for number, drawn in enumerate(state.get("random_cuda", [])[: torch.cuda.device_count()]):
        torch.cuda.set_rng_state(drawn, number)
    return past


def save_checkpoint(path: Path, state: dict[str, Any]) -> None:
    """Write a checkpoint whole or not at all; a kill in between leaves the one before."""

    def write(partial: Path) -> None:
        torch.save(state, partial)
        with partial.open("rb+") as file:
            checksum = hashlib.file_digest(file, "sha256").digest()
            file.write(SEAL + checksum)

    write_atomically(path, write)


def load_checkpoint(path: Path) -> dict[str, Any] | None:
    """Read a checkpoint, never code, to the processor; a damaged one is named and set aside."""
    if not path.is_file():
        return None
    content, seal, checksum = path.read_bytes().rpartition(SEAL)  # checkpoints once had none
    try:
        if seal and hashlib.sha256(content).digest() != checksum:
            raise ValueError
        whole = io.BytesIO(content if seal else checksum)
        state = torch.load(whole, weights_only=True, map_location="cpu")
    except Exception:  # damage shows itself in many ways
        state = None
    if isinstance(state, dict):
        return state
    aside = path.replace(path.with_suffix(".damaged"))
    logging.getLogger(__name__).warning("%s: damaged, not read; what it was of starts anew", aside)
    return None


def batch_of(n: int, iteration: int, batch: int, seed: int) -> Tensor:
    """The indices of one iteration's batch: of an order drawn from seed and epoch alone."""
    epoch, position = divmod(iteration, math.ceil(n / batch))
    generator = torch.Generator().manual_seed(seed * 1_000_003 + epoch)
    return torch.randperm(n, generator=generator)[position * batch : (position + 1) * batch]


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
