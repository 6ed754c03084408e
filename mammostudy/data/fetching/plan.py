"""What a fetch will take: files, bytes, room on the disk, time; known before anything is sent."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from mammostudy.data.fetching.bucket import wanted_of
from mammostudy.data.fetching.index import Series, list_series
from mammostudy.data.fetching.journal import Journal
from mammostudy.data.fetching.recipe import Recipe, cohort_of
from mammostudy.data.fetching.wanted import Wanted, part_of, place
from mammostudy.data.load import find_folder
from mammostudy.errors import DataError, MissingDataError
from mammostudy.paths import data_root

SPARE: Final = 1 << 26  # bytes that stay free beside a hundredth of what comes
RATES: Final = (1e6, 1e7, 1e8)  # bytes a second, for which the time is told
_UNITS: Final = ((1e12, "TB"), (1e9, "GB"), (1e6, "MB"), (1e3, "kB"))


@dataclass(frozen=True)
class Plan:
    """What is to be fetched, and where to.

    Attributes:
        cohort: the cohort that reads it.
        folder: of the cohort; made when the fetch starts.
        recipe: how it is fetched.
        series: of images, by patient.
    """

    cohort: str
    folder: Path
    recipe: Recipe
    series: tuple[Series, ...]

    @property
    def tables(self) -> list[Wanted]:
        """The tables as files to fetch."""
        return [table.wanted() for table in self.recipe.tables]

    def images(self, one: Series, journal: Journal) -> list[Wanted] | None:
        """Return the files of a series, None where they were not listed yet."""
        listing = journal.listed.get(one.key)
        if listing is None or self.recipe.images is None:
            return None
        return wanted_of(self.recipe.images.endpoint, one, listing)


@dataclass(frozen=True)
class Estimate:
    """Sizes of a fetch.

    Attributes:
        files: images of all, tables left out.
        size: of them in bytes.
        there: images that were fetched and verified before.
        there_size: bytes of them, and of parts.
        free: bytes on the disk.
    """

    files: int
    size: int
    there: int
    there_size: int
    free: int

    @property
    def left(self) -> int:
        """Bytes that are still to come."""
        return max(self.size - self.there_size, 0)

    def lines(self) -> list[str]:
        """Say it in words."""
        told = [f"images: {self.files:,} files, {amount(self.size)}"]
        if self.there_size:
            told += [f"already there: {self.there:,} files, {amount(self.there_size)}"]
        told += [f"to come: {amount(self.left)}; free on the disk: {amount(self.free)}"]
        times = ", ".join(f"{_hours(self.left / rate)} at {amount(rate)}/s" for rate in RATES)
        return [*told, f"time: about {times}"] if self.left else told

    def check_room(self, folder: Path) -> None:
        """Refuse a disk that is too small.

        Raises:
            DataError: with what is needed and what is there.
        """
        needed = self.left + self.left // 100 + SPARE
        if self.free < needed:
            msg = (
                f"{folder}: {amount(needed)} are needed and {amount(self.free)} are free; make "
                "room, choose another --root, or fetch some --patients"
            )
            raise DataError(msg)


def make_plan(
    name: str,
    recipe: Recipe,
    root: Path | None,
    patients: int | None = None,
    index: Path | None = None,
) -> Plan:
    """Find out what a cohort needs; nothing is asked of any server.

    Args:
        name: the cohort, or the short name of its set.
        recipe: how it is fetched.
        root: the folder that holds, or will hold, the cohort's folder; default MAMMOSTUDY_DATA.
        patients: fetch the images of so many patients, the first ones by name; None for all.
        index: the archive's index as a Parquet file; default the installed one.

    Raises:
        MissingDataError: no data folder is named.
        DataError: the index is not installed or has not the set.
    """
    cohort = cohort_of(name)
    base = root.expanduser() if root is not None else data_root()
    if base is None:
        msg = f"cohort {cohort!r}: no data folder is set; name one with --root or MAMMOSTUDY_DATA"
        raise MissingDataError(msg)
    try:
        folder = find_folder(cohort, base)
    except MissingDataError:
        folder = base / cohort
    series = list_series(recipe.images, patients, index) if recipe.images else []
    return Plan(cohort, folder.resolve(), recipe, tuple(series))


def estimate(plan: Plan, journal: Journal) -> Estimate:
    """Add up what a plan takes, with what its journal says is there already."""
    there, size = 0, 0
    for one in plan.series:
        for wanted in plan.images(one, journal) or []:
            if journal.holds(wanted, place(plan.folder, wanted.path)):
                there, size = there + 1, size + (wanted.size or 0)
            else:
                part = part_of(plan.folder, wanted.path)
                size += part.stat().st_size if part.is_file() else 0
    return Estimate(
        files=sum(one.files for one in plan.series),
        size=sum(one.size for one in plan.series),
        there=there,
        there_size=size,
        free=_free(plan.folder),
    )


def amount(size: float) -> str:
    """Write bytes in the units that archives count in (1 MB is a million bytes)."""
    for unit, name in _UNITS:
        if size >= unit:
            return f"{size / unit:.1f} {name}".replace(".0 ", " ")
    return f"{size:.0f} bytes"


def _hours(seconds: float) -> str:
    if seconds < 90:
        return f"{max(seconds, 1):.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"


def _free(folder: Path) -> int:
    for above in (folder, *folder.parents):
        if above.is_dir():
            return shutil.disk_usage(above).free
    return 0
