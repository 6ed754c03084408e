import pytest

from mammostudy.errors import SpecError
from mammostudy.runs.spec import BASELINES
from mammostudy.study import recipes


@pytest.mark.parametrize(
    ("preset", "variant", "changes", "named"),
    [
        ("fast", "paper", {}, "'fast'.*smoke"),
        ("quick", "best", {}, "'best'.*released"),
        ("quick", "paper", {"frame__zoom": 3.0}, "zoom"),
        ("quick", "paper", {"frame__scale": 0.5}, "scale"),
    ],
)
def test_unknown_words_are_refused(preset, variant, changes, named):
    with pytest.raises(SpecError, match=named):
        recipes.recipe("phantom", preset, variant, **changes)


def test_replicates_are_a_seed_a_fold_and_the_first_fold_again():
    specs = recipes.replicates("cdd-cesm", "reference")
    pairs = [(spec.split.fold, spec.seed) for spec in specs]
    assert pairs == [(0, 0), (1, 1), (2, 2), (0, 3), (0, 6)]
    assert len(recipes.replicates("phantom", "smoke")) == 1


def test_baselines_share_frames_and_split_and_train_nothing():
    spec = recipes.recipe("phantom", "quick", frame__scale=3.0, seed=4)
    listed = recipes.baselines(spec)
    assert [each.model.name for each in listed] == list(BASELINES)
    for each in listed:
        assert (each.frame, each.split) == (spec.frame, spec.split)
        assert each.optimiser.iterations == 0
        assert each.seed == 0  # a run without chance is the same for every seed
