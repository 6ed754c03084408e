"""Runs from spec to record: what is missing is trained once, and a killed run resumes."""

from __future__ import annotations

import ctypes
import multiprocessing
import platform
import time
from collections.abc import Iterable, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from functools import cache

from tqdm.auto import tqdm

from mammostudy.data.cache import locked
from mammostudy.data.cohort import require
from mammostudy.data.load import load_cohort
from mammostudy.runs import record as store
from mammostudy.runs.kinds import KINDS, kind_of, module_of
from mammostudy.runs.provenance import record_content
from mammostudy.runs.record import Record, S, find_record, write_record
from mammostudy.runs.spec import KeyedSpec
from mammostudy.settings import workers as usual_workers


def keep_freed_memory() -> None:
    """Ask glibc, where it is the C library, to keep what is freed (manual, 3.2.3.7).

    It maps each block above 32 MiB anew: every step of training would pay for fresh zeroed pages.
    """
    if platform.system() == "Linux" and platform.libc_ver()[0] == "glibc":
        mallopt = ctypes.CDLL(None).mallopt
        for name, value in ((-4, 0), (-1, 2**31 - 1), (-2, 64 * 2**20)):
            mallopt(name, value)  # M_MMAP_MAX, M_TRIM_THRESHOLD, M_TOP_PAD


def execute(spec: S, *, progress: bool | None = None) -> Record[S]:
    """Run one spec and write its record; a second process asking for the same run waits."""
    cohort = load_cohort(spec.cohort)
    if spec.task is not None:
        require(cohort, spec.task)
    keep_freed_memory()
    with locked(spec.training_key(cohort.manifest_hash)):
        if record := find_record(spec, cohort.manifest_hash):
            return record
        started = time.monotonic()
        result = module_of(kind_of(spec)).run(spec, cohort, progress)
        content = record_content(spec, cohort, result, time.monotonic() - started)
        return write_record(content, result.rows, result.predictions, result.arrays)


def missing(specs: Iterable[KeyedSpec]) -> list[KeyedSpec]:
    """Return the specs without a record, each once, what a missing one works on before it."""
    manifest, found = cache(store.manifest_hash), dict[KeyedSpec, None]()

    def add(spec: KeyedSpec) -> None:
        if spec not in found and find_record(spec, manifest(spec.cohort)) is None:
            for run in spec.before:
                add(run)
            found[spec] = None

    for spec in specs:
        add(spec)
    return list(found)


def cannot_run(specs: Iterable[KeyedSpec]) -> dict[KeyedSpec, str]:
    """Return the specs without a record that this machine cannot make, each with the reason."""
    return {spec: spec.cannot_run for spec in missing(specs) if spec.cannot_run}


def _depth(spec: KeyedSpec) -> int:
    """Return how many runs stand one behind the other below this one."""
    return 1 + max((_depth(run) for run in spec.before), default=-1)


def ensure(
    specs: Sequence[S], *, workers: int | None = None, progress: bool | None = None
) -> list[Record[S]]:
    """Return the records of some specs in order, running those that have none.

    What they work on is made before them; a run that this machine cannot make is left out. One
    worker has all cores; more are processes of one thread each, by default one a core and at most
    four (about 1 GiB each). A DataError of a cohort that lacks something comes before any training.
    """
    absent = [spec for spec in missing(specs) if not spec.cannot_run]
    for name, task in dict.fromkeys((spec.cohort, spec.task) for spec in absent):
        if task is not None:
            require(load_cohort(name), task)
    for depth in sorted({_depth(spec) for spec in absent}):
        wave = [spec for spec in absent if _depth(spec) == depth]
        _run_all(wave, workers, progress)
    manifest = cache(store.manifest_hash)
    found = [find_record(spec, manifest(spec.cohort)) for spec in specs]
    return [record for record in found if record is not None]


def _run_all(specs: Sequence[KeyedSpec], workers: int | None, progress: bool | None) -> None:
    """Run specs that have no record, side by side (the longest first) or one after the other."""
    import torch

    from mammostudy.models.device import device

    hidden = None if progress is None else not progress
    workers = workers or usual_workers(alone=device().type != "cpu")
    if workers == 1:
        for spec in tqdm(specs, "runs", disable=hidden, leave=False):
            execute(spec, progress=progress)
        return
    longest = sorted(specs, key=lambda spec: KINDS[kind_of(spec)].cost(spec), reverse=True)
    context = multiprocessing.get_context("spawn")
    alone = torch.set_num_threads, (1,)  # one thread a process
    with ProcessPoolExecutor(workers, context, *alone) as pool:
        futures = [pool.submit(execute, spec, progress=False) for spec in longest]
        try:
            for future in tqdm(as_completed(futures), "runs", len(futures), disable=hidden):
                future.result()
        except BaseException:  # what has not begun is not begun; what runs is finished
            pool.shutdown(wait=False, cancel_futures=True)
            raise
