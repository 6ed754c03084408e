"""INbreast on folders that the tests write as published: faults, and files that are damaged."""

from __future__ import annotations

import os
import plistlib
import time
import tracemalloc
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pydicom
import pytest
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import (
    DigitalMammographyXRayImageStorageForPresentation,
    ExplicitVRLittleEndian,
    RLELossless,
    generate_uid,
)

from mammostudy.data.cohort import Cohort
from mammostudy.data.load import load_cohort
from mammostudy.data.manifest import validate
from mammostudy.data.sources import dicom_facts, inbreast, inbreast_xml, owner_files
from mammostudy.data.sources.inbreast import build_manifest
from mammostudy.errors import DataError

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


def dicom(
    path: Path, shape: tuple[int, int], *, syntax: str = ExplicitVRLittleEndian, **f: Any
) -> None:
    ds = Dataset()
    ds.file_meta = FileMetaDataset()
    ds.file_meta.TransferSyntaxUID = syntax
    ds.SOPClassUID = DigitalMammographyXRayImageStorageForPresentation
    ds.SOPInstanceUID = generate_uid()
    ds.Modality, ds.PatientName = "MG", "removed"
    ds.ImagerPixelSpacing = [0.07, 0.07]
    ds.SamplesPerPixel, ds.PhotometricInterpretation = 1, "MONOCHROME2"
    ds.Rows, ds.Columns = shape
    ds.BitsAllocated, ds.BitsStored, ds.HighBit, ds.PixelRepresentation = 16, 14, 13, 0
    rng = np.random.default_rng(int(path.name[:8]))  # two images never look alike
    ds.PixelData = rng.integers(0, 2**14, shape, np.uint16).tobytes()
    ds["PixelData"].VR = "OW"
    for name, value in f.items():
        if value is None:
            delattr(ds, name)
        else:
            setattr(ds, name, value)
    if syntax == RLELossless:
        ds.PixelData = pydicom.encaps.encapsulate([b"\0" * 64])
        ds["PixelData"].is_undefined_length = True
    ds.save_as(path, enforce_file_format=True)


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
    "removed;removed;L;MLO;201001;20586934;     ;4a",
    "removed;removed;R;MLO;200801;20586960;2;1",
]  # fmt: skip
DROPPED = {inbreast.CALCIFICATION: 2, inbreast.NOT_A_MASS: 2, inbreast.UNNAMED: 1}


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
    assert table["pathology"].tolist() == ["unknown"] * 4
    assert table[["height", "width"]].to_numpy().tolist() == [[80, 60]] * 2 + [[96, 72], [80, 60]]
    assert (table["spacing_mm"] == 0.07).all()
    assert table[["shape", "subtype", "mask"]].isna().all(axis=None)
    boxes = table[["x_min", "y_min", "x_max", "y_max"]]
    assert boxes.iloc[0].tolist() == [10, 20, 23, 30]
    assert boxes.iloc[1].tolist() == [31, 41, 41, 51]
    assert boxes.iloc[2].tolist() == [60, 50, 72, 71]  # cut at the image's edge
    assert boxes.iloc[3].isna().all()


def test_the_folder_above_gives_paths_from_there(release: Path) -> None:
    table, _ = build_manifest(release.parent)
    assert table["image"].str.startswith("INbreast Release 1.0/AllDICOMs/2").all()
    pd.testing.assert_frame_equal(
        table.drop(columns="image"), build_manifest(release)[0].drop(columns="image")
    )


def test_masks_are_as_large_as_their_image_and_x_comes_first(release: Path) -> None:
    cohort = Cohort("inbreast", release, validate(build_manifest(release)[0]))
    first = cohort.sample("20586908_1")
    assert first.image.shape == first.mask.shape == (80, 60)
    expected = np.zeros((80, 60), bool)
    expected[20:30, 10:23] = True
    np.testing.assert_array_equal(first.mask, expected)
    assert first.truth_all.sum() == expected.sum() + 100
    assert cohort.mask("20586934_1").shape == (96, 72)
    for case, row in cohort.masses.iterrows():
        filled = cohort.mask(str(case))
        y, x = np.nonzero(filled)
        box = [x.min(), y.min(), x.max() + 1, y.max() + 1]
        assert row[["x_min", "y_min", "x_max", "y_max"]].tolist() == box


@pytest.mark.parametrize(
    ("birads", "pathology"),
    [("2", "benign"), ("3", "unknown"), ("4C", "unknown"), ("5", "unknown"), ("6", "malignant")],
)
def test_birads_is_no_pathology(release: Path, birads: str, pathology: str) -> None:
    write_table(release, [ROWS[0][:-1] + birads, *ROWS[1:]])
    assert build_manifest(release)[0]["pathology"].iloc[0] == pathology


def xml(root: Path, content: bytes, number: int = 20586908) -> None:
    (root / "AllXML" / f"{number}.xml").write_bytes(content)


@pytest.mark.parametrize(
    ("fault", "reason", "rows"),
    [
        (lambda r: write_table(r, ROWS[:2]), inbreast.NOT_LISTED, 3),
        (lambda r: write_table(r, [*ROWS, ROWS[0].replace("908", "909")]), inbreast.NO_IMAGE, 4),
        (lambda r: (r / "AllXML" / "20586908.xml").unlink(), inbreast.NOT_ANNOTATED, 2),
        (lambda r: write_table(r, [ROWS[0].replace("R", "L"), *ROWS[1:]]), inbreast.DISAGREES, 2),
        (lambda r: write_table(r, [ROWS[0].replace("CC", "ML"), *ROWS[1:]]), inbreast.DISAGREES, 2),
        (lambda r: xml(r, plist([roi("Mass", rectangle(100, 2, 9, 9))])), owner_files.OUTSIDE, 2),
        (lambda r: xml(r, plist([roi("Mass", [(1, 1), (9, 9)])])), owner_files.NO_AREA, 2),
        (lambda r: xml(r, plist([roi("Mass", [(1, 1), (9, 9), (5, 5)])])), owner_files.NO_AREA, 2),
        (lambda r: xml(r, plist([roi("Mass", [])])), owner_files.NO_AREA, 2),
        (lambda r: xml(r, plist([roi("Mass", rectangle(0, 0, 0.5, 0.5))])), owner_files.NO_AREA, 2),
        (lambda r: (r / "AllDICOMs" / "other.dcm").write_bytes(b""), inbreast.NOT_INBREAST, 4),
    ],
)  # fmt: skip
def test_known_faults_drop_rows_by_reason(
    release: Path, fault: Callable[[Path], object], reason: str, rows: int
) -> None:
    assert reason not in build_manifest(release)[1]
    fault(release)
    table, dropped = build_manifest(release)
    assert dropped[reason] == 1
    assert len(validate(table)) == rows


def test_an_image_whose_masses_are_dropped_is_not_one_without_masses(release: Path) -> None:
    xml(release, plist([roi("Mass", [(1, 1), (9, 9)])]))
    table, dropped = build_manifest(release)
    assert not table["image"].str.contains("20586908").any()
    assert dropped[inbreast.NO_MASS_LEFT] == 1
    xml(release, plist([roi("Calcification", [(1, 1)])]))
    assert "20586908" in build_manifest(release)[0]["case"].tolist()


def test_an_empty_list_of_regions_is_a_view_without_mass(release: Path) -> None:
    xml(release, plist([]))
    table, _ = build_manifest(release)
    assert table.set_index("case").loc["20586908", "x_min"] != 0
    assert pd.isna(table.set_index("case").loc["20586908", "x_min"])


def test_all_damaged_files_are_counted_in_one_message(release: Path) -> None:
    xml(release, b"oops")
    xml(release, b"oops", 20586934)
    with pytest.raises(DataError, match=r"20586908\.xml.*2 files have faults.*20586934\.xml"):
        build_manifest(release)


# Damaged and hostile files -----------------------------------------------------------------------

LIMIT_SECONDS, LIMIT_BYTES = 2.0, 1 << 30
BOMB = b"".join(
    b'<!ENTITY %c "%s">' % (98 + k, b"&%c;" % (97 + k) * 10) for k in range(9)
)  # fmt: skip


def with_doctype(inner: bytes, name: bytes) -> bytes:
    good = plist(ROIS[:1])
    end = good.index(b">", good.index(b"<!DOCTYPE"))
    return (good[:end] + b" [" + inner + b"]" + good[end:]).replace(b">Mass<", b">" + name + b"<")


def cut(part: str, share: float) -> Callable[[Path], None]:
    def mutate(root: Path) -> None:
        path = next(root.rglob(part))
        content = path.read_bytes()
        path.write_bytes(content[: int(share * (len(content) - 12))])

    return mutate


def flip(word: bytes, bit: int) -> Callable[[Path], None]:
    """Flip one bit of the first byte of a key or tag of the annotation."""

    def mutate(root: Path) -> None:
        path = root / "AllXML" / "20586908.xml"
        content = bytearray(plist(ROIS[:1]))
        content[content.index(word)] ^= 1 << bit
        path.write_bytes(bytes(content))

    return mutate


def annotated(content: bytes | Callable[[], bytes]) -> Callable[[Path], None]:
    return lambda root: xml(root, content() if callable(content) else content)


def mass(**fields: Any) -> Callable[[Path], None]:
    return annotated(lambda: plist([roi("Mass", rectangle(10, 20, 12, 9), **fields)]))


def pointed(point: str) -> Callable[[Path], None]:
    good = [f"({x}, {y})" for x, y in rectangle(10, 20, 12, 9)]
    return mass(Point_px=[*good[:3], point])


def listed(row: str) -> Callable[[Path], None]:
    return lambda root: write_table(root, [row, *ROWS[1:]])


def table_bytes(content: bytes) -> Callable[[Path], None]:
    return lambda root: (root / "INbreast.csv").write_bytes(content) and None


def imaged(**fields: Any) -> Callable[[Path], None]:
    shape = (80, 60)
    return lambda root: dicom(root / "AllDICOMs" / name_of(20586908, 0, "R", "CC"), shape, **fields)


def nested(depth: int) -> bytes:
    head = plist([]).partition(b"<dict>")[0]
    arrays = b"<array>" * depth + b"</array>" * depth
    return head + b"<dict><key>Images</key>" + arrays + b"</dict></plist>"


def zigzag() -> bytes:
    points = [(float(k % 59), 79.0 * (k % 2)) for k in range(15_000)]
    return plist([roi("Mass", points)])


def linked(where: str) -> Callable[[Path], None]:
    """Put a link that leads out of the folder in place of a file."""

    def mutate(root: Path) -> None:
        path = next(root.rglob(where))
        moved = root.parent.parent / f"outside-{root.parent.name}{path.suffix}"
        path.rename(moved)
        path.symlink_to(moved)

    return mutate


def replaced(where: str, how: Callable[[Path], object]) -> Callable[[Path], None]:
    def mutate(root: Path) -> None:
        path = next(root.rglob(where))
        path.unlink()
        how(path)

    return mutate


GOOD_TABLE = "\r\n".join([HEADER, *ROWS, ""]).encode()
MUTATIONS: dict[str, Callable[[Path], None]] = {
    **{f"xml cut at {k}/14": cut("20586908.xml", k / 14) for k in range(15)},
    **{f"xml bit {bit} of {word.decode()}": flip(word, bit)
       for word in (b"Images", b"NumberOfROIs", b"ROIs<", b"Point_px", b"NumberOfPoints", b"Name")
       for bit in (0, 3)},
    **{f"xml bit {bit} of {word.decode()}": flip(word, bit)
       for word in (b"<plist", b"<dict", b"<array", b"</dict", b"</plist") for bit in (1, 4)},
    "xml entities": annotated(with_doctype(b'<!ENTITY a "Mass">', b"&a;")),
    "xml entity bomb": annotated(with_doctype(b'<!ENTITY a "Mass">' + BOMB, b"&j;")),
    "xml external entity": annotated(
        with_doctype(b'<!ENTITY a SYSTEM "file:///etc/passwd">', b"&a;")),
    "xml parameter entity": annotated(
        with_doctype(b'<!ENTITY % a SYSTEM "file:///etc/passwd"> %a;', b"Mass")),
    "xml quadratic blowup": annotated(
        lambda: with_doctype(b'<!ENTITY a "' + b"x" * 50_000 + b'">', b"&a;" * 10_000)),
    "xml entities in 16 bits": annotated(
        with_doctype(b'<!ENTITY a "Mass">', b"&a;").decode().replace("UTF-8", "UTF-16")
        .encode("utf-16")),
    "xml binary": annotated(plistlib.dumps({"Images": []}, fmt=plistlib.FMT_BINARY)),
    "xml empty": annotated(b""),
    "xml noise": annotated(np.random.default_rng(1).bytes(4000)),
    "xml zeros": annotated(bytes(4000)),
    "xml nested": annotated(lambda: nested(50_000)),
    "xml too large": annotated(lambda: plist(ROIS[:1]) + b" " * 9_000_000),
    "xml 25,000 points": annotated(plist([roi("Mass", [(1.0, 2.0)] * 25_000)])),
    "xml 15,000 zigzag points": annotated(zigzag),
    "xml huge number": annotated(plist(ROIS[:1]).replace(b">15<", b">" + b"9" * 100_000 + b"<")),
    "xml odd date": annotated(plist(ROIS[:1]).replace(b"<integer>15</integer>", b"<date>1</date>")),
    "xml a list": annotated(plistlib.dumps([1, 2])),
    "xml no image": annotated(plistlib.dumps({"Images": []})),
    "xml two images": annotated(plistlib.dumps({"Images": [{}, {}]})),
    "xml image no dict": annotated(plistlib.dumps({"Images": ["a"]})),
    "xml region no dict": annotated(plistlib.dumps(
        {"Images": [{"NumberOfROIs": 1, "ROIs": ["a"]}]})),
    "xml one region less": annotated(plist(ROIS, NumberOfROIs=8)),
    "xml regions -1": annotated(plist(ROIS, NumberOfROIs=-1)),
    "xml regions true": annotated(plist(ROIS[:1], NumberOfROIs=True)),
    "xml regions text": annotated(plist(ROIS[:1], NumberOfROIs="1")),
    "xml one point less": mass(NumberOfPoints=5),
    "xml points text": mass(Point_px="(1, 2)"),
    "xml name a number": mass(Name=4),
    "xml no points": mass(Point_px=[], NumberOfPoints=0),
    **{f"xml point {text[:20]}": pointed(text) for text in (
        "", "()", "(1)", "(1, 2, 3)", "1, 2", "(nan, 1)", "(inf, 1)", "(1e99, 1)", "(1e7, 1)",
        "(1_0, 2)", "(a, b)", "(__import__('os'), 1)", "(1,, 2)", "(" + "9" * 50_000 + ", 1)",
        "(-400, 30)", "(10, 4000)")},
    "xml leads out": linked("20586908.xml"),
    "xml a folder": replaced("20586908.xml", Path.mkdir),
    "xml a pipe": replaced("20586908.xml", os.mkfifo),
    "xml a loop": replaced("20586908.xml", lambda p: p.symlink_to(p.name)),
    **{f"csv cut at {k}/4": cut("INbreast.csv", k / 4) for k in range(4)},
    "csv commas": table_bytes(GOOD_TABLE.replace(b";", b",")),
    "csv no File Name": table_bytes(GOOD_TABLE.replace(b"File Name", b"File")),
    "csv File Name bit": table_bytes(GOOD_TABLE.replace(b"File Name", b"Fild Name")),
    "csv two columns": table_bytes(GOOD_TABLE.replace(b"ACR", b"View")),
    "csv only a header": table_bytes(HEADER.encode()),
    "csv zeros": table_bytes(GOOD_TABLE.replace(b"20586934", b"2058\0934")),
    "csv 16 bits": table_bytes(GOOD_TABLE.decode().encode("utf-16")),
    "csv noise": table_bytes(np.random.default_rng(2).bytes(3000)),
    "csv too large": table_bytes(GOOD_TABLE + b"\r\n" * 3_000_000),
    "csv open quote": table_bytes(GOOD_TABLE.replace(b"removed;R;CC", b'"removed;R;CC')),
    "csv a long row": listed(ROWS[0] + ";1"),
    "csv twice": lambda root: write_table(root, [*ROWS, ROWS[0]]),
    **{f"csv name {name[:20]}": listed(ROWS[0].replace("20586908", name)) for name in (
        "../../etc/passwd", "/etc/passwd", "20586908/../x", "", "2e7", "٣٤٥", "9" * 5000)},
    "csv side": listed(ROWS[0].replace(";R;", ";B;")),
    "csv view": listed(ROWS[0].replace(";CC;", ";XX;")),
    "csv birads": listed(ROWS[0][:-1] + "7"),
    "csv no birads": listed(ROWS[0][:-1]),
    "csv leads out": lambda root: (root / "INbreast.csv").unlink(),
    **{f"dicom cut at {k}/6": cut("20586908_*.dcm", k / 6) for k in range(7)},
    "dicom noise": replaced(
        "20586908_*.dcm", lambda p: p.write_bytes(np.random.default_rng(3).bytes(9000))),
    "dicom rows": imaged(Rows=65535),
    "dicom rows and columns": imaged(Rows=65535, Columns=65535),
    "dicom packed rows and columns": imaged(Rows=65535, Columns=65535, syntax=RLELossless),
    "dicom no rows": imaged(Rows=None),
    "dicom rows 0": imaged(Rows=0),
    "dicom no bits": imaged(BitsAllocated=None),
    "dicom no pixels": imaged(PixelData=None),
    "dicom leads out": linked("20586908_*.dcm"),
    "dicom a folder": replaced("20586908_*.dcm", Path.mkdir),
    "dicom a pipe": replaced("20586908_*.dcm", os.mkfifo),
    "dicom number twice": lambda root: dicom(
        root / "AllDICOMs" / name_of(20586908, 1, "R", "CC"), (80, 60)),
    "no images": lambda root: (root / "AllDICOMs").rename(root / "DICOM") and None,
}  # fmt: skip


def outcome(root: Path) -> str:
    """Read a folder within the limits: ``refused``, ``dropped`` (a row less, with its reason)."""
    message = None
    tracemalloc.start()
    began = time.process_time()
    try:
        table, dropped = build_manifest(root)
    except DataError as error:
        message = str(error)
    seconds, peak = time.process_time() - began, tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert seconds < LIMIT_SECONDS
    assert peak < LIMIT_BYTES
    if message is not None:
        assert "\n" not in message or "fault(s) in the table" in message
        assert str(root) in message
        assert len(message) < 2000
        return "refused"
    lost = not validate(table)["image"].str.contains("20586908").any()
    return "dropped" if lost and set(dropped) - set(DROPPED) else "kept"


@pytest.mark.parametrize("name", MUTATIONS)
def test_a_damaged_file_is_refused_or_its_row_dropped(release: Path, name: str) -> None:
    assert outcome(release) == "kept"  # control
    MUTATIONS[name](release)
    assert outcome(release) in ("refused", "dropped")


def test_there_are_enough_of_them() -> None:
    assert len(MUTATIONS) >= 60


@pytest.mark.parametrize("seed", range(20))
def test_random_bits_never_break_the_reader(release: Path, seed: int) -> None:
    """A flipped bit may give another valid file, as a digit of a point does; nothing else."""
    rng = np.random.default_rng(seed)
    for path in (release / "AllXML" / "20586908.xml", release / "INbreast.csv"):
        content = bytearray(path.read_bytes())
        for at in rng.integers(0, len(content), 3):
            content[at] ^= 1 << int(rng.integers(8))
        path.write_bytes(bytes(content))
        assert outcome(release) in ("refused", "dropped", "kept")


def unsafe(folder: Path, path: Path) -> str:
    return path.relative_to(folder).as_posix()


CONTROLS: list[tuple[str, object, str, object]] = [
    ("xml too large", inbreast_xml, "MOST_BYTES", 1 << 40),
    ("xml 25,000 points", inbreast_xml, "MOST_POINTS", 1 << 40),
    ("xml leads out", inbreast, "relative", unsafe),
    ("dicom leads out", inbreast, "relative", unsafe),
    ("dicom packed rows and columns", dicom_facts, "size_fault", lambda *size: None),
    ("xml point (-400, 30)", owner_files, "OVERHANG", 1e9),
    ("csv birads", inbreast, "BIRADS", (*inbreast.BIRADS, "7")),
]  # fmt: skip


@pytest.mark.parametrize(("name", "module", "guard", "without"), CONTROLS)
def test_without_its_guard_the_test_fails(
    release: Path,
    monkeypatch: pytest.MonkeyPatch,
    name: str,
    module: object,
    guard: str,
    without: object,
) -> None:
    MUTATIONS[name](release)
    if name.startswith("dicom packed"):
        xml(release, plist([]))  # else the mask alone would fill the memory
    if name == "xml 25,000 points":
        xml(release, plist([roi("Cluster", [(1.0, 2.0)] * 25_000)]))
    assert outcome(release) in ("refused", "dropped")
    monkeypatch.setattr(module, guard, without)
    assert outcome(release) == "kept"


def test_without_both_guards_entities_are_expanded(
    release: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    MUTATIONS["xml entities"](release)
    assert outcome(release) == "refused"
    monkeypatch.setattr(plistlib._PlistParser, "handle_entity_decl", lambda *args: None)
    assert outcome(release) == "refused"  # ours holds where the library has none
    monkeypatch.setattr(inbreast_xml, "FORBIDDEN", ())
    table, _ = build_manifest(release)
    assert "20586908_1" in table["case"].tolist()


def test_the_cohort_is_built_checked_and_read_by_its_name(
    release: Path, own_store: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MAMMOSTUDY_DATA", str(release.parent.parent))
    release.parent.rename(release.parent.parent / "inbreast")
    cohort = load_cohort("inbreast")
    assert set(cohort.dropped) == set(DROPPED)
    assert {"20586908_1", "20586908_2"} <= set(cohort.masses.index)
    assert cohort.sample("20586908_1").mask.sum() == 13 * 10
    rows = cohort.manifest.set_index("case")
    assert pd.isna(rows.loc["20586960", "x_min"])
