import itertools
import math

import numpy as np
import pandas as pd
import pytest

from mammostudy.study import (
    adversary,
    adversary_curves,
    adversary_ladder,
    adversary_reading,
    adversary_recipes,
)

COHORT, PRESET = "cdd-cesm", "reference"
LAST = {"adversarial": 3.0, "overlap": 0.1}
SURE = {"discriminator_real": -math.log(0.95), "discriminator_fake": -math.log(0.96)}
HALF = {"discriminator_real": math.log(2), "discriminator_fake": math.log(2)}


def curve(end):
    start = {"iteration": 1.0, "discriminator_real": 0.7, "discriminator_fake": 0.7}
    return [start | LAST, {"iteration": 10.0} | LAST | end]


def write_weights(write, *, plain=(0.7, 0.7, 0.7), paper=(0.8, 0.7, 0.75), low=0.6):
    named = adversary_recipes.weights(COHORT, PRESET)
    for spec, score in zip(named[adversary.MODEL], paper, strict=True):
        write(spec, score, curves=curve(SURE))
    for spec, score in zip(named[adversary.PLAIN], plain, strict=True):
        write(spec, score)
    write(named["lambda 1"][0], low, converged=False, curves=curve(HALF))


def tables():
    found = adversary.records(COHORT, PRESET)
    return found, adversary.rows(found)


def test_grid():
    named = adversary_recipes.weights(COHORT, PRESET)
    assert tuple(named) == adversary.ROWS
    assert {len(runs) for runs in named.values()} == {3}
    assert {tuple(run.seed for run in runs) for runs in named.values()} == {(0, 3, 6)}
    assert {run.split.fold for runs in named.values() for run in runs} == {0}
    plain, paper = named[adversary.PLAIN][0], named[adversary.MODEL][0]
    assert plain.changed(loss__adversarial_weight=1.0).loss == paper.loss
    assert adversary.specs(COHORT, "smoke") == []
    assert len(adversary.specs("phantom", "quick")) == 5
    official = adversary_recipes.weights("cbis-ddsm", PRESET)  # one fold: other seeds, the same all
    assert len({tuple(run.seed for run in runs) for runs in official.values()}) == 1


def test_scores_are_means_over_trainings(write):
    write_weights(write)
    _, stacked = tables()
    summary = adversary.table(stacked).set_index("row")
    row = summary.loc[adversary.MODEL]
    assert row["mean"] == pytest.approx(0.75)
    assert row["seed_sd"] == pytest.approx(0.05)
    assert (row["trainings"], row["settled"], row["cases"], row["patients"]) == (3, 3, 4, 3)
    assert summary.loc["lambda 1", "settled"] == 0
    wide = adversary.printed_table(summary.reset_index(), adversary.trainings(stacked))
    wide = wide.set_index("row")
    assert tuple(wide.index) == adversary.ROWS
    assert wide.loc[adversary.MODEL, "each training"] == "0.800, 0.700, 0.750"
    assert set(wide.loc["lambda 1000"]) == {"not run"}


def test_lambdas_against_no_adversary_by_hand(write):
    write_weights(write)
    _, stacked = tables()
    tests = adversary.comparisons(stacked).set_index("b")
    row = tests.loc[adversary.MODEL]
    assert row["difference"] == pytest.approx(0.05)
    assert (row["trainings"], row["higher"]) == (3, 2)  # +0.1, 0 and +0.05
    assert (row["lowest"], row["highest"]) == pytest.approx((0.0, 0.1), abs=1e-9)
    assert not row["within"]
    one = tests.loc["lambda 1"]  # its seed alone is compared
    assert one["difference"] == pytest.approx(-0.1)
    assert (one["trainings"], one["higher"], one["unsettled"]) == (1, 0, "lambda 1")
    assert one["adjusted"] == pytest.approx(2 * one["p_permutation"])
    pairs = adversary.differences(stacked)
    assert sorted(pairs[pairs["b"] == adversary.MODEL]["mean"]) == pytest.approx(
        [0, 0.05, 0.1], abs=1e-9
    )


def test_a_small_gain_is_shown_to_be_small(write):
    write_weights(write, paper=(0.702, 0.702, 0.702))
    _, stacked = tables()
    test = adversary.comparisons(stacked).set_index("b").loc[adversary.MODEL]
    assert test["within"]
    wide = adversary.printed_tests(adversary.comparisons(stacked))
    assert f"within {adversary.margin():g}" in wide.columns


def test_seeds_apart_from_patients(write):
    cases = np.array([0.1, 0.1, 0.0, -0.1])  # of a1, a2, b1 and c1
    named = adversary_recipes.weights(COHORT, PRESET)
    for spec, seed in zip(named[adversary.MODEL], (0.7, 0.8, 0.75), strict=True):
        write(spec, seed + cases)
    _, stacked = tables()
    parts = adversary.variances(stacked).set_index("row").loc[adversary.MODEL]
    assert parts["seed_sd"] == pytest.approx(0.05)
    assert parts["patient_sd"] == pytest.approx(0.1)
    assert parts["rest_sd"] == pytest.approx(0, abs=1e-6)
    assert parts["error"] == pytest.approx(math.sqrt(0.1**2 / 3 + 0.05**2 / 3), rel=1e-4)
    luck = adversary_ladder.noise(adversary.variances(stacked))
    assert luck == pytest.approx(math.sqrt(2) * 0.05, rel=1e-4)


def test_scores_of_the_discriminator_from_its_losses(write):
    write_weights(write)
    found, _ = tables()
    curves = adversary_curves.curves(found)
    last = curves[(curves["row"] == adversary.MODEL) & (curves["iteration"] == 10)]
    by = last.groupby("shown")["score"].mean()
    assert by[adversary_curves.TRUE] == pytest.approx(0.95)
    assert by[adversary_curves.PREDICTED] == pytest.approx(0.04)
    assert adversary.PLAIN not in set(curves["row"])
    ends = adversary_curves.ends(found).set_index("row")
    assert ends.loc[adversary.MODEL, "saturated"] == 3
    assert ends.loc["lambda 1", ["saturated", "undecided"]].tolist() == [0, 1]
    assert ends.loc[adversary.MODEL, "sure"] == pytest.approx(0.5)  # the second of two
    assert ends.loc[adversary.MODEL, "share"] == pytest.approx(3 / (3 + 15))
    assert ends.loc["lambda 1", "share"] == pytest.approx(3 / (3 + 0.1))


def test_published_rows_stand_beside_ours(write):
    write_weights(write)
    _, stacked = tables()
    rows = adversary.elsewhere(adversary.table(stacked)).set_index("where")
    assert rows.loc["the paper, INbreast", "difference"] == pytest.approx(0.9407 - 0.7792)
    assert rows.loc["a reproduction, INbreast", "difference"] == pytest.approx(-0.009)
    assert rows.loc["this page", "difference"] == pytest.approx(0.05)
    assert "this page" not in set(adversary.elsewhere(adversary.table(stacked.iloc[:0]))["where"])


def test_rungs_change_what_they_name():
    named = adversary_recipes.ladder(COHORT, PRESET)
    rungs = adversary_ladder.rungs(COHORT, PRESET)
    specs = [named[name][0] for name in rungs]
    changed = [adversary_ladder.fields(one, two) for one, two in itertools.pairwise(specs)]
    assert changed == [
        ["loss.overlap"],
        ["loss.signed_masks"],
        ["model.shared_batch_norm"],
        ["model.channels"],
        ["preprocessing.value_range"],
        ["preprocessing.equalise"],
        ["preprocessing.denoise_sigma"],
        ["model.dropout_at_prediction"],
        ["loss.adversarial_weight"],
        ["loss.overlap", "loss.overlap_weight"],
        ["optimiser.augment"],
    ]


def test_steps_by_hand(write):
    named = adversary_recipes.ladder(COHORT, PRESET)
    rungs = adversary_ladder.rungs(COHORT, PRESET)
    for name, score in zip(rungs, (0.2, 0.6, 0.65), strict=False):
        write(named[name][0], score)
    write(named[rungs[4]][0], 0.7)
    stacked = adversary_ladder.rows(adversary_ladder.records(COHORT, PRESET))
    summary, steps = adversary_ladder.table(stacked), adversary_ladder.steps(stacked, rungs)
    assert steps["row"].tolist() == [rungs[1], rungs[2]]  # the rung below the fifth is missing
    assert steps["difference"].tolist() == pytest.approx([0.4, 0.05])
    wide = adversary_ladder.printed_table(summary, steps, COHORT, PRESET).set_index("rung")
    assert wide.loc[rungs[3], "Dice"] == "not run"
    assert wide.loc[rungs[4], "difference [95 % interval]"] == "not run"
    assert wide.loc[rungs[0], "difference [95 % interval]"] == "–"
    said = adversary_reading.ladder(summary, steps, adversary.variances(stacked.iloc[:0]))
    assert f"The largest step is “{rungs[1]}”: +0.400" in said
    assert "one training, one seed: how much of a step is that training's luck is not" in said


def _reading():
    found, stacked = tables()
    return adversary_reading.reading(
        adversary.table(stacked),
        adversary.comparisons(stacked),
        adversary.variances(stacked),
        adversary_curves.ends(found),
    )


def test_reading_speaks_from_the_tables(write):
    write_weights(write)
    said = _reading()
    assert "for lambda 150 (3 trainings) and 0.700 [0.700, 0.700] for no adversary" in said
    assert "Dice of lambda 150 minus Dice without an adversary: +0.050" in said
    assert "higher in 2 of 3 pairs of trainings" in said
    assert "Of 2 values of lambda compared, none differs" in said  # 3 patients settle nothing
    assert "saturated (above 0.9 and below 0.1) in every training of lambda 150." in said
    assert "17 % for lambda 150" in said
    assert "had not converged for lambda 1:" in said


def test_a_clear_gain_is_read_as_one_and_a_split_sign_said():
    test = {
        "b": "lambda 1", "difference": 0.1, "low": 0.05, "high": 0.15, "adjusted": 0.01,
        "patients": 20, "smallest_detectable": 0.02, "within": False, "trainings": 3, "higher": 2,
    }  # fmt: skip
    worse = test | {"b": "lambda 10", "low": -0.2, "high": -0.1, "higher": 0}
    said = adversary_reading._verdict(pd.DataFrame([test, worse]))
    assert "better than no adversary beyond the chance of patients: lambda 1;" in said
    assert "worse: lambda 10;" in said
    assert "but the trainings of lambda 1 disagree on the sign" in said


@pytest.mark.usefixtures("write")
def test_without_records_everything_says_not_run():
    found, stacked = tables()
    assert set(adversary.absent(found, COHORT, PRESET)) == set(adversary.ROWS)
    table = adversary.printed_table(adversary.table(stacked), adversary.trainings(stacked))
    assert set(table["Dice"]) == {"not run"}
    assert adversary.printed_tests(adversary.comparisons(stacked)).empty
    assert adversary.variances(stacked).empty
    assert adversary_curves.printed_ends(adversary_curves.ends(found)).empty
    assert "No run" in _reading()


def test_a_preset_without_room_says_so():
    assert "Not run in this preset" in adversary_reading.preliminaries("phantom", "smoke")
    quick = adversary_reading.preliminaries("phantom", "quick")
    assert "no room for the ladder" in quick
    assert "trains every row once" in quick
    assert adversary_reading.preliminaries(COHORT, PRESET) == ""
