"""When a page is run again: what it stands on, and its key against that of its executed copy."""

from __future__ import annotations

import ast
import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Final

from IPython.core.inputtransformer2 import TransformerManager

from mammostudy.data.descriptors import describe
from mammostudy.data.load import load_cohort
from mammostudy.errors import MissingDataError
from mammostudy.publishing.execute import read_template
from mammostudy.publishing.pages import Page, read_claims_text
from mammostudy.runs.record import Record, find_record
from mammostudy.runs.spec import KeyedSpec

CLAIMS = ("claims", "shapes")  # the chapters that judge claims of study.yaml
RUNNER_VERSION = 1  # raise when execution changes what a copy holds
TABLES: Final = "mammostudy.study.published"  # reads the tables beside it
ROOMS: Final = ("mammostudy.study", "mammostudy.figures", "mammostudy.evaluation")


@dataclass(frozen=True)
class Needs:
    """The inputs of a page that lie outside its notebook."""

    manifests: Mapping[str, str | None]  # cohort -> its manifest's hash, None without its data
    specs: Sequence[KeyedSpec]  # the runs that the page shows
    inputs: Mapping[str, str]  # further files -> hash, from the chapter's page_inputs

    def key_of(self, spec: KeyedSpec) -> str:
        """Return the key of a run on the data at hand, or the one without data."""
        manifest = self.manifests[spec.cohort]
        return spec.recipe_key() if manifest is None else spec.key(manifest)

    def record_of(self, spec: KeyedSpec) -> Record | None:
        """Return a run's record, a committed one first, or None without one."""
        return find_record(spec, self.manifests[spec.cohort])

    def records_digest(self) -> str:
        """Hash the content of the runs' records; a missing one counts as missing."""
        digest = hashlib.sha256()
        for spec in self.specs:
            record = self.record_of(spec)
            digest.update(b"missing" if record is None else b"record")
            if record is not None:
                for path in (record.folder / "record.json", record.rows_path):
                    digest.update(path.read_bytes())
        return digest.hexdigest()


@cache
def manifest_of(cohort: str) -> str:
    """Return the hash of a cohort's manifest; read once a process."""
    return load_cohort(cohort).manifest_hash


def needs_of(page: Page) -> Needs:
    """Collect what a page stands on; DataError without data of a page that is not ``fixed``."""
    name = f"mammostudy.study.{page.notebook}"
    module = import_module(name) if find_spec(name) else None
    grid = getattr(module, "specs", None)
    specs: list[KeyedSpec] = list(grid(page.cohort, page.preset)) if grid and page.cohort else []
    manifests: dict[str, str | None] = {}
    cohorts = [page.cohort] if page.cohort else []
    for cohort in dict.fromkeys([*cohorts, *(spec.cohort for spec in specs)]):
        try:
            manifests[cohort] = manifest_of(cohort)
        except MissingDataError:
            if not page.fixed:
                raise
            manifests[cohort] = None
    inputs: Mapping[str, str] = getattr(module, "page_inputs", dict)()
    return Needs(manifests, specs, inputs)


def missing_specs(needs: Iterable[Needs]) -> list[KeyedSpec]:
    """Return the runs without a record, each once, in the order the pages ask for them."""
    found: dict[str, KeyedSpec] = {}
    for need in needs:
        for spec in need.specs:
            key = need.key_of(spec)
            if key not in found and need.record_of(spec) is None:
                found[key] = spec
    return list(found.values())


def page_key(root: Path, page: Page, needs: Needs) -> str:
    """Hash all that can change a page; versions of packages and commits do not count."""
    template = read_template(root, page)
    code = [cell.source for cell in template.cells if cell.cell_type == "code"]
    parts: dict[str, Any] = {
        "runner": RUNNER_VERSION,
        "page": page.name,
        "cells": [[cell.cell_type, cell.source, cell.metadata] for cell in template.cells],
        "parameters": sorted(page.parameters.items()),
        "manifests": sorted(needs.manifests.items()),
        "runs": [needs.key_of(spec) for spec in needs.specs],
        "records": needs.records_digest(),
        "inputs": sorted(needs.inputs.items()),
        "code": code_digest(code),
        "claims": read_claims_text(root) if page.notebook in CLAIMS else None,
        "title": describe(page.cohort).title if page.cohort else None,
    }
    text = json.dumps(parts, sort_keys=True, default=str)
    return hashlib.sha256(text.encode()).hexdigest()


def code_digest(sources: Iterable[str]) -> str:
    """Hash the code that some cells import, through other modules of :data:`ROOMS`, too."""
    found: dict[str, str] = {}
    plain = TransformerManager().transform_cell  # magics are no Python
    waiting = [name for source in sources for name in _imported(ast.parse(plain(source)))]
    while waiting:
        name = waiting.pop()
        if name in found or not name.startswith(ROOMS):
            continue
        found[name], further = _module(name)
        waiting += further
    return hashlib.sha256(json.dumps(sorted(found.items())).encode()).hexdigest()


@cache
def _module(name: str) -> tuple[str, tuple[str, ...]]:
    """Return the code of a module as text, and the names that it imports."""
    found = find_spec(name)
    if found is None or found.origin is None:
        return "none", ()
    tree = ast.parse(Path(found.origin).read_text(encoding="utf-8"))
    for node in ast.walk(tree):
        body = getattr(node, "body", None)
        if isinstance(body, list):
            node.body = [line for line in body if not _is_text(line)]  # type: ignore[attr-defined]
    tables = sorted(Path(found.origin).parent.glob("tables/*.csv")) if name == TABLES else []
    code = [ast.dump(tree), *(table.read_text(encoding="utf-8") for table in tables)]
    return "".join(code), tuple(_imported(tree))


def _is_text(node: ast.AST) -> bool:
    return isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)


def _imported(tree: ast.AST) -> list[str]:
    """Return the modules that code imports, wherever in it."""
    names = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names += [each.name for each in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module:
            inner = [f"{node.module}.{each.name}" for each in node.names]
            names += [node.module, *(name for name in inner if _is_module(name))]
    return names


@cache
def _is_module(name: str) -> bool:
    if not name.startswith(ROOMS):
        return False
    try:
        return find_spec(name) is not None
    except ModuleNotFoundError:  # a class or function of a module
        return False


def is_fresh(root: Path, page: Page, key: str) -> bool:
    """Return True if the executed copy of a page was made with ``key``."""
    try:
        content = json.loads((root / page.executed).read_text(encoding="utf-8"))
        return bool(content["metadata"]["study"]["key"] == key)
    except (OSError, ValueError, LookupError, TypeError, RecursionError):
        return False
