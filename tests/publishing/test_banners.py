from __future__ import annotations

import pytest

from mammostudy.errors import MissingDataError
from mammostudy.publishing import banners, needs
from mammostudy.runs.spec import SplitSpec


class Spec:
    cohort = "phantom"

    def recipe_versions(self):
        return {"mammostudy.imaging.preprocessing": 3}


@pytest.fixture
def made(monkeypatch, tmp_path):
    """Two runs, one on record."""
    (tmp_path / "record.json").write_text('{"provenance": {"commit": "abc123"}}')
    records = iter([tmp_path, None])
    found = needs.Needs({"phantom": "m"}, {}, [Spec(), Spec()], {"mammostudy.x.y": 1})
    monkeypatch.setattr(needs.Needs, "record_of", lambda self, spec: next(records))
    monkeypatch.setattr(banners, "needs_of", lambda page: found)


def test_a_phantom_is_named_in_the_first_words(made):
    shown = banners.banner("phantom", "quick", "losses")
    assert shown._repr_markdown_().startswith("> **PHANTOM")
    assert shown.facts == {
        "Cohort": "Phantom",
        "Preset": "quick",
        "Runs": "1 of 2 on record",
        "Recipe versions": "preprocessing 3, the other 1 at 1",
        "Runs made by commit": "abc123",
    }
    for text in (shown._repr_html_(), shown._repr_markdown_()):
        assert "Not the paper's run" in text.replace("&#x27;", "'")


def test_runs_of_folds_by_image_are_called_leaky(made, monkeypatch):
    honest = banners.banner("phantom", "quick", "leak").facts
    assert "LEAKY" not in honest
    leaky = Spec()
    leaky.split = SplitSpec(unit="image")
    found = needs.Needs({"phantom": "m"}, {}, [Spec(), leaky])
    monkeypatch.setattr(needs.Needs, "record_of", lambda self, spec: None)
    monkeypatch.setattr(banners, "needs_of", lambda page: found)
    assert banners.banner("phantom", "quick", "leak").facts["LEAKY"].startswith("1 of these runs")


def test_a_real_cohort_without_its_data_says_so(monkeypatch):
    def absent(cohort):
        raise MissingDataError("no data folder is set")

    monkeypatch.setattr(needs, "manifest_of", absent)
    shown = banners.banner("cdd-cesm", "reference", "no-such-chapter")
    assert "PHANTOM" not in shown._repr_html_()
    assert shown.headline.endswith("real mammograms.")
    assert "not on this machine" in shown._repr_html_()
