"""DDSM on folders that the tests write as published: faults, and files that are damaged."""

from __future__ import annotations

import gzip
import os
import time
import tracemalloc
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pandas as pd
import pytest

from mammostudy.data.cohort import Cohort
from mammostudy.data.load import load_cohort
from mammostudy.data.manifest import validate
from mammostudy.data.sources import ddsm, ddsm_chain, ddsm_ics, ddsm_overlay, owner_files
from mammostudy.data.sources.ddsm import build_manifest
from mammostudy.data.sources.ddsm_chain import encode_chain
from mammostudy.data.sources.ddsm_ics import read_ics
from mammostudy.data.sources.ddsm_overlay import read_overlay
from mammostudy.data.sources.ddsm_pixels import read_raw
from mammostudy.errors import DataError

ROWS, COLUMNS = 80, 60
STUDY = "cancers/cancer_01/case3030"
FILM = "B_3030_1.RIGHT_MLO"
Change = Callable[[Path], object]


def box_chain(x: int, y: int, width: int, height: int) -> str:
    """The chain code along the pixels of a rectangle's edge, clockwise and closed."""
    right, down = (
        [(x + k, y) for k in range(width)],
        [(x + width - 1, y + k) for k in range(height)],
    )
    left = [(x + k, y + height - 1) for k in reversed(range(width))]
    up = [(x, y + k) for k in reversed(range(height))]
    return encode_chain([*right, *down[1:], *left[1:], *up[1:]])


def abnormality(
    number: int, lesions: list[str], outlines: list[str], pathology: str = "MALIGNANT", **f: object
) -> str:
    """One abnormality as the owners' files have it; the first outline is the boundary."""
    lines = [f"ABNORMALITY {number}", *(f"LESION_TYPE {lesion}" for lesion in lesions)]
    lines += ["ASSESSMENT 5", "SUBTLETY 4", f"PATHOLOGY {pathology}"]
    lines += [f"TOTAL_OUTLINES {f.get('stated', len(outlines))}"]
    for k, chain in enumerate(outlines):
        lines += ["BOUNDARY" if k == 0 or f.get("boundaries") else "\tCORE", f"{chain} "]
    return "\n".join(lines) + "\n"


def overlay(*abnormalities: str, total: int | None = None) -> bytes:
    head = f"TOTAL_ABNORMALITIES {len(abnormalities) if total is None else total}\n"
    return (head + "".join(abnormalities)).encode()


IRREGULAR = "MASS SHAPE IRREGULAR MARGINS SPICULATED"
CALCIFICATION = "CALCIFICATION TYPE PLEOMORPHIC DISTRIBUTION CLUSTERED"
GOOD = overlay(
    abnormality(1, [IRREGULAR], [box_chain(10, 20, 12, 9)]),
    abnormality(2, [CALCIFICATION], [box_chain(2, 2, 5, 5)]),
    abnormality(
        3,
        ["MASS SHAPE LOBULATED MARGINS ILL_DEFINED-OBSCURED", CALCIFICATION],
        [box_chain(30, 40, 15, 10), box_chain(33, 43, 3, 3)],
        "BENIGN_WITHOUT_CALLBACK",
    ),
)
DROPPED = {ddsm.NOT_A_MASS: 1, ddsm.CORE: 1}


def ics(
    study: str = "B-3030-1", views: dict[str, str] | None = None, scanner: str = "LUMISYS"
) -> str:
    views = views or {"LEFT_CC": "NON_OVERLAY", "RIGHT_MLO": "OVERLAY"}
    films = "".join(
        f"{view} LINES {ROWS} PIXELS_PER_LINE {COLUMNS} BITS_PER_PIXEL 12 RESOLUTION 50 {drawn} \n"
        for view, drawn in views.items()
    )
    return (
        f"ics_version 1.0\nfilename {study}\nDATE_OF_STUDY 18 7 1995\nPATIENT_AGE 61\nFILM \n"
        f"FILM_TYPE REGULAR\nDENSITY 2\nDATE_DIGITIZED 22 8 1997\nDIGITIZER {scanner} LASER\n"
        f"SEQUENCE LEFT_CC LEFT_MLO RIGHT_CC RIGHT_MLO\n{films}"
    )


def picture(path: Path, shape: tuple[int, int] = (ROWS, COLUMNS), seed: int = 5) -> None:
    pixels = np.random.default_rng(seed).integers(0, 4096, shape, np.uint16)
    path.parent.mkdir(exist_ok=True)
    cv2.imwrite(str(path), pixels)


@pytest.fixture
def cases(tmp_path: Path) -> Path:
    """One study with a film of two masses and one without an overlay."""
    root = tmp_path / "cases"
    study = root / STUDY
    study.mkdir(parents=True)
    (study / "B-3030-1.ics").write_text(ics())
    (study / f"{FILM}.OVERLAY").write_bytes(GOOD)
    picture(study / f"{FILM}.png")
    picture(study / "B_3030_1.LEFT_CC.png", seed=6)
    return root


def test_the_published_layout_becomes_a_manifest(cases: Path) -> None:
    table, dropped = build_manifest(cases)
    table = validate(table).set_index("case")
    assert dropped == DROPPED
    assert table.index.tolist() == ["B_3030_1.LEFT_CC", f"{FILM}_1", f"{FILM}_3"]
    assert table["image"].tolist()[1:] == [f"{STUDY}/{FILM}.png"] * 2
    assert (table["patient"] == "B_3030").all()
    assert (table["site"] == "WFU").all()
    assert (table["modality"] == "SFM").all()
    assert (table["spacing_mm"] == 0.05).all()
    assert table["view"].tolist() == ["CC", "MLO", "MLO"]
    assert table["side"].tolist() == ["L", "R", "R"]
    assert table["shape"].tolist()[1:] == ["irregular", "lobular"]
    assert table["pathology"].tolist() == ["unknown", "malignant", "benign"]
    boxes = table[["x_min", "y_min", "x_max", "y_max"]]
    assert boxes.iloc[0].isna().all()
    assert boxes.iloc[1:].to_numpy().tolist() == [[10, 20, 22, 29], [30, 40, 45, 50]]


def test_masks_are_what_the_chain_encloses(cases: Path) -> None:
    cohort = Cohort("ddsm", cases, validate(build_manifest(cases)[0]))
    sample = cohort.sample(f"{FILM}_1")
    expected = np.zeros((ROWS, COLUMNS), bool)
    expected[20:29, 10:22] = True
    np.testing.assert_array_equal(sample.mask, expected)
    assert sample.truth_all.sum() == 12 * 9 + 15 * 10


def test_files_of_the_owners_are_read_field_by_field(cases: Path) -> None:
    study = read_ics(cases / STUDY / "B-3030-1.ics")
    assert (study.stem, study.patient, study.site, study.scanner) == (
        "B_3030_1", "B_3030", "WFU", "LUMISYS"
    )  # fmt: skip
    assert study.views["RIGHT_MLO"] == ddsm_ics.View("RIGHT_MLO", ROWS, COLUMNS, 12, 0.05, True)
    assert study.views["LEFT_CC"].overlay is False
    first, second, third = read_overlay(cases / STUDY / f"{FILM}.OVERLAY")
    assert (first.mass, second.mass, third.mass) == (True, False, True)
    assert (third.shapes, third.margins) == (["LOBULATED"], ["ILL_DEFINED", "OBSCURED"])
    assert (third.stated, len(third.boundaries), third.cores) == (2, 1, 1)


@pytest.mark.parametrize(
    ("shape", "expected", "reason"),
    [
        ("IRREGULAR", "irregular", None),
        ("LOBULATED", "lobular", None),
        ("OVAL", "oval", None),
        ("ROUND", "round", None),
        ("IRREGULAR-ARCHITECTURAL_DISTORTION", None, ddsm.COMPOUND),
        ("ROUND-OVAL", None, ddsm.COMPOUND),
        ("OVAL-OVAL", "oval", None),
        ("ARCHITECTURAL_DISTORTION", None, ddsm.OTHER_SHAPE),
        ("LYMPH_NODE", None, ddsm.OTHER_SHAPE),
        ("TUBULAR", None, ddsm.OTHER_SHAPE),
        ("N/A", None, ddsm.OTHER_SHAPE),
        ("", None, ddsm.OTHER_SHAPE),
        ("LOBULATEE", None, ddsm.UNKNOWN_SHAPE),
        ("lobulated", None, ddsm.UNKNOWN_SHAPE),
    ],
)
def test_words_become_shapes_and_the_rest_is_counted(
    cases: Path, shape: str, expected: str | None, reason: str | None
) -> None:
    lesion = f"MASS SHAPE {shape} MARGINS OBSCURED" if shape else "MASS MARGINS OBSCURED"
    drawn = overlay(abnormality(1, [lesion], [box_chain(10, 20, 12, 9)]))
    (cases / STUDY / f"{FILM}.OVERLAY").write_bytes(drawn)
    table, dropped = build_manifest(cases)
    row = validate(table).set_index("case").loc[f"{FILM}_1"]
    assert row["shape"] == expected if expected else pd.isna(row["shape"])
    assert dropped == ({reason: 1} if reason else {})
    assert row["x_min"] == 10  # kept for segmentation


def test_two_lesion_types_that_differ_are_a_compound(cases: Path) -> None:
    both = [IRREGULAR, "MASS SHAPE ROUND MARGINS OBSCURED"]
    drawn = overlay(abnormality(1, both, [box_chain(10, 20, 12, 9)]))
    (cases / STUDY / f"{FILM}.OVERLAY").write_bytes(drawn)
    assert build_manifest(cases)[1] == {ddsm.COMPOUND: 1}


def test_several_boundaries_are_rows_of_their_own(cases: Path) -> None:
    outlines = [box_chain(10, 20, 12, 9), box_chain(30, 40, 15, 10)]
    drawn = overlay(abnormality(1, [IRREGULAR], outlines, boundaries=True))
    (cases / STUDY / f"{FILM}.OVERLAY").write_bytes(drawn)
    table, dropped = build_manifest(cases)
    assert table["case"].tolist()[1:] == [f"{FILM}_1.1", f"{FILM}_1.2"]
    assert table["shape"].tolist()[1:] == ["irregular"] * 2
    assert dropped == {}


@pytest.mark.parametrize(
    "name",
    ["{}.tif", "{}.tiff", "{}.PNG", "{}.LJPEG.png", "PNGFiles/{}.png", "PNGFiles/{}.LJPEG.png"],
)
def test_converted_films_are_found_by_their_names(cases: Path, name: str) -> None:
    study = cases / STUDY
    (study / f"{FILM}.png").unlink()
    written = study / name.format(FILM)
    picture(written.with_suffix(written.suffix.lower()))
    written.with_suffix(written.suffix.lower()).rename(written)
    table, _ = build_manifest(cases)
    assert table["image"].tolist()[1:] == [f"{STUDY}/{name.format(FILM)}"] * 2


def raw(path: Path, shape: tuple[int, int] = (ROWS, COLUMNS)) -> None:
    grey = np.random.default_rng(7).integers(0, 4096, shape, np.uint16)
    path.write_bytes(grey.astype(">u2").tobytes())


def test_raw_films_stand_in_the_manifest_with_the_size_of_the_header(cases: Path) -> None:
    (cases / STUDY / f"{FILM}.png").unlink()
    raw(cases / STUDY / f"{FILM}.LJPEG.1")
    table = validate(build_manifest(cases)[0])
    assert table["image"].iloc[1] == f"{STUDY}/{FILM}.LJPEG.1"
    assert table[["height", "width"]].iloc[1].tolist() == [ROWS, COLUMNS]
    picture(cases / STUDY / f"{FILM}.png")
    assert build_manifest(cases)[0]["image"].iloc[1].endswith(".png")  # the picture goes first


def test_a_smaller_picture_takes_its_outlines_along(cases: Path) -> None:
    picture(cases / STUDY / f"{FILM}.png", (ROWS // 2, COLUMNS // 2))
    table = validate(build_manifest(cases)[0]).set_index("case")
    row = table.loc[f"{FILM}_1"]
    assert row[["x_min", "y_min", "x_max", "y_max"]].tolist() == [5, 10, 11, 14]
    assert row[["height", "width", "spacing_mm"]].tolist() == [40, 30, 0.1]


def ics_with(old: str, new: str) -> Change:
    return lambda root: (root / STUDY / "B-3030-1.ics").write_text(ics().replace(old, new, 1))


def drawn(content: bytes) -> Change:
    return lambda root: (root / STUDY / f"{FILM}.OVERLAY").write_bytes(content)


def mass(chain: str, **f: object) -> Change:
    outlines = [] if not chain else [chain]
    return drawn(overlay(abnormality(1, [IRREGULAR], outlines, **f)))  # type: ignore[arg-type]


def film(how: Change, name: str = f"{FILM}.png") -> Change:
    def change(root: Path) -> None:
        path = root / STUDY / name
        path.unlink()
        how(path)

    return change


def packed(root: Path) -> None:
    path = root / STUDY / f"{FILM}.OVERLAY"
    path.with_name(path.name + ".gz").write_bytes(gzip.compress(path.read_bytes()))
    path.unlink()


def uncalibrated(root: Path) -> None:
    (root / STUDY / "B-3030-1.ics").write_text(ics(scanner="DBA"))
    (root / STUDY / f"{FILM}.png").unlink()
    raw(root / STUDY / f"{FILM}.LJPEG.1")


def spiral() -> bytes:
    """A boundary of 90,000 steps that turns about, on a film of 80 x 60."""
    steps = ("2 " * 40 + "4 " + "6 " * 40 + "0 ") * 1100
    return overlay(abnormality(1, [IRREGULAR], [f"10 20 {steps}#"]))


OPEN_CHAIN = "10 20 " + "2 " * 30 + "4 " * 30 + "#"
KNOWN: list[tuple[str, Change, str, int]] = [
    ("no picture", film(lambda p: None), ddsm.NO_IMAGE, 1),
    ("packed film", film(lambda p: p.with_suffix(".LJPEG").write_bytes(b"x")), ddsm.COMPRESSED, 1),
    ("no overlay", film(lambda p: None, f"{FILM}.OVERLAY"), ddsm.NO_OVERLAY, 1),
    ("packed overlay", packed, ddsm.PACKED_OVERLAY, 1),
    ("scanner", uncalibrated, ddsm.NO_CALIBRATION, 1),
    ("turned", film(lambda p: picture(p, (COLUMNS, ROWS))), ddsm.OTHER_SIZE, 1),
    ("no boundary", mass(""), ddsm.NO_BOUNDARY, 1),
    ("outlines", mass(box_chain(10, 20, 12, 9), stated=3), ddsm.OUTLINES, 1),
    ("open", mass(OPEN_CHAIN), ddsm.OPEN, 1),
    ("outside", mass(box_chain(55, 20, 12, 9)), owner_files.OUTSIDE, 1),
    ("line", mass("10 20 2 2 2 6 6 6 #"), owner_files.NO_AREA, 1),
    ("one pixel", mass("10 20 #"), owner_files.NO_AREA, 1),
    ("tangled", drawn(spiral()), ddsm.TANGLED, 1),
    ("margins", drawn(overlay(abnormality(1, ["MASS SHAPE OVAL MARGINS SOFT"],
                                          [box_chain(10, 20, 12, 9)]))), ddsm.UNKNOWN_MARGINS, 2),
]  # fmt: skip


@pytest.mark.parametrize(
    ("change", "reason", "rows"), [k[1:] for k in KNOWN], ids=[k[0] for k in KNOWN]
)
def test_known_faults_drop_rows_by_reason(
    cases: Path, change: Change, reason: str, rows: int
) -> None:
    assert reason not in build_manifest(cases)[1]
    change(cases)
    table, dropped = build_manifest(cases)
    assert dropped[reason] == 1
    assert len(validate(table)) == rows
    assert rows == 2 or not table["image"].str.contains(FILM).any()  # no view without mass


def test_a_film_that_the_header_does_not_list_is_counted(cases: Path) -> None:
    picture(cases / STUDY / "B_3030_1.LEFT_MLO.png")
    assert build_manifest(cases)[1] == DROPPED | {ddsm.NOT_LISTED: 1}


def test_a_study_named_otherwise_is_left_out(cases: Path) -> None:
    other = cases / "normals" / "case0002"
    other.mkdir(parents=True)
    (other / "A-0002-1.ics").write_text(ics("A-0002-1", {"LEFT_CC": "NON_OVERLAY"}))
    picture(other / "A_0002_1.LEFT_CC.png")
    assert len(build_manifest(cases)[0]) == 4  # control
    (other / "A-0002-1.ics").write_text(ics("A-0003-1", {"LEFT_CC": "NON_OVERLAY"}))
    table, dropped = build_manifest(cases)
    assert len(table) == 3
    assert dropped == DROPPED | {ddsm.NAMED_OTHERWISE: 1}


def test_an_outline_may_reach_over_the_edge_a_little(cases: Path) -> None:
    mass(box_chain(50, 20, 11, 9))(cases)  # its last column is 60, one beyond
    row = validate(build_manifest(cases)[0]).iloc[1]
    assert row[["x_min", "x_max"]].tolist() == [50, 60]


def test_a_film_of_calcifications_is_a_view_without_mass(cases: Path) -> None:
    drawn(overlay(abnormality(1, [CALCIFICATION], [box_chain(2, 2, 5, 5)])))(cases)
    table, dropped = build_manifest(cases)
    assert table["case"].tolist() == ["B_3030_1.LEFT_CC", FILM]
    assert dropped == {ddsm.NOT_A_MASS: 1}


def test_a_study_that_stands_twice(cases: Path) -> None:
    again = cases / "copy"
    again.mkdir()
    (again / "B-3030-1.ics").write_text(ics())
    with pytest.raises(DataError, match="keep one"):
        build_manifest(cases)


# Damaged and hostile files -----------------------------------------------------------------------


def cut(part: str, share: float) -> Change:
    def change(root: Path) -> None:
        path = next(root.rglob(part))
        content = path.read_bytes()
        path.write_bytes(content[: int(share * (len(content) - 12))])

    return change


def flip(part: str, word: bytes, bit: int) -> Change:
    def change(root: Path) -> None:
        path = next(root.rglob(part))
        content = bytearray(path.read_bytes())
        content[content.index(word)] ^= 1 << bit
        path.write_bytes(bytes(content))

    return change


def swap(old: bytes, new: bytes) -> Change:
    return drawn(GOOD.replace(old, new, 1))


def linked(part: str) -> Change:
    def change(root: Path) -> None:
        path = next(root.rglob(part))
        moved = root.parent / f"outside{path.suffix}"
        path.rename(moved)
        path.symlink_to(moved)

    return change


NOISE = np.random.default_rng(1).bytes(4000)
CHAIN = box_chain(10, 20, 12, 9).encode()
MUTATIONS: dict[str, Change] = {
    **{f"overlay cut at {k}/20": cut("*.OVERLAY", k / 20) for k in range(21)},
    **{f"overlay bit {bit} of {word.decode()}": flip("*.OVERLAY", word, bit)
       for word in (b"TOTAL_ABNORMALITIES", b"ABNORMALITY 1", b"LESION_TYPE", b"TOTAL_OUTLINES",
                    b"BOUNDARY", b"MASS SHAPE", b"#") for bit in (1, 3)},
    "overlay bits of PATHOLOGY": swap(b"MALIGNANT", b"MALIGNAMT"),
    "overlay 4 abnormalities": swap(b"TOTAL_ABNORMALITIES 3", b"TOTAL_ABNORMALITIES 4"),
    "overlay 999 abnormalities": swap(b"TOTAL_ABNORMALITIES 3", b"TOTAL_ABNORMALITIES 999"),
    "overlay -1 abnormalities": swap(b"TOTAL_ABNORMALITIES 3", b"TOTAL_ABNORMALITIES -1"),
    "overlay 10^9 abnormalities": swap(b"TOTAL_ABNORMALITIES 3", b"TOTAL_ABNORMALITIES 1000000000"),
    "overlay huge number": swap(b"TOTAL_ABNORMALITIES 3", b"TOTAL_ABNORMALITIES " + b"9" * 9999),
    "overlay number twice": swap(b"ABNORMALITY 2", b"ABNORMALITY 1"),
    "overlay outlines twice": swap(b"TOTAL_OUTLINES 1", b"TOTAL_OUTLINES 1\nTOTAL_OUTLINES 1"),
    "overlay no outlines": swap(b"TOTAL_OUTLINES 1\n", b""),
    "overlay two ends": swap(b"#", b"# #"),
    "overlay no end": swap(b"#", b""),
    "overlay direction 8": swap(CHAIN, CHAIN.replace(b" 4 ", b" 8 ", 1)),
    "overlay direction 44": swap(CHAIN, CHAIN.replace(b" 4 4 ", b" 44 ", 1)),
    "overlay direction -1": swap(CHAIN, CHAIN.replace(b" 4 ", b" -1 ", 1)),
    "overlay direction NaN": swap(CHAIN, CHAIN.replace(b" 4 ", b" nan ", 1)),
    "overlay start -10": swap(b"10 20", b"-10 20"),
    "overlay start 99999999": drawn(overlay(abnormality(
        1, [IRREGULAR], [CHAIN.decode().replace("10 20", "99999999 20", 1)]))),
    "overlay start 9000": drawn(overlay(abnormality(
        1, [IRREGULAR], [CHAIN.decode().replace("10 20", "9000 20", 1)]))),
    "overlay start huge": swap(b"10 20", b"9" * 9999 + b" 20"),
    "overlay 150,000 steps": drawn(overlay(abnormality(
        1, [IRREGULAR], ["10 20 " + "2 6 " * 75_000 + "#"]))),
    "overlay 90,000 steps": drawn(spiral()),
    "overlay 1 MB": drawn(GOOD + b"\n" * 1_000_000),
    "overlay empty": drawn(b""),
    "overlay noise": drawn(NOISE),
    "overlay zeros": drawn(bytes(4000)),
    "overlay 16 bits": drawn(GOOD.decode().encode("utf-16")),
    "overlay a zero byte": swap(b"MASS", b"MA\0S"),
    "overlay latin": swap(b"SPICULATED", b"SPICULAT\xc9"),
    "overlay leads out": linked("*.OVERLAY"),
    "overlay a folder": film(Path.mkdir, f"{FILM}.OVERLAY"),
    "overlay a pipe": film(os.mkfifo, f"{FILM}.OVERLAY"),
    "overlay a loop": film(lambda p: p.symlink_to(p.name), f"{FILM}.OVERLAY"),
    **{f"ics cut at {k}/10": cut("*.ics", k / 10) for k in range(10)},
    **{f"ics bit {bit} of {word.decode()}": flip("*.ics", word, bit)
       for word in (b"ics_version", b"filename", b"RIGHT_MLO LINES", b"LINES", b"PIXELS_PER_LINE",
                    b"BITS_PER_PIXEL", b"RESOLUTION", b"1.0") for bit in (0, 1)},
    **{f"ics {field} {value[:12]}": ics_with(f"{field} {good}", f"{field} {value}")
       for field, good in (("LINES", "80"), ("PIXELS_PER_LINE", "60"), ("BITS_PER_PIXEL", "12"))
       for value in ("0", "-5", "1e3", "nan", "999999999", "9" * 5000, "")},
    "ics lines 20000": ics_with("LINES 80", "LINES 20000"),
    "ics size 16000": ics_with("LINES 80 PIXELS_PER_LINE 60",
                               "LINES 16000 PIXELS_PER_LINE 16000"),
    "ics resolution nan": ics_with("RESOLUTION 50", "RESOLUTION nan"),
    "ics resolution 9999": ics_with("RESOLUTION 50", "RESOLUTION 9999"),
    "ics resolution -50": ics_with("RESOLUTION 50", "RESOLUTION -50"),
    "ics bits 32": ics_with("BITS_PER_PIXEL 12", "BITS_PER_PIXEL 32"),
    "ics version": ics_with("ics_version 1.0", "ics_version 2.0"),
    "ics name climbs": ics_with("filename B-3030-1", "filename ../../etc/passwd"),
    "ics name absolute": ics_with("filename B-3030-1", "filename /etc/passwd"),
    "ics name missing": ics_with("filename B-3030-1\n", ""),
    "ics view twice": ics_with("LEFT_CC LINES", "RIGHT_MLO LINES"),
    "ics 100 kB": lambda root: (root / STUDY / "B-3030-1.ics").write_text(ics() + "\n" * 100_000),
    "ics noise": lambda root: (root / STUDY / "B-3030-1.ics").write_bytes(NOISE),
    "ics empty": lambda root: (root / STUDY / "B-3030-1.ics").write_bytes(b""),
    "ics renamed": lambda root: (root / STUDY / "B-3030-1.ics").rename(root / STUDY / "x.ics"),
    "ics leads out": linked("*.ics"),
    "film cut": cut(f"{FILM}.png", 0.5),
    "film empty": film(lambda p: p.write_bytes(b"")),
    "film noise": film(lambda p: p.write_bytes(NOISE)),
    "film leads out": linked(f"{FILM}.png"),
    "film a folder": film(Path.mkdir),
    "film a pipe": film(os.mkfifo),
    "film a loop": film(lambda p: p.symlink_to(p.name)),
    "raw too short": film(lambda p: raw(p.with_suffix(".LJPEG.1"), (ROWS - 1, COLUMNS))),
    "raw too long": film(lambda p: raw(p.with_suffix(".LJPEG.1"), (ROWS + 1, COLUMNS))),
    "raw empty": film(lambda p: p.with_suffix(".LJPEG.1").write_bytes(b"")),
}  # fmt: skip


def outcome(root: Path) -> str:
    """Read a folder within the limits: ``refused``, ``dropped`` (with its reason) or ``kept``."""
    message = None
    tracemalloc.start()
    began = time.process_time()
    try:
        table, dropped = build_manifest(root)
    except DataError as error:
        message = str(error)
    seconds, peak = time.process_time() - began, tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert seconds < 2.0
    assert peak < 1 << 30
    if message is not None:
        assert "\n" not in message
        assert str(root) in message
        assert len(message) < 2000
        return "refused"
    lost = f"{FILM}_1" not in validate(table)["case"].tolist()
    return "dropped" if lost and set(dropped) - set(DROPPED) else "kept"


@pytest.mark.parametrize("name", MUTATIONS)
def test_a_damaged_file_is_refused_or_its_row_dropped(cases: Path, name: str) -> None:
    assert outcome(cases) == "kept"  # control
    MUTATIONS[name](cases)
    assert outcome(cases) in ("refused", "dropped")


def test_there_are_enough_of_them() -> None:
    assert len(MUTATIONS) >= 100


@pytest.mark.parametrize("seed", range(20))
def test_random_bits_never_break_the_reader(cases: Path, seed: int) -> None:
    """A flipped bit may give another valid file, as one of PATIENT_AGE does; nothing else."""
    rng = np.random.default_rng(seed)
    for part in ("*.OVERLAY", "*.ics"):
        path = next(cases.rglob(part))
        content = bytearray(path.read_bytes())
        for at in rng.integers(0, len(content), 3):
            content[at] ^= 1 << int(rng.integers(8))
        path.write_bytes(bytes(content))
        assert outcome(cases) in ("refused", "dropped", "kept")


def unsafe(folder: Path, path: Path) -> str:
    return path.relative_to(folder).as_posix()


CONTROLS: list[tuple[str, object, str, object]] = [
    ("overlay leads out", ddsm, "relative", unsafe),
    ("film leads out", ddsm, "relative", unsafe),
    ("ics leads out", ddsm, "relative", unsafe),
    ("overlay 1 MB", ddsm_overlay, "MOST_BYTES", 1 << 40),
    ("ics 100 kB", ddsm_ics, "MOST_BYTES", 1 << 40),
    ("ics resolution 9999", ddsm_ics, "_LARGEST_PITCH", 1e9),
    ("overlay bits of PATHOLOGY", ddsm_overlay, "PATHOLOGY", {"MALIGNAMT": "malignant"}
     | ddsm_overlay.PATHOLOGY),
    ("ics name climbs", ddsm, "read_ics", lambda p: replace(read_ics(p), named=p.stem)),
]  # fmt: skip


@pytest.mark.parametrize(("name", "module", "guard", "without"), CONTROLS)
def test_without_its_guard_the_test_fails(
    cases: Path,
    monkeypatch: pytest.MonkeyPatch,
    name: str,
    module: object,
    guard: str,
    without: object,
) -> None:
    MUTATIONS[name](cases)
    assert outcome(cases) in ("refused", "dropped")
    monkeypatch.setattr(module, guard, without)
    with pytest.raises(AssertionError):  # kept, or over the limits
        assert outcome(cases) in ("refused", "dropped")


def test_without_their_limit_long_chains_take_too_much(
    cases: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(DataError, match="beyond any film"):
        ddsm_chain.decode_chain(["1", "1", *"26" * 100_000, "#"])
    monkeypatch.setattr(ddsm_chain, "LONGEST", 10**9)
    assert len(ddsm_chain.decode_chain(["1", "1", *"26" * 100_000, "#"])) == 200_001


def test_the_cohort_is_built_checked_and_read_by_its_name(
    cases: Path, own_store: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MAMMOSTUDY_DATA", str(cases.parent))
    cases.rename(cases.parent / "ddsm")
    study = cases.parent / "ddsm" / STUDY
    (study / f"{FILM}.png").unlink()
    raw(study / f"{FILM}.LJPEG.1")
    cohort = load_cohort("ddsm")
    assert cohort.dropped == DROPPED
    assert len(cohort) == 2
    sample = cohort.sample(f"{FILM}_1")
    assert sample.mask.sum() == 12 * 9
    expected = read_raw(study / f"{FILM}.LJPEG.1")
    np.testing.assert_allclose(sample.image, expected, atol=1e-5)
