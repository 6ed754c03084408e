"""Detection: does a detector find the masses of whole mammograms, and is SSD the best of them?

A threshold of the score is chosen on the validation views of each fold, where it gives one false
positive a view, and used on that fold's test views. Curves go through all thresholds.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Final

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from mammostudy.data.descriptors import describe
from mammostudy.evaluation import froc_curves as curves
from mammostudy.evaluation.boxes import Matches
from mammostudy.evaluation.froc_curves import froc_of
from mammostudy.evaluation.statistics import bootstrap_ci, paired_test
from mammostudy.runs.detection_rows import COCO, HEADLINE, matches_of
from mammostudy.runs.kinds import SSDS, DetectSpec
from mammostudy.runs.record import Record
from mammostudy.study import recipes
from mammostudy.study.comparing import Runs, every_run, is_judged, judge
from mammostudy.study.recipes import EQUAL, LIGHT, LONG, PRIOR_ROW

HEAD, ABLATED, UNCHANGED = "all folds", "one field changed", "unchanged"
OPERATING: Final = 1.0  # false positives a view on validation, at which a detector is used
MARGIN: Final = 0.02
GAIN: Final = 1.01
LEAST: Final = 0.05  # mean sensitivity on validation: one mass in twenty
RATES: Final = ("at 1/8", "at 1/4", "at 1/2", "at 1", "at 2", "at 4", "at 8", "mean")
AT_ONE, MEAN, AP50, FOUND, FALSE = "at 1", "mean", "AP50", "masses found", "false boxes a view"
FREE = "false boxes, mass-free views"
MEASURES: Final = (AT_ONE, MEAN, AP50)
SCORES: Final = (*MEASURES, "mAP", FOUND, FALSE)
RULES: Final = {"iou10": "IoU 0.10", "iou25": "IoU 0.25", "iou50": "IoU 0.50", "centre": "centre"}
Group = dict[str, "Detector"]
Score = tuple[float, float, float]


def grid(cohort: str, preset: str) -> dict[tuple[str, str], list[DetectSpec]]:
    """Return the runs of the page by group (all folds, a budget, ablations) and row."""
    runs = {(HEAD, row): recipes.detect_folds(cohort, preset, row) for row in (LIGHT, PRIOR_ROW)}
    for budget, steps in recipes.DETECTOR_STEPS[preset].items():
        for row, count in steps.items():
            runs[budget, row] = [recipes.detect_recipe(cohort, preset, row, count)]
        if budget != recipes.LONGER:
            runs[budget, PRIOR_ROW] = runs[HEAD, PRIOR_ROW][:1]
    rows = list(recipes.DETECTOR_ABLATIONS)[: {"smoke": 1, "quick": 0}.get(preset)]
    same = runs.get((EQUAL, LIGHT), runs[LONG, LIGHT])
    for row in [row for row in rows if row != recipes.STRETCHED or not describe(cohort).square]:
        runs[ABLATED, UNCHANGED] = same
        runs[ABLATED, row] = [same[0].changed(**recipes.DETECTOR_ABLATIONS[row])]
    return runs


specs = every_run(grid)


@dataclass(frozen=True)
class Detector:
    """A detector on the test views of its folds: a record a fold, and whether it is judged.

    ``converged`` is ``yes``, ``no``, ``2 of 3``, ``no training`` or ``diverged``.
    """

    records: Sequence[Record]
    converged: str
    judged: bool = True

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

    @property
    def counts(self) -> dict[str, Any]:
        """What stands behind its scores: masses, patients, trainings, convergence."""
        trained = 0 if self.converged == "no training" else len(self.records)
        masses, patients = int(self.views["masses"].sum()), self.views["patient"].nunique()
        counts = {"masses": masses, "patients": patients, "trainings": trained}
        return counts | {"converged": self.converged}

    def matches(self, rule: str = HEADLINE, repeats: str = "ignore", laid: bool = False) -> Matches:
        """Return the matches of all test views; ``laid``: of boxes from the threshold on."""
        kept = self.rows[(self.rows["row"] != "box") | self.rows["laid"]] if laid else self.rows
        return matches_of(kept, rule, repeats)


def validated(record: Record) -> float:
    """Return the mean sensitivity on validation views over 1/8 to 8 false positives a view."""
    return froc_of(matches_of(record.part("validation"))).mean_sensitivity()


def unfinished(runs: Runs) -> set[str]:
    """Return the keys of trainings that had more to learn, whatever their own curve says.

    The learning rate falls to zero at the end of any budget, so that a flat end says little. Such
    are trainings that a longer one of their row beat on validation by more than 1 %, the longest
    where it beat all others by that, and those that find next to nothing.
    """
    trained = [r for listed in runs.found.values() for r in listed if not r.spec.is_baseline]
    keys = {record.key for record in trained if validated(record) < LEAST}
    for row in recipes.DETECTORS:
        series = [record for budget in recipes.BUDGETS for record in runs.of(budget, row)]
        scores = [validated(record) for record in series]
        for at, record in enumerate(series):
            if max(scores[at + 1 :], default=0) > GAIN * scores[at]:
                keys.add(record.key)
        if len(series) > 1 and scores[-1] > GAIN * max(scores[:-1]):
            keys.add(series[-1].key)
    return keys


def detectors(runs: Runs) -> dict[str, Group]:
    """Return the detectors on record by group and row; a group without any is empty."""
    undone, out = unfinished(runs), defaultdict[str, Group](dict)
    for (group, row), listed in runs.found.items():
        if listed:
            out[str(group)][str(row)] = _detector(listed, undone, runs.preset)
    return out


def _detector(listed: Sequence[Record], undone: set[str], preset: str) -> Detector:
    flags = [r.converged and r.key not in undone for r in listed if r.converged is not None]
    converged = "yes" if all(flags) else f"{sum(flags)} of {len(flags)}" if any(flags) else "no"
    if any(record.status == "diverged" for record in listed):
        converged = "diverged"
    judged = is_judged(listed[0].spec.cohort, preset)
    return Detector(listed, converged if flags else "no training", judged)


def _share(values: NDArray[Any], patients: NDArray[np.str_]) -> Score:
    """Return a mean over cases with its 95 % interval over patients."""
    return float(np.mean(values)), *bootstrap_ci(values, patients, draws=2_000)


def measured(one: Detector, rule: str = HEADLINE) -> dict[str, Score]:
    """Return every score of a detector with its 95 % interval; of other rules, sensitivities."""
    table = curves.sensitivity_table(froc_of(one.matches(rule)), one.patients)
    ends = zip(table["sensitivity"], table["low"], table["high"], strict=True)
    out: dict[str, Score] = dict(zip(RATES, ends, strict=True))
    if rule != HEADLINE:
        return out
    for name, rules in {AP50: COCO[:1], "mAP": COCO}.items():
        found = [one.matches(each, "false_positive") for each in rules]
        low, high = curves.average_precision_ci(found, one.patients)
        out[name] = curves.average_precision(found), low, high
    laid, patients = one.matches(laid=True), one.patients
    false, free = curves.false_positives_by_image(laid), one.free
    out[FOUND] = _share(laid.found_by >= 0, patients[laid.true_image])
    out[FALSE] = _share(false, patients)
    if free.any():
        out[FREE] = _share(false[free], patients[free])
    return out


def summary(group: Group, rule: str = HEADLINE) -> pd.DataFrame:
    """Summarise detectors: the columns of :func:`mammostudy.study.comparing.summarise`."""
    lines = [
        {
            "row": row,
            "metric": metric,
            "mean": mean,
            "low": low,
            "high": high,
            "training_sd": np.nan,
        }
        | one.counts
        for row, one in group.items()
        for metric, (mean, low, high) in measured(one, rule).items()
    ]
    names = "row metric mean low high training_sd masses patients trainings converged"
    return pd.DataFrame(lines, columns=names.split())


def by_rule(group: Group) -> pd.DataFrame:
    """Summarise sensitivities by the rule of what counts as found."""
    parts = {name: summary(group, rule) for rule, name in RULES.items()}
    table = pd.concat(parts, names=["rule"]).reset_index("rule")
    return table[table["metric"].isin((AT_ONE, MEAN))]


def differences(group: Group, base: str, metrics: Sequence[str] = MEASURES) -> pd.DataFrame:
    """Set the detectors of a group against one of them, on the same resamples of patients.

    Each metric is a family of its own. Against the prior box convergence does not count: the
    question is what a network finds as it was trained.
    """
    views = list(group[base].views["view"]) if base in group else []
    rows = [row for row, one in group.items() if list(one.views["view"]) == views]
    rows = [row for row in rows if row not in (base, PRIOR_ROW)]
    judged = all(one.judged for one in group.values())
    lines = [[_difference(group, row, base, metric) for row in rows] for metric in metrics]
    return pd.concat([judge(each, MARGIN, judged=judged) for each in lines], ignore_index=True)


def _difference(group: Group, a: str, b: str, metric: str) -> dict[str, Any]:
    one, other = group[a], group[b]
    open_ends = [row for row in (a, b) if b != PRIOR_ROW and group[row].converged != "yes"]
    line = {"a": a, "b": b, "metric": metric, "unsettled": "; ".join(open_ends)} | one.counts
    if metric == FOUND:
        laid, other_laid = one.matches(laid=True), other.matches(laid=True)
        patients = one.patients[laid.true_image]
        test = paired_test(laid.found_by >= 0, other_laid.found_by >= 0, patients)
        return line | vars(test) | {"p": test.p_permutation}
    if metric == AP50:
        first, second = ([x.matches(COCO[0], "false_positive")] for x in (one, other))
        table = curves.average_precision_difference(first, second, one.patients)
    else:
        curve, other_curve = froc_of(one.matches()), froc_of(other.matches())
        table = curves.sensitivity_differences(curve, other_curve, one.patients)
        table = table.iloc[[RATES.index(metric)]]
    return line | {name: float(table[name].iloc[0]) for name in ("difference", "low", "high", "p")}


def against_prior(found: Mapping[str, Group]) -> pd.DataFrame:
    """Set every detector against the prior box of its folds, by budget and over all folds."""
    parts = []
    for group in (EQUAL, LONG, HEAD):
        table = differences(found[group], PRIOR_ROW)
        parts.append(table.assign(a=[f"{row}, {group}" for row in table["a"]]))
    return pd.concat(parts, ignore_index=True)


def trainings(found: Mapping[str, Group]) -> pd.DataFrame:
    """Return what each training on the first fold took and reached, by detector and length.

    ``validation`` is the mean sensitivity there, ``test`` that at 1 false positive a view.
    """
    lines = []
    for row, budget in [(row, budget) for row in recipes.DETECTORS for budget in recipes.BUDGETS]:
        if one := found.get(budget, {}).get(row):
            record, curve = one.records[0], froc_of(one.matches())
            detector, spent = record.spec.detector, record.provenance
            minutes = spent["training_seconds"] / 60 * int(spent["machine"].get("threads", 1))
            seen = f"{detector.size} px, {detector.aspect}"
            given = (row, budget, seen, record.spec.training.iterations, minutes)
            reached = (validated(record), curve.sensitivity_at(OPERATING), one.converged)
            lines.append((*given, *reached))
    names = "row budget input steps core-minutes validation test converged"
    return pd.DataFrame(lines, columns=names.split())


def claim_line(cohort: str, preset: str) -> dict[str, Any] | None:
    """Compare the best SSD with the best other detector, as long as affordable, on the first fold.

    Each is the one of its kind with the higher mean sensitivity on validation. Compared is whether
    a test mass is found at the threshold chosen on validation, each patient counting once.

    A line for :func:`mammostudy.study.comparing.judge`; None where a kind was not run.
    """
    group = detectors(Runs.load(grid(cohort, preset), preset, "budget row"))[LONG]
    rows = [row for row in group if row != PRIOR_ROW]
    ssds = [row for row in rows if recipes.DETECTORS[row]["name"] in SSDS]
    kinds = (ssds, [row for row in rows if row not in ssds])
    if not all(kinds):
        return None
    a, b = (max(kind, key=lambda row: validated(group[row].records[0])) for kind in kinds)
    return _difference(group, a, b, FOUND)
