"""A cohort by its name: found, made or built, and loaded."""

from __future__ import annotations

import re
from pathlib import Path

from filelock import FileLock

from mammostudy.data import cache, manifest
from mammostudy.data.building import load_or_build
from mammostudy.data.cohort import Cohort
from mammostudy.data.descriptors import cohort_names, describe
from mammostudy.data.private import PRIVATE_TABLE
from mammostudy.data.sources import reader_module
from mammostudy.errors import DataError, MissingDataError
from mammostudy.paths import data_root, store_root


def load_cohort(name: str, root: str | Path | None = None) -> Cohort:
    """Load a cohort by name.

    Phantoms are made on first use. Cohorts in their owners' layout are checked once and kept as a
    manifest in the local store. A name without a descriptor (:mod:`mammostudy.data.descriptors`)
    is a folder of that name with a ``manifest.csv``, or with the ``cohort.csv`` of a private
    cohort.

    Args:
        name: the cohort.
        root: the folder that holds the cohort's folder; default ``MAMMOSTUDY_DATA``.

    Raises:
        MissingDataError: no data folder is set, or it holds no folder of the cohort.
        DataError: the cohort is unknown, its folder is missing, or its manifest has faults.
    """
    facts = describe(name)
    if facts.phantom:
        return _phantom(name)
    folder = find_folder(name, root)
    if (reader := module_of(name, folder)) is not None:
        built = load_or_build(name, folder, reader)
        return Cohort(name, folder, built.manifest, built.dropped)
    if facts.reader is None:
        return Cohort(name, folder, manifest.read_manifest(folder / manifest.FILENAME))
    source = reader_module(facts.reader)  # of the development part of CDD-CESM, as it stands
    if not facts.images:
        outlined: Cohort = source.read_contours(name, folder, facts.modality)
        return outlined
    read = source.build_views if facts.free_views else source.build_manifest
    table, dropped = read(folder, facts.modality)
    return Cohort(name, folder, manifest.validate(table, f"{folder} ({name})"), dropped)


def module_of(name: str, folder: Path) -> str | None:
    """Return the reader that builds a cohort's manifest for the store, None where none does."""
    facts = describe(name)
    if facts.reader is not None:
        return facts.reader if facts.built else None
    private = (folder / PRIVATE_TABLE).is_file() and not (folder / manifest.FILENAME).is_file()
    return "folder" if private else None


def check_name(name: str) -> None:
    """Raise DataError, with the known cohorts, for what cannot be the name of a folder."""
    if not re.fullmatch(r"[A-Za-z0-9][\w.-]*", name):
        msg = (
            f"cohort {name!r}: not a name of a folder; give a known cohort "
            f"({', '.join(cohort_names())}) or the name of a folder of yours"
        )
        raise DataError(msg)


def find_folder(name: str, root: str | Path | None = None) -> Path:
    """Return the folder that a cohort is read from; MissingDataError where there is none.

    ``root`` (default ``MAMMOSTUDY_DATA``) holds the cohort's folder, or is that folder itself where
    its files tell it.
    """
    check_name(name)
    facts = describe(name)
    base = Path(root).expanduser() if root is not None else data_root()
    if base is None:
        fault = (
            f"cohort {name!r}: no data folder is set; name the folder that holds "
            f"`{facts.folder}/` with --root or MAMMOSTUDY_DATA"
        )
    else:
        folder = base / facts.folder
        if folder.is_dir():
            return folder
        marks = facts.marks or ((PRIVATE_TABLE,) if name == base.resolve().name else ())
        if base.is_dir() and any(next(base.glob(mark), None) for mark in marks):
            return base
        fault = (
            f"{folder}: no such folder for cohort {name!r}; set --root or MAMMOSTUDY_DATA to the "
            f"folder that holds it"
        )
    msg = f"{fault} (known cohorts: {', '.join(cohort_names())})"
    raise MissingDataError(msg)


def phantom_folder(name: str) -> Path:
    """Return where a phantom cohort stands in the store, made or not; its recipe names it."""
    return store_root() / "data" / f"{name}-{cache.VERSION}"


def _phantom(name: str) -> Cohort:
    from mammostudy.data.sources import phantom

    folder = phantom_folder(name)
    lock = store_root() / "locks" / f"{folder.name}.lock"
    lock.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(lock):  # notebooks and workers may ask for it at once
        if not (folder / manifest.FILENAME).is_file():
            phantom.write(name, folder)
    return Cohort(name, folder, manifest.read_manifest(folder / manifest.FILENAME))
