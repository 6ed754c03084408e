"""Names of files stand in no manifest and no message; the owner's row tells which file it is."""

from __future__ import annotations

import csv
import hashlib
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest

from mammostudy.data import private_files
from mammostudy.data.building import build, read_quarantine
from mammostudy.data.cohort import Cohort, load_cohort
from mammostudy.data.private_files import hidden_name, hiding, real_name, without
from mammostudy.errors import DataError

NAME = "Canary_Jane/1967-04-12 left.png"


@pytest.fixture
def clinic(tmp_path: Path, own_store: Path) -> Path:
    """A cohort of three patients whose files are named after them."""
    folder = tmp_path / "clinic"
    rows = []
    for number, name in enumerate((NAME, "Roe/2.png", "Poe/3.png")):
        mask = np.zeros((48, 64), np.uint8)
        mask[10 + number : 20, 30:45] = 1
        noise = cv2.GaussianBlur(np.random.default_rng(number).normal(0, 1, mask.shape), (0, 0), 3)
        (folder / name).parent.mkdir(parents=True)
        cv2.imwrite(str(folder / name), np.clip(110 + 300 * noise, 0, 255).astype(np.uint8))
        drawn = name.replace(".png", " mask.png")
        cv2.imwrite(str(folder / drawn), mask)
        rows.append({"image": name, "mask": drawn, "patient": name.split("/")[0]})
    with (folder / "cohort.csv").open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    return folder


def test_a_hidden_name_keeps_a_usual_suffix_and_nothing_else(own_store: Path) -> None:
    assert private_files._HIDDEN.fullmatch(hidden_name(NAME))
    assert hidden_name(NAME).endswith(".png")
    assert hidden_name("1.2.Jane") == hidden_name("1.2.Jane").split(".")[0]
    assert len({hidden_name(name) for name in ("a.png", "b.png", "x/a.png")}) == 3


def test_the_table_tells_which_file_it_is(clinic: Path) -> None:
    assert real_name(clinic, hidden_name(NAME)) == NAME
    for plain in ("images/a.png", hidden_name("not listed.png")):
        assert real_name(clinic, plain) == plain
    table = clinic / "cohort.csv"
    table.write_text(table.read_text().replace(NAME, "away.png"))
    assert real_name(clinic, hidden_name(NAME)) == hidden_name(NAME)  # read anew


@pytest.mark.parametrize(("text", "said"), [
    (f"/data/{NAME}: cut", "/data/X: cut"),
    ("'1967-04-12 left.png' is cut", "'X' is cut"),
    ("a1967-04-12 left.png", "a1967-04-12 left.png"),
    ("nothing of it", "nothing of it"),
])  # fmt: skip
def test_a_message_without_the_name(text: str, said: str) -> None:
    assert without(text, NAME, "X") == said


def test_an_error_keeps_its_type_and_names_the_row(clinic: Path) -> None:
    class OtherError(DataError):
        pass

    with pytest.raises(OtherError) as caught, hiding(clinic, hidden_name(NAME)):
        raise OtherError(f"{clinic / NAME}: cut")
    assert str(caught.value) == f"{clinic}/{hidden_name(NAME)} (row 2 of cohort.csv): cut"
    assert caught.value.__cause__ is None
    assert caught.value.__suppress_context__
    with pytest.raises(OtherError, match="Jane"), hiding(clinic, "Jane.png"):
        raise OtherError("Jane.png: cut")  # no hidden name: of another cohort


def leave_out(cohort: Cohort, path: Path) -> None:
    path.unlink()


def cut(cohort: Cohort, path: Path) -> None:
    path.write_bytes(path.read_bytes()[:100])


@pytest.mark.parametrize("damage", [leave_out, cut])
@pytest.mark.parametrize("kind", ["image", "mask"])
def test_no_error_of_a_file_says_its_name(
    kind: str,
    damage: Callable[[Cohort, Path], None],
    clinic: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    cohort = load_cohort("clinic", clinic.parent)
    row = cohort.masses.iloc[0]
    damage(cohort, clinic / real_name(clinic, str(row[kind])))
    with pytest.raises(DataError, match=r"row 2 of cohort\.csv") as caught:
        cohort.sample(str(row["case"]))
    assert "Jane" not in str(caught.value)
    monkeypatch.setattr(private_files, "without", lambda text, *_: text)  # control
    with pytest.raises(DataError, match="Jane"):
        load_cohort("clinic", clinic.parent).sample(str(row["case"]))


def test_the_quarantine_names_the_row(clinic: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = clinic / NAME
    cv2.imwrite(str(path), np.full((48, 64, 3), (0, 90, 255), np.uint8))
    build("clinic", clinic, "folder")
    quarantine = read_quarantine("clinic")
    assert set(quarantine["check"]) == {"not a mammogram"}
    assert "Jane" not in quarantine.to_csv()
    assert hashlib.sha256(path.read_bytes()).hexdigest() not in quarantine.to_csv()
