"""What a page says about itself, with runs that are made up."""

from __future__ import annotations

from types import SimpleNamespace

import pandas as pd
import pytest

from mammostudy.errors import MissingDataError
from mammostudy.publishing import banners, freshness
from mammostudy.publishing.banners import banner


def record(*patients, leaky=False):
    cases = pd.DataFrame({"patient": patients})
    return SimpleNamespace(cases=cases, leaky=leaky, provenance={"commit": "abc123"})


@pytest.mark.parametrize("leaky", [False, True])
def test_a_phantom_is_named_first_and_every_cohort_with_its_patients(monkeypatch, leaky):
    versions = {"mammostudy.imaging.preprocessing": 3, "mammostudy.x.y": 1}
    specs = [
        SimpleNamespace(cohort=cohort, recipe_versions=lambda: versions, record=made)
        for cohort, made in (
            ("phantom", record("a", "b", "a", leaky=leaky)),
            ("phantom", None),
            ("phantom-shapes", record("c")),
        )
    ]
    needs = freshness.Needs({"phantom": "m", "phantom-shapes": "n"}, specs, {})
    monkeypatch.setattr(freshness.Needs, "record_of", lambda self, spec: spec.record)
    monkeypatch.setattr(banners, "needs_of", lambda page: needs)
    shown = banner("phantom", "quick", "losses")
    assert shown._repr_markdown_().startswith("> **PHANTOM")
    assert shown.facts["Runs"] == "2 of 3 on record"
    assert shown.facts["Patients"] == "phantom 2 (2 runs); phantom-shapes 1 (1 runs)"
    assert shown.facts["Recipe versions"] == "preprocessing 3, all others 1"
    assert shown.facts["Runs made by commit"] == "abc123"
    assert ("LEAKY" in shown.facts) == leaky


def test_a_real_cohort_without_its_data_says_so(monkeypatch):
    def absent(cohort):
        raise MissingDataError("no data folder is set")

    monkeypatch.setattr(freshness, "manifest_of", absent)
    shown = banner("cdd-cesm", "reference", "no-such-chapter")._repr_html_()
    assert "PHANTOM" not in shown
    assert "not on this machine" in shown
