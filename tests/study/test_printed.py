import pandas as pd
import pytest

from mammostudy.study import printed, recipes, tables


def test_cells_and_p_values():
    assert printed.cell(0.5, 0.25, 0.75) == "0.500 [0.250, 0.750]"
    assert printed.cell(12.34, 1, 20, 1) == "12.3 [1.0, 20.0]"
    assert printed.p_value(0.04) == "0.040"
    assert printed.p_value(0.0002) == "< 0.001"


def test_table_prints_rows_in_the_promised_order_and_names_those_not_run(write):
    record = write(recipes.recipe("cdd-cesm", "reference"), 0.5, converged=False)
    rows = tables.chosen(tables.rows_of({"b": [record]}))
    wide = printed.wide_table(
        tables.summarise(rows, ("dice", "hd95")),
        {"dice": "Dice", "hd95": "HD95"},
        {"row": "model"},
        {"hd95": 1},
    )
    full = printed.with_absent(wide, [("a",), ("b",)], ["model"])
    assert full["model"].tolist() == ["a", "b"]
    assert set(full.iloc[0, 1:]) == {printed.NOT_RUN}
    assert full.loc[1, "Dice"] == "0.500 [0.500, 0.500]"
    assert full.loc[1, "HD95"] == "2.0 [2.0, 2.0]"
    assert full.loc[1, ["cases", "patients", "trainings"]].tolist() == [4, 3, 1]
    assert full.loc[1, "SD over seeds"] == printed.MISSING
    assert full.loc[1, "converged"] == "no"


def test_nothing_run_prints_a_row_a_promise():
    wide = printed.wide_table(pd.DataFrame(), {"dice": "Dice"}, {"row": "model"})
    full = printed.with_absent(wide, [("a",)], ["model"])
    assert full["Dice"].tolist() == [printed.NOT_RUN]


def test_comparisons():
    tests = pd.DataFrame(
        {
            "comparison": ["x - y"],
            "difference": [0.1],
            "low": [-0.1],
            "high": [0.3],
            "p_permutation": [0.2],
            "patients": [7],
            "smallest_detectable": [0.25],
        }
    )
    row = printed.tests_table(tests, {"comparison": "what"}).iloc[0].tolist()
    assert row == ["x - y", "+0.100 [-0.100, +0.300]", "0.200", 7, "0.250"]
    assert printed.tests_table(pd.DataFrame(), {"comparison": "what"}).empty


@pytest.mark.parametrize("n", [0, 3])
def test_expected_rows_need_no_record(n):
    empty = pd.DataFrame(columns=["model", "Dice"])
    assert len(printed.with_absent(empty, [(str(i),) for i in range(n)], ["model"])) == n
