"""The counts of the descriptors, confirmed on what lies at hand, as committed measurements.

``results/cohort-counts/<descriptor>.json`` holds what was counted and the hashes of the files it
was counted on: aggregates, never a row of the data. The pages read these files, so that they say
the same where the data are not at hand. ``python -m mammostudy.study.cohort_counts`` counts anew.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any, Final

import pandas as pd

from mammostudy.data.cache import write_atomically
from mammostudy.data.manifest import SUBTYPES
from mammostudy.errors import DataError, MissingDataError
from mammostudy.paths import data_root, results_root

VERSION: Final = 1
"""Recipe version: raised by hand when the same files would be counted otherwise."""
PLACE: Final = "cohort-counts"
Counts = dict[str, Any]


def tally(values: pd.Series) -> dict[str, int]:
    """Count the values of a column, most first, missing ones as ``unknown``."""
    known = values.astype(object).where(values.notna() & (values != ""), "unknown")
    return {str(value): int(n) for value, n in known.value_counts().items()}


def _cbis_ddsm(folder: Path) -> tuple[Counts, Counts]:
    from mammostudy.data.sources import cbis_ddsm

    tables = cbis_ddsm.read_tables(folder)
    shapes = tables.masses["shape_words"].map(lambda words: cbis_ddsm.shape_of(words)[0])
    masses = tables.masses.assign(shape=shapes)
    counts: Counts = {}
    for part in cbis_ddsm.PARTS:
        rows = masses[masses["part"] == part]
        counts[f"mass_rows_{part}"] = len(rows)
        counts[f"mass_patients_{part}"] = int(rows["patient"].nunique())
        counts[f"images_{part}"] = int(rows["image"].nunique())
        counts[f"pure_shapes_{part}"] = tally(rows["shape"].dropna())
    counts["rows_of_pure_shape"] = int(masses["shape"].notna().sum())
    counts["rows_without_pure_shape"] = int(masses["shape"].isna().sum())
    people = cbis_ddsm.patients(tables)
    counts["patients_of_all_tables"] = len(people)
    counts["patients_in_train_and_test"] = {
        f"{one}_and_{other}".replace("calcification", "calc"): int(
            ((people[one] > 0) & (people[other] > 0)).sum()
        )
        for one, other in _CROSSING
    }
    by = {
        name: tally(masses[name])
        for name in ("part", "view", "side", "density", "pathology", "shape")
    }
    return counts, {"counted in": "masses and views", "by": by}


_CROSSING: Final = (
    ("mass_train", "mass_test"),
    ("mass_train", "calcification_test"),
    ("mass_test", "calcification_train"),
    ("calcification_train", "calcification_test"),
)


def _cmmd(folder: Path) -> tuple[Counts, Counts]:
    from mammostudy.data.sources.cmmd import read_breasts

    breasts = read_breasts(folder)
    subtypes = breasts["subtype"].value_counts()
    counts: Counts = {
        "breasts": len(breasts),
        "patients": int(breasts["patient"].nunique()),
        "images_of_the_table": int(breasts["images"].sum()),
        "subtypes": {name: int(subtypes[name]) for name in SUBTYPES},
        "pathology": tally(breasts["pathology"]),
        "abnormality": tally(breasts["abnormality"]),
    }
    by = {name: tally(breasts[name]) for name in ("side", "pathology", "abnormality", "subtype")}
    return counts, {"counted in": "breasts", "by": by}


def _cdd_cesm(folder: Path) -> tuple[Counts, Counts]:
    from mammostudy.data.sources.cdd_cesm import read_images

    images = read_images(folder)
    counts: Counts = {
        "images_dm": int((images["modality"] == "DM").sum()),
        "images_cm": int((images["modality"] == "CM").sum()),
        "patients": int(images["patient"].nunique()),
    }
    low = images[images["modality"] == "DM"]
    by = {name: tally(low[name]) for name in ("view", "side", "density", "pathology")}
    return counts, {"counted in": "low-energy images", "by": by}


def _cdd_cesm_contours(folder: Path) -> tuple[Counts, Counts]:
    from mammostudy.data.sources.cdd_cesm_contours import read_contours

    read = {kind: read_contours(f"contours {kind}", folder, kind) for kind in ("DM", "CM")}
    counts: Counts = {
        "contours": sum(len(each) + sum(each.dropped.values()) for each in read.values())
    }
    for kind, cohort in read.items():
        rows, end = cohort.masses, kind.lower()
        counts[f"kept_{end}"] = len(rows)
        counts[f"patients_{end}"] = int(rows["patient"].nunique())
        counts[f"shapes_{end}"] = tally(rows["shape"])
        counts[f"tools_{end}"] = tally(rows["tool"])
    low = read["DM"].masses
    counts["polygons_dm"] = tally(low.loc[low["tool"] == "polygon", "shape"])
    by = {name: tally(low[name]) for name in ("view", "side", "pathology", "shape", "tool")}
    return counts, {"counted in": "outlines on low-energy images", "by": by}


def _cdd_cesm_archive(folder: Path) -> tuple[Counts, Counts]:
    from mammostudy.data.sources.cdd_cesm_contours import count_tools

    tools = count_tools(folder)
    return {"outlines_of_mass_images": sum(tools.values()), "tools_of_mass_images": tools}, {}


def _phantom(_: Path) -> tuple[Counts, Counts]:
    from mammostudy.data.sources.phantom import draw_patients

    people = draw_patients(64, 2020)
    counts: Counts = {
        "patients": len(people),
        "patients_north": sum(p.site == "north" for p in people),
        "patients_south": sum(p.site == "south" for p in people),
        "patients_with_second_mass": sum(len(p.masses) > 1 for p in people),
    }
    return counts, {}


def _phantom_shapes(_: Path) -> tuple[Counts, Counts]:
    from mammostudy.data.sources.phantom import draw_patients

    people = draw_patients(375, 2021)
    counts: Counts = {
        "patients": len(people),
        "masses": len(people),
        "patients_north": sum(p.site == "north" for p in people),
        "patients_south": sum(p.site == "south" for p in people),
        "shapes": tally(pd.Series([p.masses[0].shape for p in people])),
        "subtypes": tally(pd.Series([p.subtype for p in people if p.subtype])),
        "benign": sum(p.pathology == "benign" for p in people),
    }
    return counts, {}


_TABLES: Final = tuple(
    f"{kind}_case_description_{part}_set.csv"
    for kind in ("mass", "calc")
    for part in ("train", "test")
)
COUNTED: Final[
    dict[str, tuple[str | None, tuple[str, ...], Callable[[Path], tuple[Counts, Counts]]]]
] = {
    "cbis-ddsm": ("cbis-ddsm-tables", _TABLES, _cbis_ddsm),
    "cdd-cesm": ("cdd-cesm", ("images.csv",), _cdd_cesm),
    "cdd-cesm-archive": ("cdd-cesm", ("contours.jsonl",), _cdd_cesm_archive),
    "cdd-cesm-contours": ("cdd-cesm", ("contours.jsonl",), _cdd_cesm_contours),
    "cmmd": ("cmmd-table", ("CMMD_clinicaldata_revision.csv",), _cmmd),
    "phantom": (None, (), _phantom),
    "phantom-shapes": (None, (), _phantom_shapes),
}
"""By descriptor: folder below the data folder, the files counted on, and how."""


def count(name: str) -> dict[str, Any]:
    """Count a cohort on what lies at hand.

    What is committed: version, descriptor, made_of (file -> SHA-256), counts (by the names of the
    descriptor's ``expected``), further (counts by value that no descriptor expects).
    """
    place, files, measure = COUNTED[name]
    folder = _folder(name, place)
    absent = [file for file in files if not (folder / file).is_file()]
    if absent:
        msg = (
            f"{folder / absent[0]}: missing; set MAMMOSTUDY_DATA to the folder that holds {place}/"
        )
        raise MissingDataError(msg)
    counts, further = measure(folder)
    made_of = {file: hashlib.sha256((folder / file).read_bytes()).hexdigest() for file in files}
    return {
        "version": VERSION,
        "descriptor": name,
        "made_of": made_of,
        "counts": counts,
        "further": further,
    }


def _folder(name: str, place: str | None) -> Path:
    if place is None:
        return Path()
    root = data_root()
    if root is None or not (root / place).is_dir():
        msg = f"{name}: {place}/ is not at hand; set MAMMOSTUDY_DATA to the folder that holds it"
        raise MissingDataError(msg)
    return root / place


def committed(name: str) -> Path:
    """Return where the counts of a descriptor are committed."""
    return results_root() / PLACE / f"{name}.json"


def read_counts(name: str) -> dict[str, Any] | None:
    """Read the committed counts of a descriptor; None where nothing was counted here."""
    path = committed(name)
    if not path.is_file():
        return None
    try:
        content: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        if not isinstance(content["counts"], Mapping) or content["descriptor"] != name:
            raise ValueError
    except (OSError, ValueError, KeyError, TypeError):
        msg = f"{path}: damaged; run python -m mammostudy.study.cohort_counts"
        raise DataError(msg) from None
    return content


def _write(text: str, path: Path) -> None:
    path.write_text(text, encoding="utf-8")


def write_counts() -> dict[str, str]:
    """Count every cohort that lies at hand and write the files to commit.

    By descriptor: the file written, or why none was.
    """
    said = {}
    for name in COUNTED:
        try:
            content = count(name)
        except MissingDataError as error:
            said[name] = f"left as it is: {error}"
            continue
        text = json.dumps(content, indent=1) + "\n"
        path = committed(name)
        write_atomically(path, partial(_write, text))
        said[name] = str(path)
    return said


if __name__ == "__main__":
    for descriptor, outcome in write_counts().items():
        print(f"{descriptor}: {outcome}")
