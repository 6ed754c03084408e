"""Runs from spec to record: what is missing is trained once, and a killed run resumes."""

from __future__ import annotations

import math
import multiprocessing
import os
import time
from collections.abc import Iterable, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from filelock import FileLock
from numpy.typing import NDArray
from tqdm.auto import tqdm

from mammostudy.data.cohort import Cohort, load_cohort
from mammostudy.data.frames import Frame, FramedSet, frame_cohort
from mammostudy.data.splits import Split, check_leakage, split_cases
from mammostudy.errors import MissingDataError
from mammostudy.evaluation import overlap
from mammostudy.paths import store_root
from mammostudy.runs.evaluate import evaluate
from mammostudy.runs.provenance import provenance
from mammostudy.runs.segmenters import THRESHOLD, as_tensor, baseline_masks, build_trainer
from mammostudy.runs.spec import RunSpec
from mammostudy.runs.store import Record, find_record, has_converged, weights_path, write_record

if TYPE_CHECKING:
    from torch import nn

    from mammostudy.training.fit import Fitted


def manifest_hash(cohort: str) -> str | None:
    """Return the manifest hash of a cohort, or None where its folder is not at hand.

    Raises:
        DataError: the folder is there and its manifest has faults: that is not passed over.
    """
    try:
        return load_cohort(cohort).manifest_hash
    except MissingDataError:
        return None


def split_of(cohort: Cohort, spec: RunSpec) -> Split:
    """Return the split of a spec, checked for leaks.

    Raises:
        DataError: a patient or a near-duplicate image stands in two parts.
    """
    split = split_cases(cohort.masses, **spec.split.model_dump())
    check_leakage(cohort, split)
    return split


def execute(spec: RunSpec, *, progress: bool | None = None) -> Record:
    """Run one spec and write its record; a second process asking for the same run waits.

    Args:
        spec: what to run.
        progress: show a bar; None shows it on a terminal only.

    Raises:
        DataError: the cohort is not at hand, a file behind it cannot be used, or a patient or a
            near-duplicate image stands in two parts of the split; nothing has been trained then.
        SpecError: the split does not fit the cohort, or the model's name is unknown.
    """
    cohort = load_cohort(spec.cohort)
    lock = store_root() / "locks" / f"{spec.training_key(cohort.manifest_hash)}.lock"
    lock.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(lock):
        found = find_record(spec, cohort.manifest_hash)
        return found or _execute(spec, cohort, progress)


def _execute(spec: RunSpec, cohort: Cohort, progress: bool | None) -> Record:
    started = time.monotonic()
    split = split_of(cohort, spec)
    parts = {"validation": split.validation, "test": split.test}
    fitted = None
    if spec.is_baseline:

        def predict(frame: Frame, cases: Sequence[str]) -> tuple[FramedSet, NDArray[np.bool_]]:
            framed = frame_cohort(cohort, frame, spec.preprocessing).take(cases)
            return framed, baseline_masks(spec.model.name, framed)

    else:
        model, fitted = _trained(spec, cohort, split, progress)

        def predict(frame: Frame, cases: Sequence[str]) -> tuple[FramedSet, NDArray[np.bool_]]:
            framed = frame_cohort(cohort, frame, spec.preprocessing).take(cases)
            return framed, predicted_masks(model, framed, spec)

    rows, masks = evaluate(
        cohort, parts, spec.frame, spec.evaluation.boxes, spec.evaluation.postprocessing, predict
    )
    content = _content(spec, cohort, split, fitted, time.monotonic() - started)
    return write_record(content, rows, masks)


def _content(
    spec: RunSpec, cohort: Cohort, split: Split, fitted: Fitted | None, seconds: float
) -> dict[str, object]:
    """Return what ``record.json`` holds."""
    threads = _threads()
    return {
        "spec": spec.model_dump(mode="json"),
        "key": spec.key(cohort.manifest_hash),
        "recipe_key": spec.recipe_key(),
        "recipe_versions": spec.recipe_versions(),
        "training_key": spec.training_key(cohort.manifest_hash),
        "manifest_hash": cohort.manifest_hash,
        "status": "diverged" if fitted is not None and fitted.diverged else "completed",
        "diverged_with": _plain(fitted.diverged) if fitted is not None else None,
        "converged": None if fitted is None else has_converged(fitted.curves),
        "curves": [] if fitted is None else fitted.curves,
        "split": {name: list(cases) for name, cases in split.parts().items()},
        "provenance": provenance(threads)
        | {
            "seconds": round(seconds, 1),
            "training_seconds": round(fitted.seconds, 1) if fitted is not None else 0.0,
            "finished": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        },
    }


def _plain(parts: dict[str, float] | None) -> dict[str, float | str] | None:
    """Write what is not finite as text: JSON has no number for it."""
    if parts is None:
        return None
    return {name: value if math.isfinite(value) else str(value) for name, value in parts.items()}


def _threads() -> int:
    import torch

    return torch.get_num_threads()


def predicted_masks(model: nn.Module, framed: FramedSet, spec: RunSpec) -> NDArray[np.bool_]:
    """Predict the masks of framed cases, bool ``(n, s, s)``."""
    from mammostudy.training.prediction import predict_probabilities

    images = as_tensor(framed.images, spec.model.channels)
    return predict_probabilities(model, images, seed=spec.seed) >= THRESHOLD


def _trained(
    spec: RunSpec, cohort: Cohort, split: Split, progress: bool | None
) -> tuple[nn.Module, Fitted]:
    """Train the model of a spec, or read the weights where they were trained before."""
    import torch
    from safetensors.torch import save_model

    from mammostudy.data.cache import write_atomically
    from mammostudy.training.checkpoints import save_checkpoint
    from mammostudy.training.fit import Budget, fit

    framed = frame_cohort(cohort, spec.frame, spec.preprocessing)
    training, validation = framed.take(split.train), framed.take(split.validation)
    key = spec.training_key(cohort.manifest_hash)
    torch.manual_seed(spec.seed)
    trainer = build_trainer(spec)
    weights, history = weights_path(key), weights_path(key).with_suffix(".history")
    if (past := _stored(trainer.generator, weights, history)) is not None:
        return trainer.generator, past

    def validate() -> float:
        masks = predicted_masks(trainer.generator, validation, spec)
        return float(overlap.dice(masks, validation.masks).mean())

    checkpoint = store_root() / "checkpoints" / f"{key}.pt"
    settings = spec.optimiser
    fitted = fit(
        trainer,
        as_tensor(training.images, spec.model.channels),
        as_tensor(training.masks, spec.model.channels),
        Budget(settings.iterations, settings.batch, settings.validations),
        seed=spec.seed,
        validate=validate,
        checkpoint=checkpoint,
        augment=settings.augment,
        label=label_of(spec),
        progress=progress,
    )
    write_atomically(weights, lambda partial: save_model(trainer.generator, str(partial)))
    save_checkpoint(history, vars(fitted))
    checkpoint.unlink(missing_ok=True)
    return trainer.generator, fitted


def _stored(model: nn.Module, weights: Path, history: Path) -> Fitted | None:
    """Read the weights and curves of a finished training; None where they are not whole."""
    from safetensors import SafetensorError
    from safetensors.torch import load_model

    from mammostudy.training.checkpoints import load_checkpoint
    from mammostudy.training.fit import Fitted

    past = load_checkpoint(history)
    if past is None or set(past) != set(Fitted.__dataclass_fields__) or not weights.is_file():
        return None
    try:
        load_model(model, weights)
    except SafetensorError:  # damaged: found out before the model is touched
        return None
    return Fitted(**past)


def label_of(spec: RunSpec) -> str:
    """Name a run for a person: cohort, frame, model, loss, seed and fold."""
    frame = spec.frame.strategy + (f" x{spec.frame.scale:g}" if spec.frame.scale != 2 else "")
    if spec.is_baseline:
        return f"{spec.cohort} {frame} {spec.model.name} fold {spec.split.fold}"
    adversary = "" if spec.loss.adversarial_weight else " no adversary"
    return (
        f"{spec.cohort} {frame} {spec.variant} {spec.model.name} {spec.loss.overlap}{adversary} "
        f"fold {spec.split.fold} seed {spec.seed}"
    )


def _worker(spec: RunSpec) -> str:
    """Run one spec with one thread, in a process of its own."""
    import torch

    torch.set_num_threads(1)
    return execute(spec, progress=False).key


def _length(spec: RunSpec) -> tuple[bool, int]:
    """Order runs by how long they take: a long one that starts last keeps a core idle."""
    return (
        not spec.is_baseline and spec.model.name != "cgan",
        spec.optimiser.iterations * spec.frame.size**2,
    )


def missing(specs: Iterable[RunSpec]) -> list[RunSpec]:
    """Return the specs without a record, each once, in order."""
    hashes: dict[str, str | None] = {}
    absent = []
    for spec in dict.fromkeys(specs):
        if spec.cohort not in hashes:
            hashes[spec.cohort] = manifest_hash(spec.cohort)
        if find_record(spec, hashes[spec.cohort]) is None:
            absent.append(spec)
    return absent


def default_workers() -> int:
    """Return how many runs train at once: one a core, at most four (about 1 GiB each).

    Small networks train faster one a core than one on all cores. A CUDA device takes one.
    """
    import torch

    return 1 if torch.cuda.is_available() else min(4, os.cpu_count() or 1)


def ensure(
    specs: Sequence[RunSpec], *, workers: int | None = None, progress: bool | None = None
) -> list[Record]:
    """Return the records of some specs, running those that have none.

    Args:
        specs: what is asked for.
        workers: 1 runs one after the other with all cores; more are processes of one thread each;
            None takes :func:`default_workers`.
        progress: show bars; None shows them on a terminal only.

    Returns:
        A record a spec, in order.

    Raises:
        DataError: a run is missing and its cohort is not at hand.
    """
    absent = missing(specs)
    hidden = None if progress is None else not progress
    if absent and (workers or default_workers()) > 1:
        context = multiprocessing.get_context("spawn")
        with ProcessPoolExecutor(workers or default_workers(), mp_context=context) as pool:
            longest_first = sorted(absent, key=_length, reverse=True)
            futures = [pool.submit(_worker, spec) for spec in longest_first]
            try:
                for future in tqdm(as_completed(futures), "runs", len(futures), disable=hidden):
                    future.result()
            except BaseException:  # what has not begun is not begun; what runs is finished
                pool.shutdown(wait=False, cancel_futures=True)
                raise
    else:
        for spec in tqdm(absent, "runs", disable=hidden or not absent, leave=False):
            execute(spec, progress=progress)
    hashes = {cohort: manifest_hash(cohort) for cohort in {spec.cohort for spec in specs}}
    found = [find_record(spec, hashes[spec.cohort]) for spec in specs]
    return [record for record in found if record is not None]
