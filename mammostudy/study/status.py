"""Status of the study: which runs there are, how they ended, where and when they were made."""

from __future__ import annotations

from collections.abc import Iterable
from importlib import import_module
from typing import Any

import pandas as pd

from mammostudy.data.descriptors import describe
from mammostudy.runs.record import records
from mammostudy.study.chapters import CHAPTERS
from mammostudy.study.comparing import Runs


def by_chapter(cohort: str, preset: str) -> dict[str, list[Any]]:
    """Return the runs of each chapter; chapters share runs."""
    grids = {name: import_module(f"mammostudy.study.{name}").specs for name in CHAPTERS}
    return {name: list(dict.fromkeys(grid(cohort, preset))) for name, grid in grids.items()}


def specs(cohort: str, preset: str) -> list[Any]:
    """Return the runs of all chapters, each once."""
    listed = by_chapter(cohort, preset).values()
    return list(dict.fromkeys(spec for chapter in listed for spec in chapter))


def counts(cohort: str, preset: str) -> pd.DataFrame:
    """Count the runs of each chapter by how they ended.

    chapter, runs, on record, not converged, diverged, hours (of the whole runs, by the clock).
    """
    runs = Runs.load(by_chapter(cohort, preset), preset, "chapter")
    lines = [_ended(name, runs.asked[name,], runs.of(name)) for (name,) in runs.asked]
    every = {record.key: record for listed in runs.found.values() for record in listed}
    lines.append(_ended("all, each once", specs(cohort, preset), list(every.values())))
    return pd.DataFrame(lines)


def _ended(chapter: str, asked: Iterable[Any], found: list[Any]) -> dict[str, object]:
    return {
        "chapter": chapter,
        "runs": len(list(asked)),
        "on record": len(found),
        "not converged": sum(r.converged is False and r.status == "completed" for r in found),
        "diverged": sum(r.status == "diverged" for r in found),
        "hours": sum(float(r.provenance["seconds"]) for r in found) / 3600,
    }


def origins(cohort: str, preset: str) -> pd.DataFrame:
    """Count the records of all cohorts behind a page's by the code and machine that made them.

    cohort, commit, python, torch, cores, records, last finished.
    """
    named = {cohort, describe(cohort).views, describe(cohort).shapes}
    named |= {spec.cohort for spec in specs(cohort, preset)}
    lines = [
        {
            "cohort": name,
            "commit": record.provenance["commit"],
            "python": record.provenance["python"],
            "torch": record.provenance["versions"]["torch"],
            "cores": record.provenance["machine"]["cores"],
            "finished": record.provenance["finished"],
        }
        for name in sorted(named)
        for record in records(name)
    ]
    keys = ["cohort", "commit", "python", "torch", "cores"]
    if not lines:
        return pd.DataFrame(columns=[*keys, "records", "last finished"])
    counted = pd.DataFrame(lines).groupby(keys)["finished"].agg(["size", "max"]).reset_index()
    return counted.rename(columns={"size": "records", "max": "last finished"})
