"""Shape from the mask: how classifiers are scored and compared, and whose masks they learnt from.

The runs stand in :mod:`mammostudy.study.shape_recipes`. A case whose mask was missed is predicted
``none``: it counts as wrong in every score.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any, Final

import pandas as pd

from mammostudy.data.manifest import SHAPES
from mammostudy.evaluation import association
from mammostudy.evaluation.association import patient_confusions
from mammostudy.evaluation.classification import apply_temperature
from mammostudy.figures.tables import confusion
from mammostudy.runs.kinds import TOOLS, ShapeSpec
from mammostudy.runs.record import Record
from mammostudy.study import comparing, published
from mammostudy.study.comparing import Runs, compare, every_run, is_judged, judge, unsettled
from mammostudy.study.shape_recipes import AGAIN, FOLDS, GROUPS, PAPER, STUDY, TOOL, rows_of

NETWORKS: Final = (PAPER, STUDY)
SCORES: Final = ("accuracy", "macro recall", "macro F1", "kappa")
MARGIN: Final = 0.05
"""The smallest difference in accuracy or macro recall that matters."""
SUBSETS: Final = {"every tool": TOOLS, "polygon": TOOLS[2:], "circle and ellipse": TOOLS[:2]}
_EMPTY: Final = "case patient source tool missed label predicted fold replicate converged right row"


def grid(cohort: str, preset: str) -> dict[tuple[str, str], list[ShapeSpec]]:
    """Return the runs of the page by group and row."""
    named = {group: rows_of(cohort, preset, group) for group in GROUPS}
    return {(group, row): runs for group in GROUPS for row, runs in named[group].items()}


specs = every_run(grid)


def pooled(records: Sequence[Record], source: str | None = None) -> pd.DataFrame:
    """Stack the test rows of the folds of one classifier on masks of a source (its own first one).

    ``p_<class>`` are calibrated probabilities, ``raw_<class>`` those of temperature 1.
    """
    stacked = [pd.DataFrame(columns=_EMPTY.split())]
    for record in records:
        asked, cases = source or record.spec.evaluation.sources[0], record.cases
        rows = cases[(cases["part"] == "test") & (cases["source"] == asked)].reset_index(drop=True)
        rows["tool"] = rows["tool"].fillna("").astype(str)
        rows["missed"] = rows["missed"].astype(bool)
        for prefix, temperature in (("p", record.temperature or 1.0), ("raw", 1.0)):
            found = apply_temperature(record.logits(rows), temperature)
            rows[[f"{prefix}_{name}" for name in record.spec.classes]] = found
        beside = {"fold": record.spec.split.fold, "replicate": record.spec.seed // FOLDS}
        beside |= {"converged": record.converged}
        stacked.append(rows.assign(**beside, right=rows["label"] == rows["predicted"]))
    return pd.concat(stacked[1:] or stacked, ignore_index=True)


def against(runs: Runs, group: str) -> list[tuple[str, str]]:
    """Return the pairs of a group's rows with the paper's network."""
    return [(row, PAPER) for of, row in runs.asked if of == group and row != PAPER]


def tested(runs: Runs, *groups: str) -> pd.DataFrame:
    """Return the test rows of the classifiers of some groups, with their ``row`` and ``judged``."""
    parts = [
        pooled(listed).assign(row=row)
        for (group, row), listed in runs.found.items()
        if group in groups and listed and row != TOOL
    ]
    rows = pd.concat(parts, ignore_index=True) if parts else pooled([])
    cohorts = {spec.cohort for listed in runs.asked.values() for spec in listed}
    return rows.assign(judged=all(is_judged(cohort, runs.preset) for cohort in cohorts))


def matrices(rows: pd.DataFrame, classes: Sequence[str]) -> dict[str, pd.DataFrame]:
    """Return the confusion matrices of the paper and of both networks that were run."""
    found = {"published": published.confusion_matrix()}
    for name in NETWORKS:
        if len(part := rows[rows["row"] == name]):
            found[name] = confusion(part, classes)
    return found


def summary(
    rows: pd.DataFrame, classes: Sequence[str], by: Sequence[str] = ("row",)
) -> pd.DataFrame:
    """Summarise classifiers by :data:`SCORES` and ``recall <class>``, intervals over patients."""
    parts = [pd.DataFrame()]
    for group, part in rows.groupby(list(by), sort=False):
        flags = part["converged"].dropna()
        settled = "no training" if flags.empty else "yes" if flags.astype(bool).all() else "no"
        counts = {"patients": part["patient"].nunique(), "trainings": part["fold"].nunique()}
        found = association.confusion_intervals(patient_confusions(part, classes))
        table = pd.DataFrame(found.values(), columns=["mean", "low", "high"])
        table["metric"] = [*SCORES, *(f"recall {name}" for name in classes)]
        named: dict[str, Any] = dict(zip(by, group, strict=True)) | counts
        parts.append(table.assign(masses=len(part), converged=settled, **named))
    return pd.concat(parts, ignore_index=True).reindex(columns=[*by, *comparing.SUMMARY])


def compare_recalls(
    rows: pd.DataFrame, classes: Sequence[str], pairs: Iterable[tuple[str, str]]
) -> pd.DataFrame:
    """Set the macro recalls of a family of classifiers against each other on masks they share."""

    def test(*both: pd.DataFrame) -> dict[str, float]:
        return association.macro_recall_test(*(patient_confusions(each, classes) for each in both))

    return compare_shared(rows, pairs, "macro recall", test)


def compare_shared(
    rows: pd.DataFrame,
    pairs: Iterable[tuple[str, str]],
    metric: str,
    test: Callable[[pd.DataFrame, pd.DataFrame], dict[str, float]],
) -> pd.DataFrame:
    """Set a score of classifiers against each other on the masks that both were tested on.

    ``test`` takes the rows of both in one order and says what they differ by; nothing: left out.
    """
    lines = []
    for names in pairs:
        chosen = rows[rows["row"].isin(names)].sort_values("case")
        chosen = chosen[chosen.groupby("case")["row"].transform("nunique") == 2]
        first, second = (chosen[chosen["row"] == name] for name in names)
        if len(first) and (found := test(first, second)):
            line = dict(zip("ab", names, strict=True)) | {"metric": metric, "masses": len(first)}
            line |= {"patients": first["patient"].nunique(), "trainings": first["fold"].nunique()}
            lines.append(line | {"unsettled": ", ".join(unsettled(chosen, "row"))} | found)
    return judge(lines, MARGIN, judged=bool(rows["judged"].all()))


def crossed(runs: Runs, classes: Sequence[str]) -> pd.DataFrame:
    """Summarise classifiers by ``trained`` and ``tested``: sources of masks, or drawing tools."""
    parts = [pooled([]).assign(trained="", tested="")]
    for (group, row), listed in runs.found.items():
        if group not in ("source", "tool") or row == TOOL or not listed:
            continue
        rows = pooled(listed)
        sets = {name: rows[rows["tool"].isin(tools)] for name, tools in SUBSETS.items()}
        if group == "source":
            sets = {name: pooled(listed, name) for name in listed[0].spec.evaluation.sources}
        parts += [part.assign(trained=row, tested=name) for name, part in sets.items()]
    return summary(pd.concat(parts[1:] or parts), classes, ("trained", "tested"))


def tool_rule(rows: pd.DataFrame) -> pd.DataFrame:
    """Guess the shape from the drawing tool alone: the commonest of that tool in the other folds.

    Those are patients that the fold does not hold. A tool that they do not know gets their
    commonest shape.
    """
    parts = []
    for fold, mine in rows.groupby("fold"):
        others = rows[rows["fold"] != fold]
        rule = others.groupby("tool")["label"].agg(lambda labels: labels.mode().iloc[0])
        guess = mine["tool"].map(rule).fillna(others["label"].mode().iloc[0])
        right = guess == mine["label"]
        parts.append(mine.assign(predicted=guess, missed=False, right=right, converged=None))
    return pd.concat(parts, ignore_index=True)


def tool_scores(runs: Runs, classes: Sequence[str]) -> pd.DataFrame:
    """Score how well a mask gives its tool away, and its tool the shape; of :func:`summary`."""
    rows = pooled(runs.of("tool", "all tools")).assign(row="shape from the mask")
    if rows["fold"].nunique() < 2:
        return summary(rows, classes)
    tools = pooled(runs.of("tool", TOOL)).assign(row="tool from the mask")
    rule = tool_rule(rows).assign(row="shape from the tool alone")
    told = summary(pd.concat([rule, rows]), classes)
    return pd.concat([summary(tools, TOOLS), told], ignore_index=True)


def explained(runs: Runs) -> dict[str, Any]:
    """Return what the run that explains itself kept, ``classes`` and ``placement``; or nothing."""
    listed = [record for records in runs.found.values() for record in records]
    for record in listed:
        if record.spec.evaluation.explain and record.status == "completed":
            said = {"classes": record.spec.classes, "placement": record.spec.input.placement}
            return dict(record.arrays()) | said
    return {}


def behind_claims(cohort: str, preset: str) -> list[ShapeSpec]:
    """Return the trainings of the paper's network that the claims rest on."""
    groups = (rows_of(cohort, preset, group) for group in ("classifier", AGAIN))
    return [run for named in groups for run in named.get(PAPER, ())]


def claim_line(
    cohort: str, preset: str, metric: str, target: float, margin: float
) -> dict[str, Any]:
    """Set a score of the paper's classifier against a published one, patient by patient.

    ``metric`` is accuracy, or macro recall, of which a mass counts by one over the masses of its
    shape. A line for :func:`mammostudy.study.comparing.judge` with ``classes`` and ``missing``
    (folds not run); ``p`` is that against the target less the margin, the least that still counts.
    Where it cannot be tested ``reason`` alone says why.
    """
    asked = behind_claims(cohort, preset)
    if not asked or len(asked[0].classes) < len(SHAPES):
        return {"reason": f"its masses carry no {len(SHAPES)} shapes, as the paper's do"}
    found = Runs.load({PAPER: asked}, preset).of(PAPER)
    if not found:
        return {"reason": "the shape classifier has not been run on this cohort and preset"}
    rows = pooled(found).assign(row=PAPER)
    rows["right"] = rows["right"].astype(float)
    if metric == "macro recall":
        of_shape = rows.groupby("label")["case"].transform("size")
        rows["right"] *= len(rows) / (rows["label"].nunique() * of_shape)

    def less(score: float) -> dict[str, Any]:
        other = rows.assign(row="published", right=score, converged=None)
        test = compare(pd.concat([rows, other]), [(PAPER, "published")], "right").iloc[0]
        return {str(name): value for name, value in test.items()}

    beside = {"classes": asked[0].classes, "missing": len(asked) - len(found), "reason": ""}
    return less(target) | {"metric": metric, "p": less(target - margin)["p"]} | beside
