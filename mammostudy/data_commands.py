"""The commands ``mammostudy data ...``: what they do and print; each is a function, too."""

from __future__ import annotations

import json
import shlex
from collections import Counter
from pathlib import Path
from typing import Annotated, Any, Final

import pandas as pd
import typer
from tqdm.auto import tqdm

from mammostudy.data import integrity
from mammostudy.data.cache import write_atomically
from mammostudy.data.cohort import Cohort, OutlineCohort, lacking
from mammostudy.data.descriptors import TASKS, cohort_names
from mammostudy.data.descriptors import describe as facts_of
from mammostudy.data.fetch import fetch as fetch_set
from mammostudy.data.load import build as build_manifest
from mammostudy.data.load import (
    find_folder,
    load_cohort,
    module_of,
    phantom_folder,
    place,
    read_rows,
    refuse,
    write_rows,
)
from mammostudy.data.manifest import FILENAME, write_manifest
from mammostudy.data.private import PRIVATE_TABLE
from mammostudy.data.sources.folder import GUIDE_FILE, write_template
from mammostudy.data.splits import check_patients, split_cases
from mammostudy.errors import DataError, SpecError, StudyError
from mammostudy.paths import data_root, use_data_root

SHOWN: Final = 20  # faults that are printed; the quarantine file holds all
Root = Annotated[Path | None, typer.Option(help="Folder that holds a folder per cohort.")]
CohortName = Annotated[str, typer.Argument(help="phantom, cdd-cesm, ... or a folder's name.")]
app = typer.Typer(help="Look at cohorts.", no_args_is_help=True, rich_markup_mode=None)


@app.command("list")
def list_all(root: Root = None) -> None:
    """List the cohorts and where they are found."""
    use_data_root(root)
    for name in [*cohort_names(), *_private_names()]:
        print(f"{name}: {_found(name)}")


@app.command()
def build(
    cohort: CohortName,
    root: Root = None,
    strict: Annotated[bool, typer.Option(help="Refuse the cohort at any fault.")] = False,
) -> None:
    """Read a cohort's published layout, write its manifest, say what was dropped and why."""
    _find(cohort, root)
    source = _reader_of(cohort)
    if source is None:
        _build_as_it_stands(cohort, strict)
    else:
        built = build_manifest(cohort, find_folder(cohort), source, strict=strict, progress=True)
        _tell(built)
        _tell_quarantine(cohort)
        _tell_notes(read_rows(cohort, "notes"))
        print(place(cohort, "csv"))
    _write_fingerprint(cohort)
    _tell_tasks(load_cohort(cohort))


def _build_as_it_stands(name: str, strict: bool) -> None:
    """Copy the manifest of a cohort that has one; its faulty rows are told and stay."""
    cohort = load_cohort(name)
    if isinstance(cohort, OutlineCohort):
        msg = f"{name}: has outlines only, and a manifest lists images; nothing to write"
        raise DataError(msg)
    write_manifest(cohort.manifest, place(name, "csv"))
    _tell(cohort)
    print(place(name, "csv"))
    faults, notes = integrity.examine(cohort, progress=True)
    _tell_notes(notes)
    if strict:
        refuse(name, faults)
    write_rows(name, "quarantine", faults)
    _tell_quarantine(name)
    if not faults.empty:
        print("  (this cohort is read as it stands: take the rows out of its own manifest)")


@app.command()
def check(cohort: CohortName, root: Root = None) -> None:
    """Read every image and mask of a cohort and check its splits for leaks."""
    _find(cohort, root)
    loaded = load_cohort(cohort)
    if isinstance(loaded, OutlineCohort):
        for case in tqdm(loaded.masses.index, "reading", disable=None):
            loaded.mask(case)
        print(f"{cohort}: {len(loaded)} outlines drawn, no images; {_split_checked(loaded)}")
    else:
        faults, notes = integrity.examine(loaded, progress=True)
        refuse(cohort, faults)
        print(f"{cohort}: {len(loaded.manifest)} rows read, {len(loaded)} masses; no fault")
        print(f"  no image is there twice; {_split_checked(loaded)}")
        _tell_notes(notes)
    if module_of(cohort, loaded.root) is not None:
        _tell_quarantine(cohort)
    _tell_tasks(loaded)


def _split_checked(cohort: Cohort) -> str:
    """Check the first split for patients in two parts; say so, or why it cannot be made."""
    try:
        patients = cohort.masses["patient"].nunique()
        split = split_cases(cohort.masses, folds=max(2, min(5, patients)))
    except SpecError as error:
        return f"no split was checked ({error})"
    check_patients(cohort.masses, split.parts())
    return "no patient crosses a split"


@app.command()
def describe(cohort: CohortName, root: Root = None) -> None:
    """Print a cohort's fingerprint as JSON."""
    _find(cohort, root)
    print(json.dumps(_fingerprint(cohort), indent=1))


def _fingerprint(name: str) -> dict[str, Any]:
    """Return the fingerprint; of outlines, or of a cohort too small for one, its counts."""
    from mammostudy.study import fingerprint
    from mammostudy.study.pictures import at_hand

    facts = facts_of(name)
    unbuilt = facts.built and not place(name, "build.json").is_file()
    cohort = None if unbuilt and facts.images else at_hand(name)
    if cohort is None or (facts.images and cohort.masses["patient"].nunique() >= 5):
        return fingerprint.fingerprint(name)
    counted: dict[str, Any] = {"cohort": name, "manifest_hash": cohort.manifest_hash}
    rows = cohort.manifest
    if facts.images:
        counted["images"] = int(rows["image"].nunique())
        columns = ("site", "view", "side", "shape", "pathology", "subtype", "modality")
        counts: dict[str, Any] = {
            column: {str(k): int(n) for k, n in rows[column].value_counts().items()}
            for column in columns
        }
    else:
        rows = cohort.masses
        counts = {
            str(shape): {
                "masses": len(those),
                "patients": int(those["patient"].nunique()),
                "tools": {str(tool): int(n) for tool, n in those["tool"].value_counts().items()},
            }
            for shape, those in rows.groupby("shape")
        }
    counted |= {"masses": len(cohort), "patients": int(rows["patient"].nunique())}
    counted |= {"counts" if facts.images else "shapes": counts, "dropped": dict(cohort.dropped)}
    return counted


def _write_fingerprint(name: str) -> None:
    path = place(name, "fingerprint.json")
    try:
        text = json.dumps(_fingerprint(name), indent=1) + "\n"
    except StudyError as error:
        print(f"  fingerprint not written: {error}")
        return
    write_atomically(path, lambda partial: partial.write_text(text, encoding="utf-8"))
    print(path)


@app.command()
def template(
    folder: Annotated[Path, typer.Argument(help="Folder of your own mammograms.")],
) -> None:
    """Write the table of a cohort of your own, a row for each image found, and its guide."""
    table, images = write_template(folder.expanduser())
    print(f"{table}: {images} image(s) listed; fill in patient, mask and what is known")
    print(f"{table.with_name(GUIDE_FILE)}: what each column holds")
    own = folder.expanduser().resolve()
    words = ["mammostudy", "data", "build", own.name, "--root", str(own.parent)]
    print(f"then: {shlex.join(words)}")


@app.command()
def fetch(
    cohort: CohortName,
    root: Root = None,
    patients: Annotated[
        int | None, typer.Option(help="Images of so many patients only.", min=1)
    ] = None,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask before it starts.")] = False,
) -> None:
    """Fetch a public set from its archive, or say how to get it; what is there is kept."""
    fetch_set(cohort, root, patients=patients, yes=yes)


def _found(name: str) -> str:
    """Say in one line what is found of a cohort."""
    if facts_of(name).phantom and not (phantom_folder(name) / FILENAME).is_file():
        return "made on first use"
    try:
        if _reader_of(name) and not place(name, "build.json").is_file():
            return f"found, not built; run `mammostudy data build {shlex.quote(name)}`"
        cohort = load_cohort(name)
    except DataError as error:
        first = str(error).splitlines()[0].removeprefix(f"cohort {name!r}: ")
        return first.split(" (known cohorts")[0]
    return f"{len(cohort)} masses, {cohort.manifest['patient'].nunique()} patients"


def _private_names() -> list[str]:
    """Return the folders of the data folder that hold a cohort of the user's own."""
    base = data_root()
    if base is None or not base.is_dir():
        return []
    return [
        path.name
        for path in sorted(base.iterdir())
        if path.name not in cohort_names()
        and any((path / name).is_file() for name in (PRIVATE_TABLE, FILENAME))
    ]


def _find(name: str, root: Path | None) -> None:
    """Let everything that loads the cohort by name find it; say what is missing at once."""
    use_data_root(root)
    if not facts_of(name).phantom:
        find_folder(name)


def _reader_of(name: str) -> str | None:
    """Return the module that reads a cohort's own layout; None where it brings a manifest."""
    return None if facts_of(name).phantom else module_of(name, find_folder(name))


def _tell(cohort: Cohort) -> None:
    table, images = cohort.manifest, cohort.manifest["image"].nunique()
    free = images - cohort.masses["image"].nunique()
    print(f"{cohort.name}: {len(cohort)} masses, {table['patient'].nunique()} patients")
    print(f"  {images} images, {free} of them without a mass")
    for reason, count in cohort.dropped.items():
        print(f"  dropped {count}: {reason}")


def _tell_quarantine(name: str) -> None:
    rows = read_rows(name, "quarantine")
    if rows.empty:
        return
    for check_name, count in Counter(rows["check"]).items():
        print(f"  quarantined {count}: {check_name} ({integrity.CHECKS[str(check_name)]})")
    for case, reason in zip(rows["case"][:SHOWN], rows["reason"][:SHOWN], strict=True):
        print(f"    {case}: {reason}")
    more = f", {len(rows) - SHOWN} more" if len(rows) > SHOWN else ""
    print(f"  all reasons{more}: {place(name, 'quarantine.csv')}")


def _tell_notes(notes: pd.DataFrame) -> None:
    for note, count in Counter(notes.get("note", ())).items():
        print(f"  noted of {count} image(s): {note}")


def _tell_tasks(cohort: Cohort) -> None:
    for task in TASKS:
        lacks = lacking(cohort, task)
        print(f"  {task}: {'lacks ' + '; '.join(lacks) if lacks else 'yes'}")
