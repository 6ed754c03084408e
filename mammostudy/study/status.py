"""Status of the study: which runs there are, how they ended, where and when they were made."""

from __future__ import annotations

from importlib import import_module
from typing import Any

import pandas as pd

from mammostudy.data.descriptors import describe
from mammostudy.runs.record import records
from mammostudy.study.chapters import CHAPTERS, unfit
from mammostudy.study.comparing import Runs, every_run


def by_chapter(cohort: str, preset: str) -> dict[str, list[Any]]:
    """Return the runs of each chapter that the cohort can serve; chapters share runs."""
    faults, room = unfit(cohort), "mammostudy.study."
    grids = {name: import_module(room + name).specs for name in CHAPTERS if name not in faults}
    return {name: list(dict.fromkeys(grid(cohort, preset))) for name, grid in grids.items()}


specs = every_run(by_chapter)


def counts(cohort: str, preset: str) -> pd.DataFrame:
    """Count the runs of each chapter by how they ended, with the hours of whole runs by clock."""
    asked = by_chapter(cohort, preset)
    runs = Runs.load(asked | {"all, each once": specs(cohort, preset)}, preset, "chapter")
    return pd.DataFrame(
        {
            "chapter": name,
            "runs": len(runs.asked[name,]),
            "on record": len(found),
            "not converged": sum(r.converged is False and r.status == "completed" for r in found),
            "diverged": sum(r.status == "diverged" for r in found),
            "hours": sum(float(r.provenance["seconds"]) for r in found) / 3600,
        }
        for (name,), found in runs.found.items()
    )


def origins(cohort: str, preset: str) -> pd.DataFrame:
    """Count the records of all cohorts behind a page's by the code and machine that made them."""
    named = {cohort, describe(cohort).views, describe(cohort).shapes}
    named |= {spec.cohort for spec in specs(cohort, preset)}
    keys = ["cohort", "commit", "python", "torch", "cores"]
    lines = []
    for name in sorted(named):
        for record in records(name):
            made = record.provenance
            place = (made["python"], made["versions"]["torch"], made["machine"]["cores"])
            lines.append((name, made["commit"], *place, made["finished"]))
    table = pd.DataFrame(lines, columns=[*keys, "finished"])
    counted = table.groupby(keys)["finished"].agg(["size", "max"]).reset_index()
    return counted.rename(columns={"size": "records", "max": "last finished"})
