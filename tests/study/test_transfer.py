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
