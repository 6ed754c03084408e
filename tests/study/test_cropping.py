import pytest

from mammostudy.study import cropping
from mammostudy.study.comparing import Runs, compare

COHORT, PRESET = "cdd-cesm", "reference"


def test_framings_and_boxes_are_compared_in_the_images_grid(write):
    named = cropping.named(COHORT, PRESET)
    scores = {("loose", "cGAN"): 0.8, ("full", "cGAN"): 0.5, ("loose", "ellipse"): 0.7}
    for cell, score in scores.items():
        write(named[cell][0], score)
    rows = Runs.load(named, PRESET, "framing row").test(box=None)
    known, keys = rows[rows["box"] == "oracle"], ("framing", "row")
    tests = compare(known, cropping.PAIRS, "dice_image", keys).set_index("b")["difference"]
    assert tests["full, cGAN"] == pytest.approx((0.8 - 0.5) / 2)
    assert tests["loose, ellipse"] == pytest.approx((0.8 - 0.7) / 2)
    assert len(tests) == 2
    costs = compare(rows, cropping.JITTERS, "dice", (*keys, "box"))
    assert costs["difference"].tolist() == pytest.approx([-0.1] * 3)
