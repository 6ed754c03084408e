"""Names that a server or an index gave, and the places they may mean."""

from __future__ import annotations

from pathlib import Path

import pytest

from mammostudy.data.fetching.wanted import part_of, place, safe_path
from mammostudy.errors import DataError

EVIL = [
    "", ".", "..", "../x.dcm", "a/b.dcm", "/etc/passwd", "a\\b.dcm", "C:x.dcm", ".hidden", "-x.dcm",
    "x\0.dcm", "x\n.dcm", "x .dcm", "%2e%2e", "~root", "é.dcm", "x" * 129,
]  # fmt: skip


@pytest.mark.parametrize("name", EVIL)
def test_no_name_leads_elsewhere(name: str) -> None:
    with pytest.raises(DataError, match="is no plain name") as caught:
        safe_path("P1", name)
    assert str(caught.value).isascii()
    assert str(caught.value).isprintable()


def test_plain_names_are_joined() -> None:
    assert (
        safe_path("D1-0001", "1.2.840", "MG_1.2", "0f-3.dcm") == "D1-0001/1.2.840/MG_1.2/0f-3.dcm"
    )


def test_a_link_out_of_the_folder_is_not_followed(tmp_path: Path) -> None:
    folder, outside = tmp_path / "set", tmp_path / "outside"
    folder.mkdir()
    outside.mkdir()
    assert place(folder, "P1/x.dcm") == folder / "P1" / "x.dcm"
    (folder / "P1").symlink_to(outside, target_is_directory=True)
    with pytest.raises(DataError, match="is a link that leads out"):
        place(folder, "P1/x.dcm")


def test_parts_have_names_that_no_reader_looks_for(tmp_path: Path) -> None:
    names = [part_of(tmp_path, path) for path in ("a.dcm", "b.dcm", "a/b.dcm")]
    assert len(set(names)) == 3
    assert {name.suffix for name in names} == {".part"}
