"""Shape specs: what is refused, what makes a key, and the keys of the study's shape recipes."""

from __future__ import annotations

import hashlib
from typing import Any

import pytest

from mammostudy.errors import SpecError
from mammostudy.runs import shape_spec as module
from mammostudy.runs.shape_spec import NETWORKS, ON_FEATURES, TOOLS, UNTRAINED, ShapeSpec
from mammostudy.runs.spec import RunSpec
from mammostudy.study import shape_recipes as recipes

MANIFEST = "0123456789abcdef"
SEGMENTER = {"cohort": "c"}


@pytest.mark.parametrize(
    ("content", "named"),
    [
        ({}, "cohort"),
        ({"kind": "segmentation"}, "kind.*shape"),
        ({"colour": 1}, "colour"),
        ({"variant": "released"}, "variant.*alternative"),
        ({"target": "subtype"}, "target.*tool"),
        ({"classifier": "tree"}, "classifier.*random-forest"),
        ({"classes": ()}, "classes: name two or more"),
        ({"classes": ("round",)}, "classes: name two or more"),
        ({"classes": ("round", "round")}, "classes: name two or more, each once"),
        ({"classes": ("round", "square")}, "classes: 'square' is no shape; use some of irregular"),
        ({"target": "tool"}, "classes: 'irregular' is no tool; use some of circle"),
        ({"classes": TOOLS}, "classes: 'circle' is no shape"),
        ({"input": {"source": "reader"}}, r"input\.source.*active-contour"),
        ({"input": {"placement": "loose"}}, r"input\.placement.*square"),
        ({"input": {"tool": "circle"}}, r"input\.tool.*polygon"),
        ({"input": {"size": 32}}, r"input\.size"),
        ({"training": {"epochs": 0}}, r"training\.epochs"),
        ({"training": {"batch": 0}}, r"training\.batch"),
        ({"training": {"learning_rate": 0}}, r"training\.learning_rate"),
        ({"training": {"momentum": 1}}, r"training\.momentum"),
        ({"training": {"smoothing": 0}}, r"training\.smoothing"),
        ({"training": {"weighting": "equal"}}, r"training\.weighting.*effective"),
        ({"training": {"focal_gamma": -1}}, r"training\.focal_gamma"),
        ({"evaluation": {"sources": ()}}, r"evaluation\.sources is empty"),
        ({"evaluation": {"sources": ("reader",)}}, r"evaluation\.sources"),
        ({"split": {"folds": 1}}, r"split\.folds"),
        ({"split": {"unit": "view"}}, r"split\.unit"),
        (
            {"segmenter": [{"cohort": "c", "split": {"unit": "image"}}]},
            r"segmenter\.split\.unit 'image' lets a patient stand",
        ),
        ({"seed": -1}, "seed"),
        ({"input": {"source": "segmenter"}}, "segmenter: .*no run of one is named"),
        ({"evaluation": {"sources": ("truth", "segmenter")}}, "segmenter: .*no run of one"),
        ({"segmenter": [{"cohort": "c", "zoom": 1}]}, r"segmenter\.0\.zoom"),
        ({"segmenter": [{"cohort": "c", "frame": {"size": 100}}]}, r"segmenter\.0: frame\.size"),
    ],
)
def test_a_bad_field_is_refused_by_name(content: dict[str, Any], named: str) -> None:
    whole = {"cohort": "c", **content} if content else {}
    with pytest.raises(SpecError, match=f"^run spec: .*{named}") as caught:
        ShapeSpec.parse(whole)
    assert "\n" not in str(caught.value)


def test_what_is_refused_can_be_mended() -> None:
    """The control: the same content, its fault mended, is a spec."""
    assert ShapeSpec.parse({"cohort": "c", "target": "tool", "classes": TOOLS}).classes == TOOLS
    told = {"cohort": "c", "input": {"source": "segmenter"}, "segmenter": [SEGMENTER]}
    assert ShapeSpec.parse(told).segmenter == (RunSpec(cohort="c"),)


@pytest.mark.parametrize("classifier", [*ON_FEATURES, *UNTRAINED, "grey-cnn"])
def test_only_networks_on_masks_explain_themselves(classifier: str) -> None:
    spec = ShapeSpec(cohort="c")
    for able in ("cnn", "resnet"):
        assert spec.changed(classifier=able, evaluation__explain=True).evaluation.explain
    with pytest.raises(SpecError, match=r"evaluation\.explain.*cnn or resnet"):
        spec.changed(classifier=classifier, evaluation__explain=True)


def test_a_spec_is_frozen_and_hashable() -> None:
    spec = ShapeSpec(cohort="c")
    with pytest.raises(ValueError, match="frozen"):
        spec.seed = 1  # type: ignore[misc]
    assert len({spec, ShapeSpec(cohort="c"), spec.changed(seed=1)}) == 2
    assert ShapeSpec.parse(spec.model_dump(mode="json")) == spec


def test_networks_are_those_trained_by_gradients() -> None:
    spec = ShapeSpec(cohort="c")
    for name in (*NETWORKS, *ON_FEATURES, *UNTRAINED):
        assert spec.changed(classifier=name).is_network == (name in NETWORKS)


CHANGES: list[dict[str, Any]] = [
    {"seed": 1}, {"split__fold": 1}, {"split__seed": 1}, {"classes": ("irregular", "round")},
    {"classes": ("round", "oval", "lobular", "irregular")}, {"target": "tool", "classes": TOOLS},
    {"classifier": "resnet"}, {"classifier": "svm"}, {"classifier": "grey-cnn"},
    {"input__placement": "square"}, {"input__keep_scale": True}, {"input__tool": "polygon"},
    {"input__source": "active-contour"}, {"training__epochs": 2}, {"training__batch": 8},
    {"training__learning_rate": 1e-4}, {"training__momentum": 0.5}, {"training__smoothing": 0.99},
    {"training__weighting": "none"}, {"training__focal_gamma": 2.0}, {"training__rotate": True},
    {"segmenter": [SEGMENTER]}, {"segmenter": [{"cohort": "c", "seed": 1}]},
]  # fmt: skip


def test_the_key_follows_data_and_fields() -> None:
    spec = ShapeSpec(cohort="c")
    assert spec.key(MANIFEST) == ShapeSpec(cohort="c").key(MANIFEST)
    assert spec.recipe_key() == ShapeSpec(cohort="c").recipe_key()
    others = [spec.changed(**change) for change in CHANGES]
    for key in ("key", "training_key"):
        assert getattr(spec, key)(MANIFEST) != getattr(spec, key)("another")
        assert len({getattr(s, key)(MANIFEST) for s in (spec, *others)}) == len(others) + 1
    assert len({s.recipe_key() for s in (spec, *others)}) == len(others) + 1


@pytest.mark.parametrize(
    "change",
    [
        {"evaluation__sources": ("active-contour",)},
        {"evaluation__sources": ("truth", "active-contour")},
        {"evaluation__explain": True},
        {"variant": "study"},
    ],
)
def test_what_weights_do_not_depend_on_keeps_the_training_key(change: dict[str, Any]) -> None:
    spec = ShapeSpec(cohort="c")
    other = spec.changed(**change)
    assert other.training_key(MANIFEST) == spec.training_key(MANIFEST)
    assert other.key(MANIFEST) != spec.key(MANIFEST)


def test_the_first_source_is_another_question() -> None:
    """The first one gives the temperature."""
    spec = ShapeSpec(cohort="c", evaluation={"sources": ("truth", "active-contour")})
    assert spec.changed(evaluation__sources=("active-contour", "truth")).key(MANIFEST) != (
        spec.key(MANIFEST)
    )


def test_no_shape_run_shares_the_key_of_a_segmentation() -> None:
    assert ShapeSpec(cohort="c").training_key(MANIFEST) != RunSpec(cohort="c").training_key(
        MANIFEST
    )
    assert ShapeSpec(cohort="c").key(MANIFEST) != RunSpec(cohort="c").key(MANIFEST)


@pytest.mark.parametrize("name", ["mammostudy.training.shapes", "mammostudy.runs.mask_sets"])
def test_a_raised_version_changes_the_keys(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    spec = ShapeSpec(cohort="c")
    before = spec.key(MANIFEST), spec.training_key(MANIFEST)
    known = module.recipe_version
    monkeypatch.setattr(module, "recipe_version", lambda at: known(at) + (at == name))
    assert spec.key(MANIFEST) != before[0]
    assert spec.training_key(MANIFEST) != before[1]


def test_versions_are_those_of_the_parts_a_run_uses() -> None:
    spec = ShapeSpec(cohort="c")
    by_classifier = {
        name: set(spec.changed(classifier=name).recipe_versions())
        for name in (*NETWORKS, *ON_FEATURES, *UNTRAINED)
    }
    shared = set.intersection(*by_classifier.values())
    assert shared == by_classifier["majority"] == by_classifier["chance"]
    assert {"mammostudy.imaging.shape_masks", "mammostudy.runs.mask_sets"} <= shared
    for name in NETWORKS:
        assert "mammostudy.training.shapes" in by_classifier[name]
        assert "mammostudy.imaging.shape_features" not in by_classifier[name]
    for name in ON_FEATURES:
        assert not any("models" in part for part in by_classifier[name])
        assert "mammostudy.training.shape_features" in by_classifier[name]
    assert "mammostudy.models.shape_cnn" in by_classifier["cnn"] - by_classifier["resnet"]
    assert "mammostudy.models.shape_resnet" in by_classifier["resnet"] - by_classifier["cnn"]
    assert "mammostudy.data.frames" in by_classifier["grey-cnn"]
    assert all(version >= 1 for version in spec.recipe_versions().values())


def test_versions_hold_those_of_the_segmenters() -> None:
    plain, unet = RunSpec(cohort="c"), RunSpec(cohort="c").changed(model__name="unet")
    for runs in ((plain,), (unet,), (plain, unet)):
        spec = ShapeSpec(cohort="c", segmenter=runs)
        for run in runs:
            assert run.recipe_versions().items() <= spec.recipe_versions().items()
        assert "mammostudy.data.sources.phantom" in spec.recipe_versions()
    without = ShapeSpec(cohort="c").recipe_versions()
    assert not any("segmenters" in name or "generator" in name for name in without)


def test_golden_defaults() -> None:
    """Keys leave defaults out, so that a moved default must show elsewhere: here."""
    assert ShapeSpec(cohort="c").model_dump(mode="json") == DEFAULTS, (
        "a default moved: raise VERSION of runs/shape_spec.py, then pin it anew"
    )


def rows_of(cohort: str, preset: str) -> dict[str, list[ShapeSpec]]:
    listed = {}
    for question in (recipes.headline, recipes.alternatives, recipes.ablations, recipes.cross,
                     recipes.tools):  # fmt: skip
        for row, specs in question(cohort, preset).items():
            listed[f"{question.__name__}: {row}"] = specs
    return listed


def pinned(specs: list[ShapeSpec]) -> str:
    """The number of runs, the recipe key of the first, and a hash of all of them."""
    keys = [spec.recipe_key() for spec in specs]
    together = hashlib.sha256(" ".join(keys).encode()).hexdigest()[:12]
    return f"{len(keys)} {keys[0]} {together}" if keys else "none"


@pytest.mark.parametrize(("cohort", "preset"), [("phantom", "quick"), ("cdd-cesm", "reference")])
def test_golden_keys(cohort: str, preset: str) -> None:
    """Recipe keys of committed records: a changed default, number or VERSION shows here.

    Where a default moved, raise VERSION of runs/shape_spec.py (keys leave defaults out); where a
    module's numbers moved, raise its VERSION; then pin anew.
    """
    found = {row: pinned(specs) for row, specs in rows_of(cohort, preset).items()}
    assert found == KEYS[cohort, preset]


DEFAULTS = {
    "kind": "shape",
    "cohort": "c",
    "variant": "paper",
    "target": "shape",
    "classes": ["irregular", "lobular", "oval", "round"],
    "classifier": "cnn",
    "split": {
        "folds": 5,
        "fold": 0,
        "seed": 0,
        "train_site": None,
        "validation_folds": 6,
        "unit": "patient",
        "rule": "folds",
    },
    "input": {"source": "truth", "placement": "stretch", "keep_scale": False, "tool": "any"},
    "training": {
        "epochs": 50,
        "batch": 16,
        "learning_rate": 0.001,
        "momentum": 0.9,
        "smoothing": 0.9,
        "weighting": "published",
        "focal_gamma": 0.0,
        "rotate": False,
    },
    "evaluation": {"sources": ["truth"], "explain": False},
    "segmenter": [],
    "seed": 0,
}

KEYS = {
    ("phantom", "quick"): {
        "headline: paper": "5 0b8fa20b69a4bcbcf7a5 bd2902cb4230",
        "headline: study": "5 2c43968b79e8ea3e18ba bc79fa30f963",
        "alternatives: SVM on features": "5 62a658862c16d8ed26e5 10a3d4286405",
        "alternatives: random forest on features": "5 889a54c63cd6bb4182c8 1def8329c5f3",
        "alternatives: gradient boosting on features": "5 f7eecf73f97677a36af4 4ff15acd1ba0",
        "alternatives: small ResNet": "1 88b22402a179a40f17ac 8e169ecef7df",
        "alternatives: CNN on the grey ROI": "1 ea7a3849d610febbea1f 385bb92c06f0",
        "alternatives: majority": "5 260b3a3589042f01a5b4 ad79854dc02f",
        "alternatives: chance": "5 bc41f6bbb082b014e52c 575e7a223b3c",
        "ablations: no class weights": "1 371c719a1c7294dedb3b 8d0227cb1438",
        "ablations: inverse frequency": "1 c85cb4dfc21f58acf1c0 f73b13ebadc4",
        "ablations: effective number": "1 fa8e9a907e4fa1708e2f 2ff133fea681",
        "ablations: focal, gamma 2": "1 50ae226f1290a0b7bc38 f6da4ac2aa23",
        "ablations: aspect kept": "1 276b75bff409478c6454 f42d0c45104c",
        "ablations: scale kept": "1 600dd17cb1ae757900dc 23bba251e06f",
        "ablations: rotations": "1 67780c0a606f59bd86df 286c9b4346a2",
        "ablations: learning rate 3e-4": "1 095d0110953273c67a5d 554ef1d09336",
        "cross: truth, random forest": "5 6c6dc1d55a2ceab8a125 33dc11e2a2dd",
        "cross: active-contour, random forest": "5 f8d559c6c72843cb5a04 7bf9612b701b",
        "cross: segmenter, random forest": "5 df1d7099cda29d99f9d6 4bfbd3b4197f",
        "cross: truth, CNN": "1 01611af2678aab9a2552 65c126319f93",
        "cross: active-contour, CNN": "1 42eac7e3d3ca9453779d da66a4961b2b",
        "cross: segmenter, CNN": "1 31c68668a1e747a5730c 1b391a2c8166",
    },
    ("cdd-cesm", "reference"): {
        "headline: paper": "5 91bd57493844346bb42e 3f7b6472f3d2",
        "headline: study": "5 29be48e0b887ceb10d6f 70eb8b7e1189",
        "alternatives: SVM on features": "5 1d988d759d79c868e29e 9c76bdc2a6ca",
        "alternatives: random forest on features": "5 3046ce78108cee901120 8088bc2f3600",
        "alternatives: gradient boosting on features": "5 c989474e989fef3d4437 b3447ebfff05",
        "alternatives: small ResNet": "5 27a6cfbd95958c5a4c84 8a519594f12f",
        "alternatives: CNN on the grey ROI": "none",
        "alternatives: majority": "5 8e3eb1728e8b4b6b3449 dc0667179cd8",
        "alternatives: chance": "5 21437211b3f0328a3df0 2e0eb0a6b128",
        "ablations: no class weights": "5 86f9cc75390315883f8a 1264cccb3724",
        "ablations: inverse frequency": "5 8196b2127529612e024e 1be6e95eaf1f",
        "ablations: effective number": "5 3f4a95892d4b34c72b8e f5b6fd03cff0",
        "ablations: focal, gamma 2": "5 3583c1777bb1dd2317a6 5d293eb54ea9",
        "ablations: aspect kept": "5 a77aa058e8a555e90a85 51c312671aa8",
        "ablations: scale kept": "5 718bae09e99d1cf66b9a cbd0c1038452",
        "ablations: rotations": "5 97f5267301642a5ddd9b a0feb83f3cbc",
        "ablations: learning rate 3e-4": "5 7a7f93e79dd7f7d19ca4 cf9f709ef2d7",
        "tools: all tools": "5 91bd57493844346bb42e 3f7b6472f3d2",
        "tools: polygon only": "5 583886afbee429724c4f 0ffd4eba8ba4",
        "tools: circle and ellipse only": "5 1ce9f078b880cf4ca803 57d050c77a63",
        "tools: tool": "5 fd1a935b6ae373db7f38 6b87554bea8e",
    },
}
