"""The owners' split: their test part is ours, a patient stands on one side, nobody else has one."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest

from mammostudy.data import views
from mammostudy.data.cohort import Cohort, load_cohort
from mammostudy.data.cohort_names import SOURCES
from mammostudy.data.official_splits import WITH_SPLIT, official_parts, parted
from mammostudy.data.sources.cbis_tables import read_tables
from mammostudy.data.splits import Split, check_patients, split_cases
from mammostudy.data.views import split_views, views_of
from mammostudy.errors import SpecError

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


def test_every_cohort_with_a_split_has_its_function() -> None:
    assert set(WITH_SPLIT) <= set(SOURCES)


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


def test_views_follow_the_masses(cbis: Cohort, monkeypatch: pytest.MonkeyPatch) -> None:
    rule = {"folds": 5, "fold": 0, "seed": 0, "train_site": None, "validation_folds": 3}
    split = split_views(cbis, **rule, rule="official")
    table = views_of(cbis).table
    assert set(table.loc[list(split.test), "patient"]) == set(TESTED)
    of_masses = split_cases(
        parted(cbis, cbis.masses, "official"), rule="official", validation_folds=3
    )
    for part, cases in of_masses.parts().items():
        assert set(cbis.masses.loc[list(cases), "patient"]) == set(
            table.loc[list(split.parts()[part]), "patient"]
        )


def test_patients_without_a_mass_stand_where_the_owners_say(
    tmp_path: Path, write_views: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    write_views(tmp_path)  # P8 to P11 show no mass
    cohort = load_cohort("views", tmp_path)
    rows = cohort.manifest.set_index("case", drop=False)
    parts = rows["patient"].isin(("P0", "P9")).map({True: "test", False: "train"})
    monkeypatch.setattr(views, "official_parts", lambda _: parts)
    monkeypatch.setattr(views, "parted", lambda _, rows, __: rows.assign(part=parts[rows.index]))
    split = split_views(
        cohort, folds=5, fold=0, seed=0, train_site=None, validation_folds=2, rule="official"
    )
    patients = {
        name: set(views_of(cohort).table.loc[list(cases), "patient"])
        for name, cases in split.parts().items()
    }
    assert patients["test"] == {"P0", "P9"}
    assert {"P8", "P10", "P11"} & patients["train"]
    assert {"P8", "P10", "P11"} & patients["validation"]


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
    with pytest.raises(SpecError, match="without the part of their owners; use 'folds'"):
        split_cases(tiny.masses, rule="official")


def test_one_patient_cannot_train_and_validate(cbis: Cohort) -> None:
    rows = parted(cbis, cbis.masses, "official")
    one = rows[(rows["part"] == "test") | (rows["patient"] == "P0")]
    with pytest.raises(SpecError, match="too few"):
        split_cases(one, rule="official")


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
