"""When a claim counts as supported, contradicted or undecided (stated in the claims chapter)."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from mammostudy.evaluation.statistics import PairedTest
from mammostudy.study import words
from mammostudy.study.verdicts import points

LEVEL: Final = 0.05
SEEDS_NEEDED: Final = 3


def verdict_of(
    test: PairedTest, p: float, margin: float, trainings: Iterable[float]
) -> tuple[str, str]:
    """Return a verdict and its reason (the rule stands at the top of this module).

    Args:
        test: the paired comparison over patients.
        p: its permutation p value after Holm's correction.
        margin: the smallest difference that matters.
        trainings: the mean difference of every pair of trainings.
    """
    signs = list(trainings)
    opposed = sum(value < 0 for value in signs)
    if test.high < margin:
        return "contradicted", f"the interval excludes a gain of {_points(margin)}"
    if test.low > 0 and p < LEVEL and not opposed:
        few = "" if len(signs) >= SEEDS_NEEDED else f", from {len(signs)} pair(s) of trainings only"
        return "supported", f"the interval excludes 0{few}"
    if test.low > 0 and opposed:
        return "undecided", f"{opposed} of {len(signs)} pairs of trainings say the opposite"
    return "undecided", (
        f"with {words.count(test.patients, 'patient')} a difference of "
        f"{points(test.smallest_detectable)} points could have been seen"
    )


def verdict_of_target(test: PairedTest, p: float, target: float, margin: float) -> tuple[str, str]:
    """Return the verdict on a published score and its reason.

    Args:
        test: the score less the target, over patients.
        p: of the score against the target less the margin, after Holm's correction.
        target: the published score.
        margin: how much less still counts as reached.
    """
    least = f"{100 * (target - margin):g} %"
    if test.high < -margin:
        return "contradicted", f"the interval excludes {least}"
    if test.low > -margin and p < LEVEL:
        return "supported", f"the interval lies above {least}"
    if test.low > -margin:
        return "undecided", f"the interval lies above {least}, but p is {words.p_value(p)}"
    return "undecided", f"the interval holds {least}"


def _points(margin: float) -> str:
    return f"{100 * margin:g} point" + ("" if margin == 0.01 else "s")
