"""A cohort by its name: found, made or built, and loaded."""

from __future__ import annotations

import re
from pathlib import Path

from filelock import FileLock

from mammostudy.data import cache, manifest
from mammostudy.data.cohort import Cohort
from mammostudy.data.descriptors import CohortFacts, cohort_names, describe
from mammostudy.data.private import PRIVATE_TABLE
from mammostudy.data.sources import reader_module
from mammostudy.errors import DataError, MissingDataError
from mammostudy.paths import data_root, store_root


def load_cohort(name: str, root: str | Path | None = None) -> Cohort:
    """Load a cohort by name.

    Phantoms are made on first use. The cohorts of a descriptor
    (:mod:`mammostudy.data.descriptors`) are read by their module in
    :mod:`mammostudy.data.sources`; those in their owners' layout are checked once and kept as a
    manifest in the local store (:mod:`mammostudy.data.building`). Any other name is a folder of
    that name with a ``manifest.csv``, or with the ``cohort.csv`` of a private cohort.

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
    if (source := module_of(name, folder)) is not None:
        from mammostudy.data.building import load_or_build

        built = load_or_build(name, folder, source)
        return Cohort(name, folder, built.manifest, built.dropped)
    if facts.reader is not None:
        return _read(facts, folder)
    return Cohort(name, folder, manifest.read_manifest(folder / manifest.FILENAME))


def _read(facts: CohortFacts, folder: Path) -> Cohort:
    """Read a cohort of the development part of CDD-CESM as it stands."""
    source = reader_module(str(facts.reader))
    if not facts.images:
        outlined: Cohort = source.read_contours(facts.name, folder, facts.modality)
        return outlined
    build = source.build_views if facts.free_views else source.build_manifest
    table, dropped = build(folder, facts.modality)
    return Cohort(facts.name, folder, manifest.validate(table, f"{folder} ({facts.name})"), dropped)


def module_of(name: str, folder: Path) -> str | None:
    """Return the module in ``sources`` that builds a cohort's manifest for the local store.

    None where the cohort is made or read in another way: phantoms, the development part of
    CDD-CESM, and folders with a ``manifest.csv`` of their own.
    """
    facts = describe(name)
    if facts.reader is not None:
        return facts.reader if facts.built else None
    private = (folder / PRIVATE_TABLE).is_file() and not (folder / manifest.FILENAME).is_file()
    return "folder" if private else None


def check_name(name: str) -> None:
    """Refuse what cannot be the name of a folder.

    Raises:
        DataError: naming the known cohorts.
    """
    if not re.fullmatch(r"[A-Za-z0-9][\w.-]*", name):
        msg = (
            f"cohort {name!r}: not a name of a folder; give a known cohort "
            f"({', '.join(cohort_names())}) or the name of a folder of yours"
        )
        raise DataError(msg)


def find_folder(name: str, root: str | Path | None = None) -> Path:
    """Return the folder that a cohort is read from.

    Args:
        name: the cohort.
        root: the folder that holds the cohort's folder, or the cohort's folder itself where its
            files tell it; default ``MAMMOSTUDY_DATA``.

    Raises:
        MissingDataError: no data folder is set, or it holds no folder of the cohort.
        DataError: the name is none of a folder.
    """
    check_name(name)
    facts = describe(name)
    base = Path(root).expanduser() if root is not None else data_root()
    known = f"known cohorts: {', '.join(cohort_names())}"
    if base is None:
        msg = (
            f"cohort {name!r}: no data folder is set; name the folder that holds "
            f"`{facts.folder}/` with --root or MAMMOSTUDY_DATA ({known})"
        )
        raise MissingDataError(msg)
    folder = base / facts.folder
    if folder.is_dir():
        return folder
    marks = facts.marks or ((PRIVATE_TABLE,) if name == base.resolve().name else ())
    if base.is_dir() and any(next(base.glob(mark), None) for mark in marks):
        return base
    msg = (
        f"{folder}: no such folder for cohort {name!r}; set --root or MAMMOSTUDY_DATA to the "
        f"folder that holds it ({known})"
    )
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
