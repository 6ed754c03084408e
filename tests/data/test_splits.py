"""Splits: a patient never crosses, the seed decides, strata balance, leaks are named."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mammostudy.data import splits
from mammostudy.data.cohort import Cohort, load_cohort
from mammostudy.data.manifest import read_manifest
from mammostudy.data.splits import (
    Split,
    check_duplicates,
    check_leakage,
    check_patients,
    split_cases,
    strata,
    thumbnails,
)
from mammostudy.errors import DataError, SpecError


def masses(counts: list[int], *, shapes: bool = True, sites: int = 1) -> pd.DataFrame:
    """Masses of patients, ``counts[i]`` of patient i."""
    rows = [
        {
            "case": f"c{patient}_{k}",
            "patient": f"P{patient}",
            "site": f"site{patient % sites}",
            "shape": ("round", "oval", "lobular", "irregular")[patient % 4] if shapes else None,
            "x_min": 0, "y_min": 0, "x_max": 10 + patient, "y_max": 10 + k,
        }
        for patient, count in enumerate(counts)
        for k in range(count)
    ]  # fmt: skip
    return pd.DataFrame(rows).set_index("case", drop=False)


def patients_of(table: pd.DataFrame, cases: tuple[str, ...]) -> set[str]:
    return set(table.loc[list(cases), "patient"])


@settings(max_examples=40, deadline=None)
@given(
    counts=st.lists(st.integers(1, 6), min_size=12, max_size=40),
    seed=st.integers(0, 2**31 - 1),
    folds=st.integers(2, 6),
    shapes=st.booleans(),
    data=st.data(),
)
def test_every_mass_stands_once_and_no_patient_crosses(
    counts: list[int], seed: int, folds: int, shapes: bool, data: st.DataObject
) -> None:
    table = masses(counts, shapes=shapes)
    fold = data.draw(st.integers(0, folds - 1))
    try:
        split = split_cases(table, folds=folds, fold=fold, seed=seed)
    except SpecError as error:
        if "too few" not in str(error):
            raise
        return
    parts = split.parts()
    assert sorted(sum(parts.values(), ())) == sorted(table.index)
    assert all(parts.values())
    groups = [patients_of(table, cases) for cases in parts.values()]
    assert sum(map(len, groups)) == len(set.union(*groups)) == len(counts)
    check_patients(table, parts)


def test_folds_cover_every_mass_once() -> None:
    table = masses([2] * 20)
    tests = [split_cases(table, folds=4, fold=fold, seed=3).test for fold in range(4)]
    assert sorted(sum(tests, ())) == sorted(table.index)


def test_the_seed_decides() -> None:
    table = masses([2] * 24)
    assert split_cases(table, seed=1) == split_cases(table, seed=1)
    assert len({split_cases(table, seed=seed).test for seed in range(6)}) > 1


def test_shapes_are_balanced() -> None:
    table = masses([1] * 80)
    for fold in range(5):
        shapes = table.loc[list(split_cases(table, fold=fold).test), "shape"].value_counts()
        assert shapes.to_dict() == dict.fromkeys(("round", "oval", "lobular", "irregular"), 4)


def test_strata_are_thirds_of_area_where_a_shape_is_unknown() -> None:
    table = masses([1] * 30)
    assert set(strata(table)) == {"round", "oval", "lobular", "irregular"}
    table.loc["c3_0", "shape"] = None
    thirds = strata(table)
    assert [list(thirds).count(k) for k in ("0", "1", "2")] == [10, 10, 10]
    area = (table["x_max"] * table["y_max"]).to_numpy()
    assert area[thirds == "0"].max() < area[thirds == "1"].min()


def test_train_site_sends_the_other_sites_to_the_test_part() -> None:
    table = masses([2] * 30, sites=2)
    split = split_cases(table, train_site="site0")
    at_home = set(table.index[table["site"] == "site0"])
    assert set(split.train + split.validation) <= at_home
    assert set(table.index) - at_home <= set(split.test)
    assert set(split.test) & at_home  # and the home site has a test fold of its own


@pytest.mark.parametrize(
    ("counts", "options", "words"),
    [
        ([1] * 20, {"fold": 5}, ("fold 5 of 5", "0 to 4")),
        ([1] * 20, {"fold": -1}, ("fold -1 of 5",)),
        ([1] * 20, {"train_site": "moon"}, ("train_site 'moon'", "site0")),
        ([3] * 4, {"folds": 5}, ("12 masses of 4 patients", "5 folds", "split.folds")),
        ([1] * 5, {"folds": 5}, ("too few",)),
        ([5] * 3, {"folds": 2}, ("too few",)),
    ],
)
def test_impossible_splits_are_refused(
    counts: list[int], options: dict[str, object], words: tuple[str, ...]
) -> None:
    with pytest.raises(SpecError) as caught:
        split_cases(masses(counts), **options)  # type: ignore[arg-type]
    assert all(word in str(caught.value) for word in words)


@pytest.fixture
def tiny(tmp_path: Path, own_store: Path, write_cohort: Callable[..., Path]) -> Cohort:
    write_cohort(tmp_path)
    return load_cohort("tiny", tmp_path)


def test_a_sound_split_passes(tiny: Cohort) -> None:
    check_leakage(tiny, split_cases(tiny.masses, folds=3))


def test_a_patient_in_two_parts(tiny: Cohort, monkeypatch: pytest.MonkeyPatch) -> None:
    split = Split(("P0_CC_1", "P1_CC_1"), ("P2_CC_1",), ("P3_CC_1", "P1_MLO_1"))
    with pytest.raises(DataError, match="patient P1 stands in train and in test"):
        check_leakage(tiny, split)
    monkeypatch.setattr(splits, "check_patients", lambda *_: None)
    check_leakage(tiny, split)  # control: the images differ, so nothing else sees it


def test_a_patient_of_two_sites_is_found(tiny: Cohort) -> None:
    moved = tiny.manifest.copy()
    moved.loc[moved["case"] == "P1_MLO_1", "site"] = "south"
    two = replace(tiny, manifest=moved)
    split = split_cases(two.masses, folds=2, fold=1, train_site="south")
    assert {"P1_CC_1", "P1_MLO_1"} <= set(two.masses.index)
    with pytest.raises(DataError, match="patient P1 stands in"):
        check_leakage(two, split)


def test_folds_by_image_keep_images_whole_and_are_refused_unless_named(tiny: Cohort) -> None:
    fields = {"folds": 3, "validation_folds": 2, "unit": "image"}
    parts = [split_cases(tiny.masses, fold=fold, **fields) for fold in range(3)]  # type: ignore[arg-type]
    assert sorted(case for split in parts for case in split.test) == sorted(tiny.masses.index)
    for split in parts:
        check_leakage(tiny, split, unit="image")
        with pytest.raises(DataError, match="split by the column `patient`"):
            check_leakage(tiny, split)  # the default knows no such folds


def test_folds_by_image_still_refuse_an_image_in_two_parts(tiny: Cohort) -> None:
    split = Split(("P0_CC_1",), ("P1_CC_1",), ("P0_CC_2",))
    with pytest.raises(DataError, match=r"image images/P0_CC\.png stands in train and in test"):
        check_leakage(tiny, split, unit="image")
    check_leakage(tiny, Split(("P0_CC_1", "P0_CC_2"), ("P1_CC_1",), ("P0_MLO_1",)), unit="image")


@pytest.mark.parametrize("kind", ["copy", "brighter", "compressed"])
def test_near_duplicates_across_parts(
    tiny: Cohort, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = cv2.imread(str(tiny.root / "images" / "P1_CC.png"), cv2.IMREAD_UNCHANGED)
    path = tiny.root / "images" / "P2_CC.png"
    if kind == "compressed":
        path.write_bytes(cv2.imencode(".jpg", source, [cv2.IMWRITE_JPEG_QUALITY, 90])[1].tobytes())
    else:
        cv2.imwrite(str(path), source if kind == "copy" else (source * 0.8 + 20).astype(np.uint8))
    rows = tiny.manifest.copy()
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    rows.loc[rows["image"] == "images/P2_CC.png", "image_sha256"] = digest
    twin = replace(tiny, manifest=rows)
    split = Split(("P1_CC_1",), ("P0_CC_1",), ("P2_CC_1",))
    with pytest.raises(DataError, match=r"P1_CC\.png \(train\) and images/P2_CC\.png \(test\)"):
        check_leakage(twin, split)
    with pytest.raises(DataError, match="near-duplicates"):
        check_leakage(twin, split, unit="image")
    check_leakage(twin, Split(("P1_CC_1", "P2_CC_1"), ("P0_CC_1",), ("P3_CC_1",)))
    monkeypatch.setattr(splits, "NEAR_DUPLICATE", 2.0)
    check_leakage(twin, split)  # control


def test_one_image_in_two_parts(tiny: Cohort) -> None:
    with pytest.raises(DataError, match="near-duplicates"):
        check_duplicates(tiny, {"train": ["P0_CC_1"], "test": ["P0_CC_2"], "validation": []})


def test_thumbnails_are_standardised_and_cached(
    tiny: Cohort, monkeypatch: pytest.MonkeyPatch
) -> None:
    pictures = thumbnails(tiny)
    assert set(pictures) == set(tiny.manifest["image"])
    for vector in pictures.values():
        assert vector.shape == (64 * 64,)
        assert float(vector.mean()) == pytest.approx(0, abs=1e-6)
        assert float(vector @ vector) == pytest.approx(1, abs=1e-5)
    monkeypatch.setattr(Cohort, "image", lambda *_: pytest.fail("read again"))
    thumbnails(tiny)


def test_a_blank_image_is_like_no_other() -> None:
    blank = splits._thumbnail(np.full((48, 64), 0.3, np.float32))
    assert float(blank @ blank) == pytest.approx(0, abs=1e-6)


def test_sites_of_the_tiny_cohort(tiny: Cohort) -> None:
    assert set(read_manifest(tiny.root / "manifest.csv")["site"]) == {"north", "south"}
