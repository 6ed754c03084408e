"""From spec to record: once, resumable, in one process or several; errors before training."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from torch.nn import functional

from mammostudy.data.cohort import Cohort
from mammostudy.errors import DataError, SpecError
from mammostudy.paths import store_root
from mammostudy.runs import execute as module
from mammostudy.runs.evaluate import COLUMNS
from mammostudy.runs.execute import ensure, missing
from mammostudy.runs.spec import RunSpec
from mammostudy.runs.store import Record, local_records, weights_path
from mammostudy.runs.train import label_of
from mammostudy.study.recipes import baselines
from mammostudy.training import losses
from mammostudy.training import segmentation as loop


class RanError(Exception):
    """Something ran that should not have."""


def refuse(*args: object, **fields: object) -> None:
    raise RanError


def one(spec: RunSpec) -> Record:
    (record,) = ensure([spec], workers=1, progress=False)
    return record


def test_a_record_is_complete(tiny: Cohort, tiny_spec: RunSpec) -> None:
    record = one(tiny_spec)
    assert (record.status, record.converged) == ("completed", False)
    assert record.spec == tiny_spec
    assert record.key == tiny_spec.key(tiny.manifest_hash)
    assert record.manifest_hash == tiny.manifest_hash
    assert record.content["recipe_versions"] == tiny_spec.recipe_versions()
    assert record.curves["iteration"].tolist() == [1, 2]
    assert record.curves["validation_dice"].between(0, 1).all()
    split = record.content["split"]
    assert sorted(c for part in split.values() for c in part) == sorted(tiny.masses.index)
    assert set(record.cases["case"]) == {*split["validation"], *split["test"]}
    assert tuple(record.cases.columns) == COLUMNS
    assert len(record.cases) == 2 * 2 * len(record.predictions())
    assert record.cases.notna().all().all()
    wanted = {"commit", "python", "versions", "machine", "seconds", "training_seconds", "finished"}
    assert wanted <= set(record.provenance)
    files = {path.name for path in store_root().rglob("*") if path.is_file()}
    key = tiny_spec.training_key(tiny.manifest_hash)
    assert {f"{key}.safetensors", f"{key}.history"} <= files
    assert not [name for name in files if name.endswith(".pt")]  # the checkpoint has served


def test_the_rows_are_those_of_the_kept_masks(tiny: Cohort, tiny_spec: RunSpec) -> None:
    record = one(tiny_spec)
    raw = record.cases.query("box == 'oracle' and postprocessing == 'none'").set_index("case")
    sums = {case: int(mask.sum()) for case, mask in record.predictions().items()}
    assert raw["predicted_pixels"].to_dict() == sums


def test_a_second_call_runs_nothing(
    tiny: Cohort, tiny_spec: RunSpec, monkeypatch: pytest.MonkeyPatch
) -> None:
    specs = [tiny_spec, *baselines(tiny_spec)]
    first = ensure(specs, workers=1, progress=False)
    assert [r.spec for r in first] == specs
    monkeypatch.setattr(module, "_execute", refuse)
    again = ensure([*specs, tiny_spec], workers=1, progress=False)
    assert [r.key for r in again] == [r.key for r in [*first, first[0]]]
    with pytest.raises(RanError):  # the control
        one(tiny_spec.changed(seed=1))


def test_same_spec_same_rows(tiny: Cohort, tiny_spec: RunSpec) -> None:
    first = one(tiny_spec).cases
    shutil.rmtree(store_root())
    pd.testing.assert_frame_equal(one(tiny_spec).cases, first)
    other = one(tiny_spec.changed(seed=1)).cases
    assert not other["predicted_pixels"].equals(first["predicted_pixels"])


def test_an_evaluation_alone_does_not_train_again(
    tiny: Cohort, tiny_spec: RunSpec, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = one(tiny_spec)
    monkeypatch.setattr(loop, "fit", refuse)
    other = one(tiny_spec.changed(evaluation__postprocessing="every"))
    assert other.key != first.key
    assert other.content["curves"] == first.content["curves"]
    assert other.converged == first.converged
    for case, mask in first.predictions().items():
        assert np.array_equal(other.predictions()[case], mask)
    with pytest.raises(RanError):
        one(tiny_spec.changed(seed=1))


def test_stored_weights_of_the_shared_batch_norm_serve_again(
    tiny: Cohort, tiny_spec: RunSpec, monkeypatch: pytest.MonkeyPatch
) -> None:
    spec = tiny_spec.changed(model__shared_batch_norm=True, model__channels=3)
    first = one(spec)
    monkeypatch.setattr(loop, "fit", refuse)
    other = one(spec.changed(evaluation__postprocessing="every"))
    for case, mask in first.predictions().items():
        assert np.array_equal(other.predictions()[case], mask)


@pytest.mark.parametrize("suffix", [".safetensors", ".history"])
def test_damaged_weights_are_trained_again(suffix: str, tiny: Cohort, tiny_spec: RunSpec) -> None:
    first = one(tiny_spec)
    shutil.rmtree(local_records())
    path = weights_path(tiny_spec.training_key(tiny.manifest_hash)).with_suffix(suffix)
    path.write_bytes(path.read_bytes()[:50])
    pd.testing.assert_frame_equal(one(tiny_spec).cases, first.cases)


def test_weights_of_another_network_are_one_clear_error(tiny: Cohort, tiny_spec: RunSpec) -> None:
    one(tiny_spec)
    wide = tiny_spec.changed(model__width=4)
    one(wide)
    shutil.rmtree(local_records())
    mine, other = (weights_path(s.training_key(tiny.manifest_hash)) for s in (tiny_spec, wide))
    shutil.copy(other, mine)
    with pytest.raises(DataError, match=rf"{mine.name}: weights of another network; .* delete"):
        one(tiny_spec)
    one(wide)  # control: where they belong they are read


def test_baselines_train_nothing(tiny: Cohort, tiny_spec: RunSpec) -> None:
    records = ensure(baselines(tiny_spec), workers=1, progress=False)
    assert [r.spec.model.name for r in records] == ["all-mass", "ellipse", "otsu", "chan-vese"]
    for record in records:
        assert record.converged is None
        assert record.curves.empty
        assert record.provenance["training_seconds"] == 0
    whole = records[0].cases.query("postprocessing == 'none'")
    assert (whole["recall"] == 1).all()
    assert not list(store_root().rglob("*.safetensors"))


def test_missing_lists_each_run_once(tiny: Cohort, tiny_spec: RunSpec) -> None:
    other = tiny_spec.changed(seed=1)
    assert missing([tiny_spec, other, tiny_spec]) == [tiny_spec, other]
    one(tiny_spec)
    assert missing([tiny_spec, other, tiny_spec]) == [other]


@pytest.mark.slow
def test_workers_give_the_rows_of_one_process(tiny: Cohort, tiny_spec: RunSpec) -> None:
    specs = [tiny_spec, tiny_spec.changed(seed=1)]
    alone = [record.cases for record in ensure(specs, workers=1, progress=False)]
    shutil.rmtree(store_root())
    together = ensure(specs, workers=2, progress=False)
    assert [record.spec for record in together] == specs
    for rows, record in zip(alone, together, strict=True):
        pd.testing.assert_frame_equal(record.cases, rows)
        assert record.provenance["machine"]["threads"] == 1


@pytest.mark.slow
def test_an_error_in_a_worker_stops_the_grid_with_its_message(
    tiny: Cohort, tiny_spec: RunSpec
) -> None:
    specs = [tiny_spec.changed(split__fold=9, seed=seed) for seed in range(12)]
    with pytest.raises(SpecError, match="fold 9 of 4 does not exist"):
        ensure(specs, workers=2, progress=False)


def test_missing_data_is_one_clear_error(own_folders: Path, tiny_spec: RunSpec) -> None:
    with pytest.raises(DataError, match="MAMMOSTUDY_DATA"):
        one(tiny_spec)
    assert not local_records().exists()


def test_a_faulty_manifest_is_not_taken_for_missing_data(
    tiny: Cohort, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tiny.root / "manifest.csv"
    path.write_text(path.read_text().replace(",CC,", ",sideways,", 1))
    with pytest.raises(DataError, match="sideways"):
        module.manifest_hash("tiny")
    monkeypatch.setattr(module, "MissingDataError", DataError)  # control: a wider net hides it
    assert module.manifest_hash("tiny") is None
    assert module.manifest_hash("elsewhere") is None


def test_a_missing_image_is_one_clear_error(
    tiny: Cohort, tiny_spec: RunSpec, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tiny.root / "images" / "p3.png").unlink()
    monkeypatch.setattr(module, "_trained", refuse)
    with pytest.raises(DataError, match=r"p3\.png: image of case p3-1 is missing"):
        one(tiny_spec)
    assert not list(local_records().rglob("*.json"))


def test_a_leak_raises_before_training(
    tiny_twins: Cohort, tiny_spec: RunSpec, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert len(tiny_twins) == 16
    monkeypatch.setattr(module, "_trained", refuse)
    with pytest.raises(DataError, match="near-duplicates"):
        one(tiny_spec)
    monkeypatch.setattr(module, "check_leakage", lambda *_, **__: None)
    with pytest.raises(RanError):  # the control: without the check it trains
        one(tiny_spec)


def test_folds_by_image_are_named_to_the_check_and_in_the_record(
    tiny: Cohort, tiny_spec: RunSpec, monkeypatch: pytest.MonkeyPatch
) -> None:
    told: list[str] = []
    monkeypatch.setattr(module, "check_leakage", lambda *_, unit: told.append(unit))
    leaky = tiny_spec.changed(split__unit="image")
    record, honest = one(leaky), one(tiny_spec)
    assert told == ["image", "patient"]
    assert record.leaky
    assert record.content["warning"].startswith("LEAKY")
    assert "LEAKY" in label_of(leaky)
    assert not honest.leaky
    assert "warning" not in honest.content
    assert "LEAKY" not in label_of(tiny_spec)


def _strict(text: str) -> None:
    raise AssertionError(f"{text} is not JSON")


@pytest.mark.parametrize("adversary", [0.0, 1.0])
@pytest.mark.parametrize("overlap", ["dice", "dice_bce"])
def test_a_diverged_run_is_a_record(
    adversary: float, overlap: str, tiny: Cohort, tiny_spec: RunSpec
) -> None:
    spec = tiny_spec.changed(
        optimiser__learning_rate=1e38,
        optimiser__iterations=8,
        loss__adversarial_weight=adversary,
        loss__overlap=overlap,
    )
    record = one(spec)
    assert (record.status, record.converged) == ("diverged", False)
    assert "nan" in record.content["diverged_with"].values()
    assert len(record.curves) < 8
    json.loads((record.folder / "record.json").read_text(), parse_constant=_strict)
    assert len(record.predictions()) > 0
    assert record.cases.notna().all().all()
    again = one(spec.changed(evaluation__postprocessing="every"))  # from the stored weights
    assert again.status == "diverged"


def test_without_the_guard_of_the_losses_divergence_is_a_crash(
    tiny: Cohort, tiny_spec: RunSpec, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(losses, "_cross_entropy", functional.binary_cross_entropy)
    spec = tiny_spec.changed(optimiser__learning_rate=1e38, optimiser__iterations=8)
    with pytest.raises(RuntimeError, match="between 0 and 1"):
        one(spec)


def test_a_killed_run_leaves_no_record_and_resumes(
    tiny: Cohort, tiny_spec: RunSpec, monkeypatch: pytest.MonkeyPatch
) -> None:
    spec = tiny_spec.changed(optimiser__iterations=4)
    whole = one(spec).cases
    shutil.rmtree(store_root())
    monkeypatch.setattr("mammostudy.training.loop.CHECKPOINT_SECONDS", -1.0)
    usual, taken = loop.batch_of, []

    def cut(n: int, iteration: int, batch: int, seed: int) -> torch.Tensor:
        taken.append(iteration)
        if len(taken) == 3:
            raise KeyboardInterrupt
        return usual(n, iteration, batch, seed)

    monkeypatch.setattr(loop, "batch_of", cut)
    with pytest.raises(KeyboardInterrupt):
        one(spec)
    assert not list(local_records().rglob("record.json"))
    pd.testing.assert_frame_equal(one(spec).cases, whole)
    assert taken == [0, 1, 2, 2, 3]  # it went on where it was cut


def test_a_name_for_a_person(tiny_spec: RunSpec) -> None:
    assert label_of(tiny_spec) == "tiny loose paper cgan dice fold 0 seed 0"
    wide = tiny_spec.changed(frame__scale=3.0, loss__adversarial_weight=0.0)
    assert label_of(wide) == "tiny loose x3 paper cgan dice no adversary fold 0 seed 0"
    assert label_of(baselines(tiny_spec)[1]) == "tiny loose ellipse fold 0"
