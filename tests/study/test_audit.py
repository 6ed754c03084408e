from mammostudy.study import audit, published
from mammostudy.study.published import Fact

CHECKS = audit.checks()


COMPUTED = [
    (1, "221/292 = 75.7 %; the mean of the class recalls is 79.97 %", "does not add up"),
    (2, "94.07/87.03, bound 88.80; INbreast tight 92.11/84.55, bound 85.37", "does not add up"),
    (2, "12 equal", "not comparable"),
    (3, "median 93.9 % and allows a mean of at most 93.0 %", "does not add up"),
    (4, "one axis holds 1 - Dice and L1", "different units"),
    (5, "88.0/78.5 % for an ellipse in its box; 18 of 22", "not comparable"),
    (5, "78.5 %; the paper's own panels 64-67 %", "does not add up"),
    (6, "costs 2.67, an all-zero output 1.0", "differs from the paper"),
    (7, "0.568, 0.595, 0.902, 0.935: a 1.6x spread", "too weak"),
    (8, "holds about 234; 292 is the 25 % hold-out (292)", "does not add up"),
    (8, "weighted by class size it is 75.7 %", "does not add up"),
    (9, "1.000", "information lost"),
    (10, "Dice 79.6 against 80.5 %", "not confirmed"),
    (11, "exact with 3 channels in and out, one batch norm for each width", "consistent"),
    (11, "exact with convolutions without bias", "consistent"),
    (11, "4,200", "consistent"),
    (11, "300 in all", "consistent"),
]


def test_checks():
    assert CHECKS["claim"].is_unique
    for row, (check, piece, verdict) in zip(CHECKS.to_dict("records"), COMPUTED, strict=True):
        assert (row["check"], row["verdict"]) == (check, verdict)
        assert piece in row["computed"]
        assert not set("{}") & set(row["published"] + row["computed"])


def test_control_another_published_number_gives_another_verdict(monkeypatch):
    monkeypatch.setitem(published.FACTS, "shape accuracy", Fact(75.7, "%", "P", "as if"))
    assert audit.checks()["verdict"].iloc[[0, 10]].tolist() == ["consistent"] * 2
