"""What is installed, what is found, what is missing, and the command that mends it."""

from __future__ import annotations

import os
import platform
import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from importlib import metadata

from mammostudy.errors import DataError, MissingDataError, StudyError
from mammostudy.paths import data_root, project_root, results_root


@dataclass(frozen=True)
class Finding:
    """One line of the report: what was looked at, whether it is well, what was found, the mend."""

    subject: str
    well: bool
    found: str
    mend: str = ""


def examine() -> Iterator[Finding]:
    """Look at packages, folders, cohorts, records and models; nothing is changed or made."""
    from mammostudy.training.loop import device

    yield Finding("Python", True, f"{platform.python_version()}, {os.cpu_count()} cores")
    yield from _packages()
    yield Finding("device", True, str(device()))
    there = (project_root() / "study.yaml").is_file()
    found = "" if there else "no "
    yield Finding("project", there, f"{found}study.yaml found", "run from the project's folder")
    root = data_root()
    there = root is None or root.is_dir()
    found = f"{root or 'not set: phantoms only'}{'' if there else ': no such folder'}"
    yield Finding("data folder", there, found, "export MAMMOSTUDY_DATA=FOLDER")
    for name, well, found in cohorts():
        yield Finding(f"cohort {name}", well, found, f"mammostudy data check {shlex.quote(name)}")
    yield from _records()
    yield from _models()


def _packages() -> Iterator[Finding]:
    """Say which packages are missing, of those needed and of each extra, which may be."""
    needed: dict[str, list[str]] = {"": []}
    for line in metadata.requires("mammostudy") or ():
        of_extra = re.search(r"extra == .(\w+)", line)
        name = re.split(r"[^\w.-]", line)[0]
        needed.setdefault(of_extra[1] if of_extra else "", []).append(name)
    for extra, names in needed.items():
        absent = [name for name in names if not any(metadata.distributions(name=name))]
        mend = f"pip install -e '.[{extra}]'" if extra else "pip install -e ."
        found = f"not installed: {', '.join(absent)} ({mend} adds them)" if absent else "installed"
        subject = f"extra {extra}" if extra else "packages"
        yield Finding(subject, bool(extra) or not absent, found, mend)


def cohorts() -> Iterator[tuple[str, bool, str]]:
    """Yield each cohort, the user's own too, with whether it is well and what is found of it."""
    from mammostudy.data.descriptors import cohort_names
    from mammostudy.data.manifest import FILENAME
    from mammostudy.data.private import PRIVATE_TABLE

    base = data_root()
    tables = (base.glob(f"*/{name}") for name in (PRIVATE_TABLE, FILENAME)) if base else ()
    own = sorted({path.parent.name for found in tables for path in found})
    for name in dict.fromkeys([*cohort_names(), *own]):
        try:
            yield name, True, _cohort(name)
        except DataError as error:
            yield name, False, str(error).splitlines()[0]


def _cohort(name: str) -> str:
    """Say whether a cohort is there and built; what is not there is no fault."""
    from mammostudy.data.cohort import Cohort
    from mammostudy.data.descriptors import describe
    from mammostudy.data.load import find_folder, load_cohort, module_of, phantom_folder, place
    from mammostudy.data.manifest import FILENAME, read_manifest

    if describe(name).phantom:
        made = (phantom_folder(name) / FILENAME).is_file()
        return "made" if made else "made on first use, in seconds"
    try:
        folder = find_folder(name)
    except MissingDataError:
        return f"not found; `mammostudy data fetch {name}` gets it or tells how"
    if module_of(name, folder) is None:
        cohort = load_cohort(name)
    elif place(name, "build.json").is_file():
        cohort = Cohort(name, folder, read_manifest(place(name, "csv")))
    else:
        return f"found, not built; run `mammostudy data build {shlex.quote(name)}`"
    return f"{len(cohort)} masses, {cohort.manifest['patient'].nunique()} patients"


def _records() -> Iterator[Finding]:
    from mammostudy.runs.record import local_records, read_record

    for name, root in (("committed records", results_root()), ("local records", local_records())):
        found = list(root.glob("*/[!.]*/record.json"))
        yield Finding(name, True, str(len(found)))
        for path in found:
            try:
                _ = read_record(path.parent).spec
            except StudyError as error:
                yield Finding(name, False, str(error).splitlines()[0], f"rm -r {path.parent}")


def _models() -> Iterator[Finding]:
    """Look for the models of ``mammostudy predict``, and say what its segmenter runs on."""
    from mammostudy.exported import EAGER, EXPORTED, MEND, why_eager
    from mammostudy.runs.choice import CHAPTERS, models, spent

    subjects = {"segmentation": "model", "detection": "detector", "shape": "shape model"}
    best = {kind: next(iter(models(kind)), None) for kind in subjects}
    for kind, subject in subjects.items():
        found = "none (models of smoke runs do not count)"
        if record := best[kind]:
            unit = "epochs" if kind == "shape" else "iterations"
            found = f"{record.key}, trained on {record.spec.cohort} for {spent(record)} {unit}"
        mend = f"mammostudy run {CHAPTERS[kind]} --preset quick"
        yield Finding(f"{subject} for predict", record is not None, found, mend)
    segmenter = best["segmentation"]
    note = why_eager(segmenter.spec if segmenter else None)
    found = f"{EAGER}: {note}" if note else f"{EXPORTED} (exported on first use)"
    yield Finding("segmenter of predict runs on", MEND not in note, found, MEND)
