"""Runs from spec to record: what is missing is trained once, and a killed run resumes."""

from __future__ import annotations

import multiprocessing
import os
import time
from collections.abc import Iterable, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import replace
from typing import overload

import pandas as pd
from filelock import FileLock
from tqdm.auto import tqdm

from mammostudy.data.cohort import Cohort
from mammostudy.data.frames import FramedSet
from mammostudy.data.load import load_cohort
from mammostudy.data.splits import Split, check_leakage, parted, split_cases
from mammostudy.data.tasks import require
from mammostudy.errors import MissingDataError
from mammostudy.paths import store_root
from mammostudy.runs.chain_spec import ChainSpec
from mammostudy.runs.detect_spec import DetectSpec
from mammostudy.runs.memory import keep_freed_memory
from mammostudy.runs.record_content import record_content
from mammostudy.runs.sampling import Prediction, predict
from mammostudy.runs.segmenters import baseline_masks
from mammostudy.runs.shape_spec import ShapeSpec
from mammostudy.runs.spec import KeyedSpec, RunSpec
from mammostudy.runs.store import (
    AnyRecord,
    ChainRecord,
    DetectionRecord,
    Record,
    ShapeRecord,
    Spec,
    find_record,
    write_record,
)
from mammostudy.runs.testing import evaluate_spec, test_cohort
from mammostudy.runs.train import train_or_read as _trained


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
        DataError: a patient (unless the spec asks for a split by image) or a near-duplicate image
            stands in two parts.
    """
    masses = parted(cohort, cohort.masses, spec.split.rule)
    split = split_cases(masses, **spec.split.model_dump())
    check_leakage(cohort, split, unit=spec.split.unit)
    return split


@overload
def execute(spec: RunSpec, *, progress: bool | None = None) -> Record: ...
@overload
def execute(spec: ShapeSpec, *, progress: bool | None = None) -> ShapeRecord: ...
@overload
def execute(spec: DetectSpec, *, progress: bool | None = None) -> DetectionRecord: ...
@overload
def execute(spec: ChainSpec, *, progress: bool | None = None) -> ChainRecord: ...
def execute(spec: Spec, *, progress: bool | None = None) -> AnyRecord:
    """Run one spec and write its record; a second process asking for the same run waits.

    Args:
        spec: what to run.
        progress: show a bar; None shows it on a terminal only.

    Raises:
        DataError: the cohort is not at hand or lacks what the task needs, a file behind it cannot
            be used, or a patient or a near-duplicate image stands in two parts of the split;
            nothing has been trained then.
        SpecError: the split does not fit the cohort, or the model's name is unknown.
    """
    cohort = load_cohort(spec.cohort)
    if spec.task is not None:
        require(cohort, spec.task)
    keep_freed_memory()
    lock = store_root() / "locks" / f"{spec.training_key(cohort.manifest_hash)}.lock"
    lock.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(lock):
        if isinstance(spec, ShapeSpec):
            from mammostudy.runs.shapes import run_shape

            done = find_record(spec, cohort.manifest_hash)
            return done or run_shape(spec, cohort, progress)
        if isinstance(spec, DetectSpec):
            from mammostudy.runs.detect import run_detection

            found = find_record(spec, cohort.manifest_hash)
            return found or run_detection(spec, cohort, progress)
        if isinstance(spec, ChainSpec):
            from mammostudy.runs.chain import run_chain

            return find_record(spec, cohort.manifest_hash) or run_chain(spec, cohort)
        return find_record(spec, cohort.manifest_hash) or _execute(spec, cohort, progress)


def _execute(spec: RunSpec, cohort: Cohort, progress: bool | None) -> Record:
    started = time.monotonic()
    split = split_of(cohort, spec)
    tested = test_cohort(spec, cohort, split)
    fitted = None
    if spec.is_baseline:

        def predictor(framed: FramedSet) -> Prediction:
            masks = baseline_masks(spec.model.name, framed)
            return Prediction(masks, pd.DataFrame(index=framed.cases))

    else:
        model, fitted = _trained(spec, cohort, split, progress)

        def predictor(framed: FramedSet) -> Prediction:
            return predict(model, framed, spec)

    rows, masks = evaluate_spec(
        spec, {"validation": (cohort, split.validation), **tested}, predictor
    )
    seconds = time.monotonic() - started
    split = replace(split, test=tested["test"][1])
    content = record_content(spec, cohort, split, fitted, seconds, "validation_dice")
    if spec.evaluation.test_cohort:
        content["test_manifest_hash"] = tested["test"][0].manifest_hash
    return write_record(content, rows, masks)


def _worker(spec: Spec) -> str:
    """Run one spec with one thread, in a process of its own."""
    import torch

    torch.set_num_threads(1)
    return execute(spec, progress=False).key


def _length(spec: Spec) -> tuple[int, int]:
    """Order runs by how long they take: a long one that starts last keeps a core idle."""
    if isinstance(spec, ShapeSpec):
        return (0, spec.training.epochs if spec.is_network else 0)
    if isinstance(spec, ChainSpec):
        return (0, 0)
    if isinstance(spec, DetectSpec):
        cost = _COSTS.get(spec.detector.name, 1)
        return (2, cost * spec.training.iterations * spec.detector.size**2)
    heavy = 1 if spec.is_baseline else _SEGMENTER_COSTS.get(spec.model.name, 1)
    return (2 if heavy > 1 else 1, heavy * spec.optimiser.iterations * spec.frame.size**2)


_SEGMENTER_COSTS = {
    "unet": 7, "unet-lite0": 7, "unet-plain": 8, "fcn": 30, "crfcnn": 40, "segnet": 60,
    "unet-vgg16": 60, "fcn-resnet101": 60, "slsdeep": 60, "cgan-resnet101": 30,
}  # fmt: skip


_COSTS = {"ssd300-vgg16": 20, "rt-detr": 10, "faster-rcnn": 15, "fcos": 15, "retinanet": 15}


def missing(specs: Iterable[Spec]) -> list[Spec]:
    """Return the specs without a record, each once, in order.

    The runs that a missing one works on count as asked for.
    """
    hashes: dict[str, str | None] = {}

    def absent(spec: Spec) -> bool:
        if spec.cohort not in hashes:
            hashes[spec.cohort] = manifest_hash(spec.cohort)
        return find_record(spec, hashes[spec.cohort]) is None

    found: dict[Spec, None] = {}

    def add(spec: Spec) -> None:
        if spec in found or not absent(spec):
            return
        for run in spec.before:
            add(run)
        found[spec] = None

    for spec in specs:
        add(spec)
    return list(found)


def cannot_run(specs: Iterable[Spec]) -> dict[Spec, str]:
    """Return the specs without a record that this machine cannot make, each with the reason."""
    return {spec: spec.cannot_run for spec in missing(specs) if spec.cannot_run}


def _depth(spec: KeyedSpec) -> int:
    """Return how many runs stand one behind the other below this one."""
    return 1 + max((_depth(run) for run in spec.before), default=-1)


def default_workers() -> int:
    """Return how many runs train at once: one a core, at most four (about 1 GiB each).

    Small networks train faster one a core than one on all cores. A CUDA device takes one.
    """
    import torch

    return 1 if torch.cuda.is_available() else min(4, os.cpu_count() or 1)


@overload
def ensure(
    specs: Sequence[RunSpec], *, workers: int | None = None, progress: bool | None = None
) -> list[Record]: ...
@overload
def ensure(
    specs: Sequence[ShapeSpec], *, workers: int | None = None, progress: bool | None = None
) -> list[ShapeRecord]: ...
@overload
def ensure(
    specs: Sequence[Spec], *, workers: int | None = None, progress: bool | None = None
) -> list[AnyRecord]: ...
def ensure(
    specs: Sequence[Spec], *, workers: int | None = None, progress: bool | None = None
) -> Sequence[AnyRecord]:
    """Return the records of some specs, running those that have none.

    Runs that others work on come before them.

    Args:
        specs: what is asked for.
        workers: 1 runs one after the other with all cores; more are processes of one thread each;
            None takes :func:`default_workers`.
        progress: show bars; None shows them on a terminal only.

    Returns:
        A record a spec, in order. A run without one that this machine cannot make
        (:func:`cannot_run`) is left out, and the others are made.

    Raises:
        DataError: a run is missing and its cohort is not at hand, or lacks what the task of the
            run needs; nothing has been trained then.
    """
    absent = [spec for spec in missing(specs) if not spec.cannot_run]
    for name, task in dict.fromkeys((spec.cohort, spec.task) for spec in absent):
        if task is not None:
            require(load_cohort(name), task)
    for depth in sorted({_depth(spec) for spec in absent}):
        wave = [spec for spec in absent if _depth(spec) == depth]
        _run_all(wave, workers or default_workers(), progress)
    hashes = {cohort: manifest_hash(cohort) for cohort in {spec.cohort for spec in specs}}
    found = [find_record(spec, hashes[spec.cohort]) for spec in specs]
    return [record for record in found if record is not None]


def _run_all(specs: Sequence[Spec], workers: int, progress: bool | None) -> None:
    """Run specs that have no record, side by side or one after the other."""
    hidden = None if progress is None else not progress
    if not specs or workers == 1:
        for spec in tqdm(specs, "runs", disable=hidden or not specs, leave=False):
            execute(spec, progress=progress)
        return
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(workers, mp_context=context) as pool:
        futures = [pool.submit(_worker, spec) for spec in sorted(specs, key=_length, reverse=True)]
        try:
            for future in tqdm(as_completed(futures), "runs", len(futures), disable=hidden):
                future.result()
        except BaseException:  # what has not begun is not begun; what runs is finished
            pool.shutdown(wait=False, cancel_futures=True)
            raise
