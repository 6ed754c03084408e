"""Files of an owner's folder: found under every folder above them, described without decoding."""

import hashlib

import numpy as np
import pytest
from pydicom.dataset import Dataset
from writers import write_dicom, write_picture

from mammostudy.data.sources.files import RejectedError, index_files, look, place
from mammostudy.errors import DataError

PIXELS = np.arange(20 * 16, dtype=np.uint16).reshape(20, 16)


@pytest.fixture
def film(tmp_path):
    code = Dataset()
    code.CodeValue, code.CodingSchemeDesignator, code.CodeMeaning = "399368009", "SCT", "MLO"
    said = {"ImageLaterality": "L", "ViewCodeSequence": [code], "ImagerPixelSpacing": [0.07, 0.07]}
    named = {"PatientID": "D1-0001", "PatientName": "Doe^Jane", "SeriesInstanceUID": "1.2.3"}
    return write_dicom(tmp_path / "a.dcm", PIXELS, **said, **named)


def test_look_tells_the_columns_of_a_manifest(tmp_path, film):
    assert look(tmp_path, film) == {
        "image": "a.dcm", "height": 20, "width": 16, "spacing_mm": pytest.approx(0.07),
        "view": "MLO", "side": "L",
        "image_sha256": hashlib.sha256(film.read_bytes()).hexdigest(),
    }  # fmt: skip


@pytest.mark.parametrize("ending", ["png", "jpg", "tiff"])
def test_look_reads_the_size_of_pictures(tmp_path, ending):
    found = look(tmp_path, write_picture(tmp_path / f"b.{ending}", np.zeros((50, 40), np.uint8)))
    assert (found["image"], found["height"], found["width"]) == (f"b.{ending}", 50, 40)


@pytest.mark.parametrize("length", [0, 140, -100])
def test_truncated_files_are_refused(tmp_path, film, length):
    film.write_bytes(film.read_bytes()[:length])
    with pytest.raises(DataError, match=str(film)):
        look(tmp_path, film)


def test_files_stand_under_every_folder_above_them_and_links_lead_nowhere(tmp_path):
    folder = tmp_path / "set"
    deep = folder / "P1" / "MG_1.2.3" / "1-1.DCM"
    deep.parent.mkdir(parents=True)
    deep.touch()
    (folder / "loose.dcm").touch()
    (tmp_path / "secret.dcm").touch()
    (folder / "link.dcm").symlink_to(tmp_path / "secret.dcm")
    (folder / "up").symlink_to(tmp_path)
    index = index_files(folder)
    assert index[""] == [deep, folder / "loose.dcm"]
    assert index["P1"] == index["1.2.3"] == [deep]
    with pytest.raises(DataError, match="leads out"):
        look(folder, folder / "link.dcm")


def test_an_outline_is_boxed_cut_at_the_edge_or_refused():
    image = {"height": 40, "width": 30}
    points = np.array([[5, 6], [15, 6], [15, 20.25], [5, 20.25]])
    assert place(points, image, "x") == {
        "x_min": 5, "y_min": 6, "x_max": 16, "y_max": 21,
        "outline": "[[5, 6], [15, 6], [15, 20.25], [5, 20.25]]",
    }  # fmt: skip
    over = place(points + np.array([15, 0]), image, "x")  # its last column is 30, one beyond
    assert (over["x_min"], over["x_max"]) == (20, 30)
    for wrong, reason in (
        (points + np.array([18, 0]), "leaves the image"), (points[:2], "no area"),
        (points[:0], "no area"), (points[[0, 1, 0]], "no area"),
    ):  # fmt: skip
        with pytest.raises(RejectedError, match=reason):
            place(wrong, image, "x")
