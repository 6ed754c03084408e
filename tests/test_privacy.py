"""Names, numbers, dates and the hospital of a patient stay in the owner's folder, whatever is run.

They are planted in every field of every header and in every file's name; then all that is left
behind is searched for them: names and bytes of files, in archives too, and what was printed.
"""

import json
import shutil
import zipfile

import cv2
import numpy as np
import pandas as pd
import pydicom
import pytest
from pydicom.datadict import DicomDictionary
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import DigitalMammographyXRayImageStorageForPresentation, ExplicitVRLittleEndian

from mammostudy.cli import app
from mammostudy.data.dicom_file import FIELDS
from mammostudy.data.sources import folder as private
from mammostudy.paths import project_root
from mammostudy.publishing.execute import execute_page
from mammostudy.publishing.pages import Page
from mammostudy.runs import choice
from mammostudy.runs.execute import execute
from mammostudy.study.recipes import recipe

WORDS = ("kanarie", "johanna", "730611927405", "19670412", "1967-04-12", "081547.73", "infirmary")
ENCODINGS = ("utf-8", "utf-16-le", "utf-32-le")  # arrays of text have four bytes a letter
BY_VR = {
    "PN": "Kanarie^Johanna", "LO": "Nowhere Infirmary 730611927405", "SH": "730611927405",
    "ST": "Kanarie, Nowhere Infirmary", "LT": "Kanarie, 1967-04-12", "UT": "Johanna Kanarie",
    "UC": "Johanna Kanarie", "UR": "https://kanarie.invalid/730611927405", "CS": "KANARIE",
    "AE": "INFIRMARY", "DA": "19670412", "DT": "19670412081547", "TM": "081547.730611",
    "IS": "730611927", "DS": "730611927405", "UI": "1.2.826.730611927405.19670412",
}  # fmt: skip
PATIENTS = 15
HEIGHT, WIDTH = 64, 80


def header():
    """Every text field of the dictionary, a sequence and a private block: something planted."""
    ds = Dataset()
    for tag, (vr, _, _, _, keyword) in DicomDictionary.items():
        if vr in BY_VR and tag >> 16 not in (0x0000, 0x0002, 0x0028) and keyword not in FIELDS:
            ds.add_new(tag, vr, BY_VR[vr])
    ds.SpecificCharacterSet = "ISO_IR 192"
    inner = Dataset()
    inner.PatientID, inner.RequestedProcedureDescription = "730611927405", "Kanarie"
    ds.RequestAttributesSequence = [inner]
    ds.private_block(0x0011, "Nowhere Infirmary", create=True).add_new(1, "LO", "Kanarie 19670412")
    ds.SOPClassUID = DigitalMammographyXRayImageStorageForPresentation
    ds.Modality, ds.PhotometricInterpretation, ds.SamplesPerPixel = "MG", "MONOCHROME2", 1
    ds.Rows, ds.Columns, ds.PixelRepresentation = HEIGHT, WIDTH, 0
    ds.BitsAllocated, ds.BitsStored, ds.HighBit = 16, 12, 11
    ds.ImageLaterality, ds.ViewPosition, ds.ImagerPixelSpacing = "L", "CC", [0.1, 0.1]
    ds.BurnedInAnnotation = "YES"
    ds.file_meta = FileMetaDataset()
    ds.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    ds.file_meta.MediaStorageSOPClassUID = ds.SOPClassUID
    ds.file_meta.MediaStorageSOPInstanceUID = BY_VR["UI"]
    ds.file_meta.SourceApplicationEntityTitle = "KANARIE"
    return ds


def write_clinic(folder):
    """Write a cohort whose files are named after its patients; return the images' names."""
    rows = []
    ds = header()
    for number in range(PATIENTS):
        rng = np.random.default_rng(number)
        mask = np.zeros((HEIGHT, WIDTH), np.uint8)
        centre = (34 + int(rng.integers(12)), 26 + int(rng.integers(12)))
        cv2.ellipse(mask, centre, (8 + number % 3, 7), 0, 0, 360, 255, -1)
        noise = cv2.GaussianBlur(rng.standard_normal(mask.shape), (0, 0), 3)
        pixels = np.clip(1500 + 400 * noise / noise.std() + 900 * (mask > 0), 0, 4095)
        ds.PixelData = pixels.astype("<u2").tobytes()
        ds["PixelData"].VR = "OW"
        name = f"Kanarie_{number}/Johanna 1967-04-12 MRN730611927405.dcm"
        drawn = f"Kanarie_{number}/Nowhere Infirmary 19670412.png"
        (folder / name).parent.mkdir(parents=True)
        ds.save_as(folder / name, enforce_file_format=True)
        cv2.imwrite(str(folder / drawn), mask)
        person = f"Kanarie, Johanna {number} (730611927405)"
        shape = "round" if number in (3, 9) else "oval"
        rows.append({"image": name, "mask": drawn, "patient": person, "shape": shape})
    pd.DataFrame(rows).to_csv(folder / "cohort.csv", index=False)
    return [row["image"] for row in rows]


def leaks(places, printed=""):
    """Return where a planted word stands: in a name, in bytes of any encoding, in what was said."""
    found = [f"printed: {word}" for word in WORDS if word in printed.lower()]
    for path in sorted(each for place in places for each in place.rglob("*")):
        content = path.read_bytes() if path.is_file() else b""
        pieces = {path.name: content}
        if content and zipfile.is_zipfile(path):
            with zipfile.ZipFile(path) as parts:
                pieces |= {name: parts.read(name) for name in parts.namelist()}
        for name, content in pieces.items():
            for word in WORDS:
                said = word in name.lower()
                if said or any(word.encode(code) in content.lower() for code in ENCODINGS):
                    found.append(f"{path} ({name}): {word}")
    return found


def run(*words):
    app(list(words), standalone_mode=False)


@pytest.fixture
def project(tmp_path, own_store, monkeypatch):
    """A project with one page, and a private cohort beside it."""
    chapters = tmp_path / "project" / "book" / "chapters"
    chapters.mkdir(parents=True)
    shutil.copy(project_root() / "book" / "chapters" / "data.ipynb", chapters)
    page = "pages:\n  study-data:\n    notebook: data\n"
    (tmp_path / "project" / "study.yaml").write_text(page)
    monkeypatch.chdir(tmp_path / "project")
    monkeypatch.setenv("MAMMOSTUDY_DATA", str(tmp_path / "data"))
    monkeypatch.setitem(choice.LEAST, "segmentation", 0)  # two iterations are enough here
    return tmp_path / "project"


@pytest.mark.slow
def test_nothing_that_a_run_leaves_behind_names_a_patient(project, own_store, tmp_path, capfd):
    images = write_clinic(tmp_path / "data" / "clinic")
    before = sorted((tmp_path / "data").rglob("*"))
    run("data", "list")
    for command in ("build", "check", "describe"):
        run("data", command, "clinic")
    small = {"frame__size": 32, "model__levels": 5, "optimiser__iterations": 2}
    record = execute(recipe("clinic", "smoke", "study", **small), progress=True)
    image = str(tmp_path / "data" / "clinic" / images[0])
    out = tmp_path / "out"
    run("predict", image, "--box", "20,12,60,52", "--out", str(out))
    page = Page("study-data", "data", {"cohort": "clinic", "preset": "smoke"})
    execute_page(project, page, "key")
    said = capfd.readouterr()

    assert record.status == "completed"
    rooms = {path.name for path in (*own_store.iterdir(), *out.iterdir())}
    assert {"cache", "manifests", "records", "weights", "prediction.json"} <= rooms
    written = json.loads((project / page.executed).read_text())
    assert sum(len(cell.get("outputs", ())) for cell in written["cells"]) > 10
    assert "15 masses, 15 patients" in said.out
    assert "BurnedInAnnotation" in said.out
    assert "BurnedInAnnotation" in said.err
    assert leaks([own_store, out, project], said.out + said.err) == []
    assert sorted((tmp_path / "data").rglob("*")) == before  # nothing was added there


def test_without_its_guard_the_manifest_names_files(project, own_store, tmp_path, monkeypatch):
    """Control: the search above finds what the guard keeps out."""
    write_clinic(tmp_path / "data" / "clinic")
    run("data", "build", "clinic")
    assert leaks([own_store]) == []
    monkeypatch.setattr(private, "hidden_name", lambda name: name)
    run("data", "build", "clinic")
    assert any("clinic.csv" in leak for leak in leaks([own_store]))


def test_the_search_finds_what_is_planted(tmp_path):
    assert leaks([tmp_path]) == []
    np.savez_compressed(tmp_path / "a.npz", cases=np.array(["a" * 500, "Johanna_1" * 50]))
    (tmp_path / "Nowhere Infirmary").mkdir()
    image = write_clinic(tmp_path / "clinic")[0]
    found = leaks([tmp_path], "patient Kanarie")
    for place in ("a.npz", "Nowhere Infirmary", image, "printed: kanarie"):
        assert any(place in leak for leak in found), place
    ds = pydicom.dcmread(tmp_path / "clinic" / image)
    assert len(ds) > 1000
    for name in ("PatientName", "PatientID", "PatientBirthDate", "StudyDate", "InstitutionName"):
        assert any(word in str(ds[name].value).lower() for word in WORDS), name
