import numpy as np
import pandas as pd
import pytest

from mammostudy.data.sources.phantom import write_phantom
from mammostudy.evaluation.overlap import dice
from mammostudy.study import (
    claims,
    cropping,
    cropping_examples,
    cropping_reading,
    published,
    shape_arithmetic,
)

COHORT, PRESET = "cdd-cesm", "reference"


def write_some(write, *, loose=0.8, full_converged=True):
    """Records of the first fold: three framings, two baselines each."""
    scores = {"full": 0.2, "loose": loose, "tight": 0.7}
    for name, specs in cropping.framings(COHORT, PRESET).items():
        write(specs[0], scores[name], converged=full_converged or name != "full")
    for (_, model), specs in cropping.baselines(COHORT, PRESET).items():
        if model in ("ellipse", "all-mass"):
            write(specs[0], {"ellipse": 0.75, "all-mass": 0.4}[model])


def test_grid_asks_for_every_framing_scale_and_truth():
    specs = cropping.specs(COHORT, PRESET)
    assert len(specs) == len(set(specs))
    assert set(cropping.scaled(COHORT, PRESET)) == {1.0, 1.5, 2.0, 3.0, 4.0}
    assert cropping.scaled(COHORT, PRESET)[1.0].frame.strategy == "tight"
    assert cropping.truths("phantom", PRESET) == {}
    named = cropping.truths(COHORT, PRESET)
    assert [runs[0].frame.truth for runs in named.values()] == ["target", "all"]
    assert {spec.model.name for spec in specs} == {
        "cgan",
        "all-mass",
        "ellipse",
        "otsu",
        "chan-vese",
    }
    asked = set(specs)
    assert {run for runs in cropping.framings(COHORT, PRESET).values() for run in runs} <= asked


def test_claims_compare_the_same_runs():
    framed = cropping.framings(COHORT, PRESET)
    arms = claims.arms(COHORT, PRESET)
    assert all(arms[name][0] == framed[name] for name in cropping.STRATEGIES)


def test_tables_by_hand(write):
    write_some(write)
    stacked = cropping.rows(COHORT, PRESET)
    summary = cropping.table(stacked)
    means = summary.set_index(["framing", "row", "box", "metric"])["mean"]
    assert means["loose", "cGAN", "oracle", "dice"] == pytest.approx(0.8)
    assert means["loose", "cGAN", "jittered", "dice"] == pytest.approx(0.7)
    assert means["loose", "cGAN", "oracle", "dice_image"] == pytest.approx(0.4)
    wide = cropping.printed_table(summary, "oracle").set_index(["framing", "model"])
    assert len(wide) == 15
    assert wide.loc[("tight", "cGAN"), "Dice, image"] == "0.350 [0.350, 0.350]"
    assert wide.loc[("tight", "otsu"), "Dice, image"] == "not run"
    tests = cropping.framing_tests(stacked).set_index(["comparison", "box"])["difference"]
    assert tests["loose - full", "oracle"] == pytest.approx(0.3)  # (0.8 - 0.2) / 2
    assert tests["loose - tight", "jittered"] == pytest.approx(0.05)
    assert tests["tight: cGAN - ellipse", "oracle"] == pytest.approx(-0.025)
    costs = cropping.jitter_cost(stacked).set_index(["framing", "row", "metric"])["difference"]
    assert costs["loose", "cGAN", "dice"] == pytest.approx(-0.1)
    assert costs["loose", "cGAN", "dice_image"] == pytest.approx(-0.05)


def test_published_cells_stand_beside_ours_and_are_called_other_data(write):
    write_some(write)
    table = cropping.beside_published(cropping.table(cropping.rows(COHORT, PRESET)))
    row = table.set_index("framing").loc["loose"]
    assert row["Dice, here"] == pytest.approx(80)
    assert row["Dice, paper, INbreast (other data)"] == 94.07
    assert row["IoU, paper, private (other data)"] == 81.81
    paper = published.segmentation_table()
    assert (paper["dice"] == 94.07).sum() == 1
    assert all("here" in name or "other data" in name for name in table.columns[1:])


def test_curve_over_scales(write):
    for scale, spec in cropping.scaled(COHORT, PRESET).items():
        if scale != 3.0:
            write(spec, scale / 10)
    curve = cropping.scale_curve(COHORT, PRESET)
    part = curve[(curve["box"] == "oracle") & (curve["metric"] == "dice")]
    assert dict(zip(part["scale"], part["mean"], strict=True)) == pytest.approx(
        {1.0: 0.1, 1.5: 0.15, 2.0: 0.2, 4.0: 0.4}
    )
    wide = cropping.printed_scales(curve).set_index(["scale", "box"])
    assert wide.loc[(3.0, "oracle"), "Dice, frame"] == "not run"
    assert wide.loc[(4.0, "oracle"), "Dice, frame"] == "0.400 [0.400, 0.400]"
    said = cropping_reading.reading(_summary(), pd.DataFrame(), pd.DataFrame(), curve)
    assert "highest at 4 times the box (0.200 [0.200, 0.200])" in said


def _summary():
    columns = {"framing": ["loose"], "row": ["ellipse"], "box": ["oracle"], "metric": ["dice"]}
    return pd.DataFrame(columns | {"mean": [0.8], "converged": ["no training"]})


def test_both_truths(write):
    for spec, score in zip(cropping.truths(COHORT, PRESET).values(), (0.8, 0.7), strict=True):
        write(spec[0], score)
    table = cropping.truth_table(COHORT, PRESET).set_index("truth")
    assert table.loc["target", "Dice"].startswith("0.800")
    assert table.loc["all masses", "Dice"].startswith("0.700")
    assert cropping.truth_table("phantom", "reference").empty


def test_reading_speaks_from_the_tables(write):
    write_some(write)
    said = _reading()
    assert "0.200 [0.200, 0.200] on full frames, 0.800 [0.800, 0.800] on loose frames" in said
    assert "the order is loose, tight, full." in said
    assert "+0.300 [+0.300, +0.300] against full frames (the interval lies above 0)" in said
    assert "Painting all of a tight frame scores 0.400 and the ellipse in it 0.750" in said
    assert "-0.050 [-0.050, -0.050] on loose frames" in said
    assert "Training had not converged" not in said


def test_control_other_scores_are_read_otherwise(write):
    write_some(write, loose=0.1)
    said = _reading()
    assert "the order is tight, full, loose." in said
    assert "(the interval lies below 0)" in said


def test_what_had_not_converged_stands_in_no_ranking(write):
    write_some(write, full_converged=False)
    said = _reading()
    assert "the order is loose, tight." in said
    assert "Training had not converged on full frames" in said
    assert "not converged: full" in said


def _reading():
    stacked = cropping.rows(COHORT, PRESET)
    return cropping_reading.reading(
        cropping.table(stacked),
        cropping.framing_tests(stacked),
        cropping.jitter_cost(stacked),
        cropping.scale_curve(COHORT, PRESET),
    )


@pytest.mark.usefixtures("write")
def test_without_records_everything_says_not_run():
    stacked = cropping.rows(COHORT, PRESET)
    summary = cropping.table(stacked)
    assert set(cropping.printed_table(summary, "oracle")["Dice, frame"]) == {"not run"}
    assert cropping.beside_published(summary)["Dice, here"].isna().all()
    assert cropping.printed_tests(cropping.framing_tests(stacked)).empty
    assert cropping.printed_costs(cropping.jitter_cost(stacked)).empty
    assert "No run" in _reading()
    absent = cropping.absent(COHORT, PRESET)
    assert "full, otsu" in absent
    assert cropping_reading.missing(absent).startswith(f"Not run: {len(absent)} of")
    assert cropping_reading.missing([]) == ""
    assert "`x`" in cropping_reading.missing(["x"])


def test_examples_are_cut_as_the_runs_cut_them(tmp_path, monkeypatch):
    write_phantom(tmp_path / "tiny", patients=4)
    monkeypatch.setenv("MAMMOSTUDY_DATA", str(tmp_path))
    shown = cropping_examples.examples("tiny", size=64)
    assert [(each.box, each.strategy) for each in shown] == [
        (box, strategy) for box in cropping.BOXES for strategy in cropping.STRATEGIES
    ]
    full, loose, tight = shown[:3]
    for each in shown:
        assert each.image.shape == each.target.shape == (64, 64)
        assert not (each.target & each.others).any()
    # a loose frame doubles both sides, so the mass takes about a quarter of its share
    assert tight.target.mean() / loose.target.mean() == pytest.approx(4, rel=0.1)
    outer, inner = (np.array(full.rectangles[name]) for name in ("loose", "tight"))
    assert (outer[2:] - outer[:2]) / (inner[2:] - inner[:2]) == pytest.approx(2, rel=0.05)
    assert loose.rectangles == {}


def test_examples_without_images(monkeypatch):
    monkeypatch.delenv("MAMMOSTUDY_DATA", raising=False)
    assert cropping_examples.examples("cdd-cesm") == []


def test_stretching_makes_a_circle_of_an_oval_and_a_square_frame_does_not():
    masks = shape_arithmetic.stretched_masks()
    same = dice(masks["round", "stretch"][None], masks["oval", "stretch"][None])[0]
    apart = dice(masks["round", "square"][None], masks["oval", "square"][None])[0]
    assert same > 0.99 > 0.8 > apart
