"""CDD-CESM in the archive's layout, written by the test; its known faults one by one."""

import json

import numpy as np
import pandas as pd
import pytest
from writers import cells, noise, refused, swap, write_picture

from mammostudy.data import manifest
from mammostudy.data.load import load_cohort
from mammostudy.data.sources.cdd_cesm_archive import build_manifest, read_findings

pytestmark = pytest.mark.usefixtures("own_store")
LOW, SUBTRACTED = "Low energy images of CDD-CESM", "Subtracted images of CDD-CESM"
CONTOURS = "Radiology_hand_drawn_segmentations_v2.csv"
HEIGHT, WIDTH = 240, 160
DISC = {"name": "circle", "cx": 80, "cy": 120, "r": 20}
OVAL = {"name": "ellipse", "cx": 60, "cy": 60, "rx": 30, "ry": 15}
SQUARE = {"name": "polygon", "all_points_x": [20, 60, 60, 20], "all_points_y": [150, 150, 200, 200]}
RING = {"name": "polyline", "all_points_x": [90, 140, 140, 90, 90],
        "all_points_y": [150, 150, 190, 190, 152]}  # fmt: skip
SHEETS = {
    "mass_description": [["P1_L_DM_CC", "Round"], ["P1_L_DM_MLO ", "Round - Oval"],
                         ["P2_R_DM_CC", "Irregular"], ["P4_L_DM_CC", "Oval"]],
    "mass enhancement_description": [["P1_L_CM_CC", "Irregular"]],
    "calcifications": [["P2_R_DM_CC", "fine"]],
}  # fmt: skip
IMAGES = {"P1_L_DM_CC": "Malignant", "P1_L_DM_MLO": "Malignant", "P1_L_CM_CC": "Malignant",
          "P2_R_DM_CC": "Benign", "P3_R_DM_CC": "Normal", "P4_L_DM_CC": "Benign"}  # fmt: skip
DRAWN = {
    "P1_L_DM_CC.jpg": [DISC], "P1_L_DM_MLO .jpg": [OVAL, SQUARE], "P1_L_CM_CC.jpg": [DISC],
    "P2_R_DM_CC.jpg": [RING, {"name": "point", "cx": 5, "cy": 5}], "P3_R_DM_CC.jpg": [{}],
    "P4_L_DM_CC.jpg": [{"name": "circle", "cx": 40, "cy": 40, "r": 2}], "P9_L_DM_CC.jpg": [DISC],
}  # fmt: skip


def write_contours(folder, drawn):
    rows = [
        {"#filename": name, "file_size": 1, "file_attributes": "{}", "region_count": len(regions),
         "region_id": number, "region_shape_attributes": json.dumps(region)}
        for name, regions in drawn.items() for number, region in enumerate(regions)
    ]  # fmt: skip
    pd.DataFrame(rows).to_csv(folder / CONTOURS, index=False)


def write_tables(folder, images=IMAGES, sheets=SHEETS):
    with pd.ExcelWriter(folder / "Radiology-manual-annotations.xlsx") as book:
        rows = [[f"{name} ", name.split("_")[0], said] for name, said in images.items()]
        names = ["Image_name", "Patient_ID", "Pathology Classification/ Follow up"]
        pd.DataFrame(rows, columns=names).to_excel(book, sheet_name="all", index=False)
        for title, lines in sheets.items():
            shape = "Mass enhancement shape" if "enhancement" in title else "Mass shape"
            table = pd.DataFrame(lines, columns=["Image_name", shape])
            table.to_excel(book, sheet_name=title, index=False)


@pytest.fixture
def published(tmp_path):
    folder = tmp_path / "cdd-cesm-archive"
    for seed, name in enumerate(IMAGES):
        path = folder / (LOW if "DM" in name else SUBTRACTED) / f"{name}.jpg"
        write_picture(path, noise((HEIGHT, WIDTH), seed))
    write_contours(folder, DRAWN)
    write_tables(folder)
    return folder


def test_masses_views_and_what_is_dropped(published):
    table, counts = build_manifest(published)
    table = manifest.validate(table)
    assert cells(table, "case", "patient", "shape", "pathology", "height", "width") == [
        ["P1_L_DM_CC_0", "P1", "round", "malignant", HEIGHT, WIDTH],
        ["P1_L_DM_MLO_0", "P1", None, "malignant", HEIGHT, WIDTH],
        ["P1_L_DM_MLO_1", "P1", None, "malignant", HEIGHT, WIDTH],
        ["P2_R_DM_CC_0", "P2", None, "benign", HEIGHT, WIDTH],
        ["P3_R_DM_CC_view", "P3", None, "unknown", HEIGHT, WIDTH],
    ]
    assert table["x_min"].notna().tolist() == [True, True, True, True, False]
    assert counts == {
        "contours of the other modality (never mixed)": 1, "points (a mark, no outline)": 1,
        "smaller than 100 px": 1, "contours of images that are not there": 1,
        "image whose masses were all dropped": 1,
    }  # fmt: skip
    cohort = load_cohort("cdd-cesm-archive", published.parent)  # every check is passed
    assert len(cohort) == 4
    disc = cohort.sample("P1_L_DM_CC_0")
    assert disc.mask.sum() == pytest.approx(np.pi * 400, rel=0.06)
    assert disc.box == (60, 100, 101, 141)


@pytest.mark.parametrize(("cell", "shape"), [
    ("Rounded", "round"), ("Oval- Rounded", None), ("Irregular$Irregular", "irregular"),
    ("lobulated", None), ("_", None), ("", None),
])  # fmt: skip
def test_words_of_the_shape(cell, shape, published):
    write_tables(published, IMAGES, SHEETS | {"mass_description": [["P1_L_DM_CC", cell]]})
    found = read_findings(published)["P1_L_DM_CC"]
    assert found == {"mass": True, "shape": shape, "pathology": "malignant"}


def test_a_mass_inside_another_and_other_slivers(published):
    sliver = {"name": "ellipse", "cx": 60, "cy": 60, "rx": 50, "ry": 8}
    cross = {"name": "polygon", "all_points_x": [20, 60, 60, 23], "all_points_y": [20, 20, 60, 23]}
    inner, away = DISC | {"r": 12}, DISC | {"cx": 159}
    write_contours(published, {"P1_L_DM_CC.jpg": [DISC, inner, sliver, cross, away, DISC]})
    table, dropped = build_manifest(published)
    assert table[table["outline"].notna()]["case"].tolist() == ["P1_L_DM_CC_0", "P1_L_DM_CC_3"]
    assert dropped["inside another mass"] == 2  # of equal ones the first stays
    assert dropped["box aspect above 3"] == dropped["outline that leaves the image"] == 1


@pytest.mark.parametrize(("change", "words"), [
    (swap("*.csv", '""r"": 20', '""r"": 1e99'), "row 2, region_shape_attributes"),
    (swap("*.csv", '""circle""', '""blob""'), "row 2, region_shape_attributes: .*blob"),
    (swap("*.csv", "#filename", "file"), "#filename missing"),
    (lambda at: write_tables(at, IMAGES | {"P3_R_DM_CC": "odd"}), r"pathology: .*row 6\)"),
    (lambda at: write_tables(at, IMAGES, {"calcifications": []}), "mass_description, mass_enhanc"),
    (lambda at: write_picture(at / "copies/P1_L_DM_CC.jpg", noise((HEIGHT, WIDTH), 0)),
     r"P1_L_DM_CC.jpg: the same image"),
])  # fmt: skip
def test_faults_of_the_folder(published, change, words):
    refused(build_manifest, published, change, words)
