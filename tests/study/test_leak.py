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


def rows_of(folds, *scores, replicate=0):
    """Rows of two masses of patient a and one of b: patient a was trained on."""
    rows = pd.DataFrame({"case": ["a1", "a2", "b1"], "patient": list("aab"), "score": scores})
    beside = {"row": MODEL, "fold": 0, "replicate": replicate, "judged": True, "converged": True}
    return rows.assign(folds=folds, exposed=rows["patient"] == "a", **beside)


ROWS = pd.concat(
    [
        rows_of(PATIENT, 0.5, 0.5, 0.5),
        rows_of(IMAGE, 0.7, 0.7, 0.5),
        rows_of(PATIENT, 0.6, 0.6, 0.6, replicate=1),
        rows_of(IMAGE, 0.8, 0.8, 0.6, replicate=1),
    ]
)


def test_gains_by_who_was_trained_on():
    table = leak.gains(ROWS)
    assert [name.split(": ")[0].split(", ")[1] for name in table["a"]] == list(leak.SUBSETS)
    # patient a gains .2 and was trained on, patient b nothing
    assert table["difference"].tolist() == pytest.approx([0.1, 0.2, 0])


def test_false_alarms_are_counted_by_recipe():
    pairs = pd.DataFrame(
        {"row": list("aab"), "p": [0.04, 0.5, 0.01], "difference": [0.1, 0.2, 0.3]}
    )
    table = leak.false_alarms(pairs).set_index("row")
    assert table.loc["a", ["pairs", "found", "share", "largest"]].tolist() == [2, 1, 0.5, 0.2]
    assert table.loc[leak.EVERY, ["pairs", "found"]].tolist() == [3, 2]
    assert leak.false_alarms(pairs[:0]).empty


def test_pairs_differ_in_their_seed_alone(write):
    ((name, specs),) = list(leak.trained(COHORT, PRESET).items())[:1]
    for spec in specs:
        write(spec, [0.9, 0.8, 0.8, 0.7 + 0.01 * spec.seed])
    pairs = leak.alike(Runs.load({name: specs}, PRESET))
    assert pairs["fold"].tolist() == [0, 0, 0]  # three seeds of the first fold, one of the others
    assert pairs["difference"].tolist() == pytest.approx([0.01, 0.02, 0.01])
    assert set(pairs["patients"]) == {3}


def test_who_was_trained_on_comes_from_the_records(write):
    named = leak.named(COHORT, PRESET)
    for unit in (PATIENT, IMAGE):
        record = write(named[MODEL, unit][0], 0.5)
    record.content["split"] = {"train": ["a1", "v1"], "test": ["a2", "b1"]}
    runs = Runs.load(named, PRESET, "row folds")
    runs = Runs(runs.asked, runs.keys, PRESET, {**runs.found, (MODEL, IMAGE): [record]})
    assert leak.trained_on(runs, MODEL) == {"a2": True, "b1": False}
