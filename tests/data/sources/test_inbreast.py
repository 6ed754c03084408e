"""INbreast on folders that the tests write as published: faults, and files that are damaged."""

from __future__ import annotations

import plistlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from plain_dicom import write

from mammostudy.data.load import load_cohort
from mammostudy.data.manifest import validate
from mammostudy.data.sources import inbreast
from mammostudy.data.sources.inbreast import build_manifest
from mammostudy.errors import DataError

OUTSIDE, NO_AREA = "outline that leaves the image", "outline that encloses no area"
PATIENTS = ("6c613a14b80a8591", "036aff49b8ac84f0")
HEADER = "Patient ID;Patient age;Laterality;View;Acquisition date;File Name;ACR;Bi-Rads"
Point = tuple[float, float]


def rectangle(x: float, y: float, width: float, height: float) -> list[Point]:
    return [(x, y), (x + width, y), (x + width, y + height), (x, y + height)]


def roi(name: str | None, points: list[Point], **fields: Any) -> dict[str, Any]:
    """One region as OsiriX writes it."""
    content = {
        "Area": 0.5, "Center": "(1.0, 2.0, 0.0)", "Dev": 3.25, "IndexInImage": 0, "Max": 99.0,
        "Mean": 12.5, "Min": 0.0, "Name": name, "NumberOfPoints": len(points),
        "Point_mm": [f"({x * 0.07:f}, {y * 0.07:f}, 0.000000)" for x, y in points],
        "Point_px": [f"({x:f}, {y:f})" for x, y in points], "Total": 1.0, "Type": 15,
    } | fields  # fmt: skip
    return {key: value for key, value in content.items() if value is not None}


def plist(rois: list[dict[str, Any]], **fields: Any) -> bytes:
    image = {"ImageIndex": 0, "NumberOfROIs": len(rois), "ROIs": rois} | fields
    return plistlib.dumps({"Images": [image]}, fmt=plistlib.FMT_XML)


def dicom(path: Path, shape: tuple[int, int], **fields: Any) -> Path:
    rng = np.random.default_rng(int(path.name[:8]))  # two images never look alike
    pixels = rng.integers(0, 2**14, shape, np.uint16)
    return write(path, pixels, 14, **({"ImagerPixelSpacing": [0.07, 0.07]} | fields))


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
DROPPED = {inbreast.CALCIFICATION: 2, inbreast.NOT_A_MASS: 2, "region without a name": 1}


def name_of(number: int, patient: int, side: str, view: str) -> str:
    return f"{number}_{PATIENTS[patient]}_MG_{side}_{view}_ANON.dcm"


@pytest.fixture
def release(tmp_path: Path) -> Path:
    """Three mammograms of two sizes: two masses and more; one mass that leaves the edge; none."""
    root = tmp_path / "INbreast Release 1.0"
    images, xml = root / "AllDICOMs", root / "AllXML"
    images.mkdir(parents=True)
    xml.mkdir()
    dicom(images / name_of(20586908, 0, "R", "CC"), (80, 60))
    dicom(images / name_of(20586934, 0, "L", "ML"), (96, 72))
    dicom(images / name_of(20586960, 1, "R", "ML"), (80, 60))
    (xml / "20586908.xml").write_bytes(plist(ROIS))
    (xml / "20586934.xml").write_bytes(plist([roi("MASS", rectangle(60, 50, 11.6, 20))]))
    write_table(root, ROWS)
    return root


def write_table(root: Path, rows: list[str], header: str = HEADER, end: str = "\r\n") -> None:
    (root / "INbreast.csv").write_bytes(end.join([header, *rows, ""]).encode())


def test_the_published_layout_becomes_a_manifest(release: Path) -> None:
    table, dropped = build_manifest(release)
    table = validate(table).set_index("case")
    assert dropped == DROPPED
    assert table.index.tolist() == ["20586908_1", "20586908_2", "20586934_1", "20586960"]
    assert table["patient"].tolist() == [PATIENTS[0]] * 3 + [PATIENTS[1]]  # the second token
    assert table["view"].tolist() == ["CC", "CC", "MLO", "MLO"]
    assert table["side"].tolist() == ["R", "R", "L", "R"]
    assert table["pathology"].tolist() == ["unknown"] * 2 + ["malignant", "unknown"]
    assert table[["height", "width"]].to_numpy().tolist() == [[80, 60]] * 2 + [[96, 72], [80, 60]]
    assert (table["spacing_mm"] == 0.07).all()
    assert table[["shape", "subtype", "mask"]].isna().all(axis=None)
    boxes = table[["x_min", "y_min", "x_max", "y_max"]]
    assert boxes.iloc[0].tolist() == [10, 20, 23, 30]
    assert boxes.iloc[1].tolist() == [31, 41, 41, 51]
    assert boxes.iloc[2].tolist() == [60, 50, 72, 71]  # cut at the image's edge
    assert boxes.iloc[3].isna().all()


def xml(root: Path, content: bytes, number: int = 20586908) -> None:
    (root / "AllXML" / f"{number}.xml").write_bytes(content)


@pytest.mark.parametrize(
    ("fault", "reason", "rows"),
    [
        (lambda r: write_table(r, ROWS[:2]), "does not list", 3),
        (lambda r: write_table(r, [*ROWS, ROWS[0].replace("908", "909")]), "without its image", 4),
        (lambda r: (r / "AllXML" / "20586908.xml").unlink(), "no annotation file", 2),
        (lambda r: write_table(r, [ROWS[0].replace("R", "L"), *ROWS[1:]]), "disagree", 2),
        (lambda r: write_table(r, [ROWS[0].replace("CC", "ML"), *ROWS[1:]]), "disagree", 2),
        (lambda r: xml(r, plist([roi("Mass", rectangle(100, 2, 9, 9))])), OUTSIDE, 2),
        (lambda r: xml(r, plist([roi("Mass", [(1, 1), (9, 9)])])), NO_AREA, 2),
        (lambda r: xml(r, plist([roi("Mass", rectangle(0, 0, 0.5, 0.5))])), NO_AREA, 2),
        (lambda r: (r / "AllDICOMs" / "other.dcm").write_bytes(b""), "not of the set", 4),
    ],
)  # fmt: skip
def test_known_faults_drop_rows_by_reason(
    release: Path, fault: Callable[[Path], object], reason: str, rows: int
) -> None:
    assert not [told for told in build_manifest(release)[1] if reason in told]
    fault(release)
    table, dropped = build_manifest(release)
    assert [count for told, count in dropped.items() if reason in told] == [1]
    assert len(validate(table)) == rows


def test_an_image_whose_masses_are_dropped_is_not_one_without_masses(release: Path) -> None:
    xml(release, plist([roi("Mass", [(1, 1), (9, 9)])]))
    table, dropped = build_manifest(release)
    assert not table["image"].str.contains("20586908").any()
    assert dropped["image whose masses were all dropped"] == 1
    xml(release, plist([roi("Calcification", [(1, 1)])]))
    assert "20586908" in build_manifest(release)[0]["case"].tolist()


def test_all_damaged_files_are_counted_in_one_message(release: Path) -> None:
    xml(release, b"oops")
    xml(release, b"oops", 20586934)
    with pytest.raises(DataError, match=r"20586908\.xml.*20586934\.xml.*2 files have faults"):
        build_manifest(release)


def mass(**fields: Any) -> Callable[[Path], object]:
    return lambda root: xml(root, plist([roi("Mass", rectangle(10, 20, 12, 9), **fields)]))


def listed(old: bytes, new: bytes) -> Callable[[Path], object]:
    def change(root: Path) -> None:
        path = root / "INbreast.csv"
        path.write_bytes(path.read_bytes().replace(old, new, 1))

    return change


def linked(where: str) -> Callable[[Path], object]:
    def change(root: Path) -> None:
        path = next(root.rglob(where))
        moved = root.parent.parent / f"outside-{root.parent.name}{path.suffix}"
        path.rename(moved)
        path.symlink_to(moved)

    return change


POINTS = [f"({x}, {y})" for x, y in rectangle(10, 20, 12, 9)]
ENTITY = plist(ROIS[:1]).replace(b'.dtd">', b'.dtd" [<!ENTITY a "Mass">]>')
DAMAGED: list[Callable[[Path], object]] = [
    lambda root: xml(root, plist(ROIS)[:400]),
    lambda root: xml(root, ENTITY.replace(b">Mass<", b">&a;<")),
    lambda root: xml(root, plist(ROIS, NumberOfROIs=8)),
    mass(NumberOfPoints=5),
    mass(Point_px=[*POINTS[:3], "(nan, 1)"]),
    linked("20586908.xml"),
    linked("20586908_*.dcm"),
    listed(b"File Name", b"File"),
    listed(b"20586908", b"../../etc/passwd"),
    listed(b"20586934", b"20586908"),
    lambda r: dicom(r / "AllDICOMs" / name_of(20586908, 1, "R", "CC"), (80, 60)),
    lambda root: (root / "AllDICOMs").rename(root / "DICOM"),
]


@pytest.mark.parametrize("damage", DAMAGED)
def test_a_damaged_file_is_refused_by_name(release: Path, damage: Callable[[Path], object]) -> None:
    build_manifest(release)  # control
    damage(release)
    with pytest.raises(DataError, match=str(release)) as caught:
        build_manifest(release)
    assert "\n" not in str(caught.value)


def test_the_cohort_is_built_checked_and_read_by_its_name(
    release: Path, own_store: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MAMMOSTUDY_DATA", str(release.parent.parent))
    release.parent.rename(release.parent.parent / "inbreast")
    cohort = load_cohort("inbreast")
    assert set(cohort.dropped) == set(DROPPED)
    assert {"20586908_1", "20586908_2"} <= set(cohort.masses.index)
    first = cohort.sample("20586908_1")
    expected = np.zeros((80, 60), bool)
    expected[20:30, 10:23] = True  # x comes first
    np.testing.assert_array_equal(first.mask, expected)
    assert first.truth_all.sum() == expected.sum() + 100
    rows = cohort.manifest.set_index("case")
    assert pd.isna(rows.loc["20586960", "x_min"])
