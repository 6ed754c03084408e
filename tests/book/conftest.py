"""Executed copies in ``book/pages``: read here as the smoke book left them, never made."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import nbformat
import pytest

from mammostudy.paths import store_root
from mammostudy.publishing.freshness import is_fresh, needs_of, page_key
from mammostudy.publishing.pages import Page

BUILD = "build the smoke book: MAMMOSTUDY_PRESET=smoke .venv/bin/jupyter-book build . --all"
ReadCopy = Callable[[Path, Page], nbformat.NotebookNode]


@pytest.fixture
def private_store() -> Path:
    """The project's own store, only looked at: the records that the pages were made from."""
    return store_root()


@pytest.fixture(scope="session")
def read_copy() -> ReadCopy:
    """Return ``read(root, page)``: the executed copy of a page, or a failure that says how to."""
    known: dict[tuple[Path, str], nbformat.NotebookNode] = {}

    def read(root: Path, page: Page) -> nbformat.NotebookNode:
        if (root, page.name) not in known:
            if fault := fault_of(root, page):
                pytest.fail(f"{page.executed}: {fault}; {BUILD}", pytrace=False)
            known[root, page.name] = nbformat.read(root / page.executed, as_version=4)
        return known[root, page.name]

    return read


def fault_of(root: Path, page: Page) -> str:
    """Say why the copy that lies there is not the one this project would make now, or nothing."""
    if not (root / page.executed).is_file():
        return "missing"
    made = nbformat.read(root / page.executed, as_version=4).metadata.get("study", {})
    if (parameters := dict(made.get("parameters", {}))) != dict(page.parameters):
        return f"executed with {parameters}, not with {dict(page.parameters)}"
    if not is_fresh(root, page, page_key(root, page, needs_of(page))):
        return "not of today's notebook, code and records, or of other data (MAMMOSTUDY_DATA)"
    return ""
