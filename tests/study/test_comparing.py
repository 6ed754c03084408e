import numpy as np
import pandas as pd
import pytest

from mammostudy.evaluation.statistics import bootstrap_ci
from mammostudy.study import comparing
from mammostudy.study.comparing import Runs, compare, judge, summarise, verdict
from mammostudy.study.recipes import recipe

COHORT, PRESET = "cdd-cesm", "reference"


def rows_of(scores, *, row, **more):
    """Rows of one training: a score a case; the first letter of a case is its patient."""
    rows = pd.DataFrame({"case": list(scores), "dice": list(scores.values()), "row": row})
    beside = {"fold": 0, "seed": 0, "replicate": 0, "converged": True, "judged": True}
    return rows.assign(patient=rows["case"].str[0], **beside | more)


def two_rows(**more):
    a = rows_of({"p1": 0.8, "p2": 0.6, "q1": 0.9}, row="a", **more)
    b = rows_of({"p1": 0.7, "p2": 0.5, "q1": 0.5, "r1": 0.1}, row="b", **more)
    return pd.concat([a, b], ignore_index=True)


def test_a_patient_counts_once_and_cases_are_paired():
    (line,) = compare(two_rows(), [("a", "b")]).to_dict("records")
    assert line["difference"] == pytest.approx((0.1 + 0.4) / 2)  # p: 0.1, q: 0.4; r is not shared
    assert (line["patients"], line["masses"], line["trainings"]) == (2, 3, 1)
    assert list(compare(two_rows(), [("a", "nobody")])) == list(comparing.COMPARISON)
    (cell,) = compare(two_rows(), [("a, 0", "b, 0")], by=("row", "fold")).to_dict("records")
    assert cell["difference"] == line["difference"]


def test_every_training_counts_and_its_spread_is_told():
    again = two_rows(seed=1, replicate=1)
    again.loc[again["row"] == "a", "dice"] -= 0.2
    rows = pd.concat([two_rows(), again], ignore_index=True)
    (line,) = compare(rows, [("a", "b")]).to_dict("records")
    assert line["difference"] == pytest.approx(0.15)
    assert (line["lowest"], line["highest"]) == pytest.approx((0.05, 0.25))
    assert (line["trainings"], line["unsettled"]) == (2, "")
    mean = summarise(rows, ("dice",)).set_index("row").loc["a"]
    assert mean["mean"] == pytest.approx(2.0 / 3)
    assert mean["training_sd"] == pytest.approx(np.std([2.3 / 3, 1.7 / 3], ddof=1), rel=0.1)
    assert (mean["masses"], mean["patients"], mean["trainings"]) == (3, 2, 2)


def test_what_needs_no_training_meets_every_training_of_the_other():
    rows = pd.concat([two_rows(), two_rows(seed=1, replicate=1)], ignore_index=True)
    rows = rows[(rows["row"] == "a") | (rows["replicate"] == 0)]
    rows["converged"] = rows["converged"].where(rows["row"] == "a", None)
    assert compare(rows, [("b", "a")]).loc[0, "trainings"] == 2


def test_the_interval_of_a_mean_over_cases_is_that_of_a_ratio():
    rng = np.random.default_rng(0)
    patients = np.repeat(np.arange(60), rng.integers(1, 5, 60))
    scores = pd.Series(rng.normal(0.8, 0.05, len(patients)) + 0.1 * np.sin(patients))
    rows = rows_of({f"{n}": value for n, value in enumerate(scores)}, row="a")
    rows["patient"] = patients.astype(str)
    (line,) = summarise(rows, ("dice",)).to_dict("records")
    assert line["mean"] == pytest.approx(scores.mean())
    ends = bootstrap_ci(scores, patients)
    assert (line["low"], line["high"]) == pytest.approx(ends, abs=2e-3)


LINE = {"unsettled": "", "margin": 0.01, "p_holm": 0.01}


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ({"low": 0.02, "high": 0.05}, "better"),
        ({"low": -0.05, "high": -0.02}, "worse"),
        ({"low": -0.009, "high": 0.009}, "alike"),
        ({"low": 0.001, "high": 0.009}, "alike"),  # there, but too small to matter
        ({"low": 0.02, "high": 0.05, "p_holm": 0.06}, "undecided"),
        ({"low": -0.01, "high": 0.05}, "undecided"),
        ({"low": 0.02, "high": 0.05, "unsettled": "a"}, "undecided"),
    ],
)
def test_verdicts(line, expected):
    assert verdict(LINE | line) == expected


def test_holm_is_over_the_table_and_nothing_is_judged_where_told_so():
    lines = [{"a": n, "b": "z", "difference": 1, "low": 1, "high": 1, "p": p} for n, p in
             (("x", 0.01), ("y", 0.04))]  # fmt: skip
    assert judge(lines)["p_holm"].tolist() == pytest.approx([0.02, 0.04])
    assert set(judge(lines, judged=False)["verdict"]) == {"not judged"}
    phantoms = two_rows(judged=False)
    assert set(compare(phantoms, [("a", "b")])["verdict"]) == {"not judged"}


def test_what_had_not_converged_is_named():
    rows = pd.concat([two_rows(), two_rows(fold=1, converged=False)], ignore_index=True)
    (line,) = compare(rows, [("a", "b")]).to_dict("records")
    assert line["unsettled"].startswith("a, b,")  # and each fold has one training
    assert line["verdict"] == "undecided"
    assert set(summarise(rows, ("dice",))["converged"]) == {"no"}


@pytest.mark.parametrize(
    ("longer", "pairs", "expected"),
    [(0.504, 3, True), (0.4, 3, True), (0.51, 3, False), (0.504, 2, False)],
)
def test_what_had_converged_gains_little_by_twice_the_training(write, longer, pairs, expected):
    first = recipe(COHORT, PRESET, optimiser__schedule="cosine")
    specs = [first.changed(seed=seed) for seed in range(3)]
    for spec in specs:
        write(spec, 0.8, validation=0.5, converged=False)
    for spec in specs[:pairs]:
        twice = spec.changed(optimiser__iterations=2 * spec.optimiser.iterations)
        write(twice, 0.8, validation=longer)
    runs = Runs.load({"a": specs}, PRESET)
    assert set(runs.rows["converged"]) == {expected}
    assert runs.trainings().loc[0, "converged"] == ("yes" if expected else "no")
    plain = Runs.load({"a": [first.changed(optimiser__schedule="constant")]}, PRESET)
    write(plain.asked["a",][0], 0.8)
    assert Runs.load(plain.asked, PRESET).rows["converged"].all()
