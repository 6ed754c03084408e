"""The claim that SSD is the best detector, measured: numbers for the verdict of the claims page."""

from __future__ import annotations

from typing import Any, Final, cast

import numpy as np

from mammostudy.evaluation.froc_curves import froc_of
from mammostudy.evaluation.statistics import paired_test
from mammostudy.runs.detect_spec import SSDS, DetectSpec
from mammostudy.runs.detection_rows import HEADLINE, matches_of
from mammostudy.runs.record import Record
from mammostudy.study import detect_recipes, tables, words
from mammostudy.study.detect_convergence import outdone, validated

FOUND: Final = "found"
RATE: Final = 1.0  # false positives a view that the threshold allows on validation


def specs(cohort: str, preset: str) -> list[DetectSpec]:
    """Return the runs behind the claim: every detector, in each of its budgets."""
    budgets = _budgets(cohort, preset).values()
    return list(dict.fromkeys(spec for each in budgets for runs in each.values() for spec in runs))


def _budgets(cohort: str, preset: str) -> dict[str, detect_recipes.Named]:
    """Return the runs by budget, the smallest first."""
    longer = {detect_recipes.LONGER: detect_recipes.longer(cohort, preset)}
    return detect_recipes.comparison(cohort, preset) | longer


def measured(cohort: str, preset: str) -> dict[str, Any]:
    """Compare the best SSD with the best other detector: test, reason, trainings and cautions.

    Each is the one of its family with the higher mean sensitivity on validation views. What is
    compared on test is whether a mass is found (IoU at least 0.25) at the threshold that gives one
    false positive a view on validation.

    Args:
        cohort: the page's cohort.
        preset: of the page.
    """
    row: dict[str, Any] = {"test": None, "trainings": [], "unsettled": [], "cautions": []}
    budgets = _budgets(cohort, preset)
    asked = budgets[detect_recipes.LONG]
    every = {budget: _first(runs, preset) for budget, runs in budgets.items()}
    found = every[detect_recipes.LONG]
    family = [name for name in found if detect_recipes.ROWS[name] in SSDS]
    others = [name for name in found if name not in family]
    if not family or not others:
        absent = "SSD" if not family else "other detector"
        return row | {"reason": f"no {absent} has been run on this cohort and preset"}
    pair = [max(names, key=lambda name: validated(found[name])) for names in (family, others)]
    one, other = (_hits(found[name]) for name in pair)
    patients = _patients(found[pair[0]])
    grew = outdone(*({name: [run] for name, run in runs.items()} for runs in every.values()))
    return row | {
        "test": paired_test(one, other, patients),
        "reason": "",
        "trainings": [float("nan")],
        "unsettled": [
            name for name in pair if found[name].converged is False or found[name].key in grew
        ],
        "cautions": _cautions(pair, set(asked) - set(found)),
    }


def _first(named: detect_recipes.Named, preset: str) -> dict[str, Record]:
    listed = tables.records_of(cast(tables.Named, named), preset)
    return {name: each[0] for name, each in listed.items() if each}


def _hits(record: Record) -> np.ndarray[tuple[int, ...], np.dtype[np.float64]]:
    """Return 1 for each test mass that is found at the threshold chosen on validation, else 0."""
    threshold = froc_of(matches_of(record.part("validation"))).threshold_at(RATE)
    return matches_of(record.part("test")).found(threshold).astype(np.float64)


def _patients(record: Record) -> np.ndarray[tuple[int, ...], np.dtype[np.str_]]:
    rows = record.part("test")
    views = rows[rows["row"] == "view"]
    return views["patient"].to_numpy(str)[matches_of(rows).true_image]


def _cautions(pair: list[str], absent: set[str]) -> list[str]:
    out = [
        f"{pair[0]} against {pair[1]}, each the best of its kind on validation",
        f"one fold, one seed; a mass counts as found by the rule {HEADLINE} "
        f"at {RATE:g} false positive a view",
    ]
    if absent:
        out.append(f"not run: {words.listed(sorted(absent))}")
    return out
