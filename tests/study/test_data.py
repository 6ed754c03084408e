import pytest

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
