"""A private cohort: its table, every fault of it at once, and no name that gets out."""

from __future__ import annotations

import csv
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest

from mammostudy.data import manifest
from mammostudy.data.load import load_cohort
from mammostudy.data.private import hidden_name
from mammostudy.data.sources.folder import COLUMNS, build_manifest, guide, write_template
from mammostudy.errors import DataError

pytestmark = pytest.mark.usefixtures("own_store")
HEIGHT, WIDTH = 48, 64
BASE = {"image": "images/Doe_Jane_1.png", "mask": "masks/Doe_Jane_1.png", "mask_label": "1",
        "patient": "Doe, Jane", "site": "A", "view": "CC", "side": "L", "modality": "DM",
        "spacing_mm": "0.1", "shape": "oval", "pathology": "malignant", "subtype": "HER-2",
        }  # fmt: skip
MLO = {"image": "images/Doe_Jane_2.png", "mask": "masks/Doe_Jane_2.png", "mask_label": "",
       "view": "mlo", "side": "", "shape": "", "pathology": "", "subtype": ""}  # fmt: skip
FREE = {"image": "images/Roe_3.png", "mask": "", "mask_label": "", "patient": "Roe", "shape": "",
        "pathology": "", "subtype": ""}  # fmt: skip


def faults_of(folder: Path) -> list[str]:
    try:
        build_manifest(folder)
    except DataError as error:
        return [line.strip() for line in str(error).splitlines()[1:]]
    return []


def write_picture(folder: Path, name: str, seed: int) -> None:
    noise = np.random.default_rng(seed).standard_normal((HEIGHT, WIDTH))
    noise = cv2.GaussianBlur(noise, (0, 0), 3)
    pixels = np.clip(110 + 35 * noise / noise.std(), 0, 255).astype(np.uint8)
    cv2.imwrite(str(folder / "images" / f"{name}.png"), pixels)


def write_table(folder: Path, rows: list[dict[str, str]], delimiter: str = ",") -> None:
    with (folder / "cohort.csv").open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, list(COLUMNS), delimiter=delimiter, restval="")
        writer.writeheader()
        writer.writerows(rows)


@pytest.fixture
def clinic(tmp_path: Path) -> Path:
    """Two masses in two views of one patient and a view of another one without."""
    folder = tmp_path / "clinic"
    for name in ("images", "masks"):
        (folder / name).mkdir(parents=True)
    for seed, name in enumerate(("Doe_Jane_1", "Doe_Jane_2", "Roe_3")):
        write_picture(folder, name, seed)
        mask = np.zeros((HEIGHT, WIDTH), np.uint8)
        mask[10 + seed : 20, 30:45] = 1
        mask[30:40, 5:15] = 2
        cv2.imwrite(str(folder / "masks" / f"{name}.png"), mask if seed == 0 else (mask == 1) * 255)
    second = BASE | {"mask_label": "2", "shape": "round"}
    write_table(folder, [BASE, second, BASE | MLO, BASE | FREE])
    return folder


def test_the_manifest_of_a_clinic(clinic: Path) -> None:
    table, dropped = build_manifest(clinic)
    table = manifest.validate(table)
    assert dropped == {}
    assert table[list(manifest.BOX)].iloc[:3].to_numpy().tolist() == [
        [30, 10, 45, 20], [5, 30, 15, 40], [30, 11, 45, 20],
    ]  # fmt: skip
    assert table["x_min"].isna().tolist() == [False, False, False, True]
    assert table["view"].tolist() == ["CC", "CC", "MLO", "CC"]
    assert table["side"].tolist() == ["L", "L", "unknown", "L"]
    assert table["pathology"].tolist() == ["malignant", "malignant", "unknown", "unknown"]
    assert table["patient"].nunique() == 2


def test_no_name_of_a_patient_or_file_is_in_the_manifest(clinic: Path, own_store: Path) -> None:
    cohort = load_cohort("clinic", clinic.parent)
    named = cohort.manifest.to_csv()
    assert named.count("file-p") == 7  # four images and three masks
    for word in ("Doe", "Jane", "Roe", "Doe_Jane_1"):
        assert word not in named
    assert cohort.manifest["case"].str.startswith("p").all()
    again = load_cohort("clinic", clinic.parent)
    assert again.manifest["patient"].equals(cohort.manifest["patient"])
    assert (own_store / "pseudonym.key").is_file()


def test_the_header_of_a_dicom_file_fills_what_is_empty(
    clinic: Path, write_dicom: Callable[..., Path]
) -> None:
    pixels = np.random.default_rng(0).integers(0, 4095, (HEIGHT, WIDTH), dtype=np.uint16)
    said = {"ViewPosition": "MLO", "ImageLaterality": "R", "ImagerPixelSpacing": [0.07, 0.07]}
    write_dicom(clinic / "images" / "a.dcm", pixels, **said)
    row = BASE | dict.fromkeys(("view", "side", "spacing_mm"), "") | {"image": "images/a.dcm"}
    write_table(clinic, [row])
    built = build_manifest(clinic)[0].iloc[0]
    assert (built["view"], built["side"], built["spacing_mm"]) == ("MLO", "R", 0.07)
    write_table(clinic, [row | {"side": "L"}])
    assert faults_of(clinic) == [
        f"row 2, side: L, but the header of {hidden_name('images/a.dcm')} says R"
    ]


@pytest.mark.parametrize(("cells", "fault"), [
    ({"patient": ""}, "row 2, patient: empty"),
    ({"image": "../secret.png"}, "row 2, image: .*leads out of the cohort's folder"),
    ({"image": "cohort.csv"}, "row 2, image: .*not an image"),
    ({"mask": "masks/away.png"}, "row 2, mask: .*no such image file"),
    ({"mask_label": "9"}, "row 2, mask: .*is empty"),
    ({"mask_label": "-1"}, "row 2, mask_label: '-1' is no grey value"),
    ({"shape": "blob"}, "row 2, shape: 'blob' is not one of irregular"),
    ({"spacing_mm": "nan"}, "row 2, spacing_mm: 'nan' is no millimetres"),
    ({"mask": "", "mask_label": "", "subtype": ""}, "row 2, shape: given, but the row has no mask"),
])  # fmt: skip
def test_each_fault_is_one_line(cells: dict[str, str], fault: str, clinic: Path) -> None:
    (clinic.parent / "secret.png").write_bytes((clinic / "masks/Roe_3.png").read_bytes())
    write_table(clinic, [BASE | cells])
    with pytest.raises(DataError, match=rf"cohort\.csv: 1 fault\(s\); mend them:\n  {fault}"):
        build_manifest(clinic)
    write_table(clinic, [BASE])
    assert faults_of(clinic) == []  # control


def test_a_template_lists_the_images_and_pairs_the_masks(clinic: Path) -> None:
    (clinic / "cohort.csv").unlink()
    (clinic / "masks" / "Roe_3.png").unlink()
    path, images = write_template(clinic)
    assert images == 3
    with path.open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert list(rows[0]) == list(COLUMNS)
    assert [(row["image"], row["mask"]) for row in rows] == [
        ("images/Doe_Jane_1.png", "masks/Doe_Jane_1.png"),
        ("images/Doe_Jane_2.png", "masks/Doe_Jane_2.png"), ("images/Roe_3.png", ""),
    ]  # fmt: skip
    assert (clinic / "cohort-guide.md").read_text() == guide()
    faults = faults_of(clinic)  # all that is left to do is to name the patients
    assert faults == [
        f"row {row}, patient: empty; name the patient, or the split cannot be by patient"
        for row in (2, 3, 4)
    ]
    with pytest.raises(DataError, match=r"cohort\.csv: exists already"):
        write_template(clinic)
