"""CBIS-DDSM's four tables: the published ones, the split by patient, and damaged files."""

from __future__ import annotations

import random
import time
import tracemalloc
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest

from mammostudy.data.sources import cbis_tables, csv_tables
from mammostudy.data.sources.cbis_tables import (
    FILENAMES,
    moved,
    official_part,
    patients,
    read_tables,
    shape_of,
)
from mammostudy.errors import DataError

TRAIN = FILENAMES["mass", "train"]
MEBIBYTE = 2**20


def header(kind: str) -> str:
    one, two = (
        ("mass shape", "mass margins") if kind == "mass" else ("calc type", "calc distribution")
    )
    density = "breast_density" if kind == "mass" else "breast density"
    return (
        f"patient_id,{density},left or right breast,image view,abnormality id,abnormality type,"
        f"{one},{two},assessment,pathology,subtlety,image file path,cropped image file path,"
        "ROI mask file path\n"
    )


def line(
    patient: str,
    kind: str = "mass",
    part: str = "train",
    *,
    view: str = "CC",
    number: int = 1,
    shape: str = "OVAL",
    pathology: str = "BENIGN",
) -> str:
    """A line of a table as published: the last path ends in a line end, in quotes."""
    start = f"{'Mass' if kind == 'mass' else 'Calc'}-{'Training' if part == 'train' else 'Test'}"
    image = f"{start}_{patient}_LEFT_{view}"
    uids = f"1.3.6.{int(patient[2:])}.{number}/1.3.6.{int(patient[2:])}.{number}.2"
    words = f"{shape},SPICULATED" if kind == "mass" else "PLEOMORPHIC,CLUSTERED"
    return (
        f"{patient},3,LEFT,{view},{number},{kind},{words},4,{pathology},5,"
        f"{image}/{uids}/000000.dcm,{image}_{number}/{uids}/000000.dcm,"
        f'"{image}_{number}/{uids}/000001.dcm\n"\n'
    )


def write(folder: Path, **lines: list[str]) -> Path:
    """Write the four tables; ``lines`` by ``mass_train`` and so on, one line where not given."""
    folder.mkdir(exist_ok=True)
    for number, ((kind, part), name) in enumerate(FILENAMES.items()):
        given = lines.get(f"{kind}_{part}", [line(f"P_0090{number}", kind, part)])
        (folder / name).write_text(header(kind) + "".join(given))
    return folder


# --- the published tables -----------------------------------------------------------------------


@pytest.fixture
def real(real_data: Path) -> cbis_tables.CbisTables:
    return read_tables(real_data / "cbis-ddsm-tables")


def test_the_published_tables_hold_the_published_masses(real: cbis_tables.CbisTables) -> None:
    assert real.masses["part"].value_counts().to_dict() == {"train": 1318, "test": 378}
    assert {("mass", part): n for part, n in real.masses["part"].value_counts().items()} == (
        cbis_tables.PUBLISHED_ROWS
    )
    assert real.masses.groupby("part")["patient"].nunique().to_dict() == {"train": 691, "test": 201}
    assert real.calcifications["part"].value_counts().to_dict() == {"train": 1546, "test": 326}
    assert real.masses.index.is_unique
    assert real.masses["image"].nunique() == 1592
    assert real.masses["pathology"].value_counts().to_dict() == {"benign": 912, "malignant": 784}
    assert not real.masses["mask"].str.contains(r"\s").any()


def test_the_published_shapes_are_counted_pure_and_compound_apart(
    real: cbis_tables.CbisTables,
) -> None:
    pairs = real.masses["shape_words"].map(shape_of)
    shapes = pairs.str[0]
    assert shapes.notna().sum() == 1424
    counts = pd.crosstab(shapes, real.masses["part"])
    assert counts["train"].to_dict() == {
        "irregular": 351, "lobular": 305, "oval": 321, "round": 123
    }  # fmt: skip
    assert counts["test"].to_dict() == {"irregular": 113, "lobular": 79, "oval": 91, "round": 41}
    reasons = Counter(reason for reason in pairs.str[1] if reason)
    assert reasons == {
        cbis_tables.COMPOUND: 80, cbis_tables.OTHER_SHAPE: 188, cbis_tables.NO_SHAPE: 4
    }  # fmt: skip
    assert 1424 + sum(reasons.values()) == 1318 + 378


def test_every_published_patient_is_kept_on_one_side(real: cbis_tables.CbisTables) -> None:
    table = patients(real)
    assert len(table) == 1566
    assert table["both_kinds"].sum() == 79
    assert table["both_parts"].sum() == 31
    split = table[table["both_parts"]]
    assert ((split["mass_train"] > 0) & (split["calcification_test"] > 0)).sum() == 13
    assert ((split["mass_test"] > 0) & (split["calcification_train"] > 0)).sum() == 18
    assert not ((table["mass_train"] > 0) & (table["mass_test"] > 0)).any()
    assert not ((table["calcification_train"] > 0) & (table["calcification_test"] > 0)).any()
    assert split.loc["P_00041", "part"] == "train"  # masses in train, calcifications in test
    assert split.loc["P_00016", "part"] == "test"
    assert moved(real) == {"mass": 0, "calcification": 84}


def test_the_official_part_of_the_published_masses_is_their_table(
    real: cbis_tables.CbisTables,
) -> None:
    rows = real.masses.reset_index()
    parts = official_part(rows)
    assert parts.index.equals(rows.index)
    assert parts.tolist() == rows["part"].tolist()
    assert parts.tolist() == rows["patient"].map(patients(real)["part"]).tolist()


def test_the_overlaps_are_those_that_pandas_alone_finds(
    real_data: Path, real: cbis_tables.CbisTables
) -> None:
    """Without our reader: sets of the first column."""
    folder = real_data / "cbis-ddsm-tables"
    sets = {key: set(pd.read_csv(folder / name)["patient_id"]) for key, name in FILENAMES.items()}
    train = sets["mass", "train"] | sets["calcification", "train"]
    test = sets["mass", "test"] | sets["calcification", "test"]
    masses = sets["mass", "train"] | sets["mass", "test"]
    calcified = sets["calcification", "train"] | sets["calcification", "test"]
    table = patients(real)
    assert set(table.index[table["both_parts"]]) == train & test
    assert set(table.index[table["both_kinds"]]) == masses & calcified


# --- rules on tables that the tests write -------------------------------------------------------


def test_the_majority_of_masses_decides_then_the_test_part(tmp_path: Path) -> None:
    write(
        tmp_path,
        mass_train=[line("P_00001"), line("P_00001", view="MLO"), line("P_00002"), line("P_00003")],
        mass_test=[line("P_00001", part="test"), line("P_00002", part="test")],
        calcification_train=[line("P_00004", "calcification"), line("P_00005", "calcification")],
        calcification_test=[
            line("P_00003", "calcification", "test"),
            line("P_00003", "calcification", "test", view="MLO"),
            line("P_00005", "calcification", "test"),
        ],
    )
    tables = read_tables(tmp_path)
    expected = {
        "P_00001": "train", "P_00002": "test", "P_00003": "train", "P_00004": "train",
        "P_00005": "test",
    }  # fmt: skip
    assert patients(tables)["part"].to_dict() == expected
    assert moved(tables) == {"mass": 2, "calcification": 3}
    rows = tables.masses.reset_index()
    assert official_part(rows).tolist() == rows["patient"].map(expected).tolist()


def test_official_part_refuses_other_cohorts() -> None:
    rows = pd.DataFrame({"case": ["P1_L_CC_1"], "patient": ["P1"]})
    with pytest.raises(DataError, match="not a mass of CBIS-DDSM"):
        official_part(rows)


@pytest.mark.parametrize(
    ("cell", "shape", "reason"),
    [
        ("IRREGULAR", "irregular", None),
        ("LOBULATED", "lobular", None),
        ("OVAL", "oval", None),
        ("ROUND", "round", None),
        ("ROUND-OVAL", None, cbis_tables.COMPOUND),
        ("IRREGULAR-ARCHITECTURAL_DISTORTION", None, cbis_tables.COMPOUND),
        ("LYMPH_NODE", None, cbis_tables.OTHER_SHAPE),
        ("N/A", None, cbis_tables.NO_SHAPE),
        ("", None, cbis_tables.NO_SHAPE),
    ],
)
def test_shape_of(cell: str, shape: str | None, reason: str | None) -> None:
    assert shape_of(cell) == (shape, reason)


def test_tables_in_a_folder_of_the_folder_are_found(tmp_path: Path) -> None:
    write(tmp_path / "csv")
    assert len(read_tables(tmp_path).masses) == 2
    write(tmp_path / "more")
    with pytest.raises(DataError, match="twice"):
        read_tables(tmp_path)


@pytest.mark.parametrize("name", FILENAMES.values())
def test_each_of_the_four_is_needed(tmp_path: Path, name: str) -> None:
    write(tmp_path)
    (tmp_path / name).unlink()
    with pytest.raises(DataError, match=rf"{name}: missing; download"):
        read_tables(tmp_path)


# --- damaged tables -----------------------------------------------------------------------------

GOOD = (
    header("mass")
    + line("P_00001")
    + line("P_00001", view="MLO", shape="IRREGULAR")
    + line("P_00001", view="MLO", number=2, shape="ROUND-OVAL")
    + line("P_00002", pathology="MALIGNANT")
    + line("P_00003", shape="N/A")
)


def replaced(old: str, new: str) -> Callable[[bytes], bytes]:
    assert old in GOOD
    return lambda content: content.replace(old.encode(), new.encode(), 1)


MUTATIONS: dict[str, Callable[[bytes], bytes]] = {
    "empty": lambda content: b"",
    "header alone": lambda content: content[: content.index(b"\n") + 1],
    "no header": lambda content: content[content.index(b"\n") + 1 :],
    "header cut": lambda content: content[20:],
    "cut in a row": lambda content: content[: len(content) - 150],
    "cut in quotes": lambda content: content[:-4],
    "cut in a path": lambda content: content[:-60],
    "a cell more": replaced(",SPICULATED", ",SPICULATED,SPICULATED"),
    "a cell less": replaced(",SPICULATED", ""),
    "column missing": replaced("pathology", "pathologie"),
    "column twice": replaced("mass margins", "mass_shape"),
    "bytes, not text": lambda content: content + b"\xff\xfe\x80",
    "zeros": lambda content: b"\0" * len(content),
    "compressed": lambda content: b"PK\x03\x04" + bytes(range(256)) * 20,
    "UTF-16": lambda content: content.decode().encode("utf-16"),
    "quote inside": replaced('"Mass', 'x"Mass'),
    "quote left open": replaced("OVAL", '"OVAL'),
    "other delimiter": lambda content: content.replace(b",", b";"),
    "a page of HTML": lambda content: b"<!DOCTYPE html><html><body>Not found</body></html>",
    "row twice": lambda content: content + line("P_00001").encode(),
    "other patient": replaced("P_00001,", "P_00002,"),
    "patient of letters": replaced("P_00001,", "P_0000A,"),
    "patient of other digits": replaced("P_00001,", "P_0000١,"),
    "patient empty": replaced("P_00001,", ","),
    "side": replaced("LEFT,", "LEFTT,"),
    "other side": replaced("LEFT,", "RIGHT,"),
    "view": replaced(",CC,", ",XX,"),
    "other view": replaced(",CC,", ",MLO,"),
    "number 0": replaced(",1,mass", ",0,mass"),
    "number of 300 digits": replaced(",1,mass", f",{'9' * 300},mass"),
    "other kind": replaced(",mass,OVAL", ",calcification,OVAL"),
    "shape misspelt": replaced("OVAL", "OVALL"),
    "second word misspelt": replaced("ROUND-OVAL", "ROUND-OVOL"),
    "shape in small letters": replaced("OVAL", "oval"),
    "pathology": replaced("BENIGN", "BENIGM"),
    "pathology empty": replaced("BENIGN", ""),
    "density 9": replaced(",3,", ",9,"),
    "assessment infinite": replaced(",4,", ",inf,"),
    "path climbs": replaced("/000000.dcm", "/../../000000.dcm"),
    "path climbs by UIDs": replaced("1.3.6.1.1/1.3.6.1.1.2/", "../../"),
    "path climbs from its case": replaced("Mass-Training_P_00001_LEFT_CC/", "../"),
    "path absolute": replaced("Mass-Training_P_00001_LEFT_CC/", "/etc/"),
    "path with a drive": replaced("Mass-Training_P_00001_LEFT_CC/", "C:\\data/"),
    "path with backslashes": replaced("/1.3.6.1.1.2/", "\\1.3.6.1.1.2\\"),
    "path with a zero byte": replaced("/000000.dcm", "/00\x000000.dcm"),
    "path without a file": replaced("/000000.dcm", "/"),
    "path of another patient": replaced("Training_P_00001_LEFT_CC/", "Training_P_00002_LEFT_CC/"),
    "path of the other part": replaced("Training_P_00001_LEFT_CC/", "Test_P_00001_LEFT_CC/"),
    "path of another mass": replaced("LEFT_CC_1/", "LEFT_CC_2/"),
    "path of 200,000 letters": replaced("/000000.dcm", f"/{'0' * 200_000}.dcm"),
    "path of 100,000 digits": replaced("1.3.6.1.1/", f"{'1.' * 50_000}1/x/"),
    "a million cells": replaced("OVAL", "," * 1_000_000),
    "three million blank lines": lambda content: content + b"\n" * 3_000_000,
    "more lines than any table": lambda content: content + b"\n" * 30_000,
    "rows without end": lambda content: content + b"P_00001,3\n" * 100_000,
    "8 MiB": lambda content: content + b"\n" * 8 * MEBIBYTE,
    "40 MiB": lambda content: content + b"\n" * 40 * MEBIBYTE,
}  # fmt: skip


def check_refused(folder: Path, content: bytes) -> None:
    """One DataError that names the file, within two seconds and far below a gibibyte."""
    write(folder)
    (folder / TRAIN).write_bytes(content)
    tracemalloc.start()
    try:
        started = time.process_time()
        with pytest.raises(DataError) as caught:
            read_tables(folder)
        assert time.process_time() - started < 2
        assert tracemalloc.get_traced_memory()[1] < 96 * MEBIBYTE
    finally:
        tracemalloc.stop()
    assert str(folder / TRAIN) in str(caught.value)
    assert len(str(caught.value)) < 2000
    assert str(caught.value).isprintable() or "fault(s)" in str(caught.value)


@pytest.mark.parametrize("name", MUTATIONS)
def test_a_damaged_table_is_refused_by_name(tmp_path: Path, name: str) -> None:
    check_refused(tmp_path, MUTATIONS[name](GOOD.encode()))


def test_the_mutations_are_mutations(tmp_path: Path) -> None:
    assert len(MUTATIONS) >= 50
    write(tmp_path)
    (tmp_path / TRAIN).write_text(GOOD)
    assert len(read_tables(tmp_path).masses) == 5 + 1


@pytest.mark.parametrize(
    ("name", "module", "guard", "without"),
    [
        ("path of another patient", cbis_tables, "_path_faults", lambda cells, case: []),
        ("path climbs", cbis_tables, "_path_faults", lambda cells, case: []),
        ("pathology empty", cbis_tables, "_cell_faults", lambda cells, kind: []),
        ("shape misspelt", cbis_tables, "_cell_faults", lambda cells, kind: []),
        ("more lines than any table", csv_tables, "MAXIMUM_LINES", 10**9),
        ("40 MiB", csv_tables, "MAXIMUM_BYTES", 2**27),
    ],
)
def test_control_without_its_guard_the_check_fails(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    name: str,
    module: object,
    guard: str,
    without: object,
) -> None:
    monkeypatch.setattr(module, guard, without)
    failures = (AssertionError, KeyError, pytest.fail.Exception)
    with pytest.raises(failures):
        check_refused(tmp_path, MUTATIONS[name](GOOD.encode()))


def mutated(seed: int) -> bytes:
    """Flip, drop, repeat or insert a byte or a run of bytes, or cut the file."""
    rng = random.Random(seed)
    content = bytearray(GOOD.encode())
    place = rng.randrange(len(content))
    kind = seed % 5
    if kind == 0:
        content[place] ^= 1 << rng.randrange(8)
    elif kind == 1:
        del content[place : place + rng.randrange(1, 80)]
    elif kind == 2:
        content[place:place] = content[place : place + rng.randrange(1, 400)]
    elif kind == 3:
        content[place:place] = rng.randbytes(rng.randrange(1, 20))
    else:
        del content[place:]
    return bytes(content)


def test_what_is_read_of_a_mutated_table_is_what_the_table_said(tmp_path: Path) -> None:
    """A mutation is refused, or cost whole rows, or lies in cells that no manifest repeats."""
    write(tmp_path)
    (tmp_path / TRAIN).write_text(GOOD)
    said = ["patient", "part", "side", "view", "shape_words", "pathology"]
    original = read_tables(tmp_path).masses[said]
    refused = 0
    for seed in range(200):
        (tmp_path / TRAIN).write_bytes(mutated(seed))
        started = time.process_time()
        try:
            masses = read_tables(tmp_path).masses[said]
        except DataError:
            refused += 1
        else:
            assert masses.equals(original.loc[masses.index]), seed
        assert time.process_time() - started < 2
    assert refused > 120
