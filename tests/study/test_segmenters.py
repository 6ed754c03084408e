import pandas as pd
import pytest

from mammostudy.runs.spec import BASELINES
from mammostudy.study import (
    chapters,
    published,
    segmenters,
    segmenters_best,
    segmenters_boxes,
    segmenters_comparison,
    segmenters_cost,
    segmenters_examples,
    segmenters_notes,
    segmenters_reading,
)
from mammostudy.study import segmenter_recipes as models

COHORT, PRESET = "cdd-cesm", "reference"
CURVES = [
    {"iteration": 1.0, "overlap": 0.8, "validation_dice": 0.3},
    {"iteration": 2.0, "overlap": 0.4, "validation_dice": 0.2},
]
SCORES = {
    models.PROPOSED: (0.8, 0.8, 0.9),
    models.UNET: (0.7,),
    models.FCN: (0.0,),
    models.RESNET_DICE: (0.82,),
    models.BEST: (0.85, 0.85, 0.85),
    models.UNET_RESNET: (0.8, 0.7),  # a fold is missing
}


@pytest.fixture
def some(write, monkeypatch):
    """Records of some rows: FCN has not converged, and draws nothing."""
    asked = segmenters.named(COHORT, PRESET)
    for row, scores in SCORES.items():
        for spec, score in zip(asked["loose", row], scores, strict=False):
            write(spec, score, converged=row != models.FCN, curves=CURVES)
    write(asked["full", models.PROPOSED][0], 0.6)
    write(asked["tight", models.PROPOSED][0], 0.9, converged=False)
    write(asked["loose", "ellipse"][0], 0.75)
    for name, score in (("encoder from scratch", 0.5), ("Dice loss alone", 0.9)):
        write(models.ablations(COHORT, PRESET)[name][0], score)
    monkeypatch.setattr(segmenters, "epochs", lambda record: 7.5)
    monkeypatch.setattr(segmenters_cost, "epochs", lambda record: 7.5)
    monkeypatch.setattr(segmenters_cost, "parameters", lambda model: 1000)  # without torch
    return segmenters.records(COHORT, PRESET)


def test_the_grid_is_that_of_the_recipes_and_a_chapter():
    assert set(segmenters.specs(COHORT, PRESET)) == set(models.every(COHORT, PRESET))
    assert "segmenters" in chapters.CHAPTERS
    asked = segmenters.named(COHORT, PRESET)
    assert {framing for framing, _ in asked} == set(segmenters.FRAMINGS)
    assert ("loose", models.SEGNET_VGG) not in asked
    assert ("loose", models.SEGNET_VGG) in segmenters.named(COHORT, "paper")


def test_the_big_table_shows_every_row_run_or_not(some):
    stacked = segmenters.rows(some)
    summary = segmenters.table(stacked)
    loose = segmenters.printed_table(summary, COHORT, PRESET, some, "loose").set_index("model")
    assert tuple(loose.index) == (*models.ROWS, *BASELINES)
    row = loose.loc[models.PROPOSED]
    assert row["Dice"].startswith("0.833 [")  # 0.8, 0.8, 0.9 over three folds
    assert row["median Dice"] == "0.800"
    assert row["boundary IoU"].startswith("0.278 [")  # a third of Dice before post-processing
    assert row["Dice, image's grid"].startswith("0.417 [")
    assert (row["converged"], row["runs on record"]) == ("yes", "3 of 3")
    assert (row["paper's Dice, %"], row["paper's IoU, %"]) == ("89.99 / 94.07", "81.81 / 87.03")
    assert loose.loc[models.FCN, "converged"] == "no"
    assert loose.loc[models.UNET_RESNET, "runs on record"] == "2 of 3"
    assert loose.loc[models.UNET_RESNET, "paper's Dice, %"] == "–"
    assert loose.loc["ellipse", "converged"] == "no training"
    sls = loose.loc[models.SLS]
    assert (sls["Dice"], sls["median Dice"], sls["converged"]) == ("not run",) * 3
    assert sls["runs on record"] == "0 of 1"
    assert loose.loc[models.SEGNET_VGG, "runs on record"] == "none: same as SegNet"
    full = segmenters.printed_table(summary, COHORT, PRESET, some, "full").set_index("model")
    assert full.loc[models.PROPOSED, "Dice"].startswith("0.600")
    assert full.loc[models.UNET, "runs on record"] == "not in this preset"


def test_published_cells_are_those_of_both_test_sets():
    for framing in segmenters.FRAMINGS:
        cells = segmenters.published_cells(framing)
        assert len(cells) == 2 * len(models.PUBLISHED_ROWS)
    table = published.segmentation_table()
    line = table[(table["model"] == models.SLS) & (table["framing"] == "tight")]
    assert segmenters.published_cells("tight")[models.SLS, "iou"] == " / ".join(
        f"{value:.2f}" for value in line["iou"]
    )


def test_published_leads_by_hand():
    table = segmenters.lead_published().set_index(["dataset", "framing"])
    assert table.loc[("INbreast", "loose"), "lead"] == pytest.approx(94.07 - 88.89)
    assert table.loc[("private", "full"), "alternative"] == models.UNET
    said = segmenters_reading.leads()
    assert "has the highest Dice in 6 of the 6 columns" in said
    assert "5 of the other 10 models start from ImageNet" in said


def test_what_was_not_run_is_said_with_its_reason(some):
    said = segmenters_reading.missing(COHORT, PRESET, some)
    loose, same, full, tight = (
        next(line for line in said.splitlines() if line.startswith(start))
        for start in (
            "- Loose frames, asked for",
            f"- {models.SEGNET_VGG}",
            "- Full frames, for which",
            "- Tight frames, for which",
        )
    )
    assert models.SLS in loose
    assert "UNet-ResNet18" in loose  # one fold of three is missing
    assert models.PROPOSED not in loose
    assert "encoder is VGG16's" in same
    assert models.UNET in full
    assert models.UNET in tight
    assert models.SEGNET_VGG not in full
    done = segmenters.named(COHORT, "paper")  # as many as asked for
    assert segmenters_reading.missing(COHORT, "paper", done) == ""


def test_trainings_and_curves(some):
    table = segmenters.training_table(some).set_index(["framing", "model"])
    row = table.loc[("loose", models.PROPOSED)]
    assert (row["trainings"], row["converged"], row["epochs"]) == (3, "3 of 3", "7.5")
    assert (row["best validation Dice"], row["last validation Dice"]) == ("0.300", "0.200")
    assert table.loc[("loose", models.FCN), "converged"] == "0 of 1"
    assert ("loose", "ellipse") not in table.index
    assert table.loc[("full", models.PROPOSED), "best validation Dice"] == "–"


def test_epochs_by_hand(write):
    spec = models.model_recipe(COHORT, PRESET, models.UNET)
    record = write(spec.changed(optimiser__iterations=150, optimiser__batch=8), 0.5)
    record.content["split"] = {"train": ["case"] * 160}
    assert segmenters.epochs(record) == 7.5


def test_the_cgan_against_each(some):
    table = segmenters_comparison.against(segmenters.rows(some)).set_index("b")
    row = table.loc[models.UNET]
    assert row["difference"] == pytest.approx(0.1)  # first fold alone: 0.8 - 0.7
    assert (row["patients"], row["cases"], row["effect"], row["better"]) == (3, 4, 1, 1)
    assert row["p_holm"] >= row["p_permutation"]
    assert row["verdict"] == segmenters_comparison.OPEN  # three patients prove nothing
    assert not row["unsettled"]
    best = table.loc[models.BEST]
    assert best["difference"] == pytest.approx((0.8 + 0.8 + 0.9) / 3 - 0.85)
    assert (best["lowest"], best["highest"]) == pytest.approx((-0.05, 0.05))
    assert table.loc[models.FCN, "verdict"] == segmenters_comparison.NOT_RANKED
    assert models.SLS not in table.index
    shown = segmenters_comparison.printed_tests(table.reset_index()).set_index("cGAN minus")
    assert shown.loc[models.FCN, "verdict"] == "not ranked: FCN not converged"
    assert shown.loc[models.UNET, "difference [95 %]"] == "+0.100 [+0.100, +0.100]"


@pytest.mark.parametrize(
    ("row", "verdict"),
    [
        ({"p_holm": 0.01, "low": 0.02, "high": 0.04}, "cGAN better"),
        ({"p_holm": 0.06, "low": 0.02, "high": 0.04}, "undecided"),
        ({"p_holm": 0.01, "low": -0.01, "high": 0.04}, "undecided"),
        ({"p_holm": 0.01, "low": -0.04, "high": -0.02}, "cGAN worse"),
        ({"p_holm": 0.06, "low": -0.04, "high": -0.02}, "undecided"),
        ({"p_holm": 0.01, "low": 0.001, "high": 0.004, "equivalent": True}, "within a point"),
        ({"p_holm": 0.01, "low": 0.02, "high": 0.04, "unsettled": "FCN"}, "not converged"),
    ],
)
def test_verdicts_of_a_comparison(row, verdict):
    assert segmenters_comparison._verdict({"equivalent": False, "unsettled": "", **row}) == verdict


def test_framings_are_compared_on_the_cases_they_share(some):
    table = segmenters_comparison.framing_tests(segmenters.rows(some))
    by_other = table.set_index(["row", "other"])
    assert len(table) == 2
    assert by_other.loc[(models.PROPOSED, "full"), "difference"] == pytest.approx(0.1)
    assert by_other.loc[(models.PROPOSED, "tight"), "difference"] == pytest.approx(-0.05)
    assert by_other.loc[(models.PROPOSED, "tight"), "unsettled"] == "tight"
    assert len(segmenters_comparison.printed_framings(table)) == 2


def test_quartiles_stand_beside_the_papers(some):
    cases = segmenters_boxes.cases(segmenters.rows(some))
    table = segmenters_boxes.quartiles(cases)
    own = table[(table["row"] == models.PROPOSED) & (table["metric"] == "dice")].iloc[0]
    assert (own["q1"], own["median"], own["q3"], own["masses"]) == (0.8, 0.8, 0.9, 12)
    shown = segmenters_boxes.printed_quartiles(table).set_index("model")
    assert shown.loc[models.PROPOSED, "outliers"] == "0 of 12 (0.0 %)"
    assert shown.loc[models.PROPOSED, "paper: outliers"] == "6 of 106"
    assert shown.loc[models.RESNET_DICE, "paper: outliers"] == "not reported"
    assert shown.loc[models.UNET, "paper: outliers"] == "–"
    assert shown.loc[models.FCN, "converged"] == "no"
    assert shown.loc["ellipse", "converged"] == "no training"


def test_what_is_said_of_outliers(some):
    stacked = segmenters.rows(some)
    tests = segmenters_boxes.outlier_tests(stacked)
    assert set(tests["b"]) == set(SCORES) - {models.PROPOSED}
    said = segmenters_notes.outliers(
        segmenters_boxes.quartiles(segmenters_boxes.cases(stacked)), tests
    )
    assert "leaves 0 outliers in Dice among 12 masses, the lowest at 0.800" in said
    assert f"The share of outliers of {models.RESNET_DICE} less its own is +0.0" in said
    assert f"{models.RESNET_L1} was not run" in said


def test_ablations_are_judged_on_validation(some):
    ablated = segmenters_best.records(COHORT, PRESET, some)
    assert len(ablated[segmenters_best.WHOLE]) == 1  # first fold alone
    table = segmenters_best.table(ablated).set_index("row")
    assert list(table.index) == ["encoder from scratch", "Dice loss alone"]
    row = table.loc["encoder from scratch"]
    assert row["difference"] == pytest.approx((0.85 - 0.5) / 2)  # image's grid, one patient
    assert row["test_difference"] == pytest.approx((0.85 - 0.5) / 2)
    assert (row["patients"], row["test_patients"]) == (1, 3)
    assert row["verdict"] == segmenters_best.UNSHOWN  # one patient proves nothing
    shown = segmenters_best.printed_table(table.reset_index()).set_index("recipe")
    assert tuple(shown.index) == tuple(models.ABLATIONS)
    assert shown.loc["frames of 128 pixels", "validation Dice"] == "not run"
    said = segmenters_notes.recipe(
        table.reset_index(), segmenters_best.absent(COHORT, PRESET, ablated)
    )
    assert "Not shown to matter on validation: the pretrained encoder" in said
    assert "Not run, so not judged: flips and quarter turns" in said
    assert "1 patient of one mind give a p of 1.000 at the least" in said


@pytest.mark.parametrize(
    ("patients", "fields", "said"),
    [(7, 6, "7 patients of one mind give a p of 0.094"), (7, 3, ""), (8, 6, ""), (5, 1, "0.062")],
)
def test_too_few_patients_to_show_a_field_are_told(patients, fields, said):
    """All signs alike: 2 / 2 ** patients, times the number of fields."""
    told = segmenters_notes._least_p(pd.DataFrame({"patients": [patients] * fields}))
    assert said in told
    assert bool(said) == bool(told)


@pytest.mark.parametrize(
    ("low", "high", "p", "unsettled", "verdict"),
    [
        (0.01, 0.03, 0.01, "", "earned its place"),
        (0.01, 0.03, 0.06, "", "not shown to matter"),
        (-0.03, -0.01, 0.01, "", "cost Dice"),
        (-0.01, 0.03, 0.01, "", "not shown to matter"),
        (0.01, 0.03, 0.01, "x", "not converged"),
    ],
)
def test_verdicts_of_a_field(low, high, p, unsettled, verdict):
    row = {"low": low, "high": high, "p_holm": p, "unsettled": unsettled}
    assert segmenters_best._verdict(row) == verdict


def test_a_preset_without_other_frames_has_no_baselines_there():
    smoke = segmenters.named("phantom", "smoke")
    assert {framing for framing, _ in smoke} == {"loose"}
    assert {row for _, row in smoke} == {models.PROPOSED, models.UNET, *BASELINES}
    quick = segmenters.named("phantom", "quick")
    assert {framing for framing, row in quick if row == "ellipse"} == set(segmenters.FRAMINGS)


def test_every_ablation_names_its_field():
    assert set(segmenters_best.FIELDS) == set(models.ABLATIONS)


def test_validation_chooses_among_the_converged(some):
    table = segmenters_best.validation_table(some)
    assert table["model"].iloc[-1] == models.FCN  # not converged: last
    assert set(table["masses"]) == {1}
    said = segmenters_notes.chosen(table)
    assert "Of the 5 models that converged" in said


def test_costs_by_hand(some):
    summary = segmenters.table(segmenters.rows(some))
    table = segmenters_cost.costs(some, summary).set_index("row")
    row = table.loc[models.UNET]
    assert row["seconds"] == 12  # 90 s, 7.5 epochs
    assert row["cpu_minutes"] == 1.5
    assert row["dice_per_minute"] == pytest.approx(0.7 / 1.5)
    steps = models.model_recipe(COHORT, PRESET, models.UNET).optimiser.iterations
    assert row["images_a_second"] == pytest.approx(steps * 8 / 90)
    assert table.loc[models.FCN, "converged"] == "no"
    assert models.SLS not in table.index
    assert len(segmenters_cost.printed_costs(table.reset_index())) == len(SCORES)
    said = segmenters_notes.cost(table.reset_index())
    assert "best found here gives most Dice for its time (0.567 per CPU-minute)" in said
    assert "and it also has most Dice (0.850" in said
    one = segmenters_notes.chosen(segmenters_best.validation_table(some).head(1))
    assert "validation patients rank no model" in one


@pytest.mark.parametrize(
    ("fields", "count"),
    [
        ({"name": "cgan", "channels": 3, "shared_batch_norm": True}, 13_607_043),  # as published
        ({"name": "cgan"}, 13_607_937),
    ],
)
def test_parameters_are_counted_without_weights(fields, count):
    model = models.model_recipe(COHORT, "paper", models.PROPOSED).model
    assert segmenters_cost.parameters(model.model_copy(update=fields)) == count


def test_models_say_where_their_encoder_comes_from():
    table = segmenters_cost.model_table("phantom", "smoke").set_index("model")
    assert list(table.index) == [models.UNET, models.PROPOSED]
    row = table.loc[models.PROPOSED]
    assert (row["adversary"], row["loss"]) == ("yes", "Dice")
    assert row["encoder's weights, here"] == "none: from scratch"
    assert row["input, pixels"] == "loose 64"
    assert set(segmenters_cost._WEIGHTS) == {"none", "imagenet", "packaged"}


def test_the_reading_speaks_from_the_tables(some):
    stacked = segmenters.rows(some)
    summary = segmenters.table(stacked)
    tests = segmenters_comparison.against(stacked)
    framed = segmenters_comparison.framing_tests(stacked)
    said = segmenters_reading.reading(summary, tests, framed, some)
    assert "of the 5 models that converged, highest first: best found here 0.850" in said
    assert "in no ranking: on loose frames FCN (0.000); on tight frames proposed cGAN (0.9" in said
    assert "Of the paper's 10 alternatives 3 could be set against the proposed cGAN" in said
    assert "not ranked against, for want of convergence, FCN" in said
    assert "Against what is not in the paper: UNet-ResNet18" in said
    assert "looks at no image, the proposed cGAN stands at +0.050" in said
    assert "against tight frames (not converged: tight)" in said
    assert "proposed cGAN 3, UNet-ResNet18 2 and best found here 3; of each other" in said


def test_without_records_the_page_says_so(write):
    found = segmenters.records(COHORT, PRESET)
    stacked = segmenters.rows(found)
    summary = segmenters.table(stacked)
    tests = segmenters_comparison.against(stacked)
    framed = segmenters_comparison.framing_tests(stacked)
    assert segmenters_reading.reading(summary, tests, framed, found) == segmenters_reading.NOTHING
    table = segmenters.printed_table(summary, COHORT, PRESET, found, "loose")
    assert set(table["Dice"]) == {"not run"}
    assert segmenters_comparison.printed_tests(tests).empty
    assert segmenters_comparison.printed_framings(framed).empty
    boxes = segmenters_boxes.quartiles(segmenters_boxes.cases(stacked))
    assert segmenters_boxes.printed_quartiles(boxes).empty
    assert segmenters_boxes.printed_outliers(segmenters_boxes.outlier_tests(stacked)).empty
    assert segmenters_notes.outliers(boxes, segmenters_boxes.outlier_tests(stacked)) == ""
    ablated = segmenters_best.records(COHORT, PRESET, found)
    assert set(segmenters_best.printed_table(segmenters_best.table(ablated))["patients"]) == {
        "not run"
    }
    assert "choose none" in segmenters_notes.chosen(segmenters_best.validation_table(found))
    assert segmenters_notes.cost(segmenters_cost.costs(found, summary)) == ""
    assert segmenters_notes.empty(stacked) == ""
    assert segmenters_examples.rule_said(found, stacked) == ""
    assert segmenters_examples.framed(COHORT, found, stacked) == []


def test_a_model_that_draws_nothing_is_named(some):
    stacked = segmenters.rows(some)
    assert segmenters_notes.empty(stacked) == ""  # the made-up rows draw 32 pixels each
    blank = stacked["row"] == models.FCN
    stacked.loc[blank, "predicted_pixels"] = 0
    assert segmenters_notes.empty(stacked) == (
        "FCN drew nothing in 100 % of its test frames (loose): in this budget it has not begun "
        "to segment."
    )


def test_cases_are_picked_by_rule(some):
    stacked = segmenters.rows(some)
    own = (stacked["row"] == models.PROPOSED) & (stacked["fold"] == 0)
    own &= stacked["framing"] == "loose"
    stacked.loc[own, "dice"] = [0.5, 0.9, 0.7, 0.6]  # a1, a2, b1, c1
    cases = segmenters_examples.picked(some, stacked)
    assert cases == {"best": "a2", "median": "b1", "worst": "a1", "drawn": "c1"}
    assert "worst: `a1`" in segmenters_examples.rule_said(some, stacked)
