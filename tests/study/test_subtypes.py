"""Predicted shape by subtype: patients made by hand, a planted association and its null."""

from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from mammostudy.data.manifest import SHAPES, SUBTYPES
from mammostudy.data.sources.phantom import SUBTYPE_BY_SHAPE
from mammostudy.errors import MissingDataError
from mammostudy.evaluation.association import cramers_v
from mammostudy.study import published, shape_recipes, subtype_people, subtypes
from mammostudy.study import subtype_statistics as statistics
from mammostudy.study import subtypes_reading as reading
from mammostudy.study.subtypes import TRUE


def mass(patient, label, *chances, case=None, missed=False, fold=0):
    """One test row; ``chances`` of the four shapes, the whole for the label where none is given."""
    chances = chances or tuple(float(shape == label) for shape in SHAPES)
    shape = "none" if missed else SHAPES[int(np.argmax(chances))]
    return {
        "case": case or f"{patient}-1", "patient": patient, "label": label, "predicted": shape,
        "missed": missed, "fold": fold,
        **{f"p_{name}": chance for name, chance in zip(SHAPES, chances, strict=True)},
    }  # fmt: skip


def cohort_of(rows, subtype_of):
    """Patients from rows, each patient of the subtype ``subtype_of`` names."""
    table = pd.DataFrame(rows)
    named = table.set_index("case")["patient"].map(subtype_of).dropna()
    return subtype_people.people(table, named, SHAPES)


def patients_of(table, predicted=None):
    """Rows of patients whose true shapes make a table; ``predicted`` (truth) -> shape."""
    rows, subtype_of = [], {}
    for (subtype, shape), count in table.stack().items():
        for at in range(int(count)):
            name = f"{subtype}-{shape}-{at:03d}"
            guess = shape if predicted is None else predicted(shape, at)
            rows.append(mass(name, shape, *(float(guess == each) for each in SHAPES)))
            subtype_of[name] = subtype
    return cohort_of(rows, subtype_of)


PUBLISHED = published.subtype_table()


@pytest.fixture
def known(monkeypatch):
    """A page whose patients are given: ``known({"paper": People, ...})``."""

    def use(persons):
        monkeypatch.setattr(subtypes, "records", lambda cohort, preset: {})
        monkeypatch.setattr(subtypes, "everyone", lambda found, cohort: persons)

    return use


def test_each_patient_counts_once_by_the_mean_of_her_masses():
    rows = [
        mass("a", "oval", 0.0, 0.0, 0.9, 0.1),
        mass("a", "oval", 0.6, 0.0, 0.4, 0.0, case="a-2"),
        mass("b", "round", 0.4, 0.0, 0.0, 0.6),
        mass("b", "round", 0.9, 0.0, 0.0, 0.1, case="b-2"),
        mass("b", "oval", 0.0, 0.0, 0.0, 1.0, case="b-3"),
    ]
    table = cohort_of(rows, {"a": "HER-2", "b": "Luminal-A"}).table.set_index("patient")
    assert table["predicted"].to_dict() == {"a": "oval", "b": "round"}
    assert table["truth"].to_dict() == {"a": "oval", "b": "round"}
    assert table["masses"].to_dict() == {"a": 2, "b": 3}


def test_who_is_left_out_is_counted_by_reason():
    rows = [
        mass("benign", "oval"),
        mass("tied", "oval"),
        mass("tied", "round", case="tied-2"),
        mass("gone", "oval", missed=True),
        mass("half", "oval", missed=True),
        mass("half", "oval", 0.1, 0.8, 0.1, 0.0, case="half-2"),
        mass("fine", "round", fold=1),
    ]
    each = cohort_of(rows, dict.fromkeys(("tied", "gone", "half", "fine"), "HER-2"))
    assert each.left_out == {
        subtype_people.NO_SUBTYPE: 1,
        subtype_people.TIED: 1,
        subtype_people.NOT_FOUND: 1,
    }
    assert each.seen.set_index("patient")["predicted"].to_dict() == {
        "half": "lobular",
        "fine": "round",
    }
    assert each.folds == 2
    assert "gone" in set(each.table["patient"])
    page = reading.people_page({"paper": each})
    assert page.loc[0, "patients"] == 2
    assert page.loc[0, f"left out: {subtype_people.NOT_FOUND}"] == 1


def test_a_patient_with_two_subtypes_is_left_out():
    table = pd.DataFrame([mass("a", "oval"), mass("a", "oval", case="a-2"), mass("b", "oval")])
    named = pd.Series({"a-1": "HER-2", "a-2": "Luminal-A", "b-1": "HER-2"})
    each = subtype_people.people(table, named, SHAPES)
    assert each.left_out == {subtype_people.TWO_SUBTYPES: 1}
    assert each.table["patient"].tolist() == ["b"]


def test_a_planted_association_is_recovered_through_a_classifier_that_errs():
    """One mass in five of either large shape is taken for the other, as published."""
    other = {"irregular": "lobular", "lobular": "irregular"}
    each = patients_of(
        PUBLISHED, lambda shape, at: other.get(shape, shape) if at % 5 == 0 else shape
    )
    tables = subtypes.tables({"paper": each}, "phantom")
    found = subtypes.associations(tables)
    assert np.array_equal(tables[TRUE].to_numpy(), SUBTYPE_BY_SHAPE)
    assert found[TRUE].v == pytest.approx(subtypes.planted("phantom"))
    assert found["predicted, paper"].p_fisher < 0.001
    passed = subtypes.expected({"paper": each}, "phantom")["true shapes, errors of paper"]
    assert passed.low <= found["predicted, paper"].v <= passed.high
    assert passed.after < passed.before == pytest.approx(found[TRUE].v)
    null = subtypes.null(tables["predicted, paper"])
    assert null.beyond == pytest.approx(1 / 1001)
    assert null.observed > null.threshold
    text = reading.reading(
        found, {"true shapes, errors of paper": passed}, subtypes.luminal(tables),
        {"predicted, paper": null}, "phantom",
    )  # fmt: skip
    assert "The true shapes of 300 patients show an association (V 0.24" in text
    assert "The generator plants V 0.24; in cohorts of this size" in text
    assert "lies within that" in text
    assert "The shapes predicted, paper show an association" in text
    assert "within what the errors explain" in text
    assert "in 300 patients with 100 % power" in text


def test_the_null_is_not_recovered():
    """A table as near to independence as whole numbers of the published margins allow."""
    margins = PUBLISHED.sum(axis=1), PUBLISHED.sum()
    table = (pd.DataFrame(np.outer(*margins), SUBTYPES, SHAPES) / 300).round().astype(int)
    found = subtypes.associations({TRUE: table, "predicted, paper": table})
    assert found[TRUE].p_fisher > 0.05
    null = subtypes.null(table)
    assert null.beyond > 0.05
    assert null.observed < null.threshold
    text = reading.reading(found, {}, {}, {"predicted, paper": null}, "own")
    assert "The shapes predicted, paper show no association" in text
    assert "chance gives a V as large" in reading.null_note({"predicted, paper": null})


def test_the_test_keeps_its_level_under_the_null():
    null = subtypes.null(PUBLISHED)
    assert len(null.redraws) == subtypes.REDRAWS == 1000
    assert 0.03 < null.share < 0.07
    assert null.low < 0.05 < null.high
    assert null.redraws["v"].mean() == pytest.approx(0.098, abs=0.01)
    assert "as often as it should" in reading.null_note({"predicted, paper": null})
    page = reading.null_page({"predicted, paper": null})
    assert page.loc[0, "test rejects"] == null.rejected
    again = subtypes.null(PUBLISHED)
    pd.testing.assert_frame_equal(null.redraws, again.redraws)


def test_control_a_test_that_rejects_too_often_is_named():
    null = subtypes.null(PUBLISHED)
    loose = subtypes.Null(null.redraws, 200, 0.2, 0.18, 0.23, null.observed, 0.001, null.threshold)
    assert "not as often as it should" in reading.null_note({"predicted, paper": loose})


def test_redraws_agree_with_scipy_and_leave_empty_lines_out():
    columns = np.array([6, 3, 2])
    redraws = statistics.null_redraws(columns, [5, 3, 1], draws=50, seed=4)
    rng = np.random.default_rng(4)
    drawn = np.stack([rng.multinomial(n, np.array([5, 3, 1]) / 9, 50) for n in columns], axis=2)
    assert (drawn.sum(axis=2) == 0).any()
    for table, row in zip(drawn, redraws.to_dict("records"), strict=True):
        left = table[table.sum(axis=1) > 0]
        oracle = stats.chi2_contingency(left, correction=False) if len(left) > 1 else None
        assert row["p"] == pytest.approx(oracle.pvalue if oracle else 1.0)
        assert row["v"] == pytest.approx(cramers_v(left) if oracle else 0.0)


def test_empty_rows_and_columns_are_left_out_and_said():
    table = pd.DataFrame([[5, 0, 1], [0, 0, 0], [2, 0, 8]], list(SUBTYPES[:3]), list(SHAPES[:3]))
    text = reading.empty_lines({"predicted, paper": table})
    assert "predicted, paper (Luminal-B and lobular)" in text
    assert "single row" not in text
    found = subtypes.associations({"predicted, paper": table})
    assert found["predicted, paper"].shape == (2, 2)
    assert subtypes.null(table) is not None
    assert reading.empty_lines({"x": PUBLISHED}) == ""


def test_a_classifier_of_one_shape_has_no_association_and_no_difference():
    each = patients_of(PUBLISHED, lambda shape, at: "irregular")
    tables = subtypes.tables({"paper": each}, "phantom")
    assert list(subtypes.associations(tables)) == [TRUE]
    assert subtypes.null(tables["predicted, paper"]) is None
    assert "predicted, paper" not in subtypes.luminal(tables)
    assert "no association to measure" in reading.empty_lines(tables)
    passed = subtypes.expected({"paper": each}, "phantom")
    assert passed["true shapes, errors of paper"].after == 0
    assert reading.errors_note(subtypes.associations(tables), passed) == ""
    strengths = subtypes.strengths(subtypes.associations(tables), passed, "phantom")
    assert strengths["name"].tolist() == [subtypes.PLANTED, TRUE]


def test_strengths_side_by_side():
    each = patients_of(PUBLISHED)
    tables = subtypes.tables({"paper": each}, "phantom")
    found, passed = subtypes.associations(tables), subtypes.expected({"paper": each}, "phantom")
    table = subtypes.strengths(found, passed, "phantom").set_index("name")
    assert table.index.tolist() == [
        subtypes.PLANTED, TRUE, "expected of predictions, paper", "predicted, paper",
    ]  # fmt: skip
    true = cramers_v(PUBLISHED)
    assert table["value"].to_numpy()[1:] == pytest.approx(np.full(3, true))
    assert table.loc[subtypes.PLANTED, "other"] == pytest.approx(true)
    low, value, high = table.loc[subtypes.PLANTED, ["low", "value", "high"]]
    assert low < true < value < high
    assert "planted" in reading.strengths_page(table.reset_index())["shapes"][0]
    assert subtypes.strengths(found, passed, "own")["name"].tolist()[0] == TRUE


def test_a_cohort_far_from_what_was_planted_is_named():
    each = patients_of(pd.DataFrame(np.diag([60, 60, 60, 60]), SUBTYPES, SHAPES))
    found = subtypes.associations(subtypes.tables({"paper": each}, "phantom"))
    assert "beyond that: an unusual draw" in reading.reading(found, {}, {}, {}, "phantom")
    assert "plants" not in reading.reading(found, {}, {}, {}, "own")
    assert subtypes.planted_draws("own", 240) is None


@pytest.mark.parametrize("cohort", ["phantom", "phantom-null"])
def test_what_is_planted_is_said(cohort):
    assert subtypes.planted(cohort) == pytest.approx(cramers_v(SUBTYPE_BY_SHAPE))
    text = reading.preliminaries(cohort, {"paper": patients_of(PUBLISHED)}, [])
    assert "put there" in text
    assert ("this page too" in text) == (cohort == "phantom-null")
    assert "1 fold of 5" in text
    assert subtypes.planted("cdd-cesm") is None


def test_luminal_difference_for_the_claims(known):
    known({"paper": patients_of(PUBLISHED)})
    out = subtypes.luminal_difference("phantom", "quick")
    assert out["difference"] == pytest.approx(178 / 230 - 25 / 70)
    assert (out["patients"], out["luminal_patients"], out["other_patients"]) == (300, 230, 70)
    typical, luminal = out["typical"], out["luminal"]
    assert typical[luminal].mean() - typical[~luminal].mean() == pytest.approx(out["difference"])
    assert len(out["patient"]) == len(set(out["patient"])) == 300
    assert 0 < out["low"] < out["difference"] < out["high"] < 1
    assert out["p_permutation"] < 1e-6
    assert 0 < out["smallest_detectable"] < out["difference"]
    assert out["luminal_share_low"] < 178 / 230 < out["luminal_share_high"]
    assert subtypes.luminal_difference("phantom", "quick", "study") is None


def test_no_luminal_difference_without_a_group(known):
    only = PUBLISHED.loc[["Luminal-A"]]
    known({"paper": patients_of(only)})
    assert subtypes.luminal_difference("phantom", "quick") is None
    known({})
    assert subtypes.luminal_difference("phantom", "quick") is None


@pytest.mark.parametrize(
    "masses", [pd.DataFrame({"shape": ["oval"]}), pd.DataFrame({"subtype": [None]}), None]
)
def test_a_cohort_without_subtypes_gives_a_page_that_says_so(monkeypatch, masses):
    def load(name):
        if masses is None:
            msg = "not here"
            raise MissingDataError(msg)
        return SimpleNamespace(masses=masses)

    monkeypatch.setattr(subtype_people, "load_cohort", load)
    assert subtypes.subtypes_of("cdd-cesm").empty
    assert subtypes.specs("cdd-cesm", "reference") == []
    found = subtypes.records("cdd-cesm", "reference")
    persons = subtypes.everyone(found, "cdd-cesm")
    absent = subtypes.absent(found, "cdd-cesm", "reference")
    assert (found, persons, absent) == ({}, {}, [])
    text = reading.preliminaries("cdd-cesm", persons, absent)
    assert text.startswith("**Nothing to show: no mass of `cdd-cesm-contours`")
    tables = subtypes.tables(persons, "cdd-cesm")
    associated, passed = subtypes.associations(tables), subtypes.expected(persons, "cdd-cesm")
    assert (tables, associated, passed, subtypes.luminal(tables)) == ({}, {}, {}, {})
    assert subtypes.strengths(associated, passed, "cdd-cesm").empty
    assert reading.power_note(associated) == reading.null_note({}) == reading.empty_lines({}) == ""
    assert "nothing to say" in reading.reading(associated, passed, {}, {}, "cdd-cesm")
    assert subtypes.luminal_difference("cdd-cesm", "reference") is None


def test_from_records_to_tables(write_shape, monkeypatch):
    """Two folds of the tiny cohort: two patients a shape and fold, one mask in four missed."""
    specs = [
        shape_recipes.shape_recipe("phantom", "quick", split__fold=fold, seed=fold).changed(
            input__source="truth", evaluation__sources=("truth",), segmenter=()
        )
        for fold in range(2)
    ]
    monkeypatch.setattr(subtypes, "named", lambda cohort, preset: {"paper": specs})
    found = {"paper": [write_shape(spec, wrong=3, converged=False) for spec in specs]}
    cases = pd.concat([record.cases for record in found["paper"]])["case"]
    subtype = {case: SUBTYPES[at % 2] for at, case in enumerate(sorted(set(cases)))}
    masses = pd.DataFrame({"subtype": pd.Series(subtype)})
    two = {case: SUBTYPES[0] if "-1" in case else SUBTYPES[2] for case in subtype}
    masses["subtype"] = pd.Series(two)
    monkeypatch.setattr(subtype_people, "load_cohort", lambda name: SimpleNamespace(masses=masses))
    each = subtypes.everyone(found, "phantom")["paper"]
    assert (len(each.table), each.folds, each.left_out) == (16, 2, {})
    wrong = each.table[each.table["truth"] != each.table["predicted"]]
    assert len(wrong) == 8  # the first patient of each shape and fold
    confusion = subtype_people.confusion(each, SHAPES)
    assert confusion.to_numpy().sum() == 16
    assert np.diag(confusion).tolist() == [2, 2, 2, 2]
    assert subtypes.absent(found, "phantom", "quick") == []
    assert subtypes.absent({}, "phantom", "quick") == ["paper"]
    assert subtypes.specs("phantom", "quick") == specs
    assert "had not settled" in reading.folds_note(found)
