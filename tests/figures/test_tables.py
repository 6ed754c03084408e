import pandas as pd
import pytest

from mammostudy.figures.tables import cell, conclude, p_value, show
from mammostudy.study.comparing import judge

TESTS = judge(
    [
        {"a": "x", "b": "y", "difference": 0.1234, "low": 0.1, "high": 0.15, "p": 0.0001,
         "patients": 9, "unsettled": ""},
        {"a": "x", "b": "z", "difference": 0.0, "low": -0.1, "high": 0.1, "p": 0.5,
         "patients": 9, "unsettled": "z"},
    ]
)  # fmt: skip
SUMMARY = pd.DataFrame(
    [
        {"row": "x", "metric": "dice", "mean": 0.8, "low": 0.75, "high": 0.85, "seed_sd": 0.01,
         "masses": 9, "patients": 4, "trainings": 2, "converged": "yes"},
        {"row": "x", "metric": "hd95", "mean": 9.87, "low": 8.0, "high": 11.0, "seed_sd": 0.1,
         "masses": 9, "patients": 4, "trainings": 2, "converged": "yes"},
    ]
)  # fmt: skip


def test_numbers():
    assert cell(SUMMARY.iloc[0]) == "0.800 [0.750, 0.850]"
    assert cell(TESTS.iloc[0], sign="+") == "+0.123 [+0.100, +0.150]"
    alone = {"mean": 0.5, "low": float("-inf"), "high": float("inf")}
    assert cell(alone).startswith("0.500 [")
    assert "inf" not in cell(alone)
    assert [p_value(p) for p in (0.0004, 0.0312)] == ["< 0.001", "0.031"]


def test_a_summary_has_a_line_a_group_and_what_was_promised():
    shown = show(SUMMARY, {"dice": "Dice", "row": "model"}, ["x", "y"], {"hd95": 1}).data
    assert shown["model"].tolist() == ["x", "y"]
    assert shown["Dice"].tolist() == ["0.800 [0.750, 0.850]", "not run"]
    assert shown["hd95"][0] == "9.9 [8.0, 11.0]"


def test_comparisons_have_one_layout_and_one_sentence_each():
    shown = show(TESTS).data
    assert shown["comparison"].tolist() == ["x - y", "x - z"]
    assert shown["verdict"].tolist() == ["better", "undecided"]
    assert "verdict" not in show(TESTS.assign(verdict="not judged")).data
    sentences = conclude(TESTS).splitlines()
    assert len(sentences) == 2
    assert "better" in sentences[0]
    assert "z" in sentences[1]
    assert "judged" not in conclude(TESTS.assign(verdict="not judged"))


@pytest.mark.parametrize("table", [TESTS.iloc[:0], pd.DataFrame()])
def test_nothing_is_shown_of_nothing(table):
    assert show(table) is None
    assert conclude(table) == ""
