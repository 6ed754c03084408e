import pandas as pd
import pytest

from mammostudy.study import transfer, transfer_reading, transfer_recipes

COHORT, PRESET = "cdd-cesm", "reference"
DM, CM, PHANTOM = transfer_recipes.COHORTS


def keep(record, cases):
    """Leave a record's test rows of some cases alone."""
    rows = pd.read_csv(record.folder / "cases.csv")
    rows[rows["case"].isin([*cases, "v1"])].to_csv(record.folder / "cases.csv", index=False)


def write_some(write, *, phantom=0.5):
    models = transfer_recipes.crossed(PRESET)
    ellipses = transfer_recipes.crossed_ellipses(PRESET)
    write(models[DM, DM], (0.9, 0.8, 0.8, 0.7))
    write(ellipses[DM, DM], 0.7)
    keep(write(models[CM, DM], (0.8, 0.8, 0.7, 0.7), converged=False), ("a1", "b1", "c1"))
    write(models[PHANTOM, DM], phantom)
    write(ellipses[PHANTOM, DM], 0.7)


def stacked():
    return transfer.rows(transfer.records(COHORT, PRESET))


def test_grid_learns_from_three_and_tests_on_two():
    named = transfer.named(PRESET)
    assert len(named) == 12
    assert len(transfer.specs(COHORT, PRESET)) == 12
    assert transfer.specs("phantom", PRESET) == []
    assert transfer.specs(COHORT, "smoke") == []
    assert {spec.frame.truth for specs in named.values() for spec in specs} == {"target"}
    assert named[f"model|{PHANTOM}|{DM}"][0].evaluation.test_cohort == DM
    assert set(transfer.TITLES) == set(transfer_recipes.COHORTS)


def test_model_and_ellipse_by_hand(write):
    write_some(write)
    table = transfer.table(stacked()).set_index(["home", "away", "box"])
    row = table.loc[(DM, DM, "oracle")]
    assert row["mean"] == pytest.approx(0.8)
    assert row["ellipse"] == pytest.approx(0.7)
    assert row["gain"] == pytest.approx((0.15 + 0.1 + 0.0) / 3)  # over patients a, b and c
    assert table.loc[(DM, DM, "jittered"), "mean"] == pytest.approx(0.7)
    assert table.loc[(CM, DM, "oracle"), "cases"] == 3
    assert pd.isna(table.loc[(CM, DM, "oracle"), "ellipse"])
    wide = transfer.printed_table(table.reset_index())
    assert len(wide) == 6
    assert wide.loc[1, "model minus ellipse"] == "not run"
    assert wide.loc[0, "Dice"].startswith("0.800 [")
    assert set(wide.loc[4].iloc[2:]) == {"not run"}


def test_cohorts_are_compared_on_masses_in_common(write):
    write_some(write)
    tests = transfer.comparisons(stacked()).set_index(["home", "away"])
    row = tests.loc[(CM, DM)]
    assert (row["masses"], row["patients"]) == (3, 3)
    assert row["own"] == pytest.approx(0.8)  # a1, b1 and c1: a2 was met
    assert row["difference"] == pytest.approx((-0.1 - 0.1 + 0) / 3)
    assert row["unsettled"] == transfer.TITLES[CM]
    assert (CM, CM) not in tests.index
    assert len(transfer.printed_comparisons(tests.reset_index())) == 2


def _reading():
    rows = stacked()
    return transfer_reading.reading(transfer.table(rows), transfer.comparisons(rows))


def test_reading_speaks_from_the_tables(write):
    write_some(write)
    said = _reading()
    assert "on DM (CDD-CESM, low energy): Dice 0.800" in said
    assert "the ellipse beside it was not run" in said
    assert "On 3 masses of DM" in said
    assert "results on phantoms do not speak for mammograms" in said
    assert "had not converged on CM (CDD-CESM, subtracted)" in said


def test_control_phantoms_that_beat_the_ellipse_are_read_otherwise(write):
    write_some(write, phantom=0.8)
    said = _reading()
    assert "do not speak for mammograms" not in said
    assert "has seen no patient" in said


@pytest.mark.usefixtures("write")
def test_without_records_everything_says_not_run():
    found = transfer.records(COHORT, PRESET)
    missing = transfer.absent(found, COHORT, PRESET)
    assert len(missing) == 12
    assert {"phantoms tested on DM", "the ellipse beside DM tested on CM"} <= set(missing)
    rows = transfer.rows(found)
    assert set(transfer.printed_table(transfer.table(rows))["Dice"]) == {"not run"}
    assert transfer.printed_comparisons(transfer.comparisons(rows)).empty
    assert "No run" in _reading()


def test_another_cohort_has_nothing_to_ask():
    assert transfer.records("phantom", PRESET) == {}
    assert transfer.rows({}).empty
    assert transfer.absent({}, "phantom", PRESET) == []
    assert "Not run in this preset" in transfer_reading.preliminaries("phantom", "smoke")
    assert transfer_reading.preliminaries(COHORT, PRESET) == ""
