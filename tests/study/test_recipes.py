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


def test_replicates_are_the_folds_once_and_again_with_other_seeds():
    specs = recipes.replicates("cdd-cesm", "evidence")
    pairs = [(spec.split.fold, spec.seed) for spec in specs]
    assert pairs == [(seed % 3, seed) for seed in range(9)]
    first = [(spec.split.fold, spec.seed) for spec in recipes.replicates("cdd-cesm", "reference")]
    assert first == [(0, 0), (1, 1), (2, 2), (0, 3), (0, 6)]
    twice = recipes.doubled({"a": specs, "once": specs[:3]})
    assert {name: [spec.seed for spec in runs] for name, runs in twice.items()} == {"a": [0, 3, 6]}
    assert {spec.optimiser.iterations for spec in twice["a"]} == {2400}
    assert len(recipes.replicates("phantom", "smoke")) == 1


def test_baselines_share_frames_and_split_and_train_nothing():
    spec = recipes.recipe("phantom", "quick", frame__scale=3.0, seed=4)
    listed = recipes.baselines(spec)
    assert [each.model.name for each in listed] == list(BASELINES)
    for each in listed:
        assert (each.frame, each.split) == (spec.frame, spec.split)
        assert each.optimiser.iterations == 0
        assert each.seed == 0  # a run without chance is the same for every seed


@pytest.mark.parametrize("preset", ["reference", "evidence", "paper"])
def test_only_the_papers_preset_starts_detectors_from_published_weights(preset):
    started = {
        row for row in recipes.detector_steps("cdd-cesm", preset)[recipes.LONG]
        if recipes.detect_recipe("cdd-cesm", preset, row).detector.weights == "imagenet"
    }  # fmt: skip
    own = {recipes.LIGHT, recipes.FCOS_LITE, recipes.RETINA_LITE}
    assert started == (set(recipes.DETECTORS) - own if preset == "paper" else set())


def test_pretrained_trunks_of_detectors_come_with_a_package():
    for row in (recipes.FCOS_LITE, recipes.RETINA_LITE):
        spec = recipes.detect_recipe("cbis-ddsm-800", "reference", row)
        assert (spec.detector.weights, spec.detector.trunk) == ("packaged", recipes.LITE0)
