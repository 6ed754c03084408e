"""Shape by molecular subtype: who counts, how strong an association is, what errors leave of it.

Each patient counts once. Her predicted shape is the most probable one of the mean of the calibrated
probabilities of her masses; her true shape the one that most of her masses have. A table is counts,
subtype (rows) by shape (columns), each case once; empty rows and columns are left out before
anything is computed.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import pandas as pd

from mammostudy.data.descriptors import describe
from mammostudy.data.load import load_cohort
from mammostudy.data.manifest import SUBTYPES
from mammostudy.data.sources.phantom import SUBTYPE_BY_SHAPE
from mammostudy.errors import MissingDataError
from mammostudy.evaluation.association import (
    adjusted_residuals,
    chi_square,
    cramers_v,
    cramers_v_ci,
    fisher_monte_carlo,
    individuals,
    misclassified,
    null_redraws,
    row_shares,
    share_difference,
    smallest_detectable_v,
    v_of_tables,
)
from mammostudy.evaluation.statistics import Values, limits, wilson_interval
from mammostudy.figures.tables import cell, p_value
from mammostudy.runs.kinds import ShapeSpec
from mammostudy.study import published, roc
from mammostudy.study.comparing import Runs, judge
from mammostudy.study.shape_recipes import PAPER, classes_of, rows_of
from mammostudy.study.shapes import confusion, tested

LUMINAL: Final = ("Luminal-A", "Luminal-B")
TYPICAL: Final = ("irregular", "lobular")
TRUE: Final = "true shapes"
PLANTED: Final = "planted, in cohorts of this size"
LEVEL: Final = 0.05
Tables = Mapping[str, pd.DataFrame]
Shares = tuple[tuple[int, int], tuple[int, int]]


def subtypes_of(cohort: str) -> pd.Series:
    """Return the subtype of each mass that has one, by case; empty where none is known.

    Args:
        cohort: the page's cohort; its shapes may come from another one.
    """
    none, shapes = pd.Series(dtype=object, name="subtype"), describe(cohort).shapes
    if "subtype" not in describe(shapes).tasks:
        return none
    try:
        masses = load_cohort(shapes).masses
    except MissingDataError:
        return none
    return masses["subtype"].dropna().astype(str) if "subtype" in masses else none


def grid(cohort: str, preset: str) -> dict[tuple[str, str], list[ShapeSpec]]:
    """Return the runs of the page by group and row; none for a cohort without subtypes."""
    return {} if subtypes_of(cohort).empty else roc.grid(cohort, preset)


def specs(cohort: str, preset: str) -> list[ShapeSpec]:
    """Return every run that the page shows."""
    return [spec for runs in grid(cohort, preset).values() for spec in runs]


@dataclass(frozen=True)
class People:
    """Patients with a subtype and a shape, each once.

    Attributes:
        table: columns patient, subtype, truth, predicted (missing where no mask was found), masses.
        left_out: patients left out, by reason.
    """

    table: pd.DataFrame
    left_out: dict[str, int]

    @property
    def seen(self) -> pd.DataFrame:
        """The patients with a predicted shape."""
        return self.table[self.table["predicted"].notna()]


def people(rows: pd.DataFrame, subtypes: pd.Series, classes: Sequence[str]) -> People:
    """Reduce the test rows of a classifier to patients.

    Args:
        rows: of :func:`mammostudy.study.shapes.pooled`, of one source of masks.
        subtypes: subtype by case.
        classes: names of the shapes.
    """
    kept: list[dict[str, Any]] = []
    reasons: list[str] = []
    typed = rows.assign(subtype=rows["case"].map(subtypes))
    for patient, mine in typed.groupby("patient", sort=True):
        subtype, truth = mine["subtype"].dropna().unique(), mine["label"].mode()
        if len(subtype) != 1 or len(truth) != 1:
            tied = "true shapes in equal numbers"
            reasons.append(("no subtype", tied, "two subtypes")[min(len(subtype), 2)])
            continue
        found = mine.loc[~mine["missed"], [f"p_{name}" for name in classes]]
        predicted = classes[int(np.argmax(found.mean()))] if len(found) else None
        said = {"patient": patient, "subtype": subtype[0], "truth": truth.iloc[0]}
        kept.append(said | {"predicted": predicted, "masses": len(mine)})
        reasons += [] if predicted else ["no mask of any of her masses"]
    columns = ["patient", "subtype", "truth", "predicted", "masses"]
    left_out = {reason: reasons.count(reason) for reason in dict.fromkeys(reasons)}
    return People(pd.DataFrame(kept, columns=columns), left_out)


def everyone(runs: Runs, cohort: str) -> dict[str, People]:
    """Return the patients of each classifier that was run."""
    subtypes, classes = subtypes_of(cohort), classes_of(cohort)
    by_row = tested(runs, "classifier").groupby("row", sort=False)
    return {str(row): people(part, subtypes, classes) for row, part in by_row}


def who(persons: Mapping[str, People]) -> pd.DataFrame:
    """Count patients by classifier: in the tables, their masses, and left out, by reason."""
    lines = [
        {"classifier": row, "patients": len(each.seen), "masses": each.seen["masses"].sum()}
        | {f"left out: {reason}": n for reason, n in each.left_out.items()}
        for row, each in persons.items()
    ]
    return pd.DataFrame(lines).fillna(0).convert_dtypes()


def counts(table: pd.DataFrame, column: str, classes: Sequence[str]) -> pd.DataFrame:
    """Count patients by subtype and ``truth`` or ``predicted``; empty lines keep their place."""
    rows = [*SUBTYPES, *sorted(set(table["subtype"]) - set(SUBTYPES))]
    cross = pd.crosstab(table["subtype"], table[column])
    cross = cross.reindex(index=rows, columns=list(classes), fill_value=0).astype(int)
    return cross.rename_axis(index="subtype", columns="shape")


def tables(persons: Mapping[str, People], classes: Sequence[str]) -> dict[str, pd.DataFrame]:
    """Return the tables of the page by name: true shapes, then the predictions of each recipe."""
    out: dict[str, pd.DataFrame] = {}
    for row, each in persons.items():
        out.setdefault(TRUE, counts(each.table, "truth", classes))
        out[f"predicted, {row}"] = counts(each.seen, "predicted", classes)
    return out


def stacked(named: Tables) -> pd.DataFrame:
    """Return tables one below the other, with the total of each row."""
    totals = {name: table.assign(total=table.sum(axis=1)) for name, table in named.items()}
    whole = pd.concat(totals, names=["table"]).reset_index() if totals else pd.DataFrame()
    return whole.rename_axis(columns=None)


def trimmed(named: Tables) -> dict[str, pd.DataFrame]:
    """Leave out empty rows and columns, and tables of which not two of each remain."""
    left = {n: table.loc[table.sum(axis=1) > 0, table.sum() > 0] for n, table in named.items()}
    return {name: table for name, table in left.items() if min(table.shape) >= 2}


def shares(named: Tables) -> pd.DataFrame:
    """Share of each shape within each subtype with Wilson's interval, a row a cell.

    Columns: metric (the table), subtype, shape, count, total, mean, low, high.
    """
    names = {"row": "subtype", "column": "shape", "share": "mean"}
    parts = [row_shares(table).assign(metric=name) for name, table in trimmed(named).items()]
    return pd.concat(parts or [pd.DataFrame()], ignore_index=True).rename(columns=names)


def residuals(named: Tables) -> dict[str, pd.DataFrame]:
    """Adjusted residuals of each table, about N(0, 1) in each cell without association."""
    left = trimmed(named)
    return {n: pd.DataFrame(adjusted_residuals(t), t.index, t.columns) for n, t in left.items()}


def associations(named: Tables) -> pd.DataFrame:
    """Measure and test the association in each table that has one.

    Returns:
        A row a table: the columns :data:`PAGE` as printed, with p of the chi-square test and of
        Fisher's by random tables, the share of cells with an expected count below 5, V by chance
        alone and the smallest V found with 80 % power; and the numbers behind them: shape, V and
        Bergsma's corrected V with their ends (``v``, ``v_low`` ... ``corrected_high``).
    """
    lines = []
    for name, table in trimmed(named).items():
        found, (rows, columns) = chi_square(table), individuals(table)
        line: dict[str, Any] = {"table": name, "cases": len(rows), "shape": table.shape}
        line |= {"chi-square": found.statistic, "degrees": found.degrees, "p": p_value(found.p)}
        line |= {"p, Fisher": p_value(fisher_monte_carlo(table)), "sparse": found.sparse}
        for kind, title in VS.items():
            corrected = kind == "corrected"
            low, high = cramers_v_ci(rows, columns, corrected=corrected)
            ends = {"mean": cramers_v(table, corrected), "low": low, "high": high}
            line |= {kind: ends["mean"], f"{kind}_low": low, f"{kind}_high": high}
            line[title] = cell(ends)
        chance = math.sqrt(found.degrees / (len(rows) * (min(table.shape) - 1)))
        line["by chance"] = min(1.0, chance)
        lines.append(line | {"smallest V": smallest_detectable_v(table.shape, len(rows))})
    return pd.DataFrame(lines, columns=None if lines else list(PAGE))


VS: Final = {"v": "Cramer's V", "corrected": "bias corrected"}
PAGE: Final = (
    "table", "cases", "chi-square", "degrees", "p", "p, Fisher", "sparse", *VS.values(),
    "by chance", "smallest V",
)  # fmt: skip
_STRENGTH: Final = ("table", "kind", "metric", "mean", "low", "high")


def strengths(found: pd.DataFrame) -> pd.DataFrame:
    """Return V for a figure, a row a table and kind: table, kind, metric, mean, low, high."""
    kinds = VS | {"by chance": "by chance alone"}
    lines = [
        (row["table"], kind, "v", *(row.get(f"{v}{end}", np.nan) for end in ("", "_low", "_high")))
        for row in found.to_dict("records")
        for v, kind in kinds.items()
    ]
    return pd.DataFrame(lines, columns=list(_STRENGTH))


def blurred(found: Mapping[str, tuple[pd.DataFrame, pd.DataFrame]]) -> pd.DataFrame:
    """Pass tables through the errors of a shape model, taken to be alike in all subtypes.

    Args:
        found: by name a table and the counts of truth by prediction of the same shapes. Only
            shapes that the table holds count: predictions of others are left out of their row.

    Returns:
        As :func:`strengths`, by kind: V before, after (without chance), and of simulated
        classifications (mean and middle 95 %). A table is left out that is empty, or that holds a
        shape of which the errors are not known.
    """
    lines: list[tuple[Any, ...]] = []
    for name, table in trimmed({name: table for name, (table, _) in found.items()}).items():
        errors = found[name][1].reindex(index=table.columns, columns=table.columns, fill_value=0)
        totals = errors.sum(axis=1)
        if (totals > 0).all():
            each = misclassified(table, errors.div(totals, axis=0))
            lines += [
                (name, "before the errors", "v", each.before, np.nan, np.nan),
                (name, "after, without chance", "v", each.after, np.nan, np.nan),
                (name, "after, simulated", "v", each.expected, each.low, each.high),
            ]
    return pd.DataFrame(lines, columns=list(_STRENGTH))


def errors_cost(persons: Mapping[str, People], cohort: str) -> pd.DataFrame:
    """Pass each recipe's true table through the errors measured on the same patients.

    Returns:
        Of :func:`blurred`; first, for phantoms, V of cohorts of this size that are drawn from the
        generator's table.
    """
    classes, found, parts = classes_of(cohort), {}, []
    for row, each in persons.items():
        matrix = confusion(each.seen.rename(columns={"truth": "label"}), classes)
        found[row] = counts(each.seen, "truth", classes), matrix
    for each in list(persons.values())[:1] if describe(cohort).phantom else ():
        drawn = planted_draws(len(each.table))
        line = (PLANTED, "before the errors", "v", drawn.mean(), *limits(drawn))
        parts.append(pd.DataFrame([line], columns=list(_STRENGTH)))
    return pd.concat([*parts, blurred(found)], ignore_index=True)


def planted_draws(cases: int, draws: int = 2_000, seed: int = 0) -> Values:
    """Return V of cohorts of so many patients drawn from the generator's table, ``(draws,)``."""
    chances = (SUBTYPE_BY_SHAPE / SUBTYPE_BY_SHAPE.sum()).ravel()
    drawn = np.random.default_rng(seed).multinomial(cases, chances, draws)
    return v_of_tables(drawn.reshape(draws, *SUBTYPE_BY_SHAPE.shape).astype(np.float64))


def nulls(named: Tables) -> pd.DataFrame:
    """Redraw the subtypes of the patients of each table of predictions from the published margin.

    Returns:
        A row a table: redraws, the share that the chi-square test rejects at 5 % with Wilson's
        ends, V of the redraws (mean and middle 95 %), V observed, and p, the share of redraws with
        as large a V.
    """
    lines = []
    for name, table in trimmed(named).items():
        if name != TRUE:
            redraws = null_redraws(table.sum(), published.subtype_counts())
            n, rejected = len(redraws), int((redraws["p"] < LEVEL).sum())
            ends, v = wilson_interval(rejected, n), redraws["v"].to_numpy()
            observed = cramers_v(table)
            p = (1 + (v >= observed - 1e-12).sum()) / (n + 1)
            lines.append(
                (name, n, rejected / n, *map(float, ends), v.mean(), *limits(v), observed, p)
            )
    return pd.DataFrame(lines, columns=list(_NULL))


_NULL: Final = (
    "table", "redraws", "rejected", "from", "to", "V of redraws", "V, low", "V, high", "V observed",
    "p",
)  # fmt: skip


def luminal_share(table: pd.DataFrame, shapes: Sequence[str] = TYPICAL) -> Shares | None:
    """Count irregular or lobular cases of the luminal subtypes and of the others: (hits, cases).

    None where either has no case, and where no case or every case is irregular or lobular: there
    is nothing to compare then.
    """
    luminal = table.index.isin(LUMINAL)
    hits = table[[name for name in shapes if name in table.columns]].sum(axis=1)
    (a, n), (b, m) = (
        (int(hits[chosen].sum()), int(table.loc[chosen].to_numpy().sum()))
        for chosen in (luminal, ~luminal)
    )
    return ((a, n), (b, m)) if min(n, m) > 0 and 0 < a + b < n + m else None


def luminal(named: Tables, margin: float = 0.1) -> pd.DataFrame:
    """Compare luminal with other cases in each table: the share irregular or lobular, not judged.

    Returns:
        Of :func:`mammostudy.study.comparing.judge`; the counts stand in the names.
    """
    groups = {name: luminal_share(table) for name, table in named.items()}
    lines = [
        {"a": f"{name}: luminal ({pair[0][0]} of {pair[0][1]})"}
        | {"b": f"others ({pair[1][0]} of {pair[1][1]})", "patients": pair[0][1] + pair[1][1]}
        | share_difference(*pair)
        for name, pair in groups.items()
        if pair
    ]
    return judge(lines, margin, judged=False)


def claim_line(cohort: str, preset: str, target: float, margin: float) -> dict[str, Any]:
    """Compare luminal with other patients: the share called irregular or lobular by the network.

    Returns:
        A line for :func:`mammostudy.study.comparing.judge` (target and margin play no part in it);
        where it cannot be tested ``reason`` alone says why.
    """
    if subtypes_of(cohort).empty:
        return {"reason": "no mass of this cohort comes with a subtype"}
    asked = rows_of(cohort, preset, "classifier").get(PAPER, [])
    runs = Runs.load({("classifier", PAPER): asked}, preset, "group row")
    named = tables(everyone(runs, cohort), classes_of(cohort))
    found = luminal({name: table for name, table in named.items() if name != TRUE})
    if found.empty:
        return {"reason": "not run here, or not two groups of patients to compare"}
    records = runs.of("classifier", PAPER)
    loose = any(record.converged is False for record in records)
    beside = {"trainings": len(records), "unsettled": PAPER if loose else "", "reason": ""}
    line = {str(name): value for name, value in found.iloc[0].items()}
    return line | beside
