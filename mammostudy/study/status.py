"""Status of the study: which runs there are, how they ended, where and when they were made."""

from __future__ import annotations

from collections.abc import Iterable
from importlib import import_module
from typing import cast

import pandas as pd

from mammostudy.runs.store import AnyRecord, Spec, records
from mammostudy.study import shape_recipes, tables
from mammostudy.study.chapters import CHAPTERS


def by_chapter(cohort: str, preset: str) -> dict[str, list[Spec]]:
    """Return the runs of each chapter; chapters share runs."""
    grids = {name: import_module(f"mammostudy.study.{name}").specs for name in CHAPTERS}
    return {name: list(dict.fromkeys(grid(cohort, preset))) for name, grid in grids.items()}


def specs(cohort: str, preset: str) -> list[Spec]:
    """Return the runs of all chapters, each once."""
    listed = by_chapter(cohort, preset).values()
    return list(dict.fromkeys(spec for chapter in listed for spec in chapter))


def runs(cohort: str, preset: str) -> pd.DataFrame:
    """Count the runs of each chapter by how they ended.

    Returns:
        ``chapter``, ``runs``, ``on record``, ``not converged``, ``diverged``, ``minutes``.
    """
    found = tables.records_of(cast(tables.Named, by_chapter(cohort, preset)), preset)
    rows = []
    for chapter, asked in by_chapter(cohort, preset).items():
        rows.append({"chapter": chapter, "runs": len(asked), **_ended(found[chapter])})
    every = {record.key: record for listed in found.values() for record in listed}
    total = {"chapter": "all, each once", "runs": len(specs(cohort, preset))}
    return pd.DataFrame([*rows, total | _ended(every.values())])


def _ended(found: Iterable[AnyRecord]) -> dict[str, float]:
    listed = list(found)
    return {
        "on record": len(listed),
        "not converged": sum(r.converged is False and r.status == "completed" for r in listed),
        "diverged": sum(r.status == "diverged" for r in listed),
        "minutes": sum(float(r.provenance["seconds"]) for r in listed) / 60,
    }


def cohorts_of(cohort: str) -> list[str]:
    """Return the cohorts whose records stand behind the pages of one: itself, and its shapes."""
    return list(dict.fromkeys([cohort, shape_recipes.shape_cohort(cohort)]))


def origins(cohorts: Iterable[str]) -> pd.DataFrame:
    """Count the records of some cohorts by the code, packages and machine that made them.

    Returns:
        ``cohort``, ``commit``, ``python``, ``torch``, ``cores``, ``records``, ``last finished``.
    """
    rows = [
        {
            "cohort": cohort,
            "commit": record.provenance["commit"],
            "python": record.provenance["python"],
            "torch": record.provenance["versions"]["torch"],
            "cores": record.provenance["machine"]["cores"],
            "finished": record.provenance["finished"],
        }
        for cohort in cohorts
        for record in records(cohort)
    ]
    names = ["cohort", "commit", "python", "torch", "cores"]
    if not rows:
        return pd.DataFrame(columns=[*names, "records", "last finished"])
    grouped = pd.DataFrame(rows).groupby(names, sort=True)["finished"]
    counted = grouped.agg(["size", "max"]).reset_index()
    return counted.rename(columns={"size": "records", "max": "last finished"})
