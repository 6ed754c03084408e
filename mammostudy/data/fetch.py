"""Fetch a public set from its archive, or say how to get it.

Where a set is comes from its descriptor (``data_manifests/*.yaml``): ``fetch.tables`` are files of
the archive's web site, ``fetch.images`` a collection of the Imaging Data Commons, and ``steps``
tell what no program can fetch. All is checked afterwards, for the transfer compares no hash.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from importlib import import_module
from pathlib import Path
from typing import Any, Final

import pandas as pd
from tqdm.auto import tqdm

from mammostudy.data.descriptors import cohort_names, data_sheets, describe
from mammostudy.data.load import find_folder
from mammostudy.data.sources.files import look
from mammostudy.data.tables import read_table
from mammostudy.errors import DataError, MissingDataError
from mammostudy.paths import data_root, search

ARCHIVED: Final = {"cdd-cesm": "cdd-cesm-archive"}  # short names of sets of another layout
LAYOUT: Final = "%PatientID/%StudyInstanceUID/%Modality_%SeriesInstanceUID"
TOLERANCE: Final = 0.01  # of the size of a series in the index, which is rounded


def fetch(
    name: str, root: Path | None = None, *, patients: int | None = None, yes: bool = False
) -> None:
    """Fetch a public set into its cohort's folder below ``root``, or say how to get it by hand.

    What is there already is kept, and verified with the rest. Images are those of so many
    ``patients``, the first ones by name; ``yes`` does not ask before it starts.
    """
    cohort = ARCHIVED.get(name, name)
    if not describe(cohort).built:
        known = ", ".join(other for other in cohort_names() if describe(other).built)
        sheet = data_sheets().get(describe(cohort).descriptor or "")
        print(f"{name}: {sheet.get if sheet else 'no public set'} (sets to fetch: {known})")
        return
    base = root.expanduser() if root is not None else data_root()
    if base is None:
        raise MissingDataError(f"cohort {cohort!r}: name a data folder: --root or MAMMOSTUDY_DATA")
    try:
        folder = find_folder(cohort, base).resolve()
    except MissingDataError:
        folder = (base / cohort).resolve()
    descriptor = data_sheets()[cohort]
    further = descriptor.model_extra or {}
    print(f"{descriptor.title} -> {folder}\n  licence: {descriptor.licence}")
    for work in descriptor.citation:
        print(f"  cite: {work.text.strip()}" + (f", doi {work.doi}" if work.doi else ""))
    if "fetch" in further:
        _fetch(folder, further["fetch"], patients, yes)
    build = f"run `mammostudy data build {cohort} --root {folder.parent}`"
    print("what is left to do:")
    for number, step in enumerate(further.get("steps", [build]), start=1):
        print(f"  {number}. " + step.format(folder=folder, root=folder.parent))


def _fetch(folder: Path, wanted: dict[str, Any], patients: int | None, yes: bool) -> None:
    """Fetch tables and images, after asking."""
    try:
        idc_index, pooch = import_module("idc_index"), import_module("pooch")
    except ImportError as error:
        mend = "run: pip install -e '.[download]'"
        raise DataError(f"fetching needs the package {error.name}; {mend}") from None
    client, series = None, pd.DataFrame()
    if "images" in wanted:
        client = idc_index.IDCClient()
        series = select(client.index, wanted["images"], patients)
        size = series["series_size_MB"].sum() / 1000
        print(f"  images: {series['instanceCount'].sum():,} files, {size:.1f} GB")
    if not yes and sys.stdin.isatty():
        yes = input("Fetch it now? [y/N] ").strip().lower() in ("y", "yes")
    if not yes:
        raise DataError("nothing was fetched, as nobody said yes; say --yes to start unasked")
    for table in wanted.get("tables", ()):
        _fetch_table(pooch, folder, table)
    if client is not None:
        _fetch_series(client, folder, series)


def select(index: pd.DataFrame, images: dict[str, str], patients: int | None) -> pd.DataFrame:
    """Return the original series of a collection in the index of the Imaging Data Commons.

    In PatientID ``patient`` is a pattern, and ``starts`` what the part starts with that is read.
    """
    here = (index["collection_id"] == images["collection"]) & index["analysis_result_id"].isna()
    rows = index[here & index["PatientID"].str.startswith(images.get("starts", ""))]
    people = rows["PatientID"].str.extract(f"({images['patient']})")[0]
    if rows.empty or people.isna().any():
        raise DataError(f"collection {images['collection']!r}: not as expected in idc-index")
    return rows[people.isin(sorted(people.unique())[:patients])].sort_values("SeriesInstanceUID")


def _fetch_series(client: Any, folder: Path, series: pd.DataFrame) -> None:
    """Download series and verify every file of them."""
    wanted = series["SeriesInstanceUID"].tolist()
    try:
        client.download_from_selection(
            str(folder), seriesInstanceUID=wanted, dirTemplate=LAYOUT, use_s5cmd_sync=True
        )
    except Exception as error:  # of the client, of its program s5cmd, of the disk
        raise DataError(f"{folder}: not fetched ({error}); run the same command again") from None
    rows = tqdm(series.to_dict("records"), "verifying")
    if faults := [fault for row in rows if (fault := _fault(folder, row))]:
        listed = "\n  ".join(faults[:5])
        mend = "remove what is named and run the same command again"
        raise DataError(f"{folder}: {len(faults)} series are not whole; {mend}:\n  {listed}")
    print(f"  {len(series):,} series fetched and verified")


def _fault(folder: Path, row: Mapping[Any, Any]) -> str | None:
    """Return what is wrong with a series: its number of files, its size, or a damaged one."""
    place = folder / row["PatientID"] / row["StudyInstanceUID"]
    place /= f"{row['Modality']}_{row['SeriesInstanceUID']}"
    files = search(place, "*.dcm")
    size, told = sum(path.stat().st_size for path in files) / 1e6, row["series_size_MB"]
    if len(files) != row["instanceCount"] or abs(size - told) > TOLERANCE * told:
        expected = f"the index has {row['instanceCount']} files, {told:.2f} MB"
        return f"{place}: {len(files)} files, {size:.2f} MB; {expected}"
    try:
        for path in files:
            look(folder, path)
    except DataError as error:
        return str(error)
    return None


def _fetch_table(pooch: Any, folder: Path, table: dict[str, Any]) -> None:
    """Fetch a table from the first address that gives it, and check that it is that table."""
    path = folder / table["file"]
    there, reasons = path.is_file(), []
    for address in table["addresses"]:
        try:
            pooch.retrieve(address, known_hash=None, fname=path.name, path=folder)
            rows = len(read_table(path))
            if rows == table.get("rows", rows):
                print(f"  {path.name}: fetched, {rows:,} rows")
                return
            reasons.append(f"{address}: {rows:,} rows, not {table['rows']:,}")
        except (DataError, OSError, ValueError) as error:  # of requests and pooch
            reasons.append(f"{address}: {error}")
        if not there:
            path.unlink(missing_ok=True)
    raise DataError(f"{path}: not fetched ({'; '.join(reasons)}); download it by hand")
