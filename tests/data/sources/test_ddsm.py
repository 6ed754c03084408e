"""DDSM on folders that the tests write as published: faults, and files that are damaged."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from writers import cells, dropped, link, put, refused, remove, swap, write_picture

from mammostudy.data.load import build, load_cohort, read_rows
from mammostudy.data.manifest import BOX, validate
from mammostudy.data.sources.ddsm import build_manifest, corners, decode_chain, is_raw, read_raw
from mammostudy.errors import DataError
from mammostudy.imaging.contours import box_of, fill_rows

ROWS, COLUMNS = 80, 60
STUDY = "cancers/cancer_01/case3030"
FILM = "B_3030_1.RIGHT_MLO"
NO_BOX = [None] * 4
GREY = np.array([[0, 1, 500], [1000, 3000, 4095]], np.uint16)
CODES = st.lists(st.integers(0, 7), max_size=200)
COMPOUND, OTHER_SHAPE = "shape of several words", "shape that is none of the four"


def box_chain(x, y, width, height):
    """The chain code along the pixels of a rectangle's edge, clockwise and closed."""
    steps = [2] * (width - 1) + [4] * (height - 1) + [6] * (width - 1) + [0] * (height - 1)
    return f"{x} {y} {' '.join(map(str, steps))} #"


IRREGULAR = "MASS SHAPE IRREGULAR MARGINS SPICULATED"
CALCIFICATION = "CALCIFICATION TYPE PLEOMORPHIC DISTRIBUTION CLUSTERED"
BOX_CHAIN, OTHER_CHAIN = box_chain(10, 20, 12, 9), box_chain(30, 40, 15, 10)


def abnormality(*outlines, number=1, lesions=(IRREGULAR,), stated=None, inner="\tCORE"):
    """One abnormality as the owners' files have it; the first outline is the boundary."""
    lines = [f"ABNORMALITY {number}", *(f"LESION_TYPE {lesion}" for lesion in lesions)]
    pathology = "BENIGN_WITHOUT_CALLBACK" if number == 3 else "MALIGNANT"
    lines += ["ASSESSMENT 5", "SUBTLETY 4", f"PATHOLOGY {pathology}"]
    lines += [f"TOTAL_OUTLINES {len(outlines) if stated is None else stated}"]
    for k, chain in enumerate(outlines):
        lines += [inner if k else "BOUNDARY", f"{chain} "]
    return "\n".join(lines) + "\n"


def drawn(*outlines, **said):
    return put("*.OVERLAY", "TOTAL_ABNORMALITIES 1\n" + abnormality(*outlines, **said))


GOOD = "TOTAL_ABNORMALITIES 3\n" + "".join([
    abnormality(BOX_CHAIN), abnormality(box_chain(2, 2, 5, 5), number=2, lesions=(CALCIFICATION,)),
    abnormality(OTHER_CHAIN, box_chain(33, 43, 3, 3), number=3,
                lesions=("MASS SHAPE LOBULATED MARGINS ILL_DEFINED-OBSCURED", CALCIFICATION)),
])  # fmt: skip
INNER = "inner outline of a mass (CORE), part of its boundary"
DROPPED = {"abnormality that is no mass": 1, INNER: 1}


def ics(scanner="LUMISYS", rows=ROWS, columns=COLUMNS):
    film = f"LINES {rows} PIXELS_PER_LINE {columns} BITS_PER_PIXEL 12 RESOLUTION 50"
    return (
        f"ics_version 1.0\nfilename B-3030-1\nDATE_OF_STUDY 18 7 1995\nPATIENT_AGE 61\nFILM \n"
        f"FILM_TYPE REGULAR\nDENSITY 2\nDATE_DIGITIZED 22 8 1997\nDIGITIZER {scanner} LASER\n"
        f"SEQUENCE LEFT_CC LEFT_MLO RIGHT_CC RIGHT_MLO\n"
        f"LEFT_CC {film} NON_OVERLAY \nRIGHT_MLO {film} OVERLAY \n"
    )


def film(shape=(ROWS, COLUMNS), name=FILM, seed=5):
    pixels = np.random.default_rng(seed).integers(0, 4096, shape, np.uint16)
    return lambda root: write_picture(root / STUDY / f"{name}.png", pixels)


def raw(root):
    """Put a raw film in place of the picture."""
    (root / STUDY / f"{FILM}.png").unlink()
    path = root / STUDY / f"{FILM}.LJPEG.1"
    grey = np.random.default_rng(7).integers(0, 4096, (ROWS, COLUMNS), np.uint16)
    path.write_bytes(grey.astype(">u2").tobytes())
    return path


@pytest.fixture
def cases(tmp_path):
    """One study with a film of two masses and one without an overlay."""
    root = tmp_path / "cases"
    film()(root)
    film(name="B_3030_1.LEFT_CC", seed=6)(root)
    (root / STUDY / "B-3030-1.ics").write_text(ics())
    (root / STUDY / f"{FILM}.OVERLAY").write_text(GOOD)
    return root


@pytest.mark.parametrize("name", ["{}.png", "{}.tif", "{}.PNG", "PNGFiles/{}.LJPEG.png"])
def test_the_published_layout_becomes_a_manifest(cases, name):
    place = f"{STUDY}/{name.format(FILM)}"
    (cases / place).parent.mkdir(exist_ok=True)
    (cases / STUDY / f"{FILM}.png").rename(cases / place)
    table, counts = build_manifest(cases)
    assert counts == DROPPED
    assert cells(validate(table), "case", "image", "view", "side", "shape", "pathology", *BOX) == [
        ["B_3030_1.LEFT_CC", f"{STUDY}/B_3030_1.LEFT_CC.png", "CC", "L", None, "unknown", *NO_BOX],
        [f"{FILM}_1", place, "MLO", "R", "irregular", "malignant", 10, 20, 22, 29],
        [f"{FILM}_3", place, "MLO", "R", "lobular", "benign", 30, 40, 45, 50],
    ]
    said = cells(table, "patient", "site", "modality", "spacing_mm")
    assert said == [["B_3030", "WFU", "SFM", 0.05]] * 3


@pytest.mark.parametrize(("shape", "expected", "reason"), [
    ("IRREGULAR", "irregular", None), ("OVAL-OVAL", "oval", None), ("ROUND-OVAL", None, COMPOUND),
    ("LYMPH_NODE", None, OTHER_SHAPE), ("lobulated", None, OTHER_SHAPE),
])  # fmt: skip
def test_words_become_shapes_and_the_rest_is_counted(cases, shape, expected, reason):
    drawn(BOX_CHAIN, OTHER_CHAIN, lesions=(f"MASS SHAPE {shape}",), inner="BOUNDARY")(cases)
    table, counts = build_manifest(cases)
    rows = validate(table)[1:]  # several boundaries are rows of their own, kept for segmentation
    assert cells(rows, "case", "shape") == [[f"{FILM}_1.{k}", expected] for k in (1, 2)]
    assert [(told.split(" (")[0], n) for told, n in counts.items()] == [(reason, 1)] * bool(reason)


def test_a_smaller_picture_takes_its_outlines_along(cases):
    film((ROWS // 2, COLUMNS // 2))(cases)
    row = build_manifest(cases)[0].set_index("case").loc[f"{FILM}_1"]
    assert row[[*BOX, "height", "width", "spacing_mm"]].tolist() == [5, 10, 11, 14, 40, 30, 0.1]


def uncalibrated(root):
    raw(root)
    put("*.ics", ics("DBA"))(root)


TURNS = ("2 " * 40 + "4 " + "6 " * 40 + "0 ") * 1100  # 90,000 steps on a film of 80 x 60


@pytest.mark.parametrize(("change", "reason"), [
    (remove(f"{FILM}.png"), "film without a picture"), (remove("*.OVERLAY"), "is missing"),
    (uncalibrated, "published calibration"), (film((COLUMNS, ROWS)), "another aspect"),
    (drawn(), "mass without a boundary"), (drawn(BOX_CHAIN, stated=3), "TOTAL_OUTLINES"),
    (drawn("10 20 " + "2 " * 30 + "4 " * 30 + "#"), "does not come back"),
    (drawn(box_chain(55, 20, 12, 9)), "outline that leaves the image"),
    (drawn("10 20 2 2 2 6 6 6 #"), "outline that encloses no area"),
    (drawn(f"10 20 {TURNS}#"), "boundary of more steps than the film has pixels"),
])  # fmt: skip
def test_known_faults_drop_rows_by_reason(cases, change, reason):
    table = dropped(build_manifest, cases, change, reason)
    assert table["case"].tolist() == ["B_3030_1.LEFT_CC"]  # FILM is no view without mass


def copied(name):
    return lambda root: (root / "cancers" / name).write_text(ics())


@pytest.mark.parametrize("change", [
    put("*.OVERLAY", GOOD[: len(GOOD) // 2]), swap("*.OVERLAY", "MALIGNANT", "MALIGNAMT"),
    swap("*.OVERLAY", " 4 ", " 8 "), swap("*.OVERLAY", "ABNORMALITIES 3", "ABNORMALITIES 4"),
    swap("*.OVERLAY", "ABNORMALITY 2", "ABNORMALITY 1"), swap("*.ics", "LINES 80", "LINES 0"),
    swap("*.ics", "filename B-3030-1\n", ""), swap("*.ics", "version 1.0", "version 2.0"),
    swap("*.ics", "LEFT_CC LINES", "RIGHT_MLO LINES"), link("*.OVERLAY"), copied("B-3030-1.ics"),
    lambda root: next(root.rglob("*.ics")).rename(root / STUDY / "x.ics"),
])  # fmt: skip
def test_a_damaged_file_is_refused_by_name(cases, change):
    refused(build_manifest, cases, change, str(cases / STUDY))


def test_a_study_that_is_named_otherwise(cases):
    assert len(dropped(build_manifest, cases, copied("A-0002-1.ics"), "filename")) == 3


@given(st.tuples(st.integers(0, 9000), st.integers(0, 9000)), CODES)
def test_chain_codes_go_to_the_neighbour_that_the_clock_says(start, codes):
    pixels = decode_chain(" ".join(map(str, (*start, *codes))))
    assert pixels.shape == (len(codes) + 1, 2)
    assert tuple(pixels[0]) == start
    for (x, y), code in zip(np.diff(pixels, axis=0).tolist(), codes, strict=True):
        hour = np.degrees(np.arctan2(x, -y)) % 360  # clockwise from up, y grows downwards
        assert hour == pytest.approx(45 * code)


@given(st.lists(st.integers(0, 7), min_size=4, max_size=60), st.integers(0, 3))
def test_corners_enclose_the_same_pixels(codes, repeat):
    """Also where the chain crosses itself; here it comes back to its start by another way."""
    codes = [code for code in codes for _ in range(repeat + 1)]
    codes += [(code + 4) % 8 for code in sorted(codes)]
    closed = decode_chain(" ".join(map(str, (300, 300, *codes))))
    few = corners(closed)
    assert (closed[-1] == 300).all()
    if len(few) >= 3:
        np.testing.assert_array_equal(fill_rows(few, (600, 600)), fill_rows(closed, (600, 600)))


def raw_study(folder, grey, scanner, letter):
    """Write a study's header and one raw film, the most significant byte first."""
    text = ics(scanner, *grey.shape).replace("B-3030", f"{letter}-3030")
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
def test_optical_density_by_scanner(tmp_path, scanner, letter, density):
    path = raw_study(tmp_path, GREY, scanner, letter)
    assert is_raw(path)
    image = read_raw(path)
    expected = np.clip((3.60 - density(GREY.astype(float))) / 3.55, 0, 1)
    np.testing.assert_allclose(image, expected, atol=1e-6)
    path.write_bytes(GREY.astype("<u2").tobytes())  # turned where the bits tell
    np.testing.assert_array_equal(read_raw(path), image)


def test_raw_films_that_are_not_what_the_header_says(tmp_path):
    deep = raw_study(tmp_path, GREY * 0 + 0x1110, "HOWTEK", "D")
    other = raw_study(tmp_path, GREY, "OTHER", "A")
    short = raw_study(tmp_path, GREY, "LUMISYS", "B")
    short.write_bytes(GREY.tobytes()[:-2])
    for path in (deep, other, short):
        with pytest.raises(DataError, match=str(path)):
            read_raw(path)


def test_the_cohort_is_built_checked_and_read_by_its_name(cases, own_store):
    root = cases.rename(cases.parent / "ddsm")
    film_ = raw(root)
    cohort = load_cohort("ddsm", root.parent)
    assert (cohort.dropped, len(cohort)) == (DROPPED, 2)
    sample = cohort.sample(f"{FILM}_1")
    assert box_of(sample.mask) == (10, 20, 22, 29)
    assert (sample.mask.sum(), sample.truth_all.sum()) == (12 * 9, 12 * 9 + 15 * 10)
    np.testing.assert_allclose(sample.image, read_raw(film_), atol=1e-5)
    film_.write_bytes(film_.read_bytes()[:-2])
    assert len(build("ddsm", root, "ddsm")) == 0
    assert set(read_rows("ddsm", "quarantine")["check"]) == {"unreadable"}
