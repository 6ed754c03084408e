from functools import partial

import numpy as np
import pandas as pd
import pytest

from mammostudy.runs.store import write_record
from mammostudy.study import claims, segmenter_claims, tables
from mammostudy.study import segmenter_recipes as models

COHORT, PRESET = "cdd-cesm", "reference"
EVERY = claims.Claim(text="t", source="s", metric=segmenter_claims.EVERY)
OUTLIERS = claims.Claim(text="t", source="s", metric=segmenter_claims.OUTLIERS, margin=0.02)
BASE = np.random.default_rng(0).uniform(0.80, 0.86, 80)
FEW = 20  # masses where outliers are not asked for
ASKED = dict.fromkeys(segmenter_claims.ALTERNATIVES, 0.0)


@pytest.fixture
def judge(monkeypatch, tmp_path):
    """Judge a claim on made-up scores by row: a gain over the same masses, or scores."""

    def judged(claim, scores, unsettled=()):
        found = {}
        for at, (row, values) in enumerate(scores.items()):
            spec = models.model_recipe(COHORT, PRESET, row)
            content = {
                "spec": spec.model_dump(mode="json"),
                "key": f"row-{at}",
                "status": "completed",
                "converged": row not in unsettled,
                **dict.fromkeys(("recipe_key", "manifest_hash", "curves", "provenance")),
            }
            masses = len(BASE) if claim.metric == segmenter_claims.OUTLIERS else FEW
            dice = np.clip((BASE + values)[:masses], 0, 1)
            names = [f"{case:02d}" for case in range(len(dice))]
            fixed = {"part": "test", "site": "s", "box": "oracle", "postprocessing": "none"}
            cases = pd.DataFrame({"case": names, "patient": names, **fixed, "dice": dice})
            masks = {"00": np.ones((2, 2), bool)}
            found[row] = [write_record(content, cases, masks, root=tmp_path)]
        monkeypatch.setattr(
            tables, "records_of", lambda named, preset: {n: found.get(n, []) for n in named}
        )
        return claims.judge(COHORT, PRESET, {"c": claim}).iloc[0]

    return judged


def noisy(gain):
    return gain + np.random.default_rng(1).normal(0, 0.005, len(BASE))


def test_all_ten_beaten_supports(judge):
    row = judge(EVERY, {models.PROPOSED: noisy(0.05), **ASKED})
    assert row["verdict"] == "supported"
    assert row["difference"] == pytest.approx(noisy(0.05)[:FEW].mean(), abs=1e-4)
    assert "99.5 %" in row["reason"]


@pytest.mark.parametrize("others", [ASKED, {models.SLS: 0.0}])
def test_one_that_is_as_good_contradicts_whatever_the_others_do(judge, others):
    row = judge(EVERY, {models.PROPOSED: noisy(0.05), **others, models.UNET: 0.06})
    assert row["verdict"] == "contradicted"
    assert "judged by UNet" in row["reason"]


def test_nine_beaten_are_not_ten(judge):
    nine = {row: 0.0 for row in ASKED if row != models.SEGNET_VGG}
    row = judge(EVERY, {models.PROPOSED: noisy(0.05), **nine})
    assert row["verdict"] == "not testable here"
    assert f"not run: {models.SEGNET_VGG}" in row["reason"]
    assert "over the 9 others is +" in row["reason"]


def test_what_has_not_converged_proves_nothing(judge):
    better = {models.PROPOSED: noisy(0.05), **ASKED, models.UNET: 0.1}
    row = judge(EVERY, better, unsettled=(models.UNET,))
    assert row["verdict"] == "not testable here"
    assert "not converged: UNet" in row["reason"]
    row = judge(EVERY, better, unsettled=(models.PROPOSED,))
    assert row["verdict"] == "not testable here"
    assert "not converged: proposed cGAN" in row["reason"]


def test_a_small_gain_is_undecided(judge):
    scattered = 0.008 + np.random.default_rng(2).normal(0, 0.08, len(BASE))
    row = judge(EVERY, {models.PROPOSED: scattered, **ASKED})
    assert row["verdict"] == "undecided"


def test_fewer_outliers(judge, monkeypatch):
    quick = partial(segmenter_claims.fewer_outliers, draws=1_000)
    monkeypatch.setattr(segmenter_claims, "fewer_outliers", quick)
    low = np.zeros(len(BASE))
    low[:10] = -0.8
    row = judge(OUTLIERS, {models.PROPOSED: 0.0, models.RESNET_DICE: low})
    assert row["difference"] == pytest.approx(10 / 80)
    assert row["verdict"] == "supported"
    assert "one training each, 80 masses" in row["reason"]
    assert judge(OUTLIERS, {models.PROPOSED: low, models.RESNET_DICE: 0.0})["verdict"] == (
        "contradicted"
    )
    loose = judge(
        OUTLIERS, {models.PROPOSED: 0.0, models.RESNET_DICE: low}, unsettled=(models.RESNET_DICE,)
    )
    assert loose["verdict"] == "undecided"
    assert "not converged" in loose["reason"]


@pytest.mark.parametrize("claim", [EVERY, OUTLIERS])
@pytest.mark.parametrize("have", [{}, {models.PROPOSED: 0.0}, {models.RESNET_DICE: 0.0}])
def test_without_two_rows_nothing_is_tested(judge, claim, have):
    row = judge(claim, have)
    assert row["verdict"] == "not testable here"
    assert "not run on this cohort and preset" in row["reason"]


def test_the_claims_stand_in_the_study():
    listed = claims.read_claims()
    metrics = {claim.metric for claim in listed.values()}
    assert set(segmenter_claims.COMPARED) <= metrics
    assert all(claim.unknown is None for claim in listed.values())
    assert len(segmenter_claims.ALTERNATIVES) == 10
    specs = claims.specs(COHORT, PRESET)
    assert set(segmenter_claims.specs(COHORT, PRESET)) <= set(specs)
    assert len(specs) == len(set(specs))
