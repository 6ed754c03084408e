import math

import pandas as pd
import pytest

from mammostudy.errors import SpecError
from mammostudy.evaluation.statistics import bootstrap_ci
from mammostudy.study import recipes, tables

COHORT = "cdd-cesm"  # no data at hand: records are found by recipe
SPEC = recipes.recipe(COHORT, "reference")
SEEDS = [SPEC, SPEC.changed(seed=3), SPEC.changed(seed=6)]
OTHER = recipes.recipe(COHORT, "reference", loss__overlap="l1")


def test_records_come_by_name_and_missing_ones_are_absent(write):
    write(SPEC, 0.5)
    named = {"here": [SPEC], "half": [SPEC, SEEDS[1]], "nowhere": [OTHER]}
    found = tables.records_of(named, "reference")
    assert {name: len(listed) for name, listed in found.items()} == {
        "here": 1,
        "half": 1,
        "nowhere": 0,
    }
    assert tables.not_run(named, found) == ["half", "nowhere"]


def test_reference_never_trains_and_smoke_asks_for_what_is_missing(write, monkeypatch):
    asked = []
    monkeypatch.setattr("mammostudy.runs.execute.ensure", lambda specs: asked.append(list(specs)))
    tables.records_of({"x": [OTHER]}, "reference")
    assert asked == []
    tables.records_of({"x": [OTHER]}, "smoke")  # the control: this preset does train
    assert asked == [[OTHER]]
    with pytest.raises(SpecError, match="preset"):
        tables.records_of({}, "no such")


def test_rows_keep_test_cases_and_number_the_seeds_of_a_fold(write):
    records = [write(spec, 0.4) for spec in SEEDS] + [write(SPEC.changed(split__fold=1), 0.6)]
    rows = tables.rows_of({"m": records})
    first = rows[rows["fold"] == 0]
    assert set(first["case"]) == {"a1", "a2", "b1", "c1"}
    numbered = rows.groupby(["fold", "seed"])["replicate"].unique().map(list).to_dict()
    assert numbered == {(0, 0): [0], (0, 3): [1], (0, 6): [2], (1, 0): [0]}
    assert set(tables.rows_of({"m": records}, part="validation")["case"]) == {"v1"}
    assert tables.rows_of({"m": []}).empty


def test_chosen_takes_one_box_and_one_postprocessing(write):
    rows = tables.rows_of({"m": [write(SPEC, 0.5)]})
    assert tables.chosen(rows)["dice"].tolist() == [0.5] * 4
    after = tables.chosen(rows, box="jittered", postprocessing=tables.PUBLISHED)
    assert after["dice"].tolist() == pytest.approx([0.41] * 4)


def test_summary_by_hand(write):
    first = [0.2, 0.4, 0.6, 0.8]
    records = [write(SEEDS[0], first), write(SEEDS[1], 0.6), write(SEEDS[2], 0.7)]
    rows = tables.chosen(tables.rows_of({"m": records}))
    row = tables.summarise(rows, ("dice",)).iloc[0]
    assert row["mean"] == pytest.approx(0.5)  # the first seed only
    assert row["median"] == pytest.approx(0.5)
    assert (row["low"], row["high"]) == bootstrap_ci(first, ["a", "a", "b", "c"])
    assert row["seed_sd"] == pytest.approx(0.1)  # of 0.5, 0.6, 0.7
    assert (row["cases"], row["patients"], row["seeds"]) == (4, 3, 3)
    assert row["converged"] == "yes"


@pytest.mark.parametrize(
    ("flags", "said"),
    [([True, True], "yes"), ([True, False], "no"), ([None, None], "no training")],
)
def test_one_run_that_had_not_converged_marks_the_row(flags, said):
    rows = pd.DataFrame(
        {
            "row": "m",
            "case": ["a1", "b1"],
            "patient": ["a", "b"],
            "fold": [0, 1],
            "seed": 0,
            "replicate": 0,
            "dice": 0.5,
            "converged": flags,
        }
    )
    row = tables.summarise(rows, ("dice",)).iloc[0]
    assert row["converged"] == said
    assert math.isnan(row["seed_sd"])


def test_paired_by_hand(write):
    rows = tables.chosen(
        tables.rows_of({"m": [write(SPEC, [0.5, 0.7, 0.6, 0.9])], "n": [write(OTHER, 0.5)]})
    )
    test = tables.paired(rows, "m", "n", "dice")
    assert test.patients == 3
    assert test.difference == pytest.approx((0.1 + 0.1 + 0.4) / 3)  # patient a: (0 + 0.2) / 2
    back = tables.paired(rows, "n", "m", "dice")
    assert back.difference == pytest.approx(-test.difference)


def test_differences_of_trainings_pair_folds_and_replicates(write):
    ours = [write(spec, dice) for spec, dice in zip(SEEDS, (0.5, 0.6, 0.7), strict=True)]
    theirs = [
        write(OTHER.changed(seed=seed), dice) for seed, dice in ((0, 0.4), (3, 0.7))
    ]  # the third seed has no partner
    rows = tables.chosen(tables.rows_of({"m": ours, "n": theirs}))
    found = tables.seed_differences(rows, "m", "n", "dice")
    assert found.tolist() == pytest.approx([0.1, -0.1])


def test_names_of_postprocessings():
    assert tables.published_name("none") == "none"
    assert tables.published_name(tables.PUBLISHED) == "as published"
    assert tables.published_name("close3") == "close3"
