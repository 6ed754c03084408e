"""Fetch a public set from its archive, or say how to get it; what ``mammostudy data fetch`` does.

Where a set is comes from its descriptor (``data_manifests/*.yaml``): ``fetch.tables`` are files of
the archive's web site (pooch), ``fetch.images`` a collection of the Imaging Data Commons
(idc-index), and ``steps`` tell what no program can fetch. Everything is checked afterwards: the
transfer itself compares no hash, and the commons give sizes and counts alone.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any, Final

import pandas as pd
from tqdm.auto import tqdm

from mammostudy.data.descriptors import cohort_names, describe, read_descriptor
from mammostudy.data.load import check_name, find_folder
from mammostudy.data.sources.files import look
from mammostudy.data.tables import read_table
from mammostudy.errors import DataError, MissingDataError
from mammostudy.paths import data_root

ARCHIVED: Final = {"cdd-cesm": "cdd-cesm-archive"}
"""Short names of sets whose archive publishes another layout than the cohort of that name has."""
LAYOUT: Final = "%PatientID/%StudyInstanceUID/%Modality_%SeriesInstanceUID"
TOLERANCE: Final = 0.01  # of the size of a series in the index, which is rounded
SHOWN: Final = 5  # faults that a message names


def fetch(
    name: str, root: Path | None = None, *, patients: int | None = None, yes: bool = False
) -> None:
    """Fetch a public set into its cohort's folder, or say how to get one that is given by hand.

    What is there already is kept, and verified with the rest.

    Args:
        name: the cohort, or the short name of its set.
        root: the folder that holds, or will hold, the cohort's folder; default MAMMOSTUDY_DATA.
        patients: the images of so many patients, the first ones by name; None for all.
        yes: do not ask before it starts.

    Raises:
        MissingDataError: no data folder is named.
        DataError: a file could not be fetched or is not whole, the disk is too small, the extra
            ``download`` is not installed, or nobody said yes.
    """
    check_name(name)
    cohort = ARCHIVED.get(name, name)
    if not describe(cohort).built:
        known = ", ".join(other for other in cohort_names() if describe(other).built)
        print(f"{name}: no public set, so there is nothing to fetch (sets: {known})")
        return
    folder = _folder(cohort, root)
    descriptor = read_descriptor(cohort)
    further = descriptor.model_extra or {}
    wanted = further.get("fetch", {})
    print(f"{descriptor.title} -> {folder}\n  licence: {descriptor.licence}")
    for work in descriptor.citation:
        print(f"  cite: {work.text.strip()}" + (f", doi {work.doi}" if work.doi else ""))
    if wanted:
        _fetch(folder, wanted, patients, yes)
    steps = further.get("steps") or [f"run `mammostudy data build {cohort} --root {folder.parent}`"]
    print("what is left to do:")
    for number, step in enumerate(steps, start=1):
        print(f"  {number}. " + step.format(folder=folder, root=folder.parent))


def _fetch(folder: Path, wanted: dict[str, Any], patients: int | None, yes: bool) -> None:
    """Fetch tables and images, after asking."""
    client, series = None, pd.DataFrame()
    if "images" in wanted:
        client = _library("idc_index").IDCClient()
        series = select(client.index, wanted["images"], patients)
        size = series["series_size_MB"].sum() / 1000
        print(f"  images: {series['instanceCount'].sum():,} files, {size:.1f} GB")
    _confirm(yes)
    for table in wanted.get("tables", ()):
        _fetch_table(folder, table)
    if client is not None:
        _transfer(client, folder, series)


def _folder(cohort: str, root: Path | None) -> Path:
    base = root.expanduser() if root is not None else data_root()
    if base is None:
        msg = f"cohort {cohort!r}: no data folder is set; name one with --root or MAMMOSTUDY_DATA"
        raise MissingDataError(msg)
    try:
        return find_folder(cohort, base).resolve()
    except MissingDataError:
        return (base / cohort).resolve()


def _library(name: str) -> Any:
    """Import a package of the extra ``download``; the commands that fetch nothing need none."""
    from importlib import import_module

    try:
        return import_module(name)
    except ImportError:
        msg = f"fetching needs the package {name}; run: pip install -e '.[download]'"
        raise DataError(msg) from None


def _confirm(yes: bool) -> None:
    if yes:
        return
    if not sys.stdin.isatty():
        msg = "nothing was fetched: nobody can be asked here; say --yes"
        raise DataError(msg)
    if input("Fetch it now? [y/N] ").strip().lower() not in ("y", "yes"):
        msg = "nothing was fetched, as nobody said yes"
        raise DataError(msg)


def select(index: pd.DataFrame, images: dict[str, str], patients: int | None) -> pd.DataFrame:
    """Return the original series of a collection in the index of the Imaging Data Commons.

    Args:
        index: a row a series.
        images: ``collection``; ``patient``, a pattern of the patient in the column PatientID; and
            ``starts``, what that column starts with, where a part of the collection is read.
        patients: the first ones by name; None for all.

    Raises:
        DataError: the index has no such series.
    """
    rows = index[(index["collection_id"] == images["collection"])]
    rows = rows[rows["analysis_result_id"].isna()]
    rows = rows[rows["PatientID"].str.startswith(images.get("starts", ""))]
    people = rows["PatientID"].str.extract(f"({images['patient']})")[0]
    if rows.empty or people.isna().any():
        msg = f"collection {images['collection']!r}: not as expected in the index of idc-index"
        raise DataError(msg)
    return rows[people.isin(sorted(people.unique())[:patients])].sort_values("SeriesInstanceUID")


def _transfer(client: Any, folder: Path, series: pd.DataFrame) -> None:
    """Download series and verify every file of them."""
    try:
        client.download_from_selection(
            str(folder),
            seriesInstanceUID=series["SeriesInstanceUID"].tolist(),
            dirTemplate=LAYOUT,
            use_s5cmd_sync=True,
        )
    except Exception as error:  # of the client, of its program s5cmd, of the disk
        msg = f"{folder}: the images could not be fetched ({error}); run the same command again"
        raise DataError(msg) from None
    faults = verify(folder, series)
    if faults:
        listed = "\n  ".join(faults[:SHOWN])
        msg = f"{folder}: {len(faults)} series are not whole; remove what is named and run the same"
        raise DataError(f"{msg} command again:\n  {listed}")
    print(f"  {len(series):,} series fetched and verified")


def verify(folder: Path, series: pd.DataFrame) -> list[str]:
    """Return what is wrong with each fetched series: number of files, size, or a damaged one."""
    faults = []
    for _, row in tqdm(series.iterrows(), "verifying", total=len(series)):
        place = folder / row["PatientID"] / row["StudyInstanceUID"]
        place /= f"{row['Modality']}_{row['SeriesInstanceUID']}"
        files = sorted(place.glob("*.dcm"))
        size = sum(path.stat().st_size for path in files) / 1e6
        if len(files) != row["instanceCount"]:
            faults.append(f"{place}: {len(files)} files, the index has {row['instanceCount']}")
        elif abs(size - row["series_size_MB"]) > TOLERANCE * row["series_size_MB"]:
            faults.append(f"{place}: {size:.2f} MB, the index has {row['series_size_MB']:.2f}")
        else:
            try:
                for path in files:
                    look(folder, path)
            except DataError as error:
                faults.append(str(error))
    return faults


def _fetch_table(folder: Path, table: dict[str, Any]) -> None:
    """Fetch a table from the first address that gives it, and check that it is that table."""
    path = folder / table["file"]
    there, reasons = path.is_file(), []
    for address in table["addresses"]:
        try:
            _library("pooch").retrieve(address, known_hash=None, fname=path.name, path=folder)
            rows = read_table(path)
            if len(rows) == table.get("rows", len(rows)):
                print(f"  {path.name}: fetched, {len(rows):,} rows")
                return
            reasons.append(f"{address}: {len(rows):,} rows, not {table['rows']:,}")
        except DataError as error:
            reasons.append(f"{address}: {error}")
        except (OSError, ValueError) as error:  # of requests and pooch
            reasons.append(f"{address}: {type(error).__name__}")
        if not there:
            path.unlink(missing_ok=True)
    msg = f"{path}: not fetched ({'; '.join(reasons)}); download it from the set's page by hand"
    raise DataError(msg)
