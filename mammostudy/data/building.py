"""From an owner's layout to a checked manifest in the local store.

Beside ``manifests/<cohort>.csv`` stand ``<cohort>.quarantine.csv``, the rows that failed a check
with the reason, ``<cohort>.notes.csv``, what a reader should know of an image (annotation burned
in, mirrored), and ``<cohort>.build.json``, what it was built of and what was dropped.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import pandas as pd
from filelock import FileLock

from mammostudy.data import cache, integrity, manifest
from mammostudy.data.cache import digest, write_atomically
from mammostudy.data.cohort import Cohort
from mammostudy.data.integrity import Fault
from mammostudy.data.sources import reader_module
from mammostudy.errors import DataError
from mammostudy.paths import store_root

QUARANTINE: Final = ("case", "image", "check", "reason")


@dataclass(frozen=True)
class Built:
    """A cohort's manifest and what is not in it."""

    manifest: pd.DataFrame  # the rows that pass every check
    dropped: dict[str, int]  # what the reader left out, by reason
    quarantine: pd.DataFrame  # a row a fault, columns QUARANTINE
    notes: dict[str, int]  # images that a reader should know something of, by what that is


def place(name: str, kind: str) -> Path:
    """Return a file of a built cohort; ``kind`` is csv, quarantine.csv, build.json or the like."""
    return store_root() / "manifests" / f"{name}.{kind}"


def build(
    name: str, folder: Path, source: str, *, strict: bool = False, progress: bool = False
) -> Built:
    """Read a layout by a module of ``sources``, check every row and file, write the manifest.

    The cohort is refused where no row is left or, if ``strict``, where any row fails a check.
    """
    table, dropped = reader_module(source).build_manifest(folder, store_root() / "cohorts" / name)
    clean, faults = integrity.clean_table(table, f"{folder} ({name})")
    examined = integrity.examine(Cohort(name, folder, clean), progress=progress)
    faults += examined.faults
    kept = clean[~clean["case"].isin({fault.case for fault in faults})]
    if strict or kept.empty:
        refuse(name, faults)
    built = Built(
        kept.reset_index(drop=True),
        {str(reason): int(count) for reason, count in dropped.items()},
        quarantined(table, faults),
        counted(examined.notes),
    )
    place(name, "build.json").unlink(missing_ok=True)  # an interrupted build is built again
    manifest.write_manifest(built.manifest, place(name, "csv"))
    write_quarantine(name, built.quarantine)
    said = [(image, note) for image, listed in examined.notes.items() for note in listed]
    _write_table(place(name, "notes.csv"), pd.DataFrame(said, columns=["image", "note"]))
    content = {
        "made_of": _made_of(folder, source),
        "dropped": built.dropped,
        "quarantined": dict(Counter(built.quarantine["check"])),
        "notes": built.notes,
    }
    text = json.dumps(content, indent=1) + "\n"
    write_atomically(place(name, "build.json"), lambda p: p.write_text(text, encoding="utf-8"))
    return built


def load_or_build(name: str, folder: Path, source: str) -> Built:
    """Return what was built of this folder by this version; build it where there is none."""
    lock = store_root() / "locks" / f"build-{name}.lock"
    lock.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(lock):
        try:
            content = json.loads(place(name, "build.json").read_text(encoding="utf-8"))
        except (OSError, ValueError):
            content = None
        if not isinstance(content, dict) or content.get("made_of") != _made_of(folder, source):
            return build(name, folder, source, progress=True)
        table = manifest.read_manifest(place(name, "csv"))
        return Built(table, content["dropped"], read_quarantine(name), content["notes"])


def _made_of(folder: Path, source: str) -> dict[str, object]:
    return {
        "folder": digest({"folder": str(folder.resolve())}),  # its name may be a hospital's
        "source": source,
        "version": cache.VERSION,
    }


def counted(notes: Mapping[str, Sequence[str]]) -> dict[str, int]:
    """Count the images of each note; ``notes`` are by image (:class:`integrity.Examined`)."""
    return dict(Counter(note for listed in notes.values() for note in listed))


def quarantined(table: pd.DataFrame, faults: Sequence[Fault]) -> pd.DataFrame:
    """Return the faults as a table, with the image of each case."""
    images = dict(zip(table["case"].astype(str), table["image"], strict=True))
    rows = [(fault.case, images.get(fault.case), fault.check, fault.reason) for fault in faults]
    return pd.DataFrame(rows, columns=list(QUARANTINE))


def read_quarantine(name: str) -> pd.DataFrame:
    """Return the quarantine of a built cohort, empty where there is none."""
    path = place(name, "quarantine.csv")
    return pd.read_csv(path, dtype=str) if path.is_file() else pd.DataFrame(columns=QUARANTINE)


def write_quarantine(name: str, rows: pd.DataFrame) -> None:
    """Write the quarantine beside the manifest; without a row, remove what stands there."""
    _write_table(place(name, "quarantine.csv"), rows)


def _write_table(path: Path, rows: pd.DataFrame) -> None:
    if rows.empty:
        path.unlink(missing_ok=True)
    else:
        write_atomically(path, lambda partial: rows.to_csv(partial, index=False))


def refuse(name: str, faults: Sequence[Fault]) -> None:
    """Raise DataError where there are faults: a line each, and how many each check found."""
    if not faults:
        return
    counts = ", ".join(f"{n} {check}" for check, n in Counter(f.check for f in faults).items())
    listed = "\n  ".join(f"{fault.case}, {fault.check}: {fault.reason}" for fault in faults)
    msg = f"{name}: {len(faults)} fault(s) ({counts}); mend the files or drop the rows:\n  {listed}"
    raise DataError(msg)
