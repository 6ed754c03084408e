"""The archive's own index of its series, which its client reads too; no network is needed for it.

The index is the package ``idc-index-data`` (Imaging Data Commons, MIT) of the extra ``download``.
Series keep their name for ever, so what is listed by one version of it is still there later.
"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from mammostudy.data.fetching.recipe import Images
from mammostudy.data.fetching.wanted import safe_path
from mammostudy.errors import DataError

EXTRA: Final = "pip install -e '.[download]'"
MOST_FILES: Final = 10_000  # of a series
_BUCKET: Final = re.compile(r"[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]", re.ASCII)
_UUID: Final = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.ASCII)
_QUERY: Final = """
    SELECT PatientID, StudyInstanceUID, SeriesInstanceUID, Modality, aws_bucket, crdc_series_uuid,
           instanceCount, series_size_MB
    FROM read_parquet(?)
    WHERE collection_id = ? AND analysis_result_id IS NULL AND starts_with(PatientID, ?)
    ORDER BY PatientID, StudyInstanceUID, SeriesInstanceUID
"""


@dataclass(frozen=True)
class Series:
    """A series of DICOM files.

    Attributes:
        patient: the set's public pseudonym.
        folder: posix path from the cohort's folder, as the archive's client lays it out.
        bucket: that holds it.
        key: its folder in the bucket.
        files: their number.
        size: of all of them in bytes.
    """

    patient: str
    folder: str
    bucket: str
    key: str
    files: int
    size: int


def list_series(
    images: Images, patients: int | None = None, path: Path | None = None
) -> list[Series]:
    """List the series of a collection, in the order of their patients.

    Args:
        images: collection and part of it.
        patients: how many patients, the first ones by name; all where None.
        path: the index as a Parquet file; default the installed one.

    Raises:
        DataError: the extra is not installed, or the index has not what is looked for.
    """
    rows = _query(path or _installed(), images)
    series = [_series(images, row) for row in rows]
    if not series:
        msg = f"collection {images.collection!r}: not in the archive's index; {EXTRA}"
        raise DataError(msg)
    if patients is None:
        return series
    first = set(sorted({one.patient for one in series})[:patients])
    return [one for one in series if one.patient in first]


def _installed() -> Path:
    try:
        import idc_index_data
    except (ImportError, FileNotFoundError):
        path = None
    else:
        path = idc_index_data.IDC_INDEX_PARQUET_FILEPATH
    if path is None:
        msg = f"the archive's index (package idc-index-data) is not installed; run: {EXTRA}"
        raise DataError(msg)
    return Path(path)


def _query(path: Path, images: Images) -> list[Sequence[object]]:
    try:
        import duckdb
    except ImportError:
        msg = f"reading the archive's index needs the package duckdb; run: {EXTRA}"
        raise DataError(msg) from None
    try:
        with duckdb.connect(config={"threads": 1}) as base:
            values = [str(path), images.collection, images.starts]
            return list(base.execute(_QUERY, values).fetchall())
    except duckdb.Error:
        msg = f"{path}: cannot be read as the archive's index; install it anew: {EXTRA}"
        raise DataError(msg) from None


def _series(images: Images, row: Sequence[object]) -> Series:
    name, study, uid, modality, bucket, key = (str(value or "") for value in row[:6])
    count, megabytes = row[6:]
    found = re.search(images.patient, name)
    if (
        found is None
        or not (modality and _BUCKET.fullmatch(bucket) and _UUID.fullmatch(key))
        or not (isinstance(count, int) and 0 < count <= MOST_FILES)
        or not (isinstance(megabytes, float) and 0 <= megabytes < math.inf)
    ):
        msg = f"series {uid[:70]!a} of the archive's index is ill-formed; install it anew: {EXTRA}"
        raise DataError(msg)
    folder = safe_path(name, study, f"{modality}_{uid}")
    return Series(found[0], folder, bucket, key, count, round(megabytes * 1e6))
