"""Views for detectors: all of them, their masses, and splits that keep a patient on one side."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from mammostudy.data import splits
from mammostudy.data.cohort import Cohort
from mammostudy.data.load import load_cohort
from mammostudy.data.manifest import BOX
from mammostudy.data.splits import split_cases
from mammostudy.data.views import split_views, views_of
from mammostudy.errors import DataError, SpecError

FIELDS: dict[str, Any] = {
    "folds": 3, "fold": 0, "seed": 0, "train_site": None, "validation_folds": 4,
}  # fmt: skip


@pytest.fixture
def cohort(tmp_path: Path, own_store: Path, write_views: Callable[..., Path]) -> Cohort:
    """Twelve patients, P8 to P11 without a mass; 25 views of 48 x 64 pixels."""
    write_views(tmp_path)
    return load_cohort("views", tmp_path)


def patients_of(cohort: Cohort, names: tuple[str, ...]) -> set[str]:
    return set(views_of(cohort).table.loc[list(names), "patient"])


def test_every_view_once_with_all_its_masses(cohort: Cohort) -> None:
    views = views_of(cohort)
    assert len(views) == len(set(views.names)) == 25
    assert views.table["image"].tolist() == cohort.manifest["image"].unique().tolist()
    assert sum(map(len, views.cases)) == len(cohort) == 8 * 2  # one lost in P1, one more in P0
    of = dict(zip(views.names, zip(views.boxes, views.cases, strict=True), strict=True))
    boxes, cases = of["P0_CC_1"]
    assert cases == ("P0_CC_1", "P0_CC_2")
    assert boxes.dtype == np.float32
    assert boxes.tolist() == cohort.masses.loc[list(cases), list(BOX)].to_numpy(float).tolist()
    for name in ("free", "P1_MLO_1", "P9_CC_1"):
        assert (of[name][0].shape, of[name][0].dtype, of[name][1]) == ((0, 4), np.float32, ())
    assert set(views.shapes) == {(48, 64)}
    assert set(views.table.loc[views.table["patient"] == "P3", "side"]) == {"R"}


def test_some_views_in_the_order_asked_for(cohort: Cohort) -> None:
    views = views_of(cohort)
    some = views.take(("free", "P0_CC_1"))
    assert some.names == ("free", "P0_CC_1")
    assert [len(boxes) for boxes in some.boxes] == [0, 2]
    assert some.cases == ((), ("P0_CC_1", "P0_CC_2"))
    assert len(views.take(())) == 0


@pytest.mark.parametrize("seed", range(4))
def test_every_view_stands_once_and_no_patient_crosses(cohort: Cohort, seed: int) -> None:
    tested: list[str] = []
    for fold in range(3):
        split = split_views(cohort, **(FIELDS | {"fold": fold, "seed": seed}))
        assert sorted(sum(split.parts().values(), ())) == sorted(views_of(cohort).names)
        groups = [patients_of(cohort, names) for names in split.parts().values()]
        assert all(groups)
        assert sum(map(len, groups)) == len(set.union(*groups)) == 12
        tested += split.test
    assert sorted(tested) == sorted(views_of(cohort).names)


def test_detector_and_segmenter_of_a_fold_learn_from_the_same_patients(cohort: Cohort) -> None:
    for fold in range(3):
        fields = FIELDS | {"fold": fold}
        masses = split_cases(cohort.masses, **fields)
        split = split_views(cohort, **fields)
        for part, cases in masses.parts().items():
            with_mass = set(cohort.masses["patient"])
            found = patients_of(cohort, split.parts()[part]) & with_mass
            assert found == set(cohort.masses.loc[list(cases), "patient"])


def test_patients_without_a_mass_are_dealt_to_all_parts(cohort: Cohort) -> None:
    parts = {}
    for fold in range(3):
        split = split_views(cohort, **(FIELDS | {"fold": fold}))
        free = {f"P{n}" for n in range(8, 12)}
        parts[fold] = {
            part: len(patients_of(cohort, names) & free) for part, names in split.parts().items()
        }
    assert parts[0] == {"train": 1, "validation": 1, "test": 2}
    assert parts[1] == parts[2] == {"train": 2, "validation": 1, "test": 1}


def test_the_seed_decides(cohort: Cohort) -> None:
    assert split_views(cohort, **FIELDS) == split_views(cohort, **FIELDS)
    tests = {split_views(cohort, **(FIELDS | {"seed": seed})).test for seed in range(5)}
    assert len(tests) > 1


def test_the_other_site_is_tested_whole(cohort: Cohort) -> None:
    split = split_views(cohort, **(FIELDS | {"folds": 2, "train_site": "south"}))
    table = views_of(cohort).table
    away = set(table.index[table["site"] == "north"])
    assert {"P9_CC_1", "P3_CC_1"} <= away <= set(split.test)
    home = set(split.train + split.validation)
    assert set(table.loc[sorted(home), "site"]) == {"south"}
    assert len(patients_of(cohort, split.test) & {"P8", "P10"}) == 1  # and a fold of its own
    with pytest.raises(SpecError, match="train_site 'moon'"):
        split_views(cohort, **(FIELDS | {"train_site": "moon"}))


def test_a_part_that_shares_an_image_with_another_is_refused(cohort: Cohort) -> None:
    """A mass-free view that is the picture of another patient's view, under another name."""
    usual = [split_views(cohort, **(FIELDS | {"fold": fold})) for fold in range(3)]  # the control
    table = cohort.manifest.set_index("case", drop=False)
    twin = cohort.root / str(table.loc["P9_CC_1", "image"])
    shutil.copy(cohort.root / str(table.loc["P0_CC_1", "image"]), twin)
    table.loc["P9_CC_1", "image_sha256"] = table.loc["P0_CC_1", "image_sha256"]
    twins = replace(cohort, manifest=table.reset_index(drop=True))
    raised = 0
    for fold, split in enumerate(usual):
        if any({"P9_CC_1", "P0_CC_1"} <= set(names) for names in split.parts().values()):
            continue
        raised += 1
        with pytest.raises(DataError, match=r"P(0|9)_CC.png .*P(0|9)_CC.png .*near-duplicates"):
            split_views(twins, **(FIELDS | {"fold": fold}))
    assert raised


def test_patients_are_checked(cohort: Cohort, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[object] = []
    monkeypatch.setattr(splits, "check_patients", lambda _, parts: seen.append(parts))
    assert [split_views(cohort, **FIELDS).parts()] == seen


def test_patients_without_a_mass_stand_where_the_owners_say(
    cohort: Cohort, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = cohort.manifest.set_index("case", drop=False)
    parts = rows["patient"].isin(("P0", "P9")).map({True: "test", False: "train"})
    monkeypatch.setattr(splits, "official_parts", lambda _: parts)
    split = split_views(cohort, **FIELDS | {"validation_folds": 2}, rule="official")
    assert patients_of(cohort, split.test) == {"P0", "P9"}
    for part in (split.train, split.validation):
        assert {"P8", "P10", "P11"} & patients_of(cohort, part)
        assert {f"P{n}" for n in range(1, 8)} & patients_of(cohort, part)


@pytest.mark.slow
def test_real_views_hold_the_masses_and_folds_of_the_masses_alone(
    real_data: Path, own_store: Path
) -> None:
    views, masses = load_cohort("cdd-cesm-views", real_data), load_cohort("cdd-cesm", real_data)
    pd.testing.assert_frame_equal(views.masses, masses.masses)
    counts = [len(boxes) for boxes in views_of(views).boxes]
    assert (len(counts), sum(count > 0 for count in counts), sum(counts)) == (216, 117, 285)
    fields = FIELDS | {"fold": 1, "validation_folds": 6}
    split = split_views(views, **fields)
    for part, cases in split_cases(masses.masses, **fields).parts().items():
        taken = views_of(views).take(split.parts()[part])
        assert sorted(case for some in taken.cases for case in some) == sorted(cases)
        assert any(not len(boxes) for boxes in taken.boxes)
