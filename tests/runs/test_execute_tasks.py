"""A run is refused for a cohort that lacks what its task needs, before anything is trained."""

from __future__ import annotations

from dataclasses import replace

import pytest

from mammostudy.data.cohort import Cohort
from mammostudy.errors import DataError
from mammostudy.runs import execute as module
from mammostudy.runs import testing
from mammostudy.runs.chain_spec import ChainSpec
from mammostudy.runs.detect_spec import DetectSpec
from mammostudy.runs.execute import ensure, execute
from mammostudy.runs.shape_spec import ShapeSpec
from mammostudy.runs.spec import RunSpec
from mammostudy.runs.store import local_records

GONE = ("x_min", "y_min", "x_max", "y_max", "mask", "mask_label", "outline")


def ran(*_: object, **__: object) -> None:
    pytest.fail("something ran")


@pytest.mark.parametrize(("task", "gone", "kind"), [
    ("segmentation", GONE, RunSpec), ("detection", GONE, DetectSpec),
    ("shape", ("shape",), ShapeSpec),
])  # fmt: skip
def test_a_cohort_without_the_columns_is_refused_for_the_task(
    task: str,
    gone: tuple[str, ...],
    kind: type[RunSpec | DetectSpec | ShapeSpec],
    tiny: Cohort,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    lacking = replace(tiny, manifest=tiny.manifest.assign(**dict.fromkeys(gone)))
    monkeypatch.setattr(module, "load_cohort", lambda _: lacking)
    monkeypatch.setattr(module, "_run_all", ran)
    spec = kind(cohort="tiny")
    assert spec.task == task
    for start in (execute, lambda one: ensure([one], workers=1, progress=False)):
        with pytest.raises(DataError, match=f"tiny: cannot be used for {task}: no mass has"):
            start(spec)
    assert not local_records().exists()
    monkeypatch.setattr(module, "require", lambda *_: None)  # control
    with pytest.raises(pytest.fail.Exception, match="something ran"):
        ensure([spec], workers=1, progress=False)


def test_runs_that_others_stand_on_wait_for_the_refusal(
    tiny: Cohort, tiny_spec: RunSpec, monkeypatch: pytest.MonkeyPatch
) -> None:
    """``tiny`` has masks and no shapes: its segmenter is not trained for nothing."""
    shape = ShapeSpec(cohort="tiny", segmenter=(tiny_spec,))
    monkeypatch.setattr(module, "_trained", ran)
    with pytest.raises(DataError, match="tiny: cannot be used for shape: no mass has shape"):
        ensure([shape], workers=1, progress=False)


def test_the_cohort_that_a_run_is_tested_on_needs_the_columns_too(
    tiny: Cohort, tiny_spec: RunSpec, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As INbreast is, which is for testing only: refused before anything is trained on ``tiny``."""
    lacking = replace(tiny, name="inbreast", manifest=tiny.manifest.assign(**dict.fromkeys(GONE)))
    monkeypatch.setattr(testing, "load_cohort", lambda _: lacking)
    monkeypatch.setattr(module, "_trained", ran)
    spec = tiny_spec.changed(evaluation__test_cohort="inbreast")
    with pytest.raises(DataError, match="inbreast: cannot be used for segmentation: no mass has"):
        execute(spec, progress=False)
    other = tiny.manifest["patient"] + "-other"
    whole = replace(tiny, name="inbreast", manifest=tiny.manifest.assign(patient=other))
    monkeypatch.setattr(testing, "load_cohort", lambda _: whole)
    with pytest.raises(pytest.fail.Exception, match="something ran"):  # control
        execute(spec, progress=False)


def test_the_drawing_tool_is_no_task_and_a_chain_needs_boxes(tiny_spec: RunSpec) -> None:
    tools = ShapeSpec(cohort="tiny", target="tool", classes=("circle", "polygon"))
    assert tools.task is None
    detector = DetectSpec(cohort="tiny", split=tiny_spec.split)
    chain = ChainSpec(cohort="tiny", detector=detector, segmenter=tiny_spec)
    assert chain.task == "detection"
