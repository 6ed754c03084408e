"""What the commands ``mammostudy data ...`` do and print."""

from __future__ import annotations

import json
import os
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path

import pandas as pd

from mammostudy import commands
from mammostudy.data import building, descriptors, integrity
from mammostudy.data.cache import write_atomically
from mammostudy.data.cohort import Cohort
from mammostudy.data.descriptors import TASKS, cohort_names
from mammostudy.data.integrity import Fault
from mammostudy.data.load import find_folder, load_cohort, module_of, phantom_folder
from mammostudy.data.manifest import FILENAME
from mammostudy.data.outline_cohort import OutlineCohort
from mammostudy.data.private import PRIVATE_TABLE
from mammostudy.data.sources.folder import GUIDE_FILE, write_template
from mammostudy.data.splits import check_patients, split_cases
from mammostudy.data.tasks import lacking
from mammostudy.errors import DataError, SpecError, StudyError

SHOWN = 20  # faults that are printed; the quarantine file holds all


def build(name: str, root: Path | None = None, *, strict: bool = False) -> None:
    """Write a cohort's manifest and fingerprint to the local store; say what is not in it.

    Rows that fail a check (:data:`mammostudy.data.integrity.CHECKS`) go to a quarantine file
    beside the manifest, with the reason.

    Args:
        name: the cohort.
        root: the folder that holds the cohort's folder, or that folder itself where its files
            tell it; default ``MAMMOSTUDY_DATA``.
        strict: refuse the cohort where any row fails a check.

    Raises:
        DataError: the cohort cannot be read, no row is left, or ``strict`` meets a fault.
    """
    _set_root(name, root)
    source = None if descriptors.describe(name).phantom else module_of(name, find_folder(name))
    if source is None:
        commands.build_cohort(name)
        faults = _examined(load_cohort(name), strict)
        if faults:
            print("  (this cohort is read as it stands: take the rows out of its own manifest)")
    else:
        built = building.build(name, find_folder(name), source, strict=strict, progress=True)
        _tell(name, built.manifest, built.dropped)
        _tell_quarantine(name, built.quarantine)
        _tell_notes(built.notes)
        print(building.place(name, "csv"))
    _write_fingerprint(name)
    _tell_tasks(load_cohort(name))


def check(name: str, root: Path | None = None) -> None:
    """Verify a cohort in full: every file, every check, and that no split leaks.

    Raises:
        DataError: with every fault found.
    """
    _set_root(name, root)
    cohort = load_cohort(name)
    if isinstance(cohort, OutlineCohort):
        commands.check_cohort(name)
    else:
        faults, notes = integrity.examine(cohort, progress=True)
        building.refuse(name, faults)
        print(f"{name}: {len(cohort.manifest)} rows read, {len(cohort)} masses; no fault")
        print(f"  no image is there twice; {_split_checked(cohort)}")
        _tell_notes(building.counted(notes))
    if module_of(name, cohort.root) is not None:
        _tell_quarantine(name, building.read_quarantine(name))
    _tell_tasks(cohort)


def describe(name: str, root: Path | None = None) -> None:
    """Print a cohort's fingerprint as JSON.

    Raises:
        DataError: neither the cohort nor a committed fingerprint of it is at hand.
    """
    _set_root(name, root)
    if not descriptors.describe(name).images:
        commands.describe_cohort(name)
    else:
        print(json.dumps(_fingerprint(name), indent=1))


def template(folder: Path) -> None:
    """Write the table of a private cohort and its guide, a row for each image found there.

    Raises:
        DataError: the table exists already, or the folder cannot be written.
    """
    table, images = write_template(folder.expanduser())
    print(f"{table}: {images} image(s) listed; fill in patient, mask and what is known")
    print(f"{table.with_name(GUIDE_FILE)}: what each column holds")
    print(f"then: mammostudy data build {folder.resolve().name} --root {folder.resolve().parent}")


def list_all(root: Path | None = None) -> None:
    """Print each cohort's name, and what is found of it without reading whole cohorts anew."""
    if root is not None:
        os.environ["MAMMOSTUDY_DATA"] = str(root.expanduser().resolve())
    for name in [*cohort_names(), *_private_names()]:
        if descriptors.describe(name).phantom and not (phantom_folder(name) / FILENAME).is_file():
            print(f"{name}: made on first use")
            continue
        try:
            source = (
                None if descriptors.describe(name).phantom else module_of(name, find_folder(name))
            )
            if source is not None and not building.place(name, "build.json").is_file():
                print(f"{name}: found, not built; run `mammostudy data build {name}`")
                continue
            cohort = load_cohort(name)
        except DataError as error:
            print(f"{name}: {error}")
            continue
        masses, patients = len(cohort), cohort.manifest["patient"].nunique()
        print(f"{name}: {masses} masses, {patients} patients")


def _private_names() -> list[str]:
    """Return the folders of the data folder that hold a cohort of the user's own."""
    base = os.environ.get("MAMMOSTUDY_DATA")
    if not base or not Path(base).expanduser().is_dir():
        return []
    own = (PRIVATE_TABLE, "manifest.csv")
    folders = sorted(path for path in Path(base).expanduser().iterdir() if path.is_dir())
    return [
        path.name
        for path in folders
        if path.name not in cohort_names() and any((path / name).is_file() for name in own)
    ]


def _set_root(name: str, root: Path | None) -> None:
    """Let everything that loads the cohort by name find it."""
    if root is not None:
        os.environ["MAMMOSTUDY_DATA"] = str(root.expanduser().resolve())
    if not descriptors.describe(name).phantom:
        find_folder(name)  # says what is missing before anything is read


def _split_checked(cohort: Cohort) -> str:
    """Check the first split for patients in two parts; say so, or why it cannot be made."""
    try:
        patients = cohort.masses["patient"].nunique()
        split = split_cases(cohort.masses, folds=max(2, min(5, patients)))
    except SpecError as error:
        return f"no split was checked ({error})"
    check_patients(cohort.masses, split.parts())
    return "no patient crosses a split"


def _examined(cohort: Cohort, strict: bool) -> list[Fault]:
    if isinstance(cohort, OutlineCohort):
        return []
    faults, notes = integrity.examine(cohort, progress=True)
    _tell_notes(building.counted(notes))
    if strict:
        building.refuse(cohort.name, faults)
    rows = building.quarantined(cohort.manifest, faults)
    building.write_quarantine(cohort.name, rows)
    _tell_quarantine(cohort.name, rows)
    return faults


def _tell(name: str, table: pd.DataFrame, dropped: Mapping[str, int]) -> None:
    masses = table[table["x_min"].notna()]
    free = table["image"].nunique() - masses["image"].nunique()
    print(f"{name}: {len(masses)} masses, {table['patient'].nunique()} patients")
    print(f"  {table['image'].nunique()} images, {free} of them without a mass")
    for reason, count in dropped.items():
        print(f"  dropped {count}: {reason}")


def _tell_quarantine(name: str, rows: pd.DataFrame) -> None:
    if rows.empty:
        return
    for check_name, count in Counter(rows["check"]).items():
        print(f"  quarantined {count}: {check_name} ({integrity.CHECKS[str(check_name)]})")
    listed: Sequence[dict[str, str]] = rows.head(SHOWN).to_dict("records")  # type: ignore[assignment]
    for row in listed:
        print(f"    {row['case']}: {row['reason']}")
    more = f", {len(rows) - SHOWN} more" if len(rows) > SHOWN else ""
    print(f"  all reasons{more}: {building.place(name, 'quarantine.csv')}")


def _tell_notes(notes: Mapping[str, int]) -> None:
    for note, count in notes.items():
        print(f"  noted of {count} image(s): {note}")


def _tell_tasks(cohort: Cohort) -> None:
    for task in TASKS:
        lacks = lacking(cohort, task)
        print(f"  {task}: {'lacks ' + '; '.join(lacks) if lacks else 'yes'}")


def _fingerprint(name: str) -> dict[str, object]:
    """Return the fingerprint; of a cohort without masses or with too few patients its counts."""
    from mammostudy.study import fingerprint

    if descriptors.describe(name).built and not building.place(name, "build.json").is_file():
        return fingerprint.fingerprint(name)
    cohort = fingerprint.at_hand(name)
    if cohort is None or cohort.masses["patient"].nunique() >= 5:
        return fingerprint.fingerprint(name)
    rows = cohort.manifest
    columns = ("site", "view", "side", "shape", "pathology", "subtype", "modality")
    return {
        "cohort": name,
        "manifest_hash": cohort.manifest_hash,
        "images": int(rows["image"].nunique()),
        "masses": len(cohort),
        "patients": int(rows["patient"].nunique()),
        "counts": {
            column: {str(k): int(n) for k, n in rows[column].value_counts().items()}
            for column in columns
        },
        "dropped": dict(cohort.dropped),
    }


def _write_fingerprint(name: str) -> None:
    if not descriptors.describe(name).images:
        return
    path = building.place(name, "fingerprint.json")
    try:
        text = json.dumps(_fingerprint(name), indent=1) + "\n"
    except StudyError as error:
        print(f"  fingerprint not written: {error}")
        return
    write_atomically(path, lambda partial: partial.write_text(text, encoding="utf-8"))
    print(path)
