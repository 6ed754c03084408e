"""Splits: a patient never crosses, the seed decides, strata balance, leaks are named."""

import hashlib
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from writers import with_cells

from mammostudy.data import integrity
from mammostudy.data.cohort import Cohort, OutlineCohort
from mammostudy.data.descriptors import TASKS
from mammostudy.data.load import load_cohort
from mammostudy.data.manifest import BOX
from mammostudy.data.sources.cbis_ddsm import read_masses
from mammostudy.errors import DataError, SpecError
from mammostudy.evaluation import splits
from mammostudy.evaluation.splits import Split, check_leakage, split_cases, split_views

pytestmark = pytest.mark.usefixtures("own_store")
FIELDS = {"folds": 3, "fold": 0, "seed": 0, "train_site": None, "validation_folds": 4}
FOR_TEST = frozenset(["P8", "P9", "P10", "P11"])
COUNTS = st.lists(st.integers(1, 6), min_size=12, max_size=40)  # of the masses of each patient


def masses(counts, *, shapes=True):
    """Masses of patients, ``counts[i]`` of patient i."""
    rows = [
        {"case": f"c{patient}_{k}", "patient": f"P{patient}", "site": "here",
         "shape": ("round", "oval", "lobular", "irregular")[patient % 4] if shapes else None,
         "x_min": 0, "y_min": 0, "x_max": 10 + patient, "y_max": 10 + k}
        for patient, count in enumerate(counts) for k in range(count)
    ]  # fmt: skip
    return pd.DataFrame(rows).set_index("case", drop=False)


def patients_of(table, cases):
    return set(table.loc[list(cases), "patient"])


@settings(max_examples=40, deadline=None)
@given(COUNTS, st.integers(0, 2**31 - 1), st.integers(2, 6), st.booleans())
def test_every_mass_stands_once_and_no_patient_crosses(counts, seed, folds, shapes):
    table, fold = masses(counts, shapes=shapes), seed % folds
    try:
        parts = split_cases(table, folds=folds, fold=fold, seed=seed).parts()
    except SpecError as error:
        if "too few" not in str(error):
            raise
        return
    assert sorted(sum(parts.values(), ())) == sorted(table.index)
    assert all(parts.values())
    groups = [patients_of(table, cases) for cases in parts.values()]
    assert sum(map(len, groups)) == len(set.union(*groups)) == len(counts)
    splits.check_patients(table, parts)


def test_strata_are_thirds_of_area_where_a_shape_is_unknown():
    table = masses([1] * 30)
    assert set(splits.strata(table)) == {"round", "oval", "lobular", "irregular"}
    table.loc["c3_0", "shape"] = None
    thirds = splits.strata(table)
    assert [list(thirds).count(k) for k in ("0", "1", "2")] == [10, 10, 10]
    area = (table["x_max"] * table["y_max"]).to_numpy()
    assert area[thirds == "0"].max() < area[thirds == "1"].min()


@pytest.mark.parametrize(("counts", "options", "words"), [
    ([1] * 20, {"fold": 5}, "fold 5 of 5"), ([1] * 20, {"fold": -1}, "fold -1 of 5"),
    ([1] * 20, {"train_site": "moon"}, "train_site 'moon'"),
    ([3] * 4, {}, "12 masses of 4 patients are too few for 5 folds"),
    ([1] * 2, {"folds": 2}, "too few"),
])  # fmt: skip
def test_impossible_splits_are_refused(counts, options, words):
    with pytest.raises(SpecError, match=words):
        split_cases(masses(counts), **options)


@pytest.mark.parametrize("counts", [[1] * 3, [6, 1, 1], [2] * 8, [1, 5, 1, 1, 1, 2]])
@pytest.mark.parametrize("shapes", [False, True])
def test_from_three_patients_on_every_fold_of_three_can_be_made(counts, shapes):
    table = masses(counts, shapes=shapes)
    found = [split_cases(table, folds=TASKS["segmentation"].patients, fold=k) for k in range(3)]
    assert sorted(case for split in found for case in split.test) == sorted(table.index)
    for split in found:
        splits.check_patients(table, split.parts())


def test_a_patient_in_two_parts(tiny, monkeypatch):
    split = Split(("P0_CC_1", "P1_CC_1"), ("P2_CC_1",), ("P3_CC_1", "P1_MLO_1"))
    with pytest.raises(DataError, match="patient P1 stands in train and in test"):
        check_leakage(tiny, split)
    moved = with_cells(tiny, "P1_MLO_1", site="south")  # a patient of two sites is one
    with pytest.raises(DataError, match="patient P1 stands in"):
        check_leakage(moved, split_cases(moved.masses, folds=2, fold=1, train_site="south"))
    monkeypatch.setattr(splits, "check_patients", lambda *_: None)
    check_leakage(tiny, split)  # control: the images differ, so nothing else sees it


def test_patients_alone_are_checked_of_outlines(monkeypatch):
    table = masses([2] * 30).assign(image="none")
    outlines = OutlineCohort("outlines", Path("nowhere"), table.reset_index(drop=True))
    split = split_cases(table, folds=3)
    monkeypatch.setattr(splits, "check_images", lambda *_: pytest.fail("compared"))
    check_leakage(outlines, split)
    with pytest.raises(DataError, match="stands in train and in test"):
        check_leakage(outlines, replace(split, test=(*split.test, split.train[0])))
    with pytest.raises(pytest.fail.Exception):  # control
        check_leakage(Cohort("images", Path("nowhere"), outlines.manifest), split)


def test_folds_by_image_are_refused_unless_named_and_keep_images_whole(tiny):
    fields = {"folds": 3, "validation_folds": 2, "unit": "image"}
    parts = [split_cases(tiny.masses, fold=fold, **fields) for fold in range(3)]
    assert sorted(case for split in parts for case in split.test) == sorted(tiny.masses.index)
    for split in parts:
        check_leakage(tiny, split, unit="image")
        with pytest.raises(DataError, match="split by the column `patient`"):
            check_leakage(tiny, split)  # the default knows no such folds
    crossing = Split(("P0_CC_1",), ("P1_CC_1",), ("P0_CC_2",))
    with pytest.raises(DataError, match=r"image images/P0_CC\.png stands in train and in test"):
        check_leakage(tiny, crossing, unit="image")


@pytest.mark.parametrize("ending", [".png", ".jpg"])
def test_near_duplicates_across_parts(tiny, ending, monkeypatch):
    """An image of another patient comes back brighter, or compressed."""
    source = cv2.imread(str(tiny.root / "images" / "P1_CC.png"), cv2.IMREAD_UNCHANGED)
    pixels = (source * 0.8 + 20).astype(np.uint8) if ending == ".png" else source
    content = cv2.imencode(ending, pixels)[1].tobytes()
    (tiny.root / "images" / "P2_CC.png").write_bytes(content)
    twin = with_cells(tiny, "P2_CC_1", image_sha256=hashlib.sha256(content).hexdigest())
    split = Split(("P1_CC_1",), ("P0_CC_1",), ("P2_CC_1",))
    for unit in ("patient", "image"):
        with pytest.raises(DataError, match=r"P1_CC\.png \(train\) and .*P2_CC\.png \(test\)"):
            check_leakage(twin, split, unit=unit)
    check_leakage(twin, Split(("P1_CC_1", "P2_CC_1"), ("P0_CC_1",), ("P3_CC_1",)))
    monkeypatch.setattr(integrity, "CORRELATION", 2.0)
    check_leakage(twin, split)  # control


def owned(name, parts):
    """Twelve patients of two masses, in the parts of their owners: P0 to P11."""
    rows = masses([2] * 12, shapes=False)
    parts = dict(enumerate(parts))
    rows["part"] = [parts.get(int(patient[1:]), "train") for patient in rows["patient"]]
    return Cohort(name, Path("nowhere"), rows.reset_index(drop=True))


def split_of(cohort, rule="official", **fields):
    return split_cases(splits.parted(cohort, cohort.masses, rule), rule=rule, **fields)


def test_the_parts_are_the_owners_and_validation_is_drawn_out_of_train():
    cohort = owned("clinic", ["test", "test", "other", None])
    drawn = [split_of(cohort, seed=seed, validation_folds=3) for seed in range(6)]
    assert {frozenset(patients_of(cohort.masses, split.test)) for split in drawn} == {
        frozenset(["P0", "P1"])
    }
    assert len({split.validation for split in drawn}) > 1  # the seed moves it
    for split in drawn:
        taught = patients_of(cohort.masses, split.train + split.validation)
        assert taught == {f"P{n}" for n in range(4, 12)}
        splits.check_patients(cohort.masses, split.parts())
    for parts, lacking in ((["train"], "test"), (["test"] * 12, "train"), ([None] * 12, "test")):
        with pytest.raises(SpecError, match=f"clinic has {lacking} in .* `part`"):
            split_of(owned("clinic", parts))
    bare = replace(cohort, manifest=cohort.manifest.drop(columns="part"))
    with pytest.raises(SpecError, match="clinic has test"):
        split_of(bare)


@pytest.mark.parametrize("rule", ["official", "folds"])
def test_patients_whose_films_are_examples_neither_train_nor_validate(rule):
    """P0 and P1 get the names of the two, whatever the table says of their part."""
    named = {"P0": "P_00173", "P1": "P_00820"}
    for name, taught in (("cbis-ddsm-800", set()), ("clinic", set(named.values()))):  # control
        cohort = owned(name, ["train", "train", "test"])
        rows = cohort.manifest.assign(patient=cohort.manifest["patient"].replace(named))
        cohort = replace(cohort, manifest=rows)
        fields = {} if rule == "official" else {"folds": 3}
        found = set()
        for seed in range(3):
            split = split_of(cohort, rule, seed=seed, **fields)
            found |= patients_of(cohort.masses, split.train + split.validation)
            if name != "clinic":
                tested = patients_of(cohort.masses, split.test) & set(named.values())
                assert tested == (set(named.values()) if rule == "official" else set())
        assert found & set(named.values()) == taught


def test_the_published_tables_give_the_published_parts(real_data):
    box = dict(zip(BOX, (0, 0, 9, 9), strict=True))
    rows = read_masses(real_data / "cbis-ddsm-tables").reset_index()
    cohort = Cohort("cbis-ddsm", real_data, rows.assign(shape="oval", site="cbis-ddsm", **box))
    split = split_of(cohort)
    assert (len(split.test), len(split.train) + len(split.validation)) == (378, 1318)
    splits.check_patients(cohort.masses, split.parts())
    assert len(patients_of(cohort.masses, split.test)) == 201
    assert len(patients_of(cohort.masses, split.validation)) == 691 // 6


@pytest.fixture
def cohort(tmp_path, own_store, write_views):
    """Twelve patients, P8 to P11 without a mass; 25 views of 48 x 64 pixels."""
    write_views(tmp_path)
    return load_cohort("views", tmp_path)


def test_every_view_once_with_all_its_masses(cohort):
    views = cohort.views
    assert len(views) == len(set(views.index)) == 25
    assert views["image"].tolist() == cohort.manifest["image"].unique().tolist()
    assert sum(map(len, views["cases"])) == len(cohort) == 8 * 2  # one lost in P1, one more in P0
    assert (views[["height", "width"]] == (48, 64)).all(axis=None)
    some = views.loc[["free", "P0_CC_1", "P1_MLO_1", "P9_CC_1"]]
    assert some["cases"].tolist() == [(), ("P0_CC_1", "P0_CC_2"), (), ()]
    assert [boxes.shape for boxes in some["boxes"]] == [(0, 4), (2, 4), (0, 4), (0, 4)]
    expected = cohort.masses.loc[list(some["cases"].iloc[1]), list(BOX)]
    assert some["boxes"].iloc[1].tolist() == expected.to_numpy(float).tolist()


@pytest.mark.parametrize("seed", range(3))
def test_every_view_stands_once_and_no_patient_crosses(cohort, seed):
    tested, dealt, table = [], [], cohort.views
    for fold in range(3):
        fields = FIELDS | {"fold": fold, "seed": seed}
        split, of_masses = split_views(cohort, **fields), split_cases(cohort.masses, **fields)
        groups = {part: patients_of(table, names) for part, names in split.parts().items()}
        assert sum(map(len, groups.values())) == len(set.union(*groups.values())) == 12
        for part, cases in of_masses.parts().items():  # detector and segmenter learn from the same
            assert groups[part] - FOR_TEST == patients_of(cohort.masses, cases)
        dealt.append([len(group & FOR_TEST) for group in groups.values()])
        tested += split.test
    assert dealt == [[1, 1, 2], [2, 1, 1], [2, 1, 1]]
    assert sorted(tested) == sorted(cohort.views.index)


def test_the_other_site_is_tested_whole(cohort):
    split = split_views(cohort, **(FIELDS | {"folds": 2, "train_site": "south"}))
    table = cohort.views
    away = set(table.index[table["site"] == "north"])
    assert {"P9_CC_1", "P3_CC_1"} <= away <= set(split.test)
    home = set(split.train + split.validation)
    assert set(table.loc[sorted(home), "site"]) == {"south"}
    assert len(patients_of(table, split.test) & {"P8", "P10"}) == 1  # and a fold of its own


def test_patients_without_a_mass_stand_where_the_owners_say(cohort):
    rows, table = cohort.manifest.set_index("case", drop=False), cohort.views
    parts = rows["patient"].map({"P0": "test", "P9": "test", "P7": "other", "P11": "other"})
    cohort = replace(
        cohort, manifest=rows.assign(part=parts.fillna("train")).reset_index(drop=True)
    )
    split = split_views(cohort, **FIELDS | {"validation_folds": 2}, rule="official")
    assert patients_of(table, split.test) == {"P0", "P9"}
    for part in (split.train, split.validation):
        assert {"P8", "P10"} & patients_of(table, part)
        assert {f"P{n}" for n in range(1, 7)} & patients_of(table, part)
        assert not {"P7", "P11"} & patients_of(table, part)


@pytest.mark.parametrize("rule", ["official", "folds"])
def test_views_of_patients_held_out_neither_train_nor_validate(cohort, rule):
    """P0 has masses, P9 none; the control is the same cohort by a name without a descriptor."""
    named = {"P0": "P_00173", "P9": "P_00820"}
    part = cohort.manifest["patient"].map({"P1": "test"}).fillna("train")
    rows = cohort.manifest.assign(patient=cohort.manifest["patient"].replace(named), part=part)
    met = {}
    for name in ("cbis-ddsm-800", "clinic"):
        one = replace(cohort, name=name, manifest=rows)
        for fold in range(3 if rule == "folds" else 1):
            split = split_views(one, **FIELDS | {"fold": fold}, rule=rule)
            met.setdefault(name, set()).update(split.train + split.validation)
        met[name] = patients_of(one.views, met[name]) & set(named.values())
    assert met == {"cbis-ddsm-800": set(), "clinic": set(named.values())}


@pytest.mark.slow
def test_real_views_pass_and_hold_the_masses_and_folds_of_the_masses_alone(real_data):
    views, alone = load_cohort("cdd-cesm-views", real_data), load_cohort("cdd-cesm", real_data)
    assert integrity.examine(views)[0].empty
    pd.testing.assert_frame_equal(views.masses, alone.masses)
    counts = [len(boxes) for boxes in views.views["boxes"]]
    assert (len(counts), sum(count > 0 for count in counts), sum(counts)) == (216, 117, 285)
    fields = FIELDS | {"fold": 1, "validation_folds": 6}
    split = split_views(views, **fields)
    for part, cases in split_cases(alone.masses, **fields).parts().items():
        taken = views.views.loc[list(split.parts()[part])]
        assert sorted(case for some in taken["cases"] for case in some) == sorted(cases)
        assert any(not len(boxes) for boxes in taken["boxes"])
