"""Cohorts by name: lazily read arrays, and one clear error for each thing that can be wrong."""

from __future__ import annotations

import hashlib
import re
import types
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pandas as pd
import pytest
from mammostudy.study.real_mammogram import pictures

from mammostudy.data import cache, manifest, row_files
from mammostudy.data.cohort import Cohort, box_of_row
from mammostudy.data.load import load_cohort, phantom_folder
from mammostudy.errors import DataError

pytestmark = pytest.mark.usefixtures("own_store")


@pytest.fixture
def tiny(tmp_path: Path, write_cohort: Callable[..., Path]) -> Cohort:
    write_cohort(tmp_path)
    return load_cohort("tiny", tmp_path)


def refused(call: Callable[[], object], *words: str) -> bool:
    """Whether a call ends in one line of DataError that holds all the words."""
    try:
        call()
    except DataError as error:
        return "\n" not in str(error) and all(word in str(error) for word in words)
    except Exception:
        return False
    return False


def test_a_folder_with_a_manifest_is_a_cohort(tiny: Cohort) -> None:
    assert (len(tiny), tiny.name) == (13, "tiny")
    assert len(tiny.manifest) == 14
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
    one, two = tiny.sample("P0_CC_1"), tiny.sample("P0_CC_2")
    assert not (one.mask & two.mask).any()
    np.testing.assert_array_equal(one.truth_all, one.mask | two.mask)
    np.testing.assert_array_equal(one.truth_all, two.truth_all)
    alone = tiny.sample("P1_CC_1")
    np.testing.assert_array_equal(alone.truth_all, alone.mask)


def test_nothing_is_read_before_it_is_asked_for(
    tiny: Cohort, monkeypatch: pytest.MonkeyPatch
) -> None:
    reads: list[Path] = []
    original = row_files.read_image
    monkeypatch.setattr(row_files, "read_image", lambda path: reads.append(path) or original(path))
    samples = iter(tiny)
    assert (len(tiny), reads) == (13, [])
    next(samples)
    assert len(reads) == 1
    tiny.sample(tiny.masses.index[0])
    assert len(reads) == 1  # the second time it comes from the cache


def test_the_hash_of_the_masks_follows_their_content(tiny: Cohort) -> None:
    before = tiny.truth_hash
    assert before is not None
    path = tiny.root / "masks" / "P0_CC.png"
    pixels = cv2.imread(str(path), cv2.IMREAD_UNCHANGED)
    pixels[0, 0] = 9
    cv2.imwrite(str(path), pixels)
    again = Cohort("tiny", tiny.root, tiny.manifest)
    assert again.truth_hash != before
    assert again.manifest_hash != tiny.manifest_hash
    outlined = tiny.manifest[tiny.manifest["mask"].isna()]
    assert Cohort("tiny", tiny.root, outlined).truth_hash is None


def test_an_alpha_channel_is_no_mask(tiny: Cohort) -> None:
    expected = tiny.mask("P1_CC_1")
    path = tiny.root / "masks" / "P1_CC.png"
    labels = cv2.imread(str(path), cv2.IMREAD_UNCHANGED)
    opaque = np.full_like(labels, 255)
    cv2.imwrite(str(path), np.dstack([labels, labels, labels, opaque]))
    any_pixel = tiny.manifest.assign(mask_label=None)
    np.testing.assert_array_equal(Cohort("t", tiny.root, any_pixel).mask("P1_CC_1"), expected)


def test_unknown_case(tiny: Cohort) -> None:
    with pytest.raises(DataError, match="'nobody'"):
        tiny.sample("nobody")


def test_data_folder_by_environment(
    tmp_path: Path, write_cohort: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    write_cohort(tmp_path)
    monkeypatch.setenv("MAMMOSTUDY_DATA", str(tmp_path))
    assert len(load_cohort("tiny")) == 13


@pytest.mark.parametrize("name", ["tiny", "cdd-cesm", "cdd-cesm-cm", "cdd-cesm-v2"])
def test_missing_data_folder(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("MAMMOSTUDY_DATA", raising=False)
    words = (name, "--root", "MAMMOSTUDY_DATA", "known cohorts: phantom")
    assert refused(lambda: load_cohort(name), *words)
    assert refused(lambda: load_cohort(name, tmp_path / "away"), "no such folder", *words)


def test_control_of_the_missing_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Path, "is_dir", lambda self: True)
    assert not refused(lambda: load_cohort("tiny", tmp_path / "away"), "no such folder")


@pytest.mark.parametrize("name", ["", "..", "../tiny", "a/b", "/etc"])
def test_names_that_leave_the_data_folder(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    words = (repr(name), "known cohort")
    assert refused(lambda: load_cohort(name, tmp_path), *words, "not a name of a folder")
    passes = types.SimpleNamespace(fullmatch=lambda *_: True)
    monkeypatch.setattr("mammostudy.data.load.re", passes)
    assert not refused(lambda: load_cohort(name, tmp_path), "not a name of a folder")


def changed(tiny: Cohort, case: str, **cells: object) -> Cohort:
    rows = tiny.manifest.copy()
    for column, value in cells.items():
        rows.loc[rows["case"] == case, column] = value
    return Cohort(tiny.name, tiny.root, rows)


def with_image(tiny: Cohort, case: str, content: bytes) -> Cohort:
    name = tiny.row(case)["image"]
    (tiny.root / name).write_bytes(content)
    rows = tiny.manifest.copy()
    rows.loc[rows["image"] == name, "image_sha256"] = hashlib.sha256(content).hexdigest()
    return Cohort(tiny.name, tiny.root, rows)


def test_unreadable_image(tiny: Cohort, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tiny.root / tiny.row("P1_CC_1")["image"]
    whole = path.read_bytes()
    cut = with_image(tiny, "P1_CC_1", whole[: len(whole) // 2])
    words = (str(path), "truncated or damaged", "copy it anew")
    assert refused(lambda: cut.sample("P1_CC_1"), *words)
    monkeypatch.setattr(pictures, "_decoded", lambda content: np.zeros((48, 64), np.uint8))
    monkeypatch.setattr(pictures, "_kind_of", lambda content: "TIFF")
    monkeypatch.setattr(cv2, "imcount", lambda *_: 1)
    assert not refused(lambda: cut.sample("P1_CC_1"), *words)


def test_missing_image(tiny: Cohort) -> None:
    path = tiny.root / tiny.row("P1_CC_1")["image"]
    path.unlink()
    assert refused(lambda: tiny.sample("P1_CC_1"), str(path), "P1_CC_1", "missing", "restore it")


def test_changed_image(tiny: Cohort, monkeypatch: pytest.MonkeyPatch) -> None:
    row = tiny.row("P1_CC_1")
    path = tiny.root / row["image"]
    path.write_bytes((tiny.root / tiny.row("P2_CC_1")["image"]).read_bytes())
    assert refused(lambda: tiny.sample("P1_CC_1"), str(path), "changed since the manifest")
    same = types.SimpleNamespace(hexdigest=lambda: row["image_sha256"])
    monkeypatch.setattr(row_files, "hashlib", types.SimpleNamespace(sha256=lambda content: same))
    assert not refused(lambda: tiny.sample("P1_CC_1"), "changed")


def test_image_of_another_size_even_when_cached(
    tiny: Cohort, monkeypatch: pytest.MonkeyPatch
) -> None:
    tiny.sample("P1_MLO_1")
    bad = changed(tiny, "P1_MLO_1", height=50)
    words = (str(bad.root / bad.row("P1_MLO_1")["image"]), "is 64x48", "64x50", "P1_MLO_1")
    assert refused(lambda: bad.sample("P1_MLO_1"), *words)
    monkeypatch.setattr(row_files, "check_size", lambda *_: None)
    assert not refused(lambda: bad.sample("P1_MLO_1"), *words)


def test_mask_of_another_size(tiny: Cohort, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tiny.root / "masks" / "P1_CC.png"
    cv2.imwrite(str(path), np.ones((30, 30), np.uint8))
    words = (str(path), "P1_CC_1", "30x30", "64x48", "one grid")
    assert refused(lambda: tiny.mask("P1_CC_1"), *words)
    monkeypatch.setattr(row_files, "check_size", lambda *_: None)
    assert tiny.mask("P1_CC_1").shape == (30, 30)  # control


@pytest.mark.parametrize("case", ["P1_CC_1", "P1_MLO_1"])
def test_empty_mask(tiny: Cohort, case: str, monkeypatch: pytest.MonkeyPatch) -> None:
    thin = "[[-9, -9], [-5, -9], [-5, -5]]"
    bad = changed(tiny, case, **({"mask_label": 7} if "CC" in case else {"outline": thin}))
    words = (case, "is empty", "drop the row")
    assert refused(lambda: bad.mask(case), *words)
    if "CC" in case:
        assert refused(lambda: bad.mask(case), "P1_CC.png, mask_label 7")
    monkeypatch.setattr(row_files, "_check_filled", lambda *_: None)
    assert not bad.mask(case).any()  # control


@pytest.mark.parametrize("content", [None, b"", b"no picture"])
def test_missing_or_unreadable_mask(
    tiny: Cohort, content: bytes | None, capfd: pytest.CaptureFixture[str]
) -> None:
    path = tiny.root / "masks" / "P1_CC.png"
    path.unlink()
    if content is not None:
        path.write_bytes(content)
    assert refused(lambda: tiny.mask("P1_CC_1"), str(path), "P1_CC_1", "restore it")
    assert capfd.readouterr().err == ""  # no decoder's chatter beside the message


def test_manifest_faults_reach_the_caller(tiny: Cohort, tmp_path: Path) -> None:
    path = tiny.root / "manifest.csv"
    text = path.read_text()
    path.write_text(text.replace("round", "blob", 1))
    with pytest.raises(DataError, match=re.escape(str(path)) + r"(.|\n)*'blob' not one of"):
        load_cohort("tiny", tmp_path)
    path.unlink()
    assert refused(lambda: load_cohort("tiny", tmp_path), str(path), "missing")


def quick_view(
    view: str,
    side: str,
    site: str,
    density: str,
    masses: tuple[object, ...],
    rng: np.random.Generator,
) -> tuple[np.ndarray, np.ndarray]:
    """Grey values and masses as good as drawn ones, where a test looks at files alone."""
    labels = np.zeros((80, 64), np.uint8)
    for label in range(1, len(masses) + 1):
        labels[20 * label : 20 * label + 9, 20:30] = label
    return rng.random(labels.shape, dtype=np.float32), labels


def test_phantom_is_made_once_and_whole(own_store: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from mammostudy.data.sources import phantom

    monkeypatch.setattr(phantom, "draw_view", quick_view)
    calls: list[bool] = []
    original = phantom.write_phantom

    def small(folder: Path, *, association: bool) -> None:
        calls.append(association)
        original(folder, patients=4, association=association)

    monkeypatch.setattr(phantom, "write_phantom", small)
    first, second = load_cohort("phantom"), load_cohort("phantom")
    assert calls == [True]
    assert first.manifest_hash == second.manifest_hash
    assert set(first.manifest["modality"]) == {"DM"}
    load_cohort("phantom-null")
    assert calls == [True, False]
    assert own_store in first.root.parents


def test_phantom_crops_are_made_once_in_a_folder_of_their_own(
    own_store: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from mammostudy.data.sources import phantom

    monkeypatch.setattr(phantom, "draw_view", quick_view)
    calls: list[Path] = []
    original = phantom.write_shapes

    def small(folder: Path) -> None:
        calls.append(folder)
        original(folder, patients=4)

    monkeypatch.setattr(phantom, "write_shapes", small)
    first, second = load_cohort("phantom-shapes"), load_cohort("phantom-shapes")
    assert calls == [first.root] == [phantom_folder("phantom-shapes")]
    assert first.manifest_hash == second.manifest_hash
    assert own_store in first.root.parents
    monkeypatch.setattr(cache, "VERSION", 99)
    load_cohort("phantom-shapes")
    assert len(set(calls)) == 2  # another recipe is made anew


def test_a_manifest_without_a_mass_is_an_empty_cohort(tiny: Cohort) -> None:
    free = tiny.manifest[tiny.manifest["x_min"].isna()]
    empty = Cohort("tiny", tiny.root, manifest.validate(free))
    assert (len(empty), list(empty)) == (0, [])
    assert isinstance(empty.masses, pd.DataFrame)
