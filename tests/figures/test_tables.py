import pandas as pd

from mammostudy.figures.tables import cell, conclude, p_value, show
from mammostudy.study.comparing import judge

LINE = {"a": "x", "b": "y", "difference": 0.1234, "low": 0.1, "high": 0.15, "p": 0.0001}
TESTS = judge([LINE | {"patients": 9, "unsettled": name} for name in ("", "z")])
SCORE = {"row": "x", "metric": "dice", "mean": 0.8, "low": 0.75, "high": 0.85, "training_sd": 0.01}
SCORE |= {"masses": 9, "patients": 4, "trainings": 2, "converged": "yes"}
SUMMARY = pd.DataFrame([SCORE])


def test_numbers():
    assert cell(SUMMARY.iloc[0]) == "0.800 [0.750, 0.850]"
    assert cell(TESTS.iloc[0], sign="+") == "+0.123 [+0.100, +0.150]"
    assert "inf" not in cell({"mean": 0.5, "low": float("-inf"), "high": float("inf")})
    assert [p_value(p) for p in (0.0004, 0.0312)] == ["< 0.001", "0.031"]


def test_what_was_promised_and_not_run_has_a_line():
    shown = show(SUMMARY, {"dice": "Dice", "row": "model"}, ["x", "y"]).data
    assert shown["Dice"].tolist() == ["0.800 [0.750, 0.850]", "not run"]


def test_comparisons_without_a_verdict_are_not_judged_and_nothing_is_shown_of_nothing():
    assert show(TESTS).data["verdict"].tolist() == ["better", "undecided"]
    assert len(conclude(TESTS).splitlines()) == 2
    unjudged = TESTS.assign(verdict="not judged")
    assert "verdict" not in show(unjudged).data
    assert "judged" not in conclude(unjudged)
    assert show(TESTS.iloc[:0]) is show(pd.DataFrame()) is None
