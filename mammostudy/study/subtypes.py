"""Predicted shape by molecular subtype through the pipeline, against the truth and a null.

Each patient counts once, by the rules of :mod:`mammostudy.study.subtype_people`. What the tables
say is put into words by :mod:`mammostudy.study.subtypes_reading`.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import pandas as pd
from scipy import stats

from mammostudy.data.sources.phantom import SUBTYPE_BY_SHAPE
from mammostudy.evaluation.association import Misclassified, Values, cramers_v, v_of_tables
from mammostudy.evaluation.statistics import wilson_interval
from mammostudy.runs.record import Record
from mammostudy.runs.shape_spec import ShapeSpec
from mammostudy.study import published, shape_recipes, shape_tables
from mammostudy.study import subtype_statistics as statistics
from mammostudy.study.subtype_people import People, confusion, counts, people, subtypes_of
from mammostudy.study.subtype_statistics import Association, ShareDifference

PAPER: Final = shape_recipes.PAPER
TRUE: Final = "true shapes"
PLANTED: Final = "planted, in cohorts of this size"
REDRAWS: Final = 1_000

Found = Mapping[str, Sequence[Record]]
Tables = dict[str, pd.DataFrame]


def named(cohort: str, preset: str) -> dict[str, list[ShapeSpec]]:
    """Return the runs of the chapter: paper's and study's networks, and features in a forest."""
    forest = shape_recipes.alternatives(cohort, preset)[shape_recipes.FOREST]
    return shape_recipes.headline(cohort, preset) | {"random forest": forest}


def specs(cohort: str, preset: str) -> list[ShapeSpec]:
    """Return every run that the chapter shows; none for a cohort without subtypes."""
    if subtypes_of(cohort).empty:
        return []
    return list(dict.fromkeys(itertools.chain(*named(cohort, preset).values())))


def records(cohort: str, preset: str) -> dict[str, list[Record]]:
    """Return the records of the chapter by recipe; none for a cohort without subtypes."""
    if subtypes_of(cohort).empty:
        return {}
    return shape_tables.shape_records(named(cohort, preset), preset)


def absent(found: Found, cohort: str, preset: str) -> list[str]:
    """Return the names of recipes with a run that has no record."""
    if subtypes_of(cohort).empty:
        return []
    asked = named(cohort, preset)
    return [name for name, listed in asked.items() if len(found.get(name, ())) < len(listed)]


def everyone(found: Found, cohort: str) -> dict[str, People]:
    """Return the patients of each recipe, recipes without a patient left out."""
    subtypes = subtypes_of(cohort)
    if subtypes.empty:
        return {}
    classes = shape_recipes.classes_of(cohort)
    out = {}
    for name, listed in found.items():
        rows = shape_tables.pooled(listed)
        if len(rows):
            out[name] = people(rows, subtypes, classes)
    return {name: each for name, each in out.items() if len(each.table)}


def tables(persons: Mapping[str, People], cohort: str) -> Tables:
    """Return the tables of the page by name: true shapes, then the predictions of each recipe."""
    classes = shape_recipes.classes_of(cohort)
    out: Tables = {}
    for name, each in persons.items():
        out.setdefault(TRUE, counts(each.table, "truth", classes))
        out[f"predicted, {name}"] = counts(each.seen, "predicted", classes)
    return out


def associations(found: Tables) -> dict[str, Association]:
    """Return the association in each table that has one."""
    each = {name: statistics.associate(table) for name, table in found.items()}
    return {name: one for name, one in each.items() if one}


def expected(persons: Mapping[str, People], cohort: str) -> dict[str, Misclassified]:
    """Pass each recipe's true table through the confusion matrix measured on the same patients."""
    classes = shape_recipes.classes_of(cohort)
    out = {}
    for name, each in persons.items():
        truth = counts(each.seen, "truth", classes)
        passed = statistics.blurred(truth, confusion(each, classes))
        if passed:
            out[f"true shapes, errors of {name}"] = passed
    return out


def planted(cohort: str) -> float | None:
    """Return Cramer's V of the generator's table; None for cohorts that it did not make."""
    made = shape_recipes.shape_cohort(cohort) == "phantom-shapes"
    return cramers_v(SUBTYPE_BY_SHAPE) if made else None


def planted_draws(cohort: str, cases: int, draws: int = 2_000, seed: int = 0) -> Values | None:
    """Return V of cohorts of this many patients drawn from the generator's table, ``(draws,)``.

    None for cohorts that the generator did not make.
    """
    if planted(cohort) is None:
        return None
    shares = (SUBTYPE_BY_SHAPE / SUBTYPE_BY_SHAPE.sum()).ravel()
    drawn = np.random.default_rng(seed).multinomial(cases, shares, draws)
    return v_of_tables(drawn.reshape(draws, *SUBTYPE_BY_SHAPE.shape).astype(np.float64))


def strengths(
    found: Mapping[str, Association], passed: Mapping[str, Misclassified], cohort: str
) -> pd.DataFrame:
    """Set V planted, of true shapes, expected after errors, and of predictions side by side.

    Returns:
        Columns name, value, low, high, and other, which is V with chance taken away. Of the
        tables these are V, its bootstrap interval over patients, and V with bias correction; of
        what was planted, mean and middle 95 % of cohorts of that size drawn from the generator's
        table, and V of that table; of the expected rows, mean and middle 95 % of simulated
        classifications, and V of the expected table.
    """
    rows: list[tuple[str, float, float, float, float]] = []
    if TRUE in found:
        each = found[TRUE]
        drawn = planted_draws(cohort, each.cases)
        if drawn is not None:
            low, high = (float(end) for end in np.percentile(drawn, [2.5, 97.5]))
            rows.append((PLANTED, float(drawn.mean()), low, high, cramers_v(SUBTYPE_BY_SHAPE)))
        rows.append((TRUE, each.v, each.v_low, each.v_high, each.corrected))
    for recipe in (name.removeprefix("predicted, ") for name in found if name != TRUE):
        if through := passed.get(f"true shapes, errors of {recipe}"):
            label = f"expected of predictions, {recipe}"
            rows.append((label, through.expected, through.low, through.high, through.after))
        each = found[f"predicted, {recipe}"]
        rows.append((f"predicted, {recipe}", each.v, each.v_low, each.v_high, each.corrected))
    return pd.DataFrame(rows, columns=["name", "value", "low", "high", "other"])


@dataclass(frozen=True)
class Null:
    """Subtypes drawn anew from the published margin, without regard to shape.

    Attributes:
        redraws: columns v and p, a row a redraw.
        rejected: redraws whose chi-square test rejects at 5 %.
        share: of the redraws.
        low: lower end of Wilson's 95 % interval of ``share``.
        high: upper end of it.
        observed: V of the predictions as they are.
        beyond: share of redraws (and the observed table) whose V is at least the observed one.
        threshold: V from which on the test rejects, in a table without empty lines.
    """

    redraws: pd.DataFrame
    rejected: int
    share: float
    low: float
    high: float
    observed: float
    beyond: float
    threshold: float


def null(table: pd.DataFrame, draws: int = REDRAWS, seed: int = 0) -> Null | None:
    """Redraw the subtypes of the patients of a table of predictions.

    Masses and predictions stay as they are; only the subtypes are drawn, each patient's for
    herself, from the published margin.

    Args:
        table: subtype by predicted shape.
        draws: number of redraws.
        seed: of the redraws.

    Returns:
        None where the table has fewer than two subtypes or shapes.
    """
    if not statistics.has_association(table):
        return None
    left, _ = statistics.trimmed(table)
    margin = published.subtype_counts().to_numpy()
    redraws = statistics.null_redraws(left.sum().to_numpy(), margin, draws, seed)
    rejected = int((redraws["p"] < statistics.LEVEL).sum())
    low, high = wilson_interval(rejected, draws)
    observed = cramers_v(left)
    beyond = (1 + int((redraws["v"] >= observed - 1e-12).sum())) / (draws + 1)
    shape = (len(margin), len(left.columns))
    limit = stats.chi2.ppf(1 - statistics.LEVEL, (shape[0] - 1) * (shape[1] - 1))
    threshold = float(np.sqrt(limit / (int(left.to_numpy().sum()) * (min(shape) - 1))))
    share = rejected / draws
    return Null(
        redraws, rejected, share, float(low), float(high), observed, beyond, min(1.0, threshold)
    )


def luminal(found: Tables) -> dict[str, ShareDifference]:
    """Compare luminal with other patients: share irregular or lobular, in each table."""
    groups = {name: statistics.luminal_share(table) for name, table in found.items()}
    return {name: statistics.share_difference(*pair) for name, pair in groups.items() if pair}


def luminal_difference(cohort: str, preset: str, recipe: str = PAPER) -> dict[str, Any] | None:
    """Compare luminal with other patients: share predicted irregular or lobular.

    Args:
        cohort: the page's cohort.
        preset: of the page; small ones train what is missing.
        recipe: ``paper`` or ``study``.

    Returns:
        ``difference``, ``low``, ``high`` (bootstrap over patients), ``p_permutation`` (over
        patients), ``patients``, ``smallest_detectable``; ``luminal_share`` and ``other_share``
        with ``_low`` and ``_high`` (Wilson) and the number of ``luminal_patients`` and
        ``other_patients``; and arrays with an entry a patient: ``patient``, ``luminal`` (bool) and
        ``typical`` (1.0 where predicted irregular or lobular). None without subtypes, without
        records, where one of the groups is empty, and where all or none are predicted so.
    """
    each = everyone(records(cohort, preset), cohort).get(recipe)
    if each is None:
        return None
    seen = each.seen
    groups = statistics.luminal_share(counts(seen, "predicted", shape_recipes.classes_of(cohort)))
    if groups is None:
        return None
    out: dict[str, Any] = dict(vars(statistics.share_difference(*groups)))
    out.pop("counts")
    for name, (hits, cases) in zip(("luminal", "other"), groups, strict=True):
        low, high = wilson_interval(hits, cases)
        out |= {f"{name}_share": hits / cases, f"{name}_patients": cases}
        out |= {f"{name}_share_low": float(low), f"{name}_share_high": float(high)}
    return out | {
        "patient": seen["patient"].to_numpy(),
        "luminal": seen["subtype"].isin(statistics.LUMINAL).to_numpy(),
        "typical": seen["predicted"].isin(statistics.TYPICAL).to_numpy(dtype=np.float64),
    }
