import itertools

import pytest

from mammostudy.study import losses
from mammostudy.study.comparing import Runs

COHORT, PRESET = "cdd-cesm", "reference"


def test_lambdas_share_their_seeds_and_rungs_change_what_they_say():
    weights = losses.weights(COHORT, PRESET)
    assert [runs[0].loss.overlap_weight for runs in weights.values()] == [1, 10, 150, 1000, 150]
    assert len({tuple(spec.seed for spec in runs) for runs in weights.values()}) == 1
    rungs = [runs[0] for runs in losses.ladder(COHORT, PRESET).values()]
    changed = [losses.fields(a, b) for a, b in itertools.pairwise(rungs)]
    assert (changed[0], changed[-1]) == ("loss.overlap", "optimiser.augment")
    assert all(changed)


def test_the_generator_descends_the_weighted_sum(write):
    told = ((1.0, 0.8, 0.7), (5.0, 0.4, 1.0))
    names = ("iteration", "overlap", "adversarial")
    curves = [dict(zip(names, values, strict=True)) for values in told]
    write(losses.named(COHORT, PRESET)[losses.DICE][0], 0.8, curves=curves)
    table = losses.curves(Runs.load(losses.grid(COHORT, PRESET), PRESET))
    descended = table.query("quantity == 'generator'")["value"]
    assert descended.tolist() == pytest.approx([150 * 0.8 + 0.7, 150 * 0.4 + 1.0])


def test_the_papers_own_setting_is_one_run_of_its_preset_beside_those_of_its_fold():
    assert losses.published_setting(COHORT, "reference") == {}
    listed = losses.published_setting(COHORT, "evidence")
    (full,) = listed[losses.FULL]
    asked = full.optimiser
    assert (full.frame.size, full.model.width, asked.batch, asked.augment) == (256, 32, 8, False)
    assert asked.iterations * asked.batch // 157 == 150  # epochs of the masses of a fold
    beside = [spec for name, runs in listed.items() for spec in runs if name != losses.FULL]
    assert {spec.split.fold for spec in beside} == {full.split.fold}
    assert full in losses.specs(COHORT, "evidence")
