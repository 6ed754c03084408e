"""Keyed pseudonyms of people and files: what they are, what they hide, and where the key lies."""

import hashlib
import os
import pickle
import re
import stat
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from writers import noise, write_picture

from mammostudy.data import private
from mammostudy.data.load import build, load_cohort, read_rows
from mammostudy.data.private import KEY_NAME, hidden_name, hiding, pseudonym, real_name
from mammostudy.data.row_files import FileError
from mammostudy.errors import DataError

NAME = "Doe^Jane"
FILE = "Canary_Jane/1967-04-12 left.png"


def test_a_pseudonym_is_stable_keyed_and_well_formed(own_store):
    with ThreadPoolExecutor(8) as pool:  # several at once share one key
        (found,) = set(pool.map(lambda _: pseudonym(NAME), range(64)))
    assert re.fullmatch(r"p[0-9a-f]{12}", found)
    assert found == pseudonym(f" {NAME} \0") != pseudonym("Doe^John")
    assert pseudonym("Zoe\u0308") == pseudonym("Zo\u00eb")
    assert pseudonym("a1") != pseudonym("A1")
    key = (own_store / KEY_NAME).read_bytes()
    expected = hashlib.blake2b(NAME.encode(), key=key, person=b"mammostudy").hexdigest()
    assert found == "p" + expected[:12]
    plain = hashlib.blake2b(NAME.encode(), person=b"mammostudy").hexdigest()
    assert found != "p" + plain[:12]  # control: without the key anybody could try names
    with pytest.raises(DataError, match="empty"):
        pseudonym(" \0")


@pytest.mark.skipif(os.name != "posix", reason="modes of files are POSIX")
def test_the_key_is_its_owners_alone_and_a_damaged_one_is_never_replaced(own_store):
    pseudonym(NAME)
    key = own_store / KEY_NAME
    assert stat.S_IMODE(key.stat().st_mode) == 0o600
    assert len(key.read_bytes()) == 32
    assert [path.name for path in own_store.iterdir() if path.is_file()] == [KEY_NAME]
    key.chmod(0o644)
    with pytest.raises(DataError, match="chmod 600"):
        pseudonym(NAME)
    key.write_bytes(key.read_bytes()[:20])
    with pytest.raises(DataError, match="damaged") as caught:
        pseudonym(NAME)
    assert NAME not in str(caught.value)
    assert len(key.read_bytes()) == 20


def test_a_store_that_cannot_be_written(own_store):
    own_store.write_text("")
    with pytest.raises(DataError, match="MAMMOSTUDY_STORE"):
        pseudonym(NAME)


@pytest.fixture
def clinic(tmp_path, own_store):
    """A cohort of three patients whose files are named after them."""
    folder = tmp_path / "clinic"
    rows = []
    for number, name in enumerate((FILE, "Roe/2.png", "Poe/3.png")):
        mask = np.zeros((48, 64), np.uint8)
        mask[10 + number : 20, 30:45] = 1
        drawn = name.replace(".png", " mask.png")
        write_picture(folder / name, noise(mask.shape, number))
        write_picture(folder / drawn, mask)
        rows.append({"image": name, "mask": drawn, "patient": name.split("/")[0]})
    pd.DataFrame(rows).to_csv(folder / "cohort.csv", index=False)
    return folder


def test_the_owners_table_tells_which_file_a_hidden_name_is(clinic):
    assert re.fullmatch(r"file-p[0-9a-f]{12}\.png", hidden_name(FILE))
    assert "." not in hidden_name("1.2.Jane")
    assert len({hidden_name(name) for name in ("a.png", "b.png", "x/a.png")}) == 3
    assert real_name(clinic, hidden_name(FILE)) == FILE
    for plain in ("images/a.png", hidden_name("not listed.png")):
        assert real_name(clinic, plain) == plain
    table = clinic / "cohort.csv"
    table.write_text(table.read_text().replace(FILE, "away.png"))
    assert real_name(clinic, hidden_name(FILE)) == hidden_name(FILE)  # read anew


def test_an_error_keeps_its_type_and_names_the_row(clinic):
    with pytest.raises(FileError) as caught, hiding(clinic, hidden_name(FILE)):
        raise FileError(f"{clinic / FILE}: cut", "size") from OSError(FILE)
    assert str(caught.value) == f"{clinic}/{hidden_name(FILE)} (row 2 of cohort.csv): cut"
    assert caught.value.check == pickle.loads(pickle.dumps(caught.value)).check == "size"
    assert caught.value.__cause__ is None
    assert caught.value.__suppress_context__
    with pytest.raises(FileError, match="Jane"), hiding(clinic, "Jane.png"):
        raise FileError("Jane.png: cut")  # no hidden name: of another cohort


@pytest.mark.parametrize("damage", [Path.unlink, lambda path: path.write_bytes(b"\x89PNG cut")])
@pytest.mark.parametrize("kind", ["image", "mask"])
def test_no_error_of_a_file_says_its_name(kind, damage, clinic, monkeypatch):
    cohort = load_cohort("clinic", clinic.parent)
    row = cohort.masses.iloc[0]
    damage(clinic / real_name(clinic, str(row[kind])))
    with pytest.raises(DataError, match=r"row 2 of cohort\.csv") as caught:
        cohort.sample(str(row["case"]))
    assert "Jane" not in str(caught.value)
    monkeypatch.setattr(private, "without", lambda text, *_: text)  # control
    with pytest.raises(DataError, match="Jane"):
        load_cohort("clinic", clinic.parent).sample(str(row["case"]))


def test_the_quarantine_names_the_row(clinic):
    path = write_picture(clinic / FILE, np.full((48, 64, 3), (0, 90, 255), np.uint8))
    build("clinic", clinic, "folder")
    quarantine = read_rows("clinic", "quarantine")
    assert set(quarantine["check"]) == {"not a mammogram"}
    assert "Jane" not in quarantine.to_csv()
    assert hashlib.sha256(path.read_bytes()).hexdigest() not in quarantine.to_csv()
