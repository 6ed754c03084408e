"""From runs to rows, summaries and comparisons: the same columns and rules on every page.

A page names its runs (:class:`Runs`), summarises their rows by group (:func:`summarise`) and sets
groups against each other (:func:`compare`). A comparison that is not a mean of cases (a FROC, an
AUC) hands its numbers to :func:`judge`. Every comparison of the book therefore has one schema, one
verdict rule, one layout and one sentence (:mod:`mammostudy.figures.tables`).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Final, Literal, Self

import numpy as np
import pandas as pd

from mammostudy.data.descriptors import describe
from mammostudy.evaluation.statistics import bootstrap_ci, effect_size, holm, paired_test
from mammostudy.figures.tables import NOT_RUN
from mammostudy.runs.record import find_record
from mammostudy.runs.spec import COLUMNS

TRAINED_BY_PAGES: Final = ("smoke", "quick")
MARGIN: Final = 0.01
"""The smallest difference that matters where a page names no other."""
BESIDE: Final = ("cohort", "fold", "seed", "replicate", "status", "converged", "judged")
COMPARISON: Final = (
    "a", "b", "metric", "difference", "low", "high", "p", "p_holm", "masses", "patients",
    "trainings", "lowest", "highest", "smallest_detectable", "effect", "margin", "unsettled",
    "verdict",
)  # fmt: skip
SUMMARY: Final = (
    "metric", "mean", "low", "high", "median", "seed_sd", "masses", "patients", "trainings",
    "converged",
)  # fmt: skip
TESTED: Final = ("difference", "low", "high", "patients", "smallest_detectable")
"""What a comparison takes from the results of :mod:`mammostudy.evaluation` by their names."""
Group = tuple[Any, ...]


def is_judged(cohort: str, preset: str) -> bool:
    """Whether verdicts are given: not on phantoms, nor from smoke runs."""
    return preset != "smoke" and not describe(cohort).phantom


def every_run(*grids: Callable[[str, str], Mapping[Any, Sequence[Any]]]) -> Callable[..., Any]:
    """Return the function of cohort and preset that lists the runs of some grids, each once."""

    def specs(cohort: str, preset: str) -> list[Any]:
        found = [runs for grid in grids for runs in grid(cohort, preset).values()]
        return list(dict.fromkeys(spec for runs in found for spec in runs))

    return specs


@dataclass(frozen=True)
class Runs:
    """The runs of a page: those asked for, those on record, and the rows of their cases."""

    asked: Mapping[Group, Sequence[Any]]
    keys: tuple[str, ...]  # columns that name a group
    preset: str
    found: Mapping[Group, list[Any]] = field(default_factory=dict)

    @classmethod
    def load(cls, asked: Mapping[Any, Sequence[Any]], preset: str, keys: str = "row") -> Self:
        """Find the records of runs by group; small presets train what is missing first.

        A group is a name, or a tuple with a value for each of the ``keys``, parted by a space.
        """
        from mammostudy.runs.execute import ensure
        from mammostudy.runs.record import manifest_hash

        groups = {
            group if isinstance(group, tuple) else (group,): list(runs)
            for group, runs in asked.items()
        }
        every = [spec for runs in groups.values() for spec in runs]
        if preset in TRAINED_BY_PAGES:
            ensure(every)
        hashes = {name: manifest_hash(name) for name in {spec.cohort for spec in every}}
        found = {
            group: [r for spec in runs if (r := find_record(spec, hashes[spec.cohort]))]
            for group, runs in groups.items()
        }
        return cls(groups, tuple(keys.split()), preset, found)

    @property
    def missing(self) -> list[str]:
        """Groups with a run that has no record."""
        short = [group for group, runs in self.asked.items() if len(self.found[group]) < len(runs)]
        return [", ".join(map(str, group)) for group in short]

    @property
    def note(self) -> str:
        """Say which groups have runs without a record; empty where all were run."""
        return f"Not run, and left out: {'; '.join(self.missing)}." if self.missing else ""

    def of(self, *group: object) -> list[Any]:
        """Return the records of a group; none where it was not asked for."""
        return list(self.found.get(group, ()))

    def first(self, *group: object) -> Any | None:
        """Return the first record of a group, or None."""
        return next(iter(self.of(*group)), None)

    def _named(self, group: Group) -> dict[str, Any]:
        return dict(zip(self.keys, group, strict=True))

    @cached_property
    def rows(self) -> pd.DataFrame:
        """The rows of all records, with the group's keys and :data:`BESIDE`.

        ``replicate`` counts the trainings of a group and fold from 0. ``judged`` is False for
        phantoms and the preset ``smoke``: no verdict is given there.
        """
        parts = [pd.DataFrame(columns=[*COLUMNS, *self.keys, *BESIDE])]
        for group, listed in self.found.items():
            seen: Counter[int] = Counter()
            for record in listed:
                spec, fold = record.spec, record.spec.split.fold
                rows = record.cases.assign(
                    **self._named(group),
                    cohort=spec.cohort,
                    fold=fold,
                    seed=getattr(spec, "seed", 0),
                    replicate=seen[fold],
                    status=record.status,
                    converged=record.converged,
                    judged=is_judged(spec.cohort, self.preset),
                )
                parts.append(rows)
                seen[fold] += 1
        return pd.concat(parts[1:] or parts, ignore_index=True)

    def test(self, **where: object) -> pd.DataFrame:
        """Return the test rows on known boxes before post-processing, or those asked for.

        ``where`` gives the value of a column; None lifts the condition on it.
        """
        wanted = {"part": "test", "box": "oracle", "postprocessing": "none"} | where
        keep = pd.Series(True, index=self.rows.index)
        for column, value in wanted.items():
            if value is not None and column in self.rows:
                keep &= self.rows[column] == value
        return pd.DataFrame(self.rows[keep])

    def trainings(self, metric: str = "validation_dice") -> pd.DataFrame:
        """Return how the trainings of each group went, a line a group that trains.

        Validation is that of the first training; processor minutes are missing where no record
        tells them.
        """
        return pd.DataFrame(
            self._named(group) | _training_line(self.of(*group), metric)
            for group, runs in self.asked.items()
            if not (runs and getattr(runs[0], "is_baseline", False))
        )


def _training_line(listed: Sequence[Any], metric: str) -> dict[str, object]:
    if not listed:
        return {"trainings": 0, "status": NOT_RUN}
    curve = listed[0].curves
    seen = curve[metric].dropna() if metric in curve else pd.Series(dtype=float)
    seconds = [record.provenance.get("training_cpu_seconds") for record in listed]
    known = [each for each in seconds if each is not None]
    return {
        "trainings": len(listed),
        "iterations": int(curve["iteration"].max()) if "iteration" in curve else 0,
        "status": ", ".join(dict.fromkeys(record.status for record in listed)),
        "converged": f"{sum(r.converged is True for r in listed)} of {len(listed)}",
        "best validation": seen.max(),
        "last validation": seen.iloc[-1] if len(seen) else np.nan,
        "processor minutes": float(np.mean(known)) / 60 if known else np.nan,
    }


def unsettled(rows: pd.DataFrame, by: str) -> list[str]:
    """Return the groups with a training that had not converged."""
    flags = rows.groupby(by, sort=False)["converged"]
    return [str(name) for name, each in flags if each.eq(False).any()]


def summarise(
    rows: pd.DataFrame,
    metrics: Iterable[str] = ("dice", "iou"),
    by: Sequence[str] = ("row",),
    over: Literal["first", "all"] = "first",
) -> pd.DataFrame:
    """Summarise metrics by group, with 95 % bootstrap intervals over patients.

    ``over`` is ``first`` (the first training of every fold) or ``all`` (the mean of the trainings).
    A row a group and metric with the columns :data:`SUMMARY`; ``seed_sd`` is of the first fold's
    means over seeds, ``converged`` is yes, no, or ``no training``.
    """
    metrics, lines = list(metrics), []
    for group, part in rows.groupby(list(by), sort=False, dropna=False):
        used = part if over == "all" else part[part["replicate"] == 0]
        if over == "all":
            used = used.groupby(["case", "patient"], sort=False)[metrics].mean().reset_index()
        known = part["converged"].dropna()
        settled = "no training" if known.empty else "yes" if known.astype(bool).all() else "no"
        counts = {
            "masses": len(used),
            "patients": used["patient"].nunique(),
            "trainings": 0 if known.empty else len(part[["fold", "seed"]].drop_duplicates()),
            "converged": settled,
        }
        seeds = part[part["fold"] == part["fold"].min()].groupby("seed")
        for metric in metrics:
            low, high = bootstrap_ci(used[metric].to_numpy(), used["patient"].to_numpy())
            line = dict(zip(by, group, strict=True)) | {"metric": metric, "low": low, "high": high}
            line |= {"mean": used[metric].mean(), "median": used[metric].median()}
            lines.append(line | counts | {"seed_sd": seeds[metric].mean().std()})
    return pd.DataFrame(lines, columns=[*by, *SUMMARY])


def paired(rows: pd.DataFrame, a: object, b: object, metric: str, by: str = "row") -> pd.DataFrame:
    """Return both scores of every case and training that two groups share: columns a and b."""
    chosen = rows[rows[by].isin([a, b])]
    keys = ["fold", "replicate", "case", "patient"]
    wide = chosen.pivot_table(index=keys, columns=by, values=metric, sort=False)
    return wide.reindex(columns=[a, b]).dropna().set_axis(["a", "b"], axis=1).reset_index()


def compare(
    rows: pd.DataFrame,
    pairs: Iterable[tuple[Any, Any]],
    metric: str = "dice",
    by: str | Sequence[str] = "row",
    margin: float = MARGIN,
    over: Literal["first", "all"] = "first",
) -> pd.DataFrame:
    """Set groups against each other, paired case by case, each patient counting once.

    A row with the columns :data:`COMPARISON` for each pair ``a`` less ``b`` that is on record. A
    group is named by a column, or by the values of several, joined by a comma.
    """
    if not isinstance(by, str):
        words = rows[list(by)].astype(str)
        rows, by = rows.assign(cell=words[by[0]].str.cat(words[list(by[1:])], ", ")), "cell"
    lines = []
    for a, b in pairs:
        both = paired(rows, a, b, metric, by)
        if both.empty:
            continue
        used = both if over == "all" else both[both["replicate"] == 0]
        one = used.groupby(["case", "patient"], sort=False)[["a", "b"]].mean().reset_index()
        scores = one["a"].to_numpy(), one["b"].to_numpy(), one["patient"].to_numpy()
        test = paired_test(*scores)
        each = (both["a"] - both["b"]).groupby([both["fold"], both["replicate"]]).mean()
        line = {"a": a, "b": b, "metric": metric, "p": test.p_permutation, "masses": len(one)}
        line |= {name: getattr(test, name) for name in TESTED}
        line |= {"trainings": len(each), "lowest": each.min(), "highest": each.max()}
        line["effect"] = effect_size(*scores)
        line["unsettled"] = ", ".join(unsettled(rows[rows[by].isin([a, b])], by))
        lines.append(line)
    return judge(lines, margin, judged="judged" not in rows or bool(rows["judged"].all()))


def judge(
    lines: Sequence[Mapping[Any, Any]], margin: float = MARGIN, *, judged: bool = True
) -> pd.DataFrame:
    """Make comparisons of one family a table: Holm's correction, and the verdict of each.

    Of a line a, b, difference, low, high and p must be known, of :data:`COMPARISON`.
    """
    table = pd.DataFrame(list(lines)).reindex(columns=list(COMPARISON))
    if table.empty:
        return table
    table["p_holm"] = holm(table["p"])
    table["margin"] = margin
    table["unsettled"] = table["unsettled"].fillna("")
    table["verdict"] = [verdict(line) if judged else "not judged" for _, line in table.iterrows()]
    return table


def verdict(line: pd.Series | Mapping[str, Any]) -> str:
    """Judge one comparison: better, worse, alike or undecided, the first that holds in this order.

    Undecided where a training had not converged; alike where the whole interval lies within the
    margin; better (worse) where it lies above (below) 0 and Holm's p is below 0.05; else undecided.
    """
    if line["unsettled"]:
        return "undecided"
    if -line["margin"] < line["low"] and line["high"] < line["margin"]:
        return "alike"
    if line["p_holm"] < 0.05 and line["low"] > 0:
        return "better"
    if line["p_holm"] < 0.05 and line["high"] < 0:
        return "worse"
    return "undecided"
