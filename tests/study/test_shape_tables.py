import time

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import cohen_kappa_score, f1_score, recall_score

from mammostudy.errors import DataError
from mammostudy.evaluation.statistics import bootstrap_ci
from mammostudy.runs.shape_spec import ShapeSpec
from mammostudy.study import shape_tables

CLASSES = ("irregular", "lobular", "oval", "round")


def spec_of(fold=0, **changes):
    plain = ShapeSpec(cohort="made").changed(
        split__fold=fold, evaluation__sources=("truth", "active-contour")
    )
    return plain.changed(**changes)


def random_rows(n=120, patients=30, seed=1, predicted=None):
    rng = np.random.default_rng(seed)
    label = rng.choice(CLASSES, n)
    guess = np.where(rng.random(n) < 0.7, label, rng.choice(CLASSES, n))
    return pd.DataFrame(
        {
            "case": [f"c{at}" for at in range(n)],
            "patient": [f"p{at}" for at in rng.integers(0, patients, n)],
            "label": label,
            "predicted": guess,
            "missed": False,
            "fold": np.arange(n) % 5,
            "right": guess == label,
        }
    )


def test_folds_are_stacked_with_their_probabilities(write_shape):
    records = [write_shape(spec_of(fold), wrong=1, missed=1) for fold in range(3)]
    rows = shape_tables.pooled(records)
    assert len(rows) == 3 * 4 * 4
    assert set(rows["source"]) == {"truth"}
    assert set(rows["fold"]) == {0, 1, 2}
    assert rows["right"].mean() == pytest.approx(0.75)
    assert not rows["missed"].any()
    sharp, flat = np.exp(2.0), np.exp(1.0)  # the record's temperature is 2
    assert rows["raw_round"].max() == pytest.approx(sharp / (sharp + 3))
    assert rows["p_round"].max() == pytest.approx(flat / (flat + 3))
    assert rows[[f"p_{name}" for name in CLASSES]].sum(axis=1).to_numpy() == pytest.approx(1)
    validation = shape_tables.pooled(records, part="validation")
    assert len(validation) == 3 * 4


def test_a_missed_mask_is_wrong_and_stands_in_a_column_of_its_own(write_shape):
    records = [write_shape(spec_of(fold), missed=1) for fold in range(2)]
    rows = shape_tables.pooled(records, source="active-contour")
    assert rows["missed"].sum() == 2
    assert not rows.loc[rows["missed"], "right"].any()
    counts = shape_tables.confusion(rows, CLASSES)
    assert list(counts.columns) == [*CLASSES, "none"]
    assert counts.loc["round"].tolist() == [0, 0, 0, 6, 2]
    scored = shape_tables.scores(rows, CLASSES)
    assert scored["accuracy"] == pytest.approx(30 / 32)
    assert scored["macro_recall"] == pytest.approx((3 + 6 / 8) / 4)
    assert scored["missed"] == 2
    complete = shape_tables.confusion(shape_tables.pooled(records), CLASSES)
    assert list(complete.columns) == list(CLASSES)


def test_rows_of_one_drawing_tool(write_shape):
    records = [write_shape(spec_of(fold), tools=True) for fold in range(2)]
    by_polygon = shape_tables.pooled(records, tool="polygon")
    others = shape_tables.pooled(records, tool="other")
    assert set(by_polygon["tool"]) == {"polygon"}
    assert set(others["tool"]) == {"circle", "ellipse"}
    assert len(by_polygon) + len(others) == len(shape_tables.pooled(records))


def test_scores_equal_other_definitions():
    rows = random_rows()
    found = shape_tables.scores(rows, CLASSES)
    assert found["accuracy"] == pytest.approx((rows["label"] == rows["predicted"]).mean())
    assert found["macro_recall"] == pytest.approx(
        recall_score(rows["label"], rows["predicted"], average="macro")
    )
    assert found["macro_f1"] == pytest.approx(
        f1_score(rows["label"], rows["predicted"], average="macro")
    )
    assert found["kappa"] == pytest.approx(cohen_kappa_score(rows["label"], rows["predicted"]))
    assert (found["cases"], found["patients"], found["folds"]) == (
        len(rows),
        rows["patient"].nunique(),
        5,
    )


def test_kappa_counts_a_missed_mask_as_a_rater_with_a_class_of_his_own():
    rows = random_rows()
    rows.loc[:9, ["predicted", "missed", "right"]] = ["none", True, False]
    found = shape_tables.scores(rows, CLASSES)
    assert found["kappa"] == pytest.approx(cohen_kappa_score(rows["label"], rows["predicted"]))
    assert found["macro_f1"] == pytest.approx(
        f1_score(rows["label"], rows["predicted"], labels=CLASSES, average="macro")
    )


def test_intervals_equal_the_bootstrap_of_whole_patients():
    rows = random_rows()
    found = shape_tables.scores(rows, CLASSES, draws=10_000)
    low, high = bootstrap_ci(rows["right"].astype(float), rows["patient"])
    assert (found["accuracy_low"], found["accuracy_high"]) == pytest.approx((low, high), abs=0.01)
    by_case = shape_tables.scores(rows.assign(patient=rows["case"]), CLASSES, draws=10_000)
    assert by_case["accuracy_low"] != found["accuracy_low"]


def test_patients_that_repeat_their_case_do_not_narrow_the_interval():
    rows = random_rows(60, 60)
    rows["patient"] = rows["case"]
    again = pd.concat([rows] * 5)
    one, five = (shape_tables.scores(each, CLASSES) for each in (rows, again))
    assert five["macro_recall_high"] == pytest.approx(one["macro_recall_high"])
    naive = shape_tables.scores(again.assign(patient=range(len(again))), CLASSES)
    width = naive["macro_recall_high"] - naive["macro_recall_low"]
    assert width < 0.7 * (one["macro_recall_high"] - one["macro_recall_low"])


def test_recalls_by_hand(write_shape):
    rows = shape_tables.pooled([write_shape(spec_of(fold), wrong=1) for fold in range(2)])
    table = shape_tables.recalls(rows, CLASSES).set_index("class")
    assert table["masks"].tolist() == [8] * 4
    assert table["patients"].tolist() == [4] * 4
    assert table["recall"].tolist() == pytest.approx([0.75] * 4)
    assert ((table["low"] < 0.75) & (table["high"] > 0.75)).all()
    one = shape_tables.recalls(rows[rows["patient"] == "f0-oval-0"], CLASSES).set_index("class")
    assert np.isnan(one.loc["oval", "low"])
    assert one.loc["oval", "masks"] == 3
    assert np.isnan(one.loc["round", "recall"])


def test_paired_comparison_uses_shared_cases_only():
    rows = random_rows()
    perfect = rows.assign(predicted=rows["label"], right=True).iloc[:60]
    test = shape_tables.accuracy_test(perfect, rows)
    expected = 1 - rows.iloc[:60].groupby("patient")["right"].mean().mean()
    assert test.difference == pytest.approx(expected)
    difference, low, high = shape_tables.macro_difference(perfect, rows, CLASSES)
    first = rows.iloc[:60]
    assert difference == pytest.approx(
        1 - recall_score(first["label"], first["predicted"], average="macro")
    )
    assert low <= difference <= high
    assert shape_tables.macro_difference(rows, rows, CLASSES) == (0.0, 0.0, 0.0)
    assert shape_tables.accuracy_test(rows.iloc[:0], rows) is None
    assert np.isnan(shape_tables.macro_difference(rows.iloc[:0], rows, CLASSES)).all()
    with pytest.raises(DataError, match="c0: more than one row"):
        shape_tables.accuracy_test(pd.concat([rows, rows]), rows)


def test_a_class_of_no_spec_is_refused():
    with pytest.raises(DataError, match="'round' is none of irregular, lobular, oval"):
        shape_tables.scores(random_rows(), ("irregular", "lobular", "oval"))


def test_nothing_is_no_fault():
    rows = shape_tables.pooled([])
    assert rows.empty
    assert np.isnan(shape_tables.scores(rows, CLASSES)["accuracy"])
    assert shape_tables.confusion(rows, CLASSES).to_numpy().sum() == 0
    assert shape_tables.recalls(rows, CLASSES)["recall"].isna().all()


def test_records_are_found_by_name(write_shape):
    write_shape(spec_of(0))
    found = shape_tables.shape_records({"a": [spec_of(0), spec_of(1)]}, "reference")
    assert [record.spec for record in found["a"]] == [spec_of(0)]


def test_two_thousand_draws_are_well_under_a_second():
    rows = random_rows(1500, 300)
    started = time.perf_counter()
    shape_tables.scores(rows, CLASSES, draws=2_000)
    assert time.perf_counter() - started < 1
