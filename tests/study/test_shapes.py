import numpy as np
import pandas as pd
import pytest

from mammostudy.study import (
    published,
    recipes,
    shape_recipes,
    shape_tables,
    shapes,
    shapes_comparison,
    shapes_examples,
    shapes_reading,
    shapes_sources,
    shapes_sources_reading,
)

COHORT, PRESET = "phantom", "reference"
CLASSES = shape_recipes.classes_of(COHORT)
REAL = "cdd-cesm"


def write_some(write_shape, cohort=COHORT, **paper):
    """Paper's CNN with one mistake a class (of four masks), study's with none, and others."""
    groups = shapes.named(cohort, PRESET)
    tools = bool(groups["tools"])
    for spec in groups["headline"][shapes.PAPER]:
        write_shape(spec, **{"wrong": 1, "tools": tools} | paper)
    for spec in groups["headline"][shapes.STUDY]:
        write_shape(spec, wrong=0, converged=spec.split.fold != 1, tools=tools)
    for spec in groups["alternatives"][shapes.FOREST]:
        write_shape(spec, wrong=2, tools=tools)
    for spec in groups["alternatives"]["majority"]:
        write_shape(spec, wrong=3, tools=tools)
    for spec in groups["ablations"]["no class weights"][:1]:
        write_shape(spec, wrong=2, tools=tools)
    for name, specs in groups["cross"].items():
        for spec in specs[:2]:
            write_shape(spec, wrong=0 if name.startswith("truth") else 1, missed=1)
    for name, specs in groups["tools"].items():
        for spec in specs:
            write_shape(spec, wrong=1, tools=name != "tool")
    return shapes.records(cohort, PRESET)


def test_every_run_is_asked_for_once_and_every_recipe_has_a_version():
    groups = shapes.named(COHORT, PRESET)
    assert tuple(groups) == ("headline", "alternatives", "ablations", "cross", "tools")
    specs = shapes.specs(COHORT, PRESET)
    assert len(specs) == len(set(specs))
    assert groups["headline"][shapes.PAPER][0] in specs
    assert shapes.FOREST in groups["alternatives"]
    assert set(shapes.BLIND) <= set(groups["alternatives"])
    from mammostudy.runs.versions import recipe_version

    assert all(recipe_version(name) >= 1 for name in shapes.RECIPES)


def test_published_facts_are_the_papers():
    said = shapes_reading.published_claim()
    assert "767,684 parameters" in said
    assert "0.568 for irregular, 0.595 for lobular, 0.902 for oval and 0.935 for round" in said
    assert "accuracy of 75.7 %** (221 of 292)" in said
    assert "macro recall of 80.0 %**" in said
    table = shapes.published_scores().set_index("method")
    assert table.loc["proposed", "printed as accuracy, %"] == 80
    assert table.loc["proposed", "accuracy of its matrix, %"] == pytest.approx(75.68, abs=0.01)
    assert table.drop(index="proposed")["accuracy of its matrix, %"].isna().all()
    assert table["data"].str.contains("DDSM").all()
    assert len(shapes.architecture()) == 5


def test_scores_by_hand(write_shape):
    found = write_some(write_shape)
    summary = shapes.summary(found, CLASSES).set_index("row")
    assert summary.loc[shapes.PAPER, "accuracy"] == pytest.approx(0.75)
    assert summary.loc[shapes.STUDY, "macro_recall"] == pytest.approx(1)
    assert summary.loc[shapes.STUDY, "converged"] == "4 of 5"
    assert summary.loc[shapes.FOREST, "converged"] == "no epochs"
    assert summary.loc["majority", "learnt"] == "nothing"
    assert summary.loc[shapes.PAPER, "folds"] == 5
    expected = shapes.expected(COHORT, PRESET)
    wide = shapes.printed_summary(summary.reset_index(), expected).set_index("classifier")
    assert list(wide.index) == expected
    assert wide.loc[shapes.PAPER, "accuracy"].startswith("0.750 [")
    assert wide.loc["small ResNet", "accuracy"] == "not run"
    assert "small ResNet (alternatives)" in shapes.absent(found, COHORT, PRESET)


def test_comparisons_by_hand(write_shape):
    found = write_some(write_shape)
    rows = shapes.compared(found)
    tests = shapes_comparison.tests(rows, CLASSES).set_index("b")
    # of each class's two patients one has three masks, the other one, which nobody gets wrong
    assert tests.loc[shapes.STUDY, "difference"] == pytest.approx(-(1 / 3) / 2)
    assert tests.loc[shapes.FOREST, "difference"] == pytest.approx((1 / 3) / 2)
    assert tests.loc[shapes.STUDY, "macro"] == pytest.approx(-0.25)
    assert (tests["p_holm"] >= tests["p_permutation"]).all()
    changes = shapes_comparison.ablations(found, CLASSES).set_index("b")
    assert changes.loc["no class weights", "macro"] == pytest.approx(-0.25)
    assert changes.loc["no class weights", "masks"] == 4 * len(CLASSES)  # one fold of it
    assert changes.loc["no class weights", "folds"] == 1
    wide = shapes_comparison.printed_tests(changes.reset_index(), "changed")
    assert wide.loc[0, "macro recall, difference"].startswith("-0.250 [")
    assert "accuracy, difference" in wide
    assert "It falls with no class weights (-0.250" in shapes_reading.ablations(
        changes.reset_index()
    )


def test_recalls_and_counts(write_shape):
    found = write_some(write_shape)
    rows = shapes.compared(found)
    table = shapes.recall_table({shapes.PAPER: rows[shapes.PAPER]}, CLASSES)
    wide = shapes.printed_recalls(table).set_index("class")
    assert list(wide.index) == list(CLASSES)
    assert wide.loc["oval", "masks"] == 20
    assert wide.loc["oval", f"recall, {shapes.PAPER}"].startswith("0.750 [")
    counts = shapes_sources.class_counts(rows[shapes.PAPER], CLASSES).set_index("class")
    assert counts.loc["all", "masks"] == 80
    assert counts.loc["oval", "patients"] == 10
    assert list(counts.columns) == ["masks", "patients"]


def test_curves_have_a_line_a_fold(write_shape):
    curves = shapes.curves(write_some(write_shape))
    assert set(curves["row"]) == {shapes.PAPER, shapes.STUDY}
    assert set(curves["fold"]) == set(range(5))
    assert curves["validation_macro_recall"].max() == pytest.approx(0.7)


def test_round_and_oval(write_shape):
    rows = shapes.compared(write_some(write_shape))
    crossed, among = shapes_sources.round_oval_mistakes(rows[shapes.PAPER])
    assert (crossed, among) == (5, 40)  # one oval a fold is called round
    said = shapes_reading.matrices(rows)
    assert f"The {shapes.PAPER} calls 5 of 40 round or oval masks" in said
    assert "by one name" not in said
    stuck = rows[shapes.PAPER]
    rows[shapes.PAPER] = stuck.assign(
        predicted=stuck["predicted"].where(stuck["fold"] > 1, "irregular")
    )
    said = shapes_reading.matrices(rows)
    assert f"In 2 of 5 folds the {shapes.PAPER} calls every mask by one name" in said


def test_cross_table_by_hand(write_shape):
    found = write_some(write_shape)
    table = shapes_sources.cross_table(found["cross"], CLASSES)
    pairs = table.set_index(["trained", "tested"])
    assert pairs.loc[("truth, random forest", "truth"), "macro_recall"] == 1
    assert pairs.loc[("truth, random forest", "segmenter"), "missed"] == 2
    assert pairs.loc[("truth, random forest", "segmenter"), "accuracy"] == pytest.approx(15 / 16)
    said = shapes_sources_reading.cross(table, phantom=True)
    assert "Trained on truth, random forest: macro recall 1.000 on masks of the same source" in said
    assert "separable by construction" in said
    assert "separable" not in shapes_sources_reading.cross(table, phantom=False)
    assert "No table of training" in shapes_sources_reading.cross(table.iloc[:0], phantom=False)


def test_the_rule_of_the_tool_looks_at_other_folds_only():
    content = {
        "case": ["a", "b", "c", "d", "e", "f"],
        "patient": ["a", "b", "c", "d", "e", "f"],
        "tool": ["circle", "polygon", "circle", "polygon", "circle", "ellipse"],
        "label": ["round", "irregular", "oval", "irregular", "oval", "round"],
        "predicted": "oval",
        "right": False,
        "missed": False,
        "fold": [0, 0, 1, 1, 2, 2],
    }
    rows = shapes_sources.tool_rule(pd.DataFrame(content)).set_index("case")
    # fold 0: circles elsewhere are oval; fold 1: one round, one oval, the first by name; fold 2:
    # ellipses are unknown elsewhere, so the commonest shape elsewhere
    assert rows["predicted"].tolist() == [
        "oval", "irregular", "oval", "irregular", "oval", "irregular",
    ]  # fmt: skip
    assert rows.loc["b", "right"]
    one = pd.DataFrame(content).assign(fold=0)
    assert shapes_sources.tool_rule(one).empty
    assert shapes_sources.tool_rule(pd.DataFrame(content).assign(tool="")).empty


def test_tools_of_the_real_cohort(write_shape):
    found = write_some(write_shape, REAL)
    classes = shape_recipes.classes_of(REAL)
    assert classes == ("irregular", "oval", "round")
    table = shapes_sources.tool_table(found["tools"], classes).set_index(["trained", "tested"])
    assert "tool" not in table.index.get_level_values("trained")
    row = table.loc[("polygon only", "polygon")]
    assert row["cases"] == 2 * 3 * 5  # two of four masks a class and fold
    assert row["behind"] == "10 irregular, 10 oval, 10 round"
    scored = shapes_sources.tool_scores(found["tools"], classes).set_index("row")
    assert scored.loc["tool from the mask", "accuracy"] == pytest.approx(0.75)
    # every shape is drawn with every tool equally often: the tool tells one of three
    assert scored.loc["shape from the tool alone", "macro_recall"] == pytest.approx(1 / 3)
    said = shapes_sources_reading.tools(scored.reset_index(), table.reset_index())
    assert "the tool alone earns 0 % of what the CNN does" in said
    short = shapes_sources_reading.tools_meaning(scored.reset_index(), table.reset_index())
    assert "among polygons, the same CNN's macro recall is 0.500 (patients: 10 irr" in short
    assert shapes_sources_reading.tools_meaning(scored.iloc[:0], table.iloc[:0]) == ""
    assert "Trained on polygon only, tested on polygons: macro recall 0.500" in said
    assert found["cross"] == {}
    assert shapes.left_out(REAL, PRESET) == "Left out for want of pixels: CNN on the grey ROI."
    assert "CNN on the grey ROI" not in shapes.expected(REAL, PRESET)


def test_who_is_classified_is_said(write_shape):
    rows = shapes.compared(write_some(write_shape, REAL))[shapes.PAPER]
    classes = shape_recipes.classes_of(REAL)
    pixels = shapes_sources.with_pixels(REAL)  # from the committed fingerprint
    said = shapes_sources_reading.who(rows, classes, {"two labels": 1200}, pixels)
    assert "60 masks of 30 patients in 5 test folds" in said
    assert "know no lobular masses" in said
    assert "1,200 (two labels)" in said
    assert f"{max(pixels.values())} of {sum(pixels.values())} are irregular" in said
    assert "nothing to tell apart" in shapes_sources_reading.who(rows, (), {}, {})


def test_placement_takes_the_aspect_away():
    agreement = shapes_examples.placement_agreement(shapes_examples.placements())
    table = agreement.set_index("oval")
    assert table.loc["2:1 oval, level", "stretch"] > 0.98
    assert table.loc["2:1 oval, level", "square"] < 0.75
    assert table.loc["2:1 oval, tilted", "stretch"] < 0.85  # only a level oval is a circle
    assert f"{table.loc['2:1 oval, level', 'square']:.3f}" in shapes_reading.placement(agreement)


def test_confusions_are_picked_by_rule(write_shape):
    rows = shapes.compared(write_some(write_shape))[shapes.PAPER]
    chosen = shapes_examples.confusion_cases(rows, CLASSES, kinds=2, each=3)
    assert chosen["masks"].tolist() == [5] * 6
    kinds = list(dict.fromkeys(zip(chosen["label"], chosen["predicted"], strict=True)))
    assert kinds == [("irregular", "lobular"), ("lobular", "oval")]
    assert rows.set_index("case").loc[chosen["case"], "patient"].nunique() == 6


def test_what_an_explaining_run_kept(write_shape, monkeypatch):
    found = write_some(write_shape)["headline"]
    walk = shapes_examples.walk(found[shapes.STUDY])
    assert walk.probabilities.shape[1:] == (7, 4)
    assert [name for name, _ in walk.switches()]
    assert shapes_examples.walk(found[shapes.PAPER]) is None
    monkeypatch.setattr(shapes_examples, "placed_masks", lambda spec, cases: {})
    assert shapes_examples.occlusions(found[shapes.STUDY]) == []
    embedded = shapes_examples.embedding_map(found[shapes.STUDY])
    assert len(embedded.points) == 16
    assert embedded.points["part"].value_counts().to_dict() == {"test": 15, "train": 1}
    assert embedded.explained[0] > 0.5
    assert embedded.masks == {}
    masks = dict.fromkeys(embedded.points["case"], np.eye(64, dtype=bool))
    monkeypatch.setattr(shapes_examples, "placed_masks", lambda spec, cases: masks)
    shown = shapes_examples.occlusions(found[shapes.STUDY])
    assert [each.label for each in shown] == ["irregular"] * 2
    assert shown[0].fall.shape == (64, 64)


def test_reading_speaks_from_the_tables(write_shape):
    said = _meaning(write_some(write_shape))
    assert f"The {shapes.PAPER} reaches an accuracy of 0.750" in said
    assert "have not" not in said
    assert f"minus that of the {shapes.FOREST}: +0.167" in said
    assert "the interval lies above 0" in said
    assert "differ by +0.0 points here, by +4.3 in the paper's matrix" in said
    assert "The hardest class" in said


def test_control_other_records_are_read_otherwise(write_shape):
    said = _meaning(write_some(write_shape, wrong=3, converged=False))
    assert f"The {shapes.PAPER} reaches an accuracy of 0.250" in said
    assert "the interval lies below 0" in said
    assert f"Training had not converged for {shapes.PAPER}:" in said


def _meaning(found):
    rows = shapes.compared(found)
    tests = shapes_comparison.tests(rows, CLASSES)
    return shapes_reading.meaning(rows, shapes.summary(found, CLASSES), tests, CLASSES)


@pytest.mark.usefixtures("write_shape")
def test_without_records_everything_says_not_run():
    found = shapes.records(COHORT, PRESET)
    rows, nobody = shapes.compared(found), shape_tables.pooled([])
    summary = shapes.summary(found, CLASSES)
    assert rows == {}
    expected = shapes.expected(COHORT, PRESET)
    assert set(shapes.printed_summary(summary, expected)["accuracy"]) == {"not run"}
    tests = shapes_comparison.tests(rows, CLASSES)
    assert shapes_comparison.printed_tests(tests, "b").empty
    assert shapes_comparison.ablations(found, CLASSES).empty
    assert shapes.curves(found).empty
    assert shapes.recall_table({}, CLASSES).empty
    assert shapes.printed_recalls(shapes.recall_table({}, CLASSES)).empty
    assert shapes_sources.cross_table(found["cross"], CLASSES).empty
    assert shapes_sources.tool_scores(found["tools"], CLASSES).empty
    assert shapes_examples.walk([]) is None
    assert shapes_examples.occlusions([]) == []
    assert shapes_examples.embedding_map([]) is None
    assert shapes_examples.confusion_cases(nobody, CLASSES).empty
    assert "No run" in _meaning(found)
    assert "No run" in shapes_sources_reading.who(nobody, CLASSES, {}, {})
    assert shapes_reading.matrices(rows) == ""
    assert shapes_reading.against(tests) == ""


def test_titles_are_known():
    assert recipes.cohort_title(COHORT) == "Phantom"
    assert set(CLASSES) == set(published.SHAPES)
