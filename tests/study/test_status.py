from __future__ import annotations

from types import SimpleNamespace

import pandas as pd
import pytest

from mammostudy.study import status


def _record(key, *, state="completed", converged=True, commit="abc", finished="2026-01-01"):
    machine = {"python": "3.11", "versions": {"torch": "2"}, "machine": {"cores": 2}}
    provenance = machine | {"commit": commit, "finished": finished, "seconds": 60.0}
    return SimpleNamespace(key=key, status=state, converged=converged, provenance=provenance)


@pytest.fixture
def two_chapters(monkeypatch):
    """Chapter ``one`` asks for runs a, b, c; ``two`` for c and d, which has no record."""
    records = {
        "a": _record("a", converged=None),
        "b": _record("b", converged=False, commit="old", finished="2025-01-01"),
        "c": _record("c", state="diverged", converged=False),
    }
    asked = {"one": ["a", "b", "c"], "two": ["c", "d"]}
    found = {name: [records[k] for k in keys if k in records] for name, keys in asked.items()}
    monkeypatch.setattr(status, "by_chapter", lambda cohort, preset: asked)
    monkeypatch.setattr(status.tables, "records_of", lambda named, preset: found)
    monkeypatch.setattr(status, "records", lambda cohort: iter(records.values()))


@pytest.mark.usefixtures("two_chapters")
def test_shared_runs_count_once_in_the_total():
    table = status.runs("phantom", "quick").set_index("chapter")
    columns = ["runs", "on record", "not converged", "diverged", "minutes"]
    assert table.loc["one", columns].tolist() == [3, 3, 1, 1, 3.0]
    assert table.loc["two", columns].tolist() == [2, 1, 0, 1, 1.0]
    assert table.loc["all, each once", columns].tolist() == [4, 3, 1, 1, 3.0]


@pytest.mark.usefixtures("two_chapters")
def test_records_are_counted_by_origin():
    table = status.origins(["phantom"]).set_index("commit")
    assert table["records"].to_dict() == {"abc": 2, "old": 1}
    assert table.loc["old", "last finished"] == "2025-01-01"


def test_no_records_make_an_empty_table(monkeypatch):
    monkeypatch.setattr(status, "records", lambda cohort: iter(()))
    assert len(status.origins(["phantom"])) == 0


def test_every_chapter_has_a_grid(monkeypatch):
    known = pd.Series(["HER-2"], index=["a"], name="subtype")
    monkeypatch.setattr("mammostudy.study.subtypes.subtypes_of", lambda cohort: known)
    grids = status.by_chapter("phantom", "smoke")
    assert set(grids) == set(status.CHAPTERS)
    assert all(grids[name] for name in ("shapes", "roc", "subtypes", "claims"))
    assert len(status.specs("phantom", "smoke")) == len(set().union(*map(set, grids.values())))
