import numpy as np
import pandas as pd
import pytest

from mammostudy.study.postprocessing import DECIDED, STEPS, decide, decisions, ranked

COHORT, PRESET = "cdd-cesm", "reference"


def rows_of(part, scores, fold=0):
    """Rows of three patients: a score an order, better by 0.01 for each next patient."""
    beside = {"fold": fold, "seed": fold, "replicate": 0, "converged": True, "judged": True}
    cells = [(o, f"{fold}{n}", score + 0.01 * n) for o, score in scores.items() for n in range(3)]
    rows = pd.DataFrame(cells, columns=["row", "case", "dice"])
    return rows.assign(part=part, patient=rows["case"], **beside)


def folds_of(part, *folds):
    orders = ("none", STEPS, "close3")
    made = [dict(zip(orders, scores, strict=True)) for scores in folds]
    return pd.concat([rows_of(part, scores, fold) for fold, scores in enumerate(made)])


VALIDATION = folds_of("validation", (0.7, 0.8, 0.75), (0.8, 0.7, 0.75))
TEST = folds_of("test", (0.6, 0.7, 0.9), (0.6, 0.5, 0.9))


def test_validation_alone_decides_by_fold():
    assert decisions(VALIDATION) == {0: STEPS, 1: "none"}
    tied = {STEPS: 0.7, "close3": 0.7, "none": 0.7}
    assert decide(rows_of("validation", tied)) == "none"  # fewer steps
    with pytest.raises(ValueError, match="validation"):
        decide(pd.concat([VALIDATION, TEST]))


def test_the_choice_stands_first_whatever_test_says():
    table = ranked(VALIDATION, TEST).set_index("a")
    assert table.index.tolist()[0] == DECIDED
    assert table.loc[DECIDED, "difference"] == pytest.approx((0.1 + 0.0) / 2)
    assert table.loc["close3", "difference"] == pytest.approx(0.3)
    assert table.loc[STEPS, "validation"] == pytest.approx(0.76)
    assert np.isnan(table.loc[DECIDED, "validation"])
    assert ranked(VALIDATION[:0], TEST).empty
