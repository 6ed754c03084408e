import pandas as pd
import pytest

from mammostudy.study import leak
from mammostudy.study.comparing import Runs
from mammostudy.study.leak import IMAGE, MODEL, PATIENT, SHAPES

COHORT, PRESET = "cdd-cesm", "reference"


def test_only_the_folds_differ():
    named = leak.named(COHORT, PRESET)
    assert len(named[MODEL, PATIENT]) == 2 * 3  # two trainings of three folds
    for honest, leaky in zip(named[MODEL, PATIENT], named[MODEL, IMAGE], strict=True):
        assert leaky == leak.by_image(honest)
        assert leaky.split.leaky
        assert not honest.split.leaky
        assert leaky.changed(split__unit="patient").training_key("0") == honest.training_key("0")
    assert (SHAPES, IMAGE) in named
    assert leak.specs("phantom", "quick") == []


def rows_of(scores, folds, *, replicate=0, exposed=("a",)):
    return pd.DataFrame(
        {
            "row": MODEL, "folds": folds, "case": case, "patient": case[0], "score": score,
            "fold": 0, "replicate": replicate, "exposed": case[0] in exposed, "judged": True,
            "converged": True,
        }
        for case, score in scores.items()
    )  # fmt: skip


ROWS = pd.concat(
    [
        rows_of({"a1": 0.5, "a2": 0.5, "b1": 0.5}, PATIENT),
        rows_of({"a1": 0.7, "a2": 0.7, "b1": 0.5}, IMAGE),
        rows_of({"a1": 0.6, "a2": 0.6, "b1": 0.6}, PATIENT, replicate=1),
        rows_of({"a1": 0.8, "a2": 0.8, "b1": 0.6}, IMAGE, replicate=1),
    ],
    ignore_index=True,
)


def test_gains_by_who_was_trained_on():
    table = leak.gains(ROWS).set_index("subset")["difference"]
    assert table["all masses"] == pytest.approx(0.1)  # patient a gains .2, patient b nothing
    assert table["patient also trained on"] == pytest.approx(0.2)
    assert table["patient new to the model"] == pytest.approx(0)


def test_chance_of_training_stands_apart():
    chance = leak.chance(ROWS)["difference"]
    assert chance.tolist() == pytest.approx([0.1, 0.1, 0.1, 0.1])


def test_patients_are_the_unit_of_an_interval():
    table = leak.intervals(ROWS).set_index("drawn again")
    assert table["how many"].tolist() == [2, 3]
    assert table["mean"].tolist() == pytest.approx([0.55, 0.55])


def test_who_was_trained_on_comes_from_the_records(write):
    named = leak.named(COHORT, PRESET)
    for unit in (PATIENT, IMAGE):
        record = write(named[MODEL, unit][0], 0.5)
        record.content["split"] |= {"train": ["v1"], "test": ["a1", "b1"]}
        runs = Runs.load(named, PRESET, "row folds")
    kept = {group: list(found) for group, found in runs.found.items()}
    for found in kept.values():
        for each in found:
            each.content["split"] = {"train": ["a1", "v1"], "test": ["a2", "b1"]}
    runs = Runs(runs.asked, runs.keys, PRESET, kept)
    assert leak.trained_on(runs, MODEL) == {"a2": True, "b1": False}
    line = leak.folds(runs).set_index("folds").loc[IMAGE]
    assert (line["of patients also trained on"], line["also trained on"]) == (1, 1)
