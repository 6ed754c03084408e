"""Detection: does a detector find the masses of whole mammograms, and is SSD the best of them?

What each training finds at which threshold is said in :mod:`mammostudy.study.found`.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import product
from typing import Any, Final

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from mammostudy.data.descriptors import describe
from mammostudy.evaluation import froc_curves as curves
from mammostudy.evaluation.boxes import Matches
from mammostudy.evaluation.froc_curves import froc_of
from mammostudy.evaluation.matched_rows import COCO, HEADLINE, matches_of
from mammostudy.figures.tables import thirds
from mammostudy.runs.kinds import SSDS, DetectSpec
from mammostudy.runs.record import Record
from mammostudy.study import recipes
from mammostudy.study.comparing import Runs, compare, every_run, summarise
from mammostudy.study.found import AT_ONE, FALSE, FOUND, FREE, MEAN, OPERATING, RATES, found_rows
from mammostudy.study.recipes import EQUAL, LIGHT, LONG, PRIOR_ROW

KEYS: Final = "budget detector"
HEAD, ABLATED, UNCHANGED = "all folds", "one field changed", "unchanged"
MARGIN: Final = 0.02
AP50, EITHER, BOTH = "AP50", "found in a view or both", "found in both"
OF_MASSES: Final = (*RATES, MEAN, FOUND)
SCORES: Final = (AT_ONE, MEAN, AP50, FOUND, FALSE)
RULES: Final = {"iou10": "IoU 0.10", "iou25": "IoU 0.25", "iou50": "IoU 0.50", "centre": "centre"}
GROUPS: Final = {"projection": "view", "density": "density", "shape": "shape", "size": "size"}
ACROSS: Final = ("cbis-ddsm-800", "cdd-cesm")
"""Real cohorts that are each trained on, alone and together, and tested on."""
NOTHING: Final = "No run of this section is on record: it is left out."


def grid(cohort: str, preset: str) -> dict[tuple[str, str], list[DetectSpec]]:
    """Return the runs of the page by group (all folds, a budget, ablations) and detector."""
    runs = {(HEAD, row): recipes.detect_folds(cohort, preset, row) for row in (LIGHT, PRIOR_ROW)}
    for budget, steps in recipes.detector_steps(cohort, preset).items():
        for row, count in steps.items():
            runs[budget, row] = recipes.detect_seeds(cohort, preset, row, count, budget)
        if budget != recipes.LONGER:
            runs[budget, PRIOR_ROW] = runs[HEAD, PRIOR_ROW][:1]
    runs[HEAD, LIGHT] = max(runs[HEAD, LIGHT], runs[LONG, LIGHT], key=len)
    same = runs.get((EQUAL, LIGHT), runs[LONG, LIGHT][:1])
    for row, fields in recipes.detector_ablations(cohort, preset).items():
        runs[ABLATED, UNCHANGED] = same
        runs[ABLATED, row] = [same[0].changed(**fields)]
    return runs


def across(cohort: str, preset: str) -> dict[tuple[str, str], list[DetectSpec]]:
    """Return the light SSD by the cohorts tested on and trained on; none of other cohorts."""
    out: dict[tuple[str, str], list[DetectSpec]] = {}
    if not recipes.is_seeded(cohort, preset) or cohort != ACROSS[0]:
        return out
    steps = recipes.detector_steps(cohort, preset)[LONG][LIGHT]
    runs = recipes.detect_seeds(cohort, preset, LIGHT, steps, recipes.LONGER)
    first, other = (describe(name) for name in ACROSS)
    split = recipes.recipe(other.name, preset).split.model_dump()
    homes: dict[str, dict[str, Any]] = {first.title: {}, "both": {"beside": other.views}}
    homes[other.title] = {"cohort": other.views, "split": split}
    for away, (home, asked) in product((first, other), homes.items()):
        test = "" if asked.get("cohort", first.views) == away.views else away.views
        out[away.title, home] = [run.changed(**asked, test_cohort=test) for run in runs]
    return out


specs = every_run(grid, across)


@dataclass(frozen=True)
class Detector:
    """One training a fold of a detector, on the test views of its folds."""

    records: Sequence[Record]

    @cached_property
    def rows(self) -> pd.DataFrame:
        """The test rows of all folds; ``laid`` are boxes from their fold's threshold on."""
        parts = []
        for record in self.records:
            known = froc_of(matches_of(record.part("validation")))
            rows, threshold = record.part("test"), known.threshold_at(OPERATING)
            parts.append(rows.assign(laid=(rows["row"] == "box") & (rows["score"] >= threshold)))
        return pd.concat(parts, ignore_index=True)

    @cached_property
    def views(self) -> pd.DataFrame:
        """The rows of views, in the order in which matches count them."""
        return self.rows[self.rows["row"] == "view"].reset_index(drop=True)

    @property
    def free(self) -> NDArray[np.bool_]:
        """Whether each view is without a mass."""
        return (self.views["masses"] == 0).to_numpy()

    @property
    def patients(self) -> NDArray[np.str_]:
        """The patient of each view."""
        return self.views["patient"].to_numpy(str)

    def matches(self, rule: str = HEADLINE, repeats: str = "ignore", laid: bool = False) -> Matches:
        """Return the matches of all test views; ``laid``: of boxes from the threshold on."""
        kept = self.rows[(self.rows["row"] != "box") | self.rows["laid"]] if laid else self.rows
        return matches_of(kept, rule, repeats)


def detectors(runs: Runs, group: str) -> dict[str, list[Detector]]:
    """Return the detectors of a group on record by name, the first training of each fold first."""
    out = {}
    for (budget, row), listed in runs.found.items():
        of_fold = defaultdict[int, list[Record]](list)
        for record in listed if budget == group else ():
            of_fold[record.spec.split.fold].append(record)
        if of_fold:
            out[str(row)] = [Detector(each) for each in zip(*of_fold.values(), strict=False)]
    return out


def firsts(runs: Runs, *groups: str) -> dict[str, dict[str, Detector]]:
    """Return the first training of every detector of some groups, for figures; none of empty."""
    found = {group: detectors(runs, group) for group in groups}
    return {g: {row: ones[0] for row, ones in each.items()} for g, each in found.items() if each}


def searched(runs: Runs, group: str = "", rule: str = HEADLINE) -> pd.DataFrame:
    """Return what is found (:func:`found_rows`) by the trainings of a group, or of all."""
    rows = runs.rows[(runs.rows[runs.keys[0]] == group) | (not group)]
    each = rows.groupby([*runs.keys, "fold", "replicate"], sort=False)
    parts = [found_rows(part, rule=rule) for _, part in each]
    named = dict.fromkeys([*rows, *OF_MASSES, FALSE, FREE, "side"])  # where nothing was run
    return pd.concat(parts or [rows.iloc[:0].reindex(columns=[*named])], ignore_index=True)


def summary(runs: Runs, group: str = "") -> pd.DataFrame:
    """Summarise the detectors of a group, or of all, over patients and trainings.

    The interval of average precision is over patients alone, of the mean of the trainings.
    """
    rows, by = searched(runs, group), runs.keys[1:] if group else runs.keys
    known = [metric for metric in (*OF_MASSES, FALSE, FREE) if rows[metric].notna().any()]
    if not known:
        return summarise(rows, (), by)
    tables = [summarise(rows[rows[metric].notna()], [metric], by) for metric in known]
    first = tables[0].set_index(by[0])
    for row, ones in detectors(runs, group).items():
        found = [one.matches(COCO[0], "false_positive") for one in ones]
        low, high = curves.average_precision_ci(found, ones[0].patients)
        line = {by[0]: row, "mean": curves.average_precision(found), "low": low, "high": high}
        tables.append(pd.DataFrame([{**first.loc[row], **line, "metric": AP50}]))
    return pd.concat(tables, ignore_index=True)


def by_rule(runs: Runs) -> pd.DataFrame:
    """Summarise sensitivities over all folds by the rule of what counts as found."""
    rows = pd.concat(searched(runs, HEAD, rule).assign(rule=name) for rule, name in RULES.items())
    return summarise(rows[rows[AT_ONE].notna()], (AT_ONE, MEAN), ("rule", "detector"))


def by_group(rows: pd.DataFrame) -> pd.DataFrame:
    """Summarise masses by view, density, shape and thirds of their size, where they are known."""
    masses = rows[rows[FOUND].notna()]
    masses = masses.assign(size=thirds(masses["share"].astype(float)) if len(masses) else "")
    known = [name for name in GROUPS if name in masses and masses[name].notna().any()]
    words = {n: masses[n].convert_dtypes().astype(object).fillna("unknown") for n in known}
    named = [masses.assign(of=GROUPS[name], group=each.map(str)) for name, each in words.items()]
    table = pd.concat(named or [masses.assign(of="", group="")])
    return summarise(table, (FOUND, AT_ONE), ("of", "group"))


def by_breast(rows: pd.DataFrame) -> pd.DataFrame:
    """Summarise breasts with exactly one mass in each of two views, at the chosen threshold."""
    masses = rows[rows[FOUND].notna()].reindex(columns=[*dict.fromkeys([*rows, "projection"])])
    masses["case"] = masses["patient"].astype(str) + " " + masses["side"].astype(str)
    by = ["detector", "fold", "replicate", "converged", "patient", "case"]
    each = masses.groupby(by, sort=False, dropna=False)
    table = pd.DataFrame({EITHER: each[FOUND].max(), BOTH: each[FOUND].min()})
    pairs = (each.size() == 2) & (each["projection"].nunique() == 2)
    return summarise(table[pairs].reset_index(), (EITHER, BOTH), ("detector",))


def differences(rows: pd.DataFrame, base: str, metric: str = AT_ONE) -> pd.DataFrame:
    """Set the detectors of a group against one of them.

    Against the prior box convergence does not count: the question is what a network finds as it was
    trained.
    """
    masses = rows[rows[FOUND].notna()]
    if base == PRIOR_ROW:
        masses = masses.assign(converged=masses["converged"].map({True: True, False: True}))
    others = [row for row in masses["detector"].unique() if row not in (base, PRIOR_ROW)]
    return compare(masses, [(row, base) for row in others], metric, "detector", MARGIN)


def claim_line(cohort: str, preset: str) -> dict[str, Any] | None:
    """Compare the best SSD with the best other detector, as long as affordable, on the first fold.

    Each is the one of its kind with the higher mean sensitivity on validation, in the mean of its
    trainings. Compared is whether a test mass is found at the threshold chosen on validation.

    A line for :func:`mammostudy.study.comparing.judge`; None where a kind was not run.
    """
    asked = {key: runs for key, runs in grid(cohort, preset).items() if key[0] == LONG}
    runs = Runs.load(asked, preset, KEYS)
    seen = {
        row: np.mean(list(map(validated, listed)))
        for (group, row), listed in runs.found.items()
        if listed and group == LONG and row != PRIOR_ROW
    }
    ssds = [row for row in seen if recipes.DETECTORS[row]["name"] in SSDS]
    kinds = (ssds, [row for row in seen if row not in ssds])
    if not all(kinds):
        return None
    a, b = (max(kind, key=seen.__getitem__) for kind in kinds)
    rows = searched(runs, LONG)
    return dict(compare(rows[rows[FOUND].notna()], [(a, b)], FOUND, "detector").iloc[0])


def validated(record: Record) -> float:
    """Return the mean sensitivity on validation views over 1/8 to 8 false positives a view."""
    return froc_of(matches_of(record.part("validation"))).mean_sensitivity()
