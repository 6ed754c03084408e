"""CDD-CESM's contours: the rule on lines that the test writes, and the counts on the real file."""

import json
import math

import cv2
import numpy as np
import pandas as pd
import pytest
from writers import cells, refused

from mammostudy.data.load import load_cohort
from mammostudy.data.manifest import BOX
from mammostudy.data.sources.cdd_cesm_contours import outline_points, read_contours
from mammostudy.data.sources.files import RejectedError

NO_SHAPE, OTHER_FINDINGS = "no single shape label", "image with findings other than masses"
ELLIPSE = {"name": "ellipse", "cx": 388, "cy": 907, "rx": 103, "ry": 107}
CIRCLE = {"name": "circle", "cx": 767, "cy": 1286, "r": 83}


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


def write(folder, lines):
    (folder / "contours.jsonl").write_text("".join(json.dumps(one) + "\n" for one in lines))
    return folder


def test_the_rule_keeps_single_shapes_and_counts_the_rest(tmp_path):
    cohort = read_contours("c", write(tmp_path, LINES), "DM")
    assert cohort.dropped == {NO_SHAPE: 2, OTHER_FINDINGS: 1, "degenerate geometry": 3}
    assert cells(cohort.masses, "case", "tool", "shape", "pathology", *BOX) == [
        ["P2_R_DM_CC_0", "ellipse", "round", "malignant", 285, 800, 492, 1015],
        ["P2_R_DM_CC_1", "circle", "oval", "benign", 684, 1203, 851, 1370],
        ["P2_R_DM_CC_2", "polygon", "irregular", "malignant", 100, 200, 161, 241],
    ]
    said = cells(cohort.masses, "patient", "site", "image", "view", "side", "modality", "subtype")
    assert said == [["P2", "cdd-cesm", "P2_R_DM_CC", "CC", "R", "DM", None]] * 3
    assert (cohort.masses[list(BOX)].dtypes == "int64").all()


@pytest.mark.parametrize("fields", [
    {"image": "scan 7"}, {"patient": 3}, {"view": "MLO"}, {"region": 1}, {"mass_shape": "lobular"},
    {"pathology": "odd"}, {"geometry": {"name": "rect"}}, {"geometry": CIRCLE | {"r": None}},
    {"geometry": CIRCLE | {"cx": 10**6}}, {"geometry": SQUARE | {"all_points_x": [3]}},
    b"oops\n", b"\xff\xfe\n", b"",
])  # fmt: skip
def test_a_bad_line_is_named(tmp_path, fields):
    one, good = line(2, 1, SQUARE), line(2, 0, SQUARE)
    write(tmp_path, [one, good])

    def change(folder):
        if isinstance(fields, bytes):
            (folder / "contours.jsonl").write_bytes(fields)
        else:
            write(folder, [one, good | fields])

    words = "" if isinstance(fields, bytes) else ": line 2"
    refused(lambda at: read_contours("c", at, "DM"), tmp_path, change, rf"contours\.jsonl{words}")


POLYLINE = {"name": "polyline", "all_points_x": [10, 30, 30, 10], "all_points_y": [5, 5, 9, 6]}
TURNED = {"name": "ellipse", "cx": 50, "cy": 50, "rx": 20, "ry": 10, "theta": math.pi / 2}


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
