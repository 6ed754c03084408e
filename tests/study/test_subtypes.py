"""Predicted shape by subtype: patients made by hand, a planted association and its null."""

from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

from mammostudy.data.manifest import SHAPES
from mammostudy.data.sources.phantom import SUBTYPE_BY_SHAPE
from mammostudy.evaluation.association import cramers_v
from mammostudy.study import published, subtypes
from mammostudy.study.comparing import judge
from mammostudy.study.shape_recipes import PAPER, rows_of
from mammostudy.study.subtypes import TRUE

PUBLISHED = published.subtype_table()
PREDICTED = f"predicted, {PAPER}"


def mass(patient, label, *chances, case=None, missed=False):
    """One test row; ``chances`` of the four shapes, the whole for the label where none is given."""
    chances = chances or tuple(float(shape == label) for shape in SHAPES)
    said = {"case": case or f"{patient}-1", "patient": patient, "label": label, "missed": missed}
    return said | {f"p_{name}": chance for name, chance in zip(SHAPES, chances, strict=True)}


def cohort_of(rows, subtype_of):
    table = pd.DataFrame(rows)
    named = table.set_index("case")["patient"].map(subtype_of).dropna()
    return subtypes.people(table, named, SHAPES)


def patients_of(table, predicted=lambda shape, at: shape):
    """Patients whose true shapes make a table; ``predicted`` (truth, number) -> shape."""
    rows, subtype_of = [], {}
    for (subtype, shape), count in table.stack().items():
        for at in range(int(count)):
            name = f"{subtype}-{shape}-{at:03d}"
            guess = predicted(shape, at)
            rows.append(mass(name, shape, *(float(guess == each) for each in SHAPES)))
            subtype_of[name] = subtype
    return cohort_of(rows, subtype_of)


def test_each_patient_counts_once_by_the_mean_of_her_masses():
    rows = [
        mass("a", "oval", 0.0, 0.0, 0.9, 0.1),
        mass("a", "oval", 0.6, 0.0, 0.4, 0.0, case="a-2"),
        mass("b", "round", 0.4, 0.0, 0.0, 0.6),
        mass("b", "round", 0.9, 0.0, 0.0, 0.1, case="b-2"),
        mass("b", "oval", 0.0, 0.0, 0.0, 1.0, case="b-3"),
    ]
    table = cohort_of(rows, {"a": "HER-2", "b": "Luminal-A"}).set_index("patient")
    assert table["predicted"].to_dict() == {"a": "oval", "b": "round"}
    assert table["truth"].to_dict() == {"a": "oval", "b": "round"}
    assert table["masses"].to_dict() == {"a": 2, "b": 3}


def test_who_is_left_out():
    """No subtype, two, or shapes in equal numbers; a missed mask has no prediction."""
    rows = [
        mass("benign", "oval"),
        mass("tied", "oval"),
        mass("tied", "round", case="tied-2"),
        mass("gone", "oval", missed=True),
        mass("half", "oval", missed=True),
        mass("half", "oval", 0.1, 0.8, 0.1, 0.0, case="half-2"),
        mass("two", "oval"),
        mass("two", "oval", case="two-2"),
    ]
    kinds = {row["case"]: "HER-2" for row in rows[1:]} | {"two-2": "Luminal-A"}
    table = subtypes.people(pd.DataFrame(rows), pd.Series(kinds), SHAPES)
    assert table["patient"].tolist() == ["gone", "half"]
    assert table["predicted"].dropna().tolist() == ["lobular"]
    assert subtypes.tables({PAPER: table}, SHAPES)[PREDICTED].to_numpy().sum() == 1


def test_a_planted_association_is_recovered_through_a_classifier_that_errs():
    """One mass in five of either large shape is taken for the other, as published."""
    other = {"irregular": "lobular", "lobular": "irregular"}
    each = patients_of(
        PUBLISHED, lambda shape, at: other.get(shape, shape) if at % 5 == 0 else shape
    )
    named = subtypes.tables({PAPER: each}, SHAPES)
    found = subtypes.associations(named).set_index("table")
    assert np.array_equal(named[TRUE].to_numpy(), SUBTYPE_BY_SHAPE)
    assert found.loc[TRUE, "v"] == pytest.approx(cramers_v(SUBTYPE_BY_SHAPE))
    assert found.loc[PREDICTED, "p, Fisher"] == "< 0.001"
    null = subtypes.nulls(named).iloc[0]
    assert null["p"] == pytest.approx(1 / 1001)
    assert null["from"] < 0.05 < null["to"]


def test_the_claim_from_records(write_shape, monkeypatch):
    """Two patients a shape and fold; those of irregular and lobular masses are luminal."""
    specs = rows_of("phantom", "reference", "classifier")[PAPER]
    records = [write_shape(spec, converged=False) for spec in specs]
    rows = pd.concat([record.cases for record in records])
    kinds = np.where(rows["label"].isin(["irregular", "lobular"]), "Luminal-A", "HER-2")
    kinds[rows["patient"].str.startswith("f0-oval")] = "Luminal-B"
    masses = pd.DataFrame({"subtype": kinds}, index=rows["case"])
    known = SimpleNamespace(masses=masses[~masses.index.duplicated()])
    monkeypatch.setattr(subtypes, "at_hand", lambda name: known)
    line = subtypes.claim_line("phantom", "reference")
    assert line["difference"] == pytest.approx(20 / 22)  # two luminal patients are called oval
    assert (line["patients"], line["trainings"], line["unsettled"]) == (40, 5, PAPER)
    assert judge([line], 0.1)["difference"][0] == line["difference"]
