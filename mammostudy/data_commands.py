"""The commands ``mammostudy data ...``; what they need is loaded when one is called."""

from __future__ import annotations

import json
import re
import shlex
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from mammostudy.errors import DataError, SpecError, StudyError, grouped
from mammostudy.paths import use_data_root, write_atomically

if TYPE_CHECKING:
    import pandas as pd

    from mammostudy.data.cohort import Cohort

Root = Annotated[Path | None, typer.Option(help="Folder that holds a folder per cohort.")]
Json = Annotated[bool, typer.Option("--json", help="Print JSON, for programs.")]
CohortName = Annotated[str, typer.Argument(help="phantom, cdd-cesm, ... or a folder's name.")]
app = typer.Typer(
    help="List, fetch, build and check cohorts.", no_args_is_help=True, rich_markup_mode=None
)


@app.command()
def build(
    cohort: CohortName,
    root: Root = None,
    strict: Annotated[bool, typer.Option(help="Refuse the cohort at any fault.")] = False,
) -> None:
    """Read a cohort, check it, and write its manifest.

    What was dropped, and why, is said; which tasks it can serve, too.
    """
    from mammostudy.data import load
    from mammostudy.data.descriptors import describe as facts_of
    from mammostudy.runs.workers import side_by_side

    use_data_root(root)
    folder = None if facts_of(cohort).phantom else load.find_folder(cohort)
    reader = load.module_of(cohort, folder) if folder else None
    if folder and reader:
        built = load.build(cohort, folder, reader, side_by_side, strict)
        notes = load.read_rows(cohort, "notes")
    else:
        built = load.load_cohort(cohort)
        notes = _copy(built, strict)
    images = built.manifest["image"].nunique()
    print(f"{cohort}: {len(built)} masses, {built.manifest['patient'].nunique()} patients")
    print(f"  {images} images, {images - built.masses['image'].nunique()} of them without a mass")
    for reason, count in built.dropped.items():
        print(f"  dropped {count}: {reason}")
    if _tell_quarantine(cohort) and not reader:
        print("  (this cohort is read as it stands: take the rows out of its own manifest)")
    print(load.place(cohort, "csv"))
    path = load.place(cohort, "fingerprint.json")
    try:
        text = json.dumps(_fingerprint(built), indent=1) + "\n"
        write_atomically(path, lambda partial: partial.write_text(text, encoding="utf-8"))
        print(path)
    except StudyError as error:
        print(f"  fingerprint not written: {error}")
    _tell_notes_and_tasks(built, notes)


def _copy(cohort: Cohort, strict: bool) -> pd.DataFrame:
    """Copy a manifest that stands already, and the faults of its rows, which stay; return notes."""
    from mammostudy.data import integrity, load
    from mammostudy.data.cohort import OutlineCohort
    from mammostudy.data.manifest import write_manifest
    from mammostudy.runs.workers import side_by_side

    if isinstance(cohort, OutlineCohort):
        raise DataError(f"{cohort.name}: has outlines only, and a manifest lists images")
    faults, notes = integrity.examine(cohort, side_by_side)
    if strict:
        load.refuse(cohort.name, faults)
    write_manifest(cohort.manifest, load.place(cohort.name, "csv"))
    load.write_rows(cohort.name, "quarantine", faults)
    return notes


@app.command()
def check(cohort: CohortName, root: Root = None, as_json: Json = False) -> None:
    """Read every file of a cohort; check its splits for leaks."""
    import pandas as pd
    from tqdm.auto import tqdm

    from mammostudy.data import integrity, load
    from mammostudy.data.cohort import OutlineCohort, lacking
    from mammostudy.data.descriptors import TASKS
    from mammostudy.runs.workers import side_by_side

    use_data_root(root)
    loaded = load.load_cohort(cohort)
    faults, notes = pd.DataFrame(), pd.DataFrame({"note": []})
    if outlines := isinstance(loaded, OutlineCohort):
        for case in tqdm(loaded.masses.index, "reading", disable=None):
            loaded.mask(case)
    else:
        faults, notes = integrity.examine(loaded, side_by_side)
    if as_json:
        content = {
            "cohort": loaded.name, "rows": len(loaded.manifest), "masses": len(loaded),
            "faults": json.loads(faults.to_json(orient="records")), "notes": _counts(notes["note"]),
            "split": _split_checked(loaded),
            "lacks": {task: lacking(loaded, task) for task in TASKS},
        }  # fmt: skip
        print(json.dumps(content, indent=1))
        raise typer.Exit(2 if content["faults"] else 0)
    load.refuse(cohort, faults)
    if outlines:
        print(f"{cohort}: {len(loaded)} outlines drawn, no images; {_split_checked(loaded)}")
    else:
        print(f"{cohort}: {len(loaded.manifest)} rows read, {len(loaded)} masses; no fault")
        print(f"  no image is there twice; {_split_checked(loaded)}")
    if load.module_of(cohort, loaded.root):
        _tell_quarantine(cohort)
    _tell_notes_and_tasks(loaded, notes)


def _split_checked(cohort: Cohort) -> str:
    """Check the first split for patients in two parts; say so, or why it cannot be made."""
    from mammostudy.evaluation.splits import check_patients, split_cases

    try:
        patients = cohort.masses["patient"].nunique()
        split = split_cases(cohort.masses, folds=max(2, min(5, patients)))
    except SpecError as error:
        return f"no split was checked ({error})"
    check_patients(cohort.masses, split.parts())
    return "no patient crosses a split"


@app.command()
def describe(cohort: CohortName, root: Root = None, as_json: Json = True) -> None:
    """Print a cohort's fingerprint, always as JSON."""
    from mammostudy.data.load import load_cohort

    use_data_root(root)
    print(json.dumps(_fingerprint(load_cohort(cohort)), indent=1))


def _fingerprint(cohort: Cohort) -> dict[str, Any]:
    """Return the fingerprint; of outlines, or of a cohort too small for one, its counts."""
    from mammostudy.data.cohort import OutlineCohort, lacking
    from mammostudy.data.manifest import OPTIONAL
    from mammostudy.study.fingerprint import measure

    outlines, rows = isinstance(cohort, OutlineCohort), cohort.manifest
    if not outlines and not lacking(cohort, "segmentation"):
        return measure(cohort)
    content = {
        "cohort": cohort.name,
        "manifest_hash": cohort.manifest_hash,
        "masses": len(cohort),
        "patients": int(rows["patient"].nunique()),
        "dropped": dict(cohort.dropped),
    }
    if outlines:
        shapes: dict[str, Any] = {}
        for shape, those in rows.groupby("shape"):
            numbers = {"masses": len(those), "patients": int(those["patient"].nunique())}
            shapes[str(shape)] = {**numbers, "tools": _counts(those["tool"])}
        return content | {"shapes": shapes}
    columns = ["site", "view", "side", "shape", "pathology", "subtype", "modality", *OPTIONAL]
    counts = {column: _counts(rows[column]) for column in rows.columns.intersection(columns)}
    return content | {"images": int(rows["image"].nunique()), "counts": counts}


def _counts(cells: pd.Series) -> dict[str, int]:
    return {str(value): int(count) for value, count in cells.value_counts().items()}


@app.command()
def template(
    folder: Annotated[Path, typer.Argument(help="Folder of your own mammograms.")],
) -> None:
    """Begin the table of a cohort of your own, and its guide.

    It has a row for each image found, with the mask where the names agree.
    """
    from mammostudy.data.load import LETTERS, NAME
    from mammostudy.data.sources.folder import GUIDE_FILE, write_template

    if not folder.expanduser().is_dir():
        raise DataError(f"{folder}: no such folder; give the one that holds your mammograms")
    table, images, alone = write_template(folder.expanduser().resolve())
    print(f"{table}: {images} image(s) listed; fill in patient, mask and what is known")
    if alone:
        print(f"  {alone} mask(s) not listed: no image, or no single one, has their name")
    print(f"{table.with_name(GUIDE_FILE)}: what each column holds")
    name = table.parent.name
    if not re.fullmatch(NAME, name):
        name = re.sub(r"[^\w.-]+", "-", name).strip("-_.") or "own"
        print(f"rename the folder ({LETTERS}): {shlex.join(['mv', str(table.parent), name])}")
    words = ["mammostudy", "data", "build", name, "--root", str(table.parents[1])]
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
    """Fetch a public set, or say how to get it; what is there is kept."""
    from mammostudy.data.fetch import fetch as fetch_set

    fetch_set(cohort, root, patients=patients, yes=yes)


def _tell_quarantine(name: str) -> bool:
    """Print what is quarantined and why; return whether anything is."""
    from mammostudy.data.integrity import CHECKS
    from mammostudy.data.load import place, read_rows

    rows = read_rows(name, "quarantine")
    if rows.empty:
        return False
    for failed, count in Counter(rows["check"]).items():
        print(f"  quarantined {count}: {failed} ({CHECKS[failed]})")
    for line in grouped(zip(rows["case"], rows["reason"], strict=True), then=": "):
        print(f"    {line}")
    print(f"  all reasons: {place(name, 'quarantine.csv')}")
    return True


def _tell_notes_and_tasks(cohort: Cohort, notes: pd.DataFrame) -> None:
    from mammostudy.data.cohort import lacking
    from mammostudy.data.descriptors import TASKS

    for note, count in Counter(notes.get("note", ())).items():
        print(f"  noted of {count} image(s): {note}")
    for task in TASKS:
        lacks = lacking(cohort, task)
        print(f"  {task}: {'lacks ' + '; '.join(lacks) if lacks else 'yes'}")
