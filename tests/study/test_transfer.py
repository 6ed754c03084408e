import pytest

from mammostudy.study import transfer
from mammostudy.study.comparing import Runs

COHORT, PRESET = "cdd-cesm", "reference"


def test_trainings_are_compared_on_the_same_masses(write):
    named = transfer.named(COHORT, PRESET)
    for home, score in (("DM", 0.8), ("CM", 0.7)):
        write(named["DM", home, transfer.MODEL][0], score)
    write(named["DM", "DM", transfer.ELLIPSE][0], 0.75)
    rows = Runs.load(named, PRESET, "away home kind").test(box=None)
    (own,) = transfer.against(rows, "own").to_dict("records")
    assert own["difference"] == pytest.approx(-0.1)
    (ellipse,) = transfer.against(rows, "ellipse").to_dict("records")
    assert ellipse["difference"] == pytest.approx(0.05)
    assert ellipse["verdict"] != "not judged"
    assert len(transfer.against(rows, "ellipse", "jittered")) == 1


def test_a_second_test_set_is_tested_on_where_it_is_at_hand(write, monkeypatch):
    monkeypatch.delenv("MAMMOSTUDY_DATA", raising=False)
    assert {away for away, _, _ in transfer.named(COHORT, PRESET)} == {"DM", "CM"}
    monkeypatch.setattr(transfer, "at_hand", lambda _: "a cohort")
    named = transfer.named(COHORT, PRESET)
    (spec,) = named["INbreast", "DM", transfer.MODEL]
    assert (spec.cohort, spec.evaluation.test_cohort) == ("cdd-cesm", "inbreast")
    write(spec, 0.8)
    write(named["INbreast", "DM", transfer.ELLIPSE][0], 0.7)
    rows = Runs.load(named, PRESET, "away home kind").test(box=None)
    (line,) = transfer.against(rows, "ellipse").to_dict("records")
    assert (line["a"], line["difference"]) == ("INbreast, DM, model", pytest.approx(0.1))
    assert transfer.against(rows, "own").empty
