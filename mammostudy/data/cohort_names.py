"""The cohorts known by name, and the folder that each is read from."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Final

from mammostudy.data.descriptors import cohort_names
from mammostudy.errors import DataError, MissingDataError
from mammostudy.paths import data_root

PHANTOMS: Final = ("phantom", "phantom-null", "phantom-shapes")
IMAGED: Final = ("cdd-cesm", "cdd-cesm-cm")  # both in the folder cdd-cesm
VIEWS: Final = "cdd-cesm-views"  # cdd-cesm and its views without a mass, in the same folder
OUTLINED: Final = ("cdd-cesm-contours", "cdd-cesm-contours-cm")  # in the same folder
SOURCES: Final = {
    "inbreast": "inbreast",
    "cbis-ddsm": "cbis_ddsm",
    "ddsm": "ddsm",
    "cmmd": "cmmd",
    "cdd-cesm-archive": "cdd_cesm_archive",
}
"""Cohorts read from the layout that their owners publish, and their module in ``sources``."""
PRIVATE_TABLE: Final = "cohort.csv"
"""The table of a private cohort (:mod:`mammostudy.data.sources.folder`)."""
_MARKS: Final = {
    "inbreast": ("AllDICOMs", "INbreast*/AllDICOMs"),
    "cbis-ddsm": ("mass_case_description_*.csv",),
    "ddsm": ("cases", "*.ics", "*/*.ics"),
    "cmmd": ("CMMD_clinicaldata_revision.*",),
    "cdd-cesm-archive": ("Radiology_hand_drawn_segmentations*.csv",),
}
"""What tells the cohort's own folder from the folder above it."""


def module_of(name: str, folder: Path) -> str | None:
    """Return the module in ``sources`` that builds a cohort's manifest for the local store.

    None where the cohort is made or read in another way: phantoms, the development part of
    CDD-CESM, and folders with a ``manifest.csv`` of their own.
    """
    if name in SOURCES:
        return SOURCES[name]
    return "folder" if name not in cohort_names() and _is_private(folder) else None


def _is_private(folder: Path) -> bool:
    return (folder / PRIVATE_TABLE).is_file() and not (folder / "manifest.csv").is_file()


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
    base = Path(root).expanduser() if root is not None else data_root()
    folder_name = "cdd-cesm" if name in (*IMAGED, VIEWS, *OUTLINED) else name
    known = f"known cohorts: {', '.join(cohort_names())}"
    if base is None:
        msg = (
            f"cohort {name!r}: no data folder is set; name the folder that holds "
            f"`{folder_name}/` with --root or MAMMOSTUDY_DATA ({known})"
        )
        raise MissingDataError(msg)
    folder = base / folder_name
    if folder.is_dir():
        return folder
    marks = _MARKS.get(name, (PRIVATE_TABLE,) if name == base.resolve().name else ())
    if base.is_dir() and any(next(base.glob(mark), None) for mark in marks):
        return base
    msg = (
        f"{folder}: no such folder for cohort {name!r}; set --root or MAMMOSTUDY_DATA to the "
        f"folder that holds it ({known})"
    )
    raise MissingDataError(msg)
