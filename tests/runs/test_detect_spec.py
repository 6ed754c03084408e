"""Detection specs: what is refused, what makes a key, and the keys of the study's recipes."""

from __future__ import annotations

import hashlib
from typing import Any

import pytest

from mammostudy.errors import SpecError
from mammostudy.models import build_detector, detector_names
from mammostudy.runs import detect_spec as module
from mammostudy.runs.detect_spec import (
    DETECTORS,
    PRIOR,
    PYRAMIDS,
    SSDS,
    WITHOUT_ANCHORS,
    DetectSpec,
)
from mammostudy.study import detect_recipes as recipes

MANIFEST = "0123456789abcdef"
NO_NEGATIVES = f"ablations: {recipes.NO_NEGATIVES}"
SIDES = (0.05, 0.09, 0.2)
UNTRAINED = {"training": {"iterations": 0}}


def spec_of(name: str, **changes: Any) -> DetectSpec:
    iterations = 0 if name == PRIOR else 10
    spec = DetectSpec.parse(
        {"cohort": "c", "detector": {"name": name}, "training": {"iterations": iterations}}
    )
    return spec.changed(**changes)


@pytest.mark.parametrize(
    ("content", "named"),
    [
        ({}, "cohort"),
        ({"kind": "shape"}, "kind.*detection"),
        ({"colour": 1}, "colour"),
        ({"variant": "released"}, "variant.*alternative"),
        ({"detector": {"name": "yolo"}}, r"detector\.name 'yolo' is unknown: .*rt-detr.*prior"),
        ({"detector": {"size": 32}}, r"detector\.size"),
        ({"detector": {"size": 4000}}, r"detector\.size"),
        ({"detector": {"aspect": "crop"}}, r"detector\.aspect.*letterbox"),
        ({"detector": {"anchors": "many"}}, r"detector\.anchors.*cohort"),
        ({"detector": {"name": "ssd-light", "width": 9}}, r"detector\.width"),
        ({"detector": {"width": 16}}, r"detector\.width is a field of ssd-light, not of ssd300"),
        ({"detector": {"trunk": "resnet18"}}, r"detector\.trunk is a field of faster-rcnn, fcos"),
        ({"detector": {"name": "fcos", "negatives_on_empty": False}},
         r"detector\.negatives_on_empty is a field of the SSDs, not of fcos"),
        ({"detector": {"name": "fcos", "anchors": "default"}}, r"detector\.anchors: fcos"),
        ({"detector": {"name": "rt-detr", "anchors": "default"}}, r"detector\.anchors: rt-detr"),
        ({"detector": {"name": "ssd-light", "weights": "imagenet"}}, r"detector\.weights: .*light"),
        ({"detector": {"name": "rt-detr", "weights": "imagenet"}}, r"detector\.weights: .*rt-detr"),
        ({"detector": {"name": "ssd-light", "batch_norm": True}},
         r"detector\.batch_norm is a field of ssd300-vgg16, not of ssd-light"),
        ({"detector": {"name": "fcos", "batch_norm": True}}, r"detector\.batch_norm .*not of fcos"),
        (UNTRAINED, r"training\.iterations must be 0 for fixed-prior, and above 0"),
        ({"detector": {"name": PRIOR}}, r"training\.iterations must be 0 for fixed-prior"),
        ({"detector": {"name": PRIOR, "anchors": "default"}, **UNTRAINED}, r"detector\.anchors"),
        ({"detector": {"name": PRIOR, "weights": "imagenet"}, **UNTRAINED}, r"detector\.weights"),
        ({"training": {"batch": 1}}, r"training\.batch"),
        ({"training": {"learning_rate": 0}}, r"training\.learning_rate"),
        ({"training": {"weight_decay": -1}}, r"training\.weight_decay"),
        ({"training": {"validations": 0}}, r"training\.validations"),
        ({"split": {"folds": 1}}, r"split\.folds"),
        ({"split": {"unit": "image"}}, r"split\.unit 'image' lets a patient stand"),
        ({"seed": -1}, "seed"),
    ],
)  # fmt: skip
def test_a_bad_field_is_refused_by_name(content: dict[str, Any], named: str) -> None:
    whole = {"cohort": "c", **content} if content else {}
    with pytest.raises(SpecError, match=f"^run spec: .*{named}") as caught:
        DetectSpec.parse(whole)
    assert "\n" not in str(caught.value)


def test_what_is_refused_can_be_mended() -> None:
    """The control: the same fields where they have an effect."""
    assert spec_of("ssd-light", detector__width=16).detector.width == 16
    assert spec_of("fcos", detector__trunk="resnet18").detector.trunk == "resnet18"
    assert spec_of("retinanet", detector__anchors="default").detector.anchors == "default"
    assert spec_of("faster-rcnn", detector__weights="imagenet").detector.weights == "imagenet"
    assert spec_of("ssd300-vgg16", detector__batch_norm=True).fields(SIDES)["batch_norm"]
    assert not spec_of("ssd300-vgg16").fields(SIDES)["batch_norm"]
    assert not spec_of("ssd300-vgg16", detector__negatives_on_empty=False).is_baseline
    assert spec_of(PRIOR).is_baseline


def test_a_spec_is_frozen_and_hashable() -> None:
    spec = DetectSpec(cohort="c")
    with pytest.raises(ValueError, match="frozen"):
        spec.seed = 1  # type: ignore[misc]
    assert len({spec, DetectSpec(cohort="c"), spec.changed(seed=1)}) == 2
    assert DetectSpec.parse(spec.model_dump(mode="json")) == spec
    assert spec.before == ()


def test_every_detector_that_can_be_built_can_be_run() -> None:
    assert sorted(DETECTORS) == detector_names()


@pytest.mark.parametrize(
    ("name", "anchors"),
    [
        (name, anchors)
        for name in DETECTORS
        for anchors in ("default", "cohort")
        if name != "ssd300-vgg16" and (anchors == "cohort" or name not in WITHOUT_ANCHORS)
    ],
)
def test_the_fields_of_a_spec_build_its_detector(name: str, anchors: str) -> None:
    if name == "rt-detr":
        pytest.importorskip("transformers", reason="rt-detr needs the extra 'detr'")
    spec = spec_of(name, detector__size=128, detector__aspect="letterbox")
    if spec.has_anchors:
        spec = spec.changed(detector__anchors=anchors)
    if name in PYRAMIDS:
        spec = spec.changed(detector__trunk="resnet18")
    model = build_detector(name, **spec.fields(SIDES))
    assert (model.size, model.aspect) == (128, "letterbox")
    fields = spec.fields(SIDES)
    assert fields["detections"] == module.DETECTIONS
    assert fields.get("box_sides", ()) == (
        SIDES if anchors == "cohort" and spec.has_anchors else ()
    )
    assert ("negatives_on_empty" in fields) == (name in SSDS)


CHANGES: list[dict[str, Any]] = [
    {"seed": 1}, {"split__fold": 1}, {"split__seed": 1}, {"split__folds": 3},
    {"detector__size": 256}, {"detector__aspect": "letterbox"}, {"detector__anchors": "default"},
    {"detector__negatives_on_empty": False}, {"detector__weights": "imagenet"},
    {"detector__batch_norm": True},
    {"detector__name": "ssd-light"}, {"detector__name": "ssdlite-mobilenetv3"},
    {"detector__name": "fcos"}, {"detector__name": "retinanet"},
    {"detector__name": "faster-rcnn"}, {"detector__name": "rt-detr"},
    {"training__iterations": 5}, {"training__batch": 8}, {"training__learning_rate": 1e-4},
    {"training__weight_decay": 0.0}, {"training__validations": 5}, {"training__augment": False},
    {"training__mass_free": False},
]  # fmt: skip


def test_the_key_follows_data_and_fields() -> None:
    spec = DetectSpec(cohort="c")
    assert spec.key(MANIFEST) == DetectSpec(cohort="c").key(MANIFEST)
    others = [spec, *(spec.changed(**change) for change in CHANGES)]
    others += [
        spec_of("ssd-light", detector__width=16),
        spec_of("fcos", detector__trunk="resnet18"),
    ]
    others += [spec_of(PRIOR)]
    for key in ("key", "training_key"):
        assert getattr(spec, key)(MANIFEST) != getattr(spec, key)("another")
        assert len({getattr(s, key)(MANIFEST) for s in others}) == len(others)
    assert len({s.recipe_key() for s in others}) == len(others)


def test_the_variant_is_a_name_of_the_same_weights() -> None:
    spec = spec_of("ssd-light")
    other = spec.changed(variant="study")
    assert other.training_key(MANIFEST) == spec.training_key(MANIFEST)
    assert other.key(MANIFEST) != spec.key(MANIFEST)


@pytest.mark.parametrize("name", [*DETECTORS, PRIOR])
def test_every_version_is_in_the_keys(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    spec = spec_of(name)
    before = spec.key(MANIFEST), spec.training_key(MANIFEST)
    known = module.recipe_version
    for part in spec.recipe_versions():
        monkeypatch.setattr(module, "recipe_version", lambda at, p=part: known(at) + (at == p))
        assert spec.key(MANIFEST) != before[0]
        assert spec.training_key(MANIFEST) != before[1]


def test_versions_are_those_of_the_parts_a_run_uses() -> None:
    parts = {name: set(spec_of(name).recipe_versions()) for name in (*DETECTORS, PRIOR)}
    assert set.intersection(*parts.values()) == parts[PRIOR] - {"mammostudy.evaluation.priors"}
    assert not any("training" in part or "models" in part for part in parts[PRIOR])
    trained = {"mammostudy.training.detection", "mammostudy.training.detection_augmentation",
               "mammostudy.models.detectors.common"}  # fmt: skip
    own = {
        **{name: {"pyramids"} for name in PYRAMIDS}, "rt-detr": {"rt_detr"},
        "ssd-light": {"ssd", "ssd_light"}, "ssd300-vgg16": {"ssd"}, "ssdlite-mobilenetv3": {"ssd"},
    }  # fmt: skip
    shared = set.intersection(*(parts[name] for name in DETECTORS))
    for name in DETECTORS:
        assert trained <= parts[name]
        alone = {part.rsplit(".", 1)[1] for part in parts[name] - shared}
        assert alone == own[name]
    for name in parts:
        assert all(version >= 1 for version in spec_of(name).recipe_versions().values())


def test_golden_defaults() -> None:
    """Keys leave defaults out, so that a moved default must show elsewhere: here."""
    assert DetectSpec(cohort="c").model_dump(mode="json") == DEFAULTS, (
        "a default moved: raise VERSION of runs/detect_spec.py, then pin it anew"
    )


def rows_of(cohort: str, preset: str) -> dict[str, list[DetectSpec]]:
    listed = {
        "headline": recipes.headline(cohort, preset),
        "priors": recipes.priors(cohort, preset),
    }
    longer = {recipes.LONGER: recipes.longer(cohort, preset)}
    for budget, named in (recipes.comparison(cohort, preset) | longer).items():
        listed |= {f"{budget}: {row}": specs for row, specs in named.items()}
    named = recipes.ablations(cohort, preset)
    return listed | {f"ablations: {row}": specs for row, specs in named.items()}


def pinned(specs: list[DetectSpec]) -> str:
    """The number of runs, the recipe key of the first, and a hash of all of them."""
    keys = [spec.recipe_key() for spec in specs]
    return f"{len(keys)} {keys[0]} {hashlib.sha256(' '.join(keys).encode()).hexdigest()[:12]}"


@pytest.mark.parametrize(("cohort", "preset"), [("phantom", "quick"), ("cdd-cesm", "reference")])
def test_golden_keys(cohort: str, preset: str) -> None:
    """Recipe keys of committed records: a changed default, number or VERSION shows here.

    Where a default moved, raise VERSION of runs/detect_spec.py (keys leave defaults out); where a
    module's numbers moved, raise its VERSION; then pin anew.
    """
    found = {row: pinned(specs) for row, specs in rows_of(cohort, preset).items()}
    assert found == KEYS[cohort, preset]


DEFAULTS = {
    "kind": "detection",
    "cohort": "c",
    "variant": "paper",
    "split": {
        "folds": 5,
        "fold": 0,
        "seed": 0,
        "train_site": None,
        "validation_folds": 6,
        "unit": "patient",
        "rule": "folds",
    },
    "detector": {
        "name": "ssd300-vgg16",
        "size": 320,
        "aspect": "stretch",
        "anchors": "cohort",
        "negatives_on_empty": True,
        "width": 32,
        "trunk": "resnet50",
        "weights": "none",
        "batch_norm": False,
    },
    "training": {
        "iterations": 1000,
        "batch": 4,
        "learning_rate": 0.001,
        "weight_decay": 0.0001,
        "validations": 10,
        "augment": True,
        "mass_free": True,
    },
    "seed": 0,
}

KEYS = {
    ("phantom", "quick"): {
        "headline": "1 cc1df2cb9c52eca1096c 55b03dc4a301",
        "priors": "1 a11e2bec73437b4fe51c fbe69db3926b",
        "equal CPU time: SSD, light trunk": "1 0b9be980fdf384bb63cb fde3f793ca3d",
        "equal CPU time: SSDlite, MobileNetV3": "1 8ed810a06a1be5bd5d62 078de3342c81",
        "as long as affordable: SSD, light trunk": "1 cc1df2cb9c52eca1096c 55b03dc4a301",
        "ablations: library's default boxes": "1 dfed6cdedd37d3eed54a bf521b17af4c",
        NO_NEGATIVES: "1 2ac657b10f657e7469bd 37872ed5ff53",
        "ablations: stretched instead of letterboxed": "1 b6c8b4878c21833939ee c3659a21de6c",
    },
    ("cdd-cesm", "reference"): {
        "headline": "3 d9f60f77f91188af124d 4e80e4fad8c5",
        "priors": "3 dfa27e41b3faa811df86 9a3a8d56abfe",
        "equal CPU time: SSD300, VGG16": "1 e968085506a4dbcf5a7d 414f02ed625f",
        "equal CPU time: SSD, light trunk": "1 00bfa11ce7caa6b19888 bdd744410636",
        "equal CPU time: SSDlite, MobileNetV3": "1 3bb52770e54a603f71e8 583128d56c1b",
        "equal CPU time: Faster R-CNN": "1 9b364598b40f9a2fe92f 4c43b92d9aee",
        "equal CPU time: RetinaNet": "1 ba1651c7561d739e5250 e95282ee2d5a",
        "equal CPU time: FCOS": "1 57d1b90dc7191910c7ca afa0f9445513",
        "equal CPU time: RT-DETR": "1 10e204f3ad6a0d4a2434 90c9d9d29843",
        "as long as affordable: SSD300, VGG16": "1 7d93d1da186d187f471a 45b150d4168a",
        "as long as affordable: SSD, light trunk": "1 d9f60f77f91188af124d 3671505f60f7",
        "as long as affordable: SSDlite, MobileNetV3": "1 34171d3be50e72ecc9d6 46710b2823be",
        "as long as affordable: Faster R-CNN": "1 2c3762a01bd9585f4c1c f50ec8b9e018",
        "as long as affordable: RetinaNet": "1 a39e266a1f3a5bd5e443 0429852c0b30",
        "as long as affordable: FCOS": "1 c4ae0698b754d6df2435 86be6dec11b3",
        "as long as affordable: RT-DETR": "1 4fb010ae7ceef2ba615f 0504682ad24f",
        "as long as affordable: SSD300, batch norm": "1 7f62685fd23cd1882366 df5fc564136d",
        "twice as long: SSD, light trunk": "1 9c5ad20c31778466c910 d91bc7bb536c",
        "ablations: library's default boxes": "1 08c38cf1ff768f70f7a6 391d26613983",
        NO_NEGATIVES: "1 36b7d0448ab15f73c93a 85e1e8112ae0",
        "ablations: no mass-free views in training": "1 ebb60d59292a77ef8009 42bf0a44d89a",
        "ablations: no augmentation": "1 6a36b96b68569afd5046 3ec34c4e079f",
    },
}
