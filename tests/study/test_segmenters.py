import pytest

from mammostudy.study import segmenters
from mammostudy.study.comparing import Runs, compare
from mammostudy.study.segmenters import PROPOSED

COHORT, PRESET = "cdd-cesm", "reference"


def test_models_share_frames_preprocessing_and_split():
    named = segmenters.named(COHORT, PRESET)
    first = [runs[0] for (framing, row), runs in named.items() if framing == "loose"]
    trained = [spec for spec in first if not spec.is_baseline]
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
