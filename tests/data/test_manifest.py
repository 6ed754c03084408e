"""Manifests: every fault in one message, exact types, nothing half-written."""

import json
import re
from pathlib import Path

import pandas as pd
import pytest

from mammostudy.data import manifest
from mammostudy.data.cohort import Cohort
from mammostudy.data.manifest import BOX, COLUMNS, read_manifest, validate
from mammostudy.errors import DataError

SHA = "0" * 64
DEEP = "[" * 100_000 + "]" * 100_000
FOLDER = Path(__file__).parents[2] / "data_manifests"


def table(n=3, **columns):
    rows = pd.DataFrame(
        {
            "case": [f"c{i}" for i in range(n)],
            "patient": [f"00{i}" for i in range(n)],
            "site": "s",
            "image": [f"images/{i}.png" for i in range(n)],
            "height": 40, "width": 50, "view": "CC", "side": "L", "modality": "DM",
            "x_min": 2, "y_min": 3, "x_max": 12, "y_max": 14,
            "mask": [f"masks/{i}.png" for i in range(n)],
            "mask_label": None, "outline": None, "spacing_mm": None, "shape": "round",
            "pathology": "benign", "subtype": None, "image_sha256": SHA,
        }
    ).astype(object)  # fmt: skip
    for name, values in columns.items():
        rows[name] = values
    return rows


def test_valid_tables_get_the_types_of_the_schema():
    checked = validate(table(x_min=[2.0, 2, 2], spacing_mm=["0.07", None, None]))
    assert list(checked.columns) == list(COLUMNS)
    assert str(checked["x_min"].dtype) == "Int64"
    assert checked["spacing_mm"].tolist()[0] == 0.07
    assert checked["mask_label"].isna().all()
    assert validate(table(1, **dict.fromkeys((*BOX, "mask", "shape"))))["x_min"].isna().all()


@pytest.mark.parametrize(("column", "value", "field"), [
    ("shape", "blob", None), ("view", "XCC", None), ("side", "left", None),
    ("modality", "MR", None), ("pathology", None, None), ("subtype", "HER2", None),
    ("patient", None, None), ("patient", "", None), ("case", "c0", None),
    ("height", "tall", None), ("height", "9" * 40, None), ("height", 1e300, None),
    ("x_min", float("inf"), None), ("width", 0, None), ("x_min", -1, None),
    ("x_max", 51, None), ("y_max", 41, "x_max"), ("x_max", 2, None), ("y_max", 1, "x_max"),
    ("y_min", None, "x_min"), ("mask_label", {"mask": None, "mask_label": 3}, None),
    ("part", "valid", None), ("density", "a", None),
    ("outline", "[[0, 0], [1, 0], [0, 1]]", "mask"), ("outline", "[[0, 0], [1, 0]]", None),
    ("outline", "[[0, 0], [1, NaN], [0, 1]]", None), ("outline", "no json", None),
    ("outline", DEEP, None), ("width", 2_000_000, "height"),
    ("mask", "../secret.png", None), ("image", "/root/a.png", None),
    ("mask_label", 0, None), ("spacing_mm", -0.1, None), ("spacing_mm", float("inf"), None),
    ("spacing_mm", 1e-9, None), ("spacing_mm", 70, None), ("image", "images\\0.png", None),
    ("mask", "masks\\0.png", None), ("image_sha256", "abc", None),
])  # fmt: skip
def test_each_fault_names_row_and_column(column, value, field):
    bad = table(part="train", density="2")
    validate(bad)  # control: without the fault the table passes
    for name, cell in (value if isinstance(value, dict) else {column: value}).items():
        bad.loc[1, name] = cell
    with pytest.raises(DataError, match=rf"^my\.csv: (.|\n)*row 3, {field or column}: ") as caught:
        validate(bad, "my.csv")
    assert len(str(caught.value)) < 1000


def test_every_fault_of_a_table_is_in_one_message():
    bad = table(5)
    bad.loc[0, "shape"] = "blob"
    bad.loc[1, "height"] = "tall"
    bad.loc[2, "x_max"] = 90
    bad.loc[3, "case"] = "c0"
    bad.loc[4, list(BOX)] = None
    with pytest.raises(DataError) as caught:
        validate(bad)
    lines = str(caught.value).splitlines()
    assert "5 fault(s)" in lines[0]
    places = ("2, shape", "3, height", "4, x_max", "5, case", "6, x_min")
    assert sorted(line.split(":")[0] for line in lines[1:]) == [f"  row {one}" for one in places]
    lots = table(5_000, shape=[f"s{i}" for i in range(5_000)], x_max=range(60, 5_060))
    with pytest.raises(DataError) as caught:
        validate(lots)
    assert len(str(caught.value)) < 1_000
    assert [line.split(", ")[0] for line in str(caught.value).splitlines()[1:]] == ["  row 2"] * 2
    assert "4,997 more" in str(caught.value)
    with pytest.raises(DataError) as caught:
        validate(table().drop(columns=["site", "x_max"]).assign(age=50))
    assert all(
        re.search(f"column .*{name}.*: ", str(caught.value)) for name in ("site", "x_max", "age")
    )


@pytest.mark.parametrize("column", ["patient", "height", "width", "image_sha256"])
def test_rows_of_one_image_agree(column):
    bad = table(image="images/0.png", patient="p")
    bad.loc[2, column] = {"patient": "q", "image_sha256": "1" * 64}.get(column, 44)
    with pytest.raises(DataError, match=rf"row 4, {column}: "):
        validate(bad)
    validate(bad.assign(image=[f"{i}.png" for i in range(3)]))  # control


def test_a_patient_stands_in_one_part_and_an_image_has_one_density():
    good = table(patient="p", part=["train", "train", None], image=["a.png", "b.png", "b.png"])
    validate(good)  # control
    with pytest.raises(DataError, match=r"row 3, part: test .* patient"):
        validate(good.assign(part=["train", "test", None]))
    with pytest.raises(DataError, match="row 4, density: "):
        validate(good.assign(density=["1", "2", "3"]))


def test_faults_of_a_kind_are_one_line_with_their_number_and_three_rows():
    boxes = table(60, mask=None, x_max=[60] * 50 + [12] * 10, y_max=[14] * 55 + [3] * 5)
    with pytest.raises(DataError) as caught:
        validate(boxes.assign(part="trian"))
    lines = [line.strip() for line in str(caught.value).splitlines()]
    assert "115 fault(s)" in lines[0]
    kinds = {"outside": "2, row 3, row 4 and 47", "empty": "57, row 58, row 59 and 2", "part:": "2"}
    for word, rows in kinds.items():
        (told,) = [line for line in lines[1:] if word in line]
        assert told.startswith(f"row {rows}")
        assert " more, " in told
    assert len(lines) == 4


def test_optional_columns_are_kept_and_hashed_where_they_are_filled(tmp_path):
    """A manifest without them, and one with them empty, have the hash that they always had."""
    plain, empty = validate(table()), validate(table(part=None, density=None))
    filled = validate(table(part=["train", "test", None], density=[4, "1", None]))
    assert list(plain) == list(empty) == list(COLUMNS)
    assert list(filled) == [*COLUMNS, "part", "density"]
    assert filled["density"].tolist()[:2] == ["4", "1"]
    hashes = [Cohort("c", tmp_path, each).manifest_hash for each in (plain, empty, filled)]
    assert hashes[0] == hashes[1] == "fcd3724865532ac1"
    assert hashes[2] != hashes[0]
    manifest.write_manifest(filled, tmp_path / "manifest.csv")
    pd.testing.assert_frame_equal(read_manifest(tmp_path / "manifest.csv"), filled)


def test_text_comes_back_as_it_went(tmp_path):
    outline = json.dumps([[0.5, 1], [9, 1], [4, 8.25]])
    given = table(2, mask=[None, "m.png"], outline=[outline, None], mask_label=[None, 3])
    given["patient"] = ["007", "NA"]
    manifest.write_manifest(given, tmp_path / "manifest.csv")
    read = read_manifest(tmp_path / "manifest.csv")
    assert read["patient"].tolist() == ["007", "NA"]
    assert read["outline"][0] == outline
    assert read["mask_label"].tolist()[1] == 3
    changed = validate(given.assign(image_sha256=["1" * 64, SHA]))
    tables = (read, validate(given), read.iloc[::-1], changed)
    one, *same, other = (Cohort("c", tmp_path, each).manifest_hash for each in tables)
    assert same == [one, one]
    assert other != one
    text = given.assign(mask_label=[None, "3.0"], spacing_mm="0.07").to_csv(index=False)
    decimal = "\ufeff" + given.assign(spacing_mm="0,07").to_csv(index=False, sep=";")
    for content in (text, decimal):  # as Excel writes it back
        (tmp_path / "manifest.csv").write_text(content, encoding="utf-8")
        assert read_manifest(tmp_path / "manifest.csv")["spacing_mm"].tolist() == [0.07] * 2
        assert read_manifest(tmp_path / "manifest.csv")["mask_label"].tolist()[1] == 3
    (tmp_path / "manifest.csv").write_bytes(b"\xff\xfe\x00a")
    with pytest.raises(DataError, match=r"manifest\.csv"):
        read_manifest(tmp_path / "manifest.csv")


def test_the_written_schema_is_the_one_in_use():
    """``manifest_schema.json`` tells readers without Python what a manifest holds."""
    written = json.loads((FOLDER / "manifest_schema.json").read_text(encoding="utf-8"))
    kinds = {"i": "integer", "f": "number", "s": "text"}
    assert written == {
        name: {
            "type": kinds[str(column.dtype).lower()[0]],
            "may_be_empty": column.nullable,
            **({} if column.required else {"may_be_missing": True}),
            "rules": [str(check.error) for check in column.checks if check.error != "empty"],
        }
        for name, column in manifest.SCHEMA.columns.items()
    }
