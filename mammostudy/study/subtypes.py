"""Shape by molecular subtype: who counts, how strong an association is, what errors leave of it.

Each patient counts once. Her predicted shape is the most probable one of the mean of the calibrated
probabilities of her masses; her true shape the one that most of her masses have. A table is counts,
subtype (rows) by shape (columns), each case once; empty rows and columns are left out before
anything is computed.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, Final

import numpy as np
import pandas as pd
from scipy.stats import chi2_contingency

from mammostudy.data.descriptors import describe
from mammostudy.data.manifest import SUBTYPES
from mammostudy.evaluation import association as tests
from mammostudy.evaluation.statistics import limits, wilson_interval
from mammostudy.figures.pictures import at_hand
from mammostudy.figures.tables import cell, p_value
from mammostudy.runs.kinds import ShapeSpec
from mammostudy.study import published, roc
from mammostudy.study.comparing import Runs, every_run, judge
from mammostudy.study.shape_recipes import PAPER, classes_of, rows_of
from mammostudy.study.shapes import tested

LUMINAL: Final = ("Luminal-A", "Luminal-B")
TYPICAL: Final = ("irregular", "lobular")
TRUE: Final = "true shapes"
LEVEL: Final = 0.05
VS: Final = {"v": "Cramer's V", "corrected": "bias corrected"}
NUMBERS: Final = ["shape", *VS]  # of associations, beside what is printed
Tables = Mapping[str, pd.DataFrame]


def subtypes_of(cohort: str) -> pd.Series:
    """Return the subtype of each mass of a page's cohort by case; empty where none is known."""
    shapes = describe(cohort).shapes
    loaded = at_hand(shapes) if "subtype" in describe(shapes).tasks else None
    if loaded is None or "subtype" not in loaded.masses:
        return pd.Series(dtype=object, name="subtype")
    return loaded.masses["subtype"].dropna().astype(str)


def grid(cohort: str, preset: str) -> dict[tuple[str, str], list[ShapeSpec]]:
    """Return the runs of the page by group and row; none for a cohort without subtypes."""
    return {} if subtypes_of(cohort).empty else roc.grid(cohort, preset)


specs = every_run(grid)


def people(rows: pd.DataFrame, subtypes: pd.Series, classes: Sequence[str]) -> pd.DataFrame:
    """Reduce the test rows of a classifier to patients with one subtype and one true shape.

    Columns patient, subtype, truth, predicted (missing where no mask was found) and masses.
    """
    kept: list[dict[str, Any]] = []
    typed = rows.assign(subtype=rows["case"].map(subtypes))
    for patient, mine in typed.groupby("patient", sort=True):
        subtype, truth = mine["subtype"].dropna().unique(), mine["label"].mode()
        if len(subtype) != 1 or len(truth) != 1:  # two subtypes, or as many masses of two shapes
            continue
        found = mine.loc[~mine["missed"], [f"p_{name}" for name in classes]]
        predicted = classes[int(np.argmax(found.mean()))] if len(found) else None
        said = {"patient": patient, "subtype": subtype[0], "truth": truth.iloc[0]}
        kept.append(said | {"predicted": predicted, "masses": len(mine)})
    return pd.DataFrame(kept, columns=["patient", "subtype", "truth", "predicted", "masses"])


def everyone(runs: Runs, cohort: str) -> dict[str, pd.DataFrame]:
    """Return the patients of each classifier that was run."""
    subtypes, classes = subtypes_of(cohort), classes_of(cohort)
    by_row = tested(runs, "classifier").groupby("row", sort=False)
    return {str(row): people(part, subtypes, classes) for row, part in by_row}


def counts(persons: pd.DataFrame, column: str, classes: Sequence[str]) -> pd.DataFrame:
    """Count patients by subtype and ``truth`` or ``predicted``; empty lines keep their place."""
    rows = [*SUBTYPES, *sorted(set(persons["subtype"]) - set(SUBTYPES))]
    cross = pd.crosstab(persons["subtype"], persons[column])
    cross = cross.reindex(index=rows, columns=list(classes), fill_value=0).astype(int)
    return cross.rename_axis(index="subtype", columns="shape")


def tables(persons: Tables, classes: Sequence[str]) -> dict[str, pd.DataFrame]:
    """Return the tables of the page by name: true shapes, then the predictions of each recipe."""
    out: dict[str, pd.DataFrame] = {}
    for row, each in persons.items():
        out.setdefault(TRUE, counts(each, "truth", classes))
        out[f"predicted, {row}"] = counts(each, "predicted", classes)
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

    Columns metric (the table), subtype, shape, count, total, mean, low, high.
    """
    parts = [pd.DataFrame(columns=["count", "total"])]
    for name, table in trimmed(named).items():
        totals = table.sum(axis=1)
        cells = table.reset_index().melt("subtype", var_name="shape", value_name="count")
        parts.append(cells.assign(total=cells["subtype"].map(totals), metric=name))
    rows = pd.concat(parts[1:] or parts, ignore_index=True)
    low, high = wilson_interval(rows["count"], rows["total"])
    return rows.assign(mean=rows["count"] / rows["total"], low=low, high=high)


def associations(named: Tables) -> pd.DataFrame:
    """Measure and test the association in each table that has one.

    ``corrected`` is Bergsma's V, ``sparse`` the share of cells with an expected count below 5
    (above a fifth, read Fisher's test: Cochran 1954), ``by chance`` V without association,
    ``smallest V`` what is found with 80 % power.
    """
    lines = []
    for name, table in trimmed(named).items():
        found, cases = chi2_contingency(table, correction=False), int(table.to_numpy().sum())
        line: dict[str, Any] = {"table": name, "cases": cases, "shape": table.shape}
        line |= {"chi-square": found.statistic, "degrees": found.dof, "p": p_value(found.pvalue)}
        line |= {"p, Fisher": p_value(tests.fisher_monte_carlo(table))}
        line |= {"sparse": (found.expected_freq < 5).mean()}
        for kind, title in VS.items():
            corrected = kind == "corrected"
            low, high = tests.cramers_v_ci(table, corrected=corrected)
            line[kind] = tests.cramers_v(table, corrected)
            line[title] = cell({"mean": line[kind], "low": low, "high": high})
        line["by chance"] = min(1, math.sqrt(found.dof / (cases * (min(table.shape) - 1))))
        lines.append(line | {"smallest V": tests.smallest_detectable_v(table.shape, cases)})
    return pd.DataFrame(lines)


def nulls(named: Tables) -> pd.DataFrame:
    """Redraw the subtypes of the patients of each table of predictions from the published margin.

    A row a table: redraws, the share that the chi-square test rejects at 5 % with Wilson's ends, V
    of the redraws (mean and middle 95 %), V observed, and p, the share of redraws with as large a
    V.
    """
    lines = []
    for name, table in trimmed(named).items():
        if name != TRUE:
            redraws = tests.null_redraws(table.sum(), published.subtype_counts())
            n, rejected = len(redraws), int((redraws["p"] < LEVEL).sum())
            ends, v = map(float, wilson_interval(rejected, n)), redraws["v"].to_numpy()
            observed = tests.cramers_v(table)
            p = (1 + (v >= observed - 1e-12).sum()) / (n + 1)
            lines.append((name, n, rejected / n, *ends, v.mean(), *limits(v), observed, p))
    names = "table,redraws,rejected,from,to,V of redraws,V low,V high,V observed,p"
    return pd.DataFrame(lines, columns=names.split(","))


def luminal(named: Tables, margin: float = 0.1) -> pd.DataFrame:
    """Compare luminal with other cases in each table: the share irregular or lobular, not judged.

    The counts stand in the names. A table is left out where either group has no case, and where no
    case or every case is irregular or lobular: there is nothing to compare then.
    """
    lines = []
    for name, table in named.items():
        hits = table[[shape for shape in TYPICAL if shape in table.columns]].sum(axis=1)
        inside, cases = table.index.isin(LUMINAL), table.sum(axis=1)
        a, n, b, m = (int(x[w].sum()) for w in (inside, ~inside) for x in (hits, cases))
        if min(n, m) > 0 and 0 < a + b < n + m:
            line = {"a": f"{name}: luminal ({a} of {n})", "b": f"others ({b} of {m})"}
            lines.append(line | {"patients": n + m} | tests.share_difference((a, n), (b, m)))
    return judge(lines, margin, judged=False)


def claim_line(cohort: str, preset: str) -> dict[str, Any]:
    """Compare luminal with other patients: the share called irregular or lobular by the network.

    A line for :func:`mammostudy.study.comparing.judge`; where it cannot be tested ``reason`` alone
    says why.
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
    return {str(name): value for name, value in found.iloc[0].items()} | beside
