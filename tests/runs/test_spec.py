"""Specs: what is refused, what makes a key, and the keys of the study's own recipes."""

from __future__ import annotations

from typing import Any

import pytest

from mammostudy.data.frames import Frame
from mammostudy.errors import SpecError
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
    "split": {"folds": 5, "fold": 0, "seed": 0, "train_site": None, "validation_folds": 6},
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
    },
    "evaluation": {"boxes": ["oracle", "jittered"], "postprocessing": "published"},
    "seed": 0,
}

KEYS = {
    "default": "61fc3aa3d239d6fb",
    "phantom smoke paper": "8f631ac248733640",
    "phantom smoke released": "ae5be742578c7dc7",
    "phantom smoke study": "70145cf56a58d0e5",
    "phantom quick paper": "5b111931f1bd0f40",
    "phantom quick released": "a1dcd175f25a39bf",
    "phantom quick study": "5e3851bf9af1fe22",
    "phantom reference paper": "f97fa145cd3eb395",
    "phantom reference released": "77f306bbc0ae5730",
    "phantom reference study": "2e8c1699c3013558",
    "phantom paper paper": "aa3daf731521d976",
    "phantom paper released": "6af0712c4016ffbf",
    "phantom paper study": "c470b905b4b7bdae",
    "phantom quick no adversary": "2585bd03f725cc29",
    "phantom quick all-mass": "15aa0532bbea00c5",
    "phantom quick ellipse": "263102da52d3801b",
    "phantom quick otsu": "354a9cda4ac45cf9",
    "phantom quick chan-vese": "3005735aff981cf4",
    "cdd-cesm smoke paper": "574e1299bbf7e973",
    "cdd-cesm smoke released": "f462dd729baca2e9",
    "cdd-cesm smoke study": "ea2e1448ebc59eaf",
    "cdd-cesm quick paper": "07ba0ece9a17187e",
    "cdd-cesm quick released": "dd1927afce3a80c0",
    "cdd-cesm quick study": "87f4c0690d4dff94",
    "cdd-cesm reference paper": "52356c635d7af078",
    "cdd-cesm reference released": "bdfd5f6e3a3db37a",
    "cdd-cesm reference study": "eb440b448d77e1e3",
    "cdd-cesm paper paper": "d60c78a8e95ac485",
    "cdd-cesm paper released": "20c90c81e3e0b91b",
    "cdd-cesm paper study": "161e31e05171e7a3",
    "cdd-cesm quick no adversary": "67472f9a47bc52da",
    "cdd-cesm quick all-mass": "4beccee6257a8c91",
    "cdd-cesm quick ellipse": "19a7f048309f898e",
    "cdd-cesm quick otsu": "bcbd3ca0f5063e6b",
    "cdd-cesm quick chan-vese": "27c8d37568bcbc6a",
}
