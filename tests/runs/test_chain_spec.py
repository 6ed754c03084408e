"""Chain specs: what is refused, what stands before them, what makes a key."""

from __future__ import annotations

from typing import Any

import pytest

from mammostudy.errors import SpecError
from mammostudy.runs import chain_spec as module
from mammostudy.runs.chain_spec import ChainSpec
from mammostudy.runs.execute import _depth
from mammostudy.study import chain_recipes, detect_recipes

MANIFEST = "0123456789abcdef"
GIVEN: dict[str, Any] = {
    "cohort": "c",
    "detector": {"cohort": "c"},
    "segmenter": {"cohort": "c"},
    "shapes": [{"cohort": "s"}, {"cohort": "s", "split": {"fold": 1}}],
}


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"detector": {"cohort": "d"}}, "cohort 'c' must be the detector's, 'd'"),
        ({"segmenter": {"cohort": "c", "split": {"fold": 1}}}, "segmenter.split is not detector"),
        ({"segmenter": {"cohort": "c", "split": {"seed": 1}}}, "segmenter.split is not detector"),
        (
            {"segmenter": {"cohort": "c", "frame": {"strategy": "full"}}},
            "segmenter.frame.strategy full does not use a box",
        ),
        ({"rule": "iou33"}, "rule 'iou33' is unknown: use one of iou10"),
        ({"operating": 0}, "operating"),
        ({"operating": float("inf")}, "operating"),
        ({"postprocessing": "every"}, "postprocessing"),
        ({"shapes": [{"cohort": "s", "classifier": "svm"}]}, "a network that tells shapes"),
        ({"shapes": [{"cohort": "s", "input": {"keep_scale": True}}]}, "keeps the scale"),
        ({"shapes": [{"cohort": "s"}, {"cohort": "t"}]}, "differ in cohort or classes"),
        ({"colour": 1}, "colour"),
        ({"shapes": [{"cohort": "s", "split": {"unit": "image"}}]}, r"shapes\.split\.unit 'image'"),
        (
            {
                part: {"cohort": "c", "split": {"unit": "image"}}
                for part in ("detector", "segmenter")
            },
            r"split\.unit 'image'",
        ),
    ],
)
def test_a_bad_field_is_refused_by_name(change: dict[str, Any], named: str) -> None:
    with pytest.raises(SpecError, match=named):
        ChainSpec.parse(GIVEN | change)


def test_a_chain_comes_after_its_stages_and_is_hashable() -> None:
    spec = ChainSpec.parse(GIVEN)
    assert spec.before == (spec.detector, spec.segmenter, *spec.shapes)
    assert spec.split == spec.detector.split
    assert _depth(spec) == 1
    assert len({spec, ChainSpec.parse(GIVEN)}) == 1
    assert ChainSpec.parse(spec.model_dump(mode="json")) == spec


def test_the_key_follows_every_stage_and_the_data() -> None:
    spec = ChainSpec.parse(GIVEN)
    others = [
        spec.changed(operating=2.0),
        spec.changed(postprocessing="published"),
        spec.changed(rule="iou50"),
        spec.changed(shapes=()),
        spec.changed(detector__seed=1),
        spec.changed(segmenter__seed=1),
    ]
    keys = {each.key(MANIFEST) for each in (spec, *others)}
    assert len(keys) == 7
    assert spec.key("f" * 16) not in keys
    trained = {each.training_key(MANIFEST) for each in (spec, *others)}
    assert len(trained) == 7
    assert spec.changed(variant="paper").training_key(MANIFEST) == spec.training_key(MANIFEST)


def test_versions_hold_those_of_the_stages(monkeypatch: pytest.MonkeyPatch) -> None:
    spec = ChainSpec.parse(GIVEN)
    versions = spec.recipe_versions()
    for stage in spec.before:
        assert stage.recipe_versions().items() <= versions.items()
    before = spec.key(MANIFEST)
    real = module.recipe_version
    monkeypatch.setattr(
        module, "recipe_version", lambda name: real(name) + (name == "mammostudy.runs.chain_rows")
    )
    assert spec.key(MANIFEST) != before


@pytest.mark.parametrize("preset", ["smoke", "quick", "reference"])
@pytest.mark.parametrize("cohort", ["phantom", "cdd-cesm"])
def test_recipes_chain_stages_of_one_fold(cohort: str, preset: str) -> None:
    named = chain_recipes.every(cohort, preset)
    assert tuple(named) == chain_recipes.ARMS
    folds = chain_recipes.folds(cohort, preset)
    for arm, listed in named.items():
        assert [spec.split.fold for spec in listed] == folds, arm
        assert len(set(listed)) == len(folds)
    study, paper = named[chain_recipes.STUDY], named[chain_recipes.PAPER]
    assert [spec.detector for spec in study] == detect_recipes.headline(cohort, preset)
    assert [spec.detector for spec in paper] == [spec.detector for spec in study]
    assert {spec.postprocessing for spec in paper} == {"published"}
    assert all(spec.segmenter.seed == spec.split.fold for spec in study)
    assert all(spec.detector.is_baseline for spec in named[chain_recipes.PRIOR])
    assert all(spec.segmenter.model.name == "ellipse" for spec in named[chain_recipes.ELLIPSE])
    assert {len(spec.shapes) for spec in study} == {
        1 if cohort == "phantom" else len(paper[0].shapes)
    }


def test_golden_recipe_keys() -> None:
    """Keys of the study's chains move only with a field or a version: raise it knowingly."""
    fields = {
        arm: (
            listed[0].variant,
            listed[0].detector.detector.name,
            listed[0].segmenter.variant,
            listed[0].shapes[0].variant,
            listed[0].operating,
            listed[0].rule,
        )
        for arm, listed in chain_recipes.every("phantom", "quick").items()
    }
    assert fields == {
        "paper's chain": ("paper", "ssd-light", "paper", "paper", 1.0, "iou25"),
        "study's chain": ("study", "ssd-light", "study", "study", 1.0, "iou25"),
        "fixed prior box": ("baseline", "fixed-prior", "study", "study", 1.0, "iou25"),
        "ellipse in the box": ("baseline", "ssd-light", "baseline", "study", 1.0, "iou25"),
    }
