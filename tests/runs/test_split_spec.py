"""A run on the official split: tested on the owners' part, in a record of its own key."""

from __future__ import annotations

from dataclasses import replace

import pytest

from mammostudy.data import splits
from mammostudy.data.cohort import Cohort
from mammostudy.errors import SpecError
from mammostudy.runs import execute as module
from mammostudy.runs.execute import execute
from mammostudy.runs.spec import RunSpec, SplitSpec
from mammostudy.study.detect_recipes import detect_folds
from mammostudy.study.recipes import baselines, folds_of, recipe
from mammostudy.study.shape_recipes import cross, segmenters


@pytest.mark.parametrize("fields", [{"fold": 1}, {"train_site": "one"}, {"unit": "image"}])
def test_the_official_split_has_one_fold_by_patient(fields: dict[str, object]) -> None:
    with pytest.raises(SpecError, match="run spec: split: rule 'official' is one split"):
        RunSpec.parse({"cohort": "tiny", "split": {"rule": "official", **fields}})
    RunSpec.parse({"cohort": "tiny", "split": fields})  # control


def test_the_rule_is_in_the_key_and_its_default_is_not() -> None:
    plain = RunSpec(cohort="tiny")
    assert plain.recipe_key() == RunSpec(cohort="tiny", split=SplitSpec(rule="folds")).recipe_key()
    assert plain.recipe_key() != plain.changed(split__rule="official").recipe_key()


def test_a_run_is_tested_on_the_owners_part(
    tiny: Cohort, tiny_spec: RunSpec, monkeypatch: pytest.MonkeyPatch
) -> None:
    names = tiny.manifest["case"].str.replace(
        r"p(\d)-(\d)", r"Mass-Training_P_0000\1_LEFT_CC_\2", regex=True
    )
    held = names.str.contains("P_0000[27]")
    cases = names.where(~held, names.str.replace("Training", "Test"))
    cohort = replace(tiny, name="cbis-ddsm", manifest=tiny.manifest.assign(case=cases))
    monkeypatch.setattr(module, "load_cohort", lambda _: cohort)
    spec = baselines(tiny_spec.changed(cohort="cbis-ddsm", split__rule="official"))[1]
    record = execute(spec, progress=False)
    assert set(record.content["split"]["test"]) == set(cases[held])
    tested = record.cases[record.cases["part"] == "test"]
    assert set(tested["case"]) == set(cases[held])
    bare = splits.describe("mine")
    monkeypatch.setattr(splits, "describe", lambda _: bare)
    with pytest.raises(SpecError, match="without a split of its owners"):
        execute(spec.changed(seed=1), progress=False)


def test_recipes_of_cbis_ddsm_take_its_split_once() -> None:
    assert recipe("cbis-ddsm", "quick").split == SplitSpec(rule="official")
    assert [spec.split.fold for spec in folds_of("cbis-ddsm", "reference")] == [0]
    (runs,) = detect_folds("cbis-ddsm", "reference").values()
    assert [run.split for run in runs] == [SplitSpec(rule="official")]
    assert segmenters("cbis-ddsm", "quick") == ()
    assert cross("cbis-ddsm", "quick") == {}
    assert [spec.split.fold for spec in folds_of("inbreast", "reference")] == [0, 1, 2]
