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
from typing import Any, Final, Self, cast

import numpy as np
import pandas as pd

from mammostudy.data.descriptors import describe
from mammostudy.evaluation.statistics import CrossedTest, crossed_test, effect_size, holm
from mammostudy.figures.tables import NOT_RUN, cell
from mammostudy.runs.kinds import kind_of
from mammostudy.runs.record import find_record
from mammostudy.runs.spec import COLUMNS
from mammostudy.study.found import AT_ONE, found_rows
from mammostudy.study.recipes import fades, longer

TRAINED_BY_PAGES: Final = ("smoke", "quick")
GAIN: Final = {"segmentation": 0.005, "detection": 0.02}
SEEDS: Final = 3
"""Converged is what gains less by twice the training, in the mean of so many seeds: of Dice, or of
the sensitivity at 1 false positive a view, on validation."""
MARGIN: Final = 0.01
"""The smallest difference that matters where a page names no other."""
BESIDE: Final = ("cohort", "fold", "seed", "replicate", "status", "converged", "judged")
COMPARISON: Final = (
    "a", "b", "metric", "difference", "low", "high", "p", "p_holm", "masses", "patients",
    "trainings", "lowest", "highest", "smallest_detectable", "effect", "margin", "unsettled",
    "verdict",
)  # fmt: skip
SUMMARY: Final = (
    "metric", "mean", "low", "high", "median", "training_sd", "masses", "patients", "trainings",
    "converged",
)  # fmt: skip
ONE_TRAINING: Final = "one training a fold"
TESTED: Final = ("difference", "low", "high", "p", "patients", "trainings", "smallest_detectable")
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
        """Groups with a run that has no record, and how many of several have one."""
        counts = {group: (len(self.found[group]), len(runs)) for group, runs in self.asked.items()}
        return [
            ", ".join(map(str, group)) + (f" ({found} of {asked} trainings)" if found else "")
            for group, (found, asked) in counts.items()
            if found < asked
        ]

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
    def twice(self) -> dict[Group, CrossedTest | None]:
        """What trainings twice as long gain, of groups whose learning rate falls to zero."""
        falling = [group for group, runs in self.asked.items() if runs and fades(runs[0])]
        return {group: gain_of_twice(self.of(*group)) for group in falling}

    def _converged(self, group: Group, record: Any) -> bool | None:
        """Whether a training had converged: by twice as long ones, else by its own curve."""
        if group not in self.twice or record.converged is None:
            return cast("bool | None", record.converged)
        test = self.twice[group]
        return test is not None and test.difference < GAIN[kind_of(record.spec)]

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
                    converged=self._converged(group, record),
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
        lines = []
        for group, runs in self.asked.items():
            if not (runs and getattr(runs[0], "is_baseline", False)):
                line = self._named(group) | _training_line(self.of(*group), metric)
                if group in self.twice:
                    test = self.twice[group]
                    line["gain of twice as long"] = cell(vars(test), sign="+") if test else NOT_RUN
                    settled = test and test.difference < GAIN[kind_of(runs[0])]
                    line["converged"] = "yes" if settled else "no"
                lines.append(line)
        return pd.DataFrame(lines)


def gain_of_twice(listed: Sequence[Any]) -> CrossedTest | None:
    """Test what trainings twice as long gain on validation, the seeds of the first fold.

    None where fewer than :data:`SEEDS` such pairs are on record.
    """
    first, parts = min((record.spec.split.fold for record in listed), default=0), []
    for number, record in enumerate(listed):
        spec = record.spec
        other = find_record(longer(spec), record.content["manifest_hash"])
        if other is not None and spec.split.fold == first:
            scores = [_validated(each) for each in (other, record)]
            parts.append((scores[0] - scores[1]).rename("gain").reset_index().assign(run=number))
    if len(parts) < SEEDS:
        return None
    rows = pd.concat(parts)
    return crossed_test(rows["gain"], rows["patient"], rows["run"])


def _validated(record: Any) -> pd.Series:
    """Return the scores of validation masses by case and patient: see :data:`GAIN`."""
    if kind_of(record.spec) == "detection":
        masses = found_rows(record.cases, "validation").query("row == 'mass'")
        return masses.set_index(["case", "patient"])[AT_ONE]
    rows = record.part("validation")
    rows = rows[(rows["box"] == "oracle") & (rows["postprocessing"] == "none")]
    return cast(pd.Series, rows.set_index(["case", "patient"])["dice"])


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
    rows: pd.DataFrame, metrics: Iterable[str] = ("dice", "iou"), by: Sequence[str] = ("row",)
) -> pd.DataFrame:
    """Summarise metrics by group: means over cases, 95 % intervals over patients and trainings.

    A case counts as its mean over trainings. A row a group and metric, where any case has it, with
    the columns :data:`SUMMARY`; ``training_sd`` is between trainings of one fold, ``converged`` is
    yes, no, or ``no training``.
    """
    metrics, lines = list(metrics), []
    for group, part in rows.groupby(list(by), sort=False, dropna=False):
        known = part["converged"].dropna()
        settled = "no training" if known.empty else "yes" if known.astype(bool).all() else "no"
        counts = {
            "masses": part["case"].nunique(),
            "patients": part["patient"].nunique(),
            "trainings": 0 if known.empty else len(part[["fold", "replicate"]].drop_duplicates()),
            "converged": settled,
        }
        for metric in [name for name in metrics if part[name].notna().any()]:
            cases = part.groupby(["fold", "case"])[metric].mean()
            beside = (part[name] for name in ("patient", "replicate", "fold"))
            test = crossed_test(_by_case(part, metric, cases.mean()), *beside)
            line = dict(zip(by, group, strict=True)) | {"metric": metric, "mean": cases.mean()}
            line |= {"low": test.low, "high": test.high, "training_sd": test.training_sd}
            lines.append(line | counts | {"median": cases.median()})
    return pd.DataFrame(lines, columns=[*by, *SUMMARY])


def _by_case(rows: pd.DataFrame, metric: str, mean: float) -> pd.Series:
    """Return scores whose mean over patients is the mean over cases, with its error.

    They are the influence of each patient on that mean, a ratio of sums (Cochran 1977, 2.11).
    """
    cases = rows.groupby(["fold", "patient"])["case"].transform("nunique")
    each = rows.drop_duplicates(["fold", "patient"])
    return mean + cases / cases[each.index].mean() * (rows[metric] - mean)


def paired(rows: pd.DataFrame, a: object, b: object, metric: str, by: str = "row") -> pd.DataFrame:
    """Return both scores of every case and training that two groups share: columns a and b.

    What needs no training meets every training of the other.
    """
    sides = []
    for name, side in ((a, "a"), (b, "b")):
        part = rows[rows[by] == name]
        trained = ["replicate"] if part["converged"].notna().any() else []
        means = part.groupby(["fold", "case", "patient", *trained], sort=False)[metric].mean()
        sides.append(means.rename(side).dropna().reset_index())
    both = sides[0].merge(sides[1], on=[name for name in sides[0] if name in sides[1]])
    return both if "replicate" in both else both.assign(replicate=0)


def compare(
    rows: pd.DataFrame,
    pairs: Iterable[tuple[Any, Any]],
    metric: str = "dice",
    by: str | Sequence[str] = "row",
    margin: float = MARGIN,
) -> pd.DataFrame:
    """Set groups against each other, paired case by case, each patient counting once.

    A row with the columns :data:`COMPARISON` for each pair ``a`` less ``b`` that is on record; the
    interval is over patients and trainings. A group is named by a column, or by the values of
    several, joined by a comma.
    """
    if not isinstance(by, str):
        words = rows[list(by)].astype(str)
        rows, by = rows.assign(cell=words[by[0]].str.cat(words[list(by[1:])], ", ")), "cell"
    lines = []
    for a, b in pairs:
        both = paired(rows, a, b, metric, by)
        if not both.empty:
            chosen = rows[rows[by].isin([a, b])]
            lines.append({"a": a, "b": b, "metric": metric} | _compared(both, chosen, by))
    return judge(lines, margin, judged="judged" not in rows or bool(rows["judged"].all()))


def _compared(both: pd.DataFrame, chosen: pd.DataFrame, by: str) -> dict[str, Any]:
    """Return what a comparison says of its paired scores."""
    gaps = both["a"] - both["b"]
    test = crossed_test(gaps, both["patient"], both["replicate"], both["fold"])
    training = [both["fold"], both["replicate"]]
    each = gaps.groupby([*training, both["patient"]]).mean().groupby(level=[0, 1]).mean()
    open_ends = unsettled(chosen, by)
    if np.isnan(test.training_sd) and chosen["converged"].notna().any():
        open_ends.append(ONE_TRAINING)
    line = {name: getattr(test, name) for name in TESTED}
    line |= {"masses": both["case"].nunique(), "lowest": each.min(), "highest": each.max()}
    line["effect"] = effect_size(both["a"], both["b"], both["patient"])
    return line | {"unsettled": ", ".join(open_ends)}


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

    Undecided where a training had not converged, or where each fold has only one; alike where the
    whole interval lies within the margin; better (worse) where it lies above (below) 0 and Holm's p
    is below 0.05; else undecided.
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
