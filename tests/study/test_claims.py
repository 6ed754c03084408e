import pytest
import yaml

from mammostudy.errors import SpecError
from mammostudy.study import claims
from mammostudy.study.claims import NOT_TESTABLE, judgements, read_claims, verdict

COHORT, PRESET = "cdd-cesm", "reference"
LINE = {"unsettled": "", "margin": 0.01, "p_holm": 0.01, "trainings": 9, "target": None}


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ({"low": 0.02, "high": 0.05}, "supported"),
        ({"low": 0.002, "high": 0.005}, "contradicted"),  # above 0, and too small to matter
        ({"low": -0.05, "high": -0.02}, "contradicted"),
        ({"low": -0.02, "high": 0.05}, "undecided"),
        ({"low": 0.02, "high": 0.05, "p_holm": 0.05}, "undecided"),
        ({"low": 0.02, "high": 0.05, "trainings": 8}, "undecided"),
        ({"low": 0.02, "high": 0.05, "trainings": 5, "least": 5}, "supported"),
        ({"low": 0.02, "high": 0.05, "trainings": 4, "least": 5}, "undecided"),
        ({"low": 0.02, "high": 0.05, "unsettled": "a"}, "undecided"),
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
        ({"a": "loose", "b": "full", "fixed": "some day"}, "fixed"),
    ],
)
def test_a_faulty_claim_is_refused_by_name(tmp_path, fields, named):
    path = tmp_path / "study.yaml"
    said = {"claims": {"mine": {"text": "t", "source": "s", "fixed": "2026-11-22", **fields}}}
    path.write_text(yaml.safe_dump(said), encoding="utf-8")
    with pytest.raises(SpecError, match=named) as error:
        read_claims(path)
    assert "mine" in str(error.value)


def claim(name):
    return {name: read_claims()[name]}


def test_a_claim_is_measured_and_judged(write):
    arms = claims.arms(COHORT, PRESET)
    for arm, score in (("loose", [0.9, 0.8, 0.8, 0.9]), ("full", 0.5)):
        for spec in arms[arm][0][arm]:
            write(spec, score)
    (row,) = judgements(COHORT, PRESET, claim("loose-beats-full")).to_dict("records")
    assert row["difference"] == pytest.approx(0.5 * (0.85 - 0.5 + 0.8 - 0.5 + 0.9 - 0.5) / 3)
    assert (row["patients"], row["trainings"], row["margin"]) == (9, 3, 0.01)
    assert row["verdict"] == "undecided"  # three trainings are no nine
    (gain,) = judgements(COHORT, PRESET, claim("post-processing-gains")).to_dict("records")
    assert gain["difference"] == pytest.approx(0.01)
    assert gain["verdict"] == "undecided"
    (fewer,) = (
        c.model_copy(update={"trainings": 5}) for c in claim("post-processing-gains").values()
    )
    (gain,) = judgements(COHORT, PRESET, {"fewer": fewer}).to_dict("records")
    assert (gain["trainings"], gain["verdict"]) == (5, "supported")


def test_a_cohort_that_does_not_decide_is_not_judged(write):
    (other,) = (
        c.model_copy(update={"decided_on": "else"}) for c in claim("dice-beats-l1").values()
    )
    arms = claims.arms(COHORT, PRESET)
    for arm in ("dice", "l1"):
        write(arms[arm][0][arm][0], 0.5)
    (row,) = judgements(COHORT, PRESET, {"x": other}).to_dict("records")
    assert (row["verdict"], "else" in row["reason"]) == ("not judged", True)


def test_what_was_not_run_is_not_testable(write):
    judged = judgements(COHORT, PRESET, claim("dice-beats-l1") | claim("cgan-beats-all"))
    assert set(judged["verdict"]) == {NOT_TESTABLE}
    assert judged["reason"].str.len().min() > 0
    assert claims.counts(judged).to_dict("list") == {"verdict": [NOT_TESTABLE], "claims": [2]}


def test_the_best_alternative_on_validation_is_judged_and_control_not_the_best_on_test(write):
    candidates = claims.arms(COHORT, "paper")["alternative"][0]
    write(claims.arms(COHORT, "paper")["cgan"][0]["proposed cGAN"][0], [0.8, 0.8, 0.7, 0.9])
    write(candidates["FCN"][0], 0.5, validation=0.6)
    write(candidates["SegNet"][0], [0.9, 0.9, 0.8, 1.0], validation=0.4)
    (row,) = judgements(COHORT, "paper", claim("cgan-beats-all")).to_dict("records")
    assert (row["a"], row["b"], row["unjudged"]) == ("proposed cGAN", "FCN", False)
    assert row["difference"] > 0
    write(candidates["SegNet"][0], [0.9, 0.9, 0.8, 1.0], validation=0.7)
    (row,) = judgements(COHORT, "paper", claim("cgan-beats-all")).to_dict("records")
    assert row["b"] == "SegNet"


def test_a_claim_against_the_best_of_all_is_not_supported_while_some_were_trained_less(write):
    arms = claims.arms(COHORT, "evidence")
    assert list(arms["alternative"][0]) == ["UNet"]
    write(arms["cgan"][0]["proposed cGAN"][0], 0.8)
    write(arms["alternative"][0]["UNet"][0], 0.5)
    (row,) = judgements(COHORT, "evidence", claim("cgan-beats-all")).to_dict("records")
    assert (row["b"], row["unjudged"]) == ("UNet", True)
    assert "SLSDeep" in row["reason"]
    line = LINE | {"low": 0.02, "high": 0.05}
    assert verdict(line | {"unjudged": True}) == "undecided"
    assert verdict(line | {"unjudged": False}) == "supported"
    assert verdict(line | {"unjudged": True, "low": -0.05, "high": -0.02}) == "contradicted"


def test_fewer_outliers_are_a_share_of_cases(write):
    arms = claims.arms(COHORT, PRESET)
    for arm, worst in (("cgan", 0.8), ("cgan-resnet101", 0.1)):
        (runs,) = list(arms[arm][0].values())[-1:]
        write(runs[0], [worst, 0.8, 0.8, 0.81])
    (row,) = judgements(COHORT, PRESET, claim("fewer-outliers")).to_dict("records")
    assert row["difference"] == pytest.approx((0.5 + 0 + 0) / 3)
