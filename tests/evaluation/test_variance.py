"""Seeds against patients: a layout worked by hand, statsmodels, and simulated truth."""

import math

import numpy as np
import pandas as pd
import pytest
import statsmodels.api as sm
import statsmodels.formula.api as smf

from mammostudy.errors import DataError
from mammostudy.evaluation.effects import variance_parts

RNG = np.random.default_rng(2)


def rows(cells: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The values of a table (patients, seeds), and whose they are."""
    patients, seeds = np.indices(cells.shape)
    return cells.ravel(), patients.ravel(), seeds.ravel()


def simulated(patients: int, seeds: int, parts: tuple[float, float, float], rng=RNG) -> np.ndarray:
    patient, seed, rest = parts
    return (
        0.8
        + rng.normal(0, patient, (patients, 1))
        + rng.normal(0, seed, (1, seeds))
        + rng.normal(0, rest, (patients, seeds))
    )


def test_a_layout_by_hand():
    # patients' means 2, 5, 8; seeds' means 4, 6; cells less both: +-1 in the first two patients
    cells = np.array([[2.0, 2.0], [3.0, 7.0], [7.0, 9.0]])
    found = variance_parts(*rows(cells))
    assert found.mean == 5
    # mean squares: patients 2 * 9 = 18, seeds 3 * 2 = 6, rest 4 * 1 / (2 * 1) = 2
    assert found.rest == pytest.approx(2)
    assert found.seed == pytest.approx((6 - 2) / 3)
    assert found.patient == pytest.approx((18 - 2) / 2)
    # F = 6 / 2 with 1 and 2 degrees of freedom: p = 1 - sqrt(3 / 5)
    assert found.p_seed == pytest.approx(1 - math.sqrt(3 / 5))
    assert (found.patients, found.seeds) == (3, 2)
    assert found.error_of_mean() == pytest.approx(math.sqrt(8 / 3 + 4 / 6 + 2 / 6))
    assert found.error_of_mean(patients=6) == pytest.approx(math.sqrt(8 / 6 + 4 / 6 + 2 / 12))
    assert found.error_of_mean(seeds=20) == pytest.approx(math.sqrt(8 / 3 + 4 / 60 + 2 / 60))
    assert found.patient_sd == pytest.approx(math.sqrt(8))
    assert found.seed_sd == pytest.approx(math.sqrt(4 / 3))
    assert found.rest_sd == pytest.approx(math.sqrt(2))


def test_mean_squares_and_p_are_those_of_statsmodels():
    values, patients, seeds = rows(simulated(12, 4, (0.1, 0.03, 0.02)))
    table = pd.DataFrame({"value": values, "patient": patients, "seed": seeds})
    anova = sm.stats.anova_lm(smf.ols("value ~ C(patient) + C(seed)", table).fit())
    squares = anova["mean_sq"]
    found = variance_parts(values, patients, seeds)
    assert found.rest == pytest.approx(squares["Residual"])
    assert found.seed == pytest.approx((squares["C(seed)"] - squares["Residual"]) / 12)
    assert found.patient == pytest.approx((squares["C(patient)"] - squares["Residual"]) / 4)
    assert found.p_seed == pytest.approx(anova.loc["C(seed)", "PR(>F)"])


def test_restricted_likelihood_agrees():
    """In a balanced layout without negative components REML and mean squares are the same."""
    values, patients, seeds = rows(simulated(10, 4, (0.1, 0.06, 0.03)))
    table = pd.DataFrame({"value": 10 * values, "patient": patients, "seed": seeds, "all": 1})
    parts = {"patient": "0 + C(patient)", "seed": "0 + C(seed)"}
    model = sm.MixedLM.from_formula("value ~ 1", table, groups="all", vc_formula=parts)
    fitted = model.fit(reml=True, method="lbfgs")
    found = variance_parts(values, patients, seeds)
    named = dict(zip(model.exog_vc.names, fitted.vcomp / 100, strict=True))
    assert found.rest == pytest.approx(fitted.scale / 100, rel=2e-3)
    assert found.seed == pytest.approx(named["seed"], rel=2e-2)
    assert found.patient == pytest.approx(named["patient"], rel=2e-2)


def test_what_was_put_in_comes_out():
    found = [variance_parts(*rows(simulated(20, 5, (0.1, 0.05, 0.02)))) for _ in range(200)]
    assert np.mean([f.patient for f in found]) == pytest.approx(0.1**2, rel=0.1)
    assert np.mean([f.seed for f in found]) == pytest.approx(0.05**2, rel=0.2)
    assert np.mean([f.rest for f in found]) == pytest.approx(0.02**2, rel=0.05)


def test_without_an_effect_of_seeds_p_is_uniform_and_no_part_negative():
    found = [variance_parts(*rows(simulated(8, 3, (0.1, 0.0, 0.02)))) for _ in range(300)]
    assert np.mean([f.p_seed < 0.1 for f in found]) == pytest.approx(0.1, abs=0.05)
    assert min(min(f.seed, f.patient, f.rest) for f in found) == 0


def test_cases_of_a_patient_are_averaged_and_rows_may_come_in_any_order():
    cells = RNG.random((4, 3))
    values, patients, seeds = rows(cells)
    twice = np.concatenate([values + 0.1, values - 0.1])
    order = RNG.permutation(24)
    names = np.array([f"p{p}" for p in np.tile(patients, 2)])
    found = variance_parts(twice[order], names[order], np.tile(seeds, 2)[order])
    plain = variance_parts(values, patients, seeds)
    for field in ("mean", "seed", "patient", "rest", "p_seed"):
        assert getattr(found, field) == pytest.approx(getattr(plain, field))


def test_no_scatter_at_all_and_seeds_alone():
    flat = variance_parts(*rows(np.full((3, 2), 0.5)))
    assert (flat.seed, flat.patient, flat.rest, flat.p_seed) == (0, 0, 0, 1)
    seeds = variance_parts(*rows(np.tile([0.25, 0.75], (3, 1))))
    assert (seeds.seed, seeds.patient, seeds.rest, seeds.p_seed) == (0.125, 0, 0, 0)


@pytest.mark.parametrize(
    ("values", "patients", "seeds", "message"),
    [
        ([1, 2, 3, 4], "aabb", [0, 1, 0], "name the seed"),
        ([1, 2, 3, 4], "aabb", [0, 1, 0, None], "name the seed"),
        ([1, 2, 3, math.nan], "aabb", [0, 1, 0, 1], "never as missing"),
        ([1, 2, 3, 4], ["a", "a", "b", None], [0, 1, 0, 1], "name the patient"),
        ([1, 2], "ab", [0, 0], r"1 seed\(s\)"),
        ([1, 2], "aa", [0, 1], r"1 patient\(s\)"),
        ([1, 2, 3], "aab", [0, 1, 0], "1 of 2 patients do not have the same cases"),
        ([1, 2, 3, 4, 5], "aabbb", [0, 1, 0, 1, 1], "1 of 2 patients"),
    ],
)
def test_refuses_what_is_no_layout(values, patients, seeds, message):
    with pytest.raises(DataError, match=message):
        variance_parts(values, list(patients), seeds)


def test_numbers_below_one_have_no_error():
    found = variance_parts(*rows(RNG.random((3, 2))))
    with pytest.raises(DataError, match="patients = 0"):
        found.error_of_mean(patients=0)
