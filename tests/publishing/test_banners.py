from __future__ import annotations

from types import SimpleNamespace

import pandas as pd
import pytest

from mammostudy.errors import MissingDataError
from mammostudy.publishing import banners as module
from mammostudy.publishing import freshness
from mammostudy.publishing.banners import banner


class Spec:
    def __init__(self, cohort):
        self.cohort = cohort

    def recipe_versions(self):
        return {"mammostudy.imaging.preprocessing": 3, "mammostudy.x.y": 1}


def record(*patients, leaky=False):
    cases = pd.DataFrame({"patient": patients})
    return SimpleNamespace(cases=cases, leaky=leaky, provenance={"commit": "abc123"})


@pytest.fixture
def made(monkeypatch):
    """Three runs on two cohorts, two on record."""
    specs = [Spec("phantom"), Spec("phantom"), Spec("phantom-shapes")]
    records = dict(zip(map(id, specs), (record("a", "b", "a"), None, record("c")), strict=True))
    needs = freshness.Needs({"phantom": "m", "phantom-shapes": "n"}, {}, specs)
    monkeypatch.setattr(freshness.Needs, "record_of", lambda self, spec: records[id(spec)])
    monkeypatch.setattr(module, "needs_of", lambda page: needs)
    return records


def test_a_phantom_is_named_in_the_first_words_and_every_cohort_with_its_patients(made):
    shown = banner("phantom", "quick", "losses")
    assert shown._repr_markdown_().startswith("> **PHANTOM")
    assert shown.facts["Runs"] == "2 of 3 on record"
    assert shown.facts["Patients"] == "phantom 2 (2 runs); phantom-shapes 1 (1 runs)"
    assert shown.facts["Recipe versions"] == "preprocessing 3, all others 1"
    assert shown.facts["Runs made by commit"] == "abc123"
    assert "LEAKY" not in shown.facts


def test_runs_of_folds_by_image_are_called_leaky(made):
    made.update({key: record("a", leaky=True) for key in list(made)[:1]})
    assert banner("phantom", "quick", "leak").facts["LEAKY"].startswith("1 of these runs")


def test_a_real_cohort_without_its_data_says_so(monkeypatch):
    def absent(cohort):
        raise MissingDataError("no data folder is set")

    monkeypatch.setattr(freshness, "manifest_of", absent)
    shown = banner("cdd-cesm", "reference", "no-such-chapter")._repr_html_()
    assert "PHANTOM" not in shown
    assert "not on this machine" in shown
