"""Specs of all kinds: what is refused, what makes a key, what stands before a run."""

import subprocess
import sys
from typing import Any

import pytest

from mammostudy.errors import SpecError
from mammostudy.models.registry import DETECTORS
from mammostudy.runs import versions
from mammostudy.runs.kinds import KINDS, TOOLS, ChainSpec, DetectSpec, ShapeSpec, kind_of
from mammostudy.runs.spec import KeyedSpec, RunSpec

MANIFEST = "0123456789abcdef"
IMAGES = {"split": {"unit": "image"}}
CHAIN: dict[str, Any] = {
    "detector": {"cohort": "c"},
    "segmenter": {"cohort": "c"},
    "shapes": [{"cohort": "s"}, {"cohort": "s", "split": {"fold": 1}}],
}
RUN, DETECTION, SHAPE, CHAINED = KINDS
BAD: list[tuple[str, dict[str, Any], str]] = [
    (RUN, {"colour": 1}, "colour"),
    (RUN, {"frame": {"zoom": 2}}, r"frame\.zoom"),
    (RUN, {"frame": {"size": 128}}, r"frame\.size"),
    (RUN, {"frame": {"box": "jittered"}}, r"frame\.box"),
    (RUN, {"optimiser": {"iterations": 0}}, r"optimiser\.iterations"),
    (RUN, {"model": {"name": "otsu"}}, r"optimiser\.iterations"),
    (RUN, {"split": {"rule": "official", "fold": 1}}, "rule 'official'"),
    (RUN, {"split": {"rule": "official", "unit": "image"}}, "rule 'official'"),
    (RUN, {"evaluation": {"boxes": []}}, r"evaluation\.boxes"),
    (RUN, {"evaluation": {"samples": 1}}, r"evaluation\.samples"),
    (RUN, {"evaluation": {"samples": 2}, "model": {"name": "unet"}}, r"evaluation\.samples"),
    (RUN, {"evaluation": {"test_cohort": "c"}}, r"evaluation\.test_cohort"),
    (RUN, {"model": {"name": "fnc"}}, "'fnc' is unknown; use one of .*all-mass.*cgan"),
    (RUN, {"model": {"name": "fcn", "width": 16}}, "width is no field of fcn"),
    (RUN, {"model": {"name": "fcn", "weights": "packaged"}}, "weights of fcn"),
    (RUN, {"model": {"name": "unet-lite0", "weights": "imagenet"}}, "weights of unet-lite0"),
    (RUN, {"model": {"name": "segnet", "standardised": True}}, "standardised: no weights"),
    (RUN, {"model": {"name": "cgan", "standardised": True}}, "standardised is no field of cgan"),
    (DETECTION, {"detector": {"name": "yolo"}}, "'yolo' is unknown; use one of .*fixed-prior"),
    (DETECTION, {"detector": {"name": "fcos", "anchors": "default"}}, "anchors is no field"),
    (DETECTION, {"detector": {"name": "fixed-prior"}}, r"training\.iterations"),
    (DETECTION, IMAGES, r"split\.unit 'image'"),
    (DETECTION, {"detector": {"name": "fcos", "trunk": "efficientnet-lite0"}}, "weights packaged"),
    (DETECTION, {"detector": {"name": "fcos", "weights": "packaged"}}, "weights packaged"),
    (DETECTION, {"test_cohort": "c"}, "test_cohort"),
    (SHAPE, {"classes": ["oval"]}, "classes"),
    (SHAPE, {"classes": ["oval", "oval"]}, "classes"),
    (SHAPE, {"classes": ["oval", "big"]}, "classes: use some of irregular"),
    (SHAPE, {"evaluation": {"sources": []}}, r"evaluation\.sources"),
    (SHAPE, {"input": {"source": "segmenter"}}, "segmenter"),
    (SHAPE, {"segmenter": [{"cohort": "c", **IMAGES}]}, r"segmenter\.split\.unit 'image'"),
    (SHAPE, {"classifier": "svm", "evaluation": {"explain": True}}, r"evaluation\.explain"),
    (CHAINED, {"detector": {"cohort": "d"}}, "cohort"),
    (CHAINED, {"segmenter": {"cohort": "c", "split": {"fold": 1}}}, r"segmenter\.split"),
    (CHAINED, {"segmenter": {"cohort": "c", "frame": {"strategy": "full"}}}, "strategy full"),
    (CHAINED, {"rule": "iou33"}, "rule 'iou33' is unknown: use one of iou10"),
    (CHAINED, {"shapes": [{"cohort": "s", "classifier": "svm"}]}, "shapes: networks"),
    (CHAINED, {"shapes": [{"cohort": "s", "input": {"keep_scale": True}}]}, "shapes: .* scale"),
    (CHAINED, {"shapes": [{"cohort": "s"}, {"cohort": "t"}]}, "shapes: .* of one recipe"),
    (CHAINED, {"shapes": [{"cohort": "s", **IMAGES}]}, r"shapes\.split\.unit 'image'"),
]


@pytest.mark.parametrize(("kind", "content", "named"), BAD)
def test_a_bad_field_is_refused_by_name(kind, content, named):
    whole = CHAIN if kind == "chain" else {}
    with pytest.raises(SpecError, match=f"^run spec: .*{named}") as caught:
        KINDS[kind].spec.parse({"cohort": "c", **whole, **content})
    assert "\n" not in str(caught.value)


SPECS: dict[str, KeyedSpec] = {
    "segmentation": RunSpec(cohort="c"),
    "detection": DetectSpec(cohort="c"),
    "shape": ShapeSpec(cohort="c"),
    "chain": ChainSpec.parse({"cohort": "c", **CHAIN}),
}
CHANGES: dict[str, list[dict[str, Any]]] = {
    "segmentation": [
        {"seed": 1}, {"split__fold": 1}, {"split__unit": "image"}, {"frame__aspect": "square"},
        {"model__width": 16}, {"loss__overlap": "l1"}, {"optimiser__augment": True},
        {"optimiser__averaging": 0.9}, {"preprocessing__equalise": False},
    ],
    "detection": [
        {"seed": 1}, {"split__fold": 1}, {"detector__size": 300}, {"detector__batch_norm": True},
        {"detector__anchors": "default"}, {"training__mass_free": False}, {"training__batch": 2},
        {"training__averaging": 0.9}, {"beside": "d"},
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
    "segmentation": [
        {"evaluation__postprocessing": "every"}, {"evaluation__boxes": ("oracle",)},
        {"variant": "study"}, {"evaluation__boundary": True}, {"evaluation__flips": True},
        {"evaluation__samples": 2}, {"evaluation__test_cohort": "d"},
    ],
    "detection": [{"variant": "study"}, {"test_cohort": "d"}],
    "shape": [
        {"variant": "study"}, {"evaluation__sources": ("truth", "active-contour")},
        {"evaluation__sources": ("active-contour", "truth")}, {"evaluation__explain": True},
    ],
    "chain": [{"variant": "paper"}],
}  # fmt: skip


@pytest.mark.parametrize("kind", SPECS)
def test_the_key_follows_data_and_fields(kind):
    spec = SPECS[kind]
    others = [spec.changed(**change) for change in (*CHANGES[kind], *MEASURED[kind])]
    assert kind_of(spec) == kind_of(spec.model_dump()) == kind
    assert type(spec).parse(spec.model_dump(mode="json")) == spec
    assert spec.key(MANIFEST) != spec.key("another")
    assert spec.training_key(MANIFEST) != spec.training_key("another")
    assert len({each.key(MANIFEST) for each in (spec, *others)}) == len(others) + 1
    assert len({each.recipe_key() for each in (spec, *others)}) == len(others) + 1
    trained = [each.training_key(MANIFEST) for each in (spec, *others)]
    assert len(set(trained)) == len(CHANGES[kind]) + 1
    assert set(trained[-len(MEASURED[kind]) :]) == {spec.training_key(MANIFEST)}
    assert len({spec, type(spec).parse(spec.model_dump()), others[0]}) == 2
    with pytest.raises(ValueError, match="frozen"):
        spec.cohort = "d"


@pytest.mark.parametrize("name", DETECTORS)
def test_every_detector_has_versions_and_the_fields_it_takes(name):
    spec = DetectSpec.parse({"cohort": "c", "detector": {"name": name}})
    fields, own = spec.fields((0.1, 0.2)), set(DETECTORS[name].fields)
    assert own <= set(fields)
    assert ("anchors" in own) == (fields.get("box_sides") == (0.1, 0.2))
    if "anchors" in own:
        assert spec.changed(detector__anchors="default").fields((0.1,))["box_sides"] == ()


def test_keys_hold_the_versions_of_what_a_run_uses_and_of_those_it_works_on(monkeypatch):
    chain, run = SPECS["chain"], RunSpec(cohort="c").changed(model__name="unet")
    ellipse = RunSpec(cohort="c").changed(model={"name": "ellipse"}, optimiser={"iterations": 0})
    shape = ShapeSpec(cohort="c", segmenter=(run,))
    assert chain.before == (chain.detector, chain.segmenter, *chain.shapes)
    assert shape.before == (run,)
    assert run.components() | {"data.sources.phantom"} <= shape.components()
    specs = (run, chain, shape, ellipse)
    for label, changed in (("models.generator", [1]), ("training.losses", [0, 1, 2])):
        before, trained = [spec.key(MANIFEST) for spec in specs], run.training_key(MANIFEST)
        monkeypatch.setitem(versions.VERSIONS, label, 2)
        moved = [at for at, spec in enumerate(specs) if spec.key(MANIFEST) != before[at]]
        assert moved == changed  # the others are controls
        assert (run.training_key(MANIFEST) != trained) == (0 in changed)


def test_a_key_needs_no_torch():
    code = (
        "import sys; from mammostudy.runs.kinds import ChainSpec, RunSpec; "
        "from mammostudy.runs.execute import ensure; "
        "RunSpec(cohort='c').key('x'); assert 'torch' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
