"""Whether a detector had learnt what it can: its own curve, and a longer training beside it.

The learning rate of a detector falls to zero at the end of its budget, whatever the budget, so
that every validation curve goes flat. A flat end alone therefore says little; where a second run
of the same detector had a larger budget, it must not have done better either. And a network that
finds next to nothing has not converged: it has not begun.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from mammostudy.evaluation.froc_curves import froc_of
from mammostudy.runs.detection_rows import matches_of
from mammostudy.runs.store import DetectionRecord

VERSION: Final = 1
"""Recipe version: raised by hand whenever a change here moves a verdict."""
GAIN: Final = 1.01
LEAST: Final = 0.05  # mean sensitivity on validation: one mass in twenty


def validated(record: DetectionRecord) -> float:
    """Return the mean sensitivity on validation views over 1/8 to 8 false positives a view."""
    return froc_of(matches_of(record.part("validation"))).mean_sensitivity()


def more_helped(shorter: DetectionRecord | None, longer: DetectionRecord | None) -> bool:
    """Whether the larger budget scored more than 1 % higher on validation than the smaller one.

    False where one of them was not run or they are the same run: then nothing is known.
    """
    if shorter is None or longer is None or shorter.key == longer.key:
        return False
    return validated(longer) > GAIN * validated(shorter)


def not_begun(record: DetectionRecord) -> bool:
    """Whether a detector finds fewer than one mass in twenty of its validation views."""
    return validated(record) < LEAST


def outdone(
    shorter: Mapping[str, Sequence[DetectionRecord]],
    longer: Mapping[str, Sequence[DetectionRecord]],
) -> frozenset[str]:
    """Return the keys of the runs, by row in two budgets, that cannot count as converged.

    Those are both runs of a pair in which more training still helped, for what the longer one
    could still have learnt is not known; and every run that finds next to nothing.
    """
    pairs = [
        (one, other)
        for row in longer
        for one in shorter.get(row, ())[:1]
        for other in longer[row][:1]
    ]
    every = [record for rows in (shorter, longer) for each in rows.values() for record in each]
    grew = [record for pair in pairs if more_helped(*pair) for record in pair]
    return frozenset(record.key for record in (*grew, *filter(not_begun, every)))
