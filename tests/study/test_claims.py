import math

import numpy as np
import pandas as pd
import pytest

from mammostudy.errors import SpecError
from mammostudy.evaluation.statistics import PairedTest
from mammostudy.runs.store import write_record
from mammostudy.study import claims, shape_claims, tables, verdict_rules, verdicts


def paired(low: float, high: float, patients: int = 20, smallest: float = 0.02) -> PairedTest:
    return PairedTest((low + high) / 2, low, high, 0.01, 0.01, patients, smallest)


@pytest.mark.parametrize(
    ("low", "high", "p", "trainings", "verdict", "said"),
    [
        (0.02, 0.06, 0.01, [0.03, 0.04, 0.05], "supported", "excludes 0"),
        (0.02, 0.06, 0.01, [0.03], "supported", "from 1 pair(s)"),
        (0.02, 0.06, 0.01, [0.03, -0.01, 0.05], "undecided", "1 of 3 pairs"),
        (0.02, 0.06, 0.20, [0.03, 0.04, 0.05], "undecided", "2.0 points could have been seen"),
        (-0.02, 0.06, 0.01, [0.03, 0.04, 0.05], "undecided", "20 patients"),
        (-0.06, -0.02, 0.01, [-0.03], "contradicted", "a gain of 1 point"),
        (-0.01, 0.009, 0.90, [0.0], "contradicted", "a gain of 1 point"),
        (0.002, 0.008, 0.01, [0.004], "contradicted", "a gain of 1 point"),
        (-0.01, 0.010, 0.90, [0.0], "undecided", "could have been seen"),
        (-math.inf, math.inf, 1.0, [0.5], "undecided", "could have been seen"),
    ],
)
def test_verdict_rules(low, high, p, trainings, verdict, said):
    found, reason = claims.verdict_of(paired(low, high), p, 0.01, trainings)
    assert found == verdict
    assert said in reason


@pytest.mark.parametrize(
    ("low", "high", "p", "verdict", "said"),
    [
        (-0.04, 0.06, 0.01, "supported", "lies above 75 %"),
        (0.02, 0.10, 0.049, "supported", "lies above 75 %"),
        (-0.0499, 0.02, 0.01, "supported", "lies above 75 %"),
        (-0.05, 0.02, 0.01, "undecided", "holds 75 %"),  # the end itself is not above
        (
            -0.04,
            0.06,
            0.05,
            "undecided",
            "above 75 %, but p is 0.050",
        ),  # nor is the level itself below
        (-0.04, 0.06, 0.80, "undecided", "75 %"),
        (-0.10, 0.02, 0.01, "undecided", "holds 75 %"),
        (-0.20, -0.05, 0.01, "undecided", "holds 75 %"),
        (-0.20, -0.0501, 0.90, "contradicted", "excludes 75 %"),
        (-0.30, -0.10, 0.01, "contradicted", "excludes 75 %"),
        (-math.inf, math.inf, 1.0, "undecided", "75 %"),
    ],
)
def test_verdict_rules_of_a_target(low, high, p, verdict, said):
    found, reason = verdict_rules.verdict_of_target(paired(low, high), p, 0.8, 0.05)
    assert found == verdict
    assert said in reason


def test_a_reason_is_true_where_the_interval_is_above_but_not_sure():
    _, reason = verdict_rules.verdict_of_target(paired(-0.04, 0.06), 0.2, 0.8, 0.05)
    assert "holds" not in reason
    assert "0.2" in reason


def test_the_rules_on_the_page_name_every_verdict():
    text = claims.rules()
    assert all(f"- {verdict}:" in text for verdict in verdicts.VERDICTS)


def cases_of(gain: float, patients: int = 12) -> pd.DataFrame:
    base = np.linspace(0.6, 0.7, patients)
    names = [str(i) for i in range(patients)]
    scores = dict.fromkeys(("dice", "iou", "dice_image", "iou_image"), base + gain)
    fixed = {"part": "test", "site": "s", "box": "oracle", "postprocessing": "none"}
    return pd.DataFrame({"case": names, "patient": names, **fixed, **scores})


@pytest.fixture
def fake_runs(monkeypatch, tmp_path):
    """Let every arm of the claims read made-up records; gains and convergence by arm."""
    kept = {}

    def make(gains: dict[str, list[float]], converged: dict[str, bool] | None = None) -> None:
        for arm, listed in gains.items():
            specs, _ = real("cdd-cesm", "reference")[arm]
            kept[arm] = []
            for spec, gain in zip(specs, listed, strict=False):
                content = {
                    "spec": spec.model_dump(mode="json"),
                    "key": f"{arm}-{spec.split.fold}-{spec.seed}",
                    "status": "completed",
                    "converged": (converged or {}).get(arm, True),
                    **dict.fromkeys(("recipe_key", "manifest_hash", "curves", "provenance")),
                }
                cases = cases_of(gain)
                masks = {"0": np.ones((2, 2), bool)}
                kept[arm].append(write_record(content, cases, masks, root=tmp_path))

    real = claims.arms
    monkeypatch.setattr(
        tables, "records_of", lambda named, preset: {name: kept.get(name, []) for name in named}
    )
    return make


CLAIM = {"c": claims.Claim(text="Dice beats L1.", source="s", a="dice", b="l1")}


def test_judge_supports_a_sure_gain(fake_runs):
    gains = [0.05, 0.06, 0.05, 0.055, 0.05]
    fake_runs({"dice": gains, "l1": [0.0] * 5})
    row = claims.judge("cdd-cesm", "reference", CLAIM).iloc[0]
    assert row["verdict"] == "supported"
    assert row["trainings"] == 5
    assert row["patients"] == 12
    assert row["difference"] == pytest.approx(np.mean(gains[:3]), abs=1e-4)


def test_judge_ranks_no_run_that_has_not_converged(fake_runs):
    fake_runs({"dice": [0.05] * 5, "l1": [0.0] * 5}, {"l1": False})
    row = claims.judge("cdd-cesm", "reference", CLAIM).iloc[0]
    assert row["verdict"] == "undecided"
    assert "l1 not converged" in row["reason"]
    assert "'supported'" in row["reason"]


def test_judge_says_what_was_not_run(fake_runs):
    fake_runs({"dice": [0.05] * 5})
    judged = claims.judge("cdd-cesm", "reference", CLAIM)
    assert judged["verdict"].tolist() == ["not testable here"]
    assert "not run" in judged["reason"].iloc[0]
    assert "l1" in judged["reason"].iloc[0]
    assert verdicts.verdict_table(judged).empty
    assert len(verdicts.untested_table(judged)) == 1


def test_judge_warns_of_runs_that_are_missing(fake_runs):
    fake_runs({"dice": [0.05] * 5, "l1": [0.0]})
    row = claims.judge("cdd-cesm", "reference", CLAIM).iloc[0]
    assert "4 of 5 runs of 'l1' not run" in row["reason"]
    assert row["trainings"] == 1


def test_every_claim_of_the_study_has_a_verdict_without_any_run(fake_runs):
    judged = claims.judge("cdd-cesm", "reference")
    assert len(judged) == len(claims.read_claims())
    assert set(judged["verdict"]) == {"not testable here"}
    assert judged["reason"].notna().all()
    assert "not testable here" in verdicts.meaning(judged)


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ("text: t, source: s", "give rows a and b"),
        ("text: t, source: s, a: dice, b: l1, unknown: why", "give rows a and b"),
        ("text: t, source: s, a: dice, b: nothing", "no row 'nothing'"),
        ("text: t, source: s, a: dice, b: l1, margin: 0", "margin"),
        ("text: t, source: s, a: dice, b: l1, colour: red", "colour"),
        ("text: t, source: s, metric: accuracy", "accuracy needs a target, and no other takes"),
        ("text: t, source: s, metric: luminal-share, target: 0.8", "no other takes one"),
        ("text: t, source: s, a: dice, b: l1, target: 0.8", "no other takes one"),
        ("text: t, source: s, a: dice, b: l1, metric: accuracy, target: 0.8", "not both"),
        ("text: t, source: s, a: dice, metric: luminal-share", "takes neither"),
        ("text: t, source: s, metric: accuracy, target: 0.8, unknown: why", "not both"),
        ("text: t, source: s, metric: accuracy, target: 1.2", "target"),
        ("text: t, source: s, metric: accuracy, target: 0", "target"),
        ("text: t, source: s, metric: kappa", "metric"),
        ("text: t, source: s, a: dice", "give rows a and b"),
    ],
)
def test_a_faulty_claim_is_refused(tmp_path, fields, said):
    path = tmp_path / "study.yaml"
    path.write_text(f"claims:\n  one: {{{fields}}}\n")
    with pytest.raises(SpecError, match=said):
        claims.read_claims(path)


def test_a_sound_claim_is_read(tmp_path):
    path = tmp_path / "study.yaml"
    path.write_text("claims:\n  one: {text: t, source: s, a: dice, b: l1}\n")
    assert claims.read_claims(path)["one"].margin == 0.01
    path.write_text("claims:\n  one: {text: t, source: s, metric: accuracy, target: 0.8}\n")
    claim = claims.read_claims(path)["one"]
    assert claim.about_others
    assert claim.compared == "shape CNN - published 0.8"
    path.write_text("claims:\n  one: {text: t, source: s, metric: luminal-share}\n")
    assert claims.read_claims(path)["one"].compared == "luminal - other subtypes"
    path.write_text("claims:\n  one: {text: t, source: s, metric: found}\n")
    assert claims.read_claims(path)["one"].compared == "best SSD - best other detector"


def test_claims_about_others_stand_in_the_table_of_claims():
    table = claims.claims_table().set_index("metric")
    assert table.loc["accuracy", "rows"] == "shape CNN - published 0.8"
    assert table.loc["accuracy", "margin, points"] == "5"
    assert table.loc["luminal-share", "rows"] == "luminal - other subtypes"


def test_the_shape_runs_are_among_those_the_chapter_shows():
    specs = claims.specs("cdd-cesm", "reference")
    assert set(shape_claims.specs("cdd-cesm", "reference")) <= set(specs)
    assert len(specs) == len(set(specs))
