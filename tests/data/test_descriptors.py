"""The descriptions of the cohorts: complete, and their expected counts are what is found."""

import subprocess
import sys

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


PHANTOM_SPLIT = {"folds": 5, "train_site": "north"}
FACTS = {  # title, truth, split, views, shapes: those that committed records stand on
    "cdd-cesm": ("CDD-CESM", "target", {"folds": 3}, "cdd-cesm-views", "cdd-cesm-contours"),
    "cdd-cesm-cm": (
        "CDD-CESM, subtracted images", "target", {"folds": 3}, "cdd-cesm-cm",
        "cdd-cesm-contours-cm",
    ),
    "cbis-ddsm": ("CBIS-DDSM", "all", {"rule": "official"}, "cbis-ddsm", "cbis-ddsm"),
    "phantom": ("Phantom", "all", PHANTOM_SPLIT, "phantom", "phantom-shapes"),
    "phantom-null": (
        "Phantom (no association)", "all", PHANTOM_SPLIT, "phantom-null", "phantom-shapes",
    ),
    "mine": ("mine", "all", {"folds": 3}, "mine", "mine"),
}  # fmt: skip


@pytest.mark.parametrize("name", FACTS)
def test_facts_of_a_cohort(name):
    facts = describe(name)
    assert (facts.title, facts.truth, facts.split, facts.views, facts.shapes) == FACTS[name]
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


def test_facts_need_neither_arrays_nor_tables():
    code = (
        "import sys; from mammostudy.data.descriptors import describe; describe('phantom');"
        "print([m for m in ('torch', 'numpy', 'pandas', 'cv2', 'pydicom') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
