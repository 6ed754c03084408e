"""Keyed pseudonyms of people and files: what they are, what they hide, and where the key lies."""

from __future__ import annotations

import csv
import hashlib
import os
import re
import stat
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import cv2
import numpy as np
import pytest

from mammostudy.data import private
from mammostudy.data.building import build, read_quarantine
from mammostudy.data.cohort import Cohort
from mammostudy.data.load import load_cohort
from mammostudy.data.private import KEY_NAME, hidden_name, hiding, pseudonym, real_name, without
from mammostudy.errors import DataError

NAME = "Doe^Jane"


def test_a_pseudonym_is_stable_and_well_formed(own_store: Path) -> None:
    first = pseudonym(NAME)
    assert re.fullmatch(r"p[0-9a-f]{12}", first)
    assert pseudonym(NAME) == first
    assert pseudonym(f" {NAME} \0") == first
    assert pseudonym("Doe^John") != first
    assert (own_store / KEY_NAME).is_file()


def test_accents_are_composed_and_case_counts(tmp_path: Path) -> None:
    assert pseudonym("Zoe\u0308", store=tmp_path) == pseudonym("Zo\u00eb", store=tmp_path)
    assert pseudonym("a1", store=tmp_path) != pseudonym("A1", store=tmp_path)


def test_it_is_the_keyed_hash_of_the_standard_library(tmp_path: Path) -> None:
    found = pseudonym(NAME, store=tmp_path)
    key = (tmp_path / KEY_NAME).read_bytes()
    expected = hashlib.blake2b(NAME.encode(), key=key, person=b"mammostudy").hexdigest()
    assert found == "p" + expected[:12]
    plain = hashlib.blake2b(NAME.encode(), person=b"mammostudy").hexdigest()
    assert found != "p" + plain[:12]  # control: without the key anybody could try names


@pytest.mark.skipif(os.name != "posix", reason="modes of files are POSIX")
def test_the_key_is_its_owners_alone(tmp_path: Path) -> None:
    pseudonym(NAME, store=tmp_path)
    key = tmp_path / KEY_NAME
    assert stat.S_IMODE(key.stat().st_mode) == 0o600
    assert len(key.read_bytes()) == 32
    assert [path.name for path in tmp_path.iterdir()] == [KEY_NAME]
    key.chmod(0o644)
    with pytest.raises(DataError, match="chmod 600"):
        pseudonym(NAME, store=tmp_path)


def test_several_at_once_share_one_key(tmp_path: Path) -> None:
    with ThreadPoolExecutor(8) as pool:
        found = set(pool.map(lambda _: pseudonym(NAME, store=tmp_path), range(64)))
    assert len(found) == 1


def test_a_damaged_key_is_never_replaced(tmp_path: Path) -> None:
    pseudonym(NAME, store=tmp_path)
    key = tmp_path / KEY_NAME
    key.write_bytes(key.read_bytes()[:20])
    with pytest.raises(DataError, match="damaged") as caught:
        pseudonym(NAME, store=tmp_path)
    assert NAME not in str(caught.value)
    assert len(key.read_bytes()) == 20


@pytest.mark.parametrize("text", ["", "  ", "\0"])
def test_an_empty_identifier_is_refused(tmp_path: Path, text: str) -> None:
    with pytest.raises(DataError, match="empty"):
        pseudonym(text, store=tmp_path)
    assert not (tmp_path / KEY_NAME).exists()


def test_a_store_that_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(DataError, match="MAMMOSTUDY_STORE"):
        pseudonym(NAME, store=tmp_path / "file")


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
    assert private._HIDDEN.fullmatch(hidden_name(NAME))
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
    monkeypatch.setattr(private, "without", lambda text, *_: text)  # control
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
