import numpy as np
import pandas as pd
import pytest

from mammostudy.study import claims, losses, losses_reading, published

COHORT, PRESET = "cdd-cesm", "reference"
CURVES = [
    {"iteration": 1.0, "overlap": 0.8, "adversarial": 0.7, "validation_dice": 0.3},
    {"iteration": 2.0, "overlap": 0.5, "adversarial": 0.9},
    {"iteration": 3.0, "overlap": 0.4, "adversarial": 1.0, "validation_dice": 0.2},
]
PLAIN_CURVES = [{"iteration": 1.0, "overlap": 0.8, "validation_dice": 0.3}]


def write_some(write, *, l1=0.6):
    named = losses.named(COHORT, PRESET)
    for spec, score in zip(named[losses.DICE], (0.7, 0.8, 0.8, 0.7, 0.8), strict=True):
        write(spec, score, curves=CURVES)
    for spec in named[losses.L1]:
        write(spec, l1, converged=False)
    write(named[losses.RELEASED][0], 0.2)
    write(named[losses.PLAIN][0], 0.75, curves=PLAIN_CURVES)
    for name, specs in losses.baselines(COHORT, PRESET).items():
        if name in ("ellipse", "all-mass"):
            for spec in specs:
                write(spec, {"ellipse": 0.65, "all-mass": 0.25}[name])


def test_grid():
    named = losses.named(COHORT, PRESET)
    assert tuple(named) == losses.TRAINED
    l1, dice = named[losses.L1][0], named[losses.DICE][0]
    assert l1.loss == dice.loss.model_copy(update={"overlap": "l1"})
    assert l1.frame == dice.frame
    plain = named[losses.PLAIN][0]
    assert plain.loss.adversarial_weight == 0
    assert plain.model == dice.model
    assert len(losses.specs(COHORT, PRESET)) == len(set(losses.specs(COHORT, PRESET)))
    arms = claims.arms(COHORT, PRESET)
    assert arms["dice"][0] == named[losses.DICE]
    assert arms["l1"][0] == named[losses.L1]


def test_published_numbers_are_the_papers():
    facts = losses.published_losses().set_index("fact")["value"]
    assert facts["dice loss at the end"] == published.FACTS["dice loss at the end"].value
    scores = losses.published_scores().set_index("model")
    assert scores.loc["cGAN-ResNet101 (Dice)", "Dice, INbreast"] == 88.89
    assert scores.loc["cGAN-ResNet101", "Dice, INbreast"] == 87.19
    assert scores.loc["UNet", "IoU, private"] == 68.36


def test_curves_carry_the_weighted_sum_that_is_descended(write):
    write_some(write)
    table = losses.curves(losses.records(COHORT, PRESET))
    wide = table[table["row"] == losses.DICE].pivot(
        index="iteration", columns="quantity", values="value"
    )
    assert wide["generator"].tolist() == pytest.approx([120.7, 75.9, 61.0])  # 150 x + y
    assert wide["validation_dice"].dropna().tolist() == [0.3, 0.2]
    plain = table[(table["row"] == losses.PLAIN) & (table["quantity"] == "generator")]
    assert plain["value"].tolist() == pytest.approx([120.0])
    assert "ellipse" not in set(table["row"])


def test_training_table(write):
    write_some(write)
    table = losses.training_table(losses.records(COHORT, PRESET)).set_index("row")
    row = table.loc[losses.DICE]
    assert row["trainings"] == 5
    assert row["iterations"] == 3
    assert row["converged"] == "5 of 5"
    assert (row["best validation Dice"], row["last validation Dice"]) == ("0.300", "0.200")
    assert row["minutes a training"] == "1.5"
    assert table.loc[losses.L1, "converged"] == "0 of 5"
    assert set(table.loc[losses.UNET]) == {"not run"}


def test_scores_by_hand(write):
    write_some(write)
    found = losses.records(COHORT, PRESET)
    stacked = losses.rows(found)
    summary = losses.table(stacked)
    row = summary[(summary["row"] == losses.DICE) & (summary["metric"] == "dice")].iloc[0]
    assert row["mean"] == pytest.approx((0.7 + 0.8 + 0.8) / 3)
    assert row["seed_sd"] == pytest.approx(np.std([0.7, 0.7, 0.8], ddof=1))
    wide = losses.printed_table(summary).set_index("row")
    assert tuple(wide.index) == losses.ROWS
    assert wide.loc[losses.UNET, "Dice"] == "not run"
    assert wide.loc["ellipse", "converged"] == "no training"
    trainings = losses.trainings(stacked)
    assert (trainings["row"] == losses.DICE).sum() == 5
    spread = losses.spread(summary).set_index("row")
    assert spread.loc[losses.DICE, "SD over seeds"] == pytest.approx(row["seed_sd"])
    assert "ellipse" not in spread.index


def test_fair_test_by_hand(write):
    write_some(write)
    stacked = losses.rows(losses.records(COHORT, PRESET))
    tests = losses.fair_test(stacked).set_index("b")
    row = tests.loc[losses.L1]
    assert row["difference"] == pytest.approx((0.1 + 0.2 + 0.2) / 3)
    assert row["trainings"] == 5
    assert (row["lowest training"], row["highest training"]) == pytest.approx((0.1, 0.2))
    assert row["unsettled"] == losses.L1
    assert tests.loc[losses.PLAIN, "difference"] == pytest.approx(-0.05)  # first fold alone
    assert losses.UNET not in tests.index
    pairs = losses.training_differences(stacked)
    assert sorted(pairs[pairs["b"] == losses.L1]["mean"]) == pytest.approx(
        [0.1, 0.1, 0.2, 0.2, 0.2]
    )
    wide = losses.printed_tests(losses.fair_test(stacked)).set_index("paper's model minus")
    assert wide.loc[losses.L1, "their differences"] == "+0.100 to +0.200"


def test_painted_shares_and_mean_masks(write):
    write_some(write)
    found = losses.records(COHORT, PRESET)
    shares = losses.painted(losses.rows(found)).set_index("row")
    assert shares.loc[losses.RELEASED, "painted"] == pytest.approx(32 / 64)
    assert shares.loc[losses.RELEASED, "mass"] == pytest.approx(16 / 64)
    mean = losses.mean_masks(found)[losses.RELEASED]
    assert mean[:, :4] == pytest.approx(0.25)  # one test case of four; validation is left out
    assert mean[:, 4:] == pytest.approx(0)


def test_reading_speaks_from_the_tables(write):
    write_some(write)
    said = _reading()
    assert f"{losses.DICE} (5 trainings)" in said
    assert "trained with L1: +0.167" in said
    assert "in 5 trainings, which agree on the sign; not converged: cGAN, L1" in said
    assert "paints 50 % of the frame where 25 % is mass, and scores 0.200" in said
    assert "painting everything scores 0.250" in said
    assert "without an adversary: -0.050 [-0.050, -0.050]" in said
    assert "the interval lies below 0, from one training each" in said
    assert "over seeds of one fold's mean is 0.058" in said
    assert "Training had not converged for cGAN, L1:" in said


def test_control_other_scores_are_read_otherwise(write):
    write_some(write, l1=0.75)
    assert "in 5 trainings, which disagree on the sign" in _reading()


def _reading():
    stacked = losses.rows(losses.records(COHORT, PRESET))
    return losses_reading.reading(
        losses.table(stacked), losses.fair_test(stacked), losses.painted(stacked)
    )


@pytest.mark.usefixtures("write")
def test_without_records_everything_says_not_run():
    found = losses.records(COHORT, PRESET)
    stacked = losses.rows(found)
    assert losses.curves(found).empty
    assert set(losses.training_table(found)["status"]) == {"not run"}
    assert set(losses.printed_table(losses.table(stacked))["Dice"]) == {"not run"}
    assert losses.mean_masks(found) == {}
    assert losses.spread(losses.table(stacked)).empty
    assert losses.printed_tests(losses.fair_test(stacked)).empty
    assert isinstance(losses.training_differences(stacked), pd.DataFrame)
    assert "No run" in _reading()
    assert set(losses.absent(found, COHORT, PRESET)) == set(losses.ROWS)
