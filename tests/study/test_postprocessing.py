import numpy as np
import pandas as pd
import pytest

from mammostudy.study import postprocessing
from mammostudy.study.comparing import Runs
from mammostudy.study.postprocessing import DECIDED, STEPS, decide, decisions, ranked

COHORT, PRESET = "cdd-cesm", "reference"


def rows_of(part, scores, fold=0):
    """Rows of three patients: a score an order, better by 0.01 for each next patient."""
    return pd.DataFrame(
        {
            "part": part, "row": order, "case": f"{fold}{patient}", "patient": f"{fold}{patient}",
            "fold": fold, "seed": fold, "replicate": 0, "converged": True, "judged": True,
            "cohort": "c", "status": "completed", "dice": score + 0.01 * patient,
        }
        for order, score in scores.items()
        for patient in range(3)
    )  # fmt: skip


VALIDATION = pd.concat(
    [
        rows_of("validation", {"none": 0.7, STEPS: 0.8, "close3": 0.75}),
        rows_of("validation", {"none": 0.8, STEPS: 0.7, "close3": 0.75}, fold=1),
    ]
)
TEST = pd.concat(
    [
        rows_of("test", {"none": 0.6, STEPS: 0.7, "close3": 0.9}),
        rows_of("test", {"none": 0.6, STEPS: 0.5, "close3": 0.9}, fold=1),
    ]
)


def test_validation_alone_decides_by_fold():
    assert decisions(VALIDATION) == {0: STEPS, 1: "none"}
    with pytest.raises(ValueError, match="validation"):
        decide(pd.concat([VALIDATION, TEST]))


def test_a_tie_goes_to_fewer_steps():
    assert decide(rows_of("validation", {STEPS: 0.7, "close3": 0.7, "none": 0.7})) == "none"


def test_the_choice_stands_first_whatever_test_says():
    table = ranked(VALIDATION, TEST).set_index("a")
    assert table.index.tolist()[0] == DECIDED
    assert table.loc[DECIDED, "difference"] == pytest.approx((0.1 + 0.0) / 2)
    assert table.loc["close3", "difference"] == pytest.approx(0.3)
    assert table.loc[STEPS, "validation"] == pytest.approx(0.76)
    assert np.isnan(table.loc[DECIDED, "validation"])
    assert ranked(VALIDATION[:0], TEST).empty


def test_cases_are_picked_by_their_gain():
    picked = postprocessing.cases(TEST[TEST["fold"] == 0]).set_index("rule")
    assert picked["gain"].tolist() == pytest.approx([0.1] * 3)
    assert postprocessing.cases(TEST[TEST["row"] == "none"]).empty


def test_gains_by_framing(write):
    named = postprocessing.named(COHORT, PRESET)
    for framing in ("loose", "full"):
        write(named[framing][0], 0.8)
    gains = postprocessing.gains(Runs.load(named, PRESET))
    assert gains["a"].tolist() == [f"{f}, {STEPS}" for f in ("full", "full", "loose", "loose")]
    dice = gains[gains["metric"] == "dice"]["difference"]
    assert dice.tolist() == pytest.approx([0.01, 0.01])
    assert postprocessing.published_gain()["value"].tolist() == [1.0]
