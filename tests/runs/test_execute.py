"""From spec to record: once, resumable, in one process or several; refused before training."""

from __future__ import annotations

import shutil
from contextlib import contextmanager
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from mammostudy.errors import DataError
from mammostudy.paths import store_root
from mammostudy.runs import execute as module
from mammostudy.runs import segmentation
from mammostudy.runs import spec as specs_module
from mammostudy.runs.execute import cannot_run, ensure, execute, missing
from mammostudy.runs.kinds import ChainSpec, DetectSpec, ShapeSpec
from mammostudy.runs.record import local_records, weights_path
from mammostudy.runs.spec import BASELINES, COLUMNS, RunSpec

GONE = ("x_min", "y_min", "x_max", "y_max", "mask", "mask_label", "outline")


def baselines(spec):
    plain = {"optimiser": {"iterations": 0}, "variant": "baseline"}
    return [spec.changed(model={"name": name}, **plain) for name in BASELINES]


def test_rows_are_of_all_cases_and_of_the_kept_masks(tiny, tiny_spec, one):
    record = one(tiny_spec)
    assert record.curves["iteration"].tolist() == [1, 2]
    split = record.content["split"]
    assert sorted(c for part in split.values() for c in part) == sorted(tiny.masses.index)
    assert set(record.cases["case"]) == {*split["validation"], *split["test"]}
    assert tuple(record.cases.columns) == COLUMNS
    assert len(record.cases) == 2 * 2 * len(record.predictions())
    assert record.cases.notna().all().all()
    raw = record.cases.query("box == 'oracle' and postprocessing == 'none'").set_index("case")
    sums = {case: int(mask.sum()) for case, mask in record.predictions().items()}
    assert raw["predicted_pixels"].to_dict() == sums


def test_a_second_call_runs_nothing(tiny, tiny_spec, one, refuse, monkeypatch):
    specs = [tiny_spec, *baselines(tiny_spec)]
    assert missing([*specs, tiny_spec]) == specs
    first = ensure(specs, workers=1, progress=False)
    assert [record.spec for record in first] == specs
    for record in first[1:]:
        assert (record.converged, record.curves.empty) == (None, True)
        assert record.provenance["training_seconds"] == 0
    monkeypatch.setattr(module, "module_of", refuse)
    again = ensure([*specs, tiny_spec], workers=1, progress=False)
    assert [r.key for r in again] == [r.key for r in [*first, first[0]]]
    assert missing(specs) == []
    with pytest.raises(RuntimeError, match="ran"):  # the control
        one(tiny_spec.changed(seed=1))


def test_layers_that_share_weights_are_kept_and_read(tiny, tiny_spec, one, refuse, monkeypatch):
    first = one(tiny_spec.changed(model__shared_batch_norm=True, model__channels=3))
    monkeypatch.setattr(segmentation.training, "fit", refuse)
    other = one(first.spec.changed(evaluation__postprocessing="every"))
    assert other.key != first.key
    for case, mask in first.predictions().items():
        assert np.array_equal(other.predictions()[case], mask)


def test_weights_of_another_network_are_one_clear_error(tiny, tiny_spec, one):
    wide = tiny_spec.changed(model__width=4)
    ensure([tiny_spec, wide], workers=1, progress=False)
    shutil.rmtree(local_records())
    mine, other = (weights_path(s.training_key(tiny.manifest_hash)) for s in (tiny_spec, wide))
    shutil.copy(other, mine)
    with pytest.raises(DataError, match=rf"{mine.name}: .* delete"):
        one(tiny_spec)
    one(wide)  # control: where they belong they are read


@pytest.mark.slow
def test_workers_give_the_rows_of_one_process(tiny, tiny_spec):
    specs = [tiny_spec, tiny_spec.changed(seed=1)]
    alone = [record.cases for record in ensure(specs, workers=1, progress=False)]
    shutil.rmtree(store_root())
    together = ensure(specs, workers=2, progress=False)
    for rows, record in zip(alone, together, strict=True):
        pd.testing.assert_frame_equal(record.cases, rows)
        assert record.provenance["machine"]["threads"] == 1


@pytest.mark.parametrize(("kind", "gone"), [
    (RunSpec, GONE), (DetectSpec, GONE), (ShapeSpec, ("shape",)),
])  # fmt: skip
def test_a_cohort_without_the_columns_is_refused(kind, gone, tiny, refuse, monkeypatch):
    lacking = replace(tiny, manifest=tiny.manifest.assign(**dict.fromkeys(gone)))
    monkeypatch.setattr(module, "load_cohort", lambda _: lacking)
    monkeypatch.setattr(module, "_run_all", refuse)
    spec = kind(cohort="tiny")
    for start in (execute, lambda one: ensure([one], workers=1, progress=False)):
        with pytest.raises(DataError, match=f"cannot be used for {spec.task}: no mass has"):
            start(spec)
    assert not local_records().exists()
    monkeypatch.setattr(module, "require", lambda *_: None)  # control
    with pytest.raises(RuntimeError, match="ran"):
        ensure([spec], workers=1, progress=False)


def test_runs_that_others_stand_on_wait_for_the_refusal(tiny, tiny_spec, one, refuse, monkeypatch):
    """``tiny`` has masses and no shapes: its segmenter is not trained for nothing."""
    monkeypatch.setattr(module, "module_of", refuse)
    with pytest.raises(DataError, match="cannot be used for shape: no mass has shape"):
        ensure([ShapeSpec(cohort="tiny", segmenter=(tiny_spec,))], workers=1, progress=False)
    detector = DetectSpec(cohort="tiny", split=tiny_spec.split)
    chain = ChainSpec(cohort="tiny", detector=detector, segmenter=tiny_spec)
    assert missing([chain]) == [detector, tiny_spec, chain]


def test_a_run_that_cannot_be_made_holds_up_no_other(tiny, tiny_spec, one, refuse, monkeypatch):
    lite = {"name": "unet-lite0", "weights": "packaged"}
    lacking, other = tiny_spec.changed(model=lite), baselines(tiny_spec)[0]
    monkeypatch.setattr(specs_module, "find_spec", lambda package: None)
    (made,) = ensure([lacking, other], workers=1, progress=False)
    assert made.spec == other
    assert list(cannot_run([lacking, other])) == [lacking]
    monkeypatch.setattr(specs_module, "find_spec", lambda package: package)
    monkeypatch.setattr(module, "module_of", refuse)
    with pytest.raises(RuntimeError, match="ran"):  # the control: with its package it is run
        ensure([lacking], workers=1, progress=False)


def test_folds_by_image_are_named_to_the_check_and_in_the_record(
    tiny, tiny_spec, one, refuse, monkeypatch
):
    told: list[str] = []
    monkeypatch.setattr(segmentation, "check_leakage", lambda *_, unit: told.append(unit))
    leaky, honest = one(tiny_spec.changed(split__unit="image")), one(tiny_spec)
    assert told == ["image", "patient"]
    assert (leaky.leaky, honest.leaky) == (True, False)
    assert leaky.content["warning"].startswith("LEAKY")
    assert "warning" not in honest.content


def test_a_second_process_waits_for_the_first(tiny, tiny_spec, one, refuse, monkeypatch):
    held, usual = [], module.locked

    @contextmanager
    def locked(name):
        held.append(name)
        monkeypatch.setattr(module, "locked", usual)
        execute(tiny_spec, progress=False)  # another process is first
        monkeypatch.setattr(module, "module_of", refuse)
        yield

    monkeypatch.setattr(module, "locked", locked)
    assert execute(tiny_spec, progress=False).spec == tiny_spec
    assert held == [tiny_spec.training_key(tiny.manifest_hash)]
