"""From spec to record: once, resumable, in one process or several; refused before training."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

from mammostudy.data.cohort import Cohort
from mammostudy.errors import DataError
from mammostudy.paths import store_root
from mammostudy.runs import execute as module
from mammostudy.runs import segmentation, trained
from mammostudy.runs import spec as specs_module
from mammostudy.runs.execute import cannot_run, ensure, execute, missing
from mammostudy.runs.kinds import ChainSpec, DetectSpec, ShapeSpec
from mammostudy.runs.record import Record, local_records, weights_path
from mammostudy.runs.spec import BASELINES, COLUMNS, RunSpec

GONE = ("x_min", "y_min", "x_max", "y_max", "mask", "mask_label", "outline")


class RanError(Exception):
    """Something ran that should not have."""


def refuse(*args: object, **fields: object) -> None:
    raise RanError


def one(spec: RunSpec) -> Record:
    (record,) = ensure([spec], workers=1, progress=False)
    return record


def baselines(spec: RunSpec) -> list[RunSpec]:
    plain = {"optimiser": {"iterations": 0}, "variant": "baseline"}
    return [spec.changed(model={"name": name}, **plain) for name in BASELINES]


def test_a_record_is_complete(tiny: Cohort, tiny_spec: RunSpec) -> None:
    record = one(tiny_spec)
    assert (record.spec, record.status, record.converged) == (tiny_spec, "completed", False)
    assert record.key == tiny_spec.key(tiny.manifest_hash)
    assert record.content["recipe_versions"] == tiny_spec.recipe_versions()
    assert record.curves["iteration"].tolist() == [1, 2]
    assert record.curves["validation_dice"].between(0, 1).all()
    split = record.content["split"]
    assert sorted(c for part in split.values() for c in part) == sorted(tiny.masses.index)
    assert set(record.cases["case"]) == {*split["validation"], *split["test"]}
    assert tuple(record.cases.columns) == COLUMNS
    assert len(record.cases) == 2 * 2 * len(record.predictions())
    assert record.cases.notna().all().all()
    raw = record.cases.query("box == 'oracle' and postprocessing == 'none'").set_index("case")
    sums = {case: int(mask.sum()) for case, mask in record.predictions().items()}
    assert raw["predicted_pixels"].to_dict() == sums
    assert {"processor", "instructions"} <= set(record.provenance["machine"])
    assert record.provenance["training_cpu_seconds"] >= 0
    files = {path.name for path in store_root().rglob("*") if path.is_file()}
    key = tiny_spec.training_key(tiny.manifest_hash)
    assert {f"{key}.safetensors", f"{key}.history"} <= files
    assert not [name for name in files if name.endswith(".pt")]  # the checkpoint has served


def test_a_second_call_runs_nothing(
    tiny: Cohort, tiny_spec: RunSpec, monkeypatch: pytest.MonkeyPatch
) -> None:
    specs = [tiny_spec, *baselines(tiny_spec)]
    assert missing([*specs, tiny_spec]) == specs
    first = ensure(specs, workers=1, progress=False)
    assert [record.spec for record in first] == specs
    for record in first[1:]:
        assert (record.converged, record.curves.empty) == (None, True)
        assert record.provenance["training_seconds"] == 0
    monkeypatch.setattr(module, "_execute", refuse)
    again = ensure([*specs, tiny_spec], workers=1, progress=False)
    assert [r.key for r in again] == [r.key for r in [*first, first[0]]]
    assert missing(specs) == []
    with pytest.raises(RanError):  # the control
        one(tiny_spec.changed(seed=1))


@pytest.mark.parametrize("changes", [{}, {"model__shared_batch_norm": True, "model__channels": 3}])
def test_an_evaluation_alone_does_not_train_again(
    changes: dict[str, object], tiny: Cohort, tiny_spec: RunSpec, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = one(tiny_spec.changed(**changes))
    monkeypatch.setattr(segmentation.training, "fit", refuse)
    other = one(first.spec.changed(evaluation__postprocessing="every"))
    assert other.key != first.key
    assert other.content["curves"] == first.content["curves"]
    spent = [record.provenance["training_cpu_seconds"] for record in (first, other)]
    assert spent[0] == spent[1]
    for case, mask in first.predictions().items():
        assert np.array_equal(other.predictions()[case], mask)
    with pytest.raises(RanError):
        one(tiny_spec.changed(seed=1))


def test_weights_of_another_network_are_one_clear_error(tiny: Cohort, tiny_spec: RunSpec) -> None:
    wide = tiny_spec.changed(model__width=4)
    ensure([tiny_spec, wide], workers=1, progress=False)
    shutil.rmtree(local_records())
    mine, other = (weights_path(s.training_key(tiny.manifest_hash)) for s in (tiny_spec, wide))
    shutil.copy(other, mine)
    with pytest.raises(DataError, match=rf"{mine.name}: weights of another network; .* delete"):
        one(tiny_spec)
    one(wide)  # control: where they belong they are read


@pytest.mark.slow
def test_workers_give_the_rows_of_one_process(tiny: Cohort, tiny_spec: RunSpec) -> None:
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
def test_a_cohort_without_the_columns_is_refused_for_the_task(
    kind: type[RunSpec | DetectSpec | ShapeSpec],
    gone: tuple[str, ...],
    tiny: Cohort,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    lacking = replace(tiny, manifest=tiny.manifest.assign(**dict.fromkeys(gone)))
    monkeypatch.setattr(module, "load_cohort", lambda _: lacking)
    monkeypatch.setattr(module, "_run_all", refuse)
    spec = kind(cohort="tiny")
    for start in (execute, lambda one: ensure([one], workers=1, progress=False)):
        with pytest.raises(DataError, match=f"cannot be used for {spec.task}: no mass has"):
            start(spec)
    assert not local_records().exists()
    monkeypatch.setattr(module, "require", lambda *_: None)  # control
    with pytest.raises(RanError):
        ensure([spec], workers=1, progress=False)


def test_runs_that_others_stand_on_wait_for_the_refusal(
    tiny: Cohort, tiny_spec: RunSpec, monkeypatch: pytest.MonkeyPatch
) -> None:
    """``tiny`` has masses and no shapes: its segmenter is not trained for nothing."""
    monkeypatch.setattr(module, "_execute", refuse)
    with pytest.raises(DataError, match="cannot be used for shape: no mass has shape"):
        ensure([ShapeSpec(cohort="tiny", segmenter=(tiny_spec,))], workers=1, progress=False)
    detector = DetectSpec(cohort="tiny", split=tiny_spec.split)
    chain = ChainSpec(cohort="tiny", detector=detector, segmenter=tiny_spec)
    assert missing([chain]) == [detector, tiny_spec, chain]


def test_a_run_that_cannot_be_made_holds_up_no_other(
    tiny: Cohort, tiny_spec: RunSpec, monkeypatch: pytest.MonkeyPatch
) -> None:
    lite = {"name": "unet-lite0", "weights": "packaged"}
    lacking, other = tiny_spec.changed(model=lite), baselines(tiny_spec)[0]
    monkeypatch.setattr(specs_module, "find_spec", lambda package: None)
    (made,) = ensure([lacking, other], workers=1, progress=False)
    assert made.spec == other
    assert list(cannot_run([lacking, other])) == [lacking]
    monkeypatch.setattr(specs_module, "find_spec", lambda package: package)
    monkeypatch.setattr(module, "_execute", refuse)
    with pytest.raises(RanError):  # the control: with its package it is run
        ensure([lacking], workers=1, progress=False)


def test_a_leak_raises_before_training(
    tiny_twins: Cohort, tiny_spec: RunSpec, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(segmentation, "_trained", refuse)
    with pytest.raises(DataError, match="near-duplicates"):
        one(tiny_spec)
    monkeypatch.setattr(segmentation, "check_leakage", lambda *_, **__: None)
    with pytest.raises(RanError):  # the control: without the check it trains
        one(tiny_spec)


def test_folds_by_image_are_named_to_the_check_and_in_the_record(
    tiny: Cohort, tiny_spec: RunSpec, monkeypatch: pytest.MonkeyPatch
) -> None:
    told: list[str] = []
    monkeypatch.setattr(segmentation, "check_leakage", lambda *_, unit: told.append(unit))
    leaky, honest = one(tiny_spec.changed(split__unit="image")), one(tiny_spec)
    assert told == ["image", "patient"]
    assert (leaky.leaky, honest.leaky) == (True, False)
    assert leaky.content["warning"].startswith("LEAKY")
    assert "warning" not in honest.content


def _strict(text: str) -> None:
    raise AssertionError(f"{text} is not JSON")


@pytest.mark.parametrize(("adversary", "overlap"), [(0.0, "dice_bce"), (1.0, "dice")])
def test_a_diverged_run_is_a_record(
    adversary: float, overlap: str, tiny: Cohort, tiny_spec: RunSpec
) -> None:
    changes = {"loss__adversarial_weight": adversary, "loss__overlap": overlap}
    spec = tiny_spec.changed(optimiser__learning_rate=1e38, optimiser__iterations=8, **changes)
    record = one(spec)
    assert (record.status, record.converged) == ("diverged", False)
    assert "nan" in record.content["diverged_with"].values()
    assert len(record.curves) < 8
    text = (record.folder / "record.json").read_text(encoding="utf-8")
    json.loads(text, parse_constant=_strict)
    assert record.cases.notna().all().all()
    again = one(spec.changed(evaluation__postprocessing="every"))  # from the stored weights
    assert again.status == "diverged"


def test_a_second_process_waits_for_the_first(
    tiny: Cohort, tiny_spec: RunSpec, monkeypatch: pytest.MonkeyPatch
) -> None:
    held: list[Path] = []

    class Lock:
        def __init__(self, path: Path) -> None:
            held.append(path)

        def __enter__(self) -> None:
            monkeypatch.setattr(module, "FileLock", usual)
            execute(tiny_spec, progress=False)  # another process is first
            monkeypatch.setattr(module, "_execute", refuse)

        def __exit__(self, *_: object) -> None:
            return None

    usual = module.FileLock
    monkeypatch.setattr(module, "FileLock", Lock)
    assert execute(tiny_spec, progress=False).spec == tiny_spec
    assert held[0].stem == tiny_spec.training_key(tiny.manifest_hash)


def test_trained_models_load_and_leave_the_random_state_alone(
    tiny: Cohort, tiny_spec: RunSpec
) -> None:
    record = one(tiny_spec)
    torch.manual_seed(3)
    expected = torch.rand(2)
    torch.manual_seed(3)
    trained.trained_model(record)
    assert torch.equal(torch.rand(2), expected)
    path = weights_path(str(record.content["training_key"]))
    whole = path.read_bytes()
    for damage in (b"", whole[: len(whole) // 2], None):
        path.unlink() if damage is None else path.write_bytes(damage)
        with pytest.raises(DataError, match=r"safetensors: the weights of segmentation run"):
            trained.trained_model(record)
