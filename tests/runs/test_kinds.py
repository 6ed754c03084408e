"""Specs of detectors, shapes and chains: what is refused, what makes a key, what stands before."""

from __future__ import annotations

from typing import Any

import pytest

from mammostudy.errors import SpecError
from mammostudy.models.registry import DETECTORS
from mammostudy.runs import versions
from mammostudy.runs.execute import _depth
from mammostudy.runs.kinds import (
    KINDS,
    TOOLS,
    ChainSpec,
    DetectSpec,
    ShapeSpec,
    kind_of,
)
from mammostudy.runs.spec import KeyedSpec, RunSpec

MANIFEST = "0123456789abcdef"
IMAGES = {"split": {"unit": "image"}}
CHAIN: dict[str, Any] = {
    "cohort": "c",
    "detector": {"cohort": "c"},
    "segmenter": {"cohort": "c"},
    "shapes": [{"cohort": "s"}, {"cohort": "s", "split": {"fold": 1}}],
}


def detector(**fields: Any) -> dict[str, Any]:
    return {"cohort": "c", "detector": fields}


@pytest.mark.parametrize(
    ("kind", "content", "named"),
    [
        ("detection", detector(name="yolo"), "'yolo' is unknown; use one of .*fixed-prior"),
        ("detection", detector(name="fcos", anchors="default"), "anchors is no field of fcos"),
        ("detection", detector(name="fixed-prior"), r"training\.iterations: 0 for fixed-prior"),
        ("detection", {"cohort": "c", **IMAGES}, r"split\.unit 'image'"),
        ("shape", {"cohort": "c", "classes": ["oval"]}, "classes: name two or more"),
        ("shape", {"cohort": "c", "classes": ["oval", "oval"]}, "each once"),
        ("shape", {"cohort": "c", "classes": ["oval", "big"]}, "classes: use some of irregular"),
        ("shape", {"cohort": "c", "evaluation": {"sources": []}}, r"evaluation\.sources is empty"),
        ("shape", {"cohort": "c", "input": {"source": "segmenter"}}, "segmenter: no run is named"),
        ("shape", {"cohort": "c", "segmenter": [{"cohort": "c", **IMAGES}]}, r"segmenter\.split"),
        ("shape", {"cohort": "c", "classifier": "svm", "evaluation": {"explain": True}}, "explain"),
        ("chain", CHAIN | {"detector": {"cohort": "d"}}, "cohort must be the detector's"),
        (
            "chain",
            CHAIN | {"segmenter": {"cohort": "c", "split": {"fold": 1}}},
            r"segmenter\.split",
        ),
        ("chain", CHAIN | {"segmenter": {"cohort": "c", "frame": {"strategy": "full"}}}, "full"),
        ("chain", CHAIN | {"rule": "iou33"}, "rule 'iou33' is unknown: use one of iou10"),
        ("chain", CHAIN | {"shapes": [{"cohort": "s", "classifier": "svm"}]}, "shapes: networks"),
        ("chain", CHAIN | {"shapes": [{"cohort": "s", "input": {"keep_scale": True}}]}, "scale"),
        ("chain", CHAIN | {"shapes": [{"cohort": "s"}, {"cohort": "t"}]}, "of one recipe"),
        ("chain", CHAIN | {"shapes": [{"cohort": "s", **IMAGES}]}, r"shapes\.split\.unit 'image'"),
    ],
)
def test_a_bad_field_is_refused_by_name(kind: str, content: dict[str, Any], named: str) -> None:
    with pytest.raises(SpecError, match=f"^run spec: .*{named}"):
        KINDS[kind].spec.parse(content)


SPECS: dict[str, KeyedSpec] = {
    "detection": DetectSpec(cohort="c"),
    "shape": ShapeSpec(cohort="c"),
    "chain": ChainSpec.parse(CHAIN),
}
CHANGES: dict[str, list[dict[str, Any]]] = {
    "detection": [
        {"seed": 1}, {"split__fold": 1}, {"detector__size": 300}, {"detector__batch_norm": True},
        {"detector__anchors": "default"}, {"training__mass_free": False}, {"training__batch": 2},
    ],
    "shape": [
        {"seed": 1}, {"split__fold": 1}, {"classes": ("oval", "round")}, {"classifier": "resnet"},
        {"target": "tool", "classes": TOOLS}, {"input__placement": "square"},
        {"input__source": "active-contour"}, {"training__rotate": True},
        {"segmenter": [{"cohort": "c"}]}, {"segmenter": [{"cohort": "c", "seed": 1}]},
    ],
    "chain": [
        {"operating": 2.0}, {"postprocessing": "published"}, {"rule": "iou50"}, {"shapes": ()},
        {"detector__seed": 1}, {"segmenter__seed": 1},
    ],
}  # fmt: skip
MEASURED: dict[str, list[dict[str, Any]]] = {
    "detection": [{"variant": "study"}],
    "shape": [
        {"variant": "study"}, {"evaluation__sources": ("truth", "active-contour")},
        {"evaluation__sources": ("active-contour", "truth")}, {"evaluation__explain": True},
    ],
    "chain": [{"variant": "paper"}],
}  # fmt: skip


@pytest.mark.parametrize("kind", SPECS)
def test_the_key_follows_data_and_fields(kind: str) -> None:
    spec = SPECS[kind]
    others = [spec.changed(**change) for change in (*CHANGES[kind], *MEASURED[kind])]
    assert kind_of(spec) == kind_of(spec.model_dump()) == kind
    assert type(spec).parse(spec.model_dump(mode="json")) == spec
    assert spec.key(MANIFEST) != spec.key("another")
    assert len({each.key(MANIFEST) for each in (spec, *others)}) == len(others) + 1
    trained = [each.training_key(MANIFEST) for each in (spec, *others)]
    assert len(set(trained)) == len(CHANGES[kind]) + 1
    assert set(trained[-len(MEASURED[kind]) :]) == {spec.training_key(MANIFEST)}


@pytest.mark.parametrize("name", DETECTORS)
def test_every_detector_has_versions_and_the_fields_it_takes(name: str) -> None:
    spec = DetectSpec.parse(detector(name=name))
    assert all(version >= 1 for version in spec.recipe_versions().values())
    fields = spec.fields((0.1, 0.2))
    assert set(DETECTORS[name].fields) <= set(fields)
    assert fields["detections"] == 20
    has_anchors = "anchors" in DETECTORS[name].fields
    assert has_anchors == (fields.get("box_sides") == (0.1, 0.2))
    if has_anchors:
        assert spec.changed(detector__anchors="default").fields((0.1,))["box_sides"] == ()


def test_a_run_comes_after_those_it_works_on_and_holds_their_versions(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    chain, run = ChainSpec.parse(CHAIN), RunSpec(cohort="c").changed(model__name="unet")
    shape = ShapeSpec(cohort="c", segmenter=(run,))
    assert chain.before == (chain.detector, chain.segmenter, *chain.shapes)
    assert [_depth(each) for each in (run, shape, chain)] == [0, 1, 1]
    assert run.components() | {"data.sources.phantom"} <= shape.components()
    before = chain.key(MANIFEST), shape.key(MANIFEST)
    monkeypatch.setitem(versions.VERSIONS, "models.generator", 2)  # of the chain's segmenter
    assert chain.key(MANIFEST) != before[0]
    assert shape.key(MANIFEST) == before[1]  # control: its segmenter is another
