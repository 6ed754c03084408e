"""Count the cohorts that lie at hand, and write the counts to commit.

    python tools/count_cohorts.py

``results/cohort-counts/<descriptor>.json`` holds what was counted and the hashes of the files it
was counted on: aggregates, never a row of the data. The pages read these files, so that they say
the same where the data are not at hand. What is counted stands in ``tools/counts.csv``.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any, Final

import pandas as pd

from mammostudy.data.manifest import FILENAME, read_manifest
from mammostudy.data.sources import cbis_ddsm, cdd_cesm, cdd_cesm_contours, cmmd, phantom
from mammostudy.errors import MissingDataError
from mammostudy.paths import data_root, write_atomically
from mammostudy.study.cohorts import counts_path

VERSION: Final = 1
"""Recipe version: raised by hand when the same files would be counted otherwise."""
Counts = dict[str, Any]
Read = tuple[pd.DataFrame, Counts]
"""The rows that the table of counts asks about, and the counts that no group of rows gives."""


def tally(values: pd.Series) -> dict[str, int]:
    """Count the values of a column, most first, missing ones as ``unknown``."""
    known = values.astype(object).where(values.notna() & (values != ""), "unknown")
    return {str(value): int(n) for value, n in known.value_counts().items()}


def _cbis_ddsm(folder: Path) -> Read:
    masses = cbis_ddsm.read_masses(folder)
    shapes = masses["shape_words"].map(lambda words: cbis_ddsm.shape_of(words)[0])
    named = {
        name.replace("_case_description", "").removesuffix("_set.csv"): pd.read_csv(folder / name)
        for name in _TABLES
    }
    rows = {name: table["patient_id"].value_counts() for name, table in named.items()}
    people = pd.DataFrame(rows).fillna(0)
    both = {
        f"{one}_and_{other}": int(((people[one] > 0) & (people[other] > 0)).sum())
        for one, other in _CROSSING
    }
    counts = {"patients_of_all_tables": len(people), "patients_in_train_and_test": both}
    return masses.assign(shape=shapes), counts


_CROSSING: Final = (
    ("mass_train", "mass_test"),
    ("mass_train", "calc_test"),
    ("mass_test", "calc_train"),
    ("calc_train", "calc_test"),
)


def _boxes(folder: Path) -> Read:
    rows = read_manifest(folder / FILENAME)
    breasts = rows.groupby(["patient", "side"])
    pairs = breasts.filter(lambda one: sorted(one["view"]) == ["CC", "MLO"])
    told = pairs.groupby(["patient", "side"])["shape"].agg(["count", "nunique"])
    two = told[told["count"] == 2]
    counts = {
        "breasts_with_one_box_in_each_view": len(told),
        "of_them_with_two_shapes": len(two),
        "of_them_with_equal_shapes": int((two["nunique"] == 1).sum()),
    }
    return rows, counts


def _cdd_cesm_contours(folder: Path) -> Read:
    kept, contours = [], 0
    for kind in ("DM", "CM"):
        cohort = cdd_cesm_contours.read_contours(f"contours {kind}", folder, kind)
        kept.append(cohort.masses.assign(kind=kind))
        contours += len(cohort) + sum(cohort.dropped.values())
    return pd.concat(kept), {"contours": contours}


def _cdd_cesm_archive(folder: Path) -> Read:
    lines = (folder / "contours.jsonl").read_text(encoding="utf-8").splitlines()
    tools = tally(pd.Series([json.loads(line)["geometry"]["name"] for line in lines]))
    counts = {"outlines_of_mass_images": sum(tools.values()), "tools_of_mass_images": tools}
    return pd.DataFrame(), counts


def _phantom(_: Path, patients: int, seed: int) -> Read:
    rows = [
        (one.site, one.pathology, one.subtype, one.masses[0].shape, len(one.masses))
        for one in phantom.draw_patients(patients, seed)
    ]
    return pd.DataFrame(rows, columns=["site", "pathology", "subtype", "shape", "masses"]), {}


_TABLES: Final = tuple(
    f"{kind}_case_description_{part}_set.csv"
    for kind in ("mass", "calc")
    for part in ("train", "test")
)
COUNTED: Final[dict[str, tuple[str | None, tuple[str, ...], Callable[[Path], Read]]]] = {
    "cbis-ddsm": ("cbis-ddsm-tables", _TABLES, _cbis_ddsm),
    "cbis-ddsm-800": ("cbis-ddsm-800", (FILENAME,), _boxes),
    "cdd-cesm": ("cdd-cesm", ("images.csv",), lambda at: (cdd_cesm.read_images(at), {})),
    "cdd-cesm-archive": ("cdd-cesm", ("contours.jsonl",), _cdd_cesm_archive),
    "cdd-cesm-contours": ("cdd-cesm", ("contours.jsonl",), _cdd_cesm_contours),
    "cmmd": (
        "cmmd-table",
        ("CMMD_clinicaldata_revision.csv",),
        lambda at: (cmmd.read_breasts(at), {}),
    ),
    "phantom": (None, (), partial(_phantom, patients=64, seed=2020)),
    "phantom-shapes": (None, (), partial(_phantom, patients=375, seed=2021)),
}
"""By descriptor: folder below the data folder, the files counted on, and how they are read."""


def count(name: str) -> dict[str, Any]:
    """Count a cohort on what lies at hand.

    What is committed: version, descriptor, made_of (file -> SHA-256), counts (by the names of the
    descriptor's ``expected``), further (counts by value that no descriptor expects).
    """
    place, files, read = COUNTED[name]
    folder = _folder(place, files) if place else Path()
    rows, others = read(folder)
    counts: Counts = {}
    further: Counts = {}
    table = pd.read_csv(Path(__file__).with_name("counts.csv"), keep_default_na=False)
    for line in table[table["descriptor"] == name].to_dict("records"):
        chosen = rows.query(line["rows"]) if line["rows"] else rows
        if line["how"] == "further":
            by = {column: tally(chosen[column]) for column in line["column"].split()}
            further = {"counted in": line["count"], "by": by}
        else:
            counts[line["count"]] = _count(chosen, line["how"], line["column"])
    made_of = {file: hashlib.sha256((folder / file).read_bytes()).hexdigest() for file in files}
    about = {"version": VERSION, "descriptor": name, "made_of": made_of}
    return about | {"counts": counts | others, "further": further}


def _count(rows: pd.DataFrame, how: str, column: str) -> int | dict[str, int]:
    """Count rows, different values of a column, the sum of one, or how often each value stands."""
    if how == "tally":
        return tally(rows[column])
    if how == "rows":
        return len(rows)
    return int(rows[column].nunique() if how == "different" else rows[column].sum())


def _folder(place: str, files: tuple[str, ...]) -> Path:
    folder = (data_root() or Path()) / place
    absent = [file for file in files if data_root() is None or not (folder / file).is_file()]
    if absent:
        msg = f"{place}/{absent[0]}: missing; set MAMMOSTUDY_DATA to the folder that holds {place}/"
        raise MissingDataError(msg)
    return folder


def write_counts() -> None:
    """Count every cohort that lies at hand and write the files to commit."""
    for name in COUNTED:
        try:
            text = json.dumps(count(name), indent=1) + "\n"
        except MissingDataError as error:
            print(f"{name}: left as it is: {error}")
            continue
        write_atomically(counts_path(name), partial(Path.write_text, data=text, encoding="utf-8"))
        print(f"{name}: {counts_path(name)}")


if __name__ == "__main__":
    write_counts()
