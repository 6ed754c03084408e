"""DDSM on folders that the tests write as published: faults, and files that are damaged."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mammostudy.data.load import load_cohort
from mammostudy.data.manifest import BOX, validate
from mammostudy.data.sources.ddsm import (
    build_manifest,
    corners,
    decode_chain,
    is_raw,
    read_raw,
)
from mammostudy.errors import DataError
from mammostudy.imaging.contours import fill_rows

ROWS, COLUMNS = 80, 60
STUDY = "cancers/cancer_01/case3030"
FILM = "B_3030_1.RIGHT_MLO"
COMPOUND = "shape of several words (mass kept without a shape)"
OTHER_SHAPE = "shape that is none of the four (mass kept without a shape)"
Change = Callable[[Path], object]


def box_chain(x: int, y: int, width: int, height: int) -> str:
    """The chain code along the pixels of a rectangle's edge, clockwise and closed."""
    steps = [2] * (width - 1) + [4] * (height - 1) + [6] * (width - 1) + [0] * (height - 1)
    return f"{x} {y} {' '.join(map(str, steps))} #"


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


def overlay(*abnormalities: str) -> bytes:
    return (f"TOTAL_ABNORMALITIES {len(abnormalities)}\n" + "".join(abnormalities)).encode()


IRREGULAR = "MASS SHAPE IRREGULAR MARGINS SPICULATED"
CALCIFICATION = "CALCIFICATION TYPE PLEOMORPHIC DISTRIBUTION CLUSTERED"
GOOD = overlay(
    abnormality(1, [IRREGULAR], [box_chain(10, 20, 12, 9)]),
    abnormality(2, [CALCIFICATION], [box_chain(2, 2, 5, 5)]),
    abnormality(3, ["MASS SHAPE LOBULATED MARGINS ILL_DEFINED-OBSCURED", CALCIFICATION],
                [box_chain(30, 40, 15, 10), box_chain(33, 43, 3, 3)], "BENIGN_WITHOUT_CALLBACK"),
)  # fmt: skip
CORE = "inner outline of a mass (CORE), part of its boundary"
DROPPED = {"abnormality that is no mass": 1, CORE: 1}


def ics(scanner: str = "LUMISYS") -> str:
    views = {"LEFT_CC": "NON_OVERLAY", "RIGHT_MLO": "OVERLAY"}
    films = "".join(
        f"{view} LINES {ROWS} PIXELS_PER_LINE {COLUMNS} BITS_PER_PIXEL 12 RESOLUTION 50 {drawn} \n"
        for view, drawn in views.items()
    )
    return (
        f"ics_version 1.0\nfilename B-3030-1\nDATE_OF_STUDY 18 7 1995\nPATIENT_AGE 61\nFILM \n"
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
    said = table[["patient", "site", "modality", "spacing_mm"]].drop_duplicates()
    assert said.to_numpy().tolist() == [["B_3030", "WFU", "SFM", 0.05]]
    assert table["view"].tolist() == ["CC", "MLO", "MLO"]
    assert table["side"].tolist() == ["L", "R", "R"]
    assert table["shape"].tolist()[1:] == ["irregular", "lobular"]
    assert table["pathology"].tolist() == ["unknown", "malignant", "benign"]
    boxes = table[list(BOX)]
    assert boxes.iloc[0].isna().all()
    assert boxes.iloc[1:].to_numpy().tolist() == [[10, 20, 22, 29], [30, 40, 45, 50]]


@pytest.mark.parametrize(("shape", "expected", "reason"), [
    ("IRREGULAR", "irregular", None), ("OVAL-OVAL", "oval", None), ("ROUND-OVAL", None, COMPOUND),
    ("LYMPH_NODE", None, OTHER_SHAPE), ("lobulated", None, OTHER_SHAPE),
])  # fmt: skip
def test_words_become_shapes_and_the_rest_is_counted(
    cases: Path, shape: str, expected: str | None, reason: str | None
) -> None:
    lesion = f"MASS SHAPE {shape} MARGINS OBSCURED"
    drawn(overlay(abnormality(1, [lesion], [box_chain(10, 20, 12, 9)])))(cases)
    table, dropped = build_manifest(cases)
    row = validate(table).set_index("case").loc[f"{FILM}_1"]
    assert row["shape"] == expected if expected else pd.isna(row["shape"])
    assert dropped == ({reason: 1} if reason else {})
    assert row["x_min"] == 10  # kept for segmentation


def test_several_boundaries_are_rows_of_their_own(cases: Path) -> None:
    outlines = [box_chain(10, 20, 12, 9), box_chain(30, 40, 15, 10)]
    drawn(overlay(abnormality(1, [IRREGULAR], outlines, boundaries=True)))(cases)
    table, dropped = build_manifest(cases)
    assert table["case"].tolist()[1:] == [f"{FILM}_1.1", f"{FILM}_1.2"]
    assert table["shape"].tolist()[1:] == ["irregular"] * 2
    assert dropped == {}


@pytest.mark.parametrize("name", ["{}.tif", "{}.PNG", "PNGFiles/{}.LJPEG.png"])
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


def test_a_smaller_picture_takes_its_outlines_along(cases: Path) -> None:
    picture(cases / STUDY / f"{FILM}.png", (ROWS // 2, COLUMNS // 2))
    row = build_manifest(cases)[0].set_index("case").loc[f"{FILM}_1"]
    assert row[[*BOX, "height", "width", "spacing_mm"]].tolist() == [5, 10, 11, 14, 40, 30, 0.1]


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


def uncalibrated(root: Path) -> None:
    (root / STUDY / "B-3030-1.ics").write_text(ics(scanner="DBA"))
    (root / STUDY / f"{FILM}.png").unlink()
    raw(root / STUDY / f"{FILM}.LJPEG.1")


def spiral() -> bytes:
    """A boundary of 90,000 steps that turns about, on a film of 80 x 60."""
    steps = ("2 " * 40 + "4 " + "6 " * 40 + "0 ") * 1100
    return overlay(abnormality(1, [IRREGULAR], [f"10 20 {steps}#"]))


OPEN_CHAIN = "10 20 " + "2 " * 30 + "4 " * 30 + "#"
KNOWN: list[tuple[Change, str]] = [
    (film(lambda p: None), "film without a picture"),
    (film(lambda p: None, f"{FILM}.OVERLAY"), "is missing"),
    (uncalibrated, "published calibration"),
    (film(lambda p: picture(p, (COLUMNS, ROWS))), "another aspect"),
    (mass(""), "mass without a boundary"),
    (mass(box_chain(10, 20, 12, 9), stated=3), "TOTAL_OUTLINES"),
    (mass(OPEN_CHAIN), "does not come back"),
    (mass(box_chain(55, 20, 12, 9)), "outline that leaves the image"),
    (mass("10 20 2 2 2 6 6 6 #"), "outline that encloses no area"),
    (drawn(spiral()), "boundary of more steps than the film has pixels"),
]  # fmt: skip


@pytest.mark.parametrize(("change", "reason"), KNOWN)
def test_known_faults_drop_rows_by_reason(cases: Path, change: Change, reason: str) -> None:
    assert not [told for told in build_manifest(cases)[1] if reason in told]
    change(cases)
    table, dropped = build_manifest(cases)
    assert [count for told, count in dropped.items() if reason in told] == [1]
    assert len(validate(table)) == 1
    assert not table["image"].str.contains(FILM).any()  # no view without mass


def test_a_study_that_stands_twice_or_is_named_otherwise(cases: Path) -> None:
    again = cases / "copy"
    again.mkdir()
    (again / "B-3030-1.ics").write_text(ics())
    with pytest.raises(DataError, match="keep one"):
        build_manifest(cases)
    (again / "B-3030-1.ics").rename(again / "A-0002-1.ics")
    assert build_manifest(cases)[1] == DROPPED | {
        "study whose field filename is not the name of its .ics file": 1
    }


# Damaged files -----------------------------------------------------------------------------------


def swap(old: str, new: str) -> Change:
    assert old in GOOD.decode()
    return drawn(GOOD.decode().replace(old, new, 1).encode())


def linked(root: Path) -> None:
    path = next(root.rglob("*.OVERLAY"))
    moved = root.parent / "outside.OVERLAY"
    path.rename(moved)
    path.symlink_to(moved)


DAMAGED: list[Change] = [
    drawn(GOOD[: len(GOOD) // 2]), swap("MALIGNANT", "MALIGNAMT"), swap(" 4 ", " 8 "),
    swap("TOTAL_ABNORMALITIES 3", "TOTAL_ABNORMALITIES 4"), swap("ABNORMALITY 2", "ABNORMALITY 1"),
    ics_with("LINES 80", "LINES 0"), ics_with("filename B-3030-1\n", ""),
    ics_with("ics_version 1.0", "ics_version 2.0"), ics_with("LEFT_CC LINES", "RIGHT_MLO LINES"),
    lambda root: (root / STUDY / "B-3030-1.ics").rename(root / STUDY / "x.ics"), linked,
]  # fmt: skip


@pytest.mark.parametrize("change", DAMAGED)
def test_a_damaged_file_is_refused_by_name(cases: Path, change: Change) -> None:
    build_manifest(cases)  # control
    change(cases)
    with pytest.raises(DataError, match=str(cases / STUDY)) as caught:
        build_manifest(cases)
    assert "\n" not in str(caught.value)


# Chain codes and raw films -----------------------------------------------------------------------

CODES = st.lists(st.integers(0, 7), max_size=200)


@given(st.tuples(st.integers(0, 9000), st.integers(0, 9000)), CODES)
def test_chain_codes_go_to_the_neighbour_that_the_clock_says(
    start: tuple[int, int], codes: list[int]
) -> None:
    code = " ".join(map(str, (*start, *codes)))
    pixels = decode_chain(code)
    assert pixels.shape == (len(codes) + 1, 2)
    assert tuple(pixels[0]) == start
    for (x, y), code in zip(np.diff(pixels, axis=0).tolist(), codes, strict=True):
        hour = np.degrees(np.arctan2(x, -y)) % 360  # clockwise from up, y grows downwards
        assert hour == pytest.approx(45 * code)


@given(st.lists(st.integers(0, 7), min_size=4, max_size=60), st.integers(0, 3))
def test_corners_enclose_the_same_pixels(codes: list[int], repeat: int) -> None:
    """Also where the chain crosses itself; here it comes back to its start by another way."""
    codes = [code for code in codes for _ in range(repeat + 1)]
    codes += [(code + 4) % 8 for code in sorted(codes)]
    closed = decode_chain(" ".join(map(str, (300, 300, *codes))))
    few = corners(closed)
    assert (closed[-1] == 300).all()
    if len(few) >= 3:
        np.testing.assert_array_equal(fill_rows(few, (600, 600)), fill_rows(closed, (600, 600)))


GREY = np.array([[0, 1, 500], [1000, 3000, 4095]], np.uint16)


def raw_study(folder: Path, grey: np.ndarray, scanner: str = "HOWTEK", letter: str = "D") -> Path:
    """Write a study's header and one raw film, the most significant byte first."""
    text = ics(scanner).replace("B-3030", f"{letter}-3030")
    text = text.replace(f"LINES {ROWS}", "LINES 2").replace(f"LINE {COLUMNS}", "LINE 3")
    (folder / f"{letter}-3030-1.ics").write_text(text)
    path = folder / f"{letter}_3030_1.LEFT_CC.LJPEG.1"
    path.write_bytes(grey.astype(">u2").tobytes())
    return path


@pytest.mark.parametrize(("scanner", "letter", "density"), [
    ("HOWTEK", "A", lambda g: 3.789 - 0.00094568 * g),
    ("HOWTEK", "D", lambda g: 3.96604095240593 - 0.00099055807612 * g),
    ("LUMISYS", "B", lambda g: (g - 4096.99) / -1009.01),
    ("DBA", "A", lambda g: (np.log10(np.maximum(g, 1)) - 4.80662) / -1.07553),
])  # fmt: skip
def test_optical_density_by_scanner(
    tmp_path: Path, scanner: str, letter: str, density: Callable[[np.ndarray], np.ndarray]
) -> None:
    path = raw_study(tmp_path, GREY, scanner, letter)
    assert is_raw(path)
    image = read_raw(path)
    assert (image.dtype, image.shape) == (np.float32, (2, 3))
    expected = np.clip((3.60 - density(GREY.astype(float))) / 3.55, 0, 1)
    np.testing.assert_allclose(image, expected, atol=1e-6)
    path.write_bytes(GREY.astype("<u2").tobytes())  # turned where the bits tell
    np.testing.assert_array_equal(read_raw(path), image)


def test_raw_films_that_are_not_what_the_header_says(cases: Path, tmp_path: Path) -> None:
    with pytest.raises(DataError, match="more than BITS_PER_PIXEL 12"):
        read_raw(raw_study(tmp_path, np.full((2, 3), 0x1110, np.uint16)))
    with pytest.raises(DataError, match="not the film that"):
        read_raw(raw_study(tmp_path, GREY, "OTHER", "A"))
    (cases / STUDY / f"{FILM}.png").unlink()
    raw(cases / STUDY / f"{FILM}.LJPEG.1", (ROWS, COLUMNS - 1))
    with pytest.raises(DataError, match=f"{ROWS} LINES of {COLUMNS} PIXELS_PER_LINE"):
        build_manifest(cases)


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
    mask = np.zeros((ROWS, COLUMNS), bool)
    mask[20:29, 10:22] = True
    np.testing.assert_array_equal(sample.mask, mask)
    assert sample.truth_all.sum() == 12 * 9 + 15 * 10
    expected = read_raw(study / f"{FILM}.LJPEG.1")
    np.testing.assert_allclose(sample.image, expected, atol=1e-5)
