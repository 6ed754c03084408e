"""The chain's tables and words, from records whose numbers can be checked in the head."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from mammostudy.runs.chain_spec import ChainSpec
from mammostudy.runs.record import write_record
from mammostudy.study import (
    chain,
    chain_errors,
    chain_examples,
    chain_reading,
    chain_recipes,
    chain_setting,
)
from mammostudy.study.chain_errors import BOX, CLASSIFIER, DICE, MISSED, SEGMENTATION, SHAPE
from mammostudy.study.chain_recipes import ARMS, ELLIPSE, PAPER, PRIOR, STUDY

MASSES = {  # case: dice from the known box, the shaken one, the detected one (None: missed)
    "a1": (0.9, 0.8, 0.7),
    "a2": (0.8, 0.7, None),
    "b1": (1.0, 0.9, 0.9),
    "c1": (0.9, 0.8, None),
}
SHAPES = {  # case: shape, and what is told from truth, known, shaken and detected box
    "a1": ("oval", "oval", "oval", "round", "oval"),
    "a2": ("round", "round", "oval", "oval", "none"),
    "b1": ("oval", "round", "oval", "oval", "round"),
    "c1": (None, "oval", "oval", "oval", "none"),
}


def chain_rows(gain: float = 0.0) -> pd.DataFrame:
    """Four masses of three patients on three views, one view without a mass."""
    rows = []
    for view, n in {"va": 2, "vb": 1, "vc": 1, "vd": 0}.items():
        counts = {"boxes": 2, "false_boxes": 1, "repeats": 1 if view == "va" else 0}
        rows.append({"row": "view", "view": view, "patient": view[1], "site": "s", "masses": n,
                     "pixels": 1000, **counts})  # fmt: skip
    for case, (known, shaken, detected) in MASSES.items():
        label, *told = SHAPES[case]
        dice = (1.0, known + gain, shaken, 0.0 if detected is None else detected + gain)
        for source, value, shape in zip(chain.SOURCES, dice, told, strict=True):
            found = source != "detected" or detected is not None
            mine = {"found": found, "score": 0.8 if found else None, "iou": 0.6 if found else None}
            rows.append({"row": "mass", "view": f"v{case[0]}", "patient": case[0], "site": "s",
                         "case": case, "source": source, **mine, "dice": value,
                         "truth_pixels": 100, "predicted_pixels": 90 if found else 0,
                         "label": label, "predicted": shape, "probability": 0.5})  # fmt: skip
    for view, painted in {"va": 20, "vd": 60}.items():
        rows.append({"row": "box", "view": view, "patient": view[1], "site": "s", "kind": "false",
                     "score": 0.7, "predicted_pixels": 80, "painted": painted})  # fmt: skip
    return pd.DataFrame(rows).assign(part="test")


@pytest.fixture
def found(tmp_path, monkeypatch):
    """Records of all arms but the paper's, on phantoms; the study's segmenter not converged."""
    monkeypatch.setenv("MAMMOSTUDY_STORE", str(tmp_path))
    monkeypatch.setattr("mammostudy.runs.record.manifest_hash", lambda cohort: None)
    monkeypatch.setattr("mammostudy.runs.record.results_root", lambda: tmp_path / "committed")
    monkeypatch.setattr("mammostudy.study.tables.TRAINED_BY_PAGES", ())
    for arm, listed in chain_recipes.every("phantom", "quick").items():
        if arm != PAPER:
            write(listed[0], gain=0.0 if arm == STUDY else -0.1, open_end=arm == STUDY)
    return chain.records("phantom", "quick")


def write(spec, gain=0.0, open_end=False):
    stage = {"key": "k", "status": "completed", "converged": True}
    content = {
        "spec": spec.model_dump(mode="json"), "key": spec.key("0" * 16),
        "recipe_key": spec.recipe_key(), "manifest_hash": "0" * 16, "status": "completed",
        "converged": None, "curves": [], "provenance": {"commit": "abc"}, "threshold": 0.25,
        "postprocessing": [],
        "stages": {"detector": [stage], "segmenter": [stage | {"converged": not open_end}],
                   "shapes": [stage]},
    }  # fmt: skip
    mask = np.zeros((8, 8), bool)
    mask[2:6, 2:6] = True
    frame = np.array([0, 0, 8, 8])
    return write_record(content, chain_rows(gain), {"a1": (mask, frame), "b1": (mask, frame)})


@pytest.fixture
def masses(found):
    return chain.rows(found, "mass")


def one(table, arm=STUDY, **keys):
    rows = table[table["arm"] == arm]
    for column, value in keys.items():
        rows = rows[rows[column] == value]
    assert len(rows) == 1
    return rows.iloc[0]


def test_missed_masses_count_as_zero(masses):
    table = chain.dice_table(masses)
    assert one(table, source="oracle")["mean"] == pytest.approx(0.9)
    assert one(table, source="jittered")["mean"] == pytest.approx(0.8)
    assert one(table, source="detected")["mean"] == pytest.approx(0.4)
    alone = one(table, source="found")
    assert alone["mean"] == pytest.approx(0.8)
    assert (alone["masses"], alone["patients"]) == (2, 2)
    share = one(chain.found_table(masses))
    assert (share["mean"], share["found"], share["masses"]) == (0.5, 2, 4)


def test_an_arm_that_was_not_run_says_so(found, masses):
    assert chain.absent(found, "phantom", "quick") == [PAPER]
    table = chain.dice_table(masses)
    wide = chain.printed_scores(table, chain.HEADINGS, {})
    assert wide["chain"].tolist() == list(ARMS)
    assert set(wide.iloc[0, 1:]) == {"not run"}
    assert wide.loc[1, "detected box, missed as 0"].startswith("0.400 [")


def test_parts_of_the_dice_error_add_up_mass_by_mass(masses):
    table = chain_errors.parts_of(masses, STUDY, DICE).set_index("case")
    np.testing.assert_allclose(table[[SEGMENTATION, BOX, MISSED]].sum(axis=1), table["error"])
    np.testing.assert_allclose(table[SEGMENTATION], [0.1, 0.2, 0.0, 0.1])
    np.testing.assert_allclose(table[BOX], [0.2, 0.0, 0.1, 0.0], atol=1e-12)
    np.testing.assert_allclose(table[MISSED], [0.0, 0.8, 0.0, 0.9])


def test_parts_of_the_shape_error_add_up_and_may_be_negative(masses):
    table = chain_errors.parts_of(masses, STUDY, SHAPE).set_index("case")
    assert list(table.index) == ["a1", "a2", "b1"]  # the shape of c1 is not known
    parts = [CLASSIFIER, SEGMENTATION, BOX, MISSED]
    np.testing.assert_allclose(table[parts].sum(axis=1), table["error"])
    assert table.loc["b1", parts].tolist() == [1, -1, 1, 0]
    assert table.loc["a2", parts].tolist() == [0, 1, 0, 0]


def test_budget_means_add_up_for_every_arm(masses):
    budget = chain_errors.budget(masses)
    for _, group in budget.groupby(["arm", "measure"]):
        means = group.set_index("part")["mean"]
        assert means.drop("error").sum() == pytest.approx(means["error"])
    assert one(budget, measure=DICE, part="error")["mean"] == pytest.approx(0.6)
    assert one(budget, measure=DICE, part=MISSED)["mean"] == pytest.approx(0.425)
    wide = chain_errors.printed_budget(budget, DICE)
    assert wide["chain"].tolist() == list(ARMS)
    assert wide.loc[1, "sum: 1 - Dice"].startswith("0.600")


def test_shapes_count_where_they_are_known_and_missed_ones_are_wrong(masses):
    table = chain.shape_table(masses)
    assert one(table, source="truth")["mean"] == pytest.approx(2 / 3)
    assert one(table, source="oracle")["mean"] == pytest.approx(2 / 3)
    end = one(table, source="detected")
    assert end["mean"] == pytest.approx(1 / 3)
    assert (end["masses"], end["commonest"]) == (3, pytest.approx(2 / 3))
    assert one(table, source="found")["mean"] == pytest.approx(1 / 2)
    assert "would be right in 0.667" in chain_reading.shapes(table)


def test_false_boxes_are_counted_by_view(found):
    row = chain.false_table(found).set_index("chain").loc[STUDY]
    assert (row["views"], row["without a mass"], row["repeats a view"]) == (4, 1, "0.25")
    assert row["false boxes a view"].startswith("1.00")
    assert row["painted outside masses, % of the view"].startswith("2.000")  # 80 of 4000
    assert "1 was aimed at" in chain_reading.false_boxes(found)


def test_a_chain_with_an_open_end_gets_no_verdict(found, masses):
    tests = chain_errors.comparisons(masses)
    assert tests["b"].tolist() == [PRIOR, ELLIPSE]
    assert tests["difference"].tolist() == pytest.approx([0.05, 0.05], abs=1e-6)  # patients' means
    said = chain_reading.comparisons(tests, found)
    assert said.count("no verdict, as a stage had not converged") == 2
    assert chain_setting.unsettled_arms(found) == {STUDY: "segmenter"}
    assert "study's chain (segmenter)" in chain_reading.convergence(found)
    settled = {arm: listed for arm, listed in found.items() if arm != STUDY}
    assert chain_reading.convergence(settled) == ""
    assert "no verdict" not in chain_reading.comparisons(tests, settled)


def test_words_hold_the_tables_numbers(found, masses):
    dice, budget = chain.dice_table(masses), chain_errors.budget(masses)
    said = chain_reading.ends(dice, chain.found_table(masses))
    assert "finds 2 of 4 masses of 3 patients" in said
    assert "**0.400 [" in said
    assert "1 minus the mean Dice is 0.600: +0.425 by masses that were missed" in (
        chain_reading.budget(budget)
    )
    text = chain_reading.reading(dice, budget, chain.shape_table(masses))
    assert "71 % of it, comes from masses that were missed" in text
    assert "median IoU of 0.60" in chain_reading.boxes(masses)
    setting = chain_reading.setting("phantom", found)
    assert "IoU is at least 0.25" in setting
    assert "fold 0 of 5" in setting
    assert "not reported" in setting


def test_without_a_record_the_page_says_so():
    empty = {arm: [] for arm in ARMS}
    masses = chain.rows(empty, "mass")
    dice, budget = chain.dice_table(masses), chain_errors.budget(masses)
    shape = chain.shape_table(masses)
    wide = chain.printed_scores(dice, chain.HEADINGS, {"found": chain.found_cells(dice)})
    assert wide["chain"].tolist() == list(ARMS)
    assert (wide["masses"] == "not run").all()
    for said in (
        chain_reading.setting("phantom", empty),
        chain_reading.ends(dice, chain.found_table(masses)),
        chain_reading.budget(budget),
        chain_reading.reading(dice, budget, shape),
    ):
        assert said == chain_reading.NOTHING
    assert "nothing to show" in chain_reading.shapes(shape)
    assert chain.false_table(empty).empty
    assert chain_errors.comparisons(masses).empty
    assert chain_setting.stages(empty).empty
    assert chain_reading.boxes(masses) == chain_reading.false_boxes(empty) == ""


def test_examples_are_picked_by_rule(masses):
    chosen = chain_examples.picked(masses)
    assert dict(zip(chosen["rule"], chosen["case"], strict=True)) == {
        "best found": "b1",
        "median found": "a1",
        "largest missed": "a2",
    }


def test_what_the_paper_does_not_report_is_said():
    table = chain_setting.published_numbers().set_index("measure")["published"]
    assert table["Dice, loose frames, INbreast"] == "94.07 %"
    assert (table[["detection", "shape of all masses"]] == "not reported").all()


def test_specs_hold_the_stages_before_the_chains():
    listed = chain.specs("phantom", "quick")
    assert len(listed) == len(set(listed))
    for at, spec in enumerate(listed):
        if isinstance(spec, ChainSpec):
            assert all(run in listed[:at] for run in spec.before)
