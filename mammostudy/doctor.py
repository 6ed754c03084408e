"""What is installed, what is found, what is missing, and the command that mends it."""

from __future__ import annotations

import os
import platform
from collections.abc import Iterator
from dataclasses import dataclass
from importlib import metadata
from importlib.util import find_spec
from typing import Final

from mammostudy.errors import DataError, StudyError
from mammostudy.paths import data_root, project_root, results_root

EXTRAS: Final = {
    "book": ("jupyter-book", "papermill", "ipykernel"),
    "dicom": ("python-gdcm", "pylibjpeg", "pylibjpeg-openjpeg"),
    "detr": ("transformers",),
    "download": ("idc-index-data", "duckdb", "requests"),
    "export": ("onnx", "onnxscript", "onnxruntime"),
    "test": ("pytest", "mypy", "ruff", "monai", "torchmetrics", "hypothesis"),
}
CORE: Final = (
    "torch",
    "torchvision",
    "opencv-python-headless",
    "scikit-image",
    "pydicom",
    "pandas",
)


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
        yield _package(package, "pip install -e .")
    for extra, packages in EXTRAS.items():
        for package in packages:
            yield _package(package, f"pip install -e '.[{extra}]'")
    yield _device()
    yield _project()
    yield from _cohorts()
    yield from _records()


def _package(name: str, mend: str) -> Finding:
    try:
        return Finding(name, True, metadata.version(name))
    except metadata.PackageNotFoundError:
        return Finding(name, False, "not installed", mend)


def _device() -> Finding:
    if find_spec("torch") is None:
        return Finding("device", False, "torch is not installed", "pip install -e .")
    from mammostudy.training.loop import device

    return Finding("device", True, str(device()))


def _project() -> Finding:
    root = project_root()
    if (root / "study.yaml").is_file():
        return Finding("project", True, "study.yaml found")
    return Finding(
        "project", False, "no study.yaml above the working folder", "run from the project's folder"
    )


def _cohorts() -> Iterator[Finding]:
    from mammostudy.data.descriptors import cohort_names, describe
    from mammostudy.data.load import load_cohort, phantom_folder

    root = data_root()
    if root is None:
        yield Finding("data folder", False, "not set", "export MAMMOSTUDY_DATA=FOLDER or DATA=")
    elif not root.is_dir():
        yield Finding("data folder", False, f"{root}: no such folder", "set MAMMOSTUDY_DATA anew")
    else:
        yield Finding("data folder", True, str(root))
    for name in cohort_names():
        if describe(name).phantom:
            made = phantom_folder(name).is_dir()
            found = "made" if made else "not yet made (made on first use, in seconds)"
            yield Finding(f"cohort {name}", True, found)
            continue
        if describe(name).built:
            yield Finding(f"cohort {name}", True, _published(name))
            continue
        try:
            cohort = load_cohort(name)
            patients = cohort.masses["patient"].nunique()
            yield Finding(f"cohort {name}", True, f"{len(cohort)} masses, {patients} patients")
        except DataError as error:
            yield Finding(
                f"cohort {name}", False, str(error), "export MAMMOSTUDY_DATA=FOLDER or DATA="
            )


def _published(name: str) -> str:
    """Say whether a set in its owners' layout is there and built; nothing asks for it by itself."""
    from mammostudy.data.building import place
    from mammostudy.data.load import find_folder

    try:
        find_folder(name)
    except DataError:
        return f"not found; `mammostudy data fetch {name}` gets it or tells how"
    if place(name, "build.json").is_file():
        return "built"
    return f"found, not built; run `mammostudy data build {name}`"


def _records() -> Iterator[Finding]:
    from mammostudy.runs.record import local_records, read_record

    for name, root in (("committed records", results_root()), ("local records", local_records())):
        found = list(root.glob("*/[!.]*/record.json"))
        yield Finding(name, True, str(len(found)))
        for path in found:
            try:
                _ = read_record(path.parent).spec
            except StudyError as error:
                yield Finding(name, False, str(error), f"rm -r {path.parent}")
    yield from _models()


def _models() -> Iterator[Finding]:
    """Look for the models of ``mammostudy predict``."""
    from mammostudy.detect_inference import detection_records
    from mammostudy.inference import study_records
    from mammostudy.shape_inference import shape_records

    for subject, found, chapter in (
        ("model for predict", study_records(), "losses"),
        ("detector for predict", detection_records(), "detection"),
        ("shape model for predict", shape_records(), "shapes"),
    ):
        newest = next(found, None)
        if newest is None:
            yield Finding(subject, False, "none", f"mammostudy run {chapter} --preset quick")
        else:
            yield Finding(subject, True, f"{newest.key}, trained on {newest.spec.cohort}")
    yield _segmenting()


def _segmenting() -> Finding:
    """Say what the segmenter of ``mammostudy predict`` runs on."""
    from mammostudy.exported import EAGER, EXPORTED, MEND, why_eager
    from mammostudy.inference import study_records

    newest = next(study_records(), None)
    note = why_eager(None if newest is None else newest.spec)
    mend = MEND if MEND in note else ""
    found = f"{EAGER}: {note}" if note else f"{EXPORTED} (exported on first use)"
    return Finding("segmenter of predict runs on", not mend, found, mend)
