import itertools

import numpy as np
import pytest

from mammostudy.study import losses
from mammostudy.study.comparing import Runs

COHORT, PRESET = "cdd-cesm", "reference"
CURVES = [
    {"iteration": 1.0, "overlap": 0.8, "adversarial": 0.7},
    {"iteration": 5.0, "overlap": 0.4, "adversarial": 1.0},
]


def test_grid_changes_one_field_a_row():
    named = losses.named(COHORT, PRESET)
    assert tuple(named) == losses.TRAINED
    l1, dice, plain = (named[name][0] for name in (losses.L1, losses.DICE, losses.PLAIN))
    assert l1.loss == dice.loss.model_copy(update={"overlap": "l1"})
    assert losses.fields(dice, plain) == "loss.adversarial_weight"
    assert losses.fields(dice, dice.changed(seed=1, frame__scale=3.0)) == "seed, frame.scale"
    assert set(losses.grid(COHORT, PRESET)) >= {"ellipse", "otsu"}


def test_quick_trains_little():
    quick = losses.named("phantom", "quick").values()
    assert [sum(s.optimiser.iterations for s in runs) for runs in quick] == [200, 200, 200, 100]
    assert losses.weights("phantom", "quick") == losses.ladder("phantom", "quick") == {}


def test_lambdas_share_their_seeds_and_rungs_change_what_they_say():
    weights = losses.weights(COHORT, PRESET)
    assert [runs[0].loss.overlap_weight for runs in weights.values()] == [1, 10, 150, 1000, 150]
    assert len({tuple(spec.seed for spec in runs) for runs in weights.values()}) == 1
    rungs = [runs[0] for runs in losses.ladder(COHORT, PRESET).values()]
    assert (rungs[0].variant, rungs[-1].variant) == ("released", "study")
    changed = [losses.fields(a, b) for a, b in itertools.pairwise(rungs)]
    assert changed[0] == "loss.overlap"
    assert changed[-1] == "optimiser.augment"
    assert all(changed)


def test_published_cells():
    scores = losses.published_scores().set_index("model")
    assert scores.loc["cGAN-ResNet101 (Dice)", "Dice, INbreast"] == 88.89
    assert scores.loc["UNet", "IoU, private"] == 68.36


@pytest.fixture
def runs(write):
    named = losses.named(COHORT, PRESET)
    write(named[losses.DICE][0], 0.8, curves=CURVES)
    write(named[losses.RELEASED][0], 0.2)
    return Runs.load(losses.grid(COHORT, PRESET), PRESET)


def test_the_generator_descends_the_weighted_sum(runs):
    table = losses.curves(runs).query("quantity == 'generator'")
    assert table["value"].tolist() == pytest.approx([150 * 0.8 + 0.7, 150 * 0.4 + 1.0])


def test_mean_masks(runs):
    mean = losses.mean_masks(runs)[losses.DICE]  # one of four test masks is painted on the left
    assert np.unique(mean).tolist() == [0, 0.25]


def test_rungs_are_compared(write):
    ladder = losses.ladder(COHORT, PRESET)
    for spec in [runs[0] for runs in ladder.values()][:2]:
        write(spec, 0.3)
    steps = losses.steps(Runs.load(ladder, PRESET))
    assert steps["a"].tolist() == ["Dice of probabilities and 0/1 masks (loss.overlap)"]
    assert losses.steps(Runs.load({}, PRESET)).empty
    assert steps["difference"].tolist() == [0]
