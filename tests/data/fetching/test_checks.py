"""What counts as whole, where the archive gives a hash and where it gives none."""

from __future__ import annotations

import hashlib
import io
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from mammostudy.data.fetching import checks
from mammostudy.data.fetching.checks import fault
from mammostudy.data.fetching.wanted import Wanted

TABLE = b'id,path\r\n1,"a\n"\r\n2,"b\n"\r\n'


def book(**members: str) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        for name, text in members.items():
            archive.writestr(name.replace("__", "/") + ".xml", text)
    return out.getvalue()


BOOK = book(xl__workbook="<workbook/>", xl__sheet="<sheet/>" * 99)
SPOILT = BOOK.replace(b"<sheet/><sheet/>", b"<sheet/><shee7/>", 1)


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("t.csv", TABLE, None),
        ("t.csv", b"\xef\xbb\xbf" + TABLE, None),
        ("t.csv", TABLE[:-9], "it has 1 rows, the table has 2"),
        ("t.csv", b"", "another file"),
        ("t.csv", b"<!doctype html><html>login</html>", "a web page"),
        ("t.csv", TABLE.replace(b"id", b"ix"), "another file"),
        ("t.csv", b"id,\xff\xfe", "no text"),
        ("t.csv", b'id,"' + b"x" * 200_000, "no table"),
        ("t.xlsx", BOOK, None),
        ("t.xlsx", BOOK[:-30], "does not open as a workbook"),
        ("t.xlsx", SPOILT, "does not open as a workbook"),
        ("t.xlsx", book(other="<x/>"), "does not open as a workbook"),
        ("t.xlsx", TABLE, "does not open as a workbook"),
        ("t.xlsx", b"<html>", "does not open as a workbook"),
    ],
)
def test_a_table_opens_as_what_it_is(
    tmp_path: Path, name: str, content: bytes, words: str | None
) -> None:
    path = tmp_path / "x.part"
    path.write_bytes(content)
    found = fault(path, Wanted(name, (), begins="id," if name == "t.csv" else "", rows=2))
    assert found is None if words is None else words in str(found)


def test_a_web_page_is_no_table_of_unknown_beginning(tmp_path: Path) -> None:
    path = tmp_path / "x.part"
    path.write_bytes(TABLE)
    assert fault(path, Wanted("t.csv", ())) is None
    path.write_bytes(b"\n <html>log in first</html>")
    assert "a web page" in str(fault(path, Wanted("t.csv", ())))


def test_bombs_are_not_unpacked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "x.part"
    path.write_bytes(BOOK)
    monkeypatch.setattr(checks, "MOST_TABLE", 800)
    assert "longer than" in str(fault(path, Wanted("t.xlsx", ())))
    monkeypatch.setattr(checks, "MOST_TABLE", len(BOOK))
    path.write_bytes(book(xl__workbook="<w/>")[:-1])
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("xl/workbook.xml", "0" * (len(BOOK) + 1))
    assert "unpacks to more" in str(fault(path, Wanted("t.xlsx", ())))


def test_hash_and_size_go_before_content(tmp_path: Path, dicom_bytes: Callable[..., bytes]) -> None:
    path = tmp_path / "x.part"
    path.write_bytes(TABLE)
    md5 = hashlib.md5(TABLE).hexdigest()
    assert fault(path, Wanted("x.dcm", (), len(TABLE), md5)) is None
    assert "the archive says 3" in str(fault(path, Wanted("x.dcm", (), 3, md5)))
    assert "its hash" in str(fault(path, Wanted("x.dcm", (), len(TABLE), "0" * 32)))
    assert "DICOM" in str(fault(path, Wanted("x.dcm", (), len(TABLE))))
    path.write_bytes(dicom_bytes())
    assert fault(path, Wanted("x.dcm", ())) is None
    path.write_bytes(dicom_bytes()[:-2])
    assert "full length" in str(fault(path, Wanted("x.dcm", ())))


def test_the_real_tables_of_cbis_ddsm_pass(real_data: Path) -> None:
    from mammostudy.data.fetching.recipe import read_recipe

    recipe = read_recipe("cbis-ddsm")
    assert recipe is not None
    for table in recipe.tables:
        path = real_data / "cbis-ddsm-tables" / table.file
        assert fault(path, table.wanted()) is None
