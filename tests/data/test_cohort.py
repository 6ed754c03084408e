"""Cohorts: arrays and the files behind their rows, outlines alone, what each task needs."""

from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pandas as pd
import pytest
from writers import link, put, remove, with_cells, write_dicom, write_picture

from mammostudy.data import cohort as module
from mammostudy.data import descriptors, manifest, row_files
from mammostudy.data.cohort import OUTLINE_COLUMNS as COLUMNS
from mammostudy.data.cohort import Cohort, Geometry, OutlineCohort, box_of_row, lacking, require
from mammostudy.data.integrity import examine
from mammostudy.data.row_files import FileError, inside, read_mask
from mammostudy.errors import DataError
from mammostudy.imaging.contours import box_of, fill_outline

THIRTY = np.ones((30, 30), np.uint8)
OUTSIDE = "[[-9, -9], [-5, -9], [-5, -5]]"
STAR = Geometry("polygon", ((0, 0), (40, 30), (90, 0), (60, 50), (90, 100), (45, 70), (0, 100)))
OVAL = Geometry("ellipse", ((300, 200), (60, 25)))
DISC = Geometry("circle", ((50, 60), (20, 20)))


def test_samples_hold_what_the_files_hold(tiny):
    assert (len(tiny), len(tiny.manifest), tiny.masses["patient"].nunique()) == (13, 14, 6)
    for sample in tiny:
        assert sample.image.dtype == np.float32
        assert sample.image.shape == sample.mask.shape == (48, 64)
        pixels = cv2.imread(str(tiny.root / sample.row["image"]), cv2.IMREAD_UNCHANGED)
        np.testing.assert_allclose(sample.image, pixels / 255, atol=1e-5)
        assert sample.box == box_of_row(sample.row) == box_of(sample.mask)
    one, two, alone = (tiny.sample(case) for case in ("P0_CC_1", "P0_CC_2", "P1_CC_1"))
    assert not (one.mask & two.mask).any()
    np.testing.assert_array_equal(one.truth_all, one.mask | two.mask)
    np.testing.assert_array_equal(one.truth_all, two.truth_all)
    np.testing.assert_array_equal(alone.truth_all, alone.mask)
    free = tiny.manifest[tiny.manifest["x_min"].isna()]
    assert list(Cohort("tiny", tiny.root, manifest.validate(free))) == []


@pytest.mark.parametrize(("cells", "change", "words"), [
    ({"image_sha256": "0" * 64}, remove("images/P1_CC.png"), "images/P1_CC.png"),
    ({"image_sha256": "0" * 64}, put("images/P1_CC.png", b"x"), "images/P1_CC.png: .*changed"),
    ({"height": 50}, None, "is 64x48 .*64x50"), ({}, remove("masks/P1_CC.png"), "masks/P1_CC.png"),
    ({}, put("masks/P1_CC.png", b""), "masks/P1_CC.png: .*case P1_CC_1"),
    ({}, put("masks/P1_CC.png", b"no picture"), "masks/P1_CC.png: .*case P1_CC_1"),
    ({}, lambda root: write_picture(root / "masks/P1_CC.png", THIRTY), "30x30 .*64x48"),
    ({"mask_label": 7}, None, "P1_CC.png, mask_label 7 is empty"),
    ({"mask": None, "mask_label": None, "outline": OUTSIDE}, None, "outline is empty"),
])  # fmt: skip
def test_a_file_that_cannot_be_used_is_one_error(cells, change, words, tiny, capfd):
    tiny.sample("P1_CC_1")  # control; the image is in the cache by its hash from here on
    if change:
        change(tiny.root)
    with pytest.raises(DataError, match=f"{tiny.root}.*{words}") as caught:
        with_cells(tiny, "P1_CC_1", **cells).sample("P1_CC_1")
    assert "\n" not in str(caught.value)
    assert capfd.readouterr().err == ""  # no decoder's chatter beside the message


@pytest.fixture
def outlined():
    """An outline of each of six patients; discs round, stars irregular."""
    drawn = {f"P{patient}_CC": DISC if patient % 2 else STAR for patient in range(6)}
    rows = [
        {"case": case, "patient": case[:2], "image": case, "tool": one.tool, "site": "s"}
        | dict(zip(manifest.BOX, one.box, strict=True))
        | {"shape": "round" if one is DISC else "irregular"}
        for case, one in drawn.items()
    ]
    table = pd.DataFrame(rows, columns=list(COLUMNS))
    return OutlineCohort("outlines", Path("nowhere"), table, outlines=drawn)


@pytest.mark.parametrize("drawn", [STAR, OVAL, DISC])
def test_an_outline_fills_its_own_box_but_for_the_margin(drawn):
    mask = drawn.mask()
    x_min, y_min, x_max, y_max = drawn.box
    assert mask.shape == (y_max - y_min + 4, x_max - x_min + 4)  # a margin of 2
    assert box_of(mask) == (2, 2, mask.shape[1] - 2, mask.shape[0] - 2)
    if drawn is STAR:  # what scikit-image fills, and the pixels under the line
        other = fill_outline(np.asarray(drawn.points) + 2, mask.shape)
        assert not (other & ~mask).any()
        assert other.sum() / mask.sum() > 0.97
    else:
        width, height = drawn.points[1]
        assert mask.sum() == pytest.approx(np.pi * (width + 0.5) * (height + 0.5), rel=0.01)


def test_the_hash_follows_table_geometry_and_the_way_of_filling(outlined, monkeypatch):
    turned = dict(reversed(outlined.outlines.items()))
    shuffled = replace(outlined, manifest=outlined.manifest.iloc[::-1], outlines=turned)
    assert shuffled.manifest_hash == outlined.manifest_hash
    moved = replace(outlined, outlines={**outlined.outlines, "P1_CC": OVAL})
    relabelled = with_cells(outlined, "P0_CC", shape="oval")
    hashes = {c.manifest_hash for c in (outlined, moved, relabelled)}
    monkeypatch.setattr(module, "MARGIN", 3)
    assert len(hashes | {replace(outlined).manifest_hash}) == 4


def tasks_of(cohort):
    return [task for task in descriptors.TASKS if not lacking(cohort, task, study=False)]


def test_what_a_cohort_can_be_used_for(tiny, outlined):
    assert tasks_of(tiny) == ["detection", "segmentation", "shape"]
    assert tasks_of(outlined) == ["shape"]
    images = (lambda: outlined.image(outlined.row("P1_CC")), lambda: outlined.sample("P1_CC"))
    for call in (*images, lambda: list(outlined), lambda: require(outlined, "segmentation")):
        with pytest.raises(DataError, match="outlines only"):
            call()
    assert descriptors.describe("cmmd").needs == {"subtype": ("image", "subtype")}
    free = dict.fromkeys(("x_min", "shape", "mask", "outline"))
    subtype = tiny.manifest["patient"].map({"P2": "HER-2"}).fillna("Luminal-A")
    rows = tiny.manifest.assign(subtype=subtype, **free)
    assert tasks_of(Cohort("cmmd", tiny.root, rows)) == ["subtype"]
    assert tasks_of(Cohort("tiny", tiny.root, rows)) == []  # control


@pytest.mark.parametrize(("cells", "task", "words"), [
    ({}, "subtype", "lacks subtype;"), ({"shape": None}, "shape", "shape"),
    ({"shape": "round"}, "shape", "one value only"), ({"x_min": None}, "detection", "x_min"),
    ({"mask": None, "outline": None}, "segmentation", "mask or outline"),
    # of two patients, so never in one row
    ({"shape": {"P1": "oval"}, "subtype": {"P2": "HER-2"}}, "subtype", "a row with shape, subtype"),
])  # fmt: skip
def test_a_column_that_is_missing(cells, task, words, tiny):
    patient = tiny.manifest["patient"]
    cells = {k: patient.map(v) if isinstance(v, dict) else v for k, v in cells.items()}
    with pytest.raises(DataError, match=f"tiny: cannot be used for {task}: .*{words}"):
        require(replace(tiny, manifest=tiny.manifest.assign(**cells)), task)


def test_boxes_alone_serve_detection_and_what_needs_no_mask(tiny):
    gone = dict.fromkeys(("mask", "mask_label", "outline"))
    bare = replace(tiny, manifest=manifest.validate(tiny.manifest.assign(**gone)))
    assert tasks_of(bare) == ["detection"]
    assert tiny.views.drop(columns="image").equals(bare.views.drop(columns="image"))
    with pytest.raises(DataError, match="case P1_CC_1 has a box alone"):
        bare.mask("P1_CC_1")
    known, box = tiny.sample("P1_CC_1"), bare.sample("P1_CC_1")
    assert np.array_equal(known.image, box.image)
    assert (known.box, known.mask.any()) == (box.box, True)
    assert not (box.mask.any())
    assert not (box.truth_all.any())
    assert box.mask.shape == box.truth_all.shape == box.image.shape
    with pytest.raises(DataError, match=r"tiny: .* segmentation: .*mask or outline"):
        require(bare, "segmentation")
    faults, notes = examine(bare)
    assert faults.empty
    assert notes.empty


def test_masks_count_where_every_mass_has_one(tiny):
    some = with_cells(tiny, "P1_CC_1", mask=None, mask_label=None)
    assert tasks_of(some) == ["detection"]
    with pytest.raises(DataError, match=r"segmentation: .*1 of 13 masses"):
        require(some, "segmentation")
    assert "segmentation" in tasks_of(tiny)  # control


def row(**cells):
    shared = {"case": "c", "height": 40, "width": 60, "mask": "m.png", "mask_label": None}
    return pd.Series(shared | cells, dtype=object)


@pytest.fixture
def root(tmp_path):
    """A folder with links that stay inside, lead out, and run in a circle."""
    root = tmp_path / "cohort"
    root.mkdir()
    (root / "real.png").write_bytes(b"x")
    (tmp_path / "secret.png").write_bytes(b"x")
    (root / "near.png").symlink_to("real.png")
    (root / "far.png").symlink_to(tmp_path / "secret.png")
    (root / "up").symlink_to(tmp_path)
    (root / "circle").symlink_to(root / "circle")
    return root


@pytest.mark.parametrize("name", [
    "../secret.png", "a/../../secret.png", "/etc/passwd", "", ".", "a\0b", "x" * 5000, "far.png",
    "up/secret.png",
])  # fmt: skip
def test_paths_that_lead_out(name, root):
    with pytest.raises(FileError, match="leads out of the cohort's folder") as caught:
        inside(root, name, "mask of case c")
    assert caught.value.check == "path"
    assert "\n" not in str(caught.value)


def test_links_may_stay_inside(root, tmp_path):
    assert inside(root, "near.png") == root / "near.png"
    linked = tmp_path / "linked"
    linked.symlink_to(root)  # the folder itself may be a link
    assert inside(linked, "real.png").is_file()
    with pytest.raises(DataError):
        read_mask(root, row(mask="circle"))


@pytest.mark.parametrize("column", ["image", "mask"])
def test_a_link_in_a_cohort_is_one_error_and_the_guard_is_what_stops_it(column, tiny, monkeypatch):
    link(str(tiny.row("P1_CC_1")[column]))(tiny.root)
    with pytest.raises(DataError, match="leads out of the cohort's folder"):
        tiny.sample("P1_CC_1")
    if column == "mask":
        with pytest.raises(DataError, match="leads out"):
            _ = tiny.manifest_hash
    monkeypatch.setattr(row_files, "inside", lambda root, name, what="": root / name)
    tiny.sample("P1_CC_1")  # control: without the guard the secret is read


@pytest.mark.parametrize("scale", [1, 2, 3])
def test_a_mask_of_another_scale_is_resized(scale, tmp_path):
    truth = np.zeros((40, 60), np.uint8)
    truth[10:20, 30:45] = 7
    drawn = np.kron(truth, np.ones((scale, scale), np.uint8))
    write_picture(tmp_path / "m.png", drawn)
    coloured = np.dstack([drawn, drawn, drawn, np.full_like(drawn, 255)])  # alpha is no mask
    write_picture(tmp_path / "alpha.png", coloured)
    write_dicom(tmp_path / "m.dcm", drawn, 8)
    for cells in ({"mask_label": 7}, {}, {"mask": "alpha.png"}, {"mask": "m.dcm"}):
        np.testing.assert_array_equal(read_mask(tmp_path, row(**cells)), truth > 0)


@pytest.mark.parametrize(("size", "value", "check"), [
    ((404, 600), 255, None), ((408, 600), 255, "size"), ((60, 40), 255, "size"),
    ((40, 60), 0, "empty"),
])  # fmt: skip
@pytest.mark.parametrize("name", ["m.png", "m.dcm"])
def test_the_aspect_may_differ_by_one_percent(size, value, check, name, tmp_path):
    pixels = np.zeros(size, np.uint8)
    pixels[9:] = value
    write_picture(tmp_path / "m.png", pixels)
    write_dicom(tmp_path / "m.dcm", pixels, 8)
    if check is None:
        assert read_mask(tmp_path, row(mask=name)).shape == (40, 60)
        return
    with pytest.raises(FileError, match=name) as caught:
        read_mask(tmp_path, row(mask=name))
    assert caught.value.check == check
