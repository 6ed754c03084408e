import pytest

from mammostudy.study import audit, published
from mammostudy.study.published import Fact
from mammostudy.study.recipes import recipe

CHECKS = audit.checks()


@pytest.mark.parametrize(
    ("check", "pieces", "verdict"),
    [
        (1, ["221/292 = 75.7 %", "79.97 %"], "does not add up"),
        (2, ["6 below", "94.07/87.03, bound 88.80", "92.11/84.55, bound 85.37"], "does not add up"),
        (2, ["12 equal"], "not comparable"),
        (3, ["median 93.9 %", "at most 93.0 %"], "does not add up"),
        (4, ["1 - Dice", "L1"], "different units"),
        (5, ["88.0/78.5 %", "18 of 22"], "not comparable"),
        (5, ["78.5 %", "64-67 %"], "does not add up"),
        (6, ["2.67", "1.0"], "differs from the paper"),
        (7, ["0.568, 0.595, 0.902, 0.935", "1.6x"], "too weak"),
        (8, ["234", "292"], "does not add up"),
        (8, ["75.7 %"], "does not add up"),
        (9, ["1.000"], "information lost"),
        (10, ["79.6", "80.5"], "not confirmed"),
        (11, ["3 channels in and out, one batch norm for each width"], "consistent"),
        (11, ["without bias"], "consistent"),
        (11, ["4,200"], "consistent"),
        (11, ["300 in all"], "consistent"),
    ],
)
def test_each_check(check, pieces, verdict):
    rows = CHECKS[(CHECKS["check"] == check) & (CHECKS["verdict"] == verdict)]
    assert any(all(piece in text for piece in pieces) for text in rows["computed"])


def test_table_is_tidy():
    assert CHECKS.columns.tolist() == ["check", "claim", "published", "computed", "verdict"]
    assert sorted(set(CHECKS["check"])) == list(range(1, 12))
    assert len(CHECKS) == CHECKS["claim"].nunique() == 17
    assert not CHECKS.map(str).apply(lambda column: column.str.contains("[{}]")).any(axis=None)


@pytest.mark.parametrize(
    ("fact", "value", "check"), [("shape accuracy", 75.7, 1), ("tight fill", 75.0, 5)]
)
def test_control_other_published_numbers_give_other_verdicts(monkeypatch, fact, value, check):
    changed = Fact(value, "%", "P", "as if")
    monkeypatch.setitem(published.FACTS, fact, changed)
    rows = audit.checks()
    claim = CHECKS.loc[CHECKS["check"] == check, "claim"].iloc[-1]
    before, after = (t.set_index("claim").loc[claim, "verdict"] for t in (CHECKS, rows))
    assert (before, after) == ("does not add up", "consistent")


def test_deviations_say_what_the_variants_do():
    table = audit.deviations()
    assert table.columns.tolist() == ["topic", "paper", "released", "study"]
    assert table.map(lambda text: bool(text.strip())).all(axis=None)
    told = table.set_index("topic")["study"]
    paper, study = (recipe("phantom", "quick", variant) for variant in ("paper", "study"))
    assert (paper.model.dropout_at_prediction, study.model.dropout_at_prediction) == (True, False)
    assert told["dropout when predicting"] == "on in the paper variant, off in the study variant"
    assert (paper.optimiser.augment, study.optimiser.augment) == (False, True)
    assert told["augmentation"] == "none in the paper variant, flips and turns in the study variant"
    assert (paper.loss.overlap_weight, paper.loss.adversarial_weight) == (150, 1)
    assert (study.loss.overlap, study.loss.adversarial_weight) == ("dice_bce", 0)
    assert "no adversary in the study one" in told["loss of the generator"]
