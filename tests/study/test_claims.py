import numpy as np
import pytest
import yaml

from mammostudy.errors import SpecError
from mammostudy.study import claims
from mammostudy.study.claims import NOT_TESTABLE, judgements, read_claims, verdict

COHORT, PRESET = "cdd-cesm", "reference"
LINE = {"difference": 0.0, "unsettled": "", "margin": 0.01, "p_holm": 0.01, "lowest": 0.0}
LINE |= {"target": None}


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ({"low": 0.02, "high": 0.05}, "supported"),
        ({"low": 0.002, "high": 0.005}, "contradicted"),  # above 0, and too small to matter
        ({"low": -0.05, "high": -0.02}, "contradicted"),
        ({"low": -0.02, "high": 0.05}, "undecided"),
        ({"low": 0.02, "high": 0.05, "p_holm": 0.05}, "undecided"),
        ({"low": 0.02, "high": 0.05, "lowest": -0.001}, "undecided"),
        ({"low": 0.02, "high": 0.05, "unsettled": "a"}, "undecided"),
        ({"difference": np.nan, "low": 0.02, "high": 0.05}, NOT_TESTABLE),
        ({"low": -0.04, "high": 0.1, "target": 0.8, "margin": 0.05}, "supported"),
        ({"low": -0.06, "high": 0.1, "target": 0.8, "margin": 0.05}, "undecided"),
        ({"low": -0.2, "high": -0.051, "target": 0.8, "margin": 0.05}, "contradicted"),
        ({"low": -0.2, "high": -0.049, "target": 0.8, "margin": 0.05}, "undecided"),
    ],
)
def test_verdicts_exclude_each_other(line, expected):
    assert verdict(LINE | line) == expected


@pytest.mark.parametrize(
    ("fields", "named"),
    [
        ({"a": "loose"}, "rows a and b"),
        ({"a": "loose", "b": "nobody"}, "mine, b"),
        ({"metric": "accuracy"}, "target"),
        ({"a": "loose", "b": "full", "unknown": "why"}, "unknown"),
        ({"a": "loose", "b": "full", "margin": 0}, "margin"),
    ],
)
def test_a_faulty_claim_is_refused_by_name(tmp_path, fields, named):
    path = tmp_path / "study.yaml"
    said = {"claims": {"mine": {"text": "t", "source": "s", **fields}}}
    path.write_text(yaml.safe_dump(said), encoding="utf-8")
    with pytest.raises(SpecError, match=named) as error:
        read_claims(path)
    assert "mine" in str(error.value)


def claim(name):
    return {name: read_claims()[name]}


def test_a_claim_is_measured_and_judged(write):
    arms = claims.arms(COHORT, PRESET)
    for arm, score in (("loose", [0.9, 0.8, 0.8, 0.9]), ("full", 0.5)):
        for spec in arms[arm][0]:
            write(spec, score)
    (row,) = judgements(COHORT, PRESET, claim("loose-beats-full")).to_dict("records")
    assert row["difference"] == pytest.approx(0.5 * (0.85 - 0.5 + 0.8 - 0.5 + 0.9 - 0.5) / 3)
    assert (row["patients"], row["trainings"], row["margin"]) == (9, 3, 0.01)
    assert row["verdict"] == "supported"
    (gain,) = judgements(COHORT, PRESET, claim("post-processing-gains")).to_dict("records")
    assert gain["difference"] == pytest.approx(0.01)


def test_what_was_not_run_is_not_testable(write):
    judged = judgements(COHORT, PRESET, claim("dice-beats-l1") | claim("cgan-beats-all"))
    assert set(judged["verdict"]) == {NOT_TESTABLE}
    assert judged["reason"].str.len().min() > 0
    assert claims.counts(judged).to_dict("list") == {"verdict": [NOT_TESTABLE], "claims": [2]}


def test_all_ten_are_needed_unless_one_contradicts(write):
    from mammostudy.study import segmenters

    named = segmenters.named(COHORT, PRESET)
    write(named["loose", segmenters.PROPOSED][0], [0.8, 0.8, 0.7, 0.9])
    write(named["loose", "FCN"][0], 0.5)
    (row,) = judgements(COHORT, PRESET, claim("cgan-beats-all")).to_dict("records")
    assert row["verdict"] == NOT_TESTABLE  # nine are missing, and FCN is beaten
    write(named["loose", "SegNet"][0], [0.9, 0.9, 0.8, 1.0])
    (row,) = judgements(COHORT, PRESET, claim("cgan-beats-all")).to_dict("records")
    assert (row["verdict"], row["b"]) == ("contradicted", "SegNet")
    assert row["difference"] == pytest.approx(-0.1)
