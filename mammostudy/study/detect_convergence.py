"""Whether a detector had learnt what it can: its own curve, and a longer training beside it.

The learning rate of a detector falls to zero at the end of its budget, whatever the budget, so
that every validation curve goes flat. A flat end alone therefore says little; where a second run
of the same detector had a larger budget, it must not have done better either. And a network that
finds next to nothing has not converged: it has not begun.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import combinations
from typing import Final

from mammostudy.evaluation.froc_curves import froc_of
from mammostudy.runs.detection_rows import matches_of
from mammostudy.runs.record import Record

GAIN: Final = 1.01
LEAST: Final = 0.05  # mean sensitivity on validation: one mass in twenty


def validated(record: Record) -> float:
    """Return the mean sensitivity on validation views over 1/8 to 8 false positives a view."""
    return froc_of(matches_of(record.part("validation"))).mean_sensitivity()


def more_helped(shorter: Record | None, longer: Record | None) -> bool:
    """Whether the larger budget scored more than 1 % higher on validation than the smaller one.

    False where one of them was not run or they are the same run: then nothing is known.
    """
    if shorter is None or longer is None or shorter.key == longer.key:
        return False
    return validated(longer) > GAIN * validated(shorter)


def not_begun(record: Record) -> bool:
    """Whether a detector finds fewer than one mass in twenty of its validation views."""
    return validated(record) < LEAST


def outdone(*budgets: Mapping[str, Sequence[Record]]) -> frozenset[str]:
    """Return the keys of the runs, by row and budget, that cannot count as converged.

    Those are every run that a longer one of its row beat; the longest where it beat all others,
    for what it could still have learnt is not known; and every run that finds next to nothing.

    Args:
        *budgets: row -> records, of which the first is compared; the smallest budget first.
    """
    rows = dict.fromkeys(row for budget in budgets for row in budget)
    series = [[each for budget in budgets for each in budget.get(row, ())[:1]] for row in rows]
    every = [record for budget in budgets for each in budget.values() for record in each]
    grew = [record for each in series for record in _grown(each)]
    return frozenset(record.key for record in (*grew, *filter(not_begun, every)))


def _grown(series: Sequence[Record]) -> list[Record]:
    """Return those of a detector's runs, shortest first, that more training might have helped."""
    found = [one for one, other in combinations(series, 2) if more_helped(one, other)]
    best = max(series[:-1], key=validated, default=None)
    return [*found, series[-1]] if best and more_helped(best, series[-1]) else found
