"""Hostile manifests and JSON lines: one error of ours each, soon, in little memory, no crash."""

from __future__ import annotations

import json
import time
import tracemalloc
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest

from mammostudy.data import row_files
from mammostudy.data.load import load_cohort
from mammostudy.data.sources.cdd_cesm_contours import read_contours
from mammostudy.errors import DataError

pytestmark = pytest.mark.usefixtures("own_store")
SECONDS, MEMORY = 2.0, 1 << 30
DEEP = "[" * 100_000 + "]" * 100_000


@pytest.fixture
def cohort(tmp_path: Path, write_cohort: Callable[..., Path]) -> Path:
    return write_cohort(tmp_path, patients=2)


def cell(column: str, value: object, case: str = "P1_MLO_1") -> Callable[[Path], None]:
    """Put a value into one cell of the manifest."""

    def change(folder: Path) -> None:
        path = folder / "manifest.csv"
        table = pd.read_csv(path, dtype=object, keep_default_na=False)
        assert (table["case"] == case).sum() == 1
        table.loc[table["case"] == case, column] = value
        table.to_csv(path, index=False)

    return change


def appended(text: str) -> Callable[[Path], None]:
    def change(folder: Path) -> None:
        with (folder / "manifest.csv").open("a") as file:
            file.write(text)

    return change


def linked(folder: Path) -> None:
    path = folder / "images" / "P1_MLO.png"
    path.rename(folder.parent / "secret.png")
    path.symlink_to(folder.parent / "secret.png")


MANIFESTS: dict[str, Callable[[Path], None]] = {
    "nested outline": cell("outline", DEEP),
    "outline far out": cell("outline", "[[1e308,1],[2e307,2],[1e308,9]]"),
    "outline of long numbers": cell("outline", f"[[{'9' * 5000},1],[2,2],[3,3]]"),
    "absurd size": cell("height", "9" * 40),
    "large size": cell("height", 2_000_000_000),
    "box of long numbers": cell("x_max", "9" * 5000),
    "climbing path": cell("image", "../" * 500 + "etc/passwd"),
    "absolute path": cell("mask", "/dev/zero", "P1_CC_1"),
    "endless device": cell("image", "/dev/zero"),
    "link that leads out": linked,
    "quote without end": appended('"' + "x" * 10_000_000),
    "cells without end": appended("," * 5_000_000),
    "zero bytes": appended("\0" * 1_000_000),
}


def check_refused(read: Callable[[], object], name: str) -> None:
    tracemalloc.start()
    try:
        started = time.process_time()
        with pytest.raises(DataError) as caught:
            read()
        assert time.process_time() - started < SECONDS
        assert tracemalloc.get_traced_memory()[1] < MEMORY
        assert name in str(caught.value)
        assert len(str(caught.value)) < 20_000
    finally:
        tracemalloc.stop()


def everything(root: Path) -> None:
    for sample in load_cohort("tiny", root):
        assert sample.mask.any()


@pytest.mark.parametrize("name", MANIFESTS)
def test_a_hostile_manifest_is_refused(name: str, cohort: Path) -> None:
    everything(cohort.parent)  # control
    MANIFESTS[name](cohort)
    check_refused(lambda: everything(cohort.parent), "tiny")


def test_without_its_guard_a_link_leads_out(cohort: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    MANIFESTS["link that leads out"](cohort)
    monkeypatch.setattr(row_files, "inside", lambda root, name, what="": root / name)
    with pytest.raises(pytest.fail.Exception, match="DID NOT RAISE"):
        check_refused(lambda: everything(cohort.parent), "tiny")


def slow() -> None:
    end = time.process_time() + 0.2
    while time.process_time() < end:
        pass
    raise DataError("tiny")


def large() -> None:
    content = bytearray(MEMORY + 1)  # zeros that are not touched cost no memory
    raise DataError(f"tiny {len(content)}")


def long() -> None:
    raise DataError("tiny" * 9000)


def test_the_limits_are_looked_at(monkeypatch: pytest.MonkeyPatch) -> None:
    for read in (large, long):
        with pytest.raises(AssertionError):
            check_refused(read, "tiny")
    monkeypatch.setitem(globals(), "SECONDS", 0.05)
    with pytest.raises(AssertionError):
        check_refused(slow, "tiny")


def contour(**fields: object) -> str:
    drawn = {"name": "circle", "cx": 80, "cy": 90, "r": 12}
    row = {"image": "P1_L_DM_CC", "patient": 1, "type": "DM", "view": "CC", "region": 0,
           "mass_shape": "round", "pathology": "Benign", "only_mass_findings": True,
           "geometry": drawn}  # fmt: skip
    return json.dumps(row | fields)


LINES = {
    "nested": DEEP,
    "nested geometry": contour()[:-1] + f', "geometry": {DEEP}}}',
    "long number": contour()[:-1] + f', "region": {"9" * 5000}}}',
    "infinite radius": contour()[:-1] + ', "geometry": {"name": "circle", "cx": 1, "cy": 1, '
    '"r": 1e400}}',
    "no JSON": "x" * 10_000_000,
    "a list": "[1, 2]",
    "zero bytes": "\0" * 1000,
}


@pytest.mark.parametrize("name", LINES)
def test_a_hostile_line_is_refused(name: str, tmp_path: Path) -> None:
    path = tmp_path / "contours.jsonl"
    path.write_text(contour() + "\n")
    assert len(read_contours("cdd-cesm-contours", tmp_path, "DM")) == 1  # control
    path.write_text(contour() + "\n" + LINES[name] + "\n")
    check_refused(lambda: read_contours("cdd-cesm-contours", tmp_path, "DM"), "contours.jsonl")
