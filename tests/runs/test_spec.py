"""Specs of segmentation runs: what is refused, and what makes a key."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

import pytest

from mammostudy.errors import SpecError
from mammostudy.runs import versions
from mammostudy.runs.spec import RunSpec

MANIFEST = "0123456789abcdef"
SPEC = RunSpec(cohort="c")
LEAST = {"name": "ellipse"}


@pytest.mark.parametrize(
    ("content", "named"),
    [
        ({"colour": 1}, "colour"),
        ({"frame": {"zoom": 2}}, r"frame\.zoom"),
        ({"frame": {"size": 128}}, r"frame\.size must be divisible by 256"),
        ({"frame": {"box": "jittered"}}, r"frame\.box is oracle"),
        ({"optimiser": {"iterations": 0}}, r"optimiser\.iterations"),
        ({"model": {"name": "otsu"}}, r"optimiser\.iterations: 0 for a baseline"),
        ({"split": {"rule": "official", "fold": 1}}, "rule 'official' is one split by patient"),
        ({"split": {"rule": "official", "unit": "image"}}, "rule 'official'"),
        ({"evaluation": {"boxes": []}}, r"evaluation\.boxes is empty"),
        ({"evaluation": {"samples": 1}}, r"evaluation\.samples: give 2 draws"),
        ({"evaluation": {"samples": 2}, "model": {"name": "unet"}}, "only a cgan with dropout"),
        ({"evaluation": {"test_cohort": "c"}}, "the run's own cohort"),
        ({"model": {"name": "fnc"}}, "'fnc' is unknown; use one of .*all-mass.*cgan"),
        ({"model": {"name": "fcn", "width": 16}}, "width is no field of fcn"),
        ({"model": {"name": "fcn", "weights": "packaged"}}, "weights of fcn: none or imagenet"),
        ({"model": {"name": "unet-lite0", "weights": "imagenet"}}, "none or packaged"),
    ],
)
def test_a_bad_field_is_refused_by_name(content: dict[str, Any], named: str) -> None:
    with pytest.raises(SpecError, match=f"^run spec: .*{named}") as caught:
        RunSpec.parse({"cohort": "c", **content})
    assert "\n" not in str(caught.value)


def test_a_spec_is_frozen_hashable_and_changed_in_copies() -> None:
    with pytest.raises(ValueError, match="frozen"):
        SPEC.seed = 1  # type: ignore[misc]
    other = SPEC.changed(frame__scale=3.0, seed=2, evaluation__boxes=("oracle",))
    assert (other.frame.scale, other.seed, other.evaluation.boxes) == (3.0, 2, ("oracle",))
    assert SPEC.frame.scale == 2.0
    assert len({SPEC, RunSpec(cohort="c"), other}) == 2


CHANGES: list[dict[str, Any]] = [
    {"seed": 1}, {"split__fold": 1}, {"split__unit": "image"}, {"frame__aspect": "square"},
    {"model__width": 16}, {"loss__overlap": "l1"}, {"optimiser__augment": True},
    {"optimiser__averaging": 0.9}, {"preprocessing__equalise": False},
]  # fmt: skip
MEASURED: list[dict[str, Any]] = [
    {"evaluation__postprocessing": "every"}, {"evaluation__boxes": ("oracle",)},
    {"variant": "study"}, {"evaluation__boundary": True}, {"evaluation__flips": True},
    {"evaluation__samples": 2}, {"evaluation__test_cohort": "d"},
]  # fmt: skip


def test_the_key_follows_data_and_fields() -> None:
    others = [SPEC.changed(**change) for change in (*CHANGES, *MEASURED)]
    assert SPEC.key(MANIFEST) == RunSpec(cohort="c").key(MANIFEST) != SPEC.key("another")
    assert len({spec.key(MANIFEST) for spec in (SPEC, *others)}) == len(others) + 1
    assert len({spec.recipe_key() for spec in (SPEC, *others)}) == len(others) + 1
    trained = [spec.training_key(MANIFEST) for spec in (SPEC, *others)]
    assert len(set(trained)) == len(CHANGES) + 1
    assert set(trained[-len(MEASURED) :]) == {SPEC.training_key(MANIFEST)}
    assert SPEC.training_key(MANIFEST) != SPEC.training_key("another")


def test_a_raised_version_changes_the_keys_of_what_uses_it(monkeypatch: pytest.MonkeyPatch) -> None:
    ellipse = SPEC.changed(model=LEAST, optimiser__iterations=0)
    before = [(spec.key(MANIFEST), spec.training_key(MANIFEST)) for spec in (SPEC, ellipse)]
    monkeypatch.setitem(versions.VERSIONS, "training.losses", 2)
    assert SPEC.key(MANIFEST) != before[0][0]
    assert SPEC.training_key(MANIFEST) != before[0][1]
    assert ellipse.key(MANIFEST) == before[1][0]  # control


def test_a_key_needs_no_torch() -> None:
    code = (
        "import sys; from mammostudy.runs.kinds import ChainSpec, RunSpec; "
        "from mammostudy.runs.execute import ensure; "
        "RunSpec(cohort='c').key('x'); assert 'torch' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
