import pytest

from mammostudy.study import segmenters
from mammostudy.study.comparing import Runs, compare, summarise
from mammostudy.study.segmenters import PROPOSED

COHORT, PRESET = "cdd-cesm", "reference"


def test_models_share_frames_preprocessing_and_split():
    named = segmenters.named(COHORT, PRESET)
    loose = {row: runs[0] for (framing, row), runs in named.items() if framing == "loose"}
    assert loose.pop(segmenters.LARGER).frame.size == 128
    trained = [spec for spec in loose.values() if not spec.is_baseline]
    assert len(trained) == len(segmenters.MODELS) - 1  # all but SegNet-VGG16
    assert len({(spec.frame, spec.preprocessing, spec.split) for spec in trained}) == 1
    crossed = segmenters.named(COHORT, "evidence")
    whole = {row for (_, row), runs in crossed.items() if len(runs) == 9}
    assert whole == {*segmenters.LIGHT, segmenters.LARGER}


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
    table = segmenters.spread(runs.test(framing="loose")).set_index("model")
    assert table.loc["FCN", ["outliers", "masses"]].tolist() == [1, 4]


def test_a_ranking_holds_what_was_trained_as_often_and_the_baselines():
    ranked = {b for _, b in segmenters.pairs(segmenters.named(COHORT, "evidence"))}
    assert ranked == {*segmenters.LIGHT[1:], segmenters.LARGER, *segmenters.BASELINES}
    assert set(segmenters.ALTERNATIVES) < {
        b for _, b in segmenters.pairs(segmenters.named(COHORT, "paper"))
    }


def test_epochs_stand_beside_what_had_not_converged_and_what_was_not_run_is_named(write):
    named = segmenters.named(COHORT, PRESET)
    write(named["loose", PROPOSED][0], 0.8, converged=False)
    write(named["loose", "ellipse"][0], 0.7)
    runs = Runs.load(named, PRESET, "framing row")
    table = segmenters.marked(summarise(runs.test(), by=("framing", "row")), runs)
    said = dict(zip(table["row"], table["converged"], strict=True))
    assert said == {PROPOSED: "400 epochs, not converged", "ellipse": "no training"}  # 100 x 8 / 2
    assert PROPOSED not in segmenters.not_run(runs).partition(";")[0]
    assert "full frames: FCN, " in segmenters.not_run(runs)
    assert "otsu" in segmenters.not_run(runs)
    one_fold = {("loose", PROPOSED): [0] * 3, ("loose", "UNet"): [0], ("loose", "otsu"): [0] * 3}
    assert segmenters.pairs(one_fold) == [(PROPOSED, "otsu")]


@pytest.mark.parametrize("preset", ["reference", "evidence", "paper"])
def test_pretrained_encoders_are_the_papers_and_see_their_range(preset):
    rows = [row for row in segmenters.MODELS if row != segmenters.SAME_AS_SEGNET]
    models = {row: segmenters.model_run(COHORT, preset, row).model for row in rows}
    started = {row for row, model in models.items() if model.weights != "none"}
    paper = preset == "paper"
    assert started == {segmenters.BEST, *(set(segmenters.PRETRAINED) & set(rows) if paper else ())}
    ranged = {row for row, model in models.items() if model.standardised}
    assert ranged == (set() if preset == "reference" else started)
    assert models["FCN"].dense == models["CRFCNN"].dense == (4096 if paper else 512)
