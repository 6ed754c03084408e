import numpy as np
import pytest

from mammostudy.runs.spec import BASELINES
from mammostudy.study import losses, segmenters
from mammostudy.study.comparing import Runs, compare, summarise
from mammostudy.study.segmenters import ALTERNATIVES, BEST, PROPOSED, UNET_RESNET

COHORT, PRESET = "cdd-cesm", "reference"


def test_grid():
    assert len(ALTERNATIVES) == 10
    named = segmenters.named(COHORT, PRESET)
    loose = [row for framing, row in named if framing == "loose"]
    assert loose == [*(row for row in segmenters.MODELS if row != "SegNet-VGG16"), *BASELINES]
    assert {len(named["loose", row]) for row in (PROPOSED, UNET_RESNET, BEST)} == {3}
    assert len(named["loose", "FCN"]) == 1
    assert len(segmenters.named(COHORT, "paper")) == 3 * (len(segmenters.MODELS) + len(BASELINES))
    vgg = segmenters.named(COHORT, "paper")["loose", "SegNet-VGG16"][0]
    assert vgg.model.weights == "imagenet"
    first = [runs[0] for (framing, row), runs in named.items() if framing == "loose"]
    trained = [spec for spec in first if not spec.is_baseline]
    assert len({(spec.frame, spec.preprocessing, spec.split) for spec in trained}) == 1
    assert {spec.optimiser.iterations for spec in trained} == {100}
    quick = segmenters.specs("phantom", "quick")
    assert set(quick) <= set(losses.specs("phantom", "quick"))


def test_an_ablation_changes_one_field():
    runs = segmenters.ablations(COHORT, PRESET)
    whole = runs.pop(segmenters.WHOLE)[0]
    changed = {name: losses.fields(whole, spec) for name, (spec,) in runs.items()}
    assert changed["Dice loss alone"] == "loss.overlap"
    assert changed["one prediction instead of four mirrored"] == ""  # what is measured
    assert runs["one prediction instead of four mirrored"][0].evaluation != whole.evaluation


@pytest.fixture
def runs(write):
    named = segmenters.named(COHORT, PRESET)
    write(named["loose", PROPOSED][0], [0.9, 0.8, 0.8, 0.8])
    write(named["loose", "FCN"][0], [0.9, 0.9, 0.9, 0.1])
    write(named["full", PROPOSED][0], 0.5)
    return Runs.load(named, PRESET, "framing row")


def test_framings_are_compared_model_by_model_in_the_images_grid(runs):
    rows, keys = runs.test(), ("framing", "row")
    pairs = segmenters.framing_pairs(rows)
    (line,) = compare(rows, pairs, "dice_image", keys).to_dict("records")
    assert (line["a"], line["metric"]) == (f"loose, {PROPOSED}", "dice_image")
    assert line["difference"] == pytest.approx((0.425 + 0.4 + 0.4) / 3 - 0.25)  # patients a, b, c


def test_outliers_are_counted_by_the_models_own_quartiles(runs):
    line = segmenters.fewer_outliers_than(runs.test(framing="loose"), "FCN")
    assert line["difference"] == pytest.approx(1 / 4 - 0)


def test_cost_is_processor_time_or_unknown(runs):
    group = ("loose", "FCN")
    alone = Runs({group: runs.asked[group]}, runs.keys, PRESET, {group: runs.of(*group)})
    (unknown,) = segmenters.models(alone).to_dict("records")
    assert np.isnan(unknown["processor seconds an epoch"])
    alone.of(*group)[0].content["provenance"]["training_cpu_seconds"] = 30.0
    (known,) = segmenters.models(alone).to_dict("records")
    assert known["processor seconds an epoch"] == pytest.approx(30.0 / known["epochs"])
    assert known["parameters"] == 27_823_043


def test_the_papers_cells_stand_beside_ours(runs):
    summary = summarise(runs.test(), ("dice", "iou"), by=("framing", "row"))
    table = segmenters.beside_paper(summary, "loose").set_index("model")
    assert table.loc["FCN", "Dice here, %"] == pytest.approx(70)
    assert table.loc["FCN", "paper's Dice, %"] == "74.94 / 66.12"
    assert np.isnan(table.loc["SegNet", "Dice here, %"])
