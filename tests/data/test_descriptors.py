"""The descriptions of the cohorts: complete, and their expected counts are what is found."""

import pytest

from mammostudy.data import descriptors
from mammostudy.data.descriptors import TASKS, cohort_names, describe
from mammostudy.data.manifest import SHAPES
from mammostudy.errors import DataError


@pytest.mark.parametrize("text", ["title: [", "[1, 2]", "title: x", "cohorts: {a: }"])
def test_a_faulty_descriptor_is_named(text, tmp_path, monkeypatch):
    monkeypatch.setattr(descriptors, "folder", lambda: tmp_path)
    (tmp_path / "moon.yaml").write_text(text)
    with pytest.raises(DataError, match=r"moon\.yaml: not a descriptor"):
        describe("moon")


@pytest.mark.parametrize(("name", "truth", "split", "views", "shapes"), [
    ("cdd-cesm", "target", {"folds": 3}, "cdd-cesm-views", "cdd-cesm-contours"),
    ("cdd-cesm-cm", "target", {"folds": 3}, "cdd-cesm-cm", "cdd-cesm-contours-cm"),
    ("cbis-ddsm", "all", {"rule": "official"}, "cbis-ddsm", "cbis-ddsm"),
    ("phantom", "all", {"folds": 5, "train_site": "north"}, "phantom", "phantom-shapes"),
    ("phantom-null", "all", {"folds": 5, "train_site": "north"}, "phantom-null", "phantom-shapes"),
    ("mine", "all", {"folds": 3}, "mine", "mine"),
])  # fmt: skip
def test_facts_that_committed_records_stand_on(name, truth, split, views, shapes):
    facts = describe(name)
    assert (facts.truth, facts.split, facts.views, facts.shapes) == (truth, split, views, shapes)
    assert facts.phantom == name.startswith("phantom")
    assert (facts.descriptor is None) == (name == "mine")


def test_companions_are_cohorts_and_names_stand_once():
    names = cohort_names()
    assert len(set(names)) == len(names)
    for name in names:
        facts = describe(name)
        named = (facts.views, facts.shapes, facts.pixels, facts.segmenter)
        assert {other for other in named if other} <= set(names)
        assert set(facts.tasks) <= set(TASKS)
        assert set(facts.classes) <= set(SHAPES)
