"""Specs: what is refused, what makes a key, and the keys of the study's own recipes."""

from __future__ import annotations

from typing import Any

import pytest

from mammostudy.data.frames import Frame
from mammostudy.errors import SpecError
from mammostudy.runs import segmenting
from mammostudy.runs import spec as module
from mammostudy.runs.spec import RunSpec, parse_spec
from mammostudy.study.recipes import PRESETS, baselines, recipe, without_adversary

MANIFEST = "0123456789abcdef"


@pytest.mark.parametrize(
    ("content", "named"),
    [
        ({}, "cohort"),
        ({"cohort": "c", "colour": 1}, "colour"),
        ({"cohort": "c", "frame": {"zoom": 2}}, r"frame\.zoom"),
        ({"cohort": "c", "frame": {"scale": "wide"}}, r"frame\.scale"),
        ({"cohort": "c", "frame": {"strategy": "loos"}}, r"frame\.strategy.*loose"),
        ({"cohort": "c", "loss": {"overlap": "focal"}}, r"loss\.overlap.*dice_bce"),
        ({"cohort": "c", "model": {"channels": 2}}, r"model\.channels"),
        ({"cohort": "c", "optimiser": {"learning_rate": 0}}, r"optimiser\.learning_rate"),
        ({"cohort": "c", "split": {"folds": 1}}, r"split\.folds"),
        ({"cohort": "c", "split": {"unit": "view"}}, r"split\.unit.*image"),
        ({"cohort": "c", "seed": -1}, "seed"),
        ({"cohort": "c", "evaluation": {"boxes": ["detected"]}}, r"evaluation\.boxes"),
        ({"cohort": "c", "evaluation": {"boxes": []}}, r"evaluation\.boxes is empty"),
        ({"cohort": "c", "frame": {"size": 128}}, r"frame\.size 128 .*model\.levels.*7 for 128"),
        ({"cohort": "c", "frame": {"box": "jittered"}}, r"frame\.box.*evaluation\.boxes"),
        ({"cohort": "c", "optimiser": {"iterations": 0}}, r"optimiser\.iterations"),
        ({"cohort": "c", "model": {"name": "otsu"}}, r"optimiser\.iterations must be 0"),
    ],
)
def test_a_bad_field_is_refused_by_name(content: dict[str, Any], named: str) -> None:
    with pytest.raises(SpecError, match=f"^run spec: .*{named}") as caught:
        parse_spec(content)
    assert "\n" not in str(caught.value)


def test_a_split_by_image_is_another_run_and_says_so() -> None:
    spec = RunSpec(cohort="c")
    leaky = spec.changed(split__unit="image")
    assert (spec.split.leaky, leaky.split.leaky) == (False, True)
    assert leaky.key(MANIFEST) != spec.key(MANIFEST)
    assert leaky.training_key(MANIFEST) != spec.training_key(MANIFEST)


@pytest.mark.parametrize(
    ("model", "named"),
    [
        ({"name": "fnc"}, "name 'fnc' is unknown; use one of all-mass, .*cgan, .*unet-vgg16"),
        ({"name": "fcn", "width": 16}, "width is a field of cgan, unet-plain, unet, not of fcn"),
        ({"name": "segnet", "levels": 6}, "levels is a field of .*not of segnet"),
        ({"name": "unet-plain", "dense": 8}, "dense is a field of crfcnn, fcn, not of unet-plain"),
        ({"name": "cgan", "weights": "imagenet"}, "weights is a field of .*not of cgan"),
        ({"name": "segnet", "shared_batch_norm": True}, "shared_batch_norm .*not of segnet"),
        ({"name": "fcn", "dropout_at_prediction": False}, "dropout_at_prediction .*not of fcn"),
        ({"name": "fcn", "weights": "packaged"}, "'packaged' are those of unet-lite0; fcn takes"),
        ({"name": "unet-lite0", "weights": "imagenet"}, "unet-lite0 takes none or packaged"),
    ],
)
def test_fields_of_another_model_are_refused_by_name(model: dict[str, Any], named: str) -> None:
    with pytest.raises(SpecError, match=f"^run spec: model: .*{named}"):
        parse_spec({"cohort": "c", "model": model})
    if len(model) > 1:
        parse_spec({"cohort": "c", "model": {"name": model["name"]}})  # the control


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"evaluation__samples": 1}, "evaluation.samples: give 2 draws or more"),
        ({"evaluation__samples": 4, "model__dropout_at_prediction": False}, "nothing else draws"),
        ({"evaluation__samples": 4, "model__name": "unet"}, "nothing else draws"),
        ({"evaluation__test_cohort": "c"}, "the run's own cohort"),
        ({"optimiser__averaging": 1.0}, "optimiser.averaging"),
    ],
)
def test_evaluations_that_mean_nothing_are_refused(changes: dict[str, Any], named: str) -> None:
    with pytest.raises(SpecError, match=named):
        RunSpec(cohort="c").changed(**changes)
    RunSpec(cohort="c").changed(evaluation__samples=2, evaluation__test_cohort="d")  # the control


def test_what_is_measured_beside_the_rows_is_in_the_key_and_not_in_the_weights() -> None:
    spec = RunSpec(cohort="c")
    changes: list[dict[str, Any]] = [
        {"evaluation__boundary": True}, {"evaluation__flips": True}, {"evaluation__samples": 2},
        {"evaluation__test_cohort": "d"},
    ]  # fmt: skip
    others = [spec.changed(**change) for change in changes]
    assert {other.training_key(MANIFEST) for other in others} == {spec.training_key(MANIFEST)}
    assert len({s.key(MANIFEST) for s in (spec, *others)}) == 5
    averaged = spec.changed(optimiser__averaging=0.9)
    assert averaged.training_key(MANIFEST) != spec.training_key(MANIFEST)
    assert "mammostudy.training.averaging" in averaged.recipe_versions()
    assert "mammostudy.evaluation.boundaries" in others[0].recipe_versions()


def test_packaged_weights_need_their_package(monkeypatch: pytest.MonkeyPatch) -> None:
    model = {"name": "unet-lite0", "weights": "packaged"}
    packaged = parse_spec({"cohort": "c", "model": model})
    monkeypatch.setattr(segmenting, "find_spec", lambda name: None)
    assert "mammostudy[pretrained]" in packaged.cannot_run
    assert packaged.changed(model__weights="none").cannot_run == ""
    monkeypatch.setattr(segmenting, "find_spec", lambda name: name)
    assert packaged.cannot_run == ""


def test_every_fault_is_in_the_message() -> None:
    with pytest.raises(SpecError, match=r"colour.*") as caught:
        parse_spec({"cohort": "c", "colour": 1, "seed": "x"})
    assert "colour" in str(caught.value)
    assert "seed" in str(caught.value)


def test_the_size_check_is_the_generators_alone() -> None:
    spec = parse_spec({"cohort": "c", "model": {"name": "unet"}, "frame": {"size": 128}})
    assert spec.model.name == "unet"


def test_the_size_check_is_what_refuses(monkeypatch: pytest.MonkeyPatch) -> None:
    content = {"cohort": "c", "frame": {"size": 128}}
    with pytest.raises(SpecError):
        parse_spec(content)
    unguarded = RunSpec.model_construct(cohort="c", frame=Frame(size=128))  # the control
    assert unguarded.frame.size % 2**unguarded.model.levels


def test_a_spec_is_frozen_and_hashable() -> None:
    spec = RunSpec(cohort="c")
    with pytest.raises(ValueError, match="frozen"):
        spec.seed = 1  # type: ignore[misc]
    assert len({spec, RunSpec(cohort="c"), spec.changed(seed=1)}) == 2


def test_changed_reaches_nested_fields() -> None:
    spec = RunSpec(cohort="c")
    other = spec.changed(frame__scale=3.0, seed=2, evaluation__boxes=("oracle",))
    assert (other.frame.scale, other.seed, other.evaluation.boxes) == (3.0, 2, ("oracle",))
    assert other.changed(frame__scale=2.0, seed=0, evaluation__boxes=("oracle", "jittered")) == spec
    assert spec.frame.scale == 2.0


@pytest.mark.parametrize(
    ("fields", "named"),
    [
        ({"colour": 1}, "'colour'"),
        ({"frame__zoom": 1}, r"'frame__zoom'; frame has .*scale"),
        ({"nothing__scale": 1}, "'nothing__scale'"),
        ({"seed__deep": 1}, "'seed__deep'"),
        ({"frame__scale": "wide"}, r"frame\.scale"),
        ({"frame__size": 100}, r"frame\.size"),
    ],
)
def test_changed_refuses_by_name(fields: dict[str, Any], named: str) -> None:
    with pytest.raises(SpecError, match=named):
        RunSpec(cohort="c").changed(**fields)


def test_the_key_follows_data_and_fields() -> None:
    spec = RunSpec(cohort="c")
    assert spec.key(MANIFEST) == RunSpec(cohort="c").key(MANIFEST)
    assert spec.key(MANIFEST) != spec.key("another")
    assert spec.training_key(MANIFEST) != spec.training_key("another")
    assert spec.recipe_key() == RunSpec(cohort="c").recipe_key()
    changes: list[dict[str, Any]] = [
        {"seed": 1}, {"split__fold": 1}, {"frame__aspect": "square"}, {"model__width": 16},
        {"loss__overlap": "l1"}, {"optimiser__augment": True}, {"preprocessing__equalise": False},
    ]  # fmt: skip
    others = [spec.changed(**change) for change in changes]
    for key in ("key", "training_key"):
        assert len({getattr(s, key)(MANIFEST) for s in (spec, *others)}) == len(others) + 1


@pytest.mark.parametrize(
    "change",
    [
        {"evaluation__postprocessing": "every"},
        {"evaluation__boxes": ("oracle",)},
        {"variant": "study"},
    ],
)
def test_what_weights_do_not_depend_on_keeps_the_training_key(change: dict[str, Any]) -> None:
    spec = RunSpec(cohort="c")
    other = spec.changed(**change)
    assert other.training_key(MANIFEST) == spec.training_key(MANIFEST)
    assert other.key(MANIFEST) != spec.key(MANIFEST)


def test_a_raised_version_changes_the_keys(monkeypatch: pytest.MonkeyPatch) -> None:
    spec = RunSpec(cohort="c")
    before = spec.key(MANIFEST), spec.training_key(MANIFEST)
    known = module.recipe_version

    def raised(name: str) -> int:
        return known(name) + (name == "mammostudy.training.losses")

    monkeypatch.setattr(module, "recipe_version", raised)
    assert spec.key(MANIFEST) != before[0]
    assert spec.training_key(MANIFEST) != before[1]


def test_only_the_wide_cgan_trains_channels_last() -> None:
    module = "mammostudy.models.channels_last"
    for width, name, expected in ((31, "cgan", False), (32, "cgan", True), (32, "unet", False)):
        spec = RunSpec(cohort="c").changed(model__width=width, model__name=name)
        assert spec.trains_channels_last == expected
        assert (module in spec.recipe_versions()) == expected


def test_versions_are_those_of_the_parts_a_run_uses() -> None:
    paper, plain = RunSpec(cohort="c"), without_adversary(RunSpec(cohort="c"))
    unet = plain.changed(model__name="unet")
    ellipse = baselines(paper)[1]
    assert "mammostudy.models.discriminator" in paper.recipe_versions()
    assert "mammostudy.models.discriminator" not in plain.recipe_versions()
    assert "mammostudy.models.segmenters.unet" in unet.recipe_versions()
    assert "mammostudy.models.generator" not in unet.recipe_versions()
    assert "mammostudy.imaging.contours" in ellipse.recipe_versions()
    assert not any("training" in name for name in ellipse.recipe_versions())
    assert all(version >= 1 for version in paper.recipe_versions().values())


def recipes() -> dict[str, RunSpec]:
    found = {"default": RunSpec(cohort="c")}
    for cohort in ("phantom", "cdd-cesm"):
        for name in PRESETS:
            for variant in ("paper", "released", "study"):
                found[f"{cohort} {name} {variant}"] = recipe(cohort, name, variant)
        quick = recipe(cohort, "quick")
        found[f"{cohort} quick no adversary"] = without_adversary(quick)
        found |= {f"{cohort} quick {s.model.name}": s for s in baselines(quick)}
    return found


def test_golden_keys() -> None:
    """Keys of committed records: a changed default, recipe or VERSION shows here.

    Where a default moved, raise VERSION of runs/spec.py (keys leave defaults out); then pin anew.
    """
    assert {name: spec.key(MANIFEST) for name, spec in recipes().items()} == KEYS


def test_golden_defaults() -> None:
    """Keys leave defaults out, so that a moved default must show elsewhere: here."""
    assert RunSpec(cohort="c").model_dump(mode="json") == DEFAULTS, (
        "a default moved: raise VERSION of runs/spec.py, then pin it anew"
    )


DEFAULTS = {
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
    "frame": {
        "strategy": "loose",
        "scale": 2.0,
        "aspect": "stretch",
        "truth": "all",
        "box": "oracle",
        "size": 256,
    },
    "preprocessing": {"denoise_sigma": 0.5, "equalise": True, "value_range": "unit"},
    "model": {
        "name": "cgan",
        "channels": 1,
        "width": 32,
        "levels": 8,
        "shared_batch_norm": False,
        "dropout_at_prediction": True,
        "weights": "none",
        "dense": 4096,
    },
    "loss": {
        "overlap": "dice",
        "overlap_weight": 150.0,
        "adversarial_weight": 1.0,
        "signed_masks": False,
    },
    "optimiser": {
        "learning_rate": 0.0002,
        "beta1": 0.5,
        "beta2": 0.999,
        "batch": 8,
        "iterations": 4200,
        "validations": 20,
        "augment": False,
        "averaging": 0.0,
    },
    "evaluation": {
        "boxes": ["oracle", "jittered"],
        "postprocessing": "published",
        "boundary": False,
        "flips": False,
        "samples": 0,
        "test_cohort": "",
    },
    "seed": 0,
}

KEYS = {
    "default": "bddbf10f1069d4b6",
    "phantom smoke paper": "080258c29fe6f8d4",
    "phantom smoke released": "d2f262aafbd111f6",
    "phantom smoke study": "1a46e486dc47f47c",
    "phantom quick paper": "46d7df00a80697b8",
    "phantom quick released": "156e2a181c1cecd7",
    "phantom quick study": "3614f1a551003d3f",
    "phantom reference paper": "8e15fbf1ea648ef3",
    "phantom reference released": "7896e67e21d75e34",
    "phantom reference study": "3f6e3e91d76a7f2a",
    "phantom paper paper": "003f53861c829f36",
    "phantom paper released": "705163ca1338b236",
    "phantom paper study": "db8353595e19eeb9",
    "phantom quick no adversary": "b815a5f84f263384",
    "phantom quick all-mass": "4c3e956e1d3c7ca5",
    "phantom quick ellipse": "db7e4ead48d761a4",
    "phantom quick otsu": "9d6721ebc32fa2a0",
    "phantom quick chan-vese": "97ae6ac2c23f7e4d",
    "cdd-cesm smoke paper": "048ba2a1e0c20d42",
    "cdd-cesm smoke released": "4f1c18b215436371",
    "cdd-cesm smoke study": "9477a5e4f50830ef",
    "cdd-cesm quick paper": "4edb6b8370370c18",
    "cdd-cesm quick released": "f312c6750cdfbca8",
    "cdd-cesm quick study": "44e6266e273c692c",
    "cdd-cesm reference paper": "94417a67ef4c13de",
    "cdd-cesm reference released": "36a98de4ddd275b7",
    "cdd-cesm reference study": "f230e1570d89fa64",
    "cdd-cesm paper paper": "df83099a258d4011",
    "cdd-cesm paper released": "49f16ae4ecccfba8",
    "cdd-cesm paper study": "c5d8eaaf3a1d7ff4",
    "cdd-cesm quick no adversary": "4e07df2b1dacaf36",
    "cdd-cesm quick all-mass": "75ba4db967d8f399",
    "cdd-cesm quick ellipse": "5b27756061b4d6bc",
    "cdd-cesm quick otsu": "d5ea44486a97687e",
    "cdd-cesm quick chan-vese": "384e7c34872f4ea6",
}
