import pandas as pd

from mammostudy.figures import pictures
from mammostudy.figures.pictures import picked, typical_case
from mammostudy.study import failures

ROWS = pd.DataFrame(
    {"case": list("abcde"), "dice": [0.1, 0.9, 0.5, 0.7, 0.8], "replicate": 0, "fold": 0}
)


def test_cases_are_picked_by_rule():
    chosen = picked(ROWS)
    assert (chosen["worst"], chosen["median"], chosen["best"]) == ("a", "d", "b")
    assert chosen["drawn"] in {"c", "e"}
    assert picked(ROWS[:3]) == {}


def test_the_typical_mass_has_the_median_area():
    masses = pd.DataFrame(
        {"x_min": 0, "y_min": 0, "x_max": [1, 2, 3], "y_max": [1, 2, 3]}, index=list("abc")
    )
    assert typical_case(masses) == "b"


def test_a_record_counts_where_it_tested_the_case(write, monkeypatch):
    record = write(failures.named("cdd-cesm", "reference")["cGAN"][0], 0.5)
    monkeypatch.setattr(pictures, "framed", lambda cohort, record, case: ("image", "truth"))
    found = pictures.seen("cohort", [record], "a1")
    assert found[:3] == (record, "image", "truth")
    assert found[3].sum() == 8 * 4
    assert pictures.seen("cohort", [record], "v1") is None  # a validation case
    assert pictures.seen(None, [record], "a1") is None
