"""What a leak is worth: honest and leaky runs differ in their folds alone and pair by case."""

from __future__ import annotations

import json

import numpy as np
import pandas as pd
import pytest

from mammostudy.runs.record import read_record
from mammostudy.study import leak, leak_reading, leak_tables, recipes, shape_recipes


@pytest.mark.parametrize("preset", ["smoke", "quick", "reference"])
@pytest.mark.parametrize("cohort", ["phantom", "cdd-cesm"])
def test_runs_differ_in_the_unit_of_their_folds_alone(cohort, preset):
    named = leak.segmenters(cohort, preset)
    assert len(named["patient"]) == len(named["image"])
    for honest, leaky in zip(named["patient"], named["image"], strict=True):
        assert (honest.split.leaky, leaky.split.leaky) == (False, True)
        back = leaky.changed(split__unit="patient", evaluation=honest.evaluation.model_dump())
        assert back == honest
    folds = {run.split.fold for run in named["patient"]}
    assert folds == set(range(named["patient"][0].split.folds))  # every mass is tested


def test_the_reference_uses_the_runs_of_the_other_chapters():
    known = recipes.headline("cdd-cesm", "reference")
    named = leak.segmenters("cdd-cesm", "reference")["patient"]
    assert named[:3] == known[:3]
    assert named[3] in known
    assert len({(run.split.fold, run.seed) for run in named}) == len(named) == 3 * leak.SEEDS


def test_nulls_and_classifiers():
    nulls = leak.nulls("cdd-cesm", "reference")
    assert {run.model.name for runs in nulls.values() for run in runs} == {"ellipse"}
    assert {unit: len(runs) for unit, runs in nulls.items()} == {"patient": 3, "image": 3}
    forests = leak.classifiers("cdd-cesm", "reference")
    assert (
        forests["patient"]
        == shape_recipes.rows_of("cdd-cesm", "reference", "classifier")[leak.SHAPES]
    )
    assert all(run.split.leaky for run in forests["image"])
    assert leak.classifiers("phantom", "quick") == {}
    assert "one image a patient" in leak_reading.shapes_note("phantom")
    assert leak_reading.shapes_note("cdd-cesm") == ""
    assert len(leak.specs("phantom", "smoke")) == 8


def test_no_other_chapter_asks_for_a_leaky_run(monkeypatch):
    from mammostudy.study import status

    known = pd.Series(["HER-2"], index=["a"], name="subtype")
    monkeypatch.setattr("mammostudy.study.subtypes.subtypes_of", lambda cohort: known)
    for name, specs in status.by_chapter("phantom", "smoke").items():
        leaky = [spec for spec in specs if spec.split.leaky]
        assert bool(leaky) == (name == "leak")


@pytest.fixture
def found(write, monkeypatch):
    """Two folds under each unit: by patient 0.5; by image 0.7 where the patient is trained on.

    Fold 0 tests a1 a2 b1 c1 of patients a, b, c, fold 1 those of f1a, f1b, f1c. Under folds by
    image the model of fold 0 has learnt from an image of patient a.
    """
    out = {}
    honest = leak.segmenters("phantom", "smoke")["patient"]
    for unit, specs in (("patient", honest), ("image", [leak.by_image(run) for run in honest])):
        out[unit] = []
        for spec in specs:
            fold = spec.split.fold
            dice = [0.7, 0.7, 0.5, 0.5] if unit == "image" and fold == 0 else 0.5
            record = write(spec, dice)
            tests = record.cases.loc[record.cases["part"] == "test", "case"].unique().tolist()
            other = ["f1a1", "f1b1"] if fold == 0 else ["a1"]
            extra = ["a3"] if unit == "image" and fold == 0 else []
            path = record.folder / "record.json"
            content = json.loads(path.read_text())
            content["split"] = {"train": [*other, *extra], "validation": ["v1"], "test": tests}
            path.write_text(json.dumps(content))
            out[unit].append(read_record(record.folder))
    rows = {"case": ["a3"], "patient": ["a"]}  # an image of patient a that some fold validated
    record = out["image"][1]
    record.__dict__["cases"] = pd.concat(
        [
            record.cases,
            pd.DataFrame(rows).assign(part="validation", box="oracle", postprocessing="none"),
        ]
    )
    return out


def test_exposed_masses_are_those_whose_patient_was_trained_on(found):
    exposed = leak_tables.trained_on(found)
    assert {case for case, known in exposed.items() if known} == {"a1", "a2"}
    assert len(exposed) == 8
    assert leak_tables.trained_on({"patient": found["patient"]}) == {}
    table = leak_tables.folds_table(found)
    leaky = table[table["folds"].str.contains("LEAKY")].set_index("fold")
    assert leaky.loc[0, "of patients also trained on"] == 2
    assert leaky.loc[0, "also trained on"] == 1
    assert table[~table["folds"].str.contains("LEAKY")]["of patients also trained on"].sum() == 0


def test_the_gain_is_taken_patient_by_patient(found):
    cases = leak_tables.scores(found, "dice")
    assert len(cases) == 8
    gains = leak_tables.gains(cases, "cGAN", "Dice").set_index("subset")
    assert gains.loc["all masses", "difference"] == pytest.approx(0.2 / 6)  # a alone, of six
    assert gains.loc["patient also trained on", "difference"] == pytest.approx(0.2)
    assert gains.loc["patient new to the model", "difference"] == pytest.approx(0)
    assert gains["patients"].tolist() == [6, 1, 5]
    drawn = leak_tables.patient_differences(cases).set_index("patient")["difference"]
    assert drawn["a"] == pytest.approx(0.2)
    page = leak_reading.gains_page(gains.reset_index())
    assert page["what the leak adds, points"].iloc[0].startswith("+3.33")
    assert page["could have been seen"].iloc[1] == "nothing"  # a single patient


def test_every_pair_of_trainings_is_compared_by_itself(found):
    pairs = leak_tables.gains_by_training(found, "dice")
    assert pairs["training"].tolist() == [1]
    assert pairs["difference"].iloc[0] == pytest.approx(0.2 / 6)
    assert leak_reading.trainings(pairs) == ""
    again = pd.concat([pairs, pairs.assign(training=2)])
    assert "of one sign" in leak_reading.trainings(again)
    assert len(leak_reading.trainings_page(again)) == 2
    opposed = pd.concat([pairs, pairs.assign(training=2, difference=-0.01)])
    assert "+3.33 and -1.00 points: they disagree on the sign" in leak_reading.trainings(opposed)
    assert leak_tables.gains_by_training({}, "dice").empty


def test_what_is_not_there_is_said(found):
    assert len(leak_tables.scores({"patient": found["patient"], "image": []}, "dice")) == 0
    assert leak_tables.gains(leak_tables.scores({}, "dice"), "cGAN", "Dice").empty
    assert leak_tables.shape_scores({}).empty
    assert leak_tables.stacked([pd.DataFrame()]).empty
    assert leak_tables.chance_of_training(found, "dice").empty
    assert "no run" in leak_reading.meaning(pd.DataFrame(), pd.DataFrame(), pd.DataFrame()).lower()
    assert leak_reading.exposure(leak_tables.scores({}, "dice")) == ""


def cases_of(gain, exposed=True, patients=20):
    rng = np.random.default_rng(0)
    base = rng.uniform(0.4, 0.6, 2 * patients)
    names = np.repeat([f"p{k}" for k in range(patients)], 2)
    return pd.DataFrame(
        {"case": [f"c{k}" for k in range(2 * patients)], "patient": names, "patient folds": base,
         "image folds": base + gain + rng.normal(0, 0.001, 2 * patients),
         "exposed": exposed}
    )  # fmt: skip


@pytest.mark.parametrize(
    ("gain", "said"),
    [(0.05, "lies above 0: here the leak flatters"), (0.0, "no gain was seen"),
     (-0.05, "lies below 0")],
)  # fmt: skip
def test_a_verdict_follows_the_interval(gain, said):
    gains = leak_tables.gains(cases_of(gain), "cGAN", "Dice")
    assert gains["subset"].tolist() == ["all masses"]  # one subset is all: not said twice
    assert said in leak_reading.meaning(gains, pd.DataFrame(), pd.DataFrame())


def test_the_ellipse_must_not_move():
    still = cases_of(0.0)
    still["image folds"] = still["patient folds"]
    gains = leak_tables.gains(still, leak.NULL, "Dice")
    assert "0.00 points, as it must" in leak_reading.meaning(gains, pd.DataFrame(), pd.DataFrame())
    moved = leak_tables.gains(cases_of(0.1), leak.NULL, "Dice")
    assert "which must not be" in leak_reading.meaning(moved, pd.DataFrame(), pd.DataFrame())


def test_intervals_over_masses_are_narrower_where_patients_agree():
    cases = cases_of(0.0)
    level = np.repeat(np.linspace(0.2, 0.8, 20), 2)
    table = leak_tables.interval_table(cases.assign(**{"patient folds": level}))
    assert table["how many"].tolist() == ["20 patients", "40 masses"]
    assert table["width"].iloc[1] < 0.85 * table["width"].iloc[0]
    assert "% narrower" in leak_reading.intervals(table, "Dice")
    assert "not narrower" in leak_reading.intervals(table.iloc[::-1], "Dice")
    assert leak_reading.intervals(table.iloc[:1], "Dice") == ""
