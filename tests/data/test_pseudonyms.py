"""Keyed pseudonyms: what they are, what they hide, and where the key lies."""

from __future__ import annotations

import hashlib
import os
import re
import stat
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from mammostudy.data import pseudonyms
from mammostudy.data.pseudonyms import KEY_NAME, pseudonym
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


def test_another_store_gives_another_pseudonym(tmp_path: Path) -> None:
    assert pseudonym(NAME, store=tmp_path / "a") != pseudonym(NAME, store=tmp_path / "b")


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


def test_all_digits_differ_over_many_patients(tmp_path: Path) -> None:
    assert len({pseudonym(str(number), store=tmp_path) for number in range(2_000)}) == 2_000
    assert pseudonyms.DIGITS == 12
