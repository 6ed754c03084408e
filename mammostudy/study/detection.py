"""Detection: does a detector find the masses of whole mammograms, and is SSD the best of them?

How a detector is judged is in :mod:`mammostudy.study.detection_judged`, comparisons in
:mod:`~mammostudy.study.detection_comparison`, curves, boxes and scores in
:mod:`~mammostudy.study.detection_details`, what each training was
given in :mod:`~mammostudy.study.detection_trainings`, the pictures' data in
:mod:`~mammostudy.study.detection_examples`, the sentences in the modules ``*_reading``.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, Final, cast

import numpy as np
import pandas as pd

from mammostudy.evaluation.froc_intervals import sensitivity_table
from mammostudy.runs.detect_spec import DetectSpec
from mammostudy.runs.record import Record
from mammostudy.study import detect_recipes, printed, tables
from mammostudy.study.detect_convergence import outdone
from mammostudy.study.detection_judged import DRAWS, Judged, judged, scores

HEAD: Final = "all folds"
ABLATED: Final = "ablations"
BUDGETS: Final = (detect_recipes.EQUAL, detect_recipes.LONG)
TRAININGS: Final = (*BUDGETS, detect_recipes.LONGER)
RULE_NAMES: Final = {
    "iou10": "IoU at least 0.10",
    "iou25": "IoU at least 0.25",
    "iou50": "IoU at least 0.50",
    "centre": "centre of the box in the mass's box",
}
HEADINGS: Final = {
    "at_one": "sensitivity at 1 false positive a view",
    "mean": "mean sensitivity, 1/8 to 8",
    "ap50": "AP50",
    "map": "mAP",
    "accuracy": "detection accuracy",
    "false": "false positives a view there",
}
Groups = dict[str, dict[str, list[Record]]]
Detectors = dict[str, Judged]


def named(cohort: str, preset: str) -> dict[str, dict[str, list[DetectSpec]]]:
    """Return the runs of the page: group -> row -> specs.

    Groups: :data:`HEAD` (light SSD and prior box over the folds), the two budgets of
    :func:`mammostudy.study.detect_recipes.comparison`, :func:`~detect_recipes.longer`,
    ``ablations``.
    """
    return {
        HEAD: {
            detect_recipes.LIGHT: detect_recipes.headline(cohort, preset),
            detect_recipes.PRIOR_ROW: detect_recipes.priors(cohort, preset),
        },
        **detect_recipes.comparison(cohort, preset),
        detect_recipes.LONGER: detect_recipes.longer(cohort, preset),
        ABLATED: detect_recipes.ablations(cohort, preset),
    }


def specs(cohort: str, preset: str) -> list[DetectSpec]:
    """Return every run that the page shows, each once."""
    return detect_recipes.every(cohort, preset)


def records(cohort: str, preset: str) -> Groups:
    """Return the records of the page: group -> row -> records."""
    groups = named(cohort, preset)
    flat = {
        f"{group}/{row}": listed for group, rows in groups.items() for row, listed in rows.items()
    }
    found = tables.records_of(cast(tables.Named, flat), preset)
    return {
        group: {row: found.get(f"{group}/{row}", []) for row in rows}
        for group, rows in groups.items()
    }


def absent(found: Groups, cohort: str, preset: str) -> list[str]:
    """Return the names of rows with a run that has no record, with the reason where one is known.

    The reason is that this machine lacks what the detector needs.
    """
    return [
        f"{row} ({'; '.join(filter(None, (group, listed[0].cannot_run)))})"
        for group, rows in named(cohort, preset).items()
        for row, listed in rows.items()
        if len(found[group][row]) < len(listed)
    ]


def detectors(found: Groups, group: str) -> Detectors:
    """Return the detectors of a group that were run, judged on their test views."""
    undone = outdone(*(found.get(budget, {}) for budget in TRAININGS))
    each = {row: judged(row, listed, undone) for row, listed in found[group].items()}
    return {row: one for row, one in each.items() if one is not None}


def prior_of(found: Groups, folds: Iterable[int]) -> Judged | None:
    """Return the prior box on some folds; None where it was not run on all of them."""
    wanted = tuple(folds)
    mine = {r.spec.split.fold: r for r in found[HEAD][detect_recipes.PRIOR_ROW]}
    if not wanted or any(fold not in mine for fold in wanted):
        return None
    return judged(detect_recipes.PRIOR_ROW, [mine[fold] for fold in wanted])


def with_prior(found: Groups, group: str) -> Detectors:
    """Return the detectors of a group and, last, the prior box on their folds."""
    mine = {
        row: each
        for row, each in detectors(found, group).items()
        if row != detect_recipes.PRIOR_ROW
    }
    tested = [r.spec.split.fold for r in found[HEAD][detect_recipes.PRIOR_ROW]]
    asked = tested if group == HEAD else [fold for fold in tested if fold == 0]
    folds = next(iter(mine.values())).folds if mine else asked
    prior = prior_of(found, folds)
    return mine | ({prior.name: prior} if prior else {})


def who(found: Groups) -> pd.DataFrame:
    """Count what is searched: a row a fold of the headline, and what is tested of it."""
    out = []
    for record in found[HEAD][detect_recipes.LIGHT] or found[HEAD][detect_recipes.PRIOR_ROW]:
        row: dict[str, Any] = {"fold": record.spec.split.fold}
        row["training views"] = len(record.content["split"]["train"])
        for part in ("validation", "test"):
            rows = record.part(part)
            views = rows[rows["row"] == "view"]
            row[f"{part} views"] = len(views)
            row[f"{part} masses"] = int(views["masses"].sum())
            row[f"mass-free views, {part}"] = int((views["masses"] == 0).sum())
            row[f"{part} patients"] = views["patient"].nunique()
        out.append(row)
    return pd.DataFrame(out, columns=None if out else ["fold", "training views"])


def summary(found: Detectors, rule: str = "iou25") -> pd.DataFrame:
    """Score detectors: a row each, the fields of :func:`detection_judged.scores`."""
    return pd.DataFrame([scores(each, rule) for each in found.values()])


def printed_summary(table: pd.DataFrame, expected: Sequence[str]) -> pd.DataFrame:
    """Lay out :func:`summary`, a row a detector, run or not."""
    out = []
    for row in table.to_dict("records"):
        cells = {heading: _cell(row, name) for name, heading in HEADINGS.items()}
        minutes = f"{row['minutes']:.1f}" if row["converged"] != "no training" else "–"
        last = {"core-minutes": minutes, "converged": row["converged"]}
        out.append({"detector": row["row"], **cells, **last})
    columns = ["detector", *HEADINGS.values(), "core-minutes", "converged"]
    wide = pd.DataFrame(out, columns=columns)
    return printed.with_absent(wide, [(name,) for name in expected], ["detector"])


def _cell(row: dict[Any, Any], name: str) -> str:
    return printed.cell(row[name], row[f"{name}_low"], row[f"{name}_high"], 2)


def expected(cohort: str, preset: str, group: str) -> list[str]:
    """Return the rows that a table promises, the prior box last."""
    rows = [row for row in named(cohort, preset)[group] if row != detect_recipes.PRIOR_ROW]
    return [*rows, detect_recipes.PRIOR_ROW] if rows else []


def rules_table(found: Detectors) -> pd.DataFrame:
    """Score detectors by every rule: row, rule, at_one and mean with their ends."""
    columns = [f"{name}{end}" for name in ("at_one", "mean") for end in ("", "_low", "_high")]
    out = []
    for rule in RULE_NAMES:
        for name, each in found.items():
            scored = scores(each, rule)
            out.append({"row": name, "rule": rule} | {key: scored[key] for key in columns})
    return pd.DataFrame(out)


def printed_rules(table: pd.DataFrame) -> pd.DataFrame:
    """Lay out :func:`rules_table`."""
    return pd.DataFrame(
        {
            "rule": RULE_NAMES[row["rule"]],
            "detector": row["row"],
            HEADINGS["at_one"]: _cell(row, "at_one"),
            HEADINGS["mean"]: _cell(row, "mean"),
        }
        for row in table.sort_values("rule", key=_place, kind="stable").to_dict("records")
    )


def _place(rules: pd.Series) -> pd.Series:
    order = list(RULE_NAMES)
    return rules.map(order.index)


def rates_table(found: Detectors) -> pd.DataFrame:
    """Sensitivity at 1/8 to 8 false positives a view: row, and the columns of the module below.

    See :func:`mammostudy.evaluation.froc_intervals.sensitivity_table`.
    """
    each = [
        sensitivity_table(one.curve(), one.patients, draws=DRAWS).assign(row=name)
        for name, one in found.items()
    ]
    return pd.concat(each, ignore_index=True) if each else pd.DataFrame()


def printed_rates(table: pd.DataFrame) -> pd.DataFrame:
    """Lay out :func:`rates_table`, a row a detector, a column a rate."""
    out = []
    for name, part in table.groupby("row", sort=False):
        cells = {}
        for row in part.to_dict("records"):
            heading = "mean" if np.isnan(row["rate"]) else _rate(row["rate"])
            mark = "" if row["reached"] else "*"
            cell = f"{row['sensitivity']:.2f}{mark} [{row['low']:.2f}, {row['high']:.2f}]"
            cells[heading] = cell
        out.append({"detector": name, **cells})
    return pd.DataFrame(out)


def _rate(rate: float) -> str:
    return f"1/{round(1 / rate)}" if rate < 1 else f"{rate:g}"
