"""Power: the number of patients against an independent computation, and what a cohort can see."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from mammostudy.evaluation.statistics import paired_test
from mammostudy.study import power


def power_of(n: int, effect: float, level: float = 0.05) -> float:
    """Power of a two-sided paired t test, from the noncentral t distribution."""
    limit = stats.t.ppf(1 - level / 2, n - 1)
    shifted = stats.nct(n - 1, effect * math.sqrt(n))
    return float(shifted.sf(limit) + shifted.cdf(-limit))


@pytest.mark.parametrize(("sd", "margin"), [(0.02, 0.01), (0.15, 0.05), (0.035, 0.01)])
@pytest.mark.parametrize("level", [0.05, 0.05 / 9])
def test_the_number_is_the_least_that_reaches_the_power(sd, margin, level):
    n = int(power.patients_needed(sd, margin, level))
    assert power_of(n, margin / sd, level) >= 0.8 > power_of(n - 1, margin / sd, level)


def test_the_spread_comes_back_from_the_test_that_was_made():
    rng = np.random.default_rng(0)
    differences = rng.normal(0.01, 0.03, 40)
    test = paired_test(differences, np.zeros(40), np.arange(40))
    judged = pd.DataFrame(
        {"name": ["a", "b"], "claim": ["A.", "B."], "metric": "dice", "margin": 0.01,
         "patients": [40, np.nan], "difference": [test.difference, np.nan],
         "smallest": [test.smallest_detectable, np.nan]}
    )  # fmt: skip
    found = power.spread(judged)
    assert found["name"].tolist() == ["a"]
    assert found["sd"].iloc[0] == pytest.approx(differences.std(ddof=1))


@pytest.fixture
def spreads():
    return pd.DataFrame(
        {"name": ["near", "far"], "claim": ["Near.", "Far."], "metric": "dice", "margin": 0.01,
         "patients": 50, "difference": [0.02, -0.1], "sd": [0.01, 0.1]}
    )  # fmt: skip


def test_a_cohort_is_told_what_it_can_see(spreads):
    table = power.needed(spreads, 64).set_index("name")
    z = stats.norm.ppf(0.975) + stats.norm.ppf(0.8)
    assert table.loc["near", "visible"] == pytest.approx(z * 0.01 / 8)
    assert table["enough"].tolist() == [True, False]
    assert (table["together"] > table["alone"]).all()
    assert table.loc["far", "measured"] < 20 < table.loc["far", "alone"]
    said = power.meaning(power.needed(spreads, 64), 64, "Mine")
    assert "enough for 1 of 2 claims: Near." in said
    assert "64 patients" in said
    page = power.needed_page(power.needed(spreads, 64), 64)
    assert page["enough"].tolist() == ["yes", "no"]
    assert page["margin, points"].tolist() == ["1", "1"]


def test_extremes_are_said(spreads):
    assert power.patients_needed(0.0, 0.01) == 2
    assert math.isinf(power.patients_needed(1.0, 1e-9))
    none = power.needed(spreads.assign(difference=0.0), 0)
    assert np.isinf(none["measured"]).all()
    page = power.needed_page(none, 0)
    assert page["for the difference measured there"].str.startswith("more than").all()
    assert set(page["seen by 0 patients, points"]) == {"nothing"}
    assert "No claim" in power.meaning(none.iloc[:0], 0, "Mine")


def test_curves_fall_with_the_root_of_the_patients(spreads):
    table = power.curves(spreads)
    part = table[table["claim"] == "near"].set_index("patients")["visible"]
    assert part.loc[10] / part.loc[5000] == pytest.approx(math.sqrt(500))
    assert power.curves(spreads.iloc[:0]).empty
