"""What a page stands on: its cohort's manifest, its runs, their records."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from types import ModuleType
from typing import Any, Protocol

from mammostudy.errors import BookError, MissingDataError
from mammostudy.publishing.pages import Page

_RECORD_FILES = ("record.json", "cases.csv")


class Spec(Protocol):
    """The part of :class:`mammostudy.runs.spec.RunSpec` that publishing uses."""

    @property
    def cohort(self) -> str:
        """Name of the cohort the run learns from."""
        ...

    def key(self, manifest_hash: str) -> str:
        """Return the run's key on a cohort of that content."""
        ...

    def recipe_key(self) -> str:
        """Return the run's key without the data."""
        ...

    def recipe_versions(self) -> dict[str, int]:
        """Return the recipe version of each component that makes the run's numbers."""
        ...

    @property
    def cannot_run(self) -> str:
        """Why this machine cannot make the run; empty where it can."""
        ...


@dataclass(frozen=True)
class Needs:
    """The inputs of a page that lie outside its notebook.

    Attributes:
        manifests: cohort -> hash of its manifest, None where its data are not here.
        notes: cohort -> why its data cannot be read here.
        specs: the runs the page shows.
        inputs: further files of the page -> hash, from the chapter's ``page_inputs``.
    """

    manifests: Mapping[str, str | None] = field(default_factory=dict)
    notes: Mapping[str, str] = field(default_factory=dict)
    specs: Sequence[Spec] = ()
    inputs: Mapping[str, str] = field(default_factory=dict)

    def key_of(self, spec: Spec) -> str:
        """Return the key of a run on the data at hand, or the one without data."""
        manifest = self.manifests[spec.cohort]
        return spec.recipe_key() if manifest is None else spec.key(manifest)

    def record_of(self, spec: Spec) -> Path | None:
        """Return the folder of a run's record, committed before local, or None without one."""
        from mammostudy.runs.store import find_record

        record = find_record(spec, self.manifests[spec.cohort])  # type: ignore[call-overload]
        return record.folder if record else None

    def records_digest(self) -> str:
        """Hash the content of the runs' records; a missing one counts as missing."""
        digest = hashlib.sha256()
        for spec in self.specs:
            folder = self.record_of(spec)
            digest.update(b"record" if folder else b"missing")
            for name in _RECORD_FILES if folder else ():
                digest.update((folder / name).read_bytes() if folder else b"")
        return digest.hexdigest()


def chapter_module(stem: str) -> ModuleType | None:
    """Import ``mammostudy.study.<stem>``, or return None where a chapter has no such module.

    Raises:
        BookError: the module is there and cannot be imported.
    """
    if module_file(stem, "study") is None:
        return None
    try:
        return import_module(f"mammostudy.study.{stem}")
    except ImportError as error:
        msg = f"mammostudy/study/{stem}.py cannot be imported: {error}"
        raise BookError(msg) from error


def module_file(stem: str, room: str) -> Path | None:
    """Return the source file of ``mammostudy.<room>.<stem>``, or None where there is none."""
    found = find_spec(f"mammostudy.{room}.{stem}")
    return Path(found.origin) if found and found.origin else None


@cache
def manifest_of(cohort: str) -> str:
    """Return the hash of a cohort's manifest; read once a process.

    Raises:
        DataError: the cohort is unknown or its data are missing.
    """
    from mammostudy.data import load_cohort

    return load_cohort(cohort).manifest_hash


def needs_of(page: Page) -> Needs:
    """Collect what a page stands on.

    Raises:
        DataError: a page that is not ``fixed`` shows a cohort whose data are missing.
        BookError: the chapter's module cannot be imported.
    """
    module = chapter_module(page.notebook)
    grid = getattr(module, "specs", None)
    specs: list[Spec] = list(grid(page.cohort, page.preset)) if grid and page.cohort else []
    manifests: dict[str, str | None] = {}
    notes: dict[str, str] = {}
    cohorts = [page.cohort] if page.cohort else []
    for cohort in dict.fromkeys([*cohorts, *(spec.cohort for spec in specs)]):
        try:
            manifests[cohort] = manifest_of(cohort)
        except MissingDataError as error:
            if not page.fixed:
                raise
            manifests[cohort], notes[cohort] = None, str(error)
    inputs: Mapping[str, str] = getattr(module, "page_inputs", dict)()
    return Needs(manifests, notes, specs, inputs)


def missing_specs(needs: Iterable[Needs]) -> list[Spec]:
    """Return the runs without a record, each once, in the order the pages ask for them."""
    found: dict[str, Spec] = {}
    for need in needs:
        for spec in need.specs:
            key = need.key_of(spec)
            if key not in found and need.record_of(spec) is None:
                found[key] = spec
    return list(found.values())


def train(specs: Sequence[Any]) -> None:
    """Make the records of ``specs`` with bars for progress; a failed run leaves a record of it."""
    from mammostudy.runs.execute import ensure

    ensure(specs, progress=True)
