"""From records to tidy tables: the rows of named runs, their summary, their comparison."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

import numpy as np
import pandas as pd

from mammostudy.evaluation.statistics import PairedTest, bootstrap_ci, paired_test
from mammostudy.runs.evaluate import COLUMNS
from mammostudy.runs.record import Record, find_record
from mammostudy.runs.spec import RunSpec
from mammostudy.study.recipes import preset as preset_of

PUBLISHED: Final = "close3+erode2+dilate3"
TRAINED_BY_PAGES: Final = ("smoke", "quick")
_SUMMARY: Final = (
    "metric",
    "mean",
    "low",
    "high",
    "median",
    "seed_sd",
    "cases",
    "patients",
    "seeds",
    "converged",
)
Named = Mapping[str, Sequence[RunSpec]]


def records_of(named: Named, preset: str) -> dict[str, list[Record]]:
    """Return the records of named runs.

    Small presets train what is missing; the others never train inside a page, and a run that has
    no record is absent from the result.

    Args:
        named: runs by the name a table gives them.
        preset: of the page.

    Raises:
        DataError: a run of a small preset is missing and its cohort is not at hand.
    """
    from mammostudy.runs.execute import ensure
    from mammostudy.runs.record import manifest_hash

    preset_of(preset)
    specs = [spec for listed in named.values() for spec in listed]
    if preset in TRAINED_BY_PAGES:
        ensure(specs)
    hashes = {cohort: manifest_hash(cohort) for cohort in {spec.cohort for spec in specs}}
    found = {
        name: [find_record(spec, hashes[spec.cohort]) for spec in listed]
        for name, listed in named.items()
    }
    return {name: [record for record in listed if record] for name, listed in found.items()}


def not_run(named: Named, found: Mapping[str, Sequence[Record]]) -> list[str]:
    """Return the names of rows with a run that has no record."""
    return [name for name, specs in named.items() if len(found.get(name, ())) < len(specs)]


def rows_of(found: Mapping[str, Sequence[Record]], *, part: str = "test") -> pd.DataFrame:
    """Stack the rows of records.

    Returns:
        The rows of :mod:`mammostudy.runs.evaluate` with ``row`` (the name), ``fold``, ``seed``,
        ``replicate`` (0 for a fold's first seed), ``status`` and ``converged``.
    """
    tables = []
    for name, records in found.items():
        first: dict[int, int] = {}
        for record in records:
            fold = record.spec.split.fold
            replicate = first.get(fold, -1) + 1
            first[fold] = replicate
            cases = record.cases
            tables.append(
                cases[cases["part"] == part].assign(
                    row=name,
                    fold=fold,
                    seed=record.spec.seed,
                    replicate=replicate,
                    status=record.status,
                    converged=record.converged,
                )
            )
    if not tables:
        return _no_rows()
    return pd.concat(tables, ignore_index=True)


def _no_rows() -> pd.DataFrame:
    """Return a table of no rows with every column, so that what did not run shows as absent."""
    words = ("part", "case", "patient", "site", "box", "postprocessing", "row", "status")
    named = (*COLUMNS, "row", "fold", "seed", "replicate", "status", "converged")
    types = {
        name: "object" if name in words or name == "converged" else "float64" for name in named
    }
    return pd.DataFrame({name: pd.Series(dtype=kind) for name, kind in types.items()})


def chosen(
    rows: pd.DataFrame, *, box: str = "oracle", postprocessing: str = "none"
) -> pd.DataFrame:
    """Return the rows of one kind of box and one post-processing."""
    return rows[(rows["box"] == box) & (rows["postprocessing"] == postprocessing)]


def summarise(
    rows: pd.DataFrame, metrics: Sequence[str] = ("dice", "iou"), by: Sequence[str] = ("row",)
) -> pd.DataFrame:
    """Summarise metrics by group, with 95 % bootstrap intervals over patients.

    The first seed of every fold counts; the spread over the first fold's seeds is a column of
    its own, so that the variance of seeds and of cases stay apart.

    Args:
        rows: from :func:`rows_of`, one row a case, fold and seed in each group.
        metrics: columns to summarise.
        by: columns that name the groups.

    Returns:
        A row a group and metric: mean, low, high, median, seed_sd (standard deviation of the
        first fold's means over seeds; NaN for one seed), cases, patients, seeds (0 without
        training), converged.
    """
    out = []
    for group, table in rows.groupby(list(by), sort=False, dropna=False):
        first = table[table["replicate"] == 0]
        names = dict(zip(by, group, strict=True))
        for metric in metrics:
            low, high = bootstrap_ci(first[metric].to_numpy(), first["patient"].to_numpy())
            seeds = table[table["fold"] == table["fold"].min()].groupby("seed")[metric].mean()
            out.append(
                names
                | {
                    "metric": metric,
                    "mean": first[metric].mean(),
                    "low": low,
                    "high": high,
                    "median": first[metric].median(),
                    "seed_sd": seeds.std() if len(seeds) > 1 else np.nan,
                    "cases": len(first),
                    "patients": first["patient"].nunique(),
                    "seeds": 0 if table["converged"].isna().all() else table["seed"].nunique(),
                    "converged": _all_converged(table["converged"]),
                }
            )
    return pd.DataFrame(out, columns=[*by, *_SUMMARY])


def _all_converged(flags: pd.Series) -> str:
    known = flags.dropna()
    if known.empty:
        return "no training"
    return "yes" if known.astype(bool).all() else "no"


def paired(rows: pd.DataFrame, a: str, b: str, metric: str) -> PairedTest:
    """Test row ``a`` against row ``b`` over patients, case by case, the first seed of each fold."""
    first = rows[rows["replicate"] == 0]
    wide = first.pivot_table(index=["case", "patient"], columns="row", values=metric)
    both = wide[[a, b]].dropna()
    patients = both.index.get_level_values("patient").to_numpy()
    return paired_test(both[a].to_numpy(), both[b].to_numpy(), patients)


def seed_differences(rows: pd.DataFrame, a: str, b: str, metric: str) -> pd.Series:
    """Return the mean difference ``a - b`` by fold and replicate: one value a pair of trainings."""
    wide = rows.pivot_table(index=["fold", "replicate", "case"], columns="row", values=metric)
    both = wide[[a, b]].dropna()
    return (both[a] - both[b]).groupby(["fold", "replicate"]).mean()


def published_name(postprocessing: str) -> str:
    """Name a post-processing for a table."""
    return {"none": "none", PUBLISHED: "as published"}.get(postprocessing, postprocessing)
