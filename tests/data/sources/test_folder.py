"""A private cohort: its table, every fault of it at once, and no name that gets out."""

import numpy as np
import pandas as pd
import pytest
from writers import noise, write_dicom, write_picture

from mammostudy.data import manifest
from mammostudy.data.load import load_cohort
from mammostudy.data.private import hidden_name
from mammostudy.data.sources.folder import COLUMNS, build_manifest, guide, write_template
from mammostudy.errors import DataError

pytestmark = pytest.mark.usefixtures("own_store")
SIZE = (48, 64)
BASE = {"image": "images/Doe_Jane_1.png", "mask": "masks/Doe_Jane_1.png", "mask_label": "1",
        "patient": "Doe, Jane", "site": "A", "view": "CC", "side": "L", "modality": "DM",
        "spacing_mm": "0.1", "shape": "oval", "pathology": "malignant", "subtype": "HER-2",
        }  # fmt: skip
MLO = {"image": "images/Doe_Jane_2.png", "mask": "masks/Doe_Jane_2.png", "mask_label": "",
       "view": "mlo", "side": "", "shape": "", "pathology": "", "subtype": ""}  # fmt: skip
FREE = {"image": "images/Roe_3.png", "mask": "", "mask_label": "", "patient": "Roe", "shape": "",
        "pathology": "", "subtype": ""}  # fmt: skip


def faults_of(folder, *rows):
    if rows:
        pd.DataFrame(rows, columns=list(COLUMNS)).to_csv(folder / "cohort.csv", index=False)
    try:
        build_manifest(folder)
    except DataError as error:
        return [line.strip() for line in str(error).splitlines()[1:]]
    return []


@pytest.fixture
def clinic(tmp_path):
    """Two masses in two views of one patient and a view of another one without."""
    folder = tmp_path / "clinic"
    for seed, name in enumerate(("Doe_Jane_1", "Doe_Jane_2", "Roe_3")):
        write_picture(folder / "images" / f"{name}.png", noise(SIZE, seed))
        mask = np.zeros(SIZE, np.uint8)
        mask[10 + seed : 20, 30:45] = 1
        mask[30:40, 5:15] = 2
        drawn = mask if seed == 0 else (mask == 1) * np.uint8(255)
        write_picture(folder / "masks" / f"{name}.png", drawn)
    second = BASE | {"mask_label": "2", "shape": "round"}
    assert faults_of(folder, BASE, second, BASE | MLO, BASE | FREE) == []
    return folder


def test_the_manifest_of_a_clinic(clinic):
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


def test_no_name_of_a_patient_or_file_is_in_the_manifest(clinic):
    cohort = load_cohort("clinic", clinic.parent)
    named = cohort.manifest.to_csv()
    assert named.count("file-p") == 7  # four images and three masks
    assert not any(word in named for word in ("Doe", "Jane", "Roe"))
    assert cohort.manifest["case"].str.startswith("p").all()
    again = load_cohort("clinic", clinic.parent)
    assert again.manifest["patient"].equals(cohort.manifest["patient"])


def test_the_header_of_a_dicom_file_fills_what_is_empty(clinic):
    pixels = np.random.default_rng(0).integers(0, 4095, SIZE, dtype=np.uint16)
    said = {"ViewPosition": "MLO", "ImageLaterality": "R", "ImagerPixelSpacing": [0.07, 0.07]}
    write_dicom(clinic / "images" / "a.dcm", pixels, **said)
    row = BASE | dict.fromkeys(("view", "side", "spacing_mm"), "") | {"image": "images/a.dcm"}
    assert faults_of(clinic, row) == []
    built = build_manifest(clinic)[0].iloc[0]
    assert (built["view"], built["side"], built["spacing_mm"]) == ("MLO", "R", 0.07)
    (fault,) = faults_of(clinic, row | {"side": "L"})
    assert fault.startswith("row 2, side: L")
    assert hidden_name("images/a.dcm") in fault


@pytest.mark.parametrize(("cells", "fault"), [
    ({"patient": ""}, "patient: "), ({"image": "../secret.png"}, "image: "),
    ({"image": "cohort.csv"}, "image: "), ({"mask": "masks/away.png"}, "mask: "),
    ({"mask_label": "9"}, "mask: "), ({"mask_label": "-1"}, "mask_label: '-1'"),
    ({"shape": "blob"}, "shape: 'blob'"), ({"spacing_mm": "nan"}, "spacing_mm: 'nan'"),
    ({"mask": "", "mask_label": "", "subtype": ""}, "shape: "),
])  # fmt: skip
def test_each_fault_is_one_line(cells, fault, clinic):
    (clinic.parent / "secret.png").write_bytes((clinic / "masks/Roe_3.png").read_bytes())
    (told,) = faults_of(clinic, BASE | cells)
    assert told.startswith(f"row 2, {fault}")
    assert not any(word in told for word in ("Doe", "Jane", "secret", "away"))
    assert faults_of(clinic, BASE) == []  # control


def test_a_template_lists_the_images_and_pairs_the_masks(clinic):
    (clinic / "cohort.csv").unlink()
    (clinic / "masks" / "Roe_3.png").unlink()
    path, images = write_template(clinic)
    assert images == 3
    table = pd.read_csv(path, keep_default_na=False)
    assert list(table) == list(COLUMNS)
    assert table[["image", "mask"]].to_numpy().tolist() == [
        ["images/Doe_Jane_1.png", "masks/Doe_Jane_1.png"],
        ["images/Doe_Jane_2.png", "masks/Doe_Jane_2.png"], ["images/Roe_3.png", ""],
    ]  # fmt: skip
    assert (clinic / "cohort-guide.md").read_text() == guide()
    told = faults_of(clinic)  # all that is left to do is to name the patients
    assert [fault.split(":")[0] for fault in told] == [f"row {row}, patient" for row in (2, 3, 4)]
    with pytest.raises(DataError, match=r"cohort\.csv: exists"):
        write_template(clinic)
