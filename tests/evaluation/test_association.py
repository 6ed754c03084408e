"""Association in tables: scipy and statsmodels as oracles, the published table as example."""

import math

import numpy as np
import pandas as pd
import pytest
from scipy import stats
from scipy.stats.contingency import association as scipy_association
from sklearn.metrics import accuracy_score, cohen_kappa_score, f1_score, recall_score
from statsmodels.stats.power import GofChisquarePower

from mammostudy.errors import DataError
from mammostudy.evaluation import association as ours
from mammostudy.study.published import subtype_table

PUBLISHED = subtype_table()
TABLES = [PUBLISHED.to_numpy(), [[10, 3], [2, 9]], [[5, 1, 0], [2, 8, 4]], np.ones((3, 5), int)]


@pytest.mark.parametrize("table", TABLES)
def test_v_agrees_with_scipy(table):
    oracle = scipy_association(np.asarray(table), method="cramer")
    assert ours.cramers_v(table) == pytest.approx(oracle, abs=1e-7)


def test_v_of_certainty_of_nothing_and_its_correction_by_hand():
    assert ours.cramers_v(np.diag([5, 6, 7])) == pytest.approx(1)
    assert ours.cramers_v([[10, 20], [30, 60]]) == pytest.approx(0, abs=1e-7)
    # 2 x 2, n = 40, chi2 = 10 (phi2 = 1/4): phi2 - 1/39, min side 2 - 1/39
    table = [[15, 5], [5, 15]]
    expected = np.sqrt((0.25 - 1 / 39) / (2 - 1 / 39 - 1))
    assert ours.cramers_v(table, corrected=True) == pytest.approx(expected)


def test_v_of_tables_leaves_empty_lines_out():
    full, padded = np.array([[5.0, 1.0], [2.0, 8.0]]), np.zeros((3, 3))
    padded[:2, :2] = full
    for corrected in (False, True):
        one, two = (ours.v_of_tables(t[None], corrected)[0] for t in (full, padded))
        assert one == pytest.approx(two)
    assert ours.v_of_tables(np.array([[[3.0, 4.0], [0.0, 0.0]]]))[0] == 0
    assert ours.v_of_tables(np.zeros((1, 2, 2)))[0] == 0


def test_tests_of_the_published_table():
    found = stats.chi2_contingency(PUBLISHED)
    assert ours.cramers_v(PUBLISHED) == pytest.approx(np.sqrt(found.statistic / 900))
    assert ours.fisher_monte_carlo(PUBLISHED, draws=499) == pytest.approx(1 / 500)


def test_fisher_is_exact_on_two_by_two_and_agrees_with_enumeration():
    table = [[8, 2], [1, 5]]
    assert ours.fisher_monte_carlo(table) == pytest.approx(stats.fisher_exact(table).pvalue)
    table = np.array([[3, 1, 0], [1, 3, 2]])  # all 2 x 3 tables with these margins
    rows, columns = table.sum(axis=1), table.sum(axis=0)
    law = stats.random_table(rows, columns)
    chance = [
        law.pmf(np.array([[i, j, rows[0] - i - j], columns - [i, j, rows[0] - i - j]]))
        for i in range(columns[0] + 1)
        for j in range(columns[1] + 1)
        if 0 <= rows[0] - i - j <= columns[2]
    ]
    assert sum(chance) == pytest.approx(1)
    exact = sum(p for p in chance if p <= law.pmf(table) * (1 + 1e-7))
    assert ours.fisher_monte_carlo(table, draws=9999) == pytest.approx(exact, abs=0.015)


def test_interval_of_v_is_that_of_drawn_cases():
    table = np.array([[12, 5, 3], [4, 10, 6]])
    rng = np.random.default_rng(5)
    drawn = rng.multinomial(40, table.ravel() / 40, 4000).reshape(-1, 2, 3).astype(float)
    for corrected in (False, True):
        slow = np.percentile(ours.v_of_tables(drawn, corrected), [2.5, 97.5])
        assert ours.cramers_v_ci(table, corrected=corrected) == pytest.approx(slow, abs=0.03)


@pytest.mark.parametrize(("v", "cases"), [(0.1, 300), (0.2, 80), (0.3, 186)])
def test_power_agrees_with_statsmodels(v, cases):
    # a goodness-of-fit test of 10 bins has the 9 degrees of a 4 x 4 table
    oracle = GofChisquarePower().power(v * math.sqrt(3), cases, 0.05, n_bins=10)
    assert ours.chi_square_power(v, (4, 4), cases) == pytest.approx(oracle, abs=1e-9)
    assert ours.smallest_detectable_v((4, 4), cases, power=oracle) == pytest.approx(v, rel=1e-6)


def test_what_is_no_table_is_refused():
    for table in ([[1, 2]], [1, 2], [[1, -2], [3, 4]], [[1, np.nan], [3, 4]], [[1, 0], [3, 0]]):
        with pytest.raises(DataError, match="table"):
            ours.cramers_v(table)


CLASSES = ("irregular", "lobular", "oval")


def rows_of(n=90, per_patient=1, strength=0.6, seed=0):
    rng = np.random.default_rng(seed)
    truth = rng.integers(0, 3, n)
    guess = np.where(rng.random(n) < strength, truth, rng.integers(0, 3, n))
    names = np.array(CLASSES)
    patients = [f"p{i // per_patient:03d}" for i in range(n)]
    return pd.DataFrame({"patient": patients, "label": names[truth], "predicted": names[guess]})


def test_scores_agree_with_scikit_learn():
    rows = rows_of()
    found = ours.confusion_intervals(ours.patient_confusions(rows, CLASSES))
    truth, guess = rows["label"], rows["predicted"]
    assert found["accuracy"][0] == pytest.approx(accuracy_score(truth, guess))
    assert found["macro recall"][0] == pytest.approx(recall_score(truth, guess, average="macro"))
    assert found["macro F1"][0] == pytest.approx(f1_score(truth, guess, average="macro"))
    assert found["kappa"][0] == pytest.approx(cohen_kappa_score(truth, guess))
    each = recall_score(truth, guess, average=None)
    assert [found[f"recall {k}"][0] for k in range(3)] == pytest.approx(each)
    assert all(low < value < high for value, low, high in found.values())


def test_masks_of_a_patient_go_together():
    """Each mask five times in one patient has the interval of the mask once."""
    rows = rows_of(60)
    again = pd.concat([rows] * 5, ignore_index=True)
    one, five, naive = (
        ours.confusion_intervals(ours.patient_confusions(each, CLASSES))["accuracy"]
        for each in (rows, again, again.assign(patient=[f"q{i:03d}" for i in range(300)]))
    )
    assert five == pytest.approx(one)
    assert naive[2] - naive[1] < 0.6 * (one[2] - one[1])


def test_missed_masks_are_wrong_and_unknown_classes_refused():
    rows = rows_of(30)
    gone = rows.assign(predicted=["none", *rows["label"][1:]])
    found = ours.confusion_intervals(ours.patient_confusions(gone, CLASSES))
    assert found["accuracy"][0] == 29 / 30
    with pytest.raises(DataError, match="none of irregular"):
        ours.patient_confusions(rows.assign(label="blob"), CLASSES)


def test_macro_recalls_are_compared_patient_by_patient():
    a, b = (ours.patient_confusions(rows_of(240, 2, s), CLASSES) for s in (0.9, 0.4))
    found = ours.macro_recall_test(a, b)
    assert 0 < found["low"] < found["difference"] < found["high"]
    assert found["p"] < 0.001
    same = ours.macro_recall_test(a, a)
    assert (same["difference"], same["low"], same["high"], same["p"]) == (0, 0, 0, 1)


def test_redraws_keep_the_columns_and_the_level():
    redraws = ours.null_redraws([136, 67, 41, 56], [123, 107, 33, 37])
    assert len(redraws) == 1000
    assert 0.03 < (redraws["p"] < 0.05).mean() < 0.07
    assert redraws["v"].mean() == pytest.approx(0.098, abs=0.01)


def test_shares_of_two_groups():
    found = ours.share_difference((178, 230), (25, 70))
    assert found["difference"] == pytest.approx(178 / 230 - 25 / 70)
    error = np.sqrt(178 * 52 / 230**3 + 25 * 45 / 70**3)
    assert found["high"] - found["low"] == pytest.approx(2 * 1.96 * error, rel=0.05)
    spread = np.sqrt(203 / 300 * 97 / 300 * (1 / 230 + 1 / 70))
    assert found["smallest_detectable"] == pytest.approx((1.959964 + 0.841621) * spread, rel=1e-5)
    small = ours.share_difference((6, 8), (3, 9))  # all deals by hand: hypergeometric, both tails
    assert small["p"] == pytest.approx(0.1534, abs=2e-4)


def test_errors_take_from_an_association_by_hand():
    """Half of each of two columns is told as the other: nothing is left; of a third class: none."""
    table = pd.DataFrame([[10, 0], [0, 10]], columns=["oval", "round"])
    half = pd.DataFrame([[5, 5, 0], [3, 3, 0]], ["oval", "round"], ["oval", "round", "none"])
    other = pd.DataFrame(np.eye(3), list("abc"), list("abc"))
    found = ours.errors_left(table, {"half": half, "other": other})
    assert found["shapes told by"].tolist() == ["nobody errs", "half"]
    assert found["V"].tolist() == pytest.approx([1, 0])
    assert found["power"].tolist() == pytest.approx([1, 0.05], abs=0.01)
    swapped = half[["round", "oval"]].set_axis(["oval", "round"], axis=1)
    never = pd.DataFrame([[1, 0], [1, 0]], ["oval", "round"], ["oval", "round"])
    more = ours.errors_left(table, {"swapped": swapped, "never": never})["V"]
    assert more.tolist() == pytest.approx([1, 0, 0])


def test_views_of_one_mass_by_hand():
    masses = pd.DataFrame(
        [
            ("a1", "A", "L", "CC"), ("a2", "A", "L", "MLO"), ("a3", "A", "R", "CC"),
            ("b1", "B", "L", "CC"), ("b2", "B", "L", "MLO"), ("b3", "B", "L", "MLO"),
            ("c1", "C", "R", "CC"), ("c2", "C", "R", "MLO"),
            ("d1", "D", "R", "CC"), ("d2", "D", "R", "MLO"),
        ],
        columns=["case", "patient", "side", "view"],
    ).set_index("case", drop=False)  # fmt: skip
    rows = masses.drop(columns="side").assign(row="x", label="oval", predicted="oval")
    rows = rows.drop(index="d2").reset_index(drop=True)  # whose shape is not known
    rows.loc[rows["case"] == "a2", "predicted"] = "round"
    rows.loc[rows["case"].isin(["c1", "a1"]), "label"] = "round"
    found = ours.between_views(rows, masses).loc["x"]  # of A's left breast and of C's
    assert found.tolist() == [0, 0.5, 2]
    assert ours.between_views(rows, masses[:0]).empty
