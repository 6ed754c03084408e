"""INbreast on folders that the tests write as published: faults, and files that are damaged."""

import plistlib

import numpy as np
import pandas as pd
import pytest
from writers import cells, dropped, link, put, refused, remove, swap, write_dicom

from mammostudy.data.load import load_cohort
from mammostudy.data.manifest import BOX, validate
from mammostudy.data.sources.inbreast import build_manifest
from mammostudy.imaging.contours import box_of

OUTSIDE, NO_AREA = "outline that leaves the image", "outline that encloses no area"
PATIENTS = ("6c613a14b80a8591", "036aff49b8ac84f0")
HEADER = "Patient ID;Patient age;Laterality;View;Acquisition date;File Name;ACR;Bi-Rads"


def rectangle(x, y, width, height):
    return [(x, y), (x + width, y), (x + width, y + height), (x, y + height)]


def roi(name, points, **fields):
    """One region as OsiriX writes it."""
    content = {
        "Area": 0.5, "Center": "(1.0, 2.0, 0.0)", "Dev": 3.25, "IndexInImage": 0, "Name": name,
        "NumberOfPoints": len(points),
        "Point_mm": [f"({x * 0.07:f}, {y * 0.07:f}, 0.000000)" for x, y in points],
        "Point_px": [f"({x:f}, {y:f})" for x, y in points], "Total": 1.0, "Type": 15,
    } | fields  # fmt: skip
    return {key: value for key, value in content.items() if value is not None}


def plist(*rois, **fields):
    image = {"ImageIndex": 0, "NumberOfROIs": len(rois), "ROIs": list(rois)} | fields
    return plistlib.dumps({"Images": [image]}, fmt=plistlib.FMT_XML)


ROIS = [
    roi("Mass", rectangle(10, 20, 12, 9)),
    roi("mass ", rectangle(30.25, 40.5, 10, 10)),
    roi("Calcification", [(5.0, 6.0)]),
    roi("Mass", [(7.0, 8.0)]),
    roi("Cluster", rectangle(1, 1, 8, 8)),
    roi("Espiculated Region", rectangle(2, 2, 8, 8)),
    roi(None, rectangle(3, 3, 8, 8)),
]
ROWS = [
    "removed;removed;R;CC;201001;20586908;3;5",
    "removed;removed;L;MLO;201001;20586934;     ;6",
    "removed;removed;R;MLO;200801;20586960;2;1",
]  # fmt: skip
DROPPED = {"region of a single point (calcification)": 2, "region without a name": 1,
           "region with another name than mass": 2}  # fmt: skip


def image(number, patient, view, shape=(80, 60)):
    pixels = np.random.default_rng(number).integers(0, 2**14, shape, np.uint16)
    name = f"AllDICOMs/{number}_{PATIENTS[patient]}_MG_{view}_ANON.dcm"
    return lambda root: write_dicom(root / name, pixels, 14, ImagerPixelSpacing=[0.07, 0.07])


def write_release(root):
    """Three mammograms of two sizes: two masses and more; one mass that leaves the edge; none."""
    image(20586908, 0, "R_CC")(root)
    image(20586934, 0, "L_ML", (96, 72))(root)
    image(20586960, 1, "R_ML")(root)
    (root / "AllXML").mkdir()
    (root / "AllXML" / "20586908.xml").write_bytes(plist(*ROIS))
    (root / "AllXML" / "20586934.xml").write_bytes(plist(roi("MASS", rectangle(60, 50, 11.6, 20))))
    (root / "INbreast.csv").write_bytes("\r\n".join([HEADER, *ROWS, ""]).encode())
    return root


@pytest.fixture
def release(tmp_path):
    return write_release(tmp_path / "INbreast Release 1.0")


def test_the_published_layout_becomes_a_cohort(release, own_store):
    table, counts = build_manifest(release)
    assert counts == DROPPED
    one, two = PATIENTS  # the second token of the file's name
    assert cells(validate(table), "case", "patient", "view", "side", "pathology", *BOX) == [
        ["20586908_1", one, "CC", "R", "unknown", 10, 20, 23, 30],
        ["20586908_2", one, "CC", "R", "unknown", 31, 41, 41, 51],
        ["20586934_1", one, "MLO", "L", "malignant", 60, 50, 72, 71],  # cut at the image's edge
        ["20586960", two, "MLO", "R", "unknown", *[None] * 4],
    ]
    said = cells(table, "height", "width", "spacing_mm", "shape", "subtype")
    assert said == [[h, w, 0.07, None, None] for h, w in [(80, 60)] * 2 + [(96, 72), (80, 60)]]
    cohort = load_cohort("inbreast", release)
    assert cohort.dropped == DROPPED
    first = cohort.sample("20586908_1")
    assert box_of(first.mask) == (10, 20, 23, 30)  # x comes first
    assert (first.mask.sum(), first.truth_all.sum()) == (13 * 10, 13 * 10 + 10 * 10)
    assert pd.isna(cohort.manifest.set_index("case").loc["20586960", "x_min"])
    drawn([(1, 1)], "Calcification")(release)  # alone: an image without masses
    assert "20586908" in build_manifest(release)[0]["case"].tolist()


def drawn(points, name="Mass", **fields):
    return put("20586908.xml", plist(roi(name, points, **fields)))


@pytest.mark.parametrize(("fault", "reason", "rows"), [
    (swap("*.csv", ROWS[2], ""), "does not list", 3),
    (swap("*.csv", ROWS[2], f"{ROWS[2]}\n{ROWS[0].replace('908', '909')}"), "without its image", 4),
    (remove("20586908.xml"), "no annotation file", 2),
    (swap("*.csv", ";R;CC", ";L;CC"), "disagree", 2), (swap("*.csv", ";CC", ";ML"), "disagree", 2),
    (drawn(rectangle(100, 2, 9, 9)), OUTSIDE, 2), (drawn([(1, 1), (9, 9)]), NO_AREA, 2),
    (drawn(rectangle(0, 0, 0.5, 0.5)), NO_AREA, 2),
    (drawn([(1, 1), (9, 9)]), "image whose masses were all dropped", 2),
    (lambda r: (r / "AllDICOMs" / "other.dcm").write_bytes(b""), "not of the set", 4),
])  # fmt: skip
def test_known_faults_drop_rows_by_reason(release, fault, reason, rows):
    assert len(dropped(build_manifest, release, fault, reason)) == rows


POINTS = [f"({x}, {y})" for x, y in rectangle(10, 20, 12, 9)]
ENTITY = plist(ROIS[0]).replace(b'.dtd">', b'.dtd" [<!ENTITY a "Mass">]>')


@pytest.mark.parametrize("damage", [
    lambda root: [put(f"{n}.xml", b"oops")(root) for n in (20586908, 20586934)],
    put("20586908.xml", plist(*ROIS)[:400]),
    put("20586908.xml", ENTITY.replace(b">Mass<", b">&a;<")),
    put("20586908.xml", plist(*ROIS, NumberOfROIs=8)),
    drawn(rectangle(10, 20, 12, 9), NumberOfPoints=5),
    drawn(rectangle(10, 20, 12, 9), Point_px=[*POINTS[:3], "(nan, 1)"]),
    drawn(rectangle(10, 20, 12, 9), Point_px=[*POINTS[:3], "(2, 3, 4)"]),
    link("20586908.xml"), link("20586908_*.dcm"), swap("*.csv", "File Name", "File"),
    swap("*.csv", "20586908", "../../etc/passwd"), swap("*.csv", "20586934", "20586908"),
    image(20586908, 1, "R_CC"), lambda root: (root / "AllDICOMs").rename(root / "DICOM"),
])  # fmt: skip
def test_a_damaged_file_is_refused_by_name(release, damage):
    refused(build_manifest, release, damage, str(release))
