"""Which trained models are put to work: the best trained of the ``study`` runs in the store."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from typing import Final

from mammostudy.errors import DataError, StudyError
from mammostudy.paths import results_root
from mammostudy.runs.record import Record, local_records, read_record, weights_path

LEAST: Final = {"segmentation": 50, "detection": 50, "shape": 5}
"""Iterations (of shapes: epochs) from which on a model is put to work: ``smoke`` has fewer."""
CHAPTERS: Final = {"segmentation": "losses", "detection": "detection", "shape": "shapes"}


def usable_records(kind: str) -> list[Record]:
    """Return completed records of a kind, not leaky, whose weights are here, newest first."""
    found: dict[str, Record] = {}
    roots = results_root(), local_records()
    for path in (path for root in roots for path in root.glob("*/[!.]*/record.json")):
        with suppress(StudyError, KeyError):
            record = read_record(path.parent)
            there = weights_path(str(record.content["training_key"])).is_file()
            usable = record.kind == kind and record.status == "completed"
            if there and usable and not record.spec.split.leaky and record.provenance["finished"]:
                found.setdefault(record.key, record)
    made = {key: each.provenance for key, each in found.items()}  # older ones have no sequence
    last = sorted(found, key=lambda key: (made[key].get("sequence", 0), str(made[key]["finished"])))
    return [found[key] for key in reversed(last)]


def models(kind: str, cohorts: Sequence[str] = ()) -> list[Record]:
    """Return the ``study`` records to put to work, no smoke runs: best first, then newest."""

    def rank(record: Record) -> tuple[bool, bool, bool, int]:
        foreign = bool(cohorts) and record.spec.cohort not in cohorts
        return foreign, _is_ablated(record), not record.converged, -spent(record)

    found = [each for each in usable_records(kind) if _is_study(each)]
    return sorted((each for each in found if spent(each) >= LEAST[kind]), key=rank)


def spent(record: Record) -> int:
    """Return the iterations that a model was trained for; of a shape model the epochs."""
    spec = record.spec
    if record.kind == "segmentation":
        return int(spec.optimiser.iterations)
    return int(spec.training.epochs if record.kind == "shape" else spec.training.iterations)


def _is_study(record: Record) -> bool:
    spec = record.spec
    other = record.kind == "shape" and (spec.classifier, spec.target) != ("cnn", "shape")
    return spec.variant == "study" and not other


def _is_ablated(record: Record) -> bool:
    """Whether a detector was trained without something that the study recommends."""
    if record.kind != "detection":
        return False
    detector, training = record.spec.detector, record.spec.training
    whole = detector.negatives_on_empty and training.mass_free and training.augment
    return detector.anchors == "default" or detector.aspect != "letterbox" or not whole


def model_for(kind: str, cohorts: Sequence[str] = ()) -> Record:
    """Return the first of :func:`models`; without one, a DataError says how to make it."""
    if found := models(kind, cohorts):
        return found[0]
    smoke, made = sum(map(_is_study, usable_records(kind))), f"mammostudy run {CHAPTERS[kind]}"
    more = f" ({smoke} of smoke runs are too little trained)" if smoke else ""
    raise DataError(
        f"no trained `study` {kind} model in the local store{more}; make one with "
        f"`{made} --preset quick` (phantom) or `{made} --preset quick --cohort cdd-cesm`"
    )
