"""The claims about shapes and subtypes, measured: numbers for the verdicts of the claims page."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any, Final

import numpy as np

from mammostudy.evaluation.statistics import PairedTest, paired_test
from mammostudy.runs.record import Record
from mammostudy.runs.shape_spec import ShapeSpec
from mammostudy.study import recipes, shape_recipes, shape_tables, subtype_people, subtypes, words

ACCURACY: Final = "accuracy"
LUMINAL: Final = "luminal-share"
NO_SUBTYPE: Final = (
    "no mass of this cohort comes with a subtype; the published table and a second-hand one are "
    "read on the page of subtype tables"
)
NO_GROUPS: Final = (
    "the shape classifier has not been run on this cohort and preset, or there are not two groups "
    "of patients to compare"
)


@dataclass(frozen=True)
class Measured:
    """What a claim about shapes comes to.

    Attributes:
        test: the comparison over patients; None where it could not be made.
        reason: why not.
        trainings: how many trainings stand behind it.
        unsettled: what had not converged.
        cautions: what a reader of the verdict should know.
    """

    test: PairedTest | None = None
    reason: str = ""
    trainings: int = 0
    unsettled: tuple[str, ...] = ()
    cautions: tuple[str, ...] = field(default=())


def measured(cohort: str, preset: str, target: float | None, margin: float) -> dict[str, Any]:
    """Measure a claim about shapes for the claims page: test, reason, trainings and cautions.

    Args:
        cohort: the page's cohort.
        preset: of the page.
        target: the published accuracy; None asks for the share of luminal patients instead.
        margin: of the claim.
    """
    made = luminal(cohort, preset) if target is None else accuracy(cohort, preset, target, margin)
    return {
        "test": made.test,
        "reason": made.reason,
        "cautions": list(made.cautions),
        "trainings": [float("nan")] * made.trainings,
        "unsettled": list(made.unsettled),
    }


def specs(cohort: str, preset: str) -> list[ShapeSpec]:
    """Return the runs behind these claims: the paper's classifier, every fold."""
    return shape_recipes.headline(cohort, preset)[shape_recipes.PAPER]


def accuracy(cohort: str, preset: str, target: float, margin: float) -> Measured:
    """Compare the accuracy of the paper's classifier with a published one.

    Each patient counts once. The p value is that of the accuracy against the target less the
    margin: the least that would still count as reaching it.

    Args:
        cohort: the page's cohort.
        preset: of the page.
        target: the published accuracy, in [0, 1].
        margin: how much less still counts as reached.
    """
    asked = specs(cohort, preset)
    if not asked:
        return Measured(reason="the masses of this cohort carry no shapes")
    found = shape_tables.shape_records({"paper": asked}, preset)["paper"]
    if not found:
        return Measured(reason="the shape classifier has not been run on this cohort and preset")
    rows = shape_tables.pooled(found)
    right = rows["right"].to_numpy(dtype=np.float64)
    patients = rows["patient"].to_numpy(str)
    test = paired_test(right, np.full(len(right), target), patients)
    least = paired_test(right, np.full(len(right), target - margin), patients)
    return Measured(
        test=replace(test, p_permutation=least.p_permutation, p_wilcoxon=least.p_wilcoxon),
        trainings=len(found),
        unsettled=("the shape CNN",) if any(r.converged is False for r in found) else (),
        cautions=tuple(_cautions(cohort, found, asked)),
    )


def _cautions(cohort: str, found: list[Record], asked: list[ShapeSpec]) -> list[str]:
    classes = asked[0].classes
    out = [f"{len(classes)} classes ({words.listed(classes)}), each patient counting once"]
    if recipes.is_phantom(cohort):
        out.append("computer-made outlines")
    if asked[0].cohort in shape_recipes.OUTLINES.values():
        out.append("outlines as drawn, whose tool gives part of the shape away")
    if len(found) < len(asked):
        out.append(f"{len(asked) - len(found)} of {len(asked)} folds not run")
    return out


def luminal(cohort: str, preset: str) -> Measured:
    """Compare luminal with other patients: the share predicted irregular or lobular."""
    if recipes.cohort_title(cohort).startswith("CDD-CESM"):
        return Measured(reason=NO_SUBTYPE)
    if subtype_people.subtypes_of(cohort).empty:
        return Measured(reason=NO_SUBTYPE)
    found = subtypes.luminal_difference(cohort, preset)
    if found is None:
        return Measured(reason=NO_GROUPS)
    names = PairedTest.__dataclass_fields__
    values = {name: found[name] for name in names if name in found}
    test = PairedTest(**{"p_wilcoxon": float("nan"), **values})
    mostly = f"{found['luminal_share']:.0%} of luminal patients against {found['other_share']:.0%}"
    return Measured(test, trainings=len(specs(cohort, preset)), cautions=(mostly,))
