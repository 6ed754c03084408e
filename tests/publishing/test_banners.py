"""What a page says about itself, with runs that are made up."""

from __future__ import annotations

from types import SimpleNamespace

import pandas as pd
import pytest

from mammostudy.publishing import banners, freshness
from mammostudy.publishing.banners import banner


def spec(cohort, *patients, leaky=False):
    made = SimpleNamespace(
        cases=pd.DataFrame({"patient": patients}), leaky=leaky, provenance={"commit": "abc123"}
    )
    record = made if patients else None
    return SimpleNamespace(cohort=cohort, recipe_versions=lambda: {"x.y": 1}, record=record)


@pytest.mark.parametrize("leaky", [False, True])
def test_a_phantom_is_named_first_and_every_cohort_with_its_patients(monkeypatch, leaky):
    specs = [spec("phantom", "a", "b", "a", leaky=leaky), spec("phantom"), spec("shapes", "c")]
    needs = freshness.Needs({"phantom": "m", "shapes": "n"}, specs, {})
    monkeypatch.setattr(freshness.Needs, "record_of", lambda self, spec: spec.record)
    monkeypatch.setattr(banners, "needs_of", lambda page: needs)
    shown = banner("phantom", "quick", "losses")
    assert shown._repr_markdown_().startswith("> **PHANTOM")
    assert shown.facts["Runs"] == "2 of 3 on record"
    assert shown.facts["Patients"] == "phantom 2 (2 runs); shapes 1 (1 runs)"
    assert ("LEAKY" in shown.facts) == leaky
