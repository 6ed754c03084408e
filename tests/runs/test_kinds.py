"""What runs of all trained kinds have in common: records, seeds, leaks, divergence, weights."""

from __future__ import annotations

import json
import shutil
from dataclasses import dataclass
from types import ModuleType
from typing import Any

import pandas as pd
import pytest
import torch
from safetensors.torch import load_file

from mammostudy.data import splits
from mammostudy.data.cohort import Cohort
from mammostudy.errors import DataError
from mammostudy.paths import store_root
from mammostudy.runs import detection, segmentation, shapes
from mammostudy.runs.record import weights_path
from mammostudy.runs.trained import trained_model


@dataclass(frozen=True)
class Kind:
    """A run of a kind on a cohort, and where it trains."""

    cohort: Cohort
    spec: Any
    module: ModuleType
    fits: str  # the function that trains
    diverges: dict[str, Any]  # changes with which a loss is not finite


@pytest.fixture(params=["segmentation", "detection", "shape"])
def kind(request):
    if request.param == "segmentation":
        cohort, spec = (request.getfixturevalue(name) for name in ("tiny", "tiny_spec"))
        far = {"optimiser__learning_rate": 1e38, "optimiser__iterations": 8}
        return Kind(cohort, spec, segmentation, "training.fit", far)
    if request.param == "detection":
        made = request.getfixturevalue("searched")
        far = {"training__learning_rate": 1e30, "training__iterations": 8}
        return Kind(made.cohort, made.spec, detection, "fit_detector", far)
    made = request.getfixturevalue("shaped")
    plain = made.spec.changed(evaluation__sources=("truth",), segmenter=())
    far = {"training__learning_rate": 1e30, "training__epochs": 4, "evaluation__explain": True}
    return Kind(made.cohort, plain, shapes, "training.fit_shapes", far)


def weights_of(record):
    return load_file(weights_path(str(record.content["training_key"])))


def same(first, other):
    return all(torch.equal(value, other[name]) for name, value in first.items())


def forget(record):
    """Delete a record and its weights, so that it is run again."""
    shutil.rmtree(record.folder)
    for path in (store_root() / "weights").glob(f"{record.content['training_key']}*"):
        path.unlink()


def test_a_record_holds_all_of_its_run(kind, one):
    record, spec, manifest = one(kind.spec), kind.spec, kind.cohort.manifest_hash
    assert (record.spec, record.status, record.converged) == (spec, "completed", False)
    assert (record.key, record.leaky) == (spec.key(manifest), False)
    assert record.content["recipe_versions"] == spec.recipe_versions()
    assert len(record.curves) >= 2
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
        patch.setattr(f"{kind.module.__name__}.{kind.fits}", refuse)
        renamed = one(kind.spec.changed(variant="alternative"))
        pd.testing.assert_frame_equal(renamed.cases, first.cases)
        assert renamed.content["curves"] == first.content["curves"]
        spent = [record.provenance["training_cpu_seconds"] for record in (first, renamed)]
        assert spent[0] == spent[1]
        with pytest.raises(RuntimeError, match="ran"):  # the control
            one(other)
    forget(first)
    torch.manual_seed(77)
    again = one(kind.spec)
    pd.testing.assert_frame_equal(again.cases, first.cases)
    assert same(weights, weights_of(again))
    assert not same(weights, weights_of(one(other)))


@pytest.mark.parametrize("check", ["check_patients", "check_images"])
def test_a_leak_is_refused_before_training(check, kind, one, refuse, monkeypatch):
    """A patient in two parts, or two images that are one."""

    def leak(*_, **__):
        raise DataError("a leak")

    monkeypatch.setattr(f"{kind.module.__name__}.{kind.fits}", refuse)
    monkeypatch.setattr(splits, check, leak)
    with pytest.raises(DataError, match="a leak"):
        one(kind.spec.changed(seed=1))
    monkeypatch.setattr(splits, check, lambda *_, **__: None)
    with pytest.raises(RuntimeError, match="ran"):  # the control: without the check it trains
        one(kind.spec.changed(seed=1))


def _strict(text):
    raise AssertionError(f"{text} is not JSON")


@pytest.mark.parametrize("loss", [{}, {"loss__adversarial_weight": 0, "loss__overlap": "dice_bce"}])
def test_a_diverged_run_is_a_record(loss, kind, one):
    if loss and kind.module is not segmentation:
        return
    spec = kind.spec.changed(**kind.diverges, **loss)
    record = one(spec)
    assert (record.status, record.converged) == ("diverged", False)
    assert len(record.curves) < 8
    text = (record.folder / "record.json").read_text(encoding="utf-8")
    json.loads(text, parse_constant=_strict)
    assert {"nan", "inf", "-inf"} & set(record.content["diverged_with"].values())
    assert not (record.folder / "arrays.npz").exists()  # it explains nothing
    if kind.module is detection:
        assert record.rows("box").empty
        assert len(record.rows("mass")) > 0
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
        path.unlink() if damage is None else path.write_bytes(damage)
        with pytest.raises(DataError, match=f"{path.name}: .* of {record.kind} run {record.key}"):
            trained_model(record)
