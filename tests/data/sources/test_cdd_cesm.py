"""CDD-CESM, images and contours alone: the rule on what the test writes, counts on real files."""

import json
import math
import os

import cv2
import numpy as np
import pandas as pd
import pytest
from writers import cells, noise, put, refused, remove, swap, write_picture

from mammostudy.data import manifest
from mammostudy.data.load import load_cohort
from mammostudy.data.sources.cdd_cesm import build_manifest
from mammostudy.data.sources.cdd_cesm_contours import outline_points, read_contours
from mammostudy.data.sources.files import RejectedError
from mammostudy.imaging.contours import fill_outline

TOGETHER = "regions not told apart (counted in images)"
REASONS = (
    "image without a mass", "fills less than 35% of its box", "smaller than 100 px",
    "box aspect above 3", "inside another mass", TOGETHER,
)  # fmt: skip
NO_SHAPE, OTHER_FINDINGS = "no single shape label", "image with findings other than masses"
ELLIPSE = {"name": "ellipse", "cx": 388, "cy": 907, "rx": 103, "ry": 107}
CIRCLE = {"name": "circle", "cx": 767, "cy": 1286, "r": 83}
POLYLINE = {"name": "polyline", "all_points_x": [10, 30, 30, 10], "all_points_y": [5, 5, 9, 6]}
TURNED = {"name": "ellipse", "cx": 50, "cy": 50, "rx": 20, "ry": 10, "theta": math.pi / 2}


def square(x, y, width, height):
    return [[x, y], [x + width, y], [x + width, y + height], [x, y + height]]


CORNER = [[200, 300], [205, 300], [205, 395], [300, 395], [300, 400], [200, 400]]  # a tenth


class Layout:
    """Writes the published format: images.csv, regions.csv, outlines.jsonl, images/*.jpg."""

    def __init__(self, folder):
        self.folder = folder
        self.images, self.regions, self.outlines = [], [], []

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


@pytest.mark.parametrize("file", ["regions.csv", "images/P1_L_DM_CC.jpg"])
def test_a_set_as_it_stands_is_read_again_where_a_file_changes(file, layout):
    root = layout.write().parent
    first = load_cohort("cdd-cesm", root)
    assert load_cohort("cdd-cesm", root) is first
    os.utime(layout.folder / file, (1, 1))
    again = load_cohort("cdd-cesm", root)
    assert again is not first
    assert again.manifest_hash == first.manifest_hash


def test_views_without_a_mass_stand_beside_the_masses(layout):
    free, lost, unmarked = (layout.image(patient) for patient in (4, 5, 6))
    layout.region(free, square(50, 50, 60, 40), mass_image=False)
    layout.region(lost, square(50, 50, 8, 8))  # its only mass is too small to count
    layout.write()
    masses, dropped = build_manifest(layout.folder, "DM")
    table, told = build_manifest(layout.folder, "DM", free_views=True)
    checked = manifest.validate(table)
    with_box = checked[checked["x_min"].notna()].reset_index(drop=True)
    pd.testing.assert_frame_equal(with_box, manifest.validate(masses))
    empty = checked[checked["x_min"].isna()]
    assert cells(empty, "case", "image", "patient", "mask", "outline", "shape") == [
        [f"{name}_view", f"images/{name}.jpg", patient, None, None, None]
        for name, patient in ((free, "P4"), (unmarked, "P6"))
    ]
    del dropped["image without a mass"]
    assert told == dropped | {"image whose masses were all dropped": 1}
    assert not checked["image"].str.contains("P3_").any()  # its regions are not told apart


@pytest.mark.parametrize(("fault", "words"), [
    (put("regions.csv", ""), "regions.csv.*area_px.*missing"),
    (swap("regions.csv", "100", "a"), "regions.csv: .*x_min.*row 2"),
    (put("outlines.jsonl", '{"image": "a"}\n'), "outlines.jsonl.*region_id"),
    (put("outlines.jsonl", ""), r"outlines.jsonl.*'P1_L_DM_CC', '0'"),
    (remove("P2_L_DM_CC.jpg"), "P2_L_DM_CC.jpg"),
    (lambda folder: write_picture(folder / "images/P1_L_DM_CC.jpg", noise((9, 9), 0)),
     "P1_L_DM_CC.jpg.*512x512"),
])  # fmt: skip
def test_faults_of_the_folder(layout, fault, words):
    refused(lambda folder: build_manifest(folder, "DM"), layout.write(), fault, words)


def test_real_masses_and_views_by_the_rule_and_never_of_both_kinds_of_image(real_data):
    table, dropped = build_manifest(real_data / "cdd-cesm", "DM")
    assert (len(table), table["patient"].nunique()) == (285, 71)
    assert dropped == dict(zip(REASONS, (240, 56, 10, 5, 14, 45), strict=True))
    regions = pd.read_csv(real_data / "cdd-cesm" / "regions.csv").query("modality == 'DM'")
    # every region is a mass or dropped for one reason
    assert len(regions) == len(table) + sum(dropped.values()) - dropped[TOGETHER]
    low, subtracted = (load_cohort(name, real_data) for name in ("cdd-cesm", "cdd-cesm-cm"))
    assert (len(low), len(subtracted)) == (285, 447)
    assert not set(low.manifest["image_sha256"]) & set(subtracted.manifest["image_sha256"])
    table, dropped = build_manifest(real_data / "cdd-cesm", "DM", free_views=True)
    free, shown = (table.loc[table["x_min"].isna() == empty, "image"] for empty in (True, False))
    assert (len(shown), len(free), free.nunique()) == (285, 99, 99)
    assert not set(free) & set(shown)
    images = pd.read_csv(real_data / "cdd-cesm" / "images.csv").query("modality == 'DM'")
    told_apart = (images["mask_kind"] == "instances").sum()
    assert told_apart == table["image"].nunique() + dropped["image whose masses were all dropped"]


def polygon(*points):
    x, y = zip(*points, strict=True)
    return {"name": "polygon", "all_points_x": list(x), "all_points_y": list(y)}


SQUARE = polygon((100, 200), (160, 200), (160, 240), (100, 240), (100, 200))


def line(patient, region, drawn, **fields):
    """A line of contours.jsonl as published."""
    modality = fields.get("type", "DM")
    return {
        "image": f"P{patient}_R_{modality}_CC", "patient": patient, "type": modality,
        "view": "CC", "region": region, "mass_shape": "round", "pathology": "Malignant",
        "only_mass_findings": True, "geometry": drawn,
    } | fields  # fmt: skip


LINES = [
    line(2, 0, ELLIPSE),
    line(2, 1, CIRCLE, mass_shape="oval", pathology="Benign"),
    line(2, 2, SQUARE, mass_shape="irregular"),
    line(3, 0, SQUARE, mass_shape=None),
    line(3, 1, SQUARE, mass_shape=None, only_mass_findings=False),
    line(4, 0, SQUARE, only_mass_findings=False),
    line(5, 0, polygon((1, 1), (9, 9), (5, 5))),
    line(5, 1, polygon((1, 1), (9, 1))),
    line(5, 2, CIRCLE | {"r": 0}),
    line(2, 0, SQUARE, type="CM"),
]


def write_contours(folder, lines):
    (folder / "contours.jsonl").write_text("".join(json.dumps(one) + "\n" for one in lines))
    return folder


def test_the_rule_keeps_single_shapes_and_counts_the_rest(tmp_path):
    cohort = read_contours("c", write_contours(tmp_path, LINES), "DM")
    assert cohort.dropped == {NO_SHAPE: 2, OTHER_FINDINGS: 1, "degenerate geometry": 3}
    assert cells(cohort.masses, "case", "tool", "shape", "pathology", *manifest.BOX) == [
        ["P2_R_DM_CC_0", "ellipse", "round", "malignant", 285, 800, 492, 1015],
        ["P2_R_DM_CC_1", "circle", "oval", "benign", 684, 1203, 851, 1370],
        ["P2_R_DM_CC_2", "polygon", "irregular", "malignant", 100, 200, 161, 241],
    ]
    said = cells(cohort.masses, "patient", "site", "image", "view", "side", "modality", "subtype")
    assert said == [["P2", "cdd-cesm", "P2_R_DM_CC", "CC", "R", "DM", None]] * 3


def lines_with(fields):
    return lambda at: write_contours(at, [line(2, 1, SQUARE), line(2, 0, SQUARE) | fields])


@pytest.mark.parametrize(("change", "words"), [
    *[(lines_with(fields), ": line 2") for fields in (
        {"image": "scan 7"}, {"patient": 3}, {"view": "MLO"}, {"region": 1}, {"pathology": "odd"},
        {"mass_shape": "lobular"}, {"geometry": {"name": "rect"}},
        {"geometry": CIRCLE | {"r": None}}, {"geometry": CIRCLE | {"cx": 10**6}},
        {"geometry": SQUARE | {"all_points_x": [3]}},
    )],
    *[(put("contours.jsonl", content), "") for content in (b"oops\n", b"\xff\xfe\n", b"")],
])  # fmt: skip
def test_a_bad_line_is_named(tmp_path, change, words):
    lines_with({})(tmp_path)
    refused(lambda at: read_contours("c", at, "DM"), tmp_path, change, rf"contours\.jsonl{words}")


@pytest.mark.parametrize(("drawn", "area"), [
    (SQUARE, 2400), (POLYLINE, 50), (CIRCLE, math.pi * 83**2), (TURNED, math.pi * 200),
    ({"name": "point", "cx": 3, "cy": 4}, None),
    (POLYLINE | {"all_points_y": [5, 5, 25, 25]}, None),  # a side of the line is apart
])  # fmt: skip
def test_outlines_of_the_drawing_tools(drawn, area):
    if area is None:
        with pytest.raises(RejectedError):
            outline_points(drawn)
        return
    points = outline_points(drawn)
    assert cv2.contourArea(points.astype(np.float32)) == pytest.approx(area, rel=2e-3)
    if drawn is TURNED:
        assert np.ptp(points, axis=0) == pytest.approx([20, 40], rel=1e-3)


def test_real_contours_by_the_rule(real_data):
    low = load_cohort("cdd-cesm-contours", real_data)
    patients = low.masses.groupby("shape")["patient"].nunique().to_dict()
    assert patients == {"irregular": 29, "oval": 25, "round": 25}
    assert low.dropped == {NO_SHAPE: 116, OTHER_FINDINGS: 458}
    subtracted = load_cohort("cdd-cesm-contours-cm", real_data)
    assert (len(low), len(subtracted)) == (258, 512)
    assert not set(low.masses.index) & set(subtracted.masses.index)


def test_real_contours_are_those_of_the_imaged_cohort(real_data):
    """Outlines of the original grid, mapped as their README says, are those of the regions."""
    folder = real_data / "cdd-cesm"
    images = pd.read_csv(folder / "images.csv").set_index("image")
    tools = pd.read_csv(folder / "regions.csv").set_index(["image", "region_id"])["drawing_tool"]
    drawn, small = (
        {(row["image"], row[number]): row for row in map(json.loads, (folder / name).open())}
        for name, number in (("contours.jsonl", "region"), ("outlines.jsonl", "region_id"))
    )
    shared = sorted(drawn.keys() & small.keys())
    assert len(shared) > 500
    for key in shared[::3]:
        at, outline = images.loc[key[0]], np.array(small[key]["points"], float)
        points = outline_points(drawn[key]["geometry"]) * at["px_per_original_px"]
        points += [at["offset_x"], at["offset_y"]]
        for end in (np.min, np.max):  # the same, resampled
            assert np.abs(end(points, axis=0) - end(outline, axis=0)).max() < 1.5
        assert drawn[key]["geometry"]["name"] == tools[key]
        assert drawn[key]["patient"] == at["patient_id"]
    imaged = load_cohort("cdd-cesm", real_data).masses
    outlined = load_cohort("cdd-cesm-contours", real_data).masses
    both = imaged.index.intersection(outlined.index)
    assert len(both) > 80
    same = ("patient", "shape")
    assert cells(imaged.loc[both], *same) == cells(outlined.loc[both], *same)
