import json

import pandas as pd
import pytest

from mammostudy.study import uncertainty, uncertainty_maps, uncertainty_reading

COHORT, PRESET = "cdd-cesm", "reference"
DICE = (0.9, 0.8, 0.7, 0.5)  # of a1, a2, b1 and c1; their spread knows the order
SPREAD = {"a1": 0.01, "a2": 0.02, "b1": 0.03, "c1": 0.04}
PIXELS = {"a1": 40, "a2": 10, "b1": 30, "c1": 20}


def write_sampled(write, spec, dice=DICE, *, training="t", seen=0.8):
    record = write(spec, dice, curves=[{"iteration": 1.0, "validation_dice": seen}])
    path = record.folder / "record.json"
    content = json.loads(path.read_text()) | {"training_key": training}
    path.write_text(json.dumps(content))
    if spec.evaluation.samples:
        cases = pd.read_csv(record.folder / "cases.csv")
        for score in uncertainty.DRAWN:
            raw = cases["case"].str[-2:].map(SPREAD)
            cases[score] = raw.where(cases["postprocessing"] == "none")
        pixels = cases["case"].str[-2:].map(PIXELS)
        cases["predicted_pixels"] = pixels.fillna(1)
        cases.to_csv(record.folder / "cases.csv", index=False)
    return record


def write_some(write, *, gain=0.05, folds=1):
    named = uncertainty.named(COHORT, PRESET)
    for mean, one in zip(named[uncertainty.MEAN][:folds], named[uncertainty.ONE], strict=False):
        write_sampled(write, mean)
        write_sampled(write, one, [score - gain for score in DICE], seen=0.79)


def stacked():
    return uncertainty.rows(uncertainty.records(COHORT, PRESET))


def test_grid_shares_the_trainings():
    named = uncertainty.named(COHORT, PRESET)
    pairs = list(zip(named[uncertainty.MEAN], named[uncertainty.ONE], strict=True))
    assert len(pairs) == 3
    for mean, one in pairs:
        assert mean.training_key("m") == one.training_key("m")
        assert mean.key("m") != one.key("m")
        assert mean.evaluation.samples == uncertainty.draws(PRESET)
    assert len(uncertainty.specs("phantom", "smoke")) == 2


def test_scores_against_errors_by_hand(write):
    write_some(write)
    found = uncertainty.correlations(stacked()).set_index(["box", "score"])
    assert found.loc[("oracle", "spread"), "rho"] == pytest.approx(1)
    # small masses first: ranks 1 4 2 3 against errors 1 2 3 4
    assert found.loc[("oracle", uncertainty.SMALL), "rho"] == pytest.approx(1 - 6 * 6 / 60)
    row = found.loc[("oracle", "spread")]
    assert (row["cases"], row["patients"], row["folds"]) == (4, 3, "–")
    wide = uncertainty.printed_correlations(found.reset_index())
    assert len(wide) == 8
    assert wide.iloc[0]["rank correlation with 1 - Dice"].startswith("+1.00 [")


def test_folds_are_scored_one_by_one_as_well(write):
    write_some(write, folds=2)
    found = uncertainty.correlations(stacked()).set_index(["box", "score"])
    assert found.loc[("oracle", "spread"), "folds"] == "+1.00 to +1.00"
    areas = uncertainty.areas(stacked()).set_index("score")
    assert areas.loc["spread", ["lowest", "highest"]].tolist() == pytest.approx([1, 1])
    assert uncertainty.printed_areas(areas.reset_index()).iloc[0]["gain by fold"] == "100 to 100 %"


def test_risk_against_coverage_by_hand(write):
    write_some(write)
    curves = uncertainty.curves(stacked())
    risk = curves[curves["score"] == "spread"]["risk"].tolist()
    assert risk == pytest.approx([0.1, 0.15, 0.2, 0.275])
    assert curves[curves["score"] == "oracle"]["risk"].tolist() == pytest.approx(risk)
    assert set(curves[curves["score"] == "random"]["risk"].round(6)) == {0.275}
    areas = uncertainty.areas(stacked()).set_index("score")
    assert areas.loc["spread", "gain"] == pytest.approx(1)
    assert areas.loc[uncertainty.SMALL, "gain"] < 1
    assert uncertainty.printed_areas(areas.reset_index()).iloc[0]["gain by fold"] == "–"
    assert areas.loc["spread", "kept"] == pytest.approx(0.8)  # three of four
    assert areas.loc["spread", "whole"] == pytest.approx(0.725)


def test_mean_against_one_draw_of_the_same_training(write):
    write_some(write)
    tests = uncertainty.gains(stacked()).set_index(["box", "metric"])
    assert tests.loc[("oracle", "dice"), "difference"] == pytest.approx(0.05)
    assert tests.loc[("jittered", "dice"), "difference"] == pytest.approx(0.05)
    wide = uncertainty.printed_gains(tests.reset_index())
    assert wide.iloc[0]["mean of the draws"] == "0.725"
    agreement = uncertainty.agreement(stacked()).set_index("box").loc["oracle"]
    assert agreement["disagreement"] == pytest.approx(0.025)
    assert agreement["error"] == pytest.approx(0.325)


def test_trainings_behind_both_rows(write):
    write_some(write)
    found = uncertainty.trainings(uncertainty.records(COHORT, PRESET))
    assert found.iloc[0].tolist() == [0, True, pytest.approx(0.01)]
    said = uncertainty_reading.setting(16, found)
    assert "drawn 16 times" in said
    assert "by up to 0.0100, so their difference holds that as well" in said
    assert "and on the same weights" in uncertainty_reading.setting(16, found.assign(apart=0.0))
    other = uncertainty_reading.setting(16, found.assign(same=False))
    assert "Fold 0: the two rows stand on other trainings" in other


def _reading():
    rows = stacked()
    return uncertainty_reading.reading(
        uncertainty.correlations(rows),
        uncertainty.areas(rows),
        uncertainty.gains(rows),
        uncertainty.agreement(rows),
    )


@pytest.mark.parametrize(
    ("spread", "small", "said"),
    [
        ((0.6, 0.5, 0.7), (0.3, 0.2, 0.4), "the spread tells more"),
        ((0.3, 0.2, 0.4), (0.6, 0.5, 0.7), "the spread tells less"),
        ((0.45, 0.3, 0.6), (0.48, 0.3, 0.6), "not told apart"),
    ],
)
def test_the_spread_is_set_against_the_size(spread, small, said):
    rows = pd.DataFrame(
        [spread, small], columns=["rho", "low", "high"], index=["spread", uncertainty.SMALL]
    )
    assert said in uncertainty_reading._against_size(rows)


def test_reading_speaks_from_the_tables(write):
    write_some(write)
    said = _reading()
    assert "over 4 masses of 3 patients" in said
    assert "by rank the two are not told apart, for their intervals overlap" in said
    assert "changes mean Dice from 0.725 to 0.800; knowing the errors would give 0.800" in said
    assert "the spread goes 100 % [" in said
    assert "minus Dice of one draw: +0.0500" in said
    assert "so the dropout shows 8 % of the error" in said


@pytest.mark.parametrize(
    ("low", "high", "words"),
    [(0.1, 0.9, "goes with the error"), (-0.9, -0.1, "misleads"), (-0.1, 0.5, "not shown")],
)
def test_correlations_are_read_by_their_interval(low, high, words):
    row = pd.Series({"rho": 0.5, "low": low, "high": high, "cases": 9, "patients": 5})
    assert words in uncertainty_reading._correlation(row)


@pytest.mark.usefixtures("write")
def test_without_records_everything_says_not_run():
    found = uncertainty.records(COHORT, PRESET)
    rows = uncertainty.rows(found)
    assert set(uncertainty.absent(found, COHORT, PRESET)) == {uncertainty.MEAN, uncertainty.ONE}
    correlations = uncertainty.printed_correlations(uncertainty.correlations(rows))
    assert set(correlations["masses"]) == {"not run"}
    assert set(uncertainty.printed_areas(uncertainty.areas(rows)).iloc[0, 1:]) <= {"not run"}
    assert uncertainty.curves(rows).empty
    assert uncertainty.printed_gains(uncertainty.gains(rows)).empty
    assert uncertainty.agreement(rows).empty
    assert "No sampled run" in _reading()
    assert uncertainty_maps.drawn(found, COHORT) == []
    assert "No sampled run" in uncertainty_maps.missing(found, COHORT)


def test_masses_are_picked_by_their_spread(write):
    named = uncertainty.named(COHORT, PRESET)
    record = write_sampled(write, named[uncertainty.MEAN][0])
    rows = uncertainty_maps.picked(record)
    assert rows["case"].tolist() == ["a1", "b1", "c1"]
    assert rows["title"].tolist() == list(uncertainty_maps.PICKED)


def test_a_record_without_weights_says_so(write, monkeypatch):
    write_some(write)
    monkeypatch.setattr(uncertainty_maps, "at_hand", lambda cohort: object())
    found = uncertainty.records(COHORT, PRESET)
    assert "kept only on the machine that trained it" in uncertainty_maps.missing(found, COHORT)
    assert uncertainty_maps.drawn(found, COHORT) == []
