import runpy
from pathlib import Path

import pytest

from mammostudy.figures import data as figures
from mammostudy.study import data, fingerprint


def test_a_fingerprint_counts_what_is_there(tmp_path, own_store, write_cohort, monkeypatch):
    monkeypatch.setenv("MAMMOSTUDY_DATA", str(tmp_path))
    content = fingerprint.fingerprint(write_cohort(tmp_path).name)
    assert (content["masses"], content["patients"], content["images"]) == (13, 6, 13)
    assert content["images_without_mass"] == 1
    assert content["masses_an_image"] == {"1": 11, "2": 1}
    assert sum(content["diameter_share"]["masses"]) == 13
    for row in content["splits"]:
        assert sum(row["strata"].values()) == row["masses"]
    for shares in content["frame_intensity"].values():
        assert sum(shares) == pytest.approx(1, abs=1e-3)
    assert data.counts_table(content).query("by == 'view'")["masses"].sum() == 13
    assert data.split_table(content, "quick")["masses"].sum() == 13
    assert data.sharing_table(content)["images with so many"].sum() == 12


COUNTED = pytest.mark.parametrize("cohort", ["cdd-cesm", "cdd-cesm-cm"])


@COUNTED
def test_what_the_exclusions_leave_is_what_is_studied(cohort):
    table, content = data.exclusions(cohort), fingerprint.read_committed(cohort)
    left = [table.iloc[-1][name] for name in ("left", "images", "patients")]
    assert left == [content[name] for name in ("masses", "images", "patients")]
    named = table.set_index("leaves")["regions"].iloc[2:-1].astype(int)
    assert {rule: content["dropped"][rule] for rule in named.index} == named.to_dict()
    assert table["left"].iloc[1] - named.sum() == content["masses"]


@pytest.mark.slow  # it draws every outline
@COUNTED
def test_the_committed_exclusions_are_those_of_the_data(cohort, real_data):
    tool = runpy.run_path(str(Path(__file__).parents[2] / "tools" / "count_exclusions.py"))
    counted, table = tool["count"](cohort), data.exclusions(cohort)
    assert counted.to_csv(index=False) == table.convert_dtypes().to_csv(index=False)


def test_the_diagram_says_what_is_left_after_each_rule():
    table = data.exclusions("cdd-cesm")
    said = [text.get_text() for text in figures.exclusions(table).axes[0].texts]
    assert "285 masses, 117 images, 71 patients" in said
    assert len([text for text in said if text]) == 2 * (len(table) - 1) - 1
    assert figures.exclusions(data.exclusions("phantom")) is None  # it was not counted
