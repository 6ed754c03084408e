import numpy as np
import pytest

from mammostudy.study import data, fingerprint
from mammostudy.study.losses import fields


def test_grid_changes_one_thing_a_row():
    runs = data.ablations("cdd-cesm", "reference")
    main = runs[data.PUBLISHED][0]
    assert list(runs) == [
        "as published", "no denoising", "no equalisation", "neither", "64 px", "256 px",
    ]  # fmt: skip
    assert fields(main, runs["no denoising"][0]) == "preprocessing.denoise_sigma"
    assert fields(main, runs["64 px"][0]) == "frame.size, model.levels"
    assert data.specs("phantom", "quick") == []


@pytest.fixture
def tiny(tmp_path, own_store, write_cohort, monkeypatch):
    monkeypatch.setenv("MAMMOSTUDY_DATA", str(tmp_path))
    return write_cohort(tmp_path).name


def test_a_fingerprint_counts_what_is_there(tiny):
    content = fingerprint.fingerprint(tiny)
    assert (content["masses"], content["patients"], content["images"]) == (13, 6, 13)
    assert content["images_without_mass"] == 1
    assert content["masses_an_image"] == {"1": 11, "2": 1}
    assert sum(content["diameter_share"]["masses"]) == 13
    for row in content["splits"]:
        assert sum(row["strata"].values()) == row["masses"]
    for shares in content["frame_intensity"].values():
        assert sum(shares) == pytest.approx(1, abs=1e-3)
    assert data.overview(content)["number"].tolist()[:4] == ["13", "1", "13", "6"]
    assert data.counts_table(content).query("by == 'view'")["masses"].sum() == 13
    assert data.split_table(content, "quick")["masses"].sum() == 13
    assert data.sharing_table(content)["images with so many"].sum() == 12
    assert data.paper_table(content)["masses"].tolist() == [220, 80, 106, 13]


def test_the_committed_one_stands_in_for_the_data(monkeypatch):
    monkeypatch.delenv("MAMMOSTUDY_DATA", raising=False)
    content = fingerprint.fingerprint("cdd-cesm")
    greys = data.grey_table(content)
    assert list(dict.fromkeys(greys["step"])) == list(fingerprint.STEPS)
    assert data.dropped_table(content)["dropped"].is_monotonic_decreasing


def test_examples_are_picked_by_rule(tiny):
    examples = data.examples(tiny)
    assert all(picture.dtype == np.uint8 for picture in examples.values())
    assert list(data.steps_of(tiny, 64)) == list(fingerprint.STEPS)
