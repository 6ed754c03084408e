"""What is installed, what is found, what is missing, and the command that mends it."""

from __future__ import annotations

import os
import platform
import re
from collections.abc import Iterator
from dataclasses import dataclass
from importlib import metadata

from mammostudy.errors import DataError, MissingDataError, StudyError
from mammostudy.paths import data_root, project_root, results_root
from mammostudy.training.loop import device


@dataclass(frozen=True)
class Finding:
    """One line of the report: what was looked at, whether it is well, what was found, the mend."""

    subject: str
    well: bool
    found: str
    mend: str = ""


def examine() -> Iterator[Finding]:
    """Look at packages, folders, cohorts, records and models; nothing is changed or made."""
    yield Finding("Python", True, f"{platform.python_version()}, {os.cpu_count()} cores")
    yield from _packages()
    yield Finding("device", True, str(device()))
    there = (project_root() / "study.yaml").is_file()
    found = "study.yaml found" if there else "no study.yaml above the working folder"
    yield Finding("project", there, found, "run from the project's folder")
    yield from _cohorts()
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
        absent = [name for name in names if not _is_installed(name)]
        mend = f"pip install -e '.[{extra}]'" if extra else "pip install -e ."
        found = f"not installed: {', '.join(absent)}" if absent else "installed"
        if extra and absent:
            found += f" ({mend} adds them)"
        subject = f"extra {extra}" if extra else "packages"
        yield Finding(subject, bool(extra) or not absent, found, mend)


def _is_installed(name: str) -> bool:
    try:
        return bool(metadata.version(name))
    except metadata.PackageNotFoundError:
        return False


def _cohorts() -> Iterator[Finding]:
    from mammostudy.data.descriptors import cohort_names

    root, mend = data_root(), "export MAMMOSTUDY_DATA=FOLDER"
    if root is None:
        yield Finding("data folder", True, f"not set: phantoms only ({mend} names one)")
    else:
        found = str(root) if root.is_dir() else f"{root}: no such folder"
        yield Finding("data folder", root.is_dir(), found, mend)
    for name in cohort_names():
        try:
            yield Finding(f"cohort {name}", True, _cohort(name))
        except DataError as error:
            first = str(error).splitlines()[0]
            yield Finding(f"cohort {name}", False, first, f"mammostudy data check {name}")


def _cohort(name: str) -> str:
    """Say whether a cohort is there and built; what is not there is no fault."""
    from mammostudy.data.descriptors import describe
    from mammostudy.data.load import find_folder, load_cohort, phantom_folder, place

    facts = describe(name)
    if facts.phantom:
        made = phantom_folder(name).is_dir()
        return "made" if made else "not yet made (made on first use, in seconds)"
    try:
        find_folder(name)
        if facts.built:
            built = place(name, "build.json").is_file()
            return "built" if built else f"found, not built; run `mammostudy data build {name}`"
        cohort = load_cohort(name)
    except MissingDataError:
        gets = f"; `mammostudy data fetch {name}` gets it or tells how" if facts.built else ""
        return f"not found{gets}"
    return f"{len(cohort)} masses, {cohort.masses['patient'].nunique()} patients"


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
    for kind, subject in subjects.items():
        found = "none (models of smoke runs do not count)"
        if best := models(kind)[:1]:
            unit = "epochs" if kind == "shape" else "iterations"
            found = f"{best[0].key}, trained on {best[0].spec.cohort} for {spent(best[0])} {unit}"
        mend = f"mammostudy run {CHAPTERS[kind]} --preset quick"
        yield Finding(f"{subject} for predict", bool(best), found, mend)
    segmenter = models("segmentation")[:1]
    note = why_eager(segmenter[0].spec if segmenter else None)
    found = f"{EAGER}: {note}" if note else f"{EXPORTED} (exported on first use)"
    yield Finding("segmenter of predict runs on", MEND not in note, found, MEND)
