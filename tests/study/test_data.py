import json

import numpy as np
import pandas as pd
import pytest

from mammostudy.data.cohort import Cohort
from mammostudy.data.manifest import read_manifest
from mammostudy.data.sources.phantom import write_phantom
from mammostudy.errors import DataError
from mammostudy.study import data, fingerprint, recipes, words
from mammostudy.study import data_reading as reading


@pytest.fixture(scope="module")
def phantom(tmp_path_factory):
    folder = tmp_path_factory.mktemp("phantom") / "phantom"
    write_phantom(folder, patients=12, seed=1)
    return Cohort("phantom", folder, read_manifest(folder / "manifest.csv"))


@pytest.fixture
def content(phantom):
    return fingerprint.measure(phantom)


def test_counts_add_up(phantom, content):
    masses = phantom.masses
    assert content["masses"] == len(masses)
    table = data.counts_table(content)
    totals = table.groupby("by")["masses"].sum()
    assert set(totals.index) == set(fingerprint.COUNTED)
    assert set(totals) == {len(masses)}
    north = table[(table["by"] == "site") & (table["value"] == "north")].iloc[0]
    assert north["patients"] == masses.loc[masses["site"] == "north", "patient"].nunique()
    assert sum(content["diameter_share"]["masses"]) == len(masses)


def test_sizes_are_those_of_the_disc_of_equal_area(phantom, content):
    shares = []
    for case, row in phantom.masses.iterrows():
        area = np.count_nonzero(phantom.mask(case))
        shares.append(np.sqrt(4 * area / np.pi) / max(row["height"], row["width"]))
    assert content["diameter_share"]["median"] == pytest.approx(np.median(shares), abs=1e-4)


def test_splits_hold_every_mass_once_in_a_fold(content):
    split = recipes.recipe("phantom", "smoke").split
    table = pd.DataFrame(content["splits"])
    assert set(table.groupby("fold")["masses"].sum()) == {content["masses"]}
    assert len(table) == 3 * split.folds
    shown = data.split_table(content, "phantom", "quick")
    assert shown["fold"].unique().tolist() == [0]
    shares = shown.filter(like="%").sum(axis=1)
    assert shares.tolist() == pytest.approx([100] * 3)


def test_grey_histograms_are_shares(content):
    table = data.grey_table(content)
    assert table.groupby("step")["share"].sum().tolist() == pytest.approx([100] * 4, abs=0.1)
    equalised = table[table["step"] == "equalised"]["share"]
    assert equalised.max() < table[table["step"] == "framed and resized"]["share"].max()


def test_fingerprint_holds_counts_and_no_row(phantom, content):
    text = json.dumps(content)
    assert not [case for case in phantom.masses["case"] if case in text]
    assert not [image for image in phantom.manifest["image"] if image in text]


def test_examples_follow_their_rule():
    masses = pd.DataFrame(
        {"x_min": 0, "y_min": 0, "x_max": [9, 1, 5], "y_max": [9, 1, 5]}, index=["big", "s", "mid"]
    )
    assert data.typical_case(masses) == "mid"


def test_without_data_the_committed_fingerprint_serves(monkeypatch, tmp_path):
    monkeypatch.delenv("MAMMOSTUDY_DATA", raising=False)
    assert data.fingerprint("cdd-cesm")["masses"] > 0
    assert data.mammograms("cdd-cesm") == {}
    assert data.steps_of("cdd-cesm") == {}
    assert "MAMMOSTUDY_DATA" in words.no_images("cdd-cesm")
    monkeypatch.setattr(fingerprint, "results_root", lambda: tmp_path)
    with pytest.raises(DataError, match="cdd-cesm"):
        data.fingerprint("cdd-cesm")


def test_committed_fingerprint_is_that_of_the_data(real_data, monkeypatch, tmp_path):
    if not (real_data / "cdd-cesm").is_dir():
        pytest.skip("no cdd-cesm in MAMMOSTUDY_DATA")
    committed = json.loads(fingerprint.committed("cdd-cesm").read_text())
    monkeypatch.setattr(fingerprint, "results_root", lambda: tmp_path)
    again = json.loads(data.write_fingerprint("cdd-cesm").read_text())
    assert again == committed


def test_small_presets_show_no_ablation_and_say_where_it_is():
    assert data.ablations("phantom", "quick") == {}
    assert data.specs("phantom", "quick") == []
    assert "second part" in reading.ablation_note("quick")
    assert reading.ablation_note("reference") == ""
    shown = reading.ablation_page({}, "cdd-cesm", "reference")
    assert set(shown["input size"]["Dice, frame"]) == {"not run"}
    assert shown["input size"]["input size"].tolist() == ["64 px", "128 px", "256 px"]


def test_ablation_tests_are_paired_with_the_papers_own_row():
    rows = pd.DataFrame(
        {
            "row": np.repeat(["as published", "neither"], 4),
            "case": list("abcd") * 2,
            "patient": list("aabb") * 2,
            "replicate": 0,
            "dice_image": [0.8, 0.8, 0.6, 0.6, 0.7, 0.7, 0.4, 0.4],
        }
    )
    table = data.ablation_tests(rows, "as published")
    assert table["comparison"].tolist() == ["neither - as published"]
    assert table["difference"].iloc[0] == pytest.approx(-0.15)
    assert table["patients"].iloc[0] == 2
    assert "worse" in reading._effect("x", table.iloc[0].to_dict())
    assert data.ablation_tests(rows[rows["row"] == "neither"], "as published").empty


def test_meaning_counts(content):
    text = reading.meaning(content, "phantom", "smoke", {})
    assert words.count(content["masses"], "mass") in text


@pytest.mark.parametrize(
    ("n", "noun", "said"),
    [(1, "mass", "1 mass"), (2, "mass", "2 masses"), (1200, "patient", "1,200 patients")],
)
def test_counting_words(n, noun, said):
    assert words.count(n, noun) == said


def test_intervals_and_lists_read_like_sentences():
    assert words.interval(0.01, -0.002, 0.03, scale=100, digits=1) == "+1.0 [-0.2, +3.0]"
    assert "single patient" in words.interval(0.1, -np.inf, np.inf)
    assert words.listed(["a", "b", "c"]) == "a, b and c"
    assert words.p_value(0.0004) == "below 0.001"
    assert words.not_run([]) == ""
