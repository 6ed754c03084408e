"""What is installed, what is found, what is missing, and the command that mends it."""

from __future__ import annotations

import os
import platform
import re
import shlex
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from importlib import metadata
from typing import Final

from mammostudy.errors import MissingDataError, StudyError
from mammostudy.paths import data_root, project_root, results_root, search, store_root
from mammostudy.settings import cache_bytes, processors, workers

NEEDED: Final = ("", "book")  # extras without which there is no book
ROOM: Final = 1  # GB of disk that the book of phantoms takes in the store, and some


@dataclass(frozen=True)
class Finding:
    """One line of the report: what was looked at, whether it is well, what was found, the mend."""

    subject: str
    well: bool
    found: str
    mend: str = ""
    needed: bool = False  # by the default job: `make book` on phantoms


def examine() -> Iterator[Finding]:
    """Look at packages, folders, cohorts, records and models; nothing is changed or made."""
    from mammostudy.models.device import device
    from mammostudy.publishing.pages import read_pages

    yield Finding("Python", True, platform.python_version())
    yield from _packages()
    yield _tried("processors", lambda: f"{processors()}, {workers()} workers")
    yield _tried("device", lambda: str(device()))
    yield _tried("project", lambda: f"study.yaml lists {len(read_pages(project_root()))} pages")
    yield _store()
    yield _tried("cache in it", lambda: f"{cache_bytes() >> 30} GiB at most")
    root = data_root()
    there = root is None or root.is_dir()
    found = f"{root or 'not set: phantoms only'}{'' if there else ': no such folder'}"
    yield Finding("data folder", there, found, "export MAMMOSTUDY_DATA=FOLDER")
    for name, well, found in cohorts():
        yield Finding(f"cohort {name}", well, found, f"mammostudy data check {shlex.quote(name)}")
    yield from _records()
    yield from _models()


def _tried(subject: str, look: Callable[[], str]) -> Finding:
    """Look at what the default job needs; its error is the finding, which says the mend."""
    try:
        return Finding(subject, True, look(), needed=True)
    except StudyError as error:
        return Finding(subject, False, str(error), needed=True)


def _store() -> Finding:
    """Look whether the local store can be written, and how much room it has."""
    root = store_root().absolute()
    there = next(each for each in (root, *root.parents) if os.path.lexists(each))
    free = shutil.disk_usage(there).free / 1e9
    well = there.is_dir() and os.access(there, os.W_OK | os.X_OK) and free > ROOM
    found = f"{root}, {free:.0f} GB free" if well else f"{root}: not a folder that can be written"
    if free <= ROOM:
        found = f"{root}: {free:.1f} GB free, {ROOM} GB is needed"
    return Finding("store", well, found, "export MAMMOSTUDY_STORE=FOLDER", needed=True)


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
        required, subject = extra in NEEDED, f"extra {extra}" if extra else "packages"
        found = f"not installed: {', '.join(absent)}" if absent else "installed"
        found += f" ({mend} adds them)" if absent and not required else ""
        yield Finding(subject, not (required and absent), found, mend, required)


def cohorts() -> Iterator[tuple[str, bool, str]]:
    """Yield each cohort, the user's own too, with whether it is well and what is found of it."""
    from mammostudy.data.descriptors import cohort_names
    from mammostudy.data.manifest import FILENAME
    from mammostudy.data.private import PRIVATE_TABLE

    base = data_root()
    tables = (search(base, f"*/{name}") for name in (PRIVATE_TABLE, FILENAME)) if base else ()
    own = sorted({path.parent.name for found in tables for path in found})
    for name in dict.fromkeys([*cohort_names(), *own]):
        try:
            yield name, True, _cohort(name)
        except (StudyError, OSError) as error:
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
                yield Finding(
                    name,
                    False,
                    str(error).splitlines()[0],
                    f"rm -r {shlex.quote(str(path.parent))}",
                )


def _models() -> Iterator[Finding]:
    """Look for the models of ``mammostudy predict``."""
    from mammostudy.runs.choice import CHAPTERS, models, spent

    subjects = {"segmentation": "model", "detection": "detector", "shape": "shape model"}
    best = {kind: next(iter(models(kind)), None) for kind in subjects}
    for kind, subject in subjects.items():
        found = f"none yet; mammostudy run {CHAPTERS[kind]} --preset quick makes one"
        if record := best[kind]:
            unit = "epochs" if kind == "shape" else "iterations"
            found = f"{record.key}, trained on {record.spec.cohort} for {spent(record)} {unit}"
        yield Finding(f"{subject} for predict", True, found)
