"""Records whose models can be put to work: completed, with weights in the local store."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from mammostudy.errors import StudyError
from mammostudy.paths import results_root
from mammostudy.runs.record import Record, local_records, read_record, weights_path


def usable_records(kind: str, fits: Callable[[Record], bool]) -> Iterator[Record]:
    """Yield completed records of one kind of run that have weights, newest first.

    Committed records count where their weights are in the local store. Records that cannot be
    read are passed over; ``mammostudy doctor`` counts them. So are models of a split by image,
    which was made to measure a leak.

    Args:
        kind: a key of :data:`mammostudy.runs.kinds.KINDS`.
        fits: whether a record is asked for; not called for records that cannot be used.
    """
    found: dict[str, tuple[str, Record]] = {}
    for root in (results_root(), local_records()):
        for path in root.glob("*/[!.]*/record.json"):
            try:
                record = read_record(path.parent)
                if record.kind != kind or record.status != "completed" or record.leaky:
                    continue
                there = weights_path(str(record.content["training_key"])).is_file()
                if there and fits(record):
                    entry = (str(record.provenance["finished"]), record)
                    found.setdefault(str(path.parent.relative_to(root)), entry)
            except (StudyError, KeyError):
                continue
    return (record for _, record in sorted(found.values(), key=lambda one: one[0], reverse=True))
