"""A cohort by its name: found, made or built (:func:`place` tells its files), and loaded."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from difflib import get_close_matches
from functools import lru_cache
from importlib import import_module
from pathlib import Path
from typing import Any, Final

import pandas as pd

from mammostudy.data import cache, integrity, manifest
from mammostudy.data.cache import digest, locked
from mammostudy.data.cohort import Cohort
from mammostudy.data.descriptors import cohort_names, describe
from mammostudy.data.integrity import Pool
from mammostudy.data.private import PRIVATE_TABLE
from mammostudy.errors import DataError, MissingDataError, grouped
from mammostudy.paths import data_root, search, store_root, write_atomically

NAME: Final = r"[^\W_][\w.-]*"
LETTERS: Final = "letters, digits, dots, - and _ are allowed, a letter or digit first"


def load_cohort(name: str, root: str | Path | None = None) -> Cohort:
    """Load a cohort by name.

    Phantoms are made on first use. Cohorts in their owners' layout are checked once and kept as a
    manifest in the local store. A name without a descriptor is a folder of that name with a
    ``manifest.csv``, or with the ``cohort.csv`` of a private cohort.

    Args:
        name: the cohort.
        root: the folder that holds the cohort's folder; default ``MAMMOSTUDY_DATA``.

    Raises:
        MissingDataError: no data folder is set, or it holds no folder of the cohort.
        DataError: the cohort is unknown, its folder is missing, or its manifest has faults.
    """
    facts = describe(name)
    if facts.phantom:
        folder = phantom_folder(name)
        with locked(folder.name):
            if not (folder / manifest.FILENAME).is_file():
                reader_module("phantom").write(name, folder)
    else:
        folder = find_folder(name, root)
        if (reader := module_of(name, folder)) is not None:
            return _load_or_build(name, folder, reader)
        if facts.reader is not None:
            states = ((path, path.stat()) for path in search(folder, "**/*"))
            state = tuple((str(path), each.st_size, each.st_mtime_ns) for path, each in states)
            return _as_it_stands(name, folder, state)
    return Cohort(name, folder, manifest.read_manifest(folder / manifest.FILENAME))


@lru_cache(maxsize=8)
def _as_it_stands(name: str, folder: Path, _state: tuple[tuple[str, int, int], ...]) -> Cohort:
    """Read the development part of CDD-CESM, once a process and state of its files."""
    facts = describe(name)
    source = reader_module(str(facts.reader))
    if not facts.images:
        outlined: Cohort = source.read_contours(name, folder, facts.modality)
        return outlined
    table, dropped = source.build_manifest(folder, facts.modality, facts.free_views)
    return Cohort(name, folder, manifest.validate(table, f"{folder} ({name})"), dropped)


def reader_module(name: str) -> Any:
    """Import a module of :mod:`mammostudy.data.sources` by its name."""
    return import_module(f"mammostudy.data.sources.{name}")


def module_of(name: str, folder: Path) -> str | None:
    """Return the reader that builds a cohort's manifest for the store, None where none does."""
    facts = describe(name)
    if facts.reader is not None:
        return facts.reader if facts.built else None
    private = (folder / PRIVATE_TABLE).is_file() and not (folder / manifest.FILENAME).is_file()
    return "folder" if private else None


def find_folder(name: str, root: str | Path | None = None) -> Path:
    """Return a cohort's folder below the root; the root itself where its files tell it."""
    known = ", ".join(cohort_names())
    if not re.fullmatch(NAME, name):
        fault = f"not a name of a folder ({LETTERS}); rename yours, or use one of {known}"
        raise DataError(f"cohort {name!r}: {fault}")
    facts = describe(name)
    base = Path(root).expanduser() if root is not None else data_root()
    fault = f"cohort {name!r}: no data folder is set"
    if base is not None:
        if (base / facts.folder).is_dir():
            return base / facts.folder
        marks = facts.marks or ((PRIVATE_TABLE,) if name == base.resolve().name else ())
        if base.is_dir() and any(search(base, mark) for mark in marks):
            return base
        fault = f"{base / facts.folder}: no such folder for cohort {name!r}"
    where = f"name the folder that holds `{facts.folder}/` with --root or MAMMOSTUDY_DATA"
    own = [path.name for path in search(base, "*")] if base is not None else []
    plain = {other.lower(): other for other in (*own, *cohort_names())}
    spelled = "" if facts.descriptor else name.lower().replace("_", "-")
    near = [plain[other] for other in get_close_matches(spelled, plain)]
    told = f"did you mean {' or '.join(near)}?" if near else f"known are {known}."
    raise MissingDataError(f"{fault}; {told} For one of your own {where}")


def phantom_folder(name: str) -> Path:
    """Return where a phantom cohort stands in the store, made or not; its recipe names it."""
    return store_root() / "data" / f"{name}-{cache.VERSION}"


def place(name: str, kind: str) -> Path:
    """Return a file of a built cohort: csv, quarantine.csv, notes.csv, build.json (of what)."""
    return store_root() / "manifests" / f"{name}.{kind}"


def build(name: str, folder: Path, source: str, pool: Pool = None, strict: bool = False) -> Cohort:
    """Read a layout, check every row and file, write the manifest; refuse what leaves no row."""
    tables = _tables(name, folder)  # before they are read
    table, dropped = reader_module(source).build_manifest(folder)
    listed = pd.DataFrame(table.attrs.pop("dropped", ()), columns=list(integrity.FAULTS))
    clean, faults = integrity.clean_table(table, f"{folder} ({name})")
    found, notes = integrity.examine(Cohort(name, folder, clean), pool)
    faults = pd.concat([faults, found], ignore_index=True)
    kept = clean[~clean["case"].isin(faults["case"])].reset_index(drop=True)
    if strict or kept.empty:
        refuse(name, faults, dropped)
    place(name, "build.json").unlink(missing_ok=True)  # an interrupted build is built again
    manifest.write_manifest(kept, place(name, "csv"))
    write_rows(name, "quarantine", pd.concat([listed, faults], ignore_index=True))
    write_rows(name, "notes", notes)
    text = json.dumps({"made_of": _made_of(folder, source), "owners": tables, "dropped": dropped})
    write_atomically(place(name, "build.json"), lambda p: p.write_text(text, encoding="utf-8"))
    return Cohort(name, folder, kept, dropped)


def _load_or_build(name: str, folder: Path, source: str) -> Cohort:
    """Return what was built of this folder by this version; build it where there is none."""
    with locked(f"build-{name}"):
        try:
            content = json.loads(place(name, "build.json").read_text(encoding="utf-8"))
        except (OSError, ValueError, RecursionError):
            content = {}
        if content.get("made_of") != _made_of(folder, source):
            return build(name, folder, source)
        if content.get("owners") not in (None, _tables(name, folder)):
            fault = "a table of its folder has changed since it was built"
            raise DataError(f"{name}: {fault}; run `mammostudy data build {name}` again")
        table = manifest.read_manifest(place(name, "csv"))
        return Cohort(name, folder, table, content["dropped"])


def _made_of(folder: Path, source: str) -> str:  # hashed: a folder's name may be a hospital's
    return digest({"folder": str(folder.resolve()), "source": source, "version": cache.VERSION})


def _tables(name: str, folder: Path) -> str:
    of_owners = ("*.csv", "*.xlsx", "*/*.csv", "*/*.xlsx", *describe(name).marks)
    kinds = of_owners if describe(name).built else (PRIVATE_TABLE,)
    found = {path for kind in kinds for path in search(folder, kind) if path.is_file()}
    return digest({str(path): path.read_bytes() for path in sorted(found)})


def read_rows(name: str, kind: str) -> pd.DataFrame:
    """Return the ``quarantine`` or the ``notes`` of a built cohort, empty where there are none."""
    path = place(name, f"{kind}.csv")
    return pd.read_csv(path, dtype=str) if path.is_file() else pd.DataFrame()


def write_rows(name: str, kind: str, rows: pd.DataFrame) -> None:
    """Write the quarantine or the notes beside the manifest."""
    write_atomically(place(name, f"{kind}.csv"), lambda part: rows.to_csv(part, index=False))


def refuse(name: str, faults: pd.DataFrame, dropped: Mapping[str, int] | None = None) -> None:
    """Raise DataError where there are faults: a line a kind, and how many each check found."""
    if not faults.empty:
        counts = ", ".join(f"{n} {check}" for check, n in faults["check"].value_counts().items())
        words = faults["check"] + ": " + faults["reason"]
        lines = grouped(zip(faults["case"], words, strict=True))
        lines += [f"dropped before {count}: {reason}" for reason, count in (dropped or {}).items()]
        fault = f"{len(faults):,} fault(s) ({counts}); mend the files or drop the rows"
        raise DataError("\n  ".join([f"{name}: {fault}:", *lines]))


def image_facts(cohort: Cohort) -> pd.DataFrame:
    """Return patient and, where told, density, BI-RADS (the highest) and age of images by path."""
    images = cohort.manifest.drop_duplicates("image").set_index("image")
    if describe(cohort.name).reader != "cdd_cesm":
        return images[images.columns.intersection(["patient", "density"])]
    from mammostudy.data.sources.cdd_cesm import read_images

    table = read_images(cohort.root)
    table = table.set_index("images/" + table["image"] + ".jpg").loc[images.index]
    table["BI-RADS"] = table["birads"].str.split("$").map(max)
    table["age"] = pd.to_numeric(table["age"], errors="coerce")
    return table[["patient", "density", "BI-RADS", "age"]]
