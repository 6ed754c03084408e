import re
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

from mammostudy.errors import DataError
from mammostudy.paths import project_root
from mammostudy.study import (
    detect_convergence,
    detect_recipes,
    detection,
    detection_comparison,
    detection_details,
    detection_examples,
    detection_judged,
    detection_reading,
    detection_scores_reading,
    detection_trainings,
)
from mammostudy.study.detect_recipes import EQUAL, LIGHT, LONG, LONGER, PRIOR_ROW

COHORT, PRESET = "cdd-cesm", "reference"
HEAD, ABLATED = detection.HEAD, detection.ABLATED
RETINA, FCOS, SSD300 = detect_recipes.RETINA, detect_recipes.FCOS, detect_recipes.SSD300


@pytest.fixture(scope="module")
def found(write_detections):
    """The light SSD finds 3 of 4 masses on every fold; RetinaNet 4, FCOS none, SSD300 diverged."""
    write, groups = write_detections, detection.named(COHORT, PRESET)
    for spec in groups[HEAD][LIGHT]:
        write(spec, found=3, converged=spec.split.fold != 1)
    for spec in groups[HEAD][PRIOR_ROW]:
        write(spec)
    write(groups[EQUAL][LIGHT][0], found=2, seconds=60.0)
    write(groups[EQUAL][RETINA][0], found=2)
    write(groups[LONG][RETINA][0], found=4, seconds=600.0)
    write(groups[LONG][FCOS][0], found=0, converged=False)
    write(groups[LONG][SSD300][0], status="diverged")
    write(groups[ABLATED][detect_recipes.NO_NEGATIVES][0], found=2, false=2)
    return detection.records(COHORT, PRESET)


def test_every_run_is_asked_for_once_and_every_recipe_has_a_version():
    groups = detection.named(COHORT, PRESET)
    assert tuple(groups) == (HEAD, EQUAL, LONG, LONGER, ABLATED)
    specs = detection.specs(COHORT, PRESET)
    assert len(specs) == len(set(specs))
    named = {spec for rows in groups.values() for listed in rows.values() for spec in listed}
    assert named == set(specs)
    from mammostudy.runs.versions import recipe_version

    assert all(recipe_version(name) >= 1 for name in detection.RECIPES)


def test_scores_by_hand(found):
    head = detection.with_prior(found, HEAD)
    assert list(head) == [LIGHT, PRIOR_ROW]
    table = detection.summary(head).set_index("row")
    light, prior = table.loc[LIGHT], table.loc[PRIOR_ROW]
    assert (light["masses"], light["views"], light["patients"], light["folds"]) == (12, 24, 12, 3)
    assert light["at_one"] == light["mean"] == light["accuracy"] == pytest.approx(0.75)
    assert light["false"] == pytest.approx(1)  # a box of score 0.5 on every view, and there it lies
    assert light["ap50"] == light["map"] == pytest.approx(76 / 101)  # hits first, recalls 0 to 0.75
    assert light["at_one_low"] < 0.75 < light["at_one_high"]
    assert light["converged"] == "2 of 3"
    assert light["minutes"] == pytest.approx(2)
    assert prior["at_one"] == 0
    assert prior["converged"] == "no training"
    wide = detection.printed_summary(table.reset_index(), detection.expected(COHORT, PRESET, LONG))
    wide = wide.set_index("detector")
    assert list(wide.index) == [*detection.named(COHORT, PRESET)[LONG], PRIOR_ROW]
    assert wide.loc[LIGHT, "detection accuracy"].startswith("0.75 [")
    assert wide.loc[detect_recipes.FCOS, "AP50"] == "not run"
    assert wide.loc[PRIOR_ROW, "core-minutes"] == "–"


def test_the_threshold_knows_validation_only(write_detection):
    specs = detection.named(COHORT, PRESET)[HEAD][LIGHT]
    records = tuple(write_detection(spec, found=3) for spec in specs)
    light = detection_judged.Judged(LIGHT, records)
    assert light.thresholds == {0: 0.5, 1: 0.5, 2: 0.5}
    rows = light.records[0].cases
    test = (rows["part"] == "test") & (rows["row"] == "box")
    rows.loc[test, "score"] /= 2  # the test's own curve does not change, what is found there does
    again = detection_judged.Judged(LIGHT, light.records)
    assert again.thresholds == light.thresholds
    assert again.found().sum() == 3 * 3 - 3  # of the first fold nothing reaches 0.5
    assert again.curve().sensitivity[-1] == pytest.approx(0.75)


def test_a_diverged_detector_finds_nothing_and_breaks_nothing(found):
    rows = detection.with_prior(found, LONG)
    table = detection.summary(rows).set_index("row")
    gone = table.loc[SSD300]
    assert gone[["at_one", "mean", "ap50", "map", "accuracy", "false"]].eq(0).all()
    assert gone["converged"] == "diverged"
    assert len(detection_details.bands(rows))
    assert len(detection_details.precision_curves(rows))
    alone = rows[SSD300]
    assert detection_details.box_errors(alone).empty
    table, gap = detection_details.reliability(alone)
    assert table.empty
    assert np.isnan(gap)
    assert len(detection_examples.chosen(alone)) == 2  # the largest mass missed, one view drawn


def test_what_has_no_record_is_said_to_be_missing(found):
    gone = detection.absent(found, COHORT, PRESET)
    assert f"{RETINA} ({LONG})" not in gone
    nothing = {group: {name: [] for name in rows} for group, rows in found.items()}
    assert detection.with_prior(nothing, HEAD) == {}
    empty = detection.summary({})
    assert detection_reading.scores(empty) == detection_reading.NOTHING
    assert detection_reading.meaning(empty, empty, {}, {}) == detection_reading.NOTHING
    assert detection_comparison.changes(nothing)[1].empty
    assert detection_comparison.against_prior(nothing, {}).empty
    assert detection.who(nothing).empty


def test_who_is_searched(found):
    table = detection.who(found).set_index("fold")
    assert list(table.index) == [0, 1, 2]
    row = table.loc[0]
    assert (row["training views"], row["test views"], row["test masses"]) == (3, 8, 4)
    assert (row["mass-free views, test"], row["mass-free views, validation"]) == (4, 2)
    said = detection_reading.who(table.reset_index())
    assert "24 views with 12 masses of folds 0, 1 and 2, 12 of them without a mass" in said


def test_every_detector_is_set_against_the_prior_box(found):
    groups = {each: detection.with_prior(found, each) for each in (*detection.BUDGETS, HEAD)}
    table = detection_comparison.against_prior(found, groups)
    verdicts = {(row["group"], row["row"]): row["verdict"] for row in table.to_dict("records")}
    assert verdicts[HEAD, LIGHT] == detection_comparison.BEATS
    assert verdicts[LONG, RETINA] == detection_comparison.BEATS
    assert verdicts[LONG, FCOS] == detection_comparison.OPEN
    assert table.set_index(["group", "row"]).loc[(LONG, RETINA), "at_one"] == pytest.approx(1)
    said = detection_reading.against_prior(table)
    assert "Beat the prior box" in said
    assert "FCOS, as long as affordable (+0.00 [+0.00, +0.00], not converged)" in said
    assert "not a detector yet" in said
    wide = detection_comparison.printed_tests(table, "detector")
    assert set(wide["the prior box"]) == {detection_comparison.BEATS, detection_comparison.OPEN}


def test_the_verdict_follows_the_interval():
    verdict = detection_comparison.verdict
    assert verdict({"at_one_low": 0.01, "at_one_high": 0.2}) == detection_comparison.BEATS
    assert verdict({"at_one_low": 0.0, "at_one_high": 0.2}) == detection_comparison.OPEN
    assert verdict({"at_one_low": -0.3, "at_one_high": -0.1}) == detection_comparison.LOSES


def test_the_same_runs_stand_once_against_the_prior_box(found):
    rows = detection.with_prior(found, LONG)
    table = detection_comparison.against_prior(found, {LONG: rows, "again": rows})
    assert set(table["group"]) == {LONG}


def test_detectors_less_the_light_one(found):
    rows = detection.with_prior(found, LONG)
    tests = detection_comparison.differences(rows).set_index("row")
    assert PRIOR_ROW not in tests.index
    assert tests.loc[RETINA, "at_one"] == pytest.approx(0.25)
    assert tests.loc[FCOS, "at_one"] == pytest.approx(-0.75)
    assert (tests["at_one_holm"] >= tests["at_one_p"]).all()
    assert "p, Holm (mean sensitivity)" in detection_comparison.printed_tests(
        tests.reset_index(), "minus"
    )
    with pytest.raises(DataError, match="other views"):
        detection_comparison.difference(rows[LIGHT], detection.detectors(found, HEAD)[LIGHT])


def test_only_what_converged_and_beats_the_prior_box_is_ranked(found):
    rows = detection.with_prior(found, LONG)
    table = detection.summary(rows)
    priors = detection_comparison.against_prior(found, {LONG: rows})
    tests = detection_comparison.differences(rows)
    said = detection_reading.compared(table, tests, priors, LONG)
    assert "RetinaNet (1.00), light SSD (0.75)" in said
    assert "Not ranked: SSD300, VGG16 and FCOS" in said
    weak = priors.assign(verdict=detection_comparison.OPEN)
    assert "nothing to rank" in detection_reading.compared(table, tests, weak, LONG)


def test_rules_and_rates(found):
    head = detection.with_prior(found, HEAD)
    rules = detection.rules_table(head)
    assert list(dict.fromkeys(rules["rule"])) == list(detection.RULE_NAMES)
    assert detection.printed_rules(rules)["rule"].iloc[0] == "IoU at least 0.10"
    said = detection_scores_reading.rules(rules)
    assert said.startswith("The same boxes of the light SSD find 0.75")
    rates = detection.printed_rates(detection.rates_table(head)).set_index("detector")
    assert list(rates.columns) == ["1/8", "1/4", "1/2", "1", "2", "4", "8", "mean"]
    assert rates.loc[LIGHT, "1/8"].startswith("0.75 [")
    assert rates.loc[LIGHT, "8"].startswith("0.75* [")  # there are no more boxes


def test_box_errors_are_those_of_found_masses(write_detection):
    spec = detection.named(COHORT, PRESET)[HEAD][LIGHT][0]
    record = write_detection(spec, found=3, shift=4.0)
    light = detection_judged.Judged(LIGHT, (record,))
    masses = detection_details.mass_errors(light)
    assert masses["found"].tolist() == [True, True, True, False]
    assert masses["centre_x_error"].tolist()[:3] == pytest.approx([0.1, 0.08, 4 / 60], abs=1e-3)
    assert masses["centre_x_error"].isna().iloc[3]
    errors = detection_details.box_errors(light).set_index("error")
    assert errors.loc["centre_y_error", "mean"] == 0
    assert errors.loc["centre_x_error", "within"] == 1
    assert errors.loc["width_log_ratio", "within"] == 1
    assert np.isnan(errors.loc["iou", "within"])
    said = detection_scores_reading.errors(errors.reset_index())
    assert "3 found masses" in said
    assert "100 % of these boxes keep within the first and 100 % within the second" in said
    assert (
        "–" in detection_details.printed_errors(errors.reset_index())["within the jitter"].tolist()
    )


def test_boxes_out_of_reach_of_the_jitter_are_said_so(write_detection):
    spec = detection.named(COHORT, PRESET)[HEAD][LIGHT][0]
    light = detection_judged.Judged(LIGHT, (write_detection(spec, found=3, shift=10.0),))
    errors = detection_details.box_errors(light)
    assert errors.set_index("error").loc["centre_x_error", "within"] == 0
    far = errors.assign(within=0.2)
    assert "further off than the jitter" in detection_scores_reading.errors(far)


def test_sizes_scores_and_costs(found):
    light = detection.detectors(found, HEAD)[LIGHT]
    sizes = detection_details.sizes(light)
    first = sizes[sizes["rate"].isna()].set_index("size")
    assert first.loc["small", "sensitivity"] == 1
    assert first.loc["large", "sensitivity"] < 1
    assert len(detection_details.printed_sizes(sizes)) == 3
    assert "largest" in detection_scores_reading.sizes(sizes)
    scored = detection_details.score_rows(light)
    assert scored["outcome"].value_counts().to_dict() == {"false": 24, "hit": 9}
    assert scored.loc[scored["mass_free"], "outcome"].eq("false").all()
    table, gap = detection_details.reliability(light)
    assert 0 < gap < 1
    assert "of 24 boxes, 0.00" in detection_scores_reading.calibration(table, gap)
    budgets = {each: detection.detectors(found, each) for each in detection.BUDGETS}
    curves = detection_details.training(budgets)
    assert curves.loc[curves["row"] == RETINA, "minutes"].max() == pytest.approx(0.5)
    ends = detection_details.costs(budgets)
    said = detection_scores_reading.cost(ends)
    assert "light SSD, equal CPU time: 1.0 core-minutes" in said
    assert "RetinaNet, as long as affordable: 10.0 core-minutes" in said


def test_views_without_a_mass(found):
    changed, tests = detection_comparison.changes(found)
    assert list(changed) == [detection_comparison.UNCHANGED, detect_recipes.NO_NEGATIVES]
    table = detection_comparison.mass_free(changed).set_index("row")
    first, other = table.iloc[0], table.iloc[1]
    assert (first["free"], first["held"], first["clean"], first["views"]) == (1, 1, 0, 4)
    assert np.isnan(first["difference"])
    # two false boxes a view: 1 a view on validation is reached with those of the first score
    assert (other["free"], other["difference"]) == (1, 0)
    said = detection_reading.mass_free(table.reset_index())
    assert said.startswith("Unchanged, it lays 1.00 [1.00, 1.00] false boxes on a mass-free view")
    assert "Library's loss: nothing learnt from mass-free views: 1.00" in said
    assert "mean sensitivity +0.00 [+0.00, +0.00]" in detection_reading.ablations(tests)
    assert "not on record" in detection_reading.mass_free(pd.DataFrame())
    none = table.reset_index().assign(views=0)
    assert detection_comparison.printed_mass_free(none).empty
    assert "No test view of this cohort is without a mass" in detection_reading.mass_free(none)


def test_meaning_names_the_prior_box_and_the_best(found):
    head = detection.with_prior(found, HEAD)
    groups = {each: detection.with_prior(found, each) for each in detection.BUDGETS}
    priors = detection_comparison.against_prior(found, groups | {HEAD: head})
    tables = {each: detection.summary(rows) for each, rows in groups.items()}
    said = detection_reading.meaning(detection.summary(head), priors, tables, head)
    assert "Over 3 folds the light SSD less the prior box" in said
    assert "It beats the box." in said
    assert "As long as affordable, the highest sensitivity" in said
    assert "of RetinaNet." in said
    assert "not reported" in said


def test_budgets_name_what_each_detector_gets(found):
    row = detection_trainings.anchors(
        detection.named(COHORT, PRESET)[LONG][LIGHT][0], found[LONG][LIGHT]
    )
    assert row == "the training masses', 5 to 20 % of the side"
    named = detection.named(COHORT, PRESET)[LONG]
    assert detection_trainings.anchors(named[SSD300][0], []) == "the library's"
    assert detection_trainings.anchors(named[FCOS][0], []) == "none"
    assert '"Equal CPU time" gives each' in detection_reading.budget(PRESET)
    assert "seconds" not in detection_reading.budget("smoke")
    assert detect_recipes.SSD300 in detection_trainings.left_out("phantom", "quick")
    assert detection_trainings.left_out(COHORT, PRESET) == []


@pytest.mark.parametrize(
    ("longer", "said", "converged"),
    [
        (3, "1.000 on validation against 1.000: more training did not help", "light SSD"),
        (2, "1.000 on validation against 0.500: more training helped", "none"),
    ],
)
def test_a_training_twice_as_long_is_set_beside_the_long_one(
    write_detection, longer, said, converged
):
    """Validation holds two patients: three found of test are both of them, one is half."""
    groups = detection.named(COHORT, PRESET)
    write_detection(groups[EQUAL][LIGHT][0], found=1)
    write_detection(groups[LONG][LIGHT][0], found=longer if longer == 3 else 1, seconds=60)
    write_detection(groups[LONGER][LIGHT][0], found=3, seconds=600)
    found = detection.records(COHORT, PRESET)
    table = detection_trainings.trainings(found)
    assert list(table["group"]) == [EQUAL, LONG, LONGER]
    assert list(table["iterations"]) == [750, 1800, 3600]
    assert list(table["minutes"]) == [2, 1, 10]
    assert set(table["masses"]) == {2}
    text = detection_scores_reading.longer(table)
    assert f"3600 steps instead of 1800 give a mean sensitivity of {said}" in text
    assert text.endswith(f'Converged in the budget "{LONG}": {converged}.')
    assert len(detection_trainings.printed_trainings(table)) == 3
    only = detection_scores_reading.longer(table[table["group"] == EQUAL])
    assert only == "No training twice as long is on record."


def test_the_published_ssd_is_set_against_the_prior_box(write_detection):
    groups = detection.named(COHORT, PRESET)
    for spec in groups[HEAD][PRIOR_ROW]:
        write_detection(spec)
    write_detection(groups[LONG][SSD300][0], found=0)
    write_detection(groups[LONG][detect_recipes.SSD300_NORM][0], found=4)
    found = detection.records(COHORT, PRESET)
    priors = detection_comparison.against_prior(found, {LONG: detection.with_prior(found, LONG)})
    table = detection_trainings.trainings(found)
    said = detection_scores_reading.published_ssd(table, priors).splitlines()
    assert said[0].startswith("SSD300 as published, without batch norm, does not beat the prior")
    assert "the 90 steps from scratch (2 core-minutes)" in said[0]
    assert said[1].startswith("SSD300 with batch norm beats the prior box with the 800 steps")
    assert detection_scores_reading.published_ssd(table[:0], priors) == ""


def test_views_without_a_mass_teach_only_where_they_are_shown_and_counted():
    spec = detection.named(COHORT, PRESET)[LONG][LIGHT][0]
    assert detection_trainings.learns_from_mass_free(spec)
    for change in ({"training__mass_free": False}, {"detector__negatives_on_empty": False}):
        assert not detection_trainings.learns_from_mass_free(spec.changed(**change))


@pytest.mark.slow
def test_a_small_budget_table():
    groups = detection.named("phantom", "smoke")
    found = {group: {name: [] for name in rows} for group, rows in groups.items()}
    table = detection_trainings.budgets(found, "phantom", "smoke").set_index("detector")
    assert table.loc[LIGHT, "input"] == "96 px, letterbox"
    assert float(table.loc[LIGHT, "weights, million"]) < 2
    assert table.loc[LIGHT, f"steps, {LONG}"] == "4"
    assert table.loc[detect_recipes.LITE, f"steps, {LONG}"] == "–"


def test_views_are_chosen_by_rule(write_detection):
    spec = detection.named(COHORT, PRESET)[HEAD][LIGHT][0]
    light = detection_judged.Judged(LIGHT, (write_detection(spec, found=3),))
    picks = detection_examples.chosen(light).set_index("rule")
    assert picks.loc["hit of the highest score", "view"] == "t0-0-mass"
    assert picks.loc["hit of the lowest score", "view"] == "t0-2-mass"
    assert picks.loc["largest mass missed", "view"] == "t0-3-mass"
    assert picks.loc["surest false positive beside a mass", "view"] == "t0-0-mass"
    assert picks.loc["surest false positive, mass-free view", "view"] == "t0-0-free"
    assert picks.index[-1] == "drawn by seed 0"


def test_pictures_show_the_boxes_of_their_view(write_detection, monkeypatch):
    spec = detection.named(COHORT, PRESET)[HEAD][LIGHT][0]
    light = detection_judged.Judged(LIGHT, (write_detection(spec, found=3),))
    picks = detection_examples.chosen(light)
    monkeypatch.setattr(detection_examples, "at_hand", lambda cohort: None)
    assert detection_examples.pictures(light, picks) == []
    names = [str(name) for name in light.views["view"]]
    manifest = pd.DataFrame({"image": names})
    cohort = SimpleNamespace(manifest=manifest, image=lambda row: np.zeros((1280, 1280), "float32"))
    boxes = tuple(np.array([[40, 60, 80, 100]], float) if "mass" in n else [] for n in names)
    views = SimpleNamespace(names=names, table=pd.DataFrame({"image": names}), boxes=boxes)
    monkeypatch.setattr(detection_examples, "at_hand", lambda name: cohort)
    monkeypatch.setattr(detection_examples, "views_of", lambda cohort: views)
    shown = {each.title: each for each in detection_examples.pictures(light, picks)}
    best = shown["hit of the highest score"]
    assert best.image.shape == (640, 640)
    assert best.masses == ((20, 30, 40, 50),)
    assert best.found[best.focus].outcome == "hit"
    assert best.found[best.focus].edges == (20, 30, 40, 50)
    assert [each.outcome for each in best.found] == ["hit", "false"]
    missed = shown["largest mass missed"]
    assert (missed.of_mass, missed.focus) == (True, 0)
    assert shown["drawn by seed 0"].focus is None


def test_the_notebook_says_what_it_must():
    text = (project_root() / "book" / "chapters" / "detection.ipynb").read_text()
    for said in ("IoU at least 0.25", "False positive", "not reported", "converged", "prior box"):
        assert said in text
    assert not re.search(r"/(work|tmp)/", text)


def test_ablations_are_never_set_against_another_budget(write_detection):
    groups = detection.named(COHORT, PRESET)
    write_detection(groups[HEAD][LIGHT][0])
    write_detection(groups[ABLATED][detect_recipes.NO_NEGATIVES][0])
    assert detection_comparison.changes(detection.records(COHORT, PRESET))[0] == {}


def test_the_prior_box_stands_without_a_detector(write_detection):
    for spec in detection.named(COHORT, PRESET)[HEAD][PRIOR_ROW]:
        write_detection(spec)
    found = detection.records(COHORT, PRESET)
    assert detection.with_prior(found, EQUAL)[PRIOR_ROW].folds == (0,)
    assert detection.with_prior(found, HEAD)[PRIOR_ROW].folds == (0, 1, 2)


def test_more_training_that_helped_leaves_neither_budget_converged(monkeypatch) -> None:
    """Control: the same records without the larger budget's gain are called converged."""
    gain = {"helped": True}
    monkeypatch.setattr(detect_convergence, "more_helped", lambda one, other: gain["helped"])
    monkeypatch.setattr(detect_convergence, "validated", lambda each: reached.get(each.key, 0.5))
    reached: dict[str, float] = {}

    def record(key: str) -> SimpleNamespace:
        return SimpleNamespace(key=key, status="completed", converged=True)

    short, long = record("short"), record("long")
    found = {
        detect_recipes.EQUAL: {detect_recipes.FCOS: [short]},
        detect_recipes.LONG: {detect_recipes.FCOS: [long], detect_recipes.LIGHT: [record("l")]},
    }
    groups = {budget: detection.detectors(found, budget) for budget in found}
    assert {rows[detect_recipes.FCOS].settled for rows in groups.values()} == {"no"}
    assert groups[detect_recipes.LONG][detect_recipes.LIGHT].settled == "yes"
    gain["helped"] = False
    assert detection.detectors(found, detect_recipes.LONG)[detect_recipes.FCOS].settled == "yes"
    reached["long"] = 0.049  # next to nothing is found
    assert detection.detectors(found, detect_recipes.LONG)[detect_recipes.FCOS].settled == "no"
