"""What is counted of records, each run once."""

from types import SimpleNamespace

import pytest

from mammostudy.study import status
from mammostudy.study.comparing import Runs


def record(state="completed", converged=True, commit="abc", finished="2026-01-01"):
    made = {"python": "3.11", "versions": {"torch": "2"}, "machine": {"cores": 2}}
    made |= {"commit": commit, "finished": finished, "seconds": 3600.0}
    return SimpleNamespace(status=state, converged=converged, provenance=made)


RECORDS = {
    "a": record(converged=None),
    "b": record(converged=False, commit="old", finished="2025-01-01"),
    "c": record("diverged", converged=False),
}


def test_shared_runs_count_once_in_the_total(monkeypatch):
    def load(asked, preset, keys):
        groups = {(name,): runs for name, runs in asked.items()}
        found = {name: [RECORDS[k] for k in runs if k in RECORDS] for name, runs in groups.items()}
        return Runs(groups, (keys,), preset, found)

    asked = {"one": ["a", "b", "c"], "two": ["c", "d"]}  # d has no record
    monkeypatch.setattr(status, "by_chapter", lambda cohort, preset: asked)
    monkeypatch.setattr(status.Runs, "load", load)
    table = status.counts("phantom", "quick").set_index("chapter")
    assert list(table) == ["runs", "on record", "not converged", "diverged", "hours"]
    assert table.loc["one"].tolist() == [3, 3, 1, 1, 3.0]
    assert table.loc["two"].tolist() == [2, 1, 0, 1, 1.0]
    assert table.loc["all, each once"].tolist() == [4, 3, 1, 1, 3.0]


@pytest.mark.parametrize(("known", "counted"), [(RECORDS, {"abc": 2, "old": 1}), ({}, {})])
def test_records_are_counted_by_origin(monkeypatch, known, counted):
    monkeypatch.setattr(status, "specs", lambda cohort, preset: [])
    monkeypatch.setattr(status, "records", lambda cohort: iter(known.values()))
    table = status.origins("phantom", "quick")
    assert table.groupby("commit")["records"].first().to_dict() == counted
