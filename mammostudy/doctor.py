"""What is installed, what is found, what is missing, and the command that mends it."""

from __future__ import annotations

import os
import platform
from collections.abc import Iterator
from dataclasses import dataclass
from importlib import metadata
from typing import Final

from mammostudy.errors import DataError, MissingDataError, StudyError
from mammostudy.paths import data_root, project_root, results_root

CORE: Final = (
    "torch", "torchvision", "opencv-python-headless", "scikit-image", "pydicom", "pandas",
)  # fmt: skip
EXTRAS: Final = {
    "book": ("jupyter-book", "papermill", "ipykernel"),
    "dicom": ("python-gdcm", "pylibjpeg", "pylibjpeg-openjpeg"),
    "download": ("idc-index-data", "duckdb", "requests"),
    "export": ("onnx", "onnxscript", "onnxruntime"),
    "test": ("pytest", "mypy", "ruff", "monai", "torchmetrics", "hypothesis"),
}


@dataclass(frozen=True)
class Finding:
    """One line of the report: what was looked at, whether it is well, what was found, the mend."""

    subject: str
    well: bool
    found: str
    mend: str = ""


def examine() -> Iterator[Finding]:
    """Look at packages, folders, cohorts, records and models.

    Yields:
        A finding each; nothing is changed, and nothing is trained or downloaded.
    """
    yield Finding("Python", True, f"{platform.python_version()}, {os.cpu_count()} cores")
    for package in CORE:
        yield _packages(package, (package,), "pip install -e .")
    for extra, packages in EXTRAS.items():
        yield _packages(f"extra {extra}", packages, f"pip install -e '.[{extra}]'")
    yield _device()
    there = (project_root() / "study.yaml").is_file()
    found = "study.yaml found" if there else "no study.yaml above the working folder"
    yield Finding("project", there, found, "run from the project's folder")
    yield from _cohorts()
    yield from _records()
    yield from _models()


def _packages(subject: str, names: tuple[str, ...], mend: str) -> Finding:
    """Say the versions of packages, or which of them are missing."""
    found, absent = [], []
    for name in names:
        try:
            found.append(f"{name} {metadata.version(name)}")
        except metadata.PackageNotFoundError:
            absent.append(name)
    said = f"not installed: {', '.join(absent)}" if absent else ", ".join(found)
    return Finding(subject, not absent, said, mend)


def _device() -> Finding:
    try:
        from mammostudy.training.loop import device

        return Finding("device", True, str(device()))
    except ImportError:
        return Finding("device", False, "torch is not installed", "pip install -e .")


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
    from mammostudy.data.building import place
    from mammostudy.data.descriptors import describe
    from mammostudy.data.load import find_folder, load_cohort, phantom_folder

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
