"""Records whose models can be put to work: completed, with weights in the local store."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TypeVar

from mammostudy.errors import StudyError
from mammostudy.paths import results_root
from mammostudy.runs.store import (
    DetectionRecord,
    Record,
    ShapeRecord,
    local_records,
    read_record,
    weights_path,
)

Kind = TypeVar("Kind", Record, ShapeRecord, DetectionRecord)


def usable_records(kind: type[Kind], fits: Callable[[Kind], bool]) -> Iterator[Kind]:
    """Yield completed records of one kind of run that have weights, newest first.

    Committed records count where their weights are in the local store. Records that cannot be
    read are passed over; ``mammostudy doctor`` counts them. So are models of a split by image,
    which was made to measure a leak.

    Args:
        kind: class of the records.
        fits: whether a record is asked for; not called for records that cannot be used.
    """
    found: dict[str, tuple[str, Kind]] = {}
    for root in (results_root(), local_records()):
        for path in root.glob("*/[!.]*/record.json"):
            try:
                record = read_record(path.parent)
                if not isinstance(record, kind) or record.status != "completed" or record.leaky:
                    continue
                there = weights_path(str(record.content["training_key"])).is_file()
                if there and fits(record):
                    entry = (str(record.provenance["finished"]), record)
                    found.setdefault(str(path.parent.relative_to(root)), entry)
            except (StudyError, KeyError):
                continue
    return (record for _, record in sorted(found.values(), key=lambda one: one[0], reverse=True))
