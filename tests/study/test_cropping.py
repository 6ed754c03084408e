import pytest

from mammostudy.runs.spec import BASELINES
from mammostudy.study import cropping
from mammostudy.study.comparing import Runs, compare, summarise

COHORT, PRESET = "cdd-cesm", "reference"


def test_grid():
    named = cropping.named(COHORT, PRESET)
    rows = (cropping.MODEL, *BASELINES)
    assert set(named) == {(framing, row) for framing in cropping.STRATEGIES for row in rows}
    assert {runs[0].frame.strategy for runs in named.values()} == set(cropping.STRATEGIES)
    scaled = cropping.scaled(COHORT, PRESET)
    assert {scale for _, scale in scaled} == {1.0, 1.5, 2.0, 3.0, 4.0}
    assert {scale for _, scale in cropping.scaled("phantom", "quick")} == {1.0, 2.0}
    target, every = (runs[0] for runs in cropping.truths(COHORT, PRESET).values())
    assert (target.frame.truth, every.frame.truth) == ("target", "all")
    assert cropping.truths("phantom", PRESET) == {}


@pytest.fixture
def rows(write):
    named = cropping.named(COHORT, PRESET)
    scores = {("loose", "cGAN"): 0.8, ("full", "cGAN"): 0.5, ("loose", "ellipse"): 0.7}
    for cell, score in scores.items():
        write(named[cell][0], score)
    return Runs.load(named, PRESET, "framing row").test(box=None)


def test_framings_and_boxes_are_compared_in_the_images_grid(rows):
    known, keys = rows[rows["box"] == "oracle"], ("framing", "row")
    tests = compare(known, cropping.PAIRS, "dice_image", keys).set_index("b")["difference"]
    assert tests["full, cGAN"] == pytest.approx((0.8 - 0.5) / 2)
    assert tests["loose, ellipse"] == pytest.approx((0.8 - 0.7) / 2)
    assert len(tests) == 2
    costs = compare(rows, cropping.JITTERS, "dice", (*keys, "box"))
    assert costs["difference"].tolist() == pytest.approx([-0.1] * 3)


def test_ours_stand_beside_the_papers_cells(rows):
    summary = summarise(rows, ("dice", "iou"), by=("framing", "row", "box"))
    table = cropping.beside_published(summary).set_index("framing")
    assert table.loc["loose", "Dice, here"] == pytest.approx(80)
    assert table.loc["loose", "Dice, INbreast (paper)"] == 94.07
    assert table.loc["tight", "Dice, here"] != table.loc["tight", "Dice, here"]  # not run


def test_frames_are_cut_around_the_typical_mass(tmp_path, own_store, write_cohort, monkeypatch):
    monkeypatch.setenv("MAMMOSTUDY_DATA", str(tmp_path))
    cohort = write_cohort(tmp_path).name
    frames = cropping.frames(cohort, size=64)
    assert [title for title, _ in frames][:2] == ["full, known box", "loose, known box"]
    assert [picture.shape for _, picture in frames] == [(64, 64, 3)] * 6
