"""What chance and a leak are worth: trainings that differ in their seed alone, and in their folds.

Folds by image deal out the views of a patient one by one, so that a model is tested on patients it
has learnt from. These are the only runs of the study that do so, and their specs, records and
labels say it. Every mass is tested once under each kind of fold, so the comparison is paired.
"""

from __future__ import annotations

from itertools import combinations
from typing import Any, Final

import pandas as pd

from mammostudy.evaluation.statistics import paired_test, wilson_interval
from mammostudy.runs.spec import RunSpec
from mammostudy.study import losses, shape_recipes, shapes
from mammostudy.study.comparing import TRAINED_BY_PAGES, Runs, compare, every_run, judge
from mammostudy.study.recipes import baselines, headline, recipe

PATIENT: Final = "by patient"
IMAGE: Final = "by image (LEAKY)"
MODEL: Final = "cGAN"
NULL: Final = "ellipse"
SHAPES: Final = shape_recipes.FOREST
LEVEL, EVERY = 0.05, "all recipes"
SUBSETS: Final = {
    "all masses": None,
    "patient also trained on": True,
    "patient new to the model": False,
}


def by_image(spec: RunSpec) -> RunSpec:
    """Return the same run under folds by image: LEAKY, for this page alone."""
    least = {"evaluation__boxes": ("oracle",), "evaluation__postprocessing": "published"}
    return spec.changed(split__unit="image", **least)


def named(cohort: str, preset: str) -> dict[tuple[str, str], list[Any]]:
    """Return the runs by row and kind of fold: two trainings a fold of the model."""
    if preset in TRAINED_BY_PAGES:
        return {}
    main = headline(cohort, preset)
    folds = main[0].split.folds
    known = {(spec.split, spec.seed): spec for spec in main}  # their masks are on record already
    again = [recipe(cohort, preset, split__fold=fold, seed=fold + folds) for fold in range(folds)]
    honest = main[:folds] + [known.get((spec.split, spec.seed), spec) for spec in again]
    leaky = [by_image(spec) for spec in honest]
    out: dict[tuple[str, str], list[Any]] = {(MODEL, PATIENT): honest, (MODEL, IMAGE): leaky}
    for unit, runs in ((PATIENT, honest), (IMAGE, leaky)):
        plain = [spec.changed(evaluation__postprocessing="published") for spec in runs[:folds]]
        out[NULL, unit] = [baselines(spec)[1] for spec in plain]
    if shape_recipes.outlines_only(cohort):
        forest = shape_recipes.rows_of(cohort, preset, "classifier")[SHAPES]
        out[SHAPES, PATIENT] = forest
        out[SHAPES, IMAGE] = [run.changed(split__unit="image") for run in forest]
    return out


def trained(cohort: str, preset: str) -> dict[str, list[RunSpec]]:
    """Return the recipes of the chapter on losses that have several trainings of a fold."""
    grid = {} if preset in TRAINED_BY_PAGES else losses.named(cohort, preset)
    return {n: runs for n, runs in grid.items() if len({r.split.fold for r in runs}) < len(runs)}


specs = every_run(named, trained)


def rows_of(runs: Runs) -> pd.DataFrame:
    """Return the test rows of all rows of the page, the score of each in ``score``.

    Dice on known boxes before post-processing, or right (1) and wrong (0) of the forest. A case is
    ``exposed`` where the folds by image test its patient by a model that has learnt from it.
    """
    dice = runs.test(row=None)
    dice = dice[dice["row"].isin([MODEL, NULL])]
    parts = [dice.assign(score=dice["dice"])]
    for unit in (PATIENT, IMAGE):
        named = shapes.pooled(runs.of(SHAPES, unit))
        right: Any = named["right"].astype(float) if len(named) else []
        parts.append(named.assign(row=SHAPES, folds=unit, score=right, replicate=0, judged=True))
    rows = pd.concat([part for part in parts if len(part)], ignore_index=True)
    exposed = {name: trained_on(runs, name) for name in (MODEL, NULL, SHAPES)}
    flags = [
        exposed[row].get(case, False) for row, case in zip(rows["row"], rows["case"], strict=True)
    ]
    return rows.assign(exposed=flags)


def trained_on(runs: Runs, row: str) -> dict[str, bool]:
    """Say of each test case of the folds by image whether its patient was trained on."""
    patient_of: dict[str, str] = {}
    for record in (*runs.of(row, PATIENT), *runs.of(row, IMAGE)):
        patient_of |= dict(zip(record.cases["case"], record.cases["patient"], strict=True))
    out: dict[str, bool] = {}
    for record in runs.of(row, IMAGE):
        parts = record.content["split"]
        learnt = {patient_of.get(case) for case in parts["train"]}
        out |= {case: patient_of.get(case) in learnt for case in parts["test"]}
    return out


def _foldless(rows: pd.DataFrame) -> pd.DataFrame:
    """A case has one fold a kind, so folds cannot be paired; trainings of a case are averaged."""
    return rows.assign(fold=0, replicate=0, converged=None, judged=True)


def gains(rows: pd.DataFrame) -> pd.DataFrame:
    """Set folds by image against folds by patient on the same cases, by row and subset."""
    lines = []
    for row, part in _foldless(rows).groupby("row", sort=False):
        for subset, asked in SUBSETS.items():
            chosen = part if asked is None else part[part["exposed"] == asked]
            if asked is None or 0 < len(chosen) < len(part):
                tests = compare(chosen, [(IMAGE, PATIENT)], "score", by="folds")
                lines += tests.assign(a=f"{row}, {subset}: {IMAGE}").to_dict("records")
    return judge(lines)


def alike(runs: Runs) -> pd.DataFrame:
    """Test trainings that differ in their seed alone against each other, over patients alone.

    ``runs`` are grouped by recipe (:func:`trained`). A row a pair: row, fold, patients,
    difference (the absolute one), p of the sign-flip permutation over patients.
    """
    lines = []
    for (row, fold), part in runs.test().groupby(["row", "fold"], sort=False):
        scores = part.pivot_table(index=["case", "patient"], columns="replicate", values="dice")
        patients = scores.index.get_level_values("patient").to_numpy()
        for a, b in combinations(scores.columns, 2):
            test = paired_test(scores[a], scores[b], patients)
            lines.append((row, fold, test.patients, abs(test.difference), test.p_permutation))
    return pd.DataFrame(lines, columns=["row", "fold", "patients", "difference", "p"])


def false_alarms(pairs: pd.DataFrame) -> pd.DataFrame:
    """Count how often :func:`alike` finds a difference at 5 %, by recipe and over all.

    Columns row, pairs, found, share with its Wilson interval (low, high), largest (difference).
    """
    lines = []
    for row, part in [*pairs.groupby("row", sort=False), (EVERY, pairs)]:
        if len(part):
            found = int((part["p"] < LEVEL).sum())
            low, high = map(float, wilson_interval(found, len(part)))
            counted = (row, len(part), found, found / len(part), low, high)
            lines.append((*counted, part["difference"].max()))
    return pd.DataFrame(lines, columns=["row", "pairs", "found", "share", "low", "high", "largest"])
