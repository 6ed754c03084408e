import numpy as np
import pandas as pd
import pytest

from mammostudy.study import postprocessing, tables

ORDERS = ("none", "close3", tables.PUBLISHED)


def rows(part: str, dice: dict[int, dict[str, list[float]]]) -> pd.DataFrame:
    """Rows of a part: Dice by fold and order, a case a value, a patient a case."""
    return pd.DataFrame(
        {
            "part": part,
            "fold": fold,
            "replicate": 0,
            "case": f"{fold}-{i}",
            "patient": f"{fold}-{i}",
            "row": order,
            "dice": value,
        }
        for fold, orders in dice.items()
        for order, values in orders.items()
        for i, value in enumerate(values)
    )


VALIDATION = rows(
    "validation",
    {
        0: {"none": [0.5, 0.7], "close3": [0.6, 0.8], tables.PUBLISHED: [0.4, 0.6]},
        1: {"none": [0.5, 0.7], "close3": [0.4, 0.8], tables.PUBLISHED: [0.6, 0.7]},
    },
)
TEST = rows(
    "test",
    {
        0: {"none": [0.50, 0.60], "close3": [0.52, 0.62], tables.PUBLISHED: [0.9, 0.9]},
        1: {"none": [0.70, 0.80], "close3": [0.10, 0.10], tables.PUBLISHED: [0.74, 0.84]},
    },
)


def test_decide_takes_the_best_of_validation():
    assert postprocessing.decide(VALIDATION[VALIDATION["fold"] == 0]) == "close3"


def test_a_tie_goes_to_fewer_steps():
    tied = rows("validation", {0: {tables.PUBLISHED: [0.6], "close3": [0.6], "none": [0.6]}})
    assert postprocessing.decide(tied) == "none"


def test_decide_refuses_test_rows():
    mixed = pd.concat([VALIDATION, TEST.iloc[:1]])
    with pytest.raises(ValueError, match="validation rows alone"):
        postprocessing.decide(mixed)
    with pytest.raises(ValueError, match="validation rows alone"):
        postprocessing.decide(TEST)


def test_test_rows_would_have_changed_the_decision():
    """Control of the guard above: named validation, the test rows decide otherwise."""
    fold = TEST[TEST["fold"] == 0]
    assert postprocessing.decide(fold.assign(part="validation")) == tables.PUBLISHED
    assert postprocessing.decide(VALIDATION[VALIDATION["fold"] == 0]) != tables.PUBLISHED


def test_each_fold_decides_for_itself():
    assert postprocessing.decisions(VALIDATION) == {0: "close3", 1: tables.PUBLISHED}


def test_table_reads_the_gain_of_what_each_fold_decided():
    table = postprocessing.table(VALIDATION, TEST)
    first = table.iloc[0]
    assert first["order"] == postprocessing.DECIDED
    assert first["gain"] == pytest.approx((0.02 + 0.02 + 0.04 + 0.04) / 4)
    assert first["low"] <= first["gain"] <= first["high"]
    by_order = table.set_index("order")
    assert by_order.loc["none", "gain"] == 0
    assert by_order.loc["close3", "validation"] == pytest.approx(0.65)
    assert table["validation"].iloc[1:].is_monotonic_decreasing


def test_cases_by_rule():
    picked = postprocessing.cases(TEST).set_index("rule")
    assert picked.loc["largest gain", "gain"] == pytest.approx(0.4)
    assert picked.loc["largest loss", "gain"] == pytest.approx(0.04)


def test_cases_without_rows_are_none():
    assert postprocessing.cases(TEST.iloc[:0]).empty
    assert postprocessing.table(VALIDATION.iloc[:0], TEST.iloc[:0]).empty


@pytest.mark.parametrize(
    ("low", "high", "said"),
    [
        (0.012, 0.02, "more than the published gain"),
        (0.001, 0.008, "yet above nothing"),
        (-0.001, 0.008, "less than the published gain."),
        (-0.008, -0.001, "a loss"),
        (0.002, 0.02, "compatible with the published gain."),
        (-0.002, 0.02, "and with none"),
    ],
)
def test_meaning_sets_a_gain_against_the_published_one(low, high, said):
    gains = pd.DataFrame(
        [{"framing": "loose", "metric": "dice", "difference": 0.0, "low": low, "high": high}]
    )
    text = postprocessing.meaning(postprocessing.table(VALIDATION, TEST), gains, {0: "close3"})
    assert said in text
    assert "Validation chose close3 (fold 0)." in text


def test_meaning_without_records():
    nothing = pd.DataFrame()
    assert "No run" in postprocessing.meaning(nothing, nothing, {})


def test_every_order_of_the_reference_is_asked_for():
    for spec in postprocessing.named("cdd-cesm", "reference")["cGAN"]:
        assert spec.evaluation.postprocessing == "every"
    assert np.isclose(postprocessing.published_points(), 0.01)
