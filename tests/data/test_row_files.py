"""Paths stay inside the cohort's folder; masks are PNG, TIFF or DICOM of the image's aspect."""

import numpy as np
import pandas as pd
import pytest
from writers import cut, link, write_dicom, write_picture

from mammostudy.data import row_files
from mammostudy.data.row_files import FileError, inside, read_mask
from mammostudy.errors import DataError


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
    path = write_dicom(tmp_path / "m.dcm", pixels, 8)
    if check is None:
        assert read_mask(tmp_path, row(mask=name)).shape == (40, 60)
        cut(path)
        with pytest.raises(DataError, match=r"m\.dcm"):
            read_mask(tmp_path, row(mask="m.dcm"))
    else:
        with pytest.raises(FileError, match=name) as caught:
            read_mask(tmp_path, row(mask=name))
        assert caught.value.check == check
