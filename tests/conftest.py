"""Shared fixtures: a private store for every test session, and the real data where it is found."""

from __future__ import annotations

import os
from pathlib import Path

import pytest


@pytest.fixture(autouse=True)
def private_store(
    tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> Path:
    """Send records, caches and phantoms of the tests to a folder of their own."""
    store = tmp_path_factory.getbasetemp() / "store"
    monkeypatch.setenv("MAMMOSTUDY_STORE", str(store))
    return store


@pytest.fixture
def real_data() -> Path:
    """The folder of real cohorts that ``MAMMOSTUDY_DATA`` names; skips where there is none."""
    root = os.environ.get("MAMMOSTUDY_DATA")
    if not root or not Path(root).is_dir():
        pytest.skip("MAMMOSTUDY_DATA does not name a folder of real cohorts")
    return Path(root)
