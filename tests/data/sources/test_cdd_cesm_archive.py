"""CDD-CESM in the archive's layout, written by the test; its known faults one by one."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pandas as pd
import pytest
from openpyxl import Workbook

from mammostudy.data import manifest
from mammostudy.data.load import load_cohort
from mammostudy.data.sources.cdd_cesm_archive import build_manifest, read_findings
from mammostudy.data.sources.cdd_cesm_contours import outline_points
from mammostudy.errors import DataError

pytestmark = pytest.mark.usefixtures("own_store")
LOW, SUBTRACTED = "Low energy images of CDD-CESM", "Subtracted images of CDD-CESM"
CONTOURS = "Radiology_hand_drawn_segmentations_v2.csv"
BOOK = "Radiology-manual-annotations.xlsx"
OTHER_MODALITY = "contours of the other modality (never mixed)"
HEIGHT, WIDTH = 240, 160
DISC = {"name": "circle", "cx": 80, "cy": 120, "r": 20}
OVAL = {"name": "ellipse", "cx": 60, "cy": 60, "rx": 30, "ry": 15}
SQUARE = {"name": "polygon", "all_points_x": [20, 60, 60, 20], "all_points_y": [150, 150, 200, 200]}
RING = {"name": "polyline", "all_points_x": [90, 140, 140, 90, 90],
        "all_points_y": [150, 150, 190, 190, 152]}  # fmt: skip


def write_image(folder: Path, name: str, seed: int) -> None:
    folder.mkdir(exist_ok=True)
    noise = np.random.default_rng(seed).standard_normal((HEIGHT, WIDTH))
    noise = cv2.GaussianBlur(noise, (0, 0), 6)
    pixels = np.clip(110 + 35 * noise / noise.std(), 0, 255).astype(np.uint8)
    cv2.imwrite(str(folder / f"{name}.jpg"), pixels)


def write_contours(folder: Path, drawn: list[tuple[str, list[dict[str, Any]]]]) -> None:
    with (folder / CONTOURS).open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(["#filename", "file_size", "file_attributes", "region_count", "region_id",
                         "region_shape_attributes", "region_attributes"])  # fmt: skip
        for name, regions in drawn:
            for number, region in enumerate(regions or [{}]):
                count = len(regions)
                writer.writerow([name, 1, "{}", count, number, json.dumps(region), "{}"])


def write_tables(folder: Path, images: dict[str, str], sheets: dict[str, list[list[str]]]) -> None:
    book = Workbook()
    first = book.active
    assert first is not None
    first.title = "all"
    first.append(["Image_name", "Patient_ID", "Side", "Type", "Findings",
                  "Pathology Classification/ Follow up"])  # fmt: skip
    for name, pathology in images.items():
        patient, side, kind, _ = name.split("_")
        first.append([f"{name} ", int(patient[1:]), side, kind, "as drawn$and told", pathology])
    for title, rows in sheets.items():
        sheet = book.create_sheet(title)
        shape = "Mass enhancement shape" if "enhancement" in title else "Mass shape"
        sheet.append(["Image_name", shape, "Mass margin"])
        for row in rows:
            sheet.append(row)
    book.save(folder / BOOK)


SHEETS = {
    "mass_description": [["P1_L_DM_CC", "Round", "x"], ["P1_L_DM_MLO ", "Round - Oval", "x"],
                         ["P2_R_DM_CC", "Irregular", "x"], ["P4_L_DM_CC", "Oval", "x"]],
    "mass enhancement_description": [["P1_L_CM_CC", "Irregular", "x"]],
    "calcifications": [["P2_R_DM_CC", "fine", ""]],
}  # fmt: skip
IMAGES = {"P1_L_DM_CC": "Malignant", "P1_L_DM_MLO": "Malignant", "P1_L_CM_CC": "Malignant",
          "P2_R_DM_CC": "Benign", "P3_R_DM_CC": "Normal", "P4_L_DM_CC": "Benign"}  # fmt: skip
DRAWN: list[tuple[str, list[dict[str, Any]]]] = [
    ("P1_L_DM_CC.jpg", [DISC]), ("P1_L_DM_MLO .jpg", [OVAL, SQUARE]), ("P1_L_CM_CC.jpg", [DISC]),
    ("P2_R_DM_CC.jpg", [RING, {"name": "point", "cx": 5, "cy": 5}]), ("P3_R_DM_CC.jpg", []),
    ("P4_L_DM_CC.jpg", [{"name": "circle", "cx": 40, "cy": 40, "r": 2}]),
    ("P9_L_DM_CC.jpg", [DISC]),
]  # fmt: skip


@pytest.fixture
def published(tmp_path: Path) -> Path:
    folder = tmp_path / "cdd-cesm-archive"
    folder.mkdir()
    for seed, name in enumerate(IMAGES):
        write_image(folder / (LOW if "DM" in name else SUBTRACTED), name, seed)
    write_contours(folder, DRAWN)
    write_tables(folder, IMAGES, SHEETS)
    return folder


def test_masses_views_and_what_is_dropped(published: Path) -> None:
    table, dropped = build_manifest(published)
    table = manifest.validate(table).set_index("case")
    assert table["shape"].astype(object).where(table["shape"].notna(), None).to_dict() == {
        "P1_L_DM_CC_0": "round", "P1_L_DM_MLO_0": None, "P1_L_DM_MLO_1": None,
        "P2_R_DM_CC_0": None, "P3_R_DM_CC_view": None,
    }  # fmt: skip
    assert table["x_min"].notna().tolist() == [True, True, True, True, False]
    assert set(table["image"]) == {f"{LOW}/{name}.jpg" for name in IMAGES
                                   if "DM" in name and "P4" not in name}  # fmt: skip
    assert dropped == {
        OTHER_MODALITY: 1, "points (a mark, no outline)": 1,
        "smaller than 100 px": 1, "contours of images that are not there": 1,
        "image whose masses were all dropped": 1,
    }  # fmt: skip
    assert table["pathology"]["P3_R_DM_CC_view"] == "unknown"
    assert table["patient"].tolist() == ["P1", "P1", "P1", "P2", "P3"]
    assert (table["height"] == HEIGHT).all()
    assert (table["width"] == WIDTH).all()


def test_the_cohort_passes_every_check(published: Path) -> None:
    cohort = load_cohort("cdd-cesm-archive", published.parent)
    assert len(cohort) == 4
    disc = cohort.sample("P1_L_DM_CC_0")
    assert disc.mask.sum() == pytest.approx(np.pi * 400, rel=0.06)
    assert disc.box == (60, 100, 101, 141)
    assert cohort.manifest_hash == load_cohort("cdd-cesm-archive", published).manifest_hash


@pytest.mark.parametrize(("cell", "shape"), [
    ("Rounded", "round"), ("Oval- Rounded", None), ("Irregular$Irregular", "irregular"),
    ("lobulated", None), ("_", None), ("", None),
])  # fmt: skip
def test_words_of_the_shape(cell: str, shape: str | None, published: Path) -> None:
    write_tables(published, IMAGES, SHEETS | {"mass_description": [["P1_L_DM_CC", cell, ""]]})
    found = read_findings(published)["P1_L_DM_CC"]
    assert (found.mass, found.shape, found.pathology) == (True, shape, "malignant")


def test_a_mass_inside_another_and_other_slivers(published: Path) -> None:
    inner = DISC | {"r": 12}
    sliver = {"name": "ellipse", "cx": 60, "cy": 60, "rx": 50, "ry": 8}
    cross = {"name": "polygon", "all_points_x": [20, 60, 60, 23], "all_points_y": [20, 20, 60, 23]}
    away = DISC | {"cx": 159}
    drawn = [("P1_L_DM_CC.jpg", [DISC, inner, sliver, cross, away])]
    write_contours(published, drawn)
    table, dropped = build_manifest(published)
    assert table[table["outline"].notna()]["case"].tolist() == ["P1_L_DM_CC_0", "P1_L_DM_CC_3"]
    assert dropped["inside another mass"] == dropped["box aspect above 3"] == 1
    assert dropped["outline that leaves the image"] == 1


def test_a_copy_of_an_image(published: Path) -> None:
    write_image(published / "copies", "P1_L_DM_CC", 0)
    with pytest.raises(DataError, match=r"P1_L_DM_CC.jpg: the same image as .*keep one"):
        build_manifest(published)


@pytest.mark.parametrize(("old", "new", "words"), [
    ('""r"": 20', '""r"": 1e99', "row 2, region_shape_attributes: .*no number of pixels"),
    ('""circle""', '""blob""', "row 2, region_shape_attributes: .*blob"),
    ("#filename", "file", "#filename missing"),
])  # fmt: skip
def test_faults_of_the_contours(old: str, new: str, words: str, published: Path) -> None:
    path = published / CONTOURS
    path.write_text(path.read_text().replace(old, new))
    with pytest.raises(DataError, match=words):
        build_manifest(published)


def test_faults_of_the_tables(published: Path) -> None:
    write_tables(published, IMAGES | {"P3_R_DM_CC": "odd"}, SHEETS)
    with pytest.raises(DataError, match=r"pathology: not a word of this column \(row 6\)"):
        build_manifest(published)
    write_tables(published, IMAGES, {"calcifications": [["P2_R_DM_CC", "fine", ""]]})
    with pytest.raises(DataError, match=r"sheet\(s\) mass_description, mass_enhancement_desc"):
        build_manifest(published)


def test_real_contours_lie_where_the_development_part_has_them(real_data: Path) -> None:
    """Regions of the original grid, mapped as their README says, are the published outlines."""
    folder = real_data / "cdd-cesm"
    images = pd.read_csv(folder / "images.csv").set_index("image")
    lines = (folder / "outlines.jsonl").read_text().splitlines()
    small = {(row["image"], row["region_id"]): row["points"] for row in map(json.loads, lines)}
    compared = 0
    for line in (folder / "contours.jsonl").read_text().splitlines():
        row = json.loads(line)
        points = outline_points(row["geometry"])
        published = small.get((row["image"], row["region"]))
        if published is None or compared == 200:
            continue
        at = images.loc[row["image"]]
        mapped = points * at["px_per_original_px"] + [at["offset_x"], at["offset_y"]]
        outline = np.array(published, float)
        assert np.abs(mapped.min(axis=0) - outline.min(axis=0)).max() < 1.5
        assert np.abs(mapped.max(axis=0) - outline.max(axis=0)).max() < 1.5
        compared += 1
    assert compared == 200
