"""From the local store to the project: records that are committed, so that books need not train."""

from __future__ import annotations

import shutil
from collections.abc import Iterable
from pathlib import Path

from mammostudy.paths import results_root
from mammostudy.runs.store import AnyRecord, local_records


def keep(records: Iterable[AnyRecord], root: Path | None = None) -> list[Path]:
    """Copy records from the local store to ``results`` (no weights, no images).

    Args:
        records: what to keep; those already there are left as they are.
        root: folder of kept records; default the project's ``results``.

    Returns:
        The folders written.
    """
    root = root or results_root()
    written = []
    for record in records:
        target = root / record.spec.cohort / record.key
        if target.exists() or not record.folder.is_relative_to(local_records()):
            continue
        target.parent.mkdir(parents=True, exist_ok=True)
        partial = target.with_name(f".partial-{target.name}")
        shutil.copytree(record.folder, partial, dirs_exist_ok=True)
        partial.replace(target)
        written.append(target)
    return written
