"""From spec to record: once, resumable, in one process or several; refused before training."""

import json
import shutil
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
import torch
from safetensors.torch import load_file

from mammostudy.errors import DataError, StudyError
from mammostudy.evaluation import splits
from mammostudy.paths import store_root
from mammostudy.runs import execute as module
from mammostudy.runs import segmentation
from mammostudy.runs import spec as specs_module
from mammostudy.runs.execute import ensure, execute, missing
from mammostudy.runs.kinds import ChainSpec, DetectSpec, ShapeSpec
from mammostudy.runs.record import local_records, weights_path
from mammostudy.runs.spec import BASELINES, COLUMNS, RunSpec
from mammostudy.runs.trained import trained_model
from mammostudy.training.loop import load_checkpoint, save_checkpoint

GONE = ("x_min", "y_min", "x_max", "y_max", "mask", "mask_label", "outline")


def baselines(spec):
    plain = {"optimiser": {"iterations": 0}, "variant": "baseline"}
    return [spec.changed(model={"name": name}, **plain) for name in BASELINES]


def test_rows_are_of_all_cases_and_of_the_kept_masks(tiny, tiny_spec, one):
    record = one(tiny_spec)
    split, rows, masks = record.content["split"], record.cases, record.predictions()
    assert sorted(c for part in split.values() for c in part) == sorted(tiny.masses.index)
    assert set(rows["case"]) == {*split["validation"], *split["test"]}
    assert tuple(rows.columns) == COLUMNS
    assert len(rows) == 2 * 2 * len(masks)
    raw = rows.query("box == 'oracle' and postprocessing == 'none'").set_index("case")
    sums = {case: int(mask.sum()) for case, mask in masks.items()}
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
    history = mine.with_suffix(".history")
    past, whole = load_checkpoint(history), history.read_bytes()
    del past["sha256"]  # as older ones are
    save_checkpoint(history, past)
    with pytest.raises(DataError, match=rf"{mine.name}: .* delete"):
        one(tiny_spec)
    one(wide)  # control: where they belong they are read
    history.write_bytes(whole)
    one(tiny_spec)  # which tells that they are not its own
    assert [path.name[:16] for path in store_root().glob("quarantine/*")] == [mine.stem]


@pytest.mark.slow
def test_damaged_results_are_made_anew(tiny, tiny_spec, one, refuse, monkeypatch):
    """The table comes from the weights again; each flip of these is noticed, and trains anew."""
    first = one(tiny_spec)
    path, table = weights_path(first.content["training_key"]), first.folder / "cases.csv"
    lines = table.read_bytes().splitlines(keepends=True)
    table.write_bytes(b"".join(lines[: len(lines) // 2]))
    with monkeypatch.context() as patch:
        patch.setattr(segmentation.training, "fit", refuse)
        pd.testing.assert_frame_equal(one(tiny_spec).cases, first.cases)
        whole = path.read_bytes()
        for at in np.random.default_rng(0).integers(0, len(whole), 20).tolist():
            shutil.rmtree(local_records(), ignore_errors=True)
            path.write_bytes(whole[:at] + bytes([whole[at] ^ 4]) + whole[at + 1 :])
            with pytest.raises(RuntimeError, match="ran"):
                one(tiny_spec)
    pd.testing.assert_frame_equal(one(tiny_spec).cases, first.cases)
    assert path.read_bytes() == whole


def test_records_are_counted_whatever_the_clock_says(tiny, tiny_spec, one):
    made = [one(spec).provenance["sequence"] for spec in (tiny_spec, *baselines(tiny_spec)[:2])]
    assert made == [1, 2, 3]


@pytest.mark.parametrize("found", [BrokenProcessPool("killed"), MemoryError()])
def test_a_killed_run_costs_what_works_on_it_alone(found, tiny, tiny_spec, monkeypatch):
    detector = DetectSpec(cohort="tiny", split=tiny_spec.split)
    chain = ChainSpec(cohort="tiny", detector=detector, segmenter=tiny_spec)
    (other, *_) = baselines(tiny_spec)

    def some(work, items, workers):
        for (spec,) in items:
            yield (spec,), found if spec == detector else execute(spec, progress=False) and None

    monkeypatch.setattr(module, "side_by_side", some)
    kind = StudyError if isinstance(found, BrokenProcessPool) else MemoryError
    with pytest.raises(kind) as told:
        ensure([chain, other], workers=2, progress=False)
    if kind is StudyError:
        assert detector.label in str(told.value)
        assert missing([chain, other]) == [detector, chain]


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
        with pytest.raises(DataError, match=f"cannot be used for {spec.needs}: it lacks"):
            start(spec)
    assert not local_records().exists()
    monkeypatch.setattr(module, "require", lambda *_: None)  # control
    with pytest.raises(RuntimeError, match="ran"):
        ensure([spec], workers=1, progress=False)


def test_runs_that_others_stand_on_wait_for_the_refusal(tiny, tiny_spec, refuse, monkeypatch):
    """``tiny`` has masses and no shapes: its segmenter is not trained for nothing."""
    monkeypatch.setattr(module, "module_of", refuse)
    with pytest.raises(DataError, match="cannot be used for shape: it lacks shape"):
        ensure([ShapeSpec(cohort="tiny", segmenter=(tiny_spec,))], workers=1, progress=False)
    detector = DetectSpec(cohort="tiny", split=tiny_spec.split)
    chain = ChainSpec(cohort="tiny", detector=detector, segmenter=tiny_spec)
    assert missing([chain]) == [detector, tiny_spec, chain]


def test_a_run_that_cannot_be_made_holds_up_no_other(tiny, tiny_spec, refuse, monkeypatch):
    lite = {"name": "unet-lite0", "weights": "packaged"}
    lacking, other = tiny_spec.changed(model=lite), baselines(tiny_spec)[0]
    monkeypatch.setattr(specs_module, "find_spec", lambda package: None)
    (made,) = ensure([lacking, other], workers=1, progress=False)
    assert made.spec == other
    assert [spec for spec in missing([lacking, other]) if spec.cannot_run] == [lacking]
    monkeypatch.setattr(specs_module, "find_spec", lambda package: package)
    monkeypatch.setattr(module, "module_of", refuse)
    with pytest.raises(RuntimeError, match="ran"):  # the control: with its package it is run
        ensure([lacking], workers=1, progress=False)


def test_folds_by_image_are_named_in_the_record(tiny, tiny_spec, one, monkeypatch):
    told = []
    monkeypatch.setattr(splits, "check_leakage", lambda *_, unit: told.append(unit))
    leaky, honest = one(tiny_spec.changed(split__unit="image")), one(tiny_spec)
    assert told == ["image", "patient"]
    assert (leaky.spec.split.leaky, honest.spec.split.leaky) == (True, False)


def test_a_second_process_waits_for_the_first(tiny, tiny_spec, refuse, monkeypatch):
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


@pytest.fixture(params=["segmentation", "detection", "shape"])
def kind(request):
    """A run of a kind: its cohort and spec, where it trains, and changes with which it diverges."""
    get = request.getfixturevalue
    if request.param == "segmentation":
        far = {"optimiser__learning_rate": 1e38, "optimiser__iterations": 8}
        where = {"cohort": get("tiny"), "spec": get("tiny_spec"), "fits": "training.fit"}
    elif request.param == "detection":
        far = {"training__learning_rate": 1e30, "training__iterations": 8}
        where = vars(get("searched")) | {"fits": "fit_detector"}
    else:
        far = {"training__learning_rate": 1e30, "training__epochs": 4, "evaluation__explain": True}
        where = vars(get("shaped")) | {"fits": "training.fit_shapes"}
        where["spec"] = where["spec"].changed(evaluation__sources=("truth",), segmenter=())
    room = {"shape": "shapes"}.get(request.param, request.param)
    fits = f"mammostudy.runs.{room}.{where.pop('fits')}"
    return SimpleNamespace(**where, name=request.param, fits=fits, diverges=far)


def weights_of(record):
    return load_file(weights_path(str(record.content["training_key"])))


def test_a_record_holds_all_of_its_run(kind, one):
    record, spec, manifest = one(kind.spec), kind.spec, kind.cohort.manifest_hash
    assert (record.spec, record.status, record.converged) == (spec, "completed", False)
    assert record.key == spec.key(manifest)
    assert record.content["recipe_versions"] == spec.recipe_versions()
    measured = [name for name in record.curves if name.startswith("validation_")]
    assert record.curves[measured[-1]].dropna().between(0, 1).all()
    assert {"processor", "instructions"} <= set(record.provenance["machine"])
    assert record.provenance["training_cpu_seconds"] >= 0
    files = {path.name for path in store_root().rglob("*") if path.is_file()}
    key = spec.training_key(manifest)
    assert {f"{key}.safetensors", f"{key}.history"} <= files
    assert not [name for name in files if name.endswith(".pt")]  # the checkpoint has served


def test_same_spec_same_rows_and_no_training_twice(kind, one, refuse, monkeypatch):
    first = one(kind.spec)
    weights, other = weights_of(first), kind.spec.changed(seed=1)
    with monkeypatch.context() as patch:
        patch.setattr(kind.fits, refuse)
        renamed = one(kind.spec.changed(variant="alternative"))
        pd.testing.assert_frame_equal(renamed.cases, first.cases)
        assert renamed.content["curves"] == first.content["curves"]
        spent = [record.provenance["training_cpu_seconds"] for record in (first, renamed)]
        assert spent[0] == spent[1]
        with pytest.raises(RuntimeError, match="ran"):  # the control
            one(other)
    shutil.rmtree(first.folder)
    for path in (store_root() / "weights").glob(f"{first.content['training_key']}*"):
        path.unlink()
    torch.manual_seed(77)
    again = one(kind.spec)
    pd.testing.assert_frame_equal(again.cases, first.cases)
    alike = [
        all(torch.equal(value, found[name]) for name, value in weights.items())
        for found in (weights_of(again), weights_of(one(other)))
    ]
    assert alike == [True, False]


@pytest.mark.parametrize("check", ["check_patients", "check_images"])
def test_a_leak_is_refused_before_training(check, kind, one, refuse, monkeypatch):
    def leak(*_, **__):
        raise DataError("a leak")

    monkeypatch.setattr(kind.fits, refuse)
    monkeypatch.setattr(splits, check, leak)
    with pytest.raises(DataError, match="a leak"):
        one(kind.spec.changed(seed=1))
    monkeypatch.setattr(splits, check, lambda *_, **__: None)
    with pytest.raises(RuntimeError, match="ran"):  # the control: without the check it trains
        one(kind.spec.changed(seed=1))


@pytest.mark.parametrize("loss", [{}, {"loss__adversarial_weight": 0, "loss__overlap": "dice_bce"}])
def test_a_diverged_run_is_a_record(loss, kind, one):
    if loss and kind.name != "segmentation":
        return
    spec = kind.spec.changed(**kind.diverges, **loss)
    record = one(spec)
    assert (record.status, record.converged) == ("diverged", False)
    assert len(record.curves) < 8
    text = (record.folder / "record.json").read_text(encoding="utf-8")
    json.loads(text, parse_constant=lambda said: pytest.fail(f"{said} is not JSON"))
    assert {"nan", "inf", "-inf"} & set(record.content["diverged_with"].values())
    assert not (record.folder / "arrays.npz").exists()  # it explains nothing
    if kind.name == "detection":
        assert record.cases.query("row == 'box'").empty
        assert len(record.cases.query("row == 'mass'")) > 0
    else:
        assert record.cases.drop(columns="tool", errors="ignore").notna().all(axis=None)
    again = one(spec.changed(variant="alternative"))  # from the stored weights
    assert again.status == "diverged"


def test_trained_models_load_and_leave_the_random_state_alone(kind, one):
    record = one(kind.spec)
    torch.manual_seed(3)
    expected = torch.rand(2)
    torch.manual_seed(3)
    trained_model(record)
    assert torch.equal(torch.rand(2), expected)
    path = weights_path(str(record.content["training_key"]))
    whole = path.read_bytes()
    for damage in (b"", whole[: len(whole) // 2], None):
        path.unlink(missing_ok=True) if damage is None else path.write_bytes(damage)
        with pytest.raises(DataError, match=f"{path.name}: .* of {record.kind} run {record.key}"):
            trained_model(record)
