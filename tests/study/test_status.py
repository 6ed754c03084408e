"""What is counted of records, each run once."""

from types import SimpleNamespace

from mammostudy.study import status
from mammostudy.study.comparing import Runs


def record(state, converged):
    return SimpleNamespace(status=state, converged=converged, provenance={"seconds": 3600.0})


RECORDS = {
    "a": record("completed", None),
    "b": record("completed", False),
    "c": record("diverged", False),
}


def test_shared_runs_count_once_in_the_total(monkeypatch):
    def load(asked, preset, keys):
        groups = {(name,): runs for name, runs in asked.items()}
        found = {name: [RECORDS[k] for k in runs if k in RECORDS] for name, runs in groups.items()}
        return Runs(groups, (keys,), preset, found)

    asked = {"one": ["a", "b", "c"], "two": ["c", "d"]}  # d has no record
    monkeypatch.setattr(status, "by_chapter", lambda cohort, preset: asked)
    monkeypatch.setattr(status, "specs", lambda cohort, preset: ["a", "b", "c", "d"])
    monkeypatch.setattr(status.Runs, "load", load)
    table = status.counts("phantom", "quick").set_index("chapter")
    assert table.loc["one"].tolist() == [3, 3, 1, 1, 3.0]
    assert table.loc["two"].tolist() == [2, 1, 0, 1, 1.0]
    assert table.loc["all, each once"].tolist() == [4, 3, 1, 1, 3.0]
