"""Cohorts: lazily read arrays, and one clear error for each thing that can be wrong with a file."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest

from mammostudy.data import manifest, row_files
from mammostudy.data.cohort import Cohort, box_of_row
from mammostudy.data.load import load_cohort
from mammostudy.errors import DataError

pytestmark = pytest.mark.usefixtures("own_store")
OUTSIDE = "[[-9, -9], [-5, -9], [-5, -5]]"


@pytest.fixture
def tiny(tmp_path: Path, write_cohort: Callable[..., Path]) -> Cohort:
    write_cohort(tmp_path)
    return load_cohort("tiny", tmp_path)


def changed(tiny: Cohort, case: str, **cells: object) -> Cohort:
    rows = tiny.manifest.copy()
    for column, value in cells.items():
        rows.loc[rows["case"] == case, column] = value
    return Cohort(tiny.name, tiny.root, rows)


def test_a_folder_with_a_manifest_is_a_cohort(tiny: Cohort) -> None:
    assert (len(tiny), len(tiny.manifest), tiny.name) == (13, 14, "tiny")
    assert tiny.masses["patient"].nunique() == 6
    sample = next(iter(tiny))
    assert sample.image.dtype == np.float32
    assert sample.image.shape == sample.mask.shape == (48, 64)
    pixels = cv2.imread(str(tiny.root / sample.row["image"]), cv2.IMREAD_UNCHANGED)
    np.testing.assert_allclose(sample.image, pixels / 255, atol=1e-5)


def test_boxes_hold_their_masks_by_label_and_by_outline(tiny: Cohort) -> None:
    for sample in tiny:
        y, x = np.nonzero(sample.mask)
        drawn = (x.min(), y.min(), x.max() + 1, y.max() + 1)
        assert sample.box == box_of_row(sample.row) == drawn, sample.case


def test_truth_all_is_the_union_of_an_image(tiny: Cohort) -> None:
    one, two, alone = (tiny.sample(case) for case in ("P0_CC_1", "P0_CC_2", "P1_CC_1"))
    assert not (one.mask & two.mask).any()
    np.testing.assert_array_equal(one.truth_all, one.mask | two.mask)
    np.testing.assert_array_equal(one.truth_all, two.truth_all)
    np.testing.assert_array_equal(alone.truth_all, alone.mask)


def test_nothing_is_read_before_it_is_asked_for(
    tiny: Cohort, monkeypatch: pytest.MonkeyPatch
) -> None:
    reads: list[Path] = []
    original = row_files.read_mammogram
    monkeypatch.setattr(
        row_files, "read_mammogram", lambda path: reads.append(path) or original(path)
    )
    samples = iter(tiny)
    assert (len(tiny), reads) == (13, [])
    next(samples)
    tiny.sample(tiny.masses.index[0])
    assert len(reads) == 1  # the second time it comes from the cache


def test_the_hash_of_the_masks_follows_their_content(tiny: Cohort) -> None:
    before = tiny.truth_hash
    path = tiny.root / "masks" / "P0_CC.png"
    pixels = cv2.imread(str(path), cv2.IMREAD_UNCHANGED)
    pixels[0, 0] = 9
    cv2.imwrite(str(path), pixels)
    again = Cohort("tiny", tiny.root, tiny.manifest)
    assert None is not before != again.truth_hash
    assert again.manifest_hash != tiny.manifest_hash
    outlined = tiny.manifest[tiny.manifest["mask"].isna()]
    assert Cohort("tiny", tiny.root, outlined).truth_hash is None


def test_an_alpha_channel_is_no_mask(tiny: Cohort) -> None:
    expected = tiny.mask("P1_CC_1")
    path = tiny.root / "masks" / "P1_CC.png"
    labels = cv2.imread(str(path), cv2.IMREAD_UNCHANGED)
    cv2.imwrite(str(path), np.dstack([labels, labels, labels, np.full_like(labels, 255)]))
    any_pixel = tiny.manifest.assign(mask_label=None)
    np.testing.assert_array_equal(Cohort("t", tiny.root, any_pixel).mask("P1_CC_1"), expected)


@pytest.mark.parametrize(("cells", "file", "content", "words"), [
    ({}, "images/P1_CC.png", None, ("no such image file",)),
    ({}, "images/P1_CC.png", b"another", ("changed since the manifest",)),
    ({"height": 50}, None, None, ("is 64x48", "64x50")),
    ({}, "masks/P1_CC.png", None, ("no such image file",)),
    ({}, "masks/P1_CC.png", b"", ("mask of case P1_CC_1", "unreadable")),
    ({}, "masks/P1_CC.png", b"no picture", ("unreadable",)),
    ({}, "masks/P1_CC.png", np.ones((30, 30), np.uint8), ("30x30", "64x48", "one grid")),
    ({"mask_label": 7}, None, None, ("P1_CC.png, mask_label 7 is empty",)),
    ({"mask": None, "mask_label": None, "outline": OUTSIDE}, None, None, ("outline is empty",)),
])  # fmt: skip
def test_a_file_that_cannot_be_used_is_one_error(
    cells: dict[str, object],
    file: str | None,
    content: bytes | np.ndarray | None,
    words: tuple[str, ...],
    tiny: Cohort,
    capfd: pytest.CaptureFixture[str],
) -> None:
    tiny.sample("P1_CC_1")  # control; the image is in the cache from here on
    if file is not None:
        (tiny.root / file).unlink()
        if isinstance(content, np.ndarray):
            cv2.imwrite(str(tiny.root / file), content)
        elif content is not None:
            (tiny.root / file).write_bytes(content)
    bad = changed(tiny, "P1_CC_1", **cells)
    if file is not None and file.startswith("images"):
        bad = changed(bad, "P1_CC_1", image_sha256="0" * 64)  # not the one in the cache
    with pytest.raises(DataError) as caught:
        bad.sample("P1_CC_1")
    assert "\n" not in str(caught.value)
    assert all(word in str(caught.value) for word in (*words, str(tiny.root)))
    assert capfd.readouterr().err == ""  # no decoder's chatter beside the message


def test_unknown_case_and_a_manifest_without_a_mass(tiny: Cohort) -> None:
    with pytest.raises(DataError, match="'nobody'"):
        tiny.sample("nobody")
    free = tiny.manifest[tiny.manifest["x_min"].isna()]
    empty = Cohort("tiny", tiny.root, manifest.validate(free))
    assert (len(empty), list(empty)) == (0, [])
