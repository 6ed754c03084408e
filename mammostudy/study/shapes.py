"""Shape classification: what a mask alone says about a mass's shape, and against what.

Comparisons are in :mod:`mammostudy.study.shapes_comparison`, the drawing tools and the sources of
masks in :mod:`mammostudy.study.shapes_sources`, the pictures' data in
:mod:`mammostudy.study.shapes_examples`, the sentences in the two modules ``*_reading``.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

import numpy as np
import pandas as pd

from mammostudy.runs.record import Record
from mammostudy.runs.shape_spec import ShapeSpec
from mammostudy.study import (
    printed,
    published,
    shape_arithmetic,
    shape_recipes,
    shape_tables,
    words,
)
from mammostudy.study.shape_tables import Found

PAPER: Final = "paper's CNN"
STUDY: Final = "study's CNN"
FOREST: Final = "random forest on features"
BLIND: Final = ("majority", "chance")
HEADINGS: Final = {
    "accuracy": "accuracy",
    "macro_recall": "macro recall",
    "macro_f1": "macro F1",
    "kappa": "kappa",
}
Groups = dict[str, Found]
Rows = dict[str, pd.DataFrame]


def named(cohort: str, preset: str) -> dict[str, dict[str, list[ShapeSpec]]]:
    """Return the runs of the page: group -> row -> specs.

    Groups: ``headline``, ``alternatives``, ``ablations``, ``cross`` (by training masks) and
    ``tools`` (by drawing tool); one that a cohort has no use for is empty.
    """
    headline = shape_recipes.headline(cohort, preset)
    return {
        "headline": {PAPER: headline["paper"], STUDY: headline["study"]},
        "alternatives": shape_recipes.alternatives(cohort, preset),
        "ablations": shape_recipes.ablations(cohort, preset),
        "cross": shape_recipes.cross(cohort, preset),
        "tools": shape_recipes.tools(cohort, preset),
    }


def specs(cohort: str, preset: str) -> list[ShapeSpec]:
    """Return every run that the page shows, each once."""
    groups = named(cohort, preset).values()
    return list(dict.fromkeys(s for rows in groups for listed in rows.values() for s in listed))


def records(cohort: str, preset: str) -> Groups:
    """Return the records of the page: group -> row -> records."""
    groups = named(cohort, preset)
    flat = {
        f"{group}/{row}": listed for group, rows in groups.items() for row, listed in rows.items()
    }
    found = shape_tables.shape_records(flat, preset)
    return {
        group: {row: found.get(f"{group}/{row}", []) for row in rows}
        for group, rows in groups.items()
    }


def absent(found: Groups, cohort: str, preset: str) -> list[str]:
    """Return the names of rows with a run that has no record."""
    return [
        f"{row} ({group})"
        for group, rows in named(cohort, preset).items()
        for row, listed in rows.items()
        if len(found[group][row]) < len(listed)
    ]


def classes_of(cohort: str) -> tuple[str, ...]:
    """Return the shapes that the page tells apart; none where the cohort has no two of them."""
    return shape_recipes.classes_of(cohort)


def expected(cohort: str, preset: str) -> list[str]:
    """Return the rows that the accuracy table promises; none that the cohort has no use for."""
    groups = named(cohort, preset)
    both = groups["headline"] | groups["alternatives"]
    return [row for row, listed in both.items() if listed]


def left_out(cohort: str, preset: str) -> str:
    """Say which classifiers have no use for the cohort."""
    groups = named(cohort, preset)
    gone = [row for row, listed in groups["alternatives"].items() if not listed]
    if not gone or not shape_recipes.classes_of(cohort):
        return ""
    return f"Left out for want of pixels: {words.listed(gone)}."


def compared(found: Groups) -> Rows:
    """Return the pooled test rows of the classifiers of the accuracy table that were run."""
    both = found["headline"] | found["alternatives"]
    return {name: shape_tables.pooled(listed) for name, listed in both.items() if listed}


def architecture() -> pd.DataFrame:
    """Return the layers of the published shape CNN: layer, kind, kernel, filters, bias."""
    layers = published.architecture()
    chosen = layers[layers["network"] == "shape CNN"]
    return chosen[["layer", "kind", "kernel", "filters", "bias"]].replace(
        {True: "yes", False: "no"}
    )


def published_scores() -> pd.DataFrame:
    """Return the accuracies the paper compares, with what its own matrix gives, in %.

    Returns:
        Columns method, data, accuracy as printed, and accuracy and macro recall from the printed
        matrix (missing where no matrix was printed).
    """
    accuracy, macro = shape_arithmetic.accuracy_and_macro_recall()
    table = published.accuracy_table()
    proposed = table["method"] == "proposed"
    return pd.DataFrame(
        {
            "method": table["method"],
            "data": "DDSM, not this page's masks",
            "printed as accuracy, %": table["accuracy"],
            "accuracy of its matrix, %": np.where(proposed, accuracy, np.nan),
            "macro recall of its matrix, %": np.where(proposed, macro, np.nan),
        }
    )


def summary(found: Groups, classes: Sequence[str]) -> pd.DataFrame:
    """Score every classifier of the accuracy table.

    Returns:
        A row a classifier that was run: row, the fields of
        :func:`mammostudy.study.shape_tables.scores`, learnt (masks learnt from) and
        converged (:func:`settled`).
    """
    both = found["headline"] | found["alternatives"]
    out = []
    for name, rows in compared(found).items():
        spec = both[name][0].spec
        learnt = {"grey-cnn": "pixels"}.get(spec.classifier, spec.input.source)
        said = {
            "learnt": "nothing" if name in BLIND else learnt,
            "converged": settled(both[name]),
        }
        out.append({"row": name, **shape_tables.scores(rows, classes), **said})
    return pd.DataFrame(out)


def settled(listed: Sequence[Record]) -> str:
    """Say whether the trainings of a row converged: ``yes``, ``no``, ``3 of 5``, ``no epochs``."""
    flags = [record.converged for record in listed if record.converged is not None]
    if not flags:
        return "no epochs"
    if all(flags) or not any(flags):
        return "yes" if all(flags) else "no"
    return f"{sum(flags)} of {len(flags)}"


def printed_summary(table: pd.DataFrame, expected: Sequence[str]) -> pd.DataFrame:
    """Lay out :func:`summary`, a row a classifier, run or not."""
    out = []
    for _, row in table.iterrows():
        cells = {
            heading: printed.cell(row[name], row[f"{name}_low"], row[f"{name}_high"])
            for name, heading in HEADINGS.items()
        }
        counts = {
            "masks": row["cases"], "missed": row["missed"], "patients": row["patients"],
            "folds": row["folds"], "learnt from": row["learnt"], "converged": row["converged"],
        }  # fmt: skip
        out.append({"classifier": row["row"], **cells, **counts})
    columns = ["classifier", *HEADINGS.values(), *_COUNTS]
    wide = pd.DataFrame(out, columns=columns)
    return printed.with_absent(wide, [(name,) for name in expected], ["classifier"])


_COUNTS: Final = ("masks", "missed", "patients", "folds", "learnt from", "converged")


def recall_table(rows: Mapping[str, pd.DataFrame], classes: Sequence[str]) -> pd.DataFrame:
    """Stack the class recalls of classifiers: row, and the columns of ``shape_tables.recalls``."""
    tables = [shape_tables.recalls(each, classes).assign(row=name) for name, each in rows.items()]
    columns = ["row", "class", "masks", "patients", "correct", "recall", "low", "high"]
    return pd.concat(tables)[columns] if tables else pd.DataFrame(columns=columns)


def printed_recalls(table: pd.DataFrame) -> pd.DataFrame:
    """Lay out :func:`recall_table`, a row a class, a column a classifier."""
    if table.empty:
        return pd.DataFrame(columns=["class", "masks", "patients"])
    cells = [printed.cell(*row) for row in table[["recall", "low", "high"]].itertuples(index=False)]
    wide = table.assign(cell=cells).pivot(index="class", columns="row", values="cell")
    first = table.drop_duplicates("class").set_index("class")[["masks", "patients"]]
    order = list(dict.fromkeys(table["row"]))
    headed = wide[order].add_prefix("recall, ")
    return first.join(headed).reset_index()


def curves(found: Groups) -> pd.DataFrame:
    """Return the curves of the headline trainings: row, fold, epoch, and what was recorded."""
    out = [
        record.curves.assign(row=name, fold=record.spec.split.fold)
        for name, listed in found["headline"].items()
        for record in listed
        if len(record.curves)
    ]
    columns = ["row", "fold", "epoch", "loss", "validation_loss", "validation_macro_recall"]
    return (
        pd.concat(out, ignore_index=True).reindex(columns=columns)
        if out
        else pd.DataFrame(columns=columns)
    )
