"""What the shape tables say, in sentences whose numbers come from the tables."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

import numpy as np
import pandas as pd

from mammostudy.study import printed, published, shape_arithmetic, shape_tables, words
from mammostudy.study.shapes import BLIND, FOREST, PAPER, STUDY, Rows
from mammostudy.study.shapes_examples import Map, Walk
from mammostudy.study.shapes_sources import round_oval_mistakes

NOTHING: Final = "No run of this page is on record yet, so it has nothing to say."


def published_claim() -> str:
    """State what the paper built and how its 80 % reads against its own matrix."""
    accuracy, macro = shape_arithmetic.accuracy_and_macro_recall()
    matrix = published.confusion_matrix()
    right, total = int(np.trace(matrix)), int(matrix.to_numpy().sum())
    weights = shape_arithmetic.class_weights()
    each = [f"{row['weight']:.3f} for {row['shape']}" for _, row in weights.iterrows()]
    printed_value = published.FACTS["shape accuracy"].value
    return (
        f"The network has {published.PARAMETER_COUNTS['shape CNN']:,} parameters. Its loss weighs "
        f"a class of n among N masks by 1 - n/N: {words.listed(each)}. The paper prints "
        f"{printed_value:.0f} % as overall accuracy. Its matrix of {total} masks gives an "
        f"**accuracy of {accuracy:.1f} %** ({right} of {total}) and a **macro recall of "
        f"{macro:.1f} %**, the mean of the class recalls: the printed number is the second."
    )


def matrices(rows: Rows) -> str:
    """Say what the matrices of the two CNNs hold: both scores, and round against oval."""
    said = []
    for name in (PAPER, STUDY):
        if name not in rows:
            continue
        crossed, among = round_oval_mistakes(rows[name])
        if not {"round", "oval"} <= set(rows[name]["label"]):
            continue
        missed = int(rows[name]["missed"].sum())
        gone = f"; {words.count(missed, 'mask')} missed, counted as wrong" if missed else ""
        called = rows[name][~rows[name]["missed"]].groupby("fold")["predicted"].nunique()
        if stuck := int((called == 1).sum()):
            said.append(
                f"In {stuck} of {words.count(len(called), 'fold')} the {name} calls every mask by "
                "one name: it has learnt nothing there."
            )
        said.append(
            f"The {name} calls {crossed} of {words.count(among, 'round or oval mask')} by the "
            f"other of the two names{gone}."
        )
    return words.paragraph(said)


def scores(summary: pd.DataFrame) -> str:
    """Name accuracy and macro recall of the two CNNs, the best row and the blind one."""
    if summary.empty:
        return NOTHING
    table = by_row(summary)
    said = [
        f"The {name} reaches {both_scores(table[name])}."
        for name in (PAPER, STUDY)
        if name in table
    ]
    seeing = [
        name
        for name, row in table.items()
        if name not in (*BLIND, PAPER, STUDY) and row["converged"] != "no"
    ]
    if seeing:
        best = max(seeing, key=lambda name: float(table[name]["macro_recall"]))
        said.append(
            f"Of the other rows, those that had not converged left out, {best} has the highest "
            f"macro recall: {both_scores(table[best])}."
        )
    if "majority" in table:
        row = table["majority"]
        said.append(
            f"Always naming the commonest class scores an accuracy of {row['accuracy']:.3f} and a "
            f"macro recall of {row['macro_recall']:.3f}: what a classifier must beat."
        )
    unsettled = list(summary.loc[summary["converged"].isin(["no"]), "row"])
    if unsettled:
        said.append(
            f"Training had not converged for {words.listed(unsettled)}: these scores "
            "are shown, and stand in no ranking."
        )
    return words.paragraph(said)


def by_row(table: pd.DataFrame) -> dict[str, dict[Any, Any]]:
    """Return the rows of a table of scores by their name."""
    return {str(row["row"]): dict(row) for row in table.to_dict("records")}


def both_scores(row: Mapping[Any, Any]) -> str:
    """Write accuracy and macro recall of a row of scores with their intervals."""
    accuracy = printed.cell(row["accuracy"], row["accuracy_low"], row["accuracy_high"])
    macro = printed.cell(row["macro_recall"], row["macro_recall_low"], row["macro_recall_high"])
    return f"an accuracy of {accuracy} and a macro recall of {macro}"


def against(tests: pd.DataFrame, names: Sequence[str] = (FOREST, STUDY)) -> str:
    """Say how the paper's CNN stands against a simple classifier and this study's."""
    said = []
    for name in names:
        rows = tests[tests["b"] == name] if len(tests) else tests
        if rows.empty:
            continue
        test = rows.iloc[0]
        number = words.interval(test["difference"], test["low"], test["high"])
        macro = words.interval(test["macro"], test["macro_low"], test["macro_high"])
        said.append(
            f"Accuracy of the {PAPER} minus that of the {name}: {number} over "
            f"{words.count(int(test['patients']), 'patient')} ({_side(test)}, "
            f"p {words.p_value(test['p_permutation'])} by permutation of patients); "
            f"macro recall: {macro}."
        )
    return words.paragraph(said)


def _side(test: Mapping[Any, Any] | pd.Series) -> str:
    if test["low"] > 0:
        return "the interval lies above 0"
    return "the interval lies below 0" if test["high"] < 0 else "the interval holds 0"


def ablations(table: pd.DataFrame) -> str:
    """Say which changes of the paper's recipe move macro recall, and which cannot be told."""
    if table.empty:
        return "No ablation is on record."
    up = [_change(row) for _, row in table[table["macro_low"] > 0].iterrows()]
    down = [_change(row) for _, row in table[table["macro_high"] < 0].iterrows()]
    rest = table[~(table["macro_low"] > 0) & ~(table["macro_high"] < 0)]
    said = [
        f"Macro recall rises with {words.listed(up)}." if up else "",
        f"It falls with {words.listed(down)}." if down else "",
        f"The interval holds 0 for {words.listed(rest['b'])}." if len(rest) else "",
    ]
    loose = table.loc[table["converged"] != "yes", "b"]
    if len(loose):
        said.append(f"Not all trainings had converged for {words.listed(loose)}.")
    return words.paragraph(said)


def _change(row: pd.Series) -> str:
    return f"{row['b']} ({words.interval(row['macro'], row['macro_low'], row['macro_high'])})"


def placement(agreement: pd.DataFrame) -> str:
    """Say how alike a circle and an oval become under either placement."""
    said = [
        f"{row['oval']}: Dice with the circle {row['stretch']:.3f} when each axis is resized, "
        f"{row['square']:.3f} in a square frame."
        for _, row in agreement.iterrows()
    ]
    return words.paragraph(
        [*said, "What two masks share completely, no classifier can tell apart."]
    )


def walk(found: Walk | None) -> str:
    """Say where along the walk the class called changes."""
    if found is None:
        return "No run of this page has kept a walk between the shapes."
    steps = [f"{name} from {at:.2f}" for name, at in found.switches()]
    return (
        f"By the mean over {words.count(len(found.probabilities), 'walk')} the mask is called "
        f"{words.listed(steps)} on (0 is round, 1 oval, 2 lobular, 3 irregular)."
    )


def embedding(found: Map | None) -> str:
    """Say what the map of embeddings holds."""
    if found is None:
        return "No run of this page has kept its embeddings."
    test = int((found.points["part"] == "test").sum())
    return (
        f"{words.count(len(found.points), 'mask')}: {test} of the test fold, "
        f"{int(found.points['wrong'].sum())} of these called wrong; the others were seen in "
        f"training or validation, so that their places flatter the network."
    )


def meaning(rows: Rows, summary: pd.DataFrame, tests: pd.DataFrame, classes: Sequence[str]) -> str:
    """Draw the page's conclusions from its tables.

    Args:
        rows: :func:`mammostudy.study.shapes.compared`.
        summary: :func:`mammostudy.study.shapes.summary`.
        tests: :func:`mammostudy.study.shapes.tests`.
        classes: names of the classes.
    """
    if summary.empty:
        return NOTHING
    said = [scores(summary), against(tests), _two_scores(summary)]
    if PAPER in rows:
        table = shape_tables.recalls(rows[PAPER], classes).dropna(subset=["recall"])
        hard = table.sort_values("recall").iloc[0]
        cell = printed.cell(hard["recall"], hard["low"], hard["high"])
        said.append(
            f"The hardest class for the {PAPER} is {hard['class']} with a recall of {cell} "
            f"({words.count(int(hard['masks']), 'mask')} of "
            f"{words.count(int(hard['patients']), 'patient')})."
        )
    return words.bullets(said)


def _two_scores(summary: pd.DataFrame) -> str:
    mine = summary[summary["row"] == PAPER]
    if mine.empty:
        return ""
    accuracy, macro = shape_arithmetic.accuracy_and_macro_recall()
    gap = 100 * float(mine["macro_recall"].iloc[0] - mine["accuracy"].iloc[0])
    return (
        f"Macro recall and accuracy of the {PAPER} differ by {gap:+.1f} points here, by "
        f"{macro - accuracy:+.1f} in the paper's matrix: a number needs its name."
    )
