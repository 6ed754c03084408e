"""CMMD: the published table, layouts of its downloaders, and each known fault."""

import numpy as np
import pytest
from writers import cells, item, refused, swap, write_dicom

from mammostudy.data.cohort import lacking
from mammostudy.data.descriptors import TASKS
from mammostudy.data.load import load_cohort, read_rows
from mammostudy.data.manifest import validate
from mammostudy.data.sources import cmmd
from mammostudy.data.sources.cmmd import build_manifest, read_breasts

TABLE = (
    "ID1,LeftRight,Age,number,abnormality,classification,subtype\r\n"
    "D1-0001,R,44,2,calcification,Benign,\r\n"
    "D1-0002,L,40,2,mass,Malignant,\r\n"
    "D2-0003,L,61,2,both,Malignant,Luminal A\r\n"
    "D2-0003,R,61,2,mass,Malignant,triple negative\r\n"
    "D2-0004,L,50,2,mass,Malignant,HER2-enriched\r\n"
    "D2-0005,R,55,2,mass,Malignant,Luminal B\r\n"
)
IMAGES = [  # patient, side, view
    ("D1-0001", "R", "CC"), ("D1-0001", "R", "MLO"), ("D1-0002", "L", "CC"),
    ("D2-0003", "L", "MLO"), ("D2-0003", "R", "CC"), ("D2-0004", "L", "CC"),
]  # fmt: skip


def write_image(path, patient, side, view, **fields):
    """Write a mammogram as CMMD has them: 8 bits, the view as a code and not in ViewPosition."""
    seed = list(f"{patient}{side}{view}{path.name}".encode())
    pixels = np.random.default_rng(seed).integers(0, 255, (48, 40), dtype=np.uint8)
    value = {"CC": "399162004", "MLO": "R-10226"}.get(view, "none")  # new and old codes
    code = item(CodeValue=value, CodingSchemeDesignator="SCT", CodeMeaning="as published")
    said = {"PatientID": patient, "ImageLaterality": side, "ImagerPixelSpacing": [0.094, 0.094],
            "ViewCodeSequence": code if view else []}  # fmt: skip
    write_dicom(path, pixels, 8, **(said | fields))


def write_all(folder, layout="client"):
    folder.mkdir(parents=True, exist_ok=True)
    (folder / cmmd.TABLES[0]).write_bytes(TABLE.encode())
    for number, (patient, side, view) in enumerate(IMAGES, start=1):
        series = f"1.3.6.1.4.1.14519.5.2.1.{int(patient[3:])}"
        place = {
            "client": f"CMMD/{patient}/07-18-2010-NA-NA-79377/1.000000-NA-70244/1-{number}.dcm",
            "series": f"{series}/1-{number}.dcm",
            "cloud": f"cmmd/{patient}/{series}.9/MG_{series}/{series}.{number}.dcm",
        }[layout]
        write_image(folder / place, patient, side, view)
    return folder


@pytest.mark.parametrize("layout", ["client", "series", "cloud"])
def test_every_layout_gives_the_same_cohort(tmp_path, layout, own_store):
    write_all(tmp_path / "cmmd", layout)
    cohort = load_cohort("cmmd", tmp_path)
    assert [task for task in TASKS if not lacking(cohort, task, study=False)] == ["subtype"]
    assert cohort.dropped == {"breast without an image": 1}
    assert read_rows("cmmd", "quarantine")["check"].tolist() == ["dropped"]
    assert cells(cohort.manifest, "spacing_mm", "x_min", "shape") == [[0.094, None, None]] * 6
    assert sorted(cells(cohort.manifest, "case", "subtype", "pathology")) == [
        ["D1-0001_R_CC", None, "benign"], ["D1-0001_R_MLO", None, "benign"],
        ["D1-0002_L_CC", None, "malignant"], ["D2-0003_L_MLO", "Luminal-A", "malignant"],
        ["D2-0003_R_CC", "Basal-like", "malignant"], ["D2-0004_L_CC", "HER-2", "malignant"],
    ]  # fmt: skip


def test_images_that_the_table_does_not_speak_of_are_dropped_by_reason(tmp_path):
    folder = write_all(tmp_path / "set")
    inside = folder / "CMMD" / "D1-0001" / "date"
    write_image(inside / "1-8.dcm", "D1-0001", "L", "CC")  # the healthy breast
    write_image(inside / "1-9.dcm", "D1-0001", "R", "CC", ImageLaterality="")
    write_image(inside / "1-10.dcm", "D1-0001", "R", "CC")  # a second one has a name of its own
    write_image(inside / "1-11.dcm", "D1-0001", "R", "")
    write_image(folder / "CMMD" / "D1-0999" / "1-1.dcm", "D1-0999", "L", "CC")
    write_image(folder / "other" / "1-1.dcm", "D1-0001", "L", "CC", PatientID="Doe^Jane")
    (inside / "1-7.dcm").write_bytes(b"DICM" * 100)
    table, dropped = build_manifest(folder)
    assert len(table) == len(IMAGES) + 2
    assert {"D1-0001_R_CC", "D1-0001_R_CC_2", "D1-0001_R_unknown"} <= set(validate(table)["case"])
    assert sorted(dropped.values()) == [1, 1, 1, 1, 2]
    assert dropped["file of no patient of the table"] == 2
    text = str(table.attrs["dropped"])
    assert "Doe" not in text
    assert "CMMD/D1-0001/date/1-7.dcm" in text


@pytest.mark.parametrize(("old", "new", "words"), [
    ("LeftRight", "Left", "leftright missing"), ("D1-0001", "../0001", r"id1: .*row 2\)"),
    ("Luminal A", "Luminal C", r"subtype: .*row 4\)"),
    ("Benign,", "Benign,Luminal A", r"subtype: .*row 2\)"),
    ("D1-0002,L", "D1-0001,R", r"id1, leftright: .*row 3\)"),
])  # fmt: skip
def test_faults_of_the_table(tmp_path, old, new, words):
    (tmp_path / cmmd.TABLES[0]).write_text(TABLE)
    refused(read_breasts, tmp_path, swap("*.csv", old, new), words)
