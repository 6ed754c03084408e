"""CDD-CESM: the rule on a layout that the test writes, and the counts on the real tables."""

import json

import numpy as np
import pandas as pd
import pytest
from writers import cells, noise, put, refused, remove, swap, write_picture

from mammostudy.data import manifest
from mammostudy.data.load import load_cohort
from mammostudy.data.sources.cdd_cesm import build_manifest, build_views
from mammostudy.imaging.contours import fill_outline

TOGETHER = "regions not told apart (counted in images)"
REASONS = (
    "image without a mass", "fills less than 35% of its box", "smaller than 100 px",
    "box aspect above 3", "inside another mass", TOGETHER,
)  # fmt: skip


def square(x, y, width, height):
    return [[x, y], [x + width, y], [x + width, y + height], [x, y + height]]


CORNER = [[200, 300], [205, 300], [205, 395], [300, 395], [300, 400], [200, 400]]  # a tenth


class Layout:
    """Writes the published format: images.csv, regions.csv, outlines.jsonl, images/*.jpg."""

    def __init__(self, folder):
        self.folder = folder
        self.images = []
        self.regions = []
        self.outlines = []

    def image(self, patient, modality="DM", kind="instances"):
        name = f"P{patient}_L_{modality}_CC"
        write_picture(self.folder / "images" / f"{name}.jpg", noise((512, 512), len(self.images)))
        self.images.append(
            {"image": name, "patient_id": patient, "side": "L", "modality": modality,
             "view": "CC", "mask_kind": kind, "pathology": "malignant", "breast_density": "D"}
        )  # fmt: skip
        return name

    def region(self, image, points, **fields):
        number = sum(row["image"] == image for row in self.regions)
        (x0, y0), (x1, y1) = np.min(points, axis=0), np.max(points, axis=0)
        area = int(fill_outline(points, (512, 512)).sum())
        self.regions.append(
            {"image": image, "region_id": number, "x_min": x0, "y_min": y0, "x_max": x1 + 1,
             "y_max": y1 + 1, "area_px": area, "mass_image": True, "mass_shape": "irregular",
             "only_mass_findings": True} | fields
        )  # fmt: skip
        self.outlines.append({"image": image, "region_id": number, "points": points})

    def write(self):
        pd.DataFrame(self.images).to_csv(self.folder / "images.csv", index=False)
        pd.DataFrame(self.regions).to_csv(self.folder / "regions.csv", index=False)
        lines = [json.dumps(row) for row in self.outlines]
        (self.folder / "outlines.jsonl").write_text("\n".join(lines) + "\n")
        return self.folder


@pytest.fixture
def layout(tmp_path):
    made = Layout(tmp_path / "cdd-cesm")
    one = made.image(1)
    made.region(one, square(100, 100, 60, 40))
    made.region(one, square(300, 200, 50, 50), mass_shape="oval")
    made.region(one, square(110, 110, 20, 20))  # lies within the first
    made.region(one, square(10, 10, 8, 8))  # 81 px
    made.region(one, square(20, 400, 200, 12))  # a strand
    made.region(one, CORNER)
    made.region(one, square(400, 400, 40, 40), mass_image=False)
    two = made.image(2)
    made.region(two, square(60, 60, 40, 40), mass_shape="round", only_mass_findings=False)
    made.image(3, kind="binary")
    contrast = made.image(1, "CM")
    made.region(contrast, square(100, 100, 60, 40))
    return made


def test_the_rule_keeps_masses_and_counts_what_it_drops(layout):
    table, dropped = build_manifest(layout.write(), "DM")
    assert dropped == dict.fromkeys(REASONS, 1)
    assert cells(manifest.validate(table), "case", "patient", "shape", *manifest.BOX) == [
        ["P1_L_DM_CC_0", "P1", "irregular", 100, 100, 161, 141],
        ["P1_L_DM_CC_1", "P1", "oval", 300, 200, 351, 251],
        ["P2_L_DM_CC_0", "P2", None, 60, 60, 101, 101],  # findings other than masses
    ]
    assert json.loads(table["outline"][0]) == square(100, 100, 60, 40)


def test_low_energy_and_subtracted_images_never_meet(layout, own_store):
    root = layout.write().parent
    low, subtracted = load_cohort("cdd-cesm", root), load_cohort("cdd-cesm-cm", root)
    assert (len(low), len(subtracted)) == (3, 1)
    assert set(low.manifest["modality"]) == {"DM"}
    assert set(subtracted.manifest["modality"]) == {"CM"}
    assert low.manifest_hash != subtracted.manifest_hash
    sample = low.sample("P1_L_DM_CC_0")
    assert sample.mask.sum() == 61 * 41
    assert sample.truth_all.sum() == 61 * 41 + 51 * 51


def test_views_without_a_mass_stand_beside_the_masses(layout):
    free = layout.image(4)
    layout.region(free, square(50, 50, 60, 40), mass_image=False)
    lost = layout.image(5)
    layout.region(lost, square(50, 50, 8, 8))  # its only mass is too small to count
    unmarked = layout.image(6)
    layout.write()
    masses, dropped = build_manifest(layout.folder, "DM")
    table, told = build_views(layout.folder, "DM")
    checked = manifest.validate(table)
    with_box = checked[checked["x_min"].notna()].reset_index(drop=True)
    pd.testing.assert_frame_equal(with_box, manifest.validate(masses))
    empty = checked[checked["x_min"].isna()]
    assert cells(empty, "case", "image", "patient", "mask", "outline", "shape") == [
        [f"{name}_view", f"images/{name}.jpg", patient, None, None, None]
        for name, patient in ((free, "P4"), (unmarked, "P6"))
    ]
    del dropped["image without a mass"]
    assert told == dropped | {"images whose masses were all dropped": 1}
    assert not checked["image"].str.contains("P3_").any()  # its regions are not told apart


@pytest.mark.parametrize(("fault", "words"), [
    (put("regions.csv", ""), "regions.csv.*area_px.*missing"),
    (swap("regions.csv", "100", "a"), "regions.csv: .*x_min.*row 2"),
    (put("outlines.jsonl", '{"image": "a"}\n'), "outlines.jsonl.*region_id"),
    (put("outlines.jsonl", ""), r"outlines.jsonl: .*'P1_L_DM_CC', '0'"),
    (remove("P2_L_DM_CC.jpg"), "P2_L_DM_CC.jpg"),
    (lambda folder: write_picture(folder / "images/P1_L_DM_CC.jpg", noise((9, 9), 0)),
     "P1_L_DM_CC.jpg.*512x512"),
])  # fmt: skip
def test_faults_of_the_folder(layout, fault, words):
    refused(lambda folder: build_manifest(folder, "DM"), layout.write(), fault, words)


def test_real_masses_by_the_rule(real_data):
    table, dropped = build_manifest(real_data / "cdd-cesm", "DM")
    assert (len(table), table["patient"].nunique()) == (285, 71)
    assert dropped == dict(zip(REASONS, (240, 56, 10, 5, 14, 45), strict=True))
    regions = pd.read_csv(real_data / "cdd-cesm" / "regions.csv").query("modality == 'DM'")
    # every region is a mass or dropped for one reason
    assert len(regions) == len(table) + sum(dropped.values()) - dropped[TOGETHER]


def test_real_cohorts_are_two(real_data, own_store):
    low, subtracted = (load_cohort(name, real_data) for name in ("cdd-cesm", "cdd-cesm-cm"))
    assert (len(low), len(subtracted)) == (285, 447)
    assert not set(low.manifest["image_sha256"]) & set(subtracted.manifest["image_sha256"])


def test_real_views_without_a_mass(real_data):
    table, dropped = build_views(real_data / "cdd-cesm", "DM")
    free = table[table["x_min"].isna()]
    assert (len(table), len(free), free["image"].nunique()) == (384, 99, 99)
    assert not set(free["image"]) & set(table.loc[table["x_min"].notna(), "image"])
    images = pd.read_csv(real_data / "cdd-cesm" / "images.csv").query("modality == 'DM'")
    told_apart = (images["mask_kind"] == "instances").sum()
    assert told_apart == table["image"].nunique() + dropped["images whose masses were all dropped"]
