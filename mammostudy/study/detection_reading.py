"""What the detection tables say of the detectors, in sentences with the tables' numbers."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import pandas as pd

from mammostudy.runs.detect_spec import DETECTIONS
from mammostudy.study import detect_recipes, printed, words
from mammostudy.study.detection import HEAD, Detectors
from mammostudy.study.detection_comparison import BEATS, LOSES, OPEN, UNCHANGED, ranking

NOUNS: Final = {detect_recipes.LIGHT: "light SSD", detect_recipes.PRIOR_ROW: "prior box"}
NOTHING: Final = "No run of this page is on record yet, so it has nothing to say."
LEFT_OUT: Final = (
    "YOLO: Ultralytics' is under the AGPL, which this study cannot depend on, and the packages "
    "under other licences train by a download of weights; RT-DETR stands for the newer families.",
    "Weights learnt on photographs: every detector starts from scratch, so that all have seen the "
    "same images; what ImageNet or COCO would add is not measured.",
    "More than one seed a fold, and more than the first fold for the detectors side by side: the "
    "spread between trainings is not in the intervals.",
    "Several views of a breast at once, earlier examinations, and the other breast: every view is "
    "searched by itself.",
)


def budget(preset: str) -> str:
    """Say what the two budgets of a preset are."""
    seconds = detect_recipes.EQUAL_SECONDS.get(preset)
    said = [
        "Every detector is trained from scratch, on views with and without a mass, with one recipe "
        "of augmentation (flips, shifts, zoom, light)."
    ]
    if seconds:
        said.append(
            f'"{_sentence(detect_recipes.EQUAL)}" gives each as many steps as fit into '
            f"{words.count(seconds, 'second')} of one core, by the measured cost of a step; "
            f'"{detect_recipes.LONG}" is what this preset can spend on it.'
        )
    said.append(f"At most {DETECTIONS} boxes a view are kept, those of the highest scores.")
    return words.paragraph(said)


def _sentence(text: str) -> str:
    return text[:1].upper() + text[1:]


def noun(row: object) -> str:
    """Name a detector within a sentence."""
    return NOUNS.get(str(row), str(row))


def who(table: pd.DataFrame) -> str:
    """Count the views and masses of the test folds."""
    if table.empty:
        return NOTHING
    views, masses = int(table["test views"].sum()), int(table["test masses"].sum())
    free = int(table["mass-free views, test"].sum())
    folds = words.listed(str(fold) for fold in table["fold"])
    said = [
        f"Tested: {words.count(views, 'view')} with {words.count(masses, 'mass')} of fold"
        f"{'s' if len(table) > 1 else ''} {folds}, {free} of them without a mass."
    ]
    if not free:
        said.append("This cohort has no mass-free views: false positives there cannot be counted.")
    return words.paragraph(said)


def scores(table: pd.DataFrame) -> str:
    """Name the scores of the light SSD and of the prior box over the folds."""
    if table.empty:
        return NOTHING
    said = []
    for row in table.to_dict("records"):
        said.append(
            f"The {noun(row['row'])} finds {_cell(row, 'at_one')} of the masses at 1 false "
            f"positive a view of its test curve, and {_cell(row, 'accuracy')} at the threshold "
            f"chosen on validation, where it gives {_cell(row, 'false')} false positives a view on "
            "test."
        )
    open_ = table.loc[table["converged"].isin(["no"]), "row"]
    if len(open_):
        said.append(f"Training had not converged for the {words.listed(map(noun, open_))}.")
    return words.paragraph(said)


def _cell(row: Mapping[Any, Any], name: str) -> str:
    return printed.cell(row[name], row[f"{name}_low"], row[f"{name}_high"], 2)


def against_prior(table: pd.DataFrame) -> str:
    """Say of every detector whether it beats the prior box at 1 false positive a view."""
    if table.empty:
        return "No detector and prior box of the same fold are on record."
    said = []
    for verdict in (BEATS, OPEN, LOSES):
        mine = [_with_gap(row) for row in table.to_dict("records") if row["verdict"] == verdict]
        if mine:
            said.append(f"{_verdict_head(verdict)}: {'; '.join(mine)}.")
    behind = table[table["verdict"] != BEATS]
    if len(behind):
        said.append(
            "A detector that does not beat a box laid without looking is not a detector yet, "
            "whatever its other numbers: its row stands here to say so, and in no ranking."
        )
    return words.bullets(said)


def _verdict_head(verdict: str) -> str:
    heads = {
        BEATS: "**Beat the prior box** (the interval lies above 0)",
        OPEN: "**Cannot be told from the prior box** (the interval holds 0)",
        LOSES: "**Fall behind the prior box** (the interval lies below 0)",
    }
    return heads[verdict]


def _with_gap(row: Mapping[Any, Any]) -> str:
    gap = _gap(row, "at_one")
    loose = "" if row["converged"] == "yes" else f", {_unsettled(row['converged'])}"
    return f"{noun(row['row'])}, {row['group']} ({gap}{loose})"


def _gap(row: Mapping[Any, Any], name: str) -> str:
    return words.interval(row[name], row[f"{name}_low"], row[f"{name}_high"], digits=2)


def _unsettled(converged: object) -> str:
    said = {"no": "not converged", "diverged": "diverged"}
    return said.get(str(converged), f"converged in {converged}")


def compared(table: pd.DataFrame, tests: pd.DataFrame, prior: pd.DataFrame, budget_: str) -> str:
    """Rank the detectors of a budget and say which differences from the light SSD hold.

    Args:
        table: :func:`mammostudy.study.detection.summary` of the budget.
        tests: :func:`mammostudy.study.detection_comparison.differences` of it.
        prior: :func:`mammostudy.study.detection_comparison.against_prior`.
        budget_: its name.
    """
    seeing = table[table["row"] != detect_recipes.PRIOR_ROW] if len(table) else table
    if seeing.empty:
        return f'In the budget "{budget_}" no detector is on record.'
    sound = set()
    if len(prior):
        beats = (prior["verdict"] == BEATS) & (prior["group"] == budget_)
        sound = set(prior.loc[beats, "row"])
    ranked = [name for name in ranking(seeing) if name in sound]
    said = []
    if ranked:
        rows = seeing.set_index("row")
        each = [f"{noun(name)} ({float(rows['at_one'][name]):.2f})" for name in ranked]
        said.append(
            f"{_sentence(budget_)}, by sensitivity at 1 false positive a view, of those that "
            f"converged and beat the prior box: {', '.join(each)}."
        )
    else:
        said.append(
            f"{_sentence(budget_)}: no detector both converged and beat the prior box, so there "
            "is nothing to rank."
        )
    out = [name for name in seeing["row"] if name not in ranked]
    if out and ranked:
        said.append(f"Not ranked: {words.listed(map(noun, out))}.")
    return words.paragraph([*said, _against_light(tests)])


def _against_light(tests: pd.DataFrame) -> str:
    if tests.empty:
        return ""
    held = tests[tests["at_one_holm"] < 0.05]
    if held.empty:
        most = tests[["at_one_low", "at_one_high"]].abs().to_numpy().max()
        return (
            "No difference from the light SSD in sensitivity at 1 false positive holds after "
            f"Holm's correction; the intervals reach out to {most:.2f}."
        )
    each = [f"{noun(row['row'])} {_gap(row, 'at_one')}" for row in held.to_dict("records")]
    return f"Differences from the light SSD that hold after Holm's correction: {'; '.join(each)}."


def ablations(tests: pd.DataFrame) -> str:
    """Say which changes of the light SSD move its sensitivity."""
    if tests.empty:
        return "No ablation is on record."
    said = []
    for row in tests.to_dict("records"):
        p = words.p_value(row["mean_holm"])
        loose = "" if row["converged"] == "yes" else f" ({_unsettled(row['converged'])})"
        said.append(
            f"{_sentence(row['row'])}{loose}: mean sensitivity {_gap(row, 'mean')}, p {p} after "
            "Holm's correction."
        )
    return words.bullets(said)


def mass_free(table: pd.DataFrame) -> str:
    """Say what learning from mass-free views does to false positives there."""
    if table.empty:
        return "The rows to compare are not on record."
    if not table["views"].max():
        return "No test view of this cohort is without a mass: nothing can be said."
    rows = {str(row["row"]): row for row in table.to_dict("records")}
    said = []
    if UNCHANGED in rows:
        said.append(
            f"Unchanged, it lays {_cell(rows[UNCHANGED], 'free')} false boxes on a mass-free view "
            f"and {_cell(rows[UNCHANGED], 'held')} on a view with a mass."
        )
    for name in (detect_recipes.NO_NEGATIVES, detect_recipes.NO_FREE):
        if name not in rows or UNCHANGED not in rows:
            continue
        row = rows[name]
        said.append(
            f"{_sentence(name)}: {_cell(row, 'free')} false positives a mass-free view against "
            f"{_cell(rows[UNCHANGED], 'free')} ({_gap(row, 'difference')}), each at its own "
            f"threshold of 1 a view on validation; {_cell(row, 'accuracy')} of the masses found "
            f"against {_cell(rows[UNCHANGED], 'accuracy')}."
        )
    return words.paragraph(said) or "The rows to compare are not on record."


def meaning(
    head: pd.DataFrame, prior: pd.DataFrame, budgets: Mapping[str, pd.DataFrame], found: Detectors
) -> str:
    """Draw the page's conclusions from its tables.

    Args:
        head: summary of the headline detector and the prior box.
        prior: :func:`mammostudy.study.detection_comparison.against_prior`.
        budgets: name -> summary.
        found: the headline detectors.
    """
    if head.empty:
        return NOTHING
    said = [_beaten(prior, found)]
    for name, table in budgets.items():
        seeing = table[table["row"] != detect_recipes.PRIOR_ROW] if len(table) else table
        if len(seeing) < 2:
            continue
        best = seeing[seeing["at_one"] == seeing["at_one"].max()].to_dict("records")
        each = [
            f"{noun(row['row'])}{'' if row['converged'] == 'yes' else ' (not converged)'}"
            for row in best
        ]
        said.append(
            f"{_sentence(name)}, the highest sensitivity at 1 false positive a view is "
            f"{_cell(best[0], 'at_one')}, of {words.listed(each)}."
        )
    said.append(
        "The paper's own detection numbers are not reported, so that nothing here contradicts or "
        "confirms them; its choice of SSD is tested on the page of claims."
    )
    return words.bullets(said)


def _beaten(prior: pd.DataFrame, found: Detectors) -> str:
    light = detect_recipes.LIGHT
    groups = (detect_recipes.LONG, HEAD)  # the same runs where there is one fold
    mine = prior[prior["group"].isin(groups) & (prior["row"] == light)] if len(prior) else prior
    if mine.empty:
        return "Whether the light SSD beats the prior box is not on record."
    row = mine.iloc[-1].to_dict()
    folds = len(found[light].folds) if light in found else 1
    return (
        f"Over {words.count(folds, 'fold')} the {noun(light)} less the prior box at 1 false "
        f"positive a view: {_gap(row, 'at_one')}. It {row['verdict'].replace('it', 'the box')}."
    )
