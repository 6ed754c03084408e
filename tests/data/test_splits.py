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

from mammostudy.data import integrity, splits
from mammostudy.data.cohort import Cohort, OutlineCohort
from mammostudy.data.load import load_cohort
from mammostudy.data.sources.cbis_ddsm import read_tables
from mammostudy.data.splits import (
    Split,
    check_leakage,
    check_patients,
    official_parts,
    parted,
    split_cases,
    strata,
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


@pytest.mark.parametrize(("counts", "options", "words"), [
    ([1] * 20, {"fold": 5}, "fold 5 of 5"),
    ([1] * 20, {"fold": -1}, "fold -1 of 5"),
    ([1] * 20, {"train_site": "moon"}, "train_site 'moon'"),
    ([3] * 4, {"folds": 5}, "12 masses of 4 patients are too few for 5 folds"),
    ([1] * 5, {"folds": 5}, "too few"),
    ([5] * 3, {"folds": 2}, "too few"),
])  # fmt: skip
def test_impossible_splits_are_refused(
    counts: list[int], options: dict[str, object], words: str
) -> None:
    with pytest.raises(SpecError, match=words):
        split_cases(masses(counts), **options)  # type: ignore[arg-type]


def test_a_patient_in_two_parts(tiny: Cohort, monkeypatch: pytest.MonkeyPatch) -> None:
    split = Split(("P0_CC_1", "P1_CC_1"), ("P2_CC_1",), ("P3_CC_1", "P1_MLO_1"))
    with pytest.raises(DataError, match="patient P1 stands in train and in test"):
        check_leakage(tiny, split)
    monkeypatch.setattr(splits, "check_patients", lambda *_: None)
    check_leakage(tiny, split)  # control: the images differ, so nothing else sees it


def test_patients_alone_are_checked_of_outlines(monkeypatch: pytest.MonkeyPatch) -> None:
    table = masses([2] * 30).assign(image="none")
    outlines = OutlineCohort("outlines", Path("nowhere"), table.reset_index(drop=True))
    split = split_cases(table, folds=3)
    monkeypatch.setattr(splits, "check_images", lambda *_: pytest.fail("compared"))
    check_leakage(outlines, split)
    with pytest.raises(DataError, match="stands in train and in test"):
        check_leakage(outlines, replace(split, test=(*split.test, split.train[0])))
    with pytest.raises(pytest.fail.Exception):  # control
        check_leakage(Cohort("images", Path("nowhere"), outlines.manifest), split)


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
    monkeypatch.setattr(integrity, "CORRELATION", 2.0)
    check_leakage(twin, split)  # control


pytestmark = pytest.mark.usefixtures("own_store")
# of 12 patients: P10 and P11 are tested; P9 has two masses for training and one for testing, which
# follows; P8 one of each, which are tested
TESTED = ("P8", "P10", "P11")


def renamed(cohort: Cohort, name: str = "cbis-ddsm") -> Cohort:
    """The cohort under a published name, its cases named as the owners of CBIS-DDSM do."""
    rows = cohort.manifest[cohort.manifest["case"] != "free"].reset_index(drop=True)
    extra = rows[rows["case"] == "P9_CC_1"].assign(case="P9_CC_2", mask_label=1)
    rows = pd.concat([rows, extra], ignore_index=True)
    for_test = rows["patient"].isin(("P10", "P11")) | rows["case"].isin(("P9_CC_2", "P8_MLO_1"))
    number = rows.groupby("image").cumcount() + 1
    kind = for_test.map({True: "Test", False: "Training"})
    owner = rows["patient"].str[1:].str.zfill(5)
    rows["case"] = [
        f"Mass-{part}_P_{patient}_LEFT_{view}_{count}"
        for part, patient, view, count in zip(kind, owner, rows["view"], number, strict=True)
    ]
    return Cohort(name, cohort.root, rows)


@pytest.fixture
def cbis(tmp_path: Path, write_cohort: Callable[..., Path]) -> Cohort:
    write_cohort(tmp_path, patients=12)
    return renamed(load_cohort("tiny", tmp_path))


def test_the_test_part_is_the_owners_and_patients_stand_on_one_side(cbis: Cohort) -> None:
    rows = parted(cbis, cbis.masses, "official")
    split = split_cases(rows, rule="official", validation_folds=3)
    assert set(cbis.masses.loc[list(split.test), "patient"]) == set(TESTED)
    assert sorted(case for part in split.parts().values() for case in part) == sorted(rows.index)
    check_patients(cbis.masses, split.parts())
    validation = set(cbis.masses.loc[list(split.validation), "patient"])
    assert 2 <= len(validation) <= 4  # about one in three of the nine that train
    named = tuple(case for case in rows.index if "Test" in case)
    with pytest.raises(Exception, match="P9 stands in train and in test"):  # by name alone
        check_patients(cbis.masses, {"train": tuple(rows.index.difference(named)), "test": named})


def test_the_seed_moves_the_validation_part_and_never_the_test(cbis: Cohort) -> None:
    rows = parted(cbis, cbis.masses, "official")
    splits = [split_cases(rows, rule="official", seed=seed) for seed in range(6)]
    assert len({split.test for split in splits}) == 1
    assert len({split.validation for split in splits}) > 1


def test_of_some_rows_the_part_is_told_from_all(cbis: Cohort) -> None:
    """Of P9 only the mass named for testing has a shape: it still follows the other two."""
    kept = cbis.masses[(cbis.masses["patient"] != "P9") | cbis.masses.index.str.contains("Test")]
    assert (kept["patient"] == "P9").sum() == 1
    rows = parted(cbis, kept, "official")
    assert rows.loc[rows["patient"] == "P9", "part"].tolist() == ["train"]
    alone = parted(Cohort("cbis-ddsm", cbis.root, kept.reset_index(drop=True)), kept, "official")
    assert alone.loc[alone["patient"] == "P9", "part"].tolist() == ["test"]  # control


def test_inbreast_is_for_testing_only(cbis: Cohort) -> None:
    inbreast = Cohort("inbreast", cbis.root, cbis.manifest)
    assert set(official_parts(inbreast)) == {"test"}
    with pytest.raises(
        SpecError, match="all 26 masses of this cohort are for testing; train on another one"
    ):
        split_cases(parted(inbreast, inbreast.masses, "official"), rule="official")


def test_a_cohort_without_a_split_of_its_owners(cbis: Cohort) -> None:
    tiny = Cohort("tiny", cbis.root, cbis.manifest)
    with pytest.raises(SpecError, match="'tiny' comes without a split of its owners"):
        parted(tiny, tiny.masses, "official")
    assert parted(tiny, tiny.masses, "folds") is tiny.masses


def test_the_published_tables_give_the_published_parts(real_data: Path) -> None:
    masses = read_tables(real_data / "cbis-ddsm-tables").masses.reset_index()
    box = {"x_min": 0, "y_min": 0, "x_max": 9, "y_max": 9}
    rows = masses.assign(shape="oval", site="cbis-ddsm", **box)
    cohort = Cohort("cbis-ddsm", real_data, rows)
    split: Split = split_cases(parted(cohort, cohort.masses, "official"), rule="official")
    assert len(split.test) == 378
    assert len(split.train) + len(split.validation) == 1318
    check_patients(cohort.masses, split.parts())
    patients = {name: rows.set_index("case").loc[list(c), "patient"].nunique()
                for name, c in split.parts().items()}  # fmt: skip
    assert patients["test"] == 201
    assert patients["validation"] == 691 // 6
