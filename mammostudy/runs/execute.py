"""Runs from spec to record: what is missing is trained once, and a killed run resumes."""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence
from concurrent.futures.process import BrokenProcessPool
from contextlib import closing
from functools import cache

from tqdm.auto import tqdm

from mammostudy.data.cache import locked
from mammostudy.data.cohort import require
from mammostudy.data.load import load_cohort
from mammostudy.errors import StudyError
from mammostudy.runs import record as store
from mammostudy.runs.kinds import KINDS, kind_of, module_of
from mammostudy.runs.provenance import record_content
from mammostudy.runs.record import Record, S, find_record, write_record
from mammostudy.runs.spec import KeyedSpec
from mammostudy.runs.workers import side_by_side
from mammostudy.settings import workers as usual_workers


def execute(spec: S, *, progress: bool | None = None) -> Record[S]:
    """Run one spec and write its record; a second process asking for the same run waits."""
    from mammostudy.models.quick_layers import keep_freed_memory

    cohort = load_cohort(spec.cohort)
    require(cohort, spec.needs)
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


def ensure(
    specs: Sequence[S], *, workers: int | None = None, progress: bool | None = None
) -> list[Record[S]]:
    """Return the records of some specs in order, running those that have none.

    What they work on is made before them; a run that this machine cannot make is left out. One
    worker has all cores; more are processes of one thread each, by default one a core and at most
    four (about 1 GiB each). A DataError of a cohort that lacks something comes before any training;
    a run whose process was killed costs what works on it alone, and is named at the end.
    """
    absent = dict.fromkeys(spec for spec in missing(specs) if not spec.cannot_run)
    for name, task in dict.fromkeys((spec.cohort, spec.needs) for spec in absent):
        require(load_cohort(name), task)
    lost: dict[KeyedSpec, str] = {}
    while absent:
        wave = [spec for spec in absent if absent.keys().isdisjoint(spec.before)]
        absent = {spec: None for spec in absent if spec not in wave}
        above = [spec for spec in wave if not lost.keys().isdisjoint(spec.before)]
        lost |= dict.fromkeys(above, "not begun: it works on one of the others")
        lost |= _run_all([spec for spec in wave if spec not in lost], workers, progress)
    if lost:
        told = "".join(f"\n  {spec.label}: {why}" for spec, why in lost.items())
        mend = "all others are made; where memory was short, --workers 1 makes these"
        raise StudyError(f"{len(lost)} run(s) have no record; {mend}:{told}")
    manifest = cache(store.manifest_hash)
    found = [find_record(spec, manifest(spec.cohort)) for spec in specs]
    return [record for record in found if record is not None]


def _run_all(
    specs: Sequence[KeyedSpec], workers: int | None, progress: bool | None
) -> dict[KeyedSpec, str]:
    """Run specs, side by side (the longest first) or in turn; return those that were killed."""
    from mammostudy.models.device import device

    hidden = None if progress is None else not progress
    workers = workers or usual_workers(alone=device().type != "cpu")
    if workers == 1:
        for spec in tqdm(specs, "runs", disable=hidden, leave=False):
            execute(spec, progress=progress)
        return {}
    longest = sorted(specs, key=lambda spec: KINDS[kind_of(spec)].cost(spec), reverse=True)
    lost = {}
    with closing(side_by_side(_alone, [(spec,) for spec in longest], workers)) as done:
        for (spec,), error in tqdm(done, "runs", len(specs), disable=hidden):
            if isinstance(error, BrokenProcessPool):
                lost[spec] = str(error)
            elif error:
                raise error
    return lost


def _alone(spec: KeyedSpec) -> None:
    """Run one spec on one thread, as one of several processes does."""
    import torch

    torch.set_num_threads(1)
    execute(spec, progress=False)
