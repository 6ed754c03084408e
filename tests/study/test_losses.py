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
