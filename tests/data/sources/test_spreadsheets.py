"""Spreadsheets: cells where they belong, and damaged or hostile files refused by name."""

from __future__ import annotations

import contextlib
import random
import time
import tracemalloc
import zipfile
from pathlib import Path

import pytest

from mammostudy.data.sources import spreadsheets
from mammostudy.data.sources.spreadsheets import sheet_as_csv
from mammostudy.errors import DataError

MAIN = "http://schemas.openxmlformats.org/spreadsheetml/2006/main"
STRINGS = f'<sst xmlns="{MAIN}"><si><t>ID1</t></si><si><r><t>a</t></r><r><t>,b</t></r></si></sst>'
MEBIBYTE = 2**20


def write(path: Path, cells: str, strings: str = STRINGS, name: str = "sheet1.xml") -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("xl/sharedStrings.xml", strings)
        sheet = f'<worksheet xmlns="{MAIN}"><sheetData>{cells}</sheetData></worksheet>'
        archive.writestr(f"xl/worksheets/{name}", sheet)
    return path


CELLS = (
    '<row r="1"><c r="A1" t="s"><v>0</v></c><c r="C1" t="inlineStr"><is><t>x</t></is></c></row>'
    '<row r="3"><c r="B3"><v>44</v></c><c r="C3" t="s"><v>1</v></c></row>'
    '<row r="4"><c r="A4" t="str"><v>end</v></c></row>'
)


def test_cells_stand_where_their_names_say(tmp_path: Path) -> None:
    path = write(tmp_path / "a.xlsx", CELLS)
    assert sheet_as_csv(path) == 'ID1,,x\n\n,44,"a,b"\nend,,\n'


def bomb(path: Path) -> Path:
    """A part of 40 MiB in a file of 40 KiB."""
    return write(path, "<row/>" + " " * 40 * MEBIBYTE)


def laughs(path: Path) -> Path:
    entities = '<!DOCTYPE x [<!ENTITY a "ha"><!ENTITY b "&a;&a;&a;&a;">]>'
    return write(
        path, CELLS, strings=f'{entities}<sst xmlns="{MAIN}"><si><t>&b;</t></si><si/></sst>'
    )


def cut(path: Path) -> Path:
    write(path, CELLS)
    path.write_bytes(path.read_bytes()[:-40])
    return path


def text(path: Path) -> Path:
    path.write_text("ID1,LeftRight\n")
    return path


HOSTILE = {
    "bomb": bomb,
    "entities": laughs,
    "cut": cut,
    "no zip": text,
    "no sheet": lambda path: write(path, CELLS, name="sheet1.txt"),
    "string not there": lambda path: write(path, '<c r="A1" t="s"><v>9</v></c>'),
    "string of negative number": lambda path: write(path, '<c r="A1" t="s"><v>-1</v></c>'),
    "string of no number": lambda path: write(path, '<c r="A1" t="s"><v>x</v></c>'),
    "cell without a place": lambda path: write(path, "<c><v>1</v></c>"),
    "cell far right": lambda path: write(path, '<c r="ZZZ1"><v>1</v></c>'),
    "cell far down": lambda path: write(path, '<c r="A9999999"><v>1</v></c>'),
    "tags not closed": lambda path: write(path, "<row><row><row>"),
}


def check_refused(path: Path) -> None:
    tracemalloc.start()
    try:
        started = time.perf_counter()
        with pytest.raises(DataError, match=path.name):
            sheet_as_csv(path)
        assert time.perf_counter() - started < 2
        assert tracemalloc.get_traced_memory()[1] < 96 * MEBIBYTE
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("name", HOSTILE)
def test_a_damaged_spreadsheet_is_refused_by_name(tmp_path: Path, name: str) -> None:
    check_refused(HOSTILE[name](tmp_path / "a.xlsx"))


@pytest.mark.parametrize(
    ("name", "guard", "without"),
    [
        ("bomb", "MAXIMUM_BYTES", 2**30),
        ("entities", "FORBIDDEN", ()),
        ("cell far right", "MAXIMUM_COLUMNS", 10**6),
    ],
)
def test_control_without_its_guard_the_check_fails(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, guard: str, without: object
) -> None:
    path = HOSTILE[name](tmp_path / "a.xlsx")
    monkeypatch.setattr(spreadsheets, guard, without)
    with pytest.raises((AssertionError, pytest.fail.Exception)):
        check_refused(path)


def test_flipped_bits_end_in_text_or_one_error(tmp_path: Path) -> None:
    path = write(tmp_path / "a.xlsx", CELLS)
    content = path.read_bytes()
    for seed in range(100):
        rng = random.Random(seed)
        changed = bytearray(content)
        changed[rng.randrange(len(changed))] ^= 1 << rng.randrange(8)
        path.write_bytes(changed)
        with contextlib.suppress(DataError):  # any other error fails
            assert isinstance(sheet_as_csv(path), str)
